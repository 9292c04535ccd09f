//===- stream.cuh - blocks that take one tile after another -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// As many blocks as fit take tiles from a counter, in the order of their
// addresses. What a tile is made of comes to shared memory, each thread its own
// part, while the tile before it is cast: so memory is never idle. One more
// warp finds the tiles and what belongs to them, and does what has to wait for
// other blocks; the others never do.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_STREAM_CUH
#define TE_RUNTIME_CUDA_KERNELS_STREAM_CUH

#include "cuda/kernels/bulk.cuh"
#include "cuda/kernels/sinks.cuh"
#include "cuda/kernels/sources.cuh"

namespace te_rt {
namespace cuda {

//===----------------------------------------------------------------------===//
// Rows that come
//===----------------------------------------------------------------------===//

/// The first `Kept` of R rows of one thread in the dynamic shared memory of a
/// block, of which `Before` rows belong to others.
template <typename T, int R, int Before, int Kept = R> struct Coming;
template <int R, int Before, int Kept> struct Coming<BF16, R, Before, Kept> {
  using Tile = Piece<BF16, R>;

  __device__ static void request(const BF16 *base, int stride,
                                 const Place &place) {
    int rows = place.rows - Tile::row(), cols = place.cols - Tile::col();
    const BF16 *from = base + int64_t(Tile::row()) * stride + Tile::col();
    if (isVector<BF16, R>(base, stride, place)) {
      rows = cols > 0 ? rows : 0;
      auto to = static_cast<uint32_t>(__cvta_generic_to_shared(at(0)));
      constexpr int kStep = Tile::kThreads * sizeof(uint4);
      if (rows >= Kept) {
#pragma unroll
        for (int i = 0; i < Kept; ++i, from += stride)
          asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                           to + i * kStep),
                       "l"(from)
                       : "memory");
        return;
      }
#pragma unroll 1
      for (int i = 0; i < Kept; ++i, from += stride)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                         to + i * kStep),
                     "l"(i < rows ? from : base), "r"(i < rows ? 16 : 0)
                     : "memory");
    } else {
#pragma unroll
      for (int i = 0; i < Kept; ++i, from += stride) {
        Piece<BF16, 1> row;
        loadSome(from, i < rows ? cols : 0, row, 0);
        put(i, row, 0);
      }
    }
  }
  /// For all that this thread has requested.
  __device__ static void wait() {
    asm volatile("cp.async.wait_all;" ::: "memory");
  }
  template <int N>
  __device__ static void put(int i, const Piece<BF16, N> &piece, int row) {
    const uint32_t(&pairs)[4] = piece.pairs[row];
    *at(i) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
  }
  template <int N>
  __device__ static void get(int i, Piece<BF16, N> &piece, int row) {
    uint4 words = *at(i);
    piece.pairs[row][0] = words.x, piece.pairs[row][1] = words.y;
    piece.pairs[row][2] = words.z, piece.pairs[row][3] = words.w;
  }

private:
  /// Of the lines of shared memory a warp's copies fill whole ones: what two
  /// threads bring to a sector of 32 bytes is one copy.
  __device__ static uint4 *at(int i) {
    extern __shared__ __align__(128) uint4 words[];
    return words + (Before + i) * Tile::kThreads + threadIdx.x;
  }
};

/// A matrix in memory.
template <typename T, int R = kTileRows> struct MatrixStream {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 1;

  /// What part `part` leaves free; all parts together request a tile.
  __device__ void request(const TileTask &task, const Place &place, int) {
    rows.request(static_cast<const T *>(task.source.input) +
                     place.row * task.cols + place.col0,
                 static_cast<int>(task.cols), place);
  }
  /// Waits for the tile where `part` is the first.
  __device__ void take(const TileTask &, const Place &, int, Tile &piece) {
    rows.wait();
#pragma unroll
    for (int i = 0; i < R; ++i)
      rows.get(i, piece, i);
  }
  /// What remains to be done when all threads have taken a tile; a warp that
  /// has no part of it calls this.
  __device__ static void settle(const TileTask &, const Place &) {}

private:
  Coming<T, R, 0> rows;
};

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// A tile of a block's; there are none after one that `isEnd`.
template <bool FromTable> struct Assignment {
  Place place;
  bool isEnd;
  __device__ const TileTask &taskOf(const TileArgs &args) const {
    return args.task;
  }
};
template <> struct Assignment<true> {
  Place place;
  bool isEnd;
  TileTask fetched;
  __device__ const TileTask &taskOf(const TileArgs &) const { return fetched; }
};

