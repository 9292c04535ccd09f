//===- tile.cuh - kernels over tiles of 128 x 128 ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block takes one tile, in the order of their addresses. A thread holds R
// rows of eight columns in registers: sixteen threads share a row, so that half
// a warp knows whole rows. A Source fills these registers; a Sink takes amaxes,
// casts and stores. A fused function is another Source, so that it gives the
// bits of the functions that it fuses.
//
// Many small blocks, each of which loads all of its tile before it stores a
// word, keep memory busy: R is such that two to four of them fit.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_TILE_CUH
#define TE_RUNTIME_CUDA_KERNELS_TILE_CUH

#include "cuda/kernels/numeric.cuh"
#include "cuda/kernels/params.h"

namespace te_rt {
namespace cuda {

/// R rows of eight elements of a thread, two in a register where they fit, of a
/// tile of `Side` rows and columns.
template <typename T, int R, int Side = kTile> struct Piece;

template <int R, int Side = kTile> struct PieceShape {
  static constexpr int kRows = R, kLanes = Side / 8; // threads of a row
  static constexpr int kThreads = Side * kLanes / R, kWarps = kThreads / 32;
  /// The first row and column of the tile that this thread holds.
  __device__ static int row() { return threadIdx.x / kLanes * R; }
  __device__ static int col() { return threadIdx.x % kLanes * 8; }
  /// Waits for all that hold a piece; a block may have other threads besides.
  __device__ static void sync() {
    asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory");
  }
};
template <int R, int Side> struct Piece<BF16, R, Side> : PieceShape<R, Side> {
  using Element = BF16;
  uint32_t pairs[R][4];
  __device__ float get(int i, int j) const {
    return j % 2 ? highOf(pairs[i][j / 2]) : lowOf(pairs[i][j / 2]);
  }
  __device__ void setRow(int i, const float (&values)[8]) {
#pragma unroll
    for (int p = 0; p < 4; ++p)
      pairs[i][p] = packBf16(values[2 * p], values[2 * p + 1]);
  }
  /// Lets the compiler know nothing of the elements, so that it keeps none of
  /// them unpacked from one use to the next.
  __device__ void forget() {
#pragma unroll
    for (int i = 0; i < R; ++i)
      asm volatile(""
                   : "+r"(pairs[i][0]), "+r"(pairs[i][1]), "+r"(pairs[i][2]),
                     "+r"(pairs[i][3]));
  }
};
template <int R, int Side> struct Piece<float, R, Side> : PieceShape<R, Side> {
  using Element = float;
  float values[R][8];
  __device__ float get(int i, int j) const { return values[i][j]; }
  __device__ void setRow(int i, const float (&from)[8]) {
#pragma unroll
    for (int j = 0; j < 8; ++j)
      values[i][j] = from[j];
  }
  __device__ void forget() {}
};

/// Where a block works. One warp finds it, and it lies in shared memory.
struct Place {
  int64_t row;      // first row of the tile, of all members
  int64_t row0;     // the same, counted in its member
  int64_t col0;     // first column
  int64_t member;   // packed; 0 otherwise
  int64_t blockRow; // of the matrix of scales
  int group;
  int rows, cols;   // of the tile that exist
  float multiplier; // kWholeTensor
  uint32_t known;   // what the group's accumulator had, or less
};

/// How many of `count` values f(i) are at most `limit`; a warp calls it.
template <typename F>
__device__ inline int countUpTo(int64_t count, int64_t limit, F f) {
  constexpr int kAhead = 4;
  int found = 0;
  for (int64_t base = threadIdx.x % 32; base - threadIdx.x % 32 < count;
       base += 32 * kAhead) {
    bool isUpTo[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      isUpTo[a] = base + 32 * a < count && f(base + 32 * a) <= limit;
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      found += __popc(__ballot_sync(~0u, isUpTo[a]));
  }
  return found;
}

/// Rows of groups. Block b of group g has row floor(offsets[g] / 128) + g + b
/// of the scales (types.h): these numbers ascend, so that they number the work
/// as well, also of blocks of another size.
struct RaggedRows {
  const int32_t *offsets;
  int64_t rows;
  int side = kTile; // rows of a block

  __device__ int64_t begin(int64_t g) const {
    int64_t at = offsets[g];
    return at < 0 ? 0 : at > rows ? rows : at;
  }
  __device__ int64_t end(int64_t g) const { return begin(g + 1); }
  __device__ int64_t firstBlock(int64_t g) const {
    return begin(g) / side + g;
  }
  __device__ int64_t blocks(int64_t g) const {
    int64_t count = end(g) - begin(g);
    return count > 0 ? (count + side - 1) / side : 0;
  }
  /// The group that has a block; -1 for none. A warp calls it.
  __device__ int groupOf(int64_t block, int groups) const {
    return countUpTo(groups, block, [&](int64_t g) { return firstBlock(g); }) -
           1;
  }
};

/// `task`: a TileTask, or what has the same members.
template <int Side, typename Task>
__device__ inline bool locateRagged(const Task &task, int64_t slot,
                                    Place &place) {
  RaggedRows rows = {task.offsets, task.rows, Side};
  int64_t begin, end;
  if (task.member >= 0) {
    place.group = task.member;
    begin = task.offsets ? rows.begin(place.group) : task.begin;
    end = task.offsets ? rows.end(place.group) : task.end;
  } else {
    place.group = rows.groupOf(slot, task.groups);
    if (place.group < 0)
      return false;
    begin = rows.begin(place.group);
    end = rows.end(place.group);
    slot -= rows.firstBlock(place.group);
  }
  place.blockRow = begin / kTile + place.group + slot * (Side / kTile);
  place.member = 0;
  place.row = place.row0 = begin + slot * Side;
  int64_t left = end - place.row0;
  place.rows = static_cast<int>(left < Side ? left : Side);
  return left > 0;
}

/// value / divisor, with its inverse of inverseOf.
__device__ inline uint32_t divide(uint32_t value, uint32_t divisor,
                                  uint32_t inverse) {
  uint32_t quotient = __umulhi(value, inverse); // or one less
  return quotient + (value - quotient * divisor >= divisor);
}

/// Row `slot` of the tiles of a matrix or of packed ones.
template <int Side, typename Task>
__device__ inline void locatePacked(const Task &task, uint32_t slot,
                                    Place &place) {
  uint32_t member = divide(slot, task.tilesPerMember, task.perMember);
  slot -= member * task.tilesPerMember;
  place.blockRow = slot * (Side / kTile);
  place.member = task.member >= 0 ? task.member : member;
  place.group = static_cast<int>(place.member);
  place.row0 = static_cast<int64_t>(slot) * Side;
  place.row = place.member * task.rows + place.row0;
  int64_t left = task.rows - place.row0;
  place.rows = static_cast<int>(left < Side ? left : Side);
}

/// A warp calls it; false where the tile, of `Side` rows and columns, does not
/// exist.
template <int Side = kTile>
__device__ inline bool locate(const TileTask &task, uint32_t tile,
                              Place &place) {
  if (tile >= task.tiles)
    return false;
  uint32_t across = task.tilesAcross;
  uint32_t slot = divide(tile, across, task.perAcross),
           col = tile - slot * across;
  if (task.band > 1) {
    // So many rows of tiles at a time, column by column.
    uint32_t perChunk = task.band * across, chunk = tile / perChunk;
    uint32_t within = tile - chunk * perChunk, before = chunk * task.band;
    uint32_t left = static_cast<uint32_t>(task.tiles) / across - before;
    uint32_t down = left < task.band ? left : task.band;
    col = within / down;
    slot = before + within - col * down;
  }
  if (task.order) {
    int32_t ordered = task.order[slot];
    if (ordered < 0)
      return false;
    slot = ordered;
  }
  place.col0 = static_cast<int64_t>(col) * Side;
  int64_t right = task.cols - place.col0;
  place.cols = static_cast<int>(right < Side ? right : Side);
  if (task.tilesPerMember == 0)
    return locateRagged<Side>(task, slot, place);
  locatePacked<Side>(task, slot, place);
  return true;
}

/// What of memory a tile's threads need beside its elements. A warp calls it.
__device__ inline void lookUp(const TileTask &task, Place &place) {
  if (task.multipliers)
    place.multiplier =
        task.multipliers[task.multiplierPerGroup ? place.group : 0];
  place.known = task.accumulators ? __ldcg(task.accumulators + place.group) : 0;
}

/// The largest amax of all groups.
__device__ inline uint32_t largestOf(const TileTask &task, int first,
                                     int last) {
  uint32_t largest = 0;
  for (int g = first; g < last; ++g)
    largest = max(largest, __ldcg(task.accumulators + g));
  return largest;
}

/// What one thread of the last block does for group g.
__device__ inline void finishGroup(const TileArgs &args, const TileTask &task,
                                   int g, bool isLast, uint32_t largestBits) {
  float own =
      task.accumulators ? __uint_as_float(__ldcg(task.accumulators + g)) : 0.0f;
  float largest = __uint_as_float(largestBits);
  float multiplier = 1.0f;
  if (task.chosen) {
    multiplier =
        scaleFromAmax(task.choosesLargest ? largest : own, task.fp8MaxOfTensor,
                      args.epsilon, args.pow2, __uint_as_float(0x7f7fffff));
    task.chosen[g] = multiplier;
  } else if (task.multipliers) {
    multiplier = task.multipliers[task.multiplierPerGroup ? g : 0];
  }
  for (const CastOutput &out : task.out)
    if (out.kind == kWholeTensor && (out.scalePerGroup || isLast))
      out.scales[out.scalePerGroup ? g : 0] = __frcp_rn(multiplier);
  if (task.amaxOut && (task.amaxPerGroup || isLast)) {
    int at = task.amaxPerGroup ? g : 0;
    task.amaxOut[at] = fmaxf(task.amax ? task.amax[at] : 0.0f,
                             task.amaxPerGroup ? own : largest);
  }
}

/// Called by one thread when the accumulators have all that this block gives;
/// what the block stores besides may still be under way. True for the last
/// block to arrive: who does not look at once does not wait.
template <typename Args> __device__ inline bool arrive(const Args &args) {
  return addRelease(args.ticket, 1u) == gridDim.x - 1;
}

/// What lanes `thread`, `thread` + `step`, .. do for the groups of a task.
__device__ inline void finishTask(const TileArgs &args, const TileTask &task,
                                  int thread, int step) {
  int first = task.member >= 0 ? task.member : 0;
  int last = task.member >= 0 ? task.member + 1 : task.groups;
  bool needsLargest =
      task.accumulators && (task.choosesLargest || !task.amaxPerGroup);
  uint32_t largest = needsLargest ? largestOf(task, first, last) : 0;
  for (int g = first + thread; g < last; g += step)
    finishGroup(args, task, g, g == last - 1, largest);
  if (step > 1)
    __syncwarp();
  for (int g = first + thread; task.accumulators && g < last; g += step)
    task.accumulators[g] = 0;
}

/// The last block to arrive writes what depends on all of them, and leaves
/// accumulators and ticket at zero: `threads` of it, whole warps, of which the
/// first does what is no table.
template <typename Args>
__device__ inline void finish(const Args &args, int threads) {
  __threadfence();
  if (!args.table && threadIdx.x < 32)
    finishTask(args, args.task, threadIdx.x, 32);
  for (int64_t i = threadIdx.x; args.table && i < args.numTasks; i += threads)
    finishTask(args, args.table[i], 0, 1);
  if (threadIdx.x == 0)
    *args.ticket = 0;
}

/// Which tile of all a block takes.
__device__ inline uint32_t tileOfBlock(const TileArgs &) { return blockIdx.x; }

/// The task that has tile `tile` of all, which it makes one of that task's. A
/// warp calls it.
template <typename Args>
__device__ inline void fetchTask(const Args &args, const uint32_t *firstTiles,
                                 uint32_t &tile, typename Args::Task &task) {
  int index = countUpTo(args.numTasks, tile,
                        [&](int64_t i) { return firstTiles[i]; }) -
              1;
  auto *from = reinterpret_cast<const uint2 *>(args.table + index);
  auto *to = reinterpret_cast<uint2 *>(&task);
  for (int i = threadIdx.x % 32; i < int(sizeof(task) / sizeof(uint2)); i += 32)
    to[i] = from[i];
  __syncwarp();
  tile -= static_cast<uint32_t>(task.firstTile);
}

/// The body of all kernels over tiles. Other arguments than TileArgs have their
/// own tileOfBlock and finishTask.
template <typename Source, typename Sink, bool FromTable = false, typename Args>
__device__ inline void runTile(const Args &args) {
  __shared__ typename Sink::Shared shared;
  __shared__ Place place;
  __shared__ typename Args::Task fetched; // not there where nobody uses it
  __shared__ bool works;
  if (args.noop && *args.noop == 1.0f)
    return;
  const typename Args::Task &task = FromTable ? fetched : args.task;
  if (threadIdx.x < 32) {
    uint32_t tile = tileOfBlock(args);
    if (FromTable)
      fetchTask(args, args.firstTiles, tile, fetched);
    Place found;
    bool exists = locate(task, tile, found);
    if (exists)
      lookUp(task, found);
    if (threadIdx.x == 0) {
      place = found;
      works = exists;
    }
  }
  __syncthreads();
  bool isLast = false;
  if (works) {
    Source source(task, place);
    Sink sink(args, task, place, shared);
#pragma unroll 1
    for (int part = 0; part < Source::kParts; ++part) {
      typename Source::Tile piece;
      source.take(part, piece);
      if (part) {
        __syncthreads(); // the last user of `shared`
        sink.colsBefore += task.source.width;
      }
      isLast = sink.run(piece, part + 1 == Source::kParts);
    }
  } else if (args.finishes && threadIdx.x == 0) {
    isLast = arrive(args);
  }
  // Thread 0 knows; the other warps have no need to wait.
  if (args.finishes && threadIdx.x < 32 && __shfl_sync(~0u, isLast, 0))
    finish(args, 32);
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_TILE_CUH
