//===- tile.cuh - kernels over tiles of 128 x 128 ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block of 256 threads takes one tile. Thread t holds rows 8 (t / 16) to + 7
// and columns 8 (t % 16) to + 7 in registers: a row of the tile is 16 threads of
// 8 elements. A Source fills these registers; a Sink takes amaxes, casts and
// stores. A fused function is another Source, so that it gives the bits of the
// functions that it fuses.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_TILE_CUH
#define TE_RUNTIME_CUDA_KERNELS_TILE_CUH

#include "cuda/kernels/numeric.cuh"
#include "cuda/kernels/params.h"

namespace te_rt {
namespace cuda {

/// Eight by eight elements of a thread, two in a register where they fit.
template <typename T> struct Piece;
template <> struct Piece<BF16> {
  uint32_t pairs[8][4];
  __device__ float get(int i, int j) const {
    return j % 2 ? highOf(pairs[i][j / 2]) : lowOf(pairs[i][j / 2]);
  }
  __device__ void setRow(int i, const float (&values)[8]) {
#pragma unroll
    for (int p = 0; p < 4; ++p)
      pairs[i][p] = packBf16(values[2 * p], values[2 * p + 1]);
  }
};
template <> struct Piece<float> {
  float values[8][8];
  __device__ float get(int i, int j) const { return values[i][j]; }
  __device__ void setRow(int i, const float (&from)[8]) {
#pragma unroll
    for (int j = 0; j < 8; ++j)
      values[i][j] = from[j];
  }
};

/// Where a block works.
struct Place {
  int64_t row0;     // first row, counted in its member
  int64_t col0;     // first column
  int64_t member;   // packed; 0 otherwise
  int64_t blockRow; // of the matrix of scales
  int group;
  int rows, cols; // of the tile that exist

  __device__ int threadRow() const { return threadIdx.x / 16 * 8; }
  __device__ int threadCol() const { return threadIdx.x % 16 * 8; }
};

/// How many of `count` values f(i) are at most `limit`; all threads call it.
template <typename F>
__device__ inline int countUpTo(int64_t count, int64_t limit, F f) {
  int found = 0;
  for (int64_t base = 0; base < count; base += kTileThreads) {
    int64_t i = base + threadIdx.x;
    found += __syncthreads_count(i < count && f(i) <= limit);
  }
  return found;
}

/// Block b of group g has row floor(offsets[g] / 128) + g + b of the scales
/// (types.h): these numbers ascend, so that they number the work as well.
__device__ inline bool locateRagged(const TileTask &task, int64_t slot,
                                    Place &place) {
  auto offset = [&](int64_t g) {
    int64_t at = task.offsets[g];
    return at < 0 ? 0 : at > task.rows ? task.rows : at;
  };
  int64_t begin, end;
  if (task.member >= 0) {
    place.group = task.member;
    begin = task.offsets ? offset(place.group) : task.begin;
    end = task.offsets ? offset(place.group + 1) : task.end;
    place.blockRow = begin / kTile + place.group + slot;
  } else {
    auto first = [&](int64_t g) { return offset(g) / kTile + g; };
    place.group = countUpTo(task.groups, slot, first) - 1;
    if (place.group < 0)
      return false;
    begin = offset(place.group);
    end = offset(place.group + 1);
    place.blockRow = slot;
    slot -= begin / kTile + place.group;
  }
  place.member = 0;
  place.row0 = begin + slot * kTile;
  int64_t left = end - place.row0;
  place.rows = static_cast<int>(left < kTile ? left : kTile);
  return left > 0;
}

__device__ inline bool locate(const TileTask &task, uint32_t tile,
                              Place &place) {
  uint32_t across = static_cast<uint32_t>(task.tilesAcross);
  uint32_t slot = tile / across;
  place.col0 = static_cast<int64_t>(tile - slot * across) * kTile;
  int64_t right = task.cols - place.col0;
  place.cols = static_cast<int>(right < kTile ? right : kTile);
  if (task.tilesPerMember == 0)
    return locateRagged(task, slot, place);
  uint32_t down = static_cast<uint32_t>(task.tilesPerMember);
  uint32_t member = slot / down;
  place.blockRow = slot - member * down;
  place.member = task.member >= 0 ? task.member : member;
  place.group = static_cast<int>(place.member);
  place.row0 = place.blockRow * kTile;
  int64_t left = task.rows - place.row0;
  place.rows = static_cast<int>(left < kTile ? left : kTile);
  return true;
}

/// The largest amax of all groups.
__device__ inline uint32_t largestOf(const TileTask &task, int first, int last) {
  uint32_t largest = 0;
  for (int g = first; g < last; ++g)
    largest = max(largest, __ldcg(task.accumulators + g));
  return largest;
}

/// What one thread of the last block does for group g.
__device__ inline void finishGroup(const TileArgs &args, const TileTask &task,
                                   int g, bool isLast, uint32_t largestBits) {
  float own = task.accumulators
                  ? __uint_as_float(__ldcg(task.accumulators + g))
                  : 0.0f;
  float largest = __uint_as_float(largestBits);
  float multiplier = 1.0f;
  if (task.chosen) {
    multiplier = scaleFromAmax(task.choosesLargest ? largest : own,
                               task.fp8MaxOfTensor, args.epsilon, args.pow2,
                               __uint_as_float(0x7f7fffff));
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

__device__ inline bool &isLastBlock() {
  __shared__ bool flag;
  return flag;
}

/// Called by one thread when the accumulators have all that this block gives;
/// what the block stores besides may still be under way.
__device__ inline void arrive(const TileArgs &args) {
  __threadfence();
  isLastBlock() = atomicAdd(args.ticket, 1u) == gridDim.x - 1;
}

/// What threads `thread`, `thread` + `step`, .. do for the groups of a task.
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
    __syncthreads();
  for (int g = first + thread; task.accumulators && g < last; g += step)
    task.accumulators[g] = 0;
}

/// The last block to arrive writes what depends on all of them, and leaves
/// accumulators and ticket at zero.
__device__ inline void finish(const TileArgs &args) {
  __syncthreads();
  if (!isLastBlock())
    return;
  __threadfence();
  if (!args.table)
    finishTask(args, args.task, threadIdx.x, kTileThreads);
  for (int64_t i = threadIdx.x; args.table && i < args.numTasks;
       i += kTileThreads)
    finishTask(args, args.table[i], 0, 1);
  if (threadIdx.x == 0)
    *args.ticket = 0;
}

/// The body of kernels over tiles whose elements are computed.
template <typename Source, typename Sink>
__device__ inline void runTile(const TileArgs &args) {
  __shared__ typename Sink::Shared shared;
  const TileTask &task = args.task;
  Place place;
  if (blockIdx.x < task.tiles && locate(task, blockIdx.x, place)) {
    Piece<typename Source::Element> pieces[Source::kParts];
    Source::load(task, place, pieces);
#pragma unroll
    for (int part = 0; part < Source::kParts; ++part) {
      Place target = place;
      target.col0 += part * task.source.width;
      Sink::run(args, task, target, pieces[part], shared,
                part + 1 == Source::kParts);
    }
  } else if (args.finishes && threadIdx.x == 0) {
    arrive(args);
  }
  if (args.finishes)
    finish(args);
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_TILE_CUH
