//===- permute.cu - moves of rows -----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// permute (with padding, scales and probabilities), unpermute, pad and unpad.
// One launch each.
//
//   work      permute, where scatter.cu does not take it, one block for each
//             token: a row is read once and written as often as it is routed;
//             only rows that padding adds are zeroed. unpermute: one block for
//             each token, or several where these are few. pad: one block for each row
//   moves     permute: T + R rows of T tokens and R routed ones; 16384 tokens
//   of
//             7168 BF16, top 8: 2.1 GB
//   bound     memory; scattered rows run at 3.8 TB/s on an H200, gathered ones
//   at
//             4.34
//   measured  docs/Benchmarks.md, rows permute and unpermute
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/numeric.cuh"
#include "cuda/kernels/params.h"
#include "cuda/kernels/words.cuh"

#include <type_traits>

using namespace te_rt::cuda;

namespace {
template <typename T>
__device__ void moveScales(const RowScales &scales, int64_t fromRow,
                           int64_t toRow) {
  for (int64_t j = threadIdx.x; j < scales.cols; j += blockDim.x)
    static_cast<T *>(scales.to)[toRow * scales.toRow + j * scales.toCol] =
        fromRow < 0
            ? T(0)
            : static_cast<const T *>(
                  scales.from)[fromRow * scales.fromRow + j * scales.fromCol];
}
__device__ void moveScales(const RowScales &scales, int64_t fromRow,
                           int64_t toRow) {
  if (!scales.from)
    return;
  if (scales.size == 4)
    moveScales<uint32_t>(scales, fromRow, toRow);
  else
    moveScales<uint8_t>(scales, fromRow, toRow);
}

/// The rows that a token goes to, up to 32 of its slots at a time.
struct Targets {
  int32_t rows[32];
  int count;

  __device__ void find(const PermuteArgs &args, int64_t token, int64_t slot0) {
    if (threadIdx.x >= 32)
      return;
    int64_t slot = slot0 + threadIdx.x, pair = token * args.slots + slot;
    int32_t row = slot < args.slots ? args.rowMap[pair] : -1;
    bool routed = row >= 0 && row < args.capacity;
    unsigned ballot = __ballot_sync(~0u, routed);
    if (routed) {
      rows[__popc(ballot & ((1u << threadIdx.x) - 1))] = row;
      if (args.outProbs)
        args.outProbs[row] = args.probs[pair];
    }
    if (threadIdx.x == 0)
      count = __popc(ballot);
  }
};

/// Calls body(row) for the rows that padding adds to group g, a part of them
/// for each block.
template <typename Body>
__device__ void forPads(const PermuteArgs &args, int64_t index, Body body) {
  int64_t g = index / args.padBlocks;
  int64_t begin = max(args.offsets[g], 0) + int64_t(max(args.counts[g], 0));
  int64_t end = min(int64_t(args.offsets[g + 1]), args.capacity);
  for (int64_t row = begin + index % args.padBlocks; row < end;
       row += args.padBlocks) {
    body(row);
    if (args.outProbs && threadIdx.x == 0)
      args.outProbs[row] = 0.0f;
  }
}
} // namespace

extern "C" __global__ void __launch_bounds__(kRowThreads)
    permute_rows(const __grid_constant__ PermuteArgs args) {
  constexpr int kAhead =
      4; // words of a thread that are read before any is stored
  auto *output = static_cast<uint8_t *>(args.output);
  uintptr_t alignment = reinterpret_cast<uintptr_t>(args.input) |
                        reinterpret_cast<uintptr_t>(args.output) |
                        args.rowBytes;
  int64_t token = blockIdx.x;
  if (token >= args.tokens) {
    forPads(args, token - args.tokens, [&](int64_t row) {
      forWords(alignment, args.rowBytes, [&](auto word, int64_t i) {
        using Word = decltype(word);
        reinterpret_cast<Word *>(output + row * args.rowBytes)[i] =
            zeroOf<Word>();
      });
      moveScales(args.scales, -1, row);
    });
    return;
  }
  __shared__ Targets targets;
  for (int64_t slot0 = 0; slot0 < args.slots; slot0 += 32) {
    __syncthreads(); // the last users of `targets`
    targets.find(args, token, slot0);
    forWordType(alignment, args.rowBytes, [&](auto word, int64_t words) {
      using Word = decltype(word);
      auto *from = reinterpret_cast<const Word *>(
          static_cast<const uint8_t *>(args.input) + token * args.rowBytes);
      for (int64_t base = threadIdx.x; base - threadIdx.x < words;
           base += kAhead * blockDim.x) {
        Word held[kAhead];
#pragma unroll
        for (int a = 0; a < kAhead; ++a)
          if (base + a * blockDim.x < words)
            held[a] = __ldg(from + base + a * blockDim.x);
        if (base == threadIdx.x)
          __syncthreads(); // `targets` is there
        int count = targets.count;
#pragma unroll 4
        for (int r = 0; r < count; ++r) {
          auto *to = reinterpret_cast<Word *>(output +
                                              targets.rows[r] * args.rowBytes);
#pragma unroll
          for (int a = 0; a < kAhead; ++a)
            if (base + a * blockDim.x < words)
              __stcs(to + base + a * blockDim.x, held[a]);
        }
      }
    });
    if (!args.scales.from)
      continue;
    __syncthreads(); // `targets`, where a row has no words
    for (int r = 0; r < targets.count; ++r)
      moveScales(args.scales, token, targets.rows[r]);
  }
}

//===----------------------------------------------------------------------===//
// unpermute
//===----------------------------------------------------------------------===//