/// Finds the tiles of a block one after another; a warp has it.
template <bool FromTable> class Finder {
public:
  struct Shared {
    uint32_t firstTiles[FromTable ? 512 : 1];
  };
  __device__ Finder(const TileArgs &args, Shared &shared)
      : args(args), firstTiles(args.firstTiles) {
    int lane = threadIdx.x % 32;
    if (FromTable && args.numTasks <= 512) {
      for (int i = lane; i < args.numTasks; i += 32)
        shared.firstTiles[i] = args.firstTiles[i];
      __syncwarp();
      firstTiles = shared.firstTiles;
    }
  }
  /// The next tile that exists; false for none.
  __device__ bool find(Assignment<FromTable> &found) {
    Place place;
    for (;;) {
      uint32_t tile = next();
      if (tile >= args.tiles) {
        found.isEnd = true;
        return false;
      }
      uint32_t within = tile;
      if constexpr (FromTable) {
        __syncwarp();
        fetchTask(args, firstTiles, within, found.fetched);
      }
      if (locate(found.taskOf(args), within, place))
        break;
    }
    lookUp(found.taskOf(args), place);
    if (threadIdx.x % 32 == 0) {
      found.place = place;
      found.isEnd = false;
    }
    return true;
  }

private:
  /// A block's first tile is its own; it draws the others, when it wants them:
  /// blocks that keep to the order of addresses keep memory fast.
  __device__ uint32_t next() {
    if (isFirst) {
      isFirst = false;
      return blockIdx.x;
    }
    if (args.tiles <= gridDim.x)
      return args.tiles;
    uint32_t drawn = 0;
    if (threadIdx.x % 32 == 0)
      drawn = atomicAdd(args.counter, 1u);
    return __shfl_sync(~0u, drawn, 0) + gridDim.x;
  }

  const TileArgs &args;
  const uint32_t *firstTiles;
  bool isFirst = true;
};

/// The tiles of a block on their way from the warp that finds them to the
/// threads that cast them: one is cast, one comes, and one is looked for. Each
/// side has a loop of its own, and waits for the other at barriers in memory.
template <typename Slot> class TileRing {
public:
  /// One thread calls it, before a barrier of all.
  __device__ void init(int casters) {
    bulk::init(found, 32);
    bulk::init(taken, casters);
  }

  /// Of those that cast, each has one: the tile that it casts.
  class Cursor {
  public:
    /// Waits for the first tile, and lets the next one be found.
    __device__ Cursor(TileRing &ring) : ring(ring) {
      bulk::wait(ring.found, parity);
      bulk::arrive(ring.taken);
    }
    __device__ const Slot &own() const { return ring.tiles[turn]; }
    __device__ const Slot &next() const {
      return ring.tiles[turn == 2 ? 0 : turn + 1];
    }
    /// Waits for `next`, and tells that this thread has taken its own. In this
    /// order: the warp that finds tiles is never two of them ahead of one that
    /// waits, which would not see that. Each lane arrives: racecheck does not see
    /// one arrive for others.
    __device__ void take() {
      bulk::wait(ring.found, parity ^= 1);
      bulk::arrive(ring.taken);
    }
    /// Until all threads have.
    __device__ void waitForAll() const { bulk::wait(ring.taken, parity); }
    __device__ void advance() { turn = turn == 2 ? 0 : turn + 1; }

  private:
    TileRing &ring;
    int turn = 0;
    uint32_t parity = 0;
  };

  /// The loop of the warp that finds tiles: complete(slot) adds to what it has
  /// found, and settle(slot) is called when all casters have taken a tile.
  template <bool FromTable, typename Complete, typename Settle>
  __device__ void fill(const TileArgs &args, Complete complete, Settle settle) {
    __shared__ typename Finder<FromTable>::Shared shared;
    Finder<FromTable> finder(args, shared);
    const Slot *before = nullptr;
    uint32_t parity = 0;
#pragma unroll 1
    for (int turn = 0;; turn = turn == 2 ? 0 : turn + 1) {
      bool exists = finder.find(tiles[turn]);
      if (exists)
        complete(tiles[turn]);
      bulk::arrive(found); // each lane for what it has written
      bulk::wait(taken, parity); // the one before, or none
      parity ^= 1;
      if (before)
        settle(*before);
      if (!exists)
        return;
      before = &tiles[turn];
    }
  }

private:
  Slot tiles[3];
  // Completed once for each tile; `taken` once before, too.
  uint64_t found, taken;
};

