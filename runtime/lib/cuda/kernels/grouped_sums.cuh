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
// new ones to be written. Where the reduction is long, each operand is read many
// times over: the L2 then drops sums, which are read and written once, first.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_SUMS_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_SUMS_CUH

namespace te_rt {
namespace cuda {
namespace grouped {

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
class Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::SumsMover {
public:
  __device__ SumsMover(Product &product) : p(product) {}

  /// The boxes of the next tile, each as soon as those before it that lay there
  /// are stored; false where there is no tile. One thread.
  __device__ bool take() {
    const GroupedArgs &args = p.args;
    Tile tile;
    if (!p.template nextTile<false>(slot, tile))
      return false;
    if (!args.sums || tile.dead)
      return true;
    int end = min(tile.col + kCols, args.n);
    for (int col = tile.col; col < end; col += kBoxes * kBoxCols)
      load(tile, col, min((end - col + kBoxCols - 1) / kBoxCols, kBoxes));
    return true;
  }

  /// Those of all that are left.
  __device__ void takeAll() {
    while (take())
      ;
    while (held)
      storeOldest();
    waitStores();
  }

private:
  __device__ void load(const Tile &tile, int col, int count) {
    int free = kBoxes - held, halves = halvesOf(tile);
    bool isLong = tile.end - tile.begin >= kLongReduction;
    while (held + count > kBoxes)
      storeOldest();
    int stored = count - free;
    for (int i = 0; i < count; ++i, col += kBoxCols) {
      if (i >= free)
        waitStoresRead(--stored);
      uint32_t loaded = p.at(&p.shared.boxes.loaded[next.index]);
      p.shared.places[next.index] = {tile.group, tile.row, col, halves,
                                     isLong};
      if (p.args.accumulate) {
        expectBytes(loaded, halves * kBoxBytes);
        for (int half = 0; half < halves; ++half)
          loadHalf(isLong, memory(half, next.index), p.args.sums + tile.group,
                   loaded, col, tile.row + half * 64);
      } else {
        arrive(loaded);
      }
      next.advance(kBoxes);
      ++held;
    }
  }

  __device__ void storeOldest() {
    wait(p.at(&p.shared.boxes.added[oldest.index]), oldest.parity);
    BoxPlace place = p.shared.places[oldest.index];
    for (int half = 0; half < place.halves; ++half)
      storeHalf(place.isLong, p.args.sums + place.group,
                memory(half, oldest.index), place.col, place.row + half * 64);
    commitStores();
    oldest.advance(kBoxes);
    --held;
  }

  /// Until all but so many of the last stores have read shared memory.
  static __device__ void waitStoresRead(int others) {
    static_assert(kBoxes <= 4);
    if (others == 3)
      hopper::waitStoresRead<3>();
    else if (others == 2)
      hopper::waitStoresRead<2>();
    else if (others == 1)
      hopper::waitStoresRead<1>();
    else
      hopper::waitStoresRead();
  }
  __device__ uint32_t memory(int half, uint32_t box) const {
    return p.at(p.shared.store[half]) + box * kBoxBytes;
  }

  /// Elements from which on hints were measured to pay.
  static constexpr int kLongReduction = 2048;
  static __device__ void loadHalf(bool isLong, uint32_t to, const TensorMap *map,
                                  uint32_t barrier, int x, int y) {
    isLong ? loadBox(to, map, barrier, x, y, 0, dropFirst())
           : loadBox(to, map, barrier, x, y, 0);
  }
  static __device__ void storeHalf(bool isLong, const TensorMap *map,
                                   uint32_t from, int x, int y) {
    isLong ? storeBox(map, from, x, y, 0, dropFirst())
           : storeBox(map, from, x, y, 0);
  }

  Product &p;
  Cursor slot, next, oldest;
  int held = 0; // boxes from oldest to next
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_SUMS_CUH
