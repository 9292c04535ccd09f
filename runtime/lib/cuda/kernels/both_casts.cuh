//===- both_casts.cuh - casts of a tile's rows and columns ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What CastSink does with blocks of 1 x 128 of rows and of 128 x 1 of columns, to
// the same bits, by warps that have all of their rows and of their columns.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_BOTH_CASTS_CUH
#define TE_RUNTIME_CUDA_KERNELS_BOTH_CASTS_CUH

#include "cuda/kernels/both_tile.cuh"

namespace te_rt {
namespace cuda {
namespace both {

__device__ inline float scaleFor(const TileArgs &args, const CastOutput &out,
                                 float amax, float &reciprocal) {
  if (args.pow2)
    return pow2ScaleFromAmax(amax, out.e5m2 ? 15 : 8, args.epsilon, reciprocal);
  float scale = scaleFromAmax(amax, out.e5m2 ? 57344.0f : 448.0f, args.epsilon,
                              false, args.overflow);
  reciprocal = __frcp_rn(scale);
  return scale;
}

template <bool E5M2, bool Pow2> struct Form {
  static constexpr bool kE5M2 = E5M2, kPow2 = Pow2;
};
/// Calls body(Form) with that of a cast.
template <typename F>
__device__ inline void forForm(const TileArgs &args, const CastOutput &out,
                               F body) {
  if (args.pow2)
    out.e5m2 ? body(Form<true, true>()) : body(Form<false, true>());
  else
    out.e5m2 ? body(Form<true, false>()) : body(Form<false, false>());
}

/// Scales of a pair, and pairs under them: powers of two are exact in BF16, so
/// that one product serves both elements.
template <bool Pow2> struct PairScale {
  float low, high;
  __device__ PairScale(float low, float high) : low(low), high(high) {}
  __device__ float2 operator()(uint32_t pair) const {
    return make_float2(__fmul_rn(lowOf(pair), low),
                       __fmul_rn(highOf(pair), high));
  }
};
template <> struct PairScale<true> {
  uint32_t both;
  __device__ PairScale(float low, float high)
      : both(__byte_perm(__float_as_uint(low), __float_as_uint(high), 0x7632)) {
  }
  __device__ float2 operator()(uint32_t pair) const {
    uint32_t scaled;
    asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(scaled) : "r"(pair), "r"(both));
    return make_float2(lowOf(scaled), highOf(scaled));
  }
};

/// Sixteen columns of the kRows rows of a thread.
struct RowsOfTile {
  uint4 words[kRows][2];

  __device__ void load(const Self &self, int slot) {
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int k = 0; k < 2; ++k)
        words[i][k] =
            at<uint4>(self.own + slot * kSlot + i * kPitch + k * self.step);
  }
  __device__ void cast(const TileArgs &args, const Self &self, const Spot &spot,
                       int part) const {
    const CastOutput &out = args.task.out[0];
    // Two threads find the scale of a row.
    int stride = static_cast<int>(out.stride), own = self.lane % 8 / 2;
    int rows = spot.place.rows - self.row(), before = part * spot.width;
    float reciprocal, scale = scaleFor(args, out, amax(self), reciprocal);
    if (self.lane % 2 == 0 && own < rows)
      store(spot.rowScales + ((self.row() + own) * out.strideRow +
                              before / kTile * out.strideCol),
            reciprocal);
    uint8_t *to = spot.rows + (self.row() * stride + self.col() + before);
    rows = self.col() < spot.place.cols ? rows : 0;
    forForm(args, out, [&](auto form) {
      constexpr bool kE5M2 = decltype(form)::kE5M2;
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        float own = __shfl_sync(~0u, scale, 2 * i, 8);
        PairScale<decltype(form)::kPow2> scaled(own, own);
        auto encode = [&](uint32_t first, uint32_t second) {
          float2 a = scaled(first), b = scaled(second);
          return encodeFour<kE5M2>(a.x, a.y, b.x, b.y);
        };
        const uint4(&w)[2] = words[i];
        uint4 codes = make_uint4(encode(w[0].x, w[0].y), encode(w[0].z, w[0].w),
                                 encode(w[1].x, w[1].y), encode(w[1].z, w[1].w));
        if (i < rows)
          store(to + i * stride, codes);
      }
    });
  }

private:
  __device__ static uint32_t largest(uint4 words) {
    return maxMagnitude(maxMagnitude(words.x, words.y),
                        maxMagnitude(words.z, words.w));
  }
  /// Of row lane % 8 / 2.
  __device__ float amax(const Self &self) const {
    uint32_t rows[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      rows[i] = maxMagnitude(largest(words[i][0]), largest(words[i][1]));
#pragma unroll
    for (int kept = 2; kept; kept /= 2) {
      bool upper = self.lane & (2 * kept);
#pragma unroll
      for (int i = 0; i < kept; ++i)
        rows[i] = maxMagnitude(
            upper ? rows[i + kept] : rows[i],
            __shfl_xor_sync(~0u, upper ? rows[i] : rows[i + kept], 2 * kept));
    }
    return amaxOfPair(
        maxMagnitude(rows[0], __shfl_xor_sync(~0u, rows[0], 1)));
  }
};

/// Four columns of 16 rows, of which the other seven threads have the others.
struct ColumnsOfTile {
  uint2 words[16];
  float scale;

