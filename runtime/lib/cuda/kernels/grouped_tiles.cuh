//===- grouped_tiles.cuh - order of the tiles of a grouped product --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One warp of each block finds out, from offsets on the device, which tile
// comes next, and hands it to the other warps through a ring in shared memory.
// Clusters draw tiles in their order as they get done, so that those that are
// cheaper, narrow ones at the end of a row or those of a short reduction, leave
// no multiprocessor idle at the end.
//
// The two blocks of a cluster take neighbouring tiles that share an operand:
// two blocks of rows of the same columns, or, of an odd last block of rows, two
// blocks of columns. Within a group they go over panels of rows that stay in
// the L2, and in a panel over all columns. Of a short reduction, whose sums are
// most of what moves, a panel is one pair: neighbours in memory move together.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_TILES_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_TILES_CUH

#include "cuda/kernels/hopper.cuh"

namespace te_rt {
namespace cuda {
namespace grouped {

/// Tiles that are drawn ahead: the fewer, the better the last ones spread.
constexpr int kRingSlots = 2;
/// Pairs of blocks of rows in a panel, but for reductions shorter than so many
/// elements.
constexpr int kPanelPairs = 8, kShortReduction = 768;

struct alignas(16) Tile {
  int32_t group;     // -1: there are no more
  int32_t row, rows; // first one, and how many are within the group (<= 128)
  int32_t col;
  int32_t begin, end; // of the reduction
  int32_t sharesRhs;  // else lhs
  int32_t dead;       // beyond the last column: loaded, but not stored
  const float *rhsScales; // of the group
};

/// What all lanes of a warp have, told to the compiler: it then keeps it, and
/// what comes of it, in registers of the warp. Loops must end by such, or by
/// votes.
__device__ inline int uniform(int value) { return __shfl_sync(~0u, value, 0); }
__device__ inline Tile uniform(const Tile &tile) {
  return {uniform(tile.group),     uniform(tile.row),   uniform(tile.rows),
          uniform(tile.col),       uniform(tile.begin), uniform(tile.end),
          uniform(tile.sharesRhs), uniform(tile.dead),  tile.rhsScales};
}

/// Tiles that a warp draws and others of the block read, in shared memory.
struct Ring {
  Tile tiles[kRingSlots];
  int32_t draws[kRingSlots];
  uint64_t full[kRingSlots], empty[kRingSlots];
  uint64_t drawFull[kRingSlots], drawEmpty[kRingSlots];
};

/// Position in a ring of buffers that are filled and emptied over and over.
struct Cursor {
  uint32_t index = 0, parity = 0;
  __device__ void advance(uint32_t size) {
    if (++index == size) {
      index = 0;
      parity ^= 1;
    }
  }
  __device__ void advance(uint32_t size, uint32_t times) {
    index += times;
    parity ^= index / size & 1;
    index %= size;
  }
};

/// Where tile `local` of a group with so many blocks of rows, in panels of
/// `panelPairs` pairs, and `across` blocks of columns lies.
struct Place {
  int rowBlock, colBlock;
  bool sharesRhs;
};
__device__ inline int numTiles(int rowBlocks, int across) {
  return rowBlocks / 2 * across + (rowBlocks & 1) * ((across + 1) / 2);
}
__device__ inline Place placeOf(int local, int rowBlocks, int across,
                                int panelPairs, int rank) {
  int pairs = rowBlocks / 2;
  int panels = max(1, (pairs + panelPairs - 1) / panelPairs);
  int height = (pairs + panels - 1) / panels;
  int panel = height ? min(local / (height * across), panels - 1) : 0;
  int rest = local - panel * height * across, first = panel * height;
  bool last = panel == panels - 1;
  int size = last ? pairs - first : height;
  int odd = last ? rowBlocks & 1 : 0;
  // Two blocks of columns at a time, so that the odd row has its pair.
  int inTwo = 2 * size + odd;
  int two = rest / inTwo;
  rest -= two * inTwo;
  int width = 2 * two + 1 < across ? 2 : 1;
  if (rest < width * size)
    return {2 * (first + rest % size) + rank, 2 * two + rest / size, true};
  return {rowBlocks - 1, 2 * two + rank, false};
}

/// The groups of a product, 32 at a time, one for each lane.
class Schedule {
public:
  __device__ Schedule(const GroupedArgs &args, int cols)
      : args(args), across((args.n + cols - 1) / cols), cols(cols),
        chunk(args.firstGroup) {
    load();
  }

