//===- numeric.h - element types and their conversions ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every conversion rounds to nearest even. The casts to FP8 and FP4 saturate:
// overflow and infinities become the largest finite value; NaN becomes the code
// 0x7F of FP8, and 6 of FP4.
// They are free of branches, so that loops over them vectorize.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMMON_NUMERIC_H
#define TE_RUNTIME_COMMON_NUMERIC_H

#include "te_runtime/types.h"

#include <cstring>

namespace te_rt {

/// Bits of one element; 0 for a number that is no te_rt_dtype.
int64_t elementBits(te_rt_dtype dtype);
/// Bytes of so many elements; of F4E2M1 an even number.
inline int64_t bytesOf(te_rt_dtype dtype, int64_t elements) {
  return elements * elementBits(dtype) / 8;
}
/// "BF16", ...; "dtype 42" has no name and gives nullptr.
const char *dtypeName(te_rt_dtype dtype);

/// The code of an E8M0 or E4M3 scale is a byte, and its blocks are of MXFP8 or
/// NVFP4.
inline bool isByteScale(te_rt_dtype dtype) {
  return dtype == TE_RT_F8E8M0 || dtype == TE_RT_F8E4M3;
}
inline bool isFp8(te_rt_dtype dtype) {
  return dtype == TE_RT_F8E4M3 || dtype == TE_RT_F8E5M2;
}
inline float fp8Max(te_rt_dtype dtype) {
  return dtype == TE_RT_F8E4M3 ? 448.0f : 57344.0f;
}
/// The largest finite value of BF16 or F32.
float largestValue(te_rt_dtype dtype);

inline int32_t floatBits(float value) {
  int32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}
inline float bitsFloat(int32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

constexpr int32_t kMagnitudeMask = 0x7fffffff;
constexpr int32_t kInfinityBits = 0x7f800000;

/// BF16 as it is stored; a type of its own, so that overloads can tell it.
struct BFloat16 {
  uint16_t bits;
};
static_assert(sizeof(BFloat16) == 2, "stored as two bytes");

inline float toFloat(float value) { return value; }
inline float toFloat(BFloat16 value) {
  return bitsFloat(
      static_cast<int32_t>(static_cast<uint32_t>(value.bits) << 16));
}

inline void fromFloat(float value, float &out) { out = value; }
inline void fromFloat(float value, BFloat16 &out) {
  uint32_t bits = static_cast<uint32_t>(floatBits(value));
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  bool nan = (bits & kMagnitudeMask) > static_cast<uint32_t>(kInfinityBits);
  out.bits = static_cast<uint16_t>(nan ? 0x7fffu : rounded);
}

/// IEEE binary16, for filling and reading host data.
float halfToFloat(uint16_t bits);
uint16_t floatToHalf(float value);

/// The formats of 8 and 4 bits, as `encode` wants them: `sign` is the code of
/// minus zero.
struct E4M3 {
  static constexpr int mantissa = 3, bias = 7;
  static constexpr int32_t largestCode = 0x7e, nanCode = 0x7f, sign = 0x80;
};
struct E5M2 {
  static constexpr int mantissa = 2, bias = 15;
  static constexpr int32_t largestCode = 0x7b, nanCode = 0x7f, sign = 0x80;
};
/// Has no NaN, which becomes 6.
struct E2M1 {
  static constexpr int mantissa = 1, bias = 1;
  static constexpr int32_t largestCode = 7, nanCode = 7, sign = 8;
};

template <typename Format> inline uint8_t encode(float value) {
  constexpr int drop = 23 - Format::mantissa;
  constexpr int32_t rebias = (127 - Format::bias) << Format::mantissa;
  constexpr int32_t smallestNormal = (127 - Format::bias + 1) << 23;
  // A float whose last mantissa bit weighs as much as the smallest subnormal:
  // adding it makes the hardware round there.
  constexpr int32_t magic = (127 + 23 + 1 - Format::bias - Format::mantissa)
                            << 23;
  int32_t bits = floatBits(value);
  int32_t magnitude = bits & kMagnitudeMask;
  int32_t finite = magnitude > kInfinityBits ? kInfinityBits : magnitude;
  int32_t normal =
      ((finite + ((1 << (drop - 1)) - 1) + ((finite >> drop) & 1)) >> drop) -
      rebias;
  // Clamped, so that the sum is never an overflow of the trick.
  int32_t small = finite < smallestNormal ? finite : smallestNormal;
  int32_t subnormal = floatBits(bitsFloat(small) + bitsFloat(magic)) - magic;
  int32_t code = finite < smallestNormal ? subnormal : normal;
  code = code > Format::largestCode ? Format::largestCode : code;
  int32_t sign = (bits >> 31) & Format::sign;
  return static_cast<uint8_t>(magnitude > kInfinityBits ? Format::nanCode
                                                        : code | sign);
}

/// The values of the 256 codes of F8E4M3, F8E5M2 or F8E8M0, or of the 16 of
/// F4E2M1 (again and again).
const float *decodeTable(te_rt_dtype dtype);

/// Calls `body` with an object of the C++ type of a BF16 or F32 tensor.
template <typename Body>
inline void withFloatType(te_rt_dtype dtype, Body &&body) {
  if (dtype == TE_RT_BF16)
    body(BFloat16());
  else
    body(float());
}
/// Calls `body` with an object of E4M3 or E5M2.
template <typename Body>
inline void withFp8Format(te_rt_dtype dtype, Body &&body) {
  if (dtype == TE_RT_F8E4M3)
    body(E4M3());
  else
    body(E5M2());
}

/// The multiplier for a block (te-semantics 1.2): 1 where amax is 0 or not
/// finite, `overflow` where the division overflows, rounded down to a power of
/// two if `pow2`.
float scaleFromAmax(float amax, float fp8Max, float epsilon, bool pow2,
                    float overflow);

inline int64_t ceilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0); }
inline int64_t roundUp(int64_t a, int64_t b) { return ceilDiv(a, b) * b; }

} // namespace te_rt

#endif // TE_RUNTIME_COMMON_NUMERIC_H
