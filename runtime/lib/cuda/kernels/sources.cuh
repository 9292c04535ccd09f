//===- sources.cuh - where the elements of a tile come from ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Elements outside of the matrix are zero: they raise no amax, and nobody stores
// them.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_SOURCES_CUH
#define TE_RUNTIME_CUDA_KERNELS_SOURCES_CUH

#include "cuda/kernels/tile.cuh"

namespace te_rt {
namespace cuda {

/// Eight elements at `from`, of which `count` exist; `vector`: 16-byte aligned.
__device__ inline void loadRow(const BF16 *from, int count, bool vector,
                               Piece<BF16> &piece, int i) {
  if (vector && count >= 8) {
    uint4 words = __ldcs(reinterpret_cast<const uint4 *>(from));
    piece.pairs[i][0] = words.x, piece.pairs[i][1] = words.y;
    piece.pairs[i][2] = words.z, piece.pairs[i][3] = words.w;
    return;
  }
  auto *bits = reinterpret_cast<const uint16_t *>(from);
#pragma unroll
  for (int p = 0; p < 4; ++p) {
    uint32_t low = 2 * p < count ? bits[2 * p] : 0;
    uint32_t high = 2 * p + 1 < count ? bits[2 * p + 1] : 0;
    piece.pairs[i][p] = low | high << 16;
  }
}
__device__ inline void loadRow(const float *from, int count, bool vector,
                               Piece<float> &piece, int i) {
  if (vector && count >= 8) {
    float4 low = __ldcs(reinterpret_cast<const float4 *>(from));
    float4 high = __ldcs(reinterpret_cast<const float4 *>(from) + 1);
    float values[8] = {low.x,  low.y,  low.z,  low.w,
                       high.x, high.y, high.z, high.w};
    return piece.setRow(i, values);
  }
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

/// Rows of tokens: row r is that of tokens[r], or zeros.
template <typename T> struct GatherSource {
  using Element = T;
  static constexpr int kParts = 1;

  __device__ static void load(const TileTask &task, const Place &place,
                              Piece<T> (&pieces)[1]) {
    const T *base = static_cast<const T *>(task.source.input) + place.col0;
    bool vector = isVector(base, task.cols);
    int row0 = place.threadRow(), col0 = place.threadCol();
    int count = place.cols - col0;
    int token[8];
#pragma unroll
    for (int i = 0; i < 8; ++i)
      token[i] = row0 + i < place.rows
                     ? task.source.tokens[place.row0 + row0 + i]
                     : -1;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      loadRow(base + int64_t(max(token[i], 0)) * task.cols + col0,
              token[i] >= 0 ? count : 0, vector, pieces[0], i);
  }
};

/// FP8 codes times their scales, rounded to T.
template <typename T> struct CodeSource {
  using Element = T;
  static constexpr int kParts = 1;

  __device__ static void load(const TileTask &task, const Place &place,
                              Piece<T> (&pieces)[1]) {
    const RowSource &source = task.source;
    const uint8_t *base = static_cast<const uint8_t *>(source.input) +
                          (place.member * task.rows + place.row0) * task.cols +
                          place.col0;
    bool vector = (reinterpret_cast<uintptr_t>(base) | task.cols) % 8 == 0;
    int row0 = place.threadRow(), col0 = place.threadCol();
    uint2 codes[8];
#pragma unroll
    for (int i = 0; i < 8; ++i)
      codes[i] = loadCodes(base + (row0 + i) * task.cols + col0,
                           row0 + i < place.rows ? place.cols - col0 : 0,
                           vector);
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
    for (int i = 0; i < 8; ++i) {
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
      pieces[0].setRow(i, values);
    }
  }

private:
  __device__ static uint2 loadCodes(const uint8_t *from, int count,
                                    bool vector) {
    if (vector && count >= 8)
      return __ldcs(reinterpret_cast<const uint2 *>(from));
    uint32_t words[2] = {0, 0};
#pragma unroll
    for (int j = 0; j < 8; ++j)
      if (j < count)
        words[j / 4] |= static_cast<uint32_t>(from[j]) << (j % 4 * 8);
    return make_uint2(words[0], words[1]);
  }
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_SOURCES_CUH
