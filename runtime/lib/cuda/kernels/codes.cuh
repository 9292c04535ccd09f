//===- codes.cuh - the FP8 codes of a tile and its transpose ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_CODES_CUH
#define TE_RUNTIME_CUDA_KERNELS_CODES_CUH

#include "cuda/kernels/tile.cuh"

namespace te_rt {
namespace cuda {

/// Stores eight codes of each row, rows `stride` bytes apart, as far as there
/// are `rows` and `cols`; `vector`: all rows are aligned to 8 bytes.
template <int kRows>
__device__ inline void storeCodes(uint8_t *to, int stride, int rows, int cols,
                                  bool vector, const uint2 (&codes)[kRows]) {
  if (vector && cols >= 8) {
#pragma unroll
    for (int i = 0; i < kRows; ++i, to += stride)
      if (i < rows)
        *reinterpret_cast<uint2 *>(to) = codes[i];
    return;
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i, to += stride) {
    uint64_t bits = codes[i].x | uint64_t(codes[i].y) << 32;
#pragma unroll 1
    for (int j = 0; i < rows && j < min(cols, 8); ++j, bits >>= 8)
      to[j] = static_cast<uint8_t>(bits);
  }
}

/// The codes of row `i` of a piece, `scaleOf(j)` that of column j.
template <bool E5M2, typename Tile, typename F>
__device__ inline uint2 encodeRow(const Tile &piece, int i, F scaleOf) {
  auto scaled = [&](int j) { return __fmul_rn(piece.get(i, j), scaleOf(j)); };
  return make_uint2(
      encodeFour<E5M2>(scaled(0), scaled(1), scaled(2), scaled(3)),
      encodeFour<E5M2>(scaled(4), scaled(5), scaled(6), scaled(7)));
}

/// Four codes of each of four rows as those of four columns.
__device__ inline void transposeFour(const uint32_t (&rows)[4],
                                     uint32_t (&columns)[4]) {
  uint32_t evens = __byte_perm(rows[0], rows[1], 0x6240);
  uint32_t odds = __byte_perm(rows[0], rows[1], 0x7351);
  uint32_t moreEvens = __byte_perm(rows[2], rows[3], 0x6240);
  uint32_t moreOdds = __byte_perm(rows[2], rows[3], 0x7351);
  columns[0] = __byte_perm(evens, moreEvens, 0x5410);
  columns[1] = __byte_perm(odds, moreOdds, 0x5410);
  columns[2] = __byte_perm(evens, moreEvens, 0x7632);
  columns[3] = __byte_perm(odds, moreOdds, 0x7632);
}

/// The transposed codes of a tile in shared memory. Columns lie apart by as
/// many as threads share a row, since these write them at once, and by 8 bytes
/// more than they have: so they meet all banks.
template <typename Tile> struct Stage {
  static constexpr int kRows = Tile::kRows, kLanes = Tile::kLanes;
  static constexpr int kSide = kLanes * 8, kPitch = kSide + 8;
  uint8_t bytes[kSide * kPitch];

  /// Takes a thread's codes, in rows.
  __device__ void put(const uint2 (&codes)[kRows]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t columns[kRows / 4][4];
#pragma unroll
      for (int h = 0; h < kRows / 4; ++h) {
        auto row = [&](int i) {
          return half ? codes[4 * h + i].y : codes[4 * h + i].x;
        };
        transposeFour({row(0), row(1), row(2), row(3)}, columns[h]);
      }
#pragma unroll
      for (int j = 0; j < 4; ++j)
        putColumn(4 * half + j, [&](int h) { return columns[h][j]; });
    }
  }
  /// Casts columns `First` to `First` + Count - 1 of a piece; scaleOf(i, j) is
  /// that of row i and column j.
  template <bool E5M2, int First, int Count, typename F>
  __device__ void encode(const Tile &piece, F scaleOf) {
#pragma unroll
    for (int j = First; j < First + Count; ++j)
      putColumn(j, [&](int h) {
        auto scaled = [&](int i) {
          return __fmul_rn(piece.get(4 * h + i, j), scaleOf(4 * h + i, j));
        };
        return encodeFour<E5M2>(scaled(0), scaled(1), scaled(2), scaled(3));
      });
  }

  /// Stores `rows` of `cols` columns, `stride` bytes apart: threads of 16
  /// bytes.
  __device__ void store(uint8_t *base, int stride, int rows, int cols) const {
    constexpr int kParts = kSide / 16;                // threads of a column
    constexpr int kColumns = Tile::kThreads / kParts; // at a time
    constexpr int kRounds = kSide / kColumns, kStep = kColumns / kLanes;
    bool vector = (reinterpret_cast<uintptr_t>(base) | stride) % 16 == 0;
    int part = threadIdx.x % kParts * 16;
    rows = min(rows - part, 16);
    // Position p is of column p % kLanes * 8 + p / kLanes.
    int position = threadIdx.x / kParts;
    int col = position % kLanes * 8 + position / kLanes;
    const uint8_t *from = bytes + position * kPitch + part;
    uint8_t *to = base + int64_t(col) * stride + part;
    int64_t step = int64_t(kStep) * stride;
    cols -= col;
    if (vector && rows == 16) {
#pragma unroll
      for (int round = 0; round < kRounds; ++round) {
        if (round * kStep < cols) {
          uint2 low = *reinterpret_cast<const uint2 *>(from);
          uint2 high = *reinterpret_cast<const uint2 *>(from + 8);
          *reinterpret_cast<uint4 *>(to) =
              make_uint4(low.x, low.y, high.x, high.y);
        }
        from += kColumns * kPitch;
        to += step;
      }
      return;
    }
#pragma unroll 1
    for (int round = 0; round < kRounds && round * kStep < cols; ++round) {
#pragma unroll 1
      for (int i = 0; i < rows; ++i)
        to[i] = from[i];
      from += kColumns * kPitch;
      to += step;
    }
  }

private:
  /// Four rows of column `j` of a thread's eight are word(h).
  template <typename F> __device__ void putColumn(int j, F word) {
    uint8_t *to =
        bytes + (threadIdx.x % kLanes + kLanes * j) * kPitch + Tile::row();
    if constexpr (kRows == 8)
      *reinterpret_cast<uint2 *>(to) = make_uint2(word(0), word(1));
    else
      *reinterpret_cast<uint32_t *>(to) = word(0);
  }
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_CODES_CUH