  /// Tile number `index` of this cluster's order; indexes only grow. All lanes
  /// take part and get the same.
  __device__ Tile find(int index, int rank) {
    while (chunk < args.lastGroup && index >= before + total) {
      before += total;
      chunk += 32;
      load();
    }
    Tile tile = {};
    tile.group = -1;
    if (chunk >= args.lastGroup)
      return tile;
    int rest = index - before;
    int lane = __ffs(__ballot_sync(~0u, rest < through)) - 1;
    int first = __shfl_sync(~0u, begin, lane);
    int last = __shfl_sync(~0u, end, lane);
    rest -= __shfl_sync(~0u, through - count, lane);
    int rows = args.offsets && !args.reduction ? last - first : args.m;
    bool isShort = args.reduction && last - first < kShortReduction;
    Place place = placeOf(rest, (rows + kGroupedRows - 1) / kGroupedRows,
                          across, isShort ? 1 : kPanelPairs, rank);
    tile.group = chunk + lane;
    tile.row = place.rowBlock * kGroupedRows;
    tile.rows = min(rows - tile.row, kGroupedRows);
    tile.col = place.colBlock * cols;
    tile.dead = place.colBlock >= across;
    tile.sharesRhs = place.sharesRhs;
    tile.rhsScales = reinterpret_cast<const float *>(
        __shfl_sync(~0u, reinterpret_cast<uintptr_t>(scales), lane));
    tile.begin = 0;
    tile.end = args.k;
    if (args.reduction) {
      tile.begin = first;
      tile.end = last;
    } else if (args.offsets) {
      tile.row += first;
    }
    return tile;
  }

private:
  __device__ void load() {
    int lane = threadIdx.x % 32, group = chunk + lane;
    begin = end = count = 0;
    if (group < args.lastGroup) {
      int rows = args.m;
      scales = args.items[group].rhsScales;
      if (args.offsets) {
        int capacity = args.reduction ? args.k : args.m;
        begin = min(max(args.offsets[group], 0), capacity);
        end = min(max(args.offsets[group + 1], begin), capacity);
        if (!args.reduction)
          rows = end - begin;
      }
      bool nothingToAdd = args.reduction && args.accumulate && begin == end;
      if (!nothingToAdd)
        count = numTiles((rows + kGroupedRows - 1) / kGroupedRows, across);
    }
    through = count;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      int other = __shfl_up_sync(~0u, through, step);
      if (lane >= step)
        through += other;
    }
    total = __shfl_sync(~0u, through, 31);
  }

  const GroupedArgs &args;
  int across, cols, chunk, before = 0, total = 0;
  // Of the lane's group. Who wants scales would wait for the pointer first, and
  // at the begin of a launch behind the operands of all blocks.
  int begin, end, count, through;
  const float *scales = nullptr;
};

/// What a block does with its Ring, which lies at `address`.
class Tiles {
public:
  __device__ Tiles(const GroupedArgs &args, Ring &ring, uint32_t address,
                   uint32_t rank)
      : args(args), ring(ring), address(address), rank(rank) {}

  /// One thread, before all others; `readers` threads call `next`.
  __device__ void init(int readers) const {
    for (int i = 0; i < kRingSlots; ++i) {
      hopper::initBarrier(at(&ring.full[i]), 1);
      hopper::initBarrier(at(&ring.empty[i]), readers);
      hopper::initBarrier(at(&ring.drawFull[i]), 1);
      hopper::initBarrier(at(&ring.drawEmpty[i]), 1);
    }
  }

