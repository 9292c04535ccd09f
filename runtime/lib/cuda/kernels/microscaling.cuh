//===- microscaling.cuh - MXFP8 and NVFP4 as integers and floats -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rules of ref/block_scale.h, ref/philox.h and ref/hadamard.h. No
// instruction of a GPU that has these formats is used, so that all give the same
// bits.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICROSCALING_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICROSCALING_CUH

#include "cuda/kernels/numeric.cuh"

namespace te_rt {
namespace cuda {

constexpr float kLargestFloat = 3.402823466e38f;

/// The magnitudes of a pair as numbers; NaN, which all were, as zero.
__device__ inline float2 amaxesOf(uint32_t pair) {
  return make_float2(fmaxf(fabsf(lowOf(pair)), 0.0f),
                     fmaxf(fabsf(highOf(pair)), 0.0f));
}
__device__ inline float maxWith(float amax, int lanes) {
  return fmaxf(amax, __shfl_xor_sync(~0u, amax, lanes));
}

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

/// The least power of two from 2^-127 to 2^127 that is at least `value`, which is
/// no NaN, as its code.
__device__ inline uint32_t roundUpToE8M0(float value) {
  uint32_t bits = __float_as_uint(value);
  uint32_t exponent = bits >> 23, mantissa = bits & 0x7fffff;
  bool up = exponent == 0 ? mantissa > 0x400000 : mantissa > 0;
  return min(exponent + up, 254u);
}
__device__ inline uint32_t chooseE8M0(float amax, bool e5m2) {
  return roundUpToE8M0(
      __fmul_rn(amax, e5m2 ? 1.0f / 57344.0f : 1.0f / 448.0f));
}
/// What a block with this scale is multiplied by.
__device__ inline float multiplierOf(uint32_t e8m0) {
  return __uint_as_float(max(0x7f000000u - (e8m0 << 23), 0x00400000u));
}
__device__ inline float valueOfE8M0(uint32_t code) {
  return __uint_as_float(code == 255   ? 0x7fffffffu
                         : code == 0 ? 0x00400000u
                                     : code << 23);
}
__device__ inline float valueOfE4M3(uint32_t code) {
  return decodePair(code, /*e5m2=*/false).x;
}

/// What NVFP4 scales multiply blocks by before they are E4M3.
__device__ inline float tensorMultiplier(float amax) {
  if (amax == 0.0f)
    return 1.0f;
  float multiplier = fminf(__fdiv_rn(2688.0f, amax), kLargestFloat);
  return multiplier == 0.0f ? 1.0f : multiplier;
}
/// The codes of the scales of two blocks, the first in the low byte; `sixth`: a
/// sixth of the tensor's multiplier.
__device__ inline uint32_t chooseE4M3(float2 amax, float sixth) {
  return encodeFour<false>(__fmul_rn(amax.x, sixth), __fmul_rn(amax.y, sixth),
                           0.0f, 0.0f);
}
/// What a block with this scale is multiplied by; `inverse`: one by the tensor's
/// multiplier.
__device__ inline float multiplierOfE4M3(uint32_t code, float inverse) {
  return fminf(__frcp_rn(__fmul_rn(valueOfE4M3(code), inverse)), kLargestFloat);
}

//===----------------------------------------------------------------------===//
// FP4
//===----------------------------------------------------------------------===//

/// Codes in the last three bits of what this gives for a magnitude: to the
/// nearest, ties to the even code, saturating; kFp4Base of them is code 0. NaN
/// becomes code 0.
///
/// Up to 4, a sum with a number just below a power of two rounds to the values of
/// FP4, since its last bit weighs a half of a half of 2 where it stays below that
/// power, and twice as much where it does not. Beyond 4 there is one more step.
constexpr uint32_t kFp4Base = 0x49fffffc; // 2^21 - 1/2
__device__ inline uint32_t roundToFp4(float value) {
  float upToFour = __saturatef(__fmul_rn(fabsf(value), 0.25f));
  float beyond = __saturatef(__fmaf_rn(fabsf(value), 0.5f, -2.0f));
  float sum = __fadd_rn(upToFour, __uint_as_float(kFp4Base));
  return __float_as_uint(__fmaf_rn(beyond, 0.25f, sum));
}
/// kFp4Base in each of eight places of four bits.
constexpr uint32_t kFp4Bases = static_cast<uint32_t>(kFp4Base * 0x11111111ull);

/// To the nearest, ties to the even code, saturating; NaN becomes 7.
__device__ inline uint32_t encodeFp4(float value) {
  uint32_t magnitude = roundToFp4(fminf(fabsf(value), 8.0f)) - kFp4Base;
  bool isNegative = __float_as_uint(value) >> 31 && value == value;
  return magnitude | (isNegative ? 8 : 0);
}

/// The code of one of the two neighbours of a magnitude that is no NaN: the farther
/// from zero if `word` is less than 2^32 times the part of the way to it; 6 and
/// beyond become 6.
///
/// From 1 on the bits behind the first one of the mantissa are that part.
__device__ inline uint32_t roundRandomly(float value, uint32_t word) {
  float upToSix = fminf(fabsf(value), 6.0f);
  uint32_t bits = __float_as_uint(upToSix);
  bool isNormal = upToSix >= 1.0f, isHalf = upToSix >= 0.5f;
  uint32_t part = __float2uint_ru(__fmaf_rn(
      upToSix, 8589934592.0f, isHalf ? -4294967296.0f : 0.0f));
  part = isNormal ? bits << 10 : part;
  uint32_t code = isNormal ? (bits >> 22) - 252 : isHalf;
  return code + (word < part);
}

__device__ inline float valueOfFp4(uint32_t code) {
  uint32_t magnitude = code & 7;
  float value = magnitude < 2 ? 0.5f * magnitude
                              : __uint_as_float((magnitude + 252) << 22);
  return code & 8 ? -value : value;
}

//===----------------------------------------------------------------------===//
// Philox4x32-10
//===----------------------------------------------------------------------===//

struct Philox {
  uint64_t seed, high; // key, and upper half of the counter
  uint64_t first;      // added to the lower half

