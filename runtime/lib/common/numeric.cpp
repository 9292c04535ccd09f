//===- numeric.cpp - element types and their conversions ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/numeric.h"

#include <array>
#include <cfloat>
#include <cmath>
#include <limits>

using namespace te_rt;

int64_t te_rt::elementBits(te_rt_dtype dtype) {
  switch (dtype) {
  case TE_RT_I64:
    return 64;
  case TE_RT_F32:
  case TE_RT_I32:
    return 32;
  case TE_RT_BF16:
  case TE_RT_F16:
    return 16;
  case TE_RT_F8E4M3:
  case TE_RT_F8E5M2:
  case TE_RT_F8E8M0:
  case TE_RT_U8:
    return 8;
  case TE_RT_F4E2M1:
    return 4;
  }
  return 0;
}

const char *te_rt::dtypeName(te_rt_dtype dtype) {
  static const char *const names[] = {"F32",    "BF16",   "F16", "F8E4M3",
                                      "F8E5M2", "F8E8M0", "I32", "I64",
                                      "U8",     "F4E2M1"};
  return elementBits(dtype) ? names[dtype] : nullptr;
}

float te_rt::largestValue(te_rt_dtype dtype) {
  return dtype == TE_RT_BF16 ? 0x1.FEp127f : FLT_MAX;
}

float te_rt::halfToFloat(uint16_t bits) {
  int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  float magnitude;
  if (exponent == 31)
    magnitude = mantissa ? std::numeric_limits<float>::quiet_NaN()
                         : std::numeric_limits<float>::infinity();
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  else
    magnitude = std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

uint16_t te_rt::floatToHalf(float value) {
  if (std::isnan(value))
    return 0x7fff;
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  float magnitude = std::fabs(value);
  if (magnitude >= 65520.0f) // halfway from the largest value to the next
    return sign | 0x7c00;
  if (magnitude == 0)
    return sign;
  int exponent = 0;
  std::frexp(magnitude, &exponent); // magnitude in [2^(exponent-1), 2^exponent)
  int unit = exponent - 11 > -24 ? exponent - 11 : -24;
  int32_t steps =
      static_cast<int32_t>(std::nearbyint(std::ldexp(magnitude, -unit)));
  // A carry into the next binade is a carry into the exponent's bits.
  return static_cast<uint16_t>(sign + ((unit + 24) << 10) + steps);
}

namespace {
using Table = std::array<float, 256>;

Table makeFp8Table(int mantissaBits, int bias, bool ieee) {
  Table table;
  int exponents = 0x80 >> mantissaBits;
  for (int code = 0; code < 256; ++code) {
    int exponent = (code & 0x7f) >> mantissaBits;
    int mantissa = code & ((1 << mantissaBits) - 1);
    float value;
    if (ieee && exponent == exponents - 1)
      value = mantissa ? std::numeric_limits<float>::quiet_NaN()
                       : std::numeric_limits<float>::infinity();
    else if (!ieee && (code & 0x7f) == 0x7f)
      value = std::numeric_limits<float>::quiet_NaN();
    else if (exponent == 0)
      value = std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissaBits);
    else
      value = std::ldexp(static_cast<float>((1 << mantissaBits) + mantissa),
                         exponent - bias - mantissaBits);
    table[code] = code & 0x80 ? -value : value;
  }
  return table;
}

Table makeE2M1Table() {
  Table table;
  for (int code = 0; code < 256; ++code) {
    int exponent = (code & 7) >> 1, mantissa = code & 1;
    float magnitude = exponent
                          ? std::ldexp(1.0f + 0.5f * mantissa, exponent - 1)
                          : 0.5f * mantissa;
    table[code] = code & 8 ? -magnitude : magnitude;
  }
  return table;
}

Table makeE8M0Table() {
  Table table;
  for (int code = 0; code < 255; ++code)
    table[code] = std::ldexp(1.0f, code - 127);
  table[255] = std::numeric_limits<float>::quiet_NaN();
  return table;
}
} // namespace

const float *te_rt::decodeTable(te_rt_dtype dtype) {
  static const Table e4m3 = makeFp8Table(3, 7, /*ieee=*/false);
  static const Table e5m2 = makeFp8Table(2, 15, /*ieee=*/true);
  static const Table e8m0 = makeE8M0Table();
  static const Table e2m1 = makeE2M1Table();
  switch (dtype) {
  case TE_RT_F8E4M3:
    return e4m3.data();
  case TE_RT_F8E5M2:
    return e5m2.data();
  case TE_RT_F4E2M1:
    return e2m1.data();
  default:
    return e8m0.data();
  }
}

float te_rt::scaleFromAmax(float amax, float fp8Max, float epsilon, bool pow2,
                           float overflow) {
  if (amax < epsilon)
    amax = epsilon;
  if (!std::isfinite(amax) || amax == 0.0f)
    return 1.0f;
  float scale = fp8Max / amax;
  if (std::isinf(scale))
    scale = overflow;
  return pow2 ? bitsFloat(floatBits(scale) & kInfinityBits) : scale;
}