  /// A warp, which draws tiles of `cols` columns until there are no more. A
  /// reader may wait for what another one does with the tile before, not with
  /// the tile behind: that comes when all have read the last but one.
  /// The first is found while the cluster meets. Until then nothing is read or
  /// written that an earlier launch has to do with.
  __device__ void find(int cols) const {
    hopper::waitForLaunches();
    Schedule schedule(args, cols);
    Cursor slot, drawn;
    Tile tile = schedule.find(blockIdx.x / kGroupedCluster, rank);
    hopper::waitCluster();
    while (true) {
      if (threadIdx.x % 32 == 0) {
        ring.tiles[slot.index] = tile;
        hopper::arrive(at(&ring.full[slot.index]));
      }
      if (tile.group < 0)
        break;
      slot.advance(kRingSlots);
      hopper::wait(at(&ring.empty[slot.index]), slot.parity ^ 1);
      tile = schedule.find(draw(drawn), rank);
    }
    endDraws();
  }

  /// The next tile; false where there is none. Each thread tells that it has
  /// read it, as in Product::release.
  __device__ bool next(Cursor &slot, Tile &tile) const {
    hopper::wait(at(&ring.full[slot.index]), slot.parity);
    tile = ring.tiles[slot.index];
    hopper::arrive(at(&ring.empty[slot.index]));
    slot.advance(kRingSlots);
    return tile.group >= 0;
  }

private:
  __device__ uint32_t at(const void *pointer) const {
    return address +
           static_cast<uint32_t>(static_cast<const uint8_t *>(pointer) -
                                 reinterpret_cast<const uint8_t *>(&ring));
  }

  /// The number of the next tile that nobody has: one block draws, and tells
  /// the other one.
  __device__ int draw(Cursor &slot) const {
    int index = 0;
    if (threadIdx.x % 32 == 0) {
      if (rank == 0) {
        index = int(gridDim.x / kGroupedCluster) + atomicAdd(args.draws, 1);
        hopper::wait(at(&ring.drawEmpty[slot.index]), slot.parity ^ 1);
        hopper::sendThere(hopper::addressIn(at(&ring.draws[slot.index]), 1),
                          index,
                          hopper::addressIn(at(&ring.drawFull[slot.index]), 1));
      } else {
        hopper::waitThere(at(&ring.drawFull[slot.index]), slot.parity);
        index = *static_cast<volatile int *>(&ring.draws[slot.index]);
        hopper::arriveThere(
            hopper::addressIn(at(&ring.drawEmpty[slot.index]), 0));
      }
    }
    slot.advance(kRingSlots);
    return uniform(index);
  }

  /// The last cluster leaves the counters as they were.
  __device__ void endDraws() const {
    if (rank != 0 || threadIdx.x % 32 != 0)
      return;
    __threadfence();
    if (atomicAdd(args.draws + 1, 1) == int(gridDim.x / kGroupedCluster) - 1)
      args.draws[0] = args.draws[1] = 0;
  }

  const GroupedArgs &args;
  Ring &ring;
  uint32_t address, rank;
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

/// Defines the kernel `name` of clusters that take the tiles of a grouped
/// product: `args` and all dynamic shared memory, as `memory` at a multiple of
/// 1024, to an expression; a trap where there is no sm_90a.
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define TE_GROUPED_BODY(...)                                                   \
  extern __shared__ __align__(1024) uint8_t memory[];                          \
  __VA_ARGS__
#else
#define TE_GROUPED_BODY(...) __trap()
#endif
#define TE_GROUPED_CLUSTERS(name, threads, Args, ...)                          \
  extern "C" __global__ void __cluster_dims__(te_rt::cuda::kGroupedCluster)    \
      __launch_bounds__(te_rt::cuda::threads, 1)                               \
          name(const __grid_constant__ Args args) {                            \
    TE_GROUPED_BODY(__VA_ARGS__);                                              \
  }

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_TILES_CUH