  /// Words of elements index[l] to index[l] + Count - 1 of some lines: word i % 4
  /// of draw i / 4.
  template <int Lines, int Count>
  __device__ void words(const int64_t (&index)[Lines],
                        uint32_t (&out)[Lines][Count]) const {
    uint4 drawn[Lines * Count / 4];
    int64_t bits = 0;
#pragma unroll
    for (int64_t i : index)
      bits |= i;
    if (bits % Count == 0) {
      draw<Lines, true>(index, drawn);
      unpack(drawn, out);
      return;
    }
    draw<Lines, false>(index, drawn);
    unpack(drawn, out);
    int64_t behind[Lines];
#pragma unroll
    for (int l = 0; l < Lines; ++l)
      behind[l] = index[l] + Count;
    uint4 next[Lines];
    draw<Lines, false>(behind, next);
#pragma unroll
    for (int l = 0; l < Lines; ++l) {
      uint32_t more[3] = {next[l].x, next[l].y, next[l].z};
#pragma unroll
      for (int s = 0; s < 3; ++s)
        if (s < (index[l] & 3)) {
#pragma unroll
          for (int i = 1; i < Count; ++i)
            out[l][i - 1] = out[l][i];
          out[l][Count - 1] = more[s];
        }
    }
  }

private:
  template <int Draws, int Lines, int Count>
  __device__ static void unpack(const uint4 (&drawn)[Draws],
                                uint32_t (&out)[Lines][Count]) {
#pragma unroll
    for (int d = 0; d < Draws; ++d) {
      uint32_t *to = &out[d * 4 / Count][d * 4 % Count];
      to[0] = drawn[d].x, to[1] = drawn[d].y;
      to[2] = drawn[d].z, to[3] = drawn[d].w;
    }
  }

  /// The draws of as many elements from index[l] on, all side by side, since they
  /// have the keys of their rounds in common; `Aligned`: index[l] is a multiple of
  /// that many, so that draws of a line differ in the lowest bits alone.
  template <int Lines, bool Aligned, int Draws>
  __device__ void draw(const int64_t (&index)[Lines], uint4 (&c)[Draws]) const {
    constexpr int kDraws = Draws / Lines;
    uint32_t k0 = static_cast<uint32_t>(seed);
    uint32_t k1 = static_cast<uint32_t>(seed >> 32);
#pragma unroll
    for (int d = 0; d < Draws; ++d) {
      uint64_t low = (static_cast<uint64_t>(index[d / kDraws]) >> 2) + first;
      if (Aligned)
        low |= d % kDraws; // first is a multiple, too
      else
        low += d % kDraws;
      c[d] = make_uint4(
          static_cast<uint32_t>(low), static_cast<uint32_t>(low >> 32),
          static_cast<uint32_t>(high), static_cast<uint32_t>(high >> 32));
    }
#pragma unroll
    for (int round = 0; round < 10; ++round) {
#pragma unroll
      for (uint4 &own : c) {
        uint64_t a = uint64_t(0xD2511F53u) * own.x;
        uint64_t b = uint64_t(0xCD9E8D57u) * own.z;
        own = make_uint4(static_cast<uint32_t>(b >> 32) ^ own.y ^ k0,
                         static_cast<uint32_t>(b),
                         static_cast<uint32_t>(a >> 32) ^ own.w ^ k1,
                         static_cast<uint32_t>(a));
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
      // Or the compiler adds up these of each round from those of the first.
      asm volatile("" : "+r"(k0), "+r"(k1));
    }
  }
};

//===----------------------------------------------------------------------===//
// Hadamard transform
//===----------------------------------------------------------------------===//

/// Element (j, k) of diag(sign) times the Sylvester matrix is negative.
__host__ __device__ constexpr bool isNegativeFactor(int j, int k) {
  constexpr uint32_t kNegative = 0xd7e8u & 0xffffu;
  int both = j & k, parity = 0;
  for (; both; both &= both - 1)
    parity ^= 1;
  return ((kNegative >> j & 1) ^ parity) != 0;
}

/// The transform of two columns of sixteen rows. `rows` of them exist: others take
/// part as zeros, and stay zero.
__device__ inline void transform(uint32_t (&pairs)[16], int rows) {
  float low[16], high[16];
#pragma unroll
  for (int j = 0; j < 16; ++j) {
    low[j] = lowOf(pairs[j]);
    high[j] = highOf(pairs[j]);
  }
#pragma unroll
  for (int k = 0; k < 16; ++k) {
    float sumLow = 0.0f, sumHigh = 0.0f;
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      bool negative = isNegativeFactor(j, k);
      sumLow = __fadd_rn(sumLow, negative ? -low[j] : low[j]);
      sumHigh = __fadd_rn(sumHigh, negative ? -high[j] : high[j]);
    }
    uint32_t pair = packBf16(0.25f * sumLow, 0.25f * sumHigh);
    asm volatile("" : "+r"(pair)); // or the compiler branches around all of it
    pairs[k] = k < rows ? pair : 0;
  }
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICROSCALING_CUH
