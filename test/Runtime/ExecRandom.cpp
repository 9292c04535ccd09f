//===- ExecRandom.cpp - tests of seeded data ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ExecSupport.h"
#include "Random.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

using namespace te::exec;

namespace {
TEST(Random, ValuesAreFixed) {
  // Frozen: results of users' runs hang on them.
  RandomStream stream(7, 1, "w.3");
  EXPECT_EQ(stream.bits(0), RandomStream(7, 1, "w.3").bits(0));
  EXPECT_NE(stream.bits(0), RandomStream(8, 1, "w.3").bits(0));
  EXPECT_NE(stream.bits(0), RandomStream(7, 0, "w.3").bits(0));
  EXPECT_NE(stream.bits(0), RandomStream(7, 1, "w.4").bits(0));
  EXPECT_EQ(stream.bits(0), 13655417296916014133ull);
  EXPECT_EQ(stream.normal(0), 0x1.05173a0000000p+0f);
  EXPECT_EQ(stream.normal(123456789), 0x1.beb9c60000000p-3f);
}

TEST(Random, NormalHasItsMoments) {
  RandomStream stream(0, 0, "x");
  constexpr int count = 1 << 20;
  double sum = 0, squares = 0, fourth = 0;
  int beyondTwo = 0;
  for (int i = 0; i < count; ++i) {
    double x = stream.normal(static_cast<uint64_t>(i));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    beyondTwo += std::fabs(x) > 2;
  }
  EXPECT_NEAR(sum / count, 0, 5e-3);
  EXPECT_NEAR(squares / count, 1, 1e-2);
  EXPECT_NEAR(fourth / count, 2.85, 5e-2);
  EXPECT_NEAR(beyondTwo / double(count), 0.0455, 2e-3);
}

TEST(Random, ThreadsChangeNothing) {
  for (te_rt_dtype dtype : {TE_RT_F32, TE_RT_BF16, TE_RT_F8E4M3}) {
    RandomSpec spec{{dtype, {300, 1000}}, TE_RT_INIT_NORMAL, 0.5f, 0};
    size_t bytes = static_cast<size_t>(spec.type.bytes());
    std::vector<char> one(bytes), three(bytes);
    RandomStream stream(1, 0, "x");
    fillRandom(stream, spec, {}, "x", one.data(), 1);
    fillRandom(stream, spec, {}, "x", three.data(), 3);
    EXPECT_EQ(std::memcmp(one.data(), three.data(), bytes), 0);
    // Rounded to the type, and of the deviation asked for.
    double squares = 0;
    for (int64_t i = 0; i < spec.type.elements(); ++i) {
      float exact = stream.normal(static_cast<uint64_t>(i)) * 0.5f;
      double value = decodeElement(dtype, one.data(), i);
      squares += value * value;
      ASSERT_NEAR(value, exact, std::fabs(exact) / 16 + 0x1p-10);
    }
    EXPECT_NEAR(squares / static_cast<double>(spec.type.elements()), 0.25,
                0.01);
  }
}

std::vector<int32_t> route(const std::string &skew, int64_t tokens, int64_t k,
                           int64_t experts) {
  std::vector<int32_t> slots(static_cast<size_t>(tokens * k));
  RandomSpec spec{{TE_RT_I32, {tokens, k}}, TE_RT_INIT_ROUTING, 1, experts};
  fillRandom(RandomStream(3, 0, "indices"), spec, Routing::parse(skew),
             "indices", slots.data(), 2);
  return slots;
}

/// Distinct experts in range, and -1 only behind the last of them.
void expectValid(const std::vector<int32_t> &slots, int64_t k,
                 int64_t experts) {
  for (size_t row = 0; row < slots.size(); row += static_cast<size_t>(k)) {
    std::set<int32_t> seen;
    bool ended = false;
    for (size_t j = row; j < row + static_cast<size_t>(k); ++j) {
      ended |= slots[j] == -1;
      if (ended) {
        ASSERT_EQ(slots[j], -1);
        continue;
      }
      ASSERT_GE(slots[j], 0);
      ASSERT_LT(slots[j], experts);
      ASSERT_TRUE(seen.insert(slots[j]).second);
    }
  }
}

TEST(Random, RoutingIsValid) {
  for (const char *skew :
       {"uniform", "zipf:1.5", "one-expert", "empty-experts"})
    for (auto [k, experts] :
         {std::pair<int64_t, int64_t>{8, 256}, {2, 8}, {4, 2}, {3, 3}, {1, 1}})
      expectValid(route(skew, 500, k, experts), k, experts);
}

TEST(Random, RoutingHasItsSkew) {
  auto countOf = [](const std::vector<int32_t> &slots, int32_t expert) {
    return std::count(slots.begin(), slots.end(), expert);
  };
  auto uniform = route("uniform", 8000, 2, 8);
  for (int32_t e = 0; e < 8; ++e)
    EXPECT_NEAR(static_cast<double>(countOf(uniform, e)), 2000, 200);
  EXPECT_EQ(countOf(uniform, -1), 0);
  auto zipf = route("zipf:1.5", 8000, 1, 4);
  double sum = 1 + std::pow(2, -1.5) + std::pow(3, -1.5) + std::pow(4, -1.5);
  EXPECT_NEAR(static_cast<double>(countOf(zipf, 0)), 8000 / sum, 200);
  EXPECT_NEAR(static_cast<double>(countOf(zipf, 3)), 1000 / sum, 100);
  auto one = route("one-expert", 100, 2, 8);
  EXPECT_EQ(countOf(one, 0), 100);
  EXPECT_EQ(countOf(one, -1), 100);
  auto empty = route("empty-experts", 1000, 6, 8);
  EXPECT_EQ(countOf(empty, 1) + countOf(empty, 7), 0);
  EXPECT_EQ(countOf(empty, 6), 1000);
  EXPECT_EQ(countOf(empty, -1), 2000);
}

TEST(Random, ProbabilitiesSumToOne) {
  RandomSpec spec{{TE_RT_F32, {100, 8}}, TE_RT_INIT_PROBS, 1, 0};
  std::vector<float> probs(800);
  fillRandom(RandomStream(3, 0, "p"), spec, {}, "p", probs.data(), 1);
  for (size_t row = 0; row < 800; row += 8) {
    float sum = 0;
    for (size_t j = row; j < row + 8; ++j) {
      EXPECT_GT(probs[j], 0);
      sum += probs[j];
    }
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST(Random, ZeroAndOne) {
  for (te_rt_dtype dtype : {TE_RT_F32, TE_RT_BF16, TE_RT_F16, TE_RT_F8E4M3,
                            TE_RT_F8E5M2, TE_RT_F8E8M0, TE_RT_I32, TE_RT_I64}) {
    RandomSpec spec{{dtype, {3}}, TE_RT_INIT_ONE, 1, 0};
    std::vector<char> data(64, '\x55');
    fillRandom(RandomStream(0, 0, "x"), spec, {}, "x", data.data(), 1);
    EXPECT_EQ(decodeElement(dtype, data.data(), 2), 1) << dtypeName(dtype);
    EXPECT_EQ(data[static_cast<size_t>(spec.type.bytes())], '\x55');
  }
}

TEST(Random, RefusesWhatDoesNotFit) {
  std::vector<char> data(64);
  auto fill = [&](te_rt_dtype dtype, te_rt_init init, int64_t experts) {
    fillRandom(RandomStream(0, 0, "x"), {{dtype, {2}}, init, 1, experts}, {},
               "x", data.data(), 1);
  };
  EXPECT_ERROR(fill(TE_RT_I32, TE_RT_INIT_NORMAL, 0), "found i32[2]");
  EXPECT_ERROR(fill(TE_RT_F32, TE_RT_INIT_ROUTING, 4), "wanted i32");
  EXPECT_ERROR(fill(TE_RT_I32, TE_RT_INIT_ROUTING, 0), "found 0 experts");
  EXPECT_ERROR(Routing::parse("zipf:"), "found 'zipf:'");
  EXPECT_ERROR(Routing::parse("zipf:-1"), "S from 0 to 16");
  EXPECT_ERROR(Routing::parse("zipf:nan"), "S from 0 to 16");
  EXPECT_ERROR(Routing::parse("round-robin"), "wanted uniform");
}

/// Every code decodes to a value that encodes back to it.
TEST(ArrayType, SmallFloatsRoundTrip) {
  for (te_rt_dtype dtype :
       {TE_RT_F8E4M3, TE_RT_F8E5M2, TE_RT_F8E8M0, TE_RT_F16, TE_RT_BF16}) {
    uint32_t codes = dtypeBytes(dtype) == 1 ? 256 : 65536;
    for (uint32_t code = 0; code < codes; ++code) {
      double value = decodeElement(dtype, &code, 0);
      if (!std::isfinite(value))
        continue;
      uint32_t again = 0;
      encodeElement(dtype, &again, 0, static_cast<float>(value));
      ASSERT_EQ(again, code) << dtypeName(dtype);
    }
  }
}

TEST(ArrayType, Fp4IsTwoInAByte) {
  const double values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  unsigned char bytes[8];
  for (int64_t i = 0; i < 16; ++i)
    encodeElement(TE_RT_F4E2M1, bytes, i,
                  static_cast<float>(i < 8 ? values[i] : -values[i - 8]));
  for (int64_t i = 0; i < 16; ++i) {
    EXPECT_EQ(bytes[i / 2] >> (i % 2 ? 4 : 0) & 15, i); // the low nibble first
    EXPECT_EQ(std::fabs(decodeElement(TE_RT_F4E2M1, bytes, i)), values[i % 8]);
    EXPECT_EQ(std::signbit(decodeElement(TE_RT_F4E2M1, bytes, i)), i >= 8);
  }
}

/// Any number of threads fills the same bytes, though two elements share one.
TEST(Random, NormalFp4) {
  RandomSpec spec{{TE_RT_F4E2M1, {3, 100002}}, TE_RT_INIT_NORMAL, 1, 0};
  std::vector<unsigned char> one(150003), many(150003);
  fillRandom(RandomStream(0, 0, "x"), spec, {}, "x", one.data(), 1);
  fillRandom(RandomStream(0, 0, "x"), spec, {}, "x", many.data(), 4);
  EXPECT_EQ(one, many);
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < 300006; ++i) {
    double value = decodeElement(TE_RT_F4E2M1, one.data(), i);
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / 300006, 0, 0.01);
  EXPECT_NEAR(squares / 300006, 1, 0.05);
}

TEST(ArrayType, RoundsToNearestEvenAndSaturates) {
  auto round = [](te_rt_dtype dtype, float value) {
    uint32_t code = 0;
    encodeElement(dtype, &code, 0, value);
    return decodeElement(dtype, &code, 0);
  };
  EXPECT_EQ(round(TE_RT_F8E4M3, 17), 16); // half way, down to even
  EXPECT_EQ(round(TE_RT_F8E4M3, 19), 20); // half way, up to even
  EXPECT_EQ(round(TE_RT_F8E4M3, 1e9f), 448);
  EXPECT_EQ(round(TE_RT_F8E4M3, -464), -448);
  EXPECT_EQ(round(TE_RT_F8E4M3, 0x1p-10f), 0);
  EXPECT_EQ(round(TE_RT_F8E4M3, 0x1.8p-10f), 0x1p-9);
  EXPECT_EQ(round(TE_RT_F8E5M2, 1e9f), 57344);
  EXPECT_EQ(round(TE_RT_F8E5M2, 1.125f), 1);
  EXPECT_EQ(round(TE_RT_F8E5M2, 1.875f), 2);
  EXPECT_EQ(round(TE_RT_F4E2M1, 2.5f), 2);
  EXPECT_EQ(round(TE_RT_F4E2M1, -3.5f), -4);
  EXPECT_EQ(round(TE_RT_F4E2M1, 1e9f), 6);
  EXPECT_EQ(round(TE_RT_F4E2M1, -std::numeric_limits<float>::quiet_NaN()), 6);
  EXPECT_EQ(round(TE_RT_BF16, 1 + 0x1p-8f), 1);
  EXPECT_EQ(round(TE_RT_BF16, 1 + 0x1.8p-7f), 1 + 0x1p-6);
  EXPECT_TRUE(
      std::isnan(round(TE_RT_F8E4M3, std::numeric_limits<float>::quiet_NaN())));
}
} // namespace

TEST(Random, SpecialsOfAllKinds) {
  RandomSpec spec;
  spec.type = {TE_RT_F32, {64, 256}};
  int withNaN = 0;
  for (uint64_t seed = 0; seed < 24; ++seed) {
    std::vector<float> data(64 * 256, 1.0f);
    addSpecials(RandomStream(seed, 0, "x"), spec, data.data());
    int nan = 0, denormal = 0, extreme = 0, minusZero = 0, ones = 0;
    for (float value : data) {
      nan += std::isnan(value);
      denormal += std::fpclassify(value) == FP_SUBNORMAL;
      extreme += std::isfinite(value) && std::fabs(value) > 0x1p126f;
      minusZero += value == 0 && std::signbit(value);
      ones += value == 1.0f;
    }
    EXPECT_GT(denormal, 0);
    EXPECT_GT(extreme, 0);
    EXPECT_GT(minusZero, 0);
    EXPECT_GT(ones, 64 * 256 / 2);
    withNaN += nan > 0;
    // A block of 128 is all zeros, but for a few others, or has none to speak
    // of.
    int zeroBlocks = 0;
    for (size_t block = 0; block < data.size(); block += 128)
      zeroBlocks += std::count(data.begin() + block, data.begin() + block + 128,
                               0.0f) > 100;
    EXPECT_GT(zeroBlocks, 0);
    EXPECT_LT(zeroBlocks, 40);
  }
  EXPECT_GT(withNaN, 2);
  EXPECT_LT(withNaN, 16);
}

TEST(Random, SpecialsAreForNormalDataAlone) {
  RandomSpec spec;
  spec.type = {TE_RT_F32, {64, 256}};
  spec.init = TE_RT_INIT_PROBS;
  std::vector<float> data(64 * 256, 1.0f), same = data;
  addSpecials(RandomStream(1, 0, "x"), spec, data.data());
  EXPECT_EQ(data, same);
}
