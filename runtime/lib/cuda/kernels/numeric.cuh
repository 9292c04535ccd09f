//===- numeric.cuh - element types and their conversions --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The conversions of common/numeric.h, with the instructions that give the same
// bits. Compiled without contraction of products and sums.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_NUMERIC_CUH
#define TE_RUNTIME_CUDA_KERNELS_NUMERIC_CUH

#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace te_rt {
namespace cuda {

using BF16 = __nv_bfloat16;

__device__ inline float toFloat(float value) { return value; }
__device__ inline float toFloat(BF16 value) { return __bfloat162float(value); }
__device__ inline float lowOf(uint32_t pair) {
  return __uint_as_float(pair << 16);
}
__device__ inline float highOf(uint32_t pair) {
  return __uint_as_float(pair & 0xffff0000u);
}

template <typename T> __device__ inline T fromFloat(float value);
template <> __device__ inline float fromFloat<float>(float value) {
  return value;
}
template <> __device__ inline BF16 fromFloat<BF16>(float value) {
  return __float2bfloat16_rn(value); // NaN becomes 0x7fff
}
/// Two floats as BF16, the first in the low half.
__device__ inline uint32_t packBf16(float low, float high) {
  __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<uint32_t *>(&pair);
}

/// Largest magnitudes of pairs, with signs that mean nothing; NaN loses against
/// anything.
__device__ inline uint32_t maxMagnitude(uint32_t a, uint32_t b) {
  uint32_t largest;
  asm("max.xorsign.abs.bf16x2 %0, %1, %2;" : "=r"(largest) : "r"(a), "r"(b));
  return largest;
}

/// The same, but NaN wins.
__device__ inline uint32_t maxMagnitudeOrNan(uint32_t a, uint32_t b) {
  uint32_t largest;
  asm("max.NaN.xorsign.abs.bf16x2 %0, %1, %2;"
      : "=r"(largest)
      : "r"(a), "r"(b));
  return largest;
}

/// The larger of a pair, as a number; NaN, which all were, as zero.
__device__ inline float amaxOfPair(uint32_t pair) {
  return fmaxf(fmaxf(fabsf(lowOf(pair)), fabsf(highOf(pair))), 0.0f);
}

/// Adds to a counter of the whole device, after all that this thread has done and
/// all that others have done before a barrier with it.
__device__ inline uint32_t addRelease(uint32_t *counter, uint32_t value) {
  uint32_t before;
  asm volatile("atom.add.release.gpu.global.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(counter), "r"(value)
               : "memory");
  return before;
}

/// Four FP8 codes, the first in the low byte: nearest even, saturating, NaN 0x7f.
template <bool E5M2>
__device__ inline uint32_t encodeFour(float a, float b, float c, float d) {
  uint32_t codes;
  if (E5M2)
    asm("{ .reg .b16 low, high;\n"
        "cvt.rn.satfinite.e5m2x2.f32 low, %2, %1;\n"
        "cvt.rn.satfinite.e5m2x2.f32 high, %4, %3;\n"
        "mov.b32 %0, {low, high}; }"
        : "=r"(codes)
        : "f"(a), "f"(b), "f"(c), "f"(d));
  else
    asm("{ .reg .b16 low, high;\n"
        "cvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\n"
        "cvt.rn.satfinite.e4m3x2.f32 high, %4, %3;\n"
        "mov.b32 %0, {low, high}; }"
        : "=r"(codes)
        : "f"(a), "f"(b), "f"(c), "f"(d));
  return codes;
}

/// The values of two codes, the low byte first.
__device__ inline float2 decodePair(uint32_t codes, bool e5m2) {
  uint32_t halves;
  uint16_t pair = static_cast<uint16_t>(codes);
  if (e5m2)
    asm("cvt.rn.f16x2.e5m2x2 %0, %1;" : "=r"(halves) : "h"(pair));
  else
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(pair));
  return __half22float2(*reinterpret_cast<__half2 *>(&halves));
}

/// As of common/numeric.h.
__device__ inline float scaleFromAmax(float amax, float fp8Max, float epsilon,
                                      bool pow2, float overflow) {
  if (amax < epsilon)
    amax = epsilon;
  if (!(amax < __uint_as_float(0x7f800000)) || amax == 0.0f)
    return 1.0f;
  float scale = __fdiv_rn(fp8Max, amax);
  if (scale == __uint_as_float(0x7f800000))
    scale = overflow;
  return pow2 ? __uint_as_float(__float_as_uint(scale) & 0x7f800000u) : scale;
}

/// The same for powers of two, of 448 (exponent 8) or 57344 (15), which have the
/// same significand; and the reciprocal.
__device__ inline float pow2ScaleFromAmax(float amax, int exponent,
                                          float epsilon, float &reciprocal) {
  uint32_t bits = __float_as_uint(amax < epsilon ? epsilon : amax);
  reciprocal = 1.0f;
  if (bits - 1 >= 0x7f7fffffu) // zero, or no number
    return 1.0f;
  // One more above 1.75 times a power of two.
  int power = min(254 + exponent - int((bits + 0x1fffffu) >> 23), 254);
  reciprocal = __uint_as_float(power == 254 ? 0x400000u : (254 - power) << 23);
  return __uint_as_float(power << 23);
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_NUMERIC_CUH
