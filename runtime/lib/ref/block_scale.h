//===- block_scale.h - the 8-bit scale of a block ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_REF_BLOCK_SCALE_H
#define TE_RUNTIME_REF_BLOCK_SCALE_H

#include "common/numeric.h"

#include <algorithm>
#include <cfloat>

namespace te_rt {
namespace ref {

/// A scale as it is stored, and what the block's elements are multiplied by.
struct BlockScale {
  uint8_t code;
  float multiplier;
};

/// The least power of two that is at least `value`, as its code; infinity gives
/// the largest, NaN 255.
inline uint8_t roundUpToE8M0(float value) {
  int32_t bits = floatBits(value) & kMagnitudeMask;
  if (bits > kInfinityBits)
    return 255;
  if (bits == kInfinityBits)
    return 254;
  int32_t exponent = bits >> 23, mantissa = bits & 0x7fffff;
  // Code 0 is 2^-127, of which F32 has the half of its least normal.
  bool up =
      exponent == 0 ? mantissa > 0x400000 : mantissa > 0 && exponent != 254;
  return static_cast<uint8_t>(exponent + up);
}

/// MXFP8 (te-semantics 1.4).
inline BlockScale chooseE8M0(float amax, te_rt_dtype values) {
  uint8_t code = roundUpToE8M0(amax * (1.0f / fp8Max(values)));
  int32_t inverse = code == 255   ? 0x7fffffff
                    : code == 254 ? 0x00400000
                                  : (254 - code) << 23;
  return {code, bitsFloat(inverse)};
}

/// What NVFP4 scales multiply blocks by before they are E4M3, for a tensor of
/// this amax (te-semantics 1.5).
inline float tensorMultiplier(float amax) {
  if (amax == 0.0f)
    return 1.0f;
  float multiplier = std::min(448.0f * 6.0f / amax, FLT_MAX);
  return multiplier == 0.0f ? 1.0f : multiplier;
}

/// NVFP4; `tensor` is the tensorMultiplier.
inline BlockScale chooseE4M3(float amax, float tensor) {
  uint8_t code =
      encode<E4M3>(std::min(amax * (tensor * (1.0f / 6.0f)), FLT_MAX));
  float scale = decodeTable(TE_RT_F8E4M3)[code];
  return {code, std::min(1.0f / (scale * (1.0f / tensor)), FLT_MAX)};
}

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_BLOCK_SCALE_H
