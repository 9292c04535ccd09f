//===- ExecCompare.cpp - tests of comparing results -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Compare.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace te::exec;

namespace {
const Tolerance loosely = Tolerance::through(0);
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float inf = std::numeric_limits<float>::infinity();

Difference compare(std::vector<float> wanted, std::vector<float> found,
                   bool exactly, uint32_t dtypes = 1 << TE_RT_F32) {
  ArrayType type{TE_RT_F32, {static_cast<int64_t>(wanted.size())}};
  return compareArrays(type, wanted.data(), found.data(),
                       exactly ? Tolerance::exactly()
                               : Tolerance::through(dtypes));
}

TEST(Compare, ExactlyMeansBits) {
  EXPECT_FALSE(compare({1, nan, inf}, {1, -nan, inf}, true).isMiss());
  Difference off = compare({1, 2, 3}, {1, 2, std::nextafter(3.0f, 4.0f)}, true);
  EXPECT_TRUE(off.isMiss());
  EXPECT_EQ(off.position, 2);
  EXPECT_EQ(off.error, 0x1p-22);
  Difference sign = compare({1, 0}, {1, -0.0f}, true);
  EXPECT_TRUE(sign.isMiss());
  EXPECT_EQ(sign.error, 0);
  EXPECT_EQ(sign.position, 1);
  EXPECT_TRUE(compare({nan}, {1}, true).isMiss());
  EXPECT_TRUE(compare({}, {}, true).exact);
}

TEST(Compare, BoundIsRelativeToTheLargest) {
  // The bound for 16 is 16 * 2^-12 = 2^-8.
  EXPECT_FALSE(compare({16, 1}, {16, 1 + 0x1p-8f}, false).isMiss());
  EXPECT_TRUE(compare({16, 1}, {16, 1 + 0x1p-7f}, false).isMiss());
  EXPECT_FALSE(compare({16, 0}, {16, -0.0f}, false).isMiss());
  EXPECT_FALSE(compare({inf, nan, 1}, {inf, nan, 1}, false).isMiss());
  EXPECT_TRUE(compare({inf, 16}, {1, 16}, false).isMiss());
  EXPECT_TRUE(compare({inf}, {-inf}, false).isMiss());
  EXPECT_TRUE(compare({16, 1}, {16, nan}, false).isMiss());
  EXPECT_TRUE(compare({0, 0}, {0, 1}, false).isMiss());
}

TEST(Compare, TheNextValueIsWithinTheBound) {
  // Behind 2, the next one of BF16 is 2 + 2^-6.
  uint16_t wanted[] = {0x4000, 0}, next[] = {0x4001, 0}, other[] = {0x4002, 0};
  ArrayType type{TE_RT_BF16, {2}};
  EXPECT_FALSE(compareArrays(type, wanted, next, loosely).isMiss());
  EXPECT_TRUE(compareArrays(type, wanted, other, loosely).isMiss());
}

TEST(Compare, IntegersAreExactAnywhere) {
  int32_t wanted[] = {1, 1000000}, found[] = {2, 1000000};
  ArrayType type{TE_RT_I32, {2}};
  EXPECT_TRUE(compareArrays(type, wanted, found, loosely).isMiss());
  EXPECT_FALSE(compareArrays(type, wanted, wanted, loosely).isMiss());
}

TEST(Compare, Fp4ByNibble) {
  // 1, 6, -0.5, 0 against 1, 4, -0.5, 0: the bound is half of the largest.
  unsigned char wanted[] = {0x72, 0x09}, found[] = {0x62, 0x09};
  ArrayType type{TE_RT_F4E2M1, {4}};
  Difference off = compareArrays(type, wanted, found, Tolerance::exactly());
  EXPECT_TRUE(off.isMiss());
  EXPECT_EQ(off.position, 1);
  EXPECT_EQ(off.error, 2);
  EXPECT_FALSE(compareArrays(type, wanted, found, loosely).isMiss());
  EXPECT_TRUE(compareArrays(type, wanted, wanted, Tolerance::exactly()).exact);
}

TEST(Compare, ACoarserTypeOnTheWayWidensTheBound) {
  // FP8 on the way: one value may be off by 1/8 of the largest, all together by
  // 1/32 of the norm.
  uint32_t dtypes = 1 << TE_RT_F32 | 1 << TE_RT_BF16 | 1 << TE_RT_F8E4M3;
  std::vector<float> wanted(64, 16), found = wanted;
  found[3] = 18;
  EXPECT_TRUE(compare(wanted, found, false).isMiss());
  EXPECT_FALSE(compare(wanted, found, false, dtypes).isMiss());
  found[3] = 18.5f;
  EXPECT_TRUE(compare(wanted, found, false, dtypes).isMiss());
  found.assign(64, 16.25f);
  EXPECT_FALSE(compare(wanted, found, false, dtypes).isMiss());
  found.assign(64, 17);
  Difference off = compare(wanted, found, false, dtypes);
  EXPECT_TRUE(off.isMiss());
  EXPECT_EQ(off.bound, 2);
  EXPECT_EQ(off.norm, 0x1p-4);
  EXPECT_EQ(off.normBound, 0x1p-5);
  // A type as coarse as the result's adds nothing.
  EXPECT_FALSE(std::isfinite(compare(wanted, found, false).normBound));
  int32_t ids[] = {1}, others[] = {2};
  EXPECT_TRUE(
      compareArrays({TE_RT_I32, {1}}, ids, others, Tolerance::through(dtypes))
          .isMiss());
}

class Check : public testing::Test {
protected:
  Result result(const std::string &group, const float *data,
                std::vector<int64_t> shape = {2}) {
    return {group, {TE_RT_F32, std::move(shape)}, data};
  }
  float a[2] = {1, 2}, b[2] = {1, 3};
};

TEST_F(Check, MembersMeetByNameAndShareARow) {
  CheckReport report;
  report.add(
      {{"dw.0", result("dw.0", a)}, {"dw.1", result("dw.1", b)}},
      {{"dw.0", result("dw_packed", a)}, {"dw.1", result("dw_packed", b)}},
      Tolerance::exactly(), "");
  EXPECT_TRUE(report.passed());
  EXPECT_NE(report.str().find("dw_packed  2 x f32[2]  exact"),
            std::string::npos)
      << report.str();
  EXPECT_EQ(report.str().find("dw.0"), std::string::npos);
}

TEST_F(Check, SwappedMembersAreAMiss) {
  CheckReport report;
  report.add({{"dw.0", result("dw.0", a)}, {"dw.1", result("dw.1", b)}},
             {{"dw.0", result("dw", b)}, {"dw.1", result("dw", a)}},
             Tolerance::exactly(), "");
  EXPECT_FALSE(report.passed());
  EXPECT_NE(report.str().find("MISS: dw.0[1]"), std::string::npos)
      << report.str();
}

TEST_F(Check, MissingAndMistypedAreMisses) {
  CheckReport left, right, mistyped;
  left.add({{"x", result("x", a)}}, {}, Tolerance::exactly(), "");
  EXPECT_FALSE(left.passed());
  EXPECT_NE(left.str().find("x is missing in the program"), std::string::npos);
  right.add({}, {{"x", result("x", a)}}, Tolerance::exactly(), "");
  EXPECT_FALSE(right.passed());
  mistyped.add({{"x", result("x", a)}}, {{"x", result("x", a, {1, 2})}},
               Tolerance::exactly(), "");
  EXPECT_FALSE(mistyped.passed());
  EXPECT_NE(mistyped.str().find("x is f32[1, 2], naive f32[2]"),
            std::string::npos);
}

TEST_F(Check, EmptyResultsAreEqual) {
  CheckReport report;
  report.add({{"x", result("x", nullptr, {0, 3})}},
             {{"x", result("x", nullptr, {0, 3})}}, Tolerance::exactly(), "");
  EXPECT_TRUE(report.passed()) << report.str();
}

TEST_F(Check, MergingKeepsTheWorst) {
  CheckReport good, bad;
  good.add({{"x", result("x", a)}}, {{"x", result("x", a)}},
           Tolerance::exactly(), ", rank 0");
  bad.add({{"x", result("x", a)}}, {{"x", result("x", b)}},
          Tolerance::exactly(), ", rank 1");
  CheckReport merged;
  merged.merge(bad);
  merged.merge(good);
  EXPECT_FALSE(merged.passed());
  EXPECT_NE(merged.str().find("x[1], rank 1"), std::string::npos)
      << merged.str();
}
} // namespace
