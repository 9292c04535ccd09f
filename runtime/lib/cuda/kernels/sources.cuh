//===- sources.cuh - where the elements of a tile come from -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A source is made for a tile. `take` fills the pieces of all threads, for one
// part after another. Elements outside of the matrix are zero: they raise no
// amax, and nobody stores them.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_SOURCES_CUH
#define TE_RUNTIME_CUDA_KERNELS_SOURCES_CUH

#include "cuda/kernels/tile.cuh"

namespace te_rt {
namespace cuda {

/// Eight elements at `from`, 16-byte aligned where `exists`; else zeros.
/// Reading without a hint that they are read once is faster, by a twelfth on an
/// H200.
template <int R, int Side>
__device__ inline void loadVector(const BF16 *from, bool exists,
                                  Piece<BF16, R, Side> &piece, int i) {
  uint4 words = make_uint4(0, 0, 0, 0);
  if (exists)
    words = __ldg(reinterpret_cast<const uint4 *>(from));
  piece.pairs[i][0] = words.x, piece.pairs[i][1] = words.y;
  piece.pairs[i][2] = words.z, piece.pairs[i][3] = words.w;
}
template <int R, int Side>
__device__ inline void loadVector(const float *from, bool exists,
                                  Piece<float, R, Side> &piece, int i) {
  float4 low = make_float4(0, 0, 0, 0), high = low;
  if (exists) {
    low = __ldcs(reinterpret_cast<const float4 *>(from));
    high = __ldcs(reinterpret_cast<const float4 *>(from) + 1);
  }
  piece.setRow(i, {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w});
}

/// Eight elements at `from`, of which `count` exist.
template <int R>
__device__ inline void loadSome(const BF16 *from, int count,
                                Piece<BF16, R> &piece, int i) {
  auto *bits = reinterpret_cast<const uint16_t *>(from);
#pragma unroll
  for (int p = 0; p < 4; ++p) {
    uint32_t low = 2 * p < count ? bits[2 * p] : 0;
    uint32_t high = 2 * p + 1 < count ? bits[2 * p + 1] : 0;
    piece.pairs[i][p] = low | high << 16;
  }
}
template <int R>
__device__ inline void loadSome(const float *from, int count,
                                Piece<float, R> &piece, int i) {
#pragma unroll
  for (int j = 0; j < 8; ++j)
    piece.values[i][j] = j < count ? from[j] : 0.0f;
}

template <typename T>
__device__ inline bool isVector(const T *base, int64_t stride) {
  return (reinterpret_cast<uintptr_t>(base) |
          static_cast<uintptr_t>(stride) * sizeof(T)) %
             16 ==
         0;
}

/// Whether all threads can take the words of their rows at once.
template <typename T, int R>
__device__ inline bool isVector(const T *base, int64_t stride,
                                const Place &place) {
  int cols = place.cols - PieceShape<R>::col();
  return isVector(base, stride) && (cols >= 8 || cols <= 0);
}

/// The rows of a tile whose first element is at `base`.
template <typename T, int R>
__device__ inline void loadRows(const T *__restrict__ base, int stride,
                                const Place &place, Piece<T, R> &piece) {
  using Tile = Piece<T, R>;
  int rows = place.rows - Tile::row(), cols = place.cols - Tile::col();
  const T *from = base + int64_t(Tile::row()) * stride + Tile::col();
  if (isVector<T, R>(base, stride, place)) {
    rows = cols > 0 ? rows : 0;
#pragma unroll
    for (int i = 0; i < R; ++i, from += stride)
      loadVector(from, i < rows, piece, i);
  } else {
#pragma unroll
    for (int i = 0; i < R; ++i, from += stride)
      loadSome(from, i < rows ? cols : 0, piece, i);
  }
}

/// A matrix in memory.
template <typename T, int R = kTileRows> struct MatrixSource {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 1;

  __device__ MatrixSource(const TileTask &task, const Place &place)
      : task(task), place(place) {}
  __device__ void take(int, Tile &piece) {
    loadRows(static_cast<const T *>(task.source.input) + place.row * task.cols +
                 place.col0,
             static_cast<int>(task.cols), place, piece);
  }

private:
  const TileTask &task;
  const Place &place;
};

/// Rows of tokens: row r is that of tokens[r], or zeros.
template <typename T, int R = kTileRows> struct GatherSource {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 1;

  __device__ GatherSource(const TileTask &task, const Place &place)
      : task(task), place(place) {}
  __device__ void take(int, Tile &piece) {
    const T *base = static_cast<const T *>(task.source.input) + place.col0;
    int cols = place.cols - Tile::col();
    int token[R];
#pragma unroll
    for (int i = 0; i < R; ++i)
      token[i] = Tile::row() + i < place.rows
                     ? task.source.tokens[place.row0 + Tile::row() + i]
                     : -1;
    if (isVector<T, R>(base, task.cols, place)) {
#pragma unroll
      for (int i = 0; i < R; ++i)
        loadVector(base + int64_t(max(token[i], 0)) * task.cols + Tile::col(),
                   token[i] >= 0 && cols > 0, piece, i);
    } else {
#pragma unroll
      for (int i = 0; i < R; ++i)
        loadSome(base + int64_t(max(token[i], 0)) * task.cols + Tile::col(),
                 token[i] >= 0 ? cols : 0, piece, i);
    }
  }

private:
  const TileTask &task;
  const Place &place;
};

/// FP8 codes times their scales, rounded to T.
template <typename T, int R = kTileRows> struct CodeSource {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 1;

  __device__ CodeSource(const TileTask &task, const Place &place)
      : task(task), place(place) {}
  __device__ void take(int, Tile &piece) {
    const RowSource &source = task.source;
    const uint8_t *base = static_cast<const uint8_t *>(source.input) +
                          place.row * task.cols + place.col0;
    bool vector = (reinterpret_cast<uintptr_t>(base) | task.cols) % 8 == 0;
    int row0 = Tile::row(), col0 = Tile::col();
    uint2 codes[R];
#pragma unroll
    for (int i = 0; i < R; ++i)
      codes[i] =
          loadCodes(base + (row0 + i) * task.cols + col0,
                    row0 + i < place.rows ? place.cols - col0 : 0, vector);
    const float *scales = source.scales + place.member * source.memberScales;
    int64_t blockCol = place.col0 / kTile;
    float shared = 1.0f;
    if (source.kind == kWholeTensor)
      shared = source.scales[source.scalePerGroup ? place.group : 0];
    else if (source.kind == kSquareBlocks)
      shared = scales[place.blockRow * source.strideRow +
                      blockCol * source.strideCol];
    float columns[8];
#pragma unroll
    for (int j = 0; j < 8; ++j)
      columns[j] = source.kind == kColumnBlocks && col0 + j < place.cols
                       ? scales[place.blockRow * source.strideRow +
                                (place.col0 + col0 + j) * source.strideCol]
                       : shared;
#pragma unroll
    for (int i = 0; i < R; ++i) {
      float row = 1.0f;
      bool byRow = source.kind == kRowBlocks;
      if (byRow && row0 + i < place.rows)
        row = scales[(place.row0 + row0 + i) * source.strideRow +
                     blockCol * source.strideCol];
      float values[8];
#pragma unroll
      for (int p = 0; p < 4; ++p) {
        uint32_t word = p < 2 ? codes[i].x : codes[i].y;
        float2 pair = decodePair(word >> (p % 2 * 16), source.e5m2);
        values[2 * p] = __fmul_rn(pair.x, byRow ? row : columns[2 * p]);
        values[2 * p + 1] = __fmul_rn(pair.y, byRow ? row : columns[2 * p + 1]);
      }
      // What does not exist stays zero, whatever its scale.
      if (row0 + i >= place.rows)
        for (float &value : values)
          value = 0.0f;
      piece.setRow(i, values);
    }
  }

private:
  const TileTask &task;
  const Place &place;

  __device__ static uint2 loadCodes(const uint8_t *from, int count,
                                    bool vector) {
    if (vector && count >= 8)
      return __ldcs(reinterpret_cast<const uint2 *>(from));
    uint64_t bits = 0;
#pragma unroll 1
    for (int j = 0; j < min(count, 8); ++j)
      bits |= uint64_t(from[j]) << (8 * j);
    return make_uint2(static_cast<uint32_t>(bits),
                      static_cast<uint32_t>(bits >> 32));
  }
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_SOURCES_CUH
