//===- routing.cu - which token goes where --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// routing_map, compute_offsets.
//
//   work      routing_map: one block for each part of the pairs; each counts its
//             pairs by expert, waits for all, and ranks them in order
//   moves     8 B for each pair; blocks x experts counters
//   bound     latency: two passes over a part and one meeting of all blocks, of
//             which few pairs have one
//   measured  docs/Benchmarks.md, row routing_map
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/params.h"

#include <cstdint>

using namespace te_rt::cuda;

namespace {
constexpr int kRoutingThreads = 1024;

/// A count as a multiple of `alignment`. Divisions of 64 bits take longer than
/// all else that a warp does with it.
__device__ int64_t roundUp(int32_t count, int64_t alignment) {
  if (alignment >> 31)
    return count > 0 ? alignment : 0;
  auto divisor = static_cast<uint32_t>(alignment);
  return int64_t((static_cast<uint32_t>(count) + divisor - 1) / divisor) *
         divisor;
}

/// All blocks are there before any goes on: the launch is cooperative. The
/// counters are left at zero.
__device__ void meetAll(uint32_t *tickets) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    atomicAdd(&tickets[0], 1u);
    while (atomicAdd(&tickets[0], 0u) < gridDim.x)
      __nanosleep(20);
    __threadfence();
    if (atomicAdd(&tickets[1], 1u) == gridDim.x - 1) {
      tickets[0] = 0;
      tickets[1] = 0;
    }
  }
  __syncthreads();
}
/// Adds the counts of all blocks, and of those before this one. Several threads
/// share an expert, so that most loads are on their way at once.
__device__ void addBlocks(const RoutingArgs &args, int32_t *before,
                          int32_t *total) {
  int experts = args.experts, blocks = gridDim.x;
  int sharers = max(static_cast<int>(blockDim.x) / experts, 1);
  for (int i = threadIdx.x; i < sharers * experts; i += blockDim.x) {
    int sharer = i / experts, e = i - sharer * experts;
    int32_t sum = 0, earlier = 0;
#pragma unroll 16
    for (int b = sharer; b < blocks; b += sharers) {
      int32_t count = __ldcg(args.blockCounts + b * int64_t(experts) + e);
      earlier += b < static_cast<int>(blockIdx.x) ? count : 0;
      sum += count;
    }
    atomicAdd(&before[e], earlier);
    atomicAdd(&total[e], sum);
  }
}
} // namespace

extern "C" __global__ void __launch_bounds__(kRoutingThreads)
    routing_map(const __grid_constant__ RoutingArgs args) {
  // [warps, experts] counts of each warp's pairs, then its next rank; then for
  // each expert the sum over the blocks before, and the first row.
  extern __shared__ int32_t shared[];
  int experts = args.experts, warps = args.warps;
  int32_t *own = shared, *before = own + warps * experts;
  int32_t *total = before + experts, *start = total + experts;
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int64_t begin = blockIdx.x * args.pairsPerBlock;
  int64_t end = min(begin + args.pairsPerBlock, args.pairs);
  // Each warp takes a run of pairs, so that ranks follow the pairs' order.
  auto pairs = static_cast<uint32_t>(end - begin);
  int64_t run = roundUp(static_cast<int32_t>((pairs + warps - 1) / warps), 32);
  int64_t first = begin + warp * run, last = min(first + run, end);

  for (int i = threadIdx.x; i < warps * experts; i += blockDim.x)
    own[i] = 0;
  __syncthreads();
  auto expertOf = [&](int64_t pair) {
    int expert = pair < last ? args.indices[pair] : -1;
    return expert >= 0 && expert < experts ? expert : -1;
  };
  if (warp < warps)
    for (int64_t at = first; at < last; at += 32) {
      int expert = expertOf(at + lane);
      if (expert >= 0)
        atomicAdd(&own[warp * experts + expert], 1);
    }
  __syncthreads();
  for (int e = threadIdx.x; e < experts; e += blockDim.x) {
    int32_t sum = 0;
    for (int w = 0; w < warps; ++w) {
      int32_t count = own[w * experts + e];
      own[w * experts + e] = sum;
      sum += count;
    }
    before[e] = 0;
    total[e] = gridDim.x == 1 ? sum : 0;
    if (gridDim.x > 1)
      args.blockCounts[blockIdx.x * int64_t(experts) + e] = sum;
  }
  if (gridDim.x > 1) {
    meetAll(args.tickets);
    addBlocks(args, before, total);
  }
  __syncthreads();
  for (int e = threadIdx.x; e < experts; e += blockDim.x)
    start[e] = static_cast<int32_t>(
        min(roundUp(total[e], args.alignment), args.capacity));
  __syncthreads();
  // The first row of each expert: a scan of rounded counts, no further than the
  // capacity. A lane of one warp has some neighbouring experts.
  if (warp == 0) {
    int each = (experts + 31) / 32, e0 = min(lane * each, experts),
        e1 = min(e0 + each, experts);
    int64_t size = 0;
    for (int e = e0; e < e1; ++e)
      size += start[e];
    int64_t sum = size;
    for (int step = 1; step < 32; step *= 2) {
      int64_t other = __shfl_up_sync(~0u, sum, step);
      sum += lane >= step ? other : 0;
    }
    if (blockIdx.x == 0 && lane == 31 && args.offsets)
      args.offsets[experts] = static_cast<int32_t>(min(sum, args.capacity));
    sum -= size;
    for (int e = e0; e < e1; ++e) {
      int32_t own = start[e];
      start[e] = static_cast<int32_t>(min(sum, args.capacity));
      sum += own;
    }
  }
  __syncthreads();
  if (blockIdx.x == 0)
    for (int e = threadIdx.x; e < experts; e += blockDim.x) {
      if (args.offsets)
        args.offsets[e] = start[e];
      args.counts[e] = static_cast<int32_t>(
          min(int64_t(total[e]), args.capacity - start[e]));
    }
  if (warp >= warps)
    return;
  for (int64_t at = first; at < last; at += 32) {
    int64_t pair = at + lane;
    int expert = expertOf(pair);
    unsigned alike = __match_any_sync(~0u, expert);
    int32_t rank = __popc(alike & ((1u << lane) - 1));
    int32_t next = expert >= 0 ? own[warp * experts + expert] : 0;
    __syncwarp();
    if (expert >= 0 && rank == 0)
      own[warp * experts + expert] = next + __popc(alike);
    __syncwarp();
    if (pair >= last)
      continue;
    int64_t row = -1;
    if (expert >= 0) {
      row = int64_t(start[expert]) + before[expert] + next + rank;
      if (row >= args.capacity) {
        row = -1;
        *args.overflow = 1;
      }
    }
    args.rowMap[pair] = static_cast<int32_t>(row);
  }
}

extern "C" __global__ void __launch_bounds__(32)
    compute_offsets(const __grid_constant__ OffsetsArgs args) {
  int lane = threadIdx.x;
  int64_t carry = 0;
  for (int64_t base = 0; base < args.experts; base += 32) {
    int64_t e = base + lane;
    int64_t sum = e < args.experts
                      ? roundUp(max(args.counts[e], 0), args.alignment)
                      : 0;
    for (int step = 1; step < 32; step *= 2) {
      int64_t other = __shfl_up_sync(~0u, sum, step);
      sum += lane >= step ? other : 0;
    }
    if (e < args.experts)
      args.offsets[e + 1] = static_cast<int32_t>(carry + sum);
    carry += __shfl_sync(~0u, sum, 31);
  }
  if (lane == 0)
    args.offsets[0] = 0;
}
