//===- communication.cu - moves of rows between ranks ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// dispatch_map, dispatch, combine, all_reduce, once it is known where the memory
// of the other ranks is: their own, read through NVLink, or a copy of it here.
//
//   work      dispatch: one block for each token of each rank, which leaves where
//             the token does not come here. combine: one for each token of this
//             rank. dispatch_map: two launches, a block for 1024 tokens of a rank
//   moves     each row that comes, once in and once out
//   bound     where rows come from another GPU, NVLink: 374 GB/s each way on an
//             H200; else memory
//   measured  docs/Benchmarks.md, rows dispatch and combine
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/numeric.cuh"
#include "cuda/kernels/params.h"
#include "cuda/kernels/words.cuh"

using namespace te_rt::cuda;

//===----------------------------------------------------------------------===//
// dispatch_map
//===----------------------------------------------------------------------===//

namespace {
/// Bit r: the token goes to rank r.
__device__ uint32_t destinations(const DispatchMapArgs &args, int source,
                                 int64_t token) {
  uint32_t mask = 0;
  for (int64_t s = 0; token < args.tokens && s < args.slots; ++s) {
    int32_t expert = args.indices[source][token * args.slots + s];
    if (expert >= 0 && expert < args.ranks * args.experts)
      mask |= 1u << (expert / args.experts);
  }
  return mask;
}
} // namespace

/// How many of a block's tokens go to each rank.
extern "C" __global__ void __launch_bounds__(kMapTokens)
    dispatch_count(const __grid_constant__ DispatchMapArgs args) {
  int64_t blocks = gridDim.x / args.ranks;
  int source = static_cast<int>(blockIdx.x / blocks);
  int64_t token = blockIdx.x % blocks * kMapTokens + threadIdx.x;
  uint32_t mask = destinations(args, source, token);
  for (int r = 0; r < args.ranks; ++r) {
    int count = __syncthreads_count(mask >> r & 1);
    if (threadIdx.x == 0)
      args.counts[blockIdx.x * int64_t(args.ranks) + r] = count;
  }
}

/// Rows by source, then by token.
extern "C" __global__ void __launch_bounds__(kMapTokens)
    dispatch_place(const __grid_constant__ DispatchMapArgs args) {
  __shared__ int32_t before[kMaxRanks]; // rows of blocks before this one
  __shared__ int32_t warps[32];
  int64_t blocks = gridDim.x / args.ranks;
  int source = static_cast<int>(blockIdx.x / blocks);
  int64_t token = blockIdx.x % blocks * kMapTokens + threadIdx.x;
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (warp < args.ranks) {
    int32_t sum = 0;
    for (int64_t b = lane; b < blockIdx.x; b += 32)
      sum += args.counts[b * args.ranks + warp];
    sum = __reduce_add_sync(~0u, sum);
    if (lane == 0)
      before[warp] = sum;
  }
  uint32_t mask = destinations(args, source, token);
  for (int r = 0; r < args.ranks; ++r) {
    bool toHere = r == args.rank;
    if (source != args.rank && !toHere)
      continue;
    bool goes = mask >> r & 1;
    unsigned ballot = __ballot_sync(~0u, goes);
    __syncthreads();
    if (lane == 0)
      warps[warp] = __popc(ballot);
    __syncthreads();
    int32_t row = before[r] + __popc(ballot & ((1u << lane) - 1));
    for (int w = 0; w < warp; ++w)
      row += warps[w];
    if (source == args.rank && token < args.tokens)
      args.handle[token * args.ranks + r] = goes ? row : -1;
    if (!toHere || !goes)
      continue;
    for (int64_t s = 0; s < args.slots; ++s) {
      int32_t expert = args.indices[source][token * args.slots + s];
      if (expert >= 0 && expert / args.experts == args.rank)
        args.received[row * args.slots + s] =
            static_cast<int32_t>(expert % args.experts);
    }
  }
}

//===----------------------------------------------------------------------===//
// dispatch, and the way back through messages
//===----------------------------------------------------------------------===//

namespace {
/// Loads go ahead of stores: the other end of NVLink is far away.
__device__ void copyRow(const void *from, void *to, int64_t bytes) {
  uintptr_t alignment =
      reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to) | bytes;
  if (alignment % 16 == 0) {
    constexpr int kAhead = 4;
    auto *words = static_cast<const uint4 *>(from);
    int64_t count = bytes / 16;
    for (int64_t i = threadIdx.x; i < count; i += kAhead * kRowThreads) {
      uint4 held[kAhead];
#pragma unroll
      for (int a = 0; a < kAhead; ++a)
        if (i + a * kRowThreads < count)
          held[a] = words[i + a * kRowThreads];
#pragma unroll
      for (int a = 0; a < kAhead; ++a)
        if (i + a * kRowThreads < count)
          static_cast<uint4 *>(to)[i + a * kRowThreads] = held[a];
    }
    return;
  }
  forWords(alignment, bytes, [&](auto word, int64_t i) {
    using Word = decltype(word);
    static_cast<Word *>(to)[i] = static_cast<const Word *>(from)[i];
  });
}
} // namespace

