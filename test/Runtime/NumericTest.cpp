//===- NumericTest.cpp - conversions against slow definitions -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/numeric.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <limits>

using namespace te_rt;

namespace {
/// The value of a code without sign from the format's definition, in double.
double valueOf(int code, int mantissaBits, int bias) {
  int exponent = code >> mantissaBits;
  double fraction = (code & ((1 << mantissaBits) - 1)) /
                    static_cast<double>(1 << mantissaBits);
  return exponent == 0 ? std::pow(2.0, 1 - bias) * fraction
                       : std::pow(2.0, exponent - bias) * (1 + fraction);
}

/// The nearest of all codes up to `largest`; at a tie the even one.
int nearestCode(double value, int mantissaBits, int bias, int largest,
                int sign) {
  int best = 0;
  double distance = INFINITY;
  double magnitude = std::min(std::fabs(value), 1e6);
  for (int code = 0; code <= largest; ++code) {
    double d = std::fabs(valueOf(code, mantissaBits, bias) - magnitude);
    if (d < distance || (d == distance && code % 2 == 0)) {
      distance = d;
      best = code;
    }
  }
  return best | (std::signbit(value) ? sign : 0);
}

template <typename Format> void checkFormat(te_rt_dtype dtype) {
  const float *table = decodeTable(dtype);
  for (int code = 0; code < 2 * Format::sign; ++code) {
    int magnitude = code & (Format::sign - 1);
    if (magnitude > Format::largestCode)
      continue;
    double value = valueOf(magnitude, Format::mantissa, Format::bias);
    if (code & Format::sign)
      value = -value;
    EXPECT_EQ(table[code], value) << code;
    EXPECT_EQ(encode<Format>(static_cast<float>(value)), code);
  }
  EXPECT_EQ(table[Format::largestCode],
            dtype == TE_RT_F4E2M1 ? 6.0f : fp8Max(dtype));
  for (int bits = 0; bits < 65536; ++bits) {
    float value = toFloat(BFloat16{static_cast<uint16_t>(bits)});
    int wanted = std::isnan(value)
                     ? Format::nanCode
                     : nearestCode(value, Format::mantissa, Format::bias,
                                   Format::largestCode, Format::sign);
    ASSERT_EQ(encode<Format>(value), wanted) << value;
  }
  // Just beside, and on, the middle between two codes.
  for (int code = 0; code < Format::largestCode; ++code) {
    float middle =
        static_cast<float>((valueOf(code, Format::mantissa, Format::bias) +
                            valueOf(code + 1, Format::mantissa, Format::bias)) /
                           2);
    EXPECT_EQ(encode<Format>(middle), code + code % 2);
    EXPECT_EQ(encode<Format>(std::nextafter(middle, 0.0f)), code);
    EXPECT_EQ(encode<Format>(std::nextafter(middle, 1e9f)), code + 1);
  }
  EXPECT_EQ(encode<Format>(INFINITY), Format::largestCode);
  EXPECT_EQ(encode<Format>(-INFINITY), Format::largestCode | Format::sign);
}

TEST(Numeric, E4M3) {
  checkFormat<E4M3>(TE_RT_F8E4M3);
  EXPECT_TRUE(std::isnan(decodeTable(TE_RT_F8E4M3)[0x7f]));
  EXPECT_TRUE(std::isnan(decodeTable(TE_RT_F8E4M3)[0xff]));
}

TEST(Numeric, E5M2) {
  checkFormat<E5M2>(TE_RT_F8E5M2);
  EXPECT_EQ(decodeTable(TE_RT_F8E5M2)[0x7c], INFINITY);
  EXPECT_EQ(decodeTable(TE_RT_F8E5M2)[0xfc], -INFINITY);
  for (int code : {0x7d, 0x7e, 0x7f, 0xfd, 0xfe, 0xff})
    EXPECT_TRUE(std::isnan(decodeTable(TE_RT_F8E5M2)[code]));
}

TEST(Numeric, E2M1) {
  checkFormat<E2M1>(TE_RT_F4E2M1);
  EXPECT_EQ(encode<E2M1>(-0.0f), 8);
  EXPECT_EQ(encode<E2M1>(-NAN), 7);
  EXPECT_EQ(bytesOf(TE_RT_F4E2M1, 6), 3);
}

TEST(Numeric, E8M0) {
  EXPECT_EQ(decodeTable(TE_RT_F8E8M0)[0], std::pow(2.0, -127));
  EXPECT_EQ(decodeTable(TE_RT_F8E8M0)[127], 1.0f);
  EXPECT_EQ(decodeTable(TE_RT_F8E8M0)[254], std::pow(2.0, 127));
  EXPECT_TRUE(std::isnan(decodeTable(TE_RT_F8E8M0)[255]));
}

TEST(Numeric, BF16KeepsItsOwnValuesAndRoundsToEven) {
  for (int bits = 0; bits < 65536; ++bits) {
    BFloat16 back, in = {static_cast<uint16_t>(bits)};
    fromFloat(toFloat(in), back);
    if (std::isnan(toFloat(in)))
      EXPECT_TRUE(std::isnan(toFloat(back)));
    else
      EXPECT_EQ(back.bits, bits);
  }
  BFloat16 out;
  fromFloat(1.0f + 0x1p-8f, out); // a tie, to the even 1
  EXPECT_EQ(toFloat(out), 1.0f);
  fromFloat(1.0f + 0x1.8p-7f, out); // a tie, to the even 1 + 2^-6
  EXPECT_EQ(toFloat(out), 1.0f + 0x1p-6f);
  fromFloat(1.0f + 0x1.01p-8f, out);
  EXPECT_EQ(toFloat(out), 1.0f + 0x1p-7f);
  fromFloat(FLT_MAX, out);
  EXPECT_EQ(toFloat(out), INFINITY);
}

TEST(Numeric, F16) {
  for (int bits = 0; bits < 65536; ++bits) {
    float value = halfToFloat(static_cast<uint16_t>(bits));
    if (!std::isnan(value)) {
      ASSERT_EQ(floatToHalf(value), bits) << value;
    }
  }
  EXPECT_EQ(halfToFloat(0x3c00), 1.0f);
  EXPECT_EQ(halfToFloat(0x0001), 0x1p-24f);
  EXPECT_EQ(floatToHalf(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(floatToHalf(1.0f + 0x1.8p-10f), 0x3c02);
  EXPECT_EQ(floatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(floatToHalf(0x1p-25f), 0);
  EXPECT_EQ(floatToHalf(0x1.8p-24f), 2);
}

TEST(Numeric, ScaleFromAmax) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  auto scale = [](float amax, bool pow2 = false, float epsilon = 0) {
    return scaleFromAmax(amax, 448.0f, epsilon, pow2, FLT_MAX);
  };
  EXPECT_EQ(scale(2.0f), 224.0f);
  EXPECT_EQ(scale(3.0f), 448.0f / 3.0f);
  EXPECT_EQ(scale(3.0f, true), 128.0f);
  EXPECT_EQ(scale(0.0f), 1.0f);
  EXPECT_EQ(scale(INFINITY), 1.0f);
  EXPECT_EQ(scale(nan), 1.0f);
  EXPECT_EQ(scale(0.0f, false, 1.0f), 448.0f);
  EXPECT_EQ(scale(2.0f, false, 1.0f), 224.0f);
  EXPECT_EQ(scale(1e-45f), FLT_MAX);
  EXPECT_EQ(scale(1e-45f, true), 0x1p127f);
}
} // namespace
