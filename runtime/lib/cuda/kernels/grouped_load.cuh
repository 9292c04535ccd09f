//===- grouped_load.cuh - operands of a grouped product -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Included by grouped_gemm.cuh: how tiles come to shared memory.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_LOAD_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_LOAD_CUH

namespace te_rt {
namespace cuda {
namespace grouped {

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::load(
    bool toBoth, uint32_t to, const TensorMap *map, uint32_t barrier, int x,
    int y, int z, Policy policy) {
  toBoth ? loadBoxToBoth(to, map, barrier, x, y, z, policy)
         : loadBox(to, map, barrier, x, y, z, policy);
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::loadLhs(
    int stage, int half, int depth, int row, bool toBoth, Policy policy) {
  uint32_t to = at(shared.lhs[stage]) + half * kHalfRow;
  uint32_t barrier = at(&shared.full[stage]);
  row += half * 64;
  bool flat = kLhsMajor == Major::Reduction;
  int x = flat ? depth : row, y = flat ? row : depth;
  load(toBoth, to, args.lhs, barrier, x, y, 0, policy);
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::loadRhs(
    int stage, int half, const TensorMap *map, int member, int depth, int col,
    bool toBoth, Policy policy) {
  uint32_t to = at(shared.rhs[stage]) + half * kHalfCol;
  uint32_t barrier = at(&shared.full[stage]);
  col += half * (kCols / 2);
  constexpr bool flat = kRhsMajor == Major::Reduction;
#pragma unroll
  for (int i = 0; i < (flat ? 1 : kCols / 128); ++i) {
    int x = flat ? depth : col + i * 64, y = flat ? col : depth;
    load(toBoth, to + i * 8192, map, barrier, x, y, member, policy);
  }
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::loadTiles() {
  if (isElected()) {
    prefetchMap(args.lhs);
    prefetchMap(args.rhs);
    if (args.result)
      prefetchMap(args.result);
  }
  // Rows of lhs are read again for the next columns, soon. Where groups divide
  // the reduction, F32 sums pass through the L2 that are many times as large as
  // the operands. With scales of 1 x 128 on both sides it pays to keep both
  // there; others are left to the L2 as they are.
  Policy lhsPolicy = args.reduction && !kHasFactors ? dropOldest() : dropLast();
  Policy rhsPolicy = args.reduction && kHasFactors ? dropLast() : dropOldest();
  Cursor slot, stage;
  Tile tile;
  while (__any_sync(~0u, nextTile(slot, tile))) {
    tile = uniform(tile);
    const TensorMap *map =
        args.rhs + (args.rhsMaps == kGroupedEach ? tile.group : 0);
    int member = args.rhsMaps == kGroupedPacked ? tile.group : 0;
    uint32_t halves = halvesOf(tile);
    uint32_t bytes = halves * kHalfRow + kRhsBytes;
    const float *lhsScales = nullptr;
    uint32_t lhsScaleSize = 0;
    if constexpr (kByBlock) {
      lhsScales = lhsScalesOf(tile);
      bytes += lhsScaleSize = lhsScaleBytes(tile);
    }
    ByHand hand = byHand(tile);
    auto loadLhsScales = [&] {
      if constexpr (kByBlock)
        if (!hand.lhsScales)
          loadRow(at(shared.lhsScales[stage.index]), lhsScales, lhsScaleSize,
                  at(&shared.full[stage.index]));
    };
    auto advance = [&] {
      __syncwarp();
      stage.advance(kStages);
      if constexpr (kByBlock)
        lhsScales += args.lhsScaleInner;
    };
    // What most tiles want, without questions: this thread must be faster than
    // the tensor cores.
    if (tile.sharesRhs && halves == 2 && !hand.any()) {
#pragma unroll 1
      for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
        wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
        if (isElected()) {
          expectBytes(at(&shared.full[stage.index]), bytes);
          loadLhs(stage.index, 0, depth, tile.row, false, lhsPolicy);
          loadLhs(stage.index, 1, depth, tile.row, false, lhsPolicy);
          loadRhs(stage.index, rank, map, member, depth, tile.col, true,
                  rhsPolicy);
          loadLhsScales();
        }
        advance();
      }
      continue;
    }
#pragma unroll 1
    for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
      wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
      if (isElected()) {
        expectBytes(at(&shared.full[stage.index]), bytes);
        // Of what both blocks read, each loads a half.
        if (!hand.lhs) {
          if (tile.sharesRhs) {
            loadLhs(stage.index, 0, depth, tile.row, false, lhsPolicy);
            if (halves == 2)
              loadLhs(stage.index, 1, depth, tile.row, false, lhsPolicy);
          } else if (rank < halves) {
            loadLhs(stage.index, rank, depth, tile.row, true, lhsPolicy);
          }
        }
        if (!hand.rhs) {
          if (tile.sharesRhs) {
            loadRhs(stage.index, rank, map, member, depth, tile.col, true,
                    rhsPolicy);
          } else {
            loadRhs(stage.index, 0, map, member, depth, tile.col, false,
                    rhsPolicy);
            loadRhs(stage.index, 1, map, member, depth, tile.col, false,
                    rhsPolicy);
          }
        }
        loadLhsScales();
      }
      advance();
    }
  }
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
template <Major major>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::copyOperand(
    uint8_t *to, const void *values, int64_t stride, int outer, int outerEnd,
    int outers, int depth, int depthEnd) {
  using Code = std::conditional_t<kElementBytes == 1, uint8_t, uint16_t>;
  constexpr bool flat = major == Major::Reduction;
  const Code *from = static_cast<const Code *>(values) +
                     (flat ? outer * stride + depth : depth * stride + outer);
#pragma unroll 4
  for (int i = threadIdx.x % 32; i < outers * kDepth; i += 32) {
    int o = flat ? i / kDepth : i / (64 * kDepth) * 64 + i % 64;
    int d = flat ? i % kDepth : i / 64 % kDepth;
    int row = flat ? o : d, byte = (flat ? d : o % 64) * kElementBytes;
    Code code = 0;
    if (o < outerEnd && d < depthEnd)
      code = from[flat ? o * stride + d : d * stride + o];
    *reinterpret_cast<Code *>(to + (flat ? 0 : o / 64 * 8192) + row * 128 +
                              (byte / 16 ^ row % 8) * 16 + byte % 16) = code;
  }
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void
Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::loadTilesByHand() {
  Cursor slot, stage, scales;
  Tile tile;
  uint32_t parity = 0; // of `copied`
  while (nextTile(slot, tile)) {
    ByHand hand = byHand(tile);
    if (!hand.any()) {
      if constexpr (kHasFactors)
        loadFactors(tile, stage, scales);
      else if constexpr (kScale == GroupedScale::RowSquare)
        loadSquareScales(tile, stage);
      else
        stage.advance(kStages, numBlocks(tile));
      continue;
    }
    uint32_t bytes = (hand.lhs ? halvesOf(tile) * kHalfRow : 0) +
                     (hand.rhs ? kRhsBytes : 0) +
                     (hand.lhsScales ? lhsScaleBytes(tile) : 0);
    int block = 0;
#pragma unroll 1
    for (int depth = tile.begin; depth < tile.end; depth += kDepth, ++block) {
      wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
      if (hand.lhs)
        copyOperand<kLhsMajor>(shared.lhs[stage.index], args.lhsValues,
                               args.lhsStride, tile.row, tile.rows,
                               kGroupedRows, depth, tile.end - depth);
      if (hand.rhs)
        copyOperand<kRhsMajor>(shared.rhs[stage.index], args.rhsValues,
                               args.rhsStride, tile.col, args.n - tile.col,
                               kCols, depth, tile.end - depth);
      int lane = threadIdx.x % 32;
      if (hand.lhsScales)
        for (int i = lane; i < tile.rows; i += 32)
          shared.lhsScales[stage.index][i] = lhsScalesOf(
              tile)[block * args.lhsScaleInner + i * args.lhsScaleOuter];
      if constexpr (kHasFactors) {
        uint4 factors[kCols / 32];
        makeFactors(
            [&](int i) {
              int col = min(tile.col + i, args.n - 1);
              return rhsScalesOf(
                  tile)[block * args.rhsScaleInner + col * args.rhsScaleOuter];
            },
            factors);
        putFactors(stage.index, factors);
      }
      if constexpr (kScale == GroupedScale::RowSquare)
        *reinterpret_cast<float4 *>(shared.rhsScales[stage.index]) =
            squareScales(tile, block);
      fenceProxy();
      // What all lanes wrote, to lane 0, and by what it tells to those that
      // wait for it. __syncwarp would do, but racecheck follows barriers in
      // memory alone: by it, lane 0 would tell of its own part only.
      arrive(at(&shared.copied));
      wait(at(&shared.copied), parity);
      parity ^= 1;
      if (lane == 0)
        completeBytes(at(&shared.full[stage.index]), bytes);
      if (kHasScaleWarp && lane == 0)
        arrive(at(&shared.full[stage.index]));
      stage.advance(kStages);
    }
  }
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ float4
Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::squareScales(
    const Tile &tile, int block) const {
  int square = min(tile.col / 128, args.rhsBlocks - 1);
  const float *low = rhsScalesOf(tile) + square * args.rhsScaleOuter +
                     block * args.rhsScaleInner;
  const float *high =
      low + (square + 1 < args.rhsBlocks ? args.rhsScaleOuter : 0);
  float4 scales = {*low, 0, *high, 0};
  scales.y = tile.col % 128 == 0 ? scales.x : scales.z;
  return scales;
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void
Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::loadSquareScales(
    const Tile &tile, Cursor &stage) {
  static_assert(kScale != GroupedScale::RowSquare || kCols == 192);
  int lane = threadIdx.x % 32, blocks = numBlocks(tile);
#pragma unroll 1
  for (int first = 0; first < blocks; first += 32) {
    int count = min(blocks - first, 32);
    float4 scales = {};
    if (lane < count)
      scales = squareScales(tile, first + lane);
#pragma unroll 1
    for (int i = 0; i < count; ++i) {
      wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
      if (lane == i) {
        *reinterpret_cast<float4 *>(shared.rhsScales[stage.index]) = scales;
        arrive(at(&shared.full[stage.index]));
      }
      __syncwarp();
      stage.advance(kStages);
    }
  }
}

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_LOAD_CUH