extern "C" __global__ void __launch_bounds__(kRowThreads)
    dispatch_rows(const __grid_constant__ ExchangeArgs args) {
  // Near and far rows take turns; each rank begins with another source.
  int source = static_cast<int>((blockIdx.x + args.rank) % args.ranks);
  int64_t token = blockIdx.x / args.ranks;
  int64_t row = args.handles[source][token * args.ranks + args.rank];
  if (row < 0 || row >= args.capacity)
    return;
  for (int i = 0; i < args.numItems; ++i) {
    const RowItem &item = args.items[i];
    copyRow(static_cast<const uint8_t *>(item.from[source]) +
                token * item.rowBytes,
            static_cast<uint8_t *>(item.to) + row * item.rowBytes,
            item.rowBytes);
  }
}

extern "C" __global__ void __launch_bounds__(kRowThreads)
    return_rows(const __grid_constant__ ExchangeArgs args) {
  int to = static_cast<int>(blockIdx.x / args.tokens);
  int64_t token = blockIdx.x % args.tokens;
  int64_t row = args.handles[to][token * args.ranks + args.rank];
  if (to == args.rank || row < 0 || row >= args.capacity)
    return;
  const RowItem &item = args.items[0];
  copyRow(static_cast<const uint8_t *>(item.from[args.rank]) +
              row * item.rowBytes,
          static_cast<uint8_t *>(item.to) +
              (to * args.tokens + token) * item.rowBytes,
          item.rowBytes);
}

//===----------------------------------------------------------------------===//
// combine
//===----------------------------------------------------------------------===//

namespace {
/// Rows of a token, by ascending rank; sums begin at +0.
template <typename T>
__device__ void combineRows(const ExchangeArgs &args) {
  __shared__ const T *rows[kMaxRanks];
  __shared__ int count;
  int64_t token = blockIdx.x;
  for (int i = 0; i < args.numItems; ++i) {
    const RowItem &item = args.items[i];
    __syncthreads();
    if (threadIdx.x < 32) {
      int r = threadIdx.x;
      int64_t row = r < args.ranks
                        ? args.handles[args.rank][token * args.ranks + r]
                        : -1;
      bool exists = row >= 0 && row < args.capacity;
      unsigned ballot = __ballot_sync(~0u, exists);
      if (args.staged && r != args.rank)
        row = token;
      if (exists)
        rows[__popc(ballot & ((1u << r) - 1))] =
            static_cast<const T *>(item.from[r]) + row * item.cols;
      if (r == 0)
        count = __popc(ballot);
    }
    __syncthreads();
    T *output = static_cast<T *>(item.to) + token * item.cols;
    uintptr_t alignment = reinterpret_cast<uintptr_t>(item.to) | item.rowBytes;
    for (int s = 0; s < count; ++s)
      alignment |= reinterpret_cast<uintptr_t>(rows[s]);
    if (alignment % 16) {
      for (int64_t j = threadIdx.x; j < item.cols; j += kRowThreads) {
        float sum = 0.0f;
        for (int s = 0; s < count; ++s)
          sum += toFloat(rows[s][j]);
        output[j] = fromFloat<T>(sum);
      }
      continue;
    }
    constexpr int kWidth = 16 / sizeof(T);
    for (int64_t j = threadIdx.x; j < item.cols / kWidth; j += kRowThreads) {
      float sums[kWidth] = {};
      constexpr int kAhead = 4; // loads in flight
      for (int s0 = 0; s0 < count; s0 += kAhead) {
        uint4 words[kAhead];
#pragma unroll
        for (int a = 0; a < kAhead; ++a)
          if (s0 + a < count)
            words[a] = reinterpret_cast<const uint4 *>(rows[s0 + a])[j];
#pragma unroll
        for (int a = 0; a < kAhead; ++a)
          if (s0 + a < count)
            add(sums, words[a], T());
      }
      reinterpret_cast<uint4 *>(output)[j] = pack(sums);
    }
  }
}
} // namespace

extern "C" __global__ void __launch_bounds__(kRowThreads)
    combine_bf16(const __grid_constant__ ExchangeArgs args) {
  combineRows<BF16>(args);
}
extern "C" __global__ void __launch_bounds__(kRowThreads)
    combine_f32(const __grid_constant__ ExchangeArgs args) {
  combineRows<float>(args);
}

//===----------------------------------------------------------------------===//
// all_reduce
//===----------------------------------------------------------------------===//

/// NaN loses against anything; where nothing is left but 0, this rank's own.
extern "C" __global__ void __launch_bounds__(kRowThreads)
    reduce_amax(const __grid_constant__ ReduceArgs args) {
  int64_t i = blockIdx.x * int64_t(kRowThreads) + threadIdx.x;
  if (i >= args.elements)
    return;
  float largest = __int_as_float(0x7fffffff);
  for (int r = 0; r < args.ranks; ++r)
    largest = fmaxf(largest, args.inputs[r][i]);
  bool empty = largest == 0.0f || largest != largest;
  args.output[i] = empty ? args.inputs[args.rank][i] : largest;
}
