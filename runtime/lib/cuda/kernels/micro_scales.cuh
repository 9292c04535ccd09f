//===- micro_scales.cuh - where scales of 8 bits lie -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_SCALES_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_SCALES_CUH

#include "cuda/kernels/micro_params.h"
#include "cuda/kernels/tile.cuh"

namespace te_rt {
namespace cuda {

/// As ScaleGrid of common/scales.h.
__device__ inline int64_t swizzledPlace(int64_t outer, int64_t block,
                                        int64_t tilesAcross) {
  return (outer / 128 * tilesAcross + block / 4) * 512 + outer % 32 * 16 +
         outer % 128 / 32 * 4 + block % 4;
}
__device__ inline int64_t placeOf(const ScalePlaces &places, int64_t outer,
                                  int64_t block) {
  return places.swizzled
             ? swizzledPlace(outer, block, places.tilesAcross)
             : outer * places.strideOuter + block * places.strideBlock;
}

/// Zeroes what lies beyond the data's scales, all blocks of threads together.
__device__ inline void clearPadding(const ScalePlaces &places) {
  int64_t right = places.paddedOuter * (places.paddedBlocks - places.blocks);
  int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
       i < places.padding; i += step) {
    int64_t at = i < right
                     ? placeOf(places, i % places.paddedOuter,
                               places.blocks + i / places.paddedOuter)
                     : placeOf(places, places.outer + (i - right) / places.blocks,
                               (i - right) % places.blocks);
    places.scales[at] = 0;
  }
}

/// The first row of the place's group, within its member.
__device__ inline int64_t groupBegin(const TileTask &task, const Place &place) {
  if (task.tilesPerMember)
    return 0;
  if (!task.offsets)
    return task.begin;
  int64_t at = task.offsets[place.group];
  return at < 0 ? 0 : at > task.rows ? task.rows : at;
}
__device__ inline int64_t groupEnd(const TileTask &task, const Place &place) {
  if (task.tilesPerMember)
    return task.rows;
  if (!task.offsets)
    return task.end;
  int64_t at = task.offsets[place.group + 1];
  return at < 0 ? 0 : at > task.rows ? task.rows : at;
}

/// The scales of a tile of elements; `colsBefore`: of the parts before this one.
template <int Block, bool Columnwise> struct ScaleTile {
  const ScalePlaces &places;
  int lines, blocks; // that exist
  int64_t outer0, block0;
  int64_t base, end; // of the member
  int64_t tilesAcross;

  __device__ ScaleTile(const TileTask &task, const Place &place,
                       int64_t colsBefore, const ScalePlaces &places)
      : places(places) {
    int64_t col0 = place.col0 + colsBefore;
    lines = Columnwise ? place.cols : place.rows;
    blocks = ((Columnwise ? place.rows : place.cols) + Block - 1) / Block;
    outer0 = Columnwise ? col0 : place.row0;
    block0 = (Columnwise ? place.row0 : col0) / Block;
    base = place.member * places.member, end = places.member;
    tilesAcross = places.tilesAcross;
    if (!places.restarts)
      return;
    int64_t begin = groupBegin(task, place);
    block0 = (place.row0 - begin) / Block;
    if (places.swizzled) {
      int64_t rows = groupEnd(task, place) - begin;
      base += places.paddedOuter * (begin / Block / 4 * 4);
      tilesAcross = (rows + Block * 4 - 1) / (Block * 4);
    } else {
      block0 += begin / Block + place.group;
    }
  }
  /// Where its tiles of 512 scales lie side by side, where they are whole; or
  /// nullptr.
  __device__ uint8_t *whole() const {
    int64_t at =
        base + (outer0 / kTile * tilesAcross + block0 / 4) * 512;
    // Offsets that are no multiples of 128 must not lead out of the tensor.
    bool isWhole = places.swizzled && outer0 % kTile == 0 && lines == kTile &&
                   blocks % 4 == 0 &&
                   (!places.restarts || at + blocks * kTile <= end);
    return isWhole ? places.scales + at : nullptr;
  }
};

/// Stores the scales of a tile of elements; codes(block, line): one of them. All
/// threads call it.
template <int Block, bool Columnwise, int Threads, typename Codes>
__device__ inline void storeScales(const TileTask &task, const Place &place,
                                   int64_t colsBefore,
                                   const ScalePlaces &places, Codes codes) {
  ScaleTile<Block, Columnwise> tile(task, place, colsBefore, places);
  int lines = tile.lines, blocks = tile.blocks;
  int64_t outer0 = tile.outer0, block0 = tile.block0;
  int64_t base = tile.base, end = tile.end;
  // Rows of a ragged matrix have other groups, or nobody, behind them.
  bool ownsPadding = Columnwise || task.tilesPerMember != 0;
  int64_t linesToPadding = places.paddedOuter - outer0;
  int written = !ownsPadding ? lines
                : linesToPadding < kTile ? static_cast<int>(linesToPadding)
                                         : kTile;
  uint8_t *scales = places.scales + base;
  auto placeAt = [&](int line, int block) {
    return places.swizzled
               ? swizzledPlace(outer0 + line, block0 + block, tile.tilesAcross)
               : (outer0 + line) * places.strideOuter +
                     (block0 + block) * places.strideBlock;
  };
  bool aligned = reinterpret_cast<uintptr_t>(scales) % 4 == 0;
  bool sharesQuads = places.restarts && !places.swizzled; // with other groups
  if (uint8_t *to = aligned ? tile.whole() : nullptr) {
    static_assert(Threads % kTile == 0, "a thread for each word of a tile");
    int k = threadIdx.x % kTile, line = k % 4 * 32 + k / 4;
    for (int quad = threadIdx.x / kTile; quad < blocks / 4;
         quad += Threads / kTile) {
      uint32_t word = 0;
#pragma unroll
      for (int b = 0; b < 4; ++b)
        word |= static_cast<uint32_t>(codes(quad * 4 + b, line)) << (8 * b);
      *reinterpret_cast<uint32_t *>(to + quad * 512 + k * 4) = word;
    }
    return;
  }
  if (aligned && !sharesQuads &&
      (places.swizzled || places.strideBlock == 1)) {
    // Four blocks of a line are a word.
    int quads = (blocks + 3) / 4;
    for (int i = threadIdx.x; i < kTile * quads; i += Threads) {
      int quad = i / kTile * 4, k = i % kTile;
      int line = places.swizzled ? k % 4 * 32 + k / 4 : k;
      if (line >= written)
        continue;
      uint32_t word = 0;
#pragma unroll
      for (int b = 0; b < 4; ++b)
        if (line < lines && quad + b < blocks)
          word |= static_cast<uint32_t>(codes(quad + b, line)) << (8 * b);
      int64_t at = placeAt(line, quad);
      if (!places.restarts || base + at < end)
        *reinterpret_cast<uint32_t *>(scales + at) = word;
    }
    return;
  }
  int stored = sharesQuads ? blocks : (blocks + 3) / 4 * 4;
  if (aligned && places.strideOuter == 1 && !places.swizzled) {
    for (int i = threadIdx.x; i < kTile / 4 * stored; i += Threads) {
      int block = i / (kTile / 4), line = i % (kTile / 4) * 4;
      uint32_t word = 0;
#pragma unroll
      for (int b = 0; b < 4; ++b)
        if (line + b < lines && block < blocks)
          word |= static_cast<uint32_t>(codes(block, line + b)) << (8 * b);
      *reinterpret_cast<uint32_t *>(scales + placeAt(line, block)) = word;
    }
    return;
  }
  for (int i = threadIdx.x; i < kTile * stored; i += Threads) {
    int block = i / kTile, line = i % kTile;
    if (line >= written)
      continue;
    int64_t at = placeAt(line, block);
    if (!places.restarts || base + at < end)
      scales[at] = line < lines && block < blocks ? codes(block, line) : 0;
  }
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_SCALES_CUH
