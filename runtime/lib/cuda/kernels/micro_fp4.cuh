//===- micro_fp4.cuh - a thread's part of a tile as FP4 ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_FP4_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_FP4_CUH

#include "cuda/kernels/micro_params.h"
#include "cuda/kernels/microscaling.cuh"
#include "cuda/kernels/sinks.cuh"

#include <type_traits>

namespace te_rt {
namespace cuda {

//===----------------------------------------------------------------------===//
// Lines: eight columns of a row, or two columns of sixteen rows
//===----------------------------------------------------------------------===//

/// Pairs of neighbours of a row.
template <typename T, int Count> struct Pairs;
template <int Count> struct Pairs<BF16, Count> {
  uint32_t words[Count];
  __device__ float low(int i) const { return lowOf(words[i]); }
  __device__ float high(int i) const { return highOf(words[i]); }
  /// Largest magnitudes of both; NaN loses, or wins.
  template <bool NanWins = false> __device__ uint32_t amax() const {
    uint32_t largest = words[0];
#pragma unroll
    for (int i = 1; i < Count; ++i)
      largest = NanWins ? maxMagnitudeOrNan(largest, words[i])
                        : maxMagnitude(largest, words[i]);
    return largest;
  }
  /// NaN, which nobody asks about any more, as infinity: both become 6.
  __device__ void replaceNan() {
#pragma unroll
    for (uint32_t &word : words)
      asm("min.bf16x2 %0, %0, %1;" : "+r"(word) : "r"(0x7f807f80));
  }
};
template <int Count> struct Pairs<float, Count> {
  float lows[Count], highs[Count];
  __device__ float low(int i) const { return lows[i]; }
  __device__ float high(int i) const { return highs[i]; }
  __device__ float2 amax() const {
    float2 largest = make_float2(0.0f, 0.0f);
#pragma unroll
    for (int i = 0; i < Count; ++i) {
      largest.x = fmaxf(largest.x, fabsf(lows[i]));
      largest.y = fmaxf(largest.y, fabsf(highs[i]));
    }
    return largest;
  }
  __device__ void replaceNan() {
    float infinity = __uint_as_float(0x7f800000);
#pragma unroll
    for (int i = 0; i < Count; ++i) {
      lows[i] = fminf(lows[i], infinity);
      highs[i] = fminf(highs[i], infinity);
    }
  }
};

__device__ inline float2 amaxesOf(float2 amax) { return amax; }

/// Over the sixteen columns of two neighbours, of two rows; and so that NaN wins.
__device__ inline float2 amaxesOrNan(const Pairs<BF16, 4> (&rows)[2]) {
  uint32_t upper = rows[0].amax<true>(), lower = rows[1].amax<true>();
  uint32_t both = maxMagnitudeOrNan(__byte_perm(upper, lower, 0x5410),
                                    __byte_perm(upper, lower, 0x7632));
  both = maxMagnitudeOrNan(both, __shfl_xor_sync(~0u, both, 1));
  return make_float2(fabsf(lowOf(both)), fabsf(highOf(both)));
}
__device__ inline float2 amaxesOrNan(const Pairs<BF16, kNvfp4Rows> &columns) {
  uint32_t both = columns.amax<true>();
  return make_float2(fabsf(lowOf(both)), fabsf(highOf(both)));
}
__device__ inline float2 amaxesOfRows(const Pairs<BF16, 4> (&rows)[2]) {
  uint32_t upper = rows[0].amax(), lower = rows[1].amax();
  uint32_t both = maxMagnitude(__byte_perm(upper, lower, 0x5410),
                               __byte_perm(upper, lower, 0x7632));
  return amaxesOf(maxMagnitude(both, __shfl_xor_sync(~0u, both, 1)));
}
__device__ inline float2 amaxesOfRows(const Pairs<float, 4> (&rows)[2]) {
  float2 upper = rows[0].amax(), lower = rows[1].amax();
  return make_float2(maxWith(fmaxf(upper.x, upper.y), 1),
                     maxWith(fmaxf(lower.x, lower.y), 1));
}

/// Of all of a piece.
template <typename T, int R>
__device__ inline float amaxOfPiece(const Piece<T, R> &piece) {
  uint32_t word = rowAmax(piece, 0);
#pragma unroll
  for (int i = 1; i < R; ++i)
    word = largerWord<T>(word, rowAmax(piece, i));
  return amaxOf<T>(word);
}

__device__ inline void takeRow(const uint32_t *from, Pairs<BF16, 4> &to) {
  uint4 words = *reinterpret_cast<const uint4 *>(from);
  to.words[0] = words.x, to.words[1] = words.y;
  to.words[2] = words.z, to.words[3] = words.w;
}
__device__ inline void takeRow(const float2 *from, Pairs<float, 4> &to) {
  auto *words = reinterpret_cast<const float4 *>(from);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float4 word = words[h];
    to.lows[2 * h] = word.x, to.highs[2 * h] = word.y;
    to.lows[2 * h + 1] = word.z, to.highs[2 * h + 1] = word.w;
  }
}
template <int R>
__device__ inline void putRow(uint32_t *to, const Piece<BF16, R> &piece, int i) {
  const uint32_t(&pairs)[4] = piece.pairs[i];
  *reinterpret_cast<uint4 *>(to) =
      make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
}
template <int R>
__device__ inline void putRow(float2 *to, const Piece<float, R> &piece, int i) {
  const float(&v)[8] = piece.values[i];
  auto *words = reinterpret_cast<float4 *>(to);
  words[0] = make_float4(v[0], v[1], v[2], v[3]);
  words[1] = make_float4(v[4], v[5], v[6], v[7]);
}
template <int Count>
__device__ inline void putPair(Pairs<BF16, Count> &to, int i, uint32_t pair) {
  to.words[i] = pair;
}
template <int Count>
__device__ inline void putPair(Pairs<float, Count> &to, int i, float2 pair) {
  to.lows[i] = pair.x, to.highs[i] = pair.y;
}

/// A tile in shared memory, row by row. Threads put the rows of their pieces there.
template <typename T> class TileAside {
  using Pair = std::conditional_t<std::is_same<T, BF16>::value, uint32_t, float2>;
  static constexpr int kPairs = kTile / 2; // of a row

public:
  template <int R> __device__ explicit TileAside(const Piece<T, R> &piece) {
    using Tile = Piece<T, R>;
#pragma unroll
    for (int i = 0; i < R; ++i)
      putRow(at(Tile::row() + i, Tile::col() / 2), piece, i);
  }
  /// Eight columns of a row.
  __device__ void row(int row, int col, Pairs<T, 4> &to) const {
    takeRow(at(row, col / 2), to);
  }
  /// Two columns of sixteen rows.
  __device__ void columns(int row, int pair, Pairs<T, kNvfp4Rows> &to) const {
    const Pair *from = at(row, pair);
#pragma unroll
    for (int i = 0; i < kNvfp4Rows; ++i)
      putPair(to, i, from[i * kPairs]);
  }

private:
  __device__ static Pair *at(int row, int pair) {
    extern __shared__ uint4 tileWords[];
    return reinterpret_cast<Pair *>(tileWords) + row * kPairs + pair;
  }
};

/// The Hadamard transform, of BF16 alone; `rows` of the sixteen exist.
__device__ inline void transform(Pairs<BF16, kNvfp4Rows> &columns, int rows) {
  transform(columns.words, rows);
}
__device__ inline void transform(Pairs<float, kNvfp4Rows> &, int) {}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// What multiplies a block with some code of a scale, and the largest of BF16, in
/// both halves, that this takes to 5 at most: 6 is the code of what is larger.
struct Fp4Scale {
  float multiplier;
  uint32_t upToFive; // kNoFive: casts with care
};
/// For NaN, and multipliers of which a quarter is no normal number.
constexpr uint32_t kNoFive = ~0u;
__device__ inline Fp4Scale fp4ScaleOf(uint32_t code, float inverse) {
  float multiplier = multiplierOfE4M3(code, inverse);
  // A number next to what a division gives, or this.
  uint32_t bits = (__float_as_uint(__fdiv_rn(5.0f, multiplier)) >> 16) + 1;
#pragma unroll
  for (int i = 0; i < 2; ++i)
    if (!(__fmul_rn(lowOf(bits), multiplier) <= 5.0f))
      --bits;
  bool isPlain = code != 0x7f && multiplier >= 4.7019774e-38f; // 2^-124
  return {multiplier, isPlain ? bits | bits << 16 : kNoFive};
}

/// The bits of `a` where `mask` has some, those of `b` elsewhere.
__device__ inline uint32_t select(uint32_t mask, uint32_t a, uint32_t b) {
  uint32_t bits; // nvcc would mask both
  asm("lop3.b32 %0, %1, %2, %3, 0xca;" : "=r"(bits) : "r"(mask), "r"(a), "r"(b));
  return bits;
}

/// The first four bits of eight elements of a row, side by side.
__device__ inline uint32_t nibblesOfRow(const uint32_t (&words)[4]) {
  uint32_t left = __byte_perm(words[0], words[1], 0x7531);
  uint32_t right = __byte_perm(words[2], words[3], 0x7531);
  uint32_t even = __byte_perm(left, right, 0x6420) >> 4;
  uint32_t odd = __byte_perm(left, right, 0x7531);
  return select(0x0f0f0f0f, even, odd);
}
/// The same of eight rows of two columns.
template <typename F>
__device__ inline void nibblesOfColumns(F word, uint32_t (&nibbles)[2]) {
  uint32_t four[2]; // rows of both columns
#pragma unroll
  for (int h = 0; h < 2; ++h)
    four[h] = (word(4 * h) >> 12 & 0x000f000f) |
              (word(4 * h + 1) >> 8 & 0x00f000f0) |
              (word(4 * h + 2) >> 4 & 0x0f000f00) |
              (word(4 * h + 3) & 0xf000f000);
  nibbles[0] = __byte_perm(four[0], four[1], 0x5410);
  nibbles[1] = __byte_perm(four[0], four[1], 0x7632);
}
constexpr uint32_t kSigns = 0x88888888; // of codes

/// Signs, and all other bits where a magnitude is larger than `limits`.
__device__ inline uint32_t signsOrLarge(uint32_t pair, uint32_t limits) {
  uint32_t larger;
  asm("set.gt.u32.bf16x2 %0, %1, %2;"
      : "=r"(larger)
      : "r"(pair & 0x7fff7fff), "r"(limits));
  return select(0x80008000, pair, larger);
}

/// Signs of a row, of its eight columns, in bits 3, 7, ..
__device__ inline uint32_t signsOfRow(const Pairs<BF16, 4> &row) {
  return nibblesOfRow(row.words) & kSigns;
}
__device__ inline uint32_t signsOfRow(const Pairs<float, 4> &row) {
  uint32_t signs = 0;
#pragma unroll
  for (int p = 0; p < 4; ++p)
    signs |= __float_as_uint(row.lows[p]) >> 31 << (8 * p + 3) |
             __float_as_uint(row.highs[p]) >> 31 << (8 * p + 7);
  return signs;
}
/// The same of rows `row` to `row` + 7 of two columns.
__device__ inline void signsOfColumns(const Pairs<BF16, kNvfp4Rows> &columns,
                                      int row, uint32_t (&signs)[2]) {
  nibblesOfColumns([&](int i) { return columns.words[row + i]; }, signs);
  signs[0] &= kSigns;
  signs[1] &= kSigns;
}
__device__ inline void signsOfColumns(const Pairs<float, kNvfp4Rows> &columns,
                                      int row, uint32_t (&signs)[2]) {
  signs[0] = signs[1] = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    signs[0] |= __float_as_uint(columns.lows[row + i]) >> 31 << (4 * i + 3);
    signs[1] |= __float_as_uint(columns.highs[row + i]) >> 31 << (4 * i + 3);
  }
}