  __device__ void load(const Self &self, int slot) {
#pragma unroll
    for (int i = 0; i < 16; ++i)
      words[i] = at<uint2>(self.columns + slot * kSlot + i * kPitch);
  }
  __device__ void chooseScale(const TileArgs &args, const Self &self,
                              const Spot &spot, int part) {
    const CastOutput &out = args.task.out[1];
    float reciprocal;
    scale = scaleFor(args, out, amax(self), reciprocal);
    // Two threads find the scale of a column.
    int own = self.lane / 8 % 2 * 2 + self.lane / 2 % 2;
    if (!(self.lane & 4) && self.column() < spot.place.cols)
      store(spot.columnScales +
                (self.column() + own + part * spot.width) * out.strideCol,
            reciprocal);
  }
  /// Columns 2 * half and the next of the four.
  __device__ void cast(const TileArgs &args, const Self &self, const Spot &spot,
                       int part, int half) const {
    const CastOutput &out = args.task.out[1];
    int stride = static_cast<int>(out.stride);
    uint8_t *to =
        spot.columns + int64_t(part * spot.width) * out.stride +
        ((self.column() + 2 * half) * stride + self.band() * 16);
    int rows = self.column() < spot.place.cols
                   ? spot.place.rows - self.band() * 16
                   : 0;
    bool isWhole =
        rows >= 16 && (reinterpret_cast<uintptr_t>(to) | stride) % 16 == 0;
    int from = (self.lane & 17) + half * 8;
    float low = __shfl_sync(~0u, scale, from);
    float high = __shfl_sync(~0u, scale, from + 2);
    forForm(args, out, [&](auto form) {
      constexpr bool kE5M2 = decltype(form)::kE5M2;
      PairScale<decltype(form)::kPow2> scaled(low, high);
      uint32_t codes[2][4];
#pragma unroll
      for (int h = 0; h < 4; ++h) {
        float2 pair[4];
#pragma unroll
        for (int i = 0; i < 4; ++i)
          pair[i] = scaled(half ? words[4 * h + i].y : words[4 * h + i].x);
        codes[0][h] =
            encodeFour<kE5M2>(pair[0].x, pair[1].x, pair[2].x, pair[3].x);
        codes[1][h] =
            encodeFour<kE5M2>(pair[0].y, pair[1].y, pair[2].y, pair[3].y);
      }
#pragma unroll
      for (int j = 0; j < 2; ++j)
        if (isWhole)
          storeKept(to + j * stride, make_uint4(codes[j][0], codes[j][1],
                                                codes[j][2], codes[j][3]));
      if (!isWhole && rows > 0)
#pragma unroll
        for (int j = 0; j < 2; ++j)
          storeSome(to + j * stride, codes[j], rows);
    });
  }

private:
  __device__ float amax(const Self &self) const {
    uint2 even = words[0], odd = words[1];
#pragma unroll
    for (int i = 2; i < 16; i += 2) {
      even.x = maxMagnitude(even.x, words[i].x);
      even.y = maxMagnitude(even.y, words[i].y);
      odd.x = maxMagnitude(odd.x, words[i + 1].x);
      odd.y = maxMagnitude(odd.y, words[i + 1].y);
    }
    uint32_t first = maxMagnitude(even.x, odd.x);
    uint32_t second = maxMagnitude(even.y, odd.y);
    bool upper = self.lane & 8;
    uint32_t pair = maxMagnitude(
        upper ? second : first,
        __shfl_xor_sync(~0u, upper ? first : second, 8));
    pair = maxMagnitude(pair, __shfl_xor_sync(~0u, pair, 4));
    pair = maxMagnitude(pair, __shfl_xor_sync(~0u, pair, 2));
    return amaxOfPair(self.lane & 2 ? pair & 0xffff0000u : pair << 16);
  }
  __device__ static void storeSome(uint8_t *to, uint32_t (&codes)[4],
                                   int count) {
#pragma unroll 1
    for (int i = 0; i < min(count, 16); ++i) {
      to[i] = static_cast<uint8_t>(codes[0]);
#pragma unroll
      for (int h = 0; h < 4; ++h)
        codes[h] = __funnelshift_r(codes[h], h < 3 ? codes[h + 1] : 0, 8);
    }
  }
};

} // namespace both
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_BOTH_CASTS_CUH
