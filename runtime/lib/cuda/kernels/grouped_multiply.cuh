//===- grouped_multiply.cuh - a tile's products, block by block of K ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Included by grouped_gemm.cuh: one warpgroup's 64 rows of each tile.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_MULTIPLY_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_MULTIPLY_CUH

namespace te_rt {
namespace cuda {
namespace grouped {

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void
Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::clearTail(
    int stage, int valid, bool multiplies) {
  int thread = threadIdx.x - 128;
  auto clear = [&](uint8_t *operand, int outer, bool flat) {
    if (flat) {
      int bytes = valid * kElementBytes;
      for (int i = thread; i < outer * 8; i += 256) {
        int row = i / 8, chunk = i % 8;
        uint8_t *to = operand + row * 128 + (chunk ^ row % 8) * 16;
        for (int at = max(0, bytes - chunk * 16); at < 16; ++at)
          to[at] = 0;
      }
    } else { // boxes of 64 rows, one for each element of the reduction
      for (int i = thread; i < outer * 8; i += 256)
        if (i / 8 % 64 >= valid)
          *reinterpret_cast<uint4 *>(operand + i * 16) = make_uint4(0, 0, 0, 0);
    }
  };
  clear(shared.lhs[stage], kGroupedRows, kLhsMajor == Major::Reduction);
  clear(shared.rhs[stage], kCols, kRhsMajor == Major::Reduction);
  fenceProxy();
  if (multiplies)
    syncNamed(kTail + stage, 256);
  else
    arriveNamed(kTail + stage, 256);
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::skipBlocks(
    const Tile &tile, int half, uint32_t empty, Cursor &stage) {
#pragma unroll 1
  for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
    wait(at(&shared.full[stage.index]), stage.parity);
    if (depth == tailOf(tile))
      clearTail(stage.index, tile.end - depth, /*multiplies=*/false);
    release(empty, stage.index);
    stage.advance(kStages);
  }
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void
Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::multiplyPlain(
    const Tile &tile, int half, uint32_t empty, Cursor &stage,
    float (&sums)[kCols / 2]) {
  Operands first = operandsOf(half);
  int previous = -1, tail = tailOf(tile);
#pragma unroll 1
  for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
    Operands operands = operandsAt(first, stage.index);
    wait(at(&shared.full[stage.index]), stage.parity);
    if (depth == tail)
      clearTail(stage.index, tile.end - depth);
    multiplyBlock(operands, sums, true);
    waitProducts<1>();
    if (previous >= 0)
      release(empty, previous);
    previous = stage.index;
    stage.advance(kStages);
  }
  waitProducts<0>();
  pin(sums);
  if (previous >= 0)
    release(empty, previous);
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::multiplyTiles(
    int half) {
  uint32_t empty = emptyOfLane();
  Cursor slot, stage;
  Tile tile;
  Results store(args, shared.store[half], shared.boxes, half, kStore + half);
  while (__any_sync(~0u, nextTile(slot, tile))) {
    tile = uniform(tile);
    if (!hasRows(tile, half)) {
      skipBlocks(tile, half, empty, stage);
      store.skip(tile);
      continue;
    }
    const GroupedItem &item = args.items[tile.group];
    float sums[kCols / 2];
#pragma unroll
    for (float &sum : sums)
      sum = 0.0f;
    if constexpr (kScale == GroupedScale::None)
      multiplyPlain(tile, half, empty, stage, sums);
    else if constexpr (kScale == GroupedScale::RowRow)
      multiplyRowRow(tile, half, empty, stage, sums);
    else
      multiplyScaled(tile, half, stage, sums);
    store.run(tile, item, sums);
  }
  store.finish();
}

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_MULTIPLY_CUH
