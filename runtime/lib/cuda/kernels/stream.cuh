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
  __device__ static uint4 *at(int i) {
    extern __shared__ uint4 words[];
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
      : args(args), shared(shared) {}
  __device__ void prepare() {
    if (isCopied())
      for (int i = threadIdx.x % 32; i < args.numTasks; i += 32)
        shared.firstTiles[i] = args.firstTiles[i];
    __syncwarp();
  }
  /// The next tile that exists; false for none.
  __device__ bool find(Assignment<FromTable> &found, bool isFirst) {
    Place place;
    for (;; isFirst = false) {
      uint32_t tile = next(isFirst);
      if (tile >= args.tiles) {
        found.isEnd = true;
        return false;
      }
      uint32_t within = tile;
      if constexpr (FromTable) {
        __syncwarp();
        fetchTask(args, isCopied() ? shared.firstTiles : args.firstTiles, within,
                  found.fetched);
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
  __device__ bool isCopied() const { return FromTable && args.numTasks <= 512; }
  /// A block's first tile is its own; it draws the others, when it wants them:
  /// blocks that keep to the order of addresses keep memory fast.
  __device__ uint32_t next(bool isFirst) {
    if (isFirst)
      return blockIdx.x;
    if (args.tiles <= gridDim.x)
      return args.tiles;
    uint32_t drawn = 0;
    if (threadIdx.x % 32 == 0)
      drawn = atomicAdd(args.counter, 1u);
    return __shfl_sync(~0u, drawn, 0) + gridDim.x;
  }

  const TileArgs &args;
  Shared &shared;
};

/// Has a block take one tile after another: a warp finds them, and the threads
/// before it, `casters` of them, cast one while the next one comes. All go
/// through one loop and meet at one barrier in it. A Caster has
///
///   Slot             an Assignment, or what has one for its base
///   complete(slot)   the warp: adds to a tile what it has found
///   settle(slot)     the warp: what waits for other blocks, when all casters
///                    have taken the tile
///   Held             what a thread has of a tile
///   begin(next)      casters: requests the first tile
///   take(slot, held)
///                    casters: waits for a tile, and takes what it needs of it
///   cast(slot, held, next)
///                    casters: requests the next tile where it is not the end
template <bool FromTable, typename Caster>
__device__ inline void takeTiles(const TileArgs &args, int casters,
                                 Caster &caster) {
  // One is cast, one comes, and one is looked for.
  __shared__ typename Caster::Slot ring[3];
  __shared__ typename Finder<FromTable>::Shared shared;
  Finder<FromTable> finder(args, shared);
  bool finds = threadIdx.x >= casters;
  if (finds)
    finder.prepare();
#pragma unroll 1
  for (int turn = 0, own = -1;; own = turn, turn = turn == 2 ? 0 : turn + 1) {
    auto &next = ring[turn];
    typename Caster::Held held; // until the end of this turn
    if (finds) {
      if (finder.find(next, own < 0))
        caster.complete(next);
    } else if (own >= 0) {
      caster.take(ring[own], held);
    }
    __syncthreads(); // `next` is there, and what is cast has been taken
    if (finds) {
      if (own >= 0)
        caster.settle(ring[own]);
    } else if (own >= 0) {
      caster.cast(ring[own], held, next);
    } else if (!next.isEnd) {
      caster.begin(next);
    }
    if (next.isEnd)
      return;
  }
}

/// Casts the pieces of a source by a sink.
template <typename Source, typename Sink, bool FromTable> class PieceCaster {
public:
  using Slot = Assignment<FromTable>;
  using Held = typename Source::Tile;
  __device__ PieceCaster(const TileArgs &args, typename Sink::Shared &shared)
      : args(args), shared(shared) {}

  __device__ void complete(Slot &) {}
  __device__ void settle(const Slot &slot) {
    Source::settle(slot.taskOf(args), slot.place);
  }
  __device__ void begin(const Slot &next) {
#pragma unroll
    for (int part = 0; part < Source::kParts; ++part)
      request(next, part);
  }
  __device__ void take(const Slot &slot, Held &piece) {
    take(slot, 0, piece);
  }
  __device__ void cast(const Slot &slot, Held &piece, const Slot &next) {
    Sink sink(args, slot.taskOf(args), slot.place, shared);
#pragma unroll 1
    for (int part = 0; part < Source::kParts; ++part) {
      if (part > 0) {
        take(slot, part, piece);
        Source::Tile::sync(); // nobody uses `shared`
        sink.colsBefore += slot.taskOf(args).source.width;
      }
      if (!next.isEnd)
        request(next, part);
      sink.run(piece, false);
    }
  }

private:
  __device__ void take(const Slot &slot, int part, Held &piece) {
    source.take(slot.taskOf(args), slot.place, part, piece);
  }
  __device__ void request(const Slot &slot, int part) {
    source.request(slot.taskOf(args), slot.place, part);
  }

  const TileArgs &args;
  typename Sink::Shared &shared;
  Source source;
};

/// The body of kernels of a warp more than hold pieces, and the dynamic shared
/// memory that the source wants.
template <typename Source, typename Sink, bool FromTable = false>
__device__ inline void runStream(const TileArgs &args) {
  __shared__ typename Sink::Shared shared;
  __shared__ bool isLast;
  if (args.noop && *args.noop == 1.0f)
    return;
  PieceCaster<Source, Sink, FromTable> caster(args, shared);
  takeTiles<FromTable>(args, Source::Tile::kThreads, caster);
  __syncthreads(); // all that this block gives is there
  if (threadIdx.x == 0)
    isLast = arrive(args);
  __syncthreads();
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