/// What the threads that hold pieces do.
template <typename Source, typename Sink, bool FromTable>
__device__ inline void castTiles(const TileArgs &args,
                                 TileRing<Assignment<FromTable>> &ring,
                                 typename Sink::Shared &shared) {
  Source source;
  typename TileRing<Assignment<FromTable>>::Cursor cursor(ring);
  auto request = [&](const Assignment<FromTable> &tile, int part) {
    if (!tile.isEnd)
      source.request(tile.taskOf(args), tile.place, part);
  };
#pragma unroll
  for (int part = 0; part < Source::kParts; ++part)
    request(cursor.own(), part);
#pragma unroll 1
  for (; !cursor.own().isEnd; cursor.advance()) {
    const Assignment<FromTable> &own = cursor.own();
    Sink sink(args, own.taskOf(args), own.place, shared);
#pragma unroll 1
    for (int part = 0; part < Source::kParts; ++part) {
      typename Source::Tile piece;
      source.take(own.taskOf(args), own.place, part, piece);
      if (part == 0)
        cursor.take();
      else
        sink.colsBefore += own.taskOf(args).source.width;
      Source::Tile::sync(); // nobody uses `shared`
      request(cursor.next(), part);
      sink.run(piece, false);
    }
  }
}

/// The body of kernels of a warp more than hold pieces, and the dynamic shared
/// memory that the source wants.
template <typename Source, typename Sink, bool FromTable = false>
__device__ inline void runStream(const TileArgs &args) {
  __shared__ typename Sink::Shared shared;
  __shared__ TileRing<Assignment<FromTable>> ring;
  __shared__ bool isLast;
  __shared__ uint64_t told; // of isLast
  if (args.noop && *args.noop == 1.0f)
    return;
  if (threadIdx.x == 0) {
    ring.init(Source::Tile::kThreads);
    bulk::init(told);
  }
  __syncthreads();
  if (threadIdx.x < Source::Tile::kThreads)
    castTiles<Source, Sink>(args, ring, shared);
  else
    ring.template fill<FromTable>(
        args, [](auto &) {},
        [&](const auto &tile) {
          Source::settle(tile.taskOf(args), tile.place);
        });
  __syncthreads(); // all that this block gives is there
  // racecheck loses count of barriers of the block where warps have met at others.
  if (threadIdx.x == 0) {
    isLast = arrive(args);
    bulk::arrive(told);
  }
  bulk::wait(told, 0);
  if (!isLast)
    return;
  if (threadIdx.x == 0)
    *args.counter = *args.ticket = 0;
  if (args.finishes)
    finish(args, blockDim.x);
}

} // namespace cuda
} // namespace te_rt

/// A kernel over the tiles of a source; `blocksPerSm` bounds its registers.
#define TE_RT_STREAM_KERNEL(name, source, sink, fromTable, blocksPerSm)        \
  extern "C" __global__ void __launch_bounds__(source::Tile::kThreads + 32,    \
                                               blocksPerSm)                    \
      name(const __grid_constant__ te_rt::cuda::TileArgs args) {               \
    runStream<source, sink<source::Tile>, fromTable>(args);                    \
  }

#endif // TE_RUNTIME_CUDA_KERNELS_STREAM_CUH
