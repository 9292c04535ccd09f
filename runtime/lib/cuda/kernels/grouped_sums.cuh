//===- grouped_sums.cuh - F32 results on their way ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Included by grouped_gemm.cuh. A product that is added to a result moves 8
// bytes for each element of it: with few rows in a group that takes longer than
// to multiply. So the old sums of a tile come from memory while the tile is
// multiplied, as many as there is shared memory for, and nobody waits for the
// new ones to be written. Where the reduction is long, each operand is read
// many times over: the L2 then drops sums, which are read and written once,
// first.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_SUMS_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_SUMS_CUH

namespace te_rt {
namespace cuda {
namespace grouped {

/// Elements of a reduction from which on that was measured to pay.
constexpr int kLongReduction = 2048;

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::moveSums() {
  auto memory = [&](int half, uint32_t box) {
    return at(shared.store[half]) + box * kBoxBytes;
  };
  Cursor slot, next, oldest;
  int held = 0; // boxes from oldest to next
  auto storeOldest = [&] {
    wait(at(&shared.boxes.added[oldest.index]), oldest.parity);
    BoxPlace place = shared.places[oldest.index];
    for (int half = 0; half < place.halves; ++half) {
      const TensorMap *map = args.sums + place.group;
      uint32_t from = memory(half, oldest.index);
      int row = place.row + half * 64;
      place.isLong ? storeBox(map, from, place.col, row, 0, dropFirst())
                   : storeBox(map, from, place.col, row, 0);
    }
    commitStores();
    oldest.advance(kBoxes);
    --held;
  };
  Tile tile;
  while (nextTile(slot, tile)) {
    if (!args.sums || tile.dead)
      continue;
    const TensorMap *map = args.sums + tile.group;
    int end = min(tile.col + kCols, args.n), halves = halvesOf(tile);
    bool isLong = tile.end - tile.begin >= kLongReduction;
    for (int col = tile.col; col < end; col += kBoxCols) {
      if (held == kBoxes) {
        storeOldest();
        waitStoresRead();
      }
      uint32_t loaded = at(&shared.boxes.loaded[next.index]);
      shared.places[next.index] = {tile.group, tile.row, col, halves, isLong};
      if (args.accumulate) {
        expectBytes(loaded, halves * kBoxBytes);
        for (int half = 0; half < halves; ++half) {
          uint32_t to = memory(half, next.index);
          int row = tile.row + half * 64;
          isLong ? loadBox(to, map, loaded, col, row, 0, dropFirst())
                 : loadBox(to, map, loaded, col, row, 0);
        }
      } else {
        arrive(loaded);
      }
      next.advance(kBoxes);
      ++held;
    }
  }
  while (held)
    storeOldest();
  waitStores();
}

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_SUMS_CUH
