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
  /// Largest magnitudes of both; NaN loses.
  __device__ uint32_t amax() const {
    uint32_t largest = words[0];
#pragma unroll
    for (int i = 1; i < Count; ++i)
      largest = maxMagnitude(largest, words[i]);
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

/// Over the sixteen columns of two neighbours, of two rows.
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
template <typename T>
__device__ inline float amaxOfPiece(const Piece<T, kNvfp4Rows> &piece) {
  uint32_t word = rowAmax(piece, 0);
#pragma unroll
  for (int i = 1; i < kNvfp4Rows; ++i)
    word = largerWord<T>(word, rowAmax(piece, i));
  return amaxOf<T>(word);
}

/// A thread's rows in shared memory.
template <typename T> class RowsAside;
template <> class RowsAside<BF16> {
public:
  __device__ explicit RowsAside(const Piece<BF16, kNvfp4Rows> &piece)
      : own(sharedWords() + threadIdx.x) {
#pragma unroll
    for (int i = 0; i < kNvfp4Rows; ++i)
      own[i * kStep] = make_uint4(piece.pairs[i][0], piece.pairs[i][1],
                                  piece.pairs[i][2], piece.pairs[i][3]);
  }
  __device__ void row(int i, Pairs<BF16, 4> &to) const {
    uint4 word = own[i * kStep];
    to.words[0] = word.x, to.words[1] = word.y;
    to.words[2] = word.z, to.words[3] = word.w;
  }
  /// Columns 2 p and 2 p + 1.
  __device__ void columns(int p, Pairs<BF16, kNvfp4Rows> &to) const {
    auto *from = reinterpret_cast<const uint32_t *>(own) + p;
#pragma unroll
    for (int i = 0; i < kNvfp4Rows; ++i)
      to.words[i] = from[i * kStep * 4];
  }

private:
  static constexpr int kStep = PieceShape<kNvfp4Rows>::kThreads;
  __device__ static uint4 *sharedWords() {
    extern __shared__ uint4 words[];
    return words;
  }
  uint4 *own;
};
template <> class RowsAside<float> {
public:
  __device__ explicit RowsAside(const Piece<float, kNvfp4Rows> &piece)
      : own(sharedWords() + threadIdx.x) {
#pragma unroll
    for (int i = 0; i < kNvfp4Rows; ++i)
#pragma unroll
      for (int p = 0; p < 4; ++p)
        own[(i * 4 + p) * kStep] = make_float2(piece.values[i][2 * p],
                                               piece.values[i][2 * p + 1]);
  }
  __device__ void row(int i, Pairs<float, 4> &to) const {
#pragma unroll
    for (int p = 0; p < 4; ++p)
      take(i, p, to.lows[p], to.highs[p]);
  }
  __device__ void columns(int p, Pairs<float, kNvfp4Rows> &to) const {
#pragma unroll
    for (int i = 0; i < kNvfp4Rows; ++i)
      take(i, p, to.lows[i], to.highs[i]);
  }

private:
  static constexpr int kStep = PieceShape<kNvfp4Rows>::kThreads;
  __device__ static float2 *sharedWords() {
    extern __shared__ float2 pairs[];
    return pairs;
  }
  __device__ void take(int i, int p, float &low, float &high) const {
    float2 pair = own[(i * 4 + p) * kStep];
    low = pair.x, high = pair.y;
  }
  float2 *own;
};

/// The Hadamard transform, of BF16 alone; `rows` of the sixteen exist.
__device__ inline void transform(Pairs<BF16, kNvfp4Rows> &columns, int rows) {
  transform(columns.words, rows);
}
__device__ inline void transform(Pairs<float, kNvfp4Rows> &, int) {}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// Signs of a row, of its eight columns, in bits 3, 7, ..
__device__ inline uint32_t signsOfRow(const Pairs<BF16, 4> &row) {
  uint32_t left = __byte_perm(row.words[0], row.words[1], 0x7531);
  uint32_t right = __byte_perm(row.words[2], row.words[3], 0x7531);
  uint32_t even = __byte_perm(left, right, 0x6420) >> 4;
  uint32_t odd = __byte_perm(left, right, 0x7531);
  return (even & 0x08080808) | (odd & 0x80808080);
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
  uint32_t four[2]; // rows of both columns
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    auto word = [&](int i) { return columns.words[row + 4 * h + i]; };
    four[h] = (word(0) >> 12 & 0x00080008) | (word(1) >> 8 & 0x00800080) |
              (word(2) >> 4 & 0x08000800) | (word(3) & 0x80008000);
  }
  signs[0] = __byte_perm(four[0], four[1], 0x5410);
  signs[1] = __byte_perm(four[0], four[1], 0x7632);
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

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_FP4_CUH