namespace {
/// Rows of a token, the last one first; sums begin at +0. Some blocks share a
/// token; each warp sorts its rows, and waits for no other.
template <typename T> __device__ void unpermuteRows(const PermuteArgs &args) {
  constexpr int kWidth = 16 / sizeof(T);
  extern __shared__ int32_t lists[]; // [slots] sorted, [slots] not, of each warp
  int slots = static_cast<int>(args.slots), lane = threadIdx.x % 32;
  auto blocks = static_cast<uint32_t>(args.blocks);
  int64_t token = blockIdx.x / blocks, part = blockIdx.x - token * blocks;
  int32_t *sorted = lists + threadIdx.x / 32 * 2 * slots;
  int32_t *unsorted = sorted + slots;
  int count = 0;
  for (int s0 = 0; s0 < slots; s0 += 32) {
    int s = s0 + lane;
    int32_t row = s < slots ? args.rowMap[token * slots + s] : -1;
    bool exists = row >= 0 && row < args.capacity;
    count += __popc(__ballot_sync(~0u, exists));
    if (s >= slots)
      continue;
    unsorted[s] = exists ? row : -1;
    if (args.outProbs && part == 0 && threadIdx.x < 32)
      args.outProbs[token * slots + s] = exists ? args.probs[row] : 0.0f;
  }
  __syncwarp();
  for (int s = lane; s < slots; s += 32) {
    int32_t row = unsorted[s];
    int rank = 0;
    for (int other = 0; other < slots; ++other)
      rank += unsorted[other] > row || (unsorted[other] == row && other < s);
    sorted[rank] = row;
  }
  __syncwarp();
  auto *input = static_cast<const T *>(args.input);
  auto *output = static_cast<T *>(args.output) + token * args.cols;
  bool vector =
      (reinterpret_cast<uintptr_t>(args.input) |
       reinterpret_cast<uintptr_t>(args.output) | args.cols * sizeof(T)) %
          16 ==
      0;
  int64_t index = part * blockDim.x + threadIdx.x,
          step = args.blocks * blockDim.x;
  if (!vector) {
    for (int64_t j = index; j < args.cols; j += step) {
      float sum = 0.0f;
      for (int s = 0; s < count; ++s)
        sum += toFloat(input[sorted[s] * args.cols + j]);
      output[j] = fromFloat<T>(sum);
    }
    return;
  }
  // Eight loads are in flight, of one word where there are many rows; without a
  // hint that they are read once they are faster by 4 %.
  int64_t words = args.cols / kWidth;
  auto sum = [&](auto perRow, int64_t i) {
    constexpr int kWords = decltype(perRow)::value, kAhead = 8 / kWords;
    float sums[kWords][kWidth] = {};
    for (int s0 = 0; s0 < count; s0 += kAhead) {
      uint4 held[kAhead][kWords];
#pragma unroll
      for (int a = 0; a < kAhead; ++a)
#pragma unroll
        for (int w = 0; w < kWords; ++w)
          if (s0 + a < count && i + w * step < words)
            held[a][w] = __ldg(reinterpret_cast<const uint4 *>(
                                   input + sorted[s0 + a] * args.cols) +
                               i + w * step);
#pragma unroll
      for (int a = 0; a < kAhead; ++a)
#pragma unroll
        for (int w = 0; w < kWords; ++w)
          if (s0 + a < count && i + w * step < words)
            add(sums[w], held[a][w], T());
    }
#pragma unroll
    for (int w = 0; w < kWords; ++w)
      if (i + w * step < words)
        reinterpret_cast<uint4 *>(output)[i + w * step] = pack(sums[w]);
  };
  if (count > 4)
    for (int64_t i = index; i < words; i += step)
      sum(std::integral_constant<int, 1>(), i);
  else
    for (int64_t i = index; i < words; i += 2 * step)
      sum(std::integral_constant<int, 2>(), i);
}
} // namespace

extern "C" __global__ void __launch_bounds__(kUnpermuteThreads, 4)
    unpermute_bf16(const __grid_constant__ PermuteArgs args) {
  unpermuteRows<BF16>(args);
}
extern "C" __global__ void __launch_bounds__(kUnpermuteThreads, 4)
    unpermute_f32(const __grid_constant__ PermuteArgs args) {
  unpermuteRows<float>(args);
}

//===----------------------------------------------------------------------===//
// pad and unpad
//===----------------------------------------------------------------------===//

/// One block for each row of the output.
extern "C" __global__ void __launch_bounds__(kRowThreads)
    move_groups(const __grid_constant__ MoveGroupsArgs args) {
  int64_t row = blockIdx.x;
  int group = -1;
  for (int base = 0; base < args.groups; base += kRowThreads) {
    int g = base + threadIdx.x;
    group += __syncthreads_count(g < args.groups && args.to[g] <= row);
  }
  // Of groups that begin here the last is the one that is not empty.
  if (group < 0 || row >= args.to[group + 1])
    return;
  int64_t within = row - args.to[group];
  int64_t source = args.from[group] + within;
  bool exists = source < args.from[group + 1] && source < args.inputRows;
  auto *from =
      static_cast<const uint8_t *>(args.input) + source * args.rowBytes;
  auto *to = static_cast<uint8_t *>(args.output) + row * args.rowBytes;
  uintptr_t alignment = reinterpret_cast<uintptr_t>(args.input) |
                        reinterpret_cast<uintptr_t>(args.output) |
                        args.rowBytes;
  forWords(alignment, args.rowBytes, [&](auto word, int64_t i) {
    using Word = decltype(word);
    reinterpret_cast<Word *>(to)[i] =
        exists ? reinterpret_cast<const Word *>(from)[i] : zeroOf<Word>();
  });
  if (args.outProbs && threadIdx.x == 0)
    args.outProbs[row] = exists ? args.probs[source] : 0.0f;
}