/// The codes of eight values without their signs, four bits each.
template <typename Scaled> __device__ inline uint32_t magnitudes(Scaled scaled) {
  uint32_t word = 0;
#pragma unroll
  for (int i = 7; i >= 0; --i)
    word = word * 16 + roundToFp4(scaled(i));
  return word - kFp4Bases;
}

/// The same of magnitudes of BF16 that are no NaN, up to 4; `quarter`: a quarter of
/// their multiplier.
template <typename F>
__device__ inline uint32_t magnitudesUpToFour(F value, float quarter) {
  uint32_t word = 0;
#pragma unroll
  for (int i = 7; i >= 0; --i) {
    float upToFour = __saturatef(__fmul_rn(fabsf(value(i)), quarter));
    word = word * 16 +
           __float_as_uint(__fadd_rn(upToFour, __uint_as_float(kFp4Base)));
  }
  return word - kFp4Bases;
}
/// The codes of a row.
__device__ inline uint32_t encodeRow(const Pairs<BF16, 4> &row,
                                     const Fp4Scale &scale) {
  uint32_t words[4];
#pragma unroll
  for (int p = 0; p < 4; ++p)
    words[p] = signsOrLarge(row.words[p], scale.upToFive);
  return nibblesOfRow(words) |
         magnitudesUpToFour(
             [&](int j) { return j % 2 ? row.high(j / 2) : row.low(j / 2); },
             0.25f * scale.multiplier);
}
/// Those of rows `row` to `row` + 7 of two columns.
__device__ inline void encodeColumns(const Pairs<BF16, kNvfp4Rows> &columns,
                                     int row, const Fp4Scale (&scales)[2],
                                     uint32_t (&codes)[2]) {
  uint32_t limits =
      __byte_perm(scales[0].upToFive, scales[1].upToFive, 0x5410);
  nibblesOfColumns(
      [&](int i) { return signsOrLarge(columns.words[row + i], limits); },
      codes);
#pragma unroll
  for (int c = 0; c < 2; ++c)
    codes[c] |= magnitudesUpToFour(
        [&](int i) { return c ? columns.high(row + i) : columns.low(row + i); },
        0.25f * scales[c].multiplier);
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_FP4_CUH
