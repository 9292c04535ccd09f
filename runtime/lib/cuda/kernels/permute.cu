//===- permute.cu - moves of rows -----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// permute (with padding, scales and probabilities), unpermute, pad and unpad.
// One launch each.
//
//   work      one block for each token (permute, unpermute) or row (pad): a row
//             is read once and written as often as it is routed; only rows that
//             padding adds are zeroed. Scales whose rows are neighbours go out
//             by clusters of tokens, sorted by row, so that they fill sectors
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

/// Where the tokens of a cluster go, in the order of the rows, which
/// neighbouring tokens of an expert have side by side. All threads call it; it
/// returns how many there are.
struct SortedPairs {
  __align__(16) int32_t rows[kClusterPairs];
  int16_t sorted[kClusterPairs];

  __device__ int sort(const PermuteArgs &args, int64_t firstToken, int pairs) {
    constexpr int32_t kNowhere = 0x7fffffff;
    const int32_t *map = args.rowMap + firstToken * args.slots;
    int count = 0;
    for (int base = 0; base < kClusterPairs; base += blockDim.x) {
      int p = base + threadIdx.x;
      int32_t row = p < pairs ? map[p] : -1;
      bool exists = row >= 0 && row < args.capacity;
      if (p < kClusterPairs) {
        rows[p] = exists ? row : kNowhere;
        sorted[p] = -1; // where a map names a row twice
      }
      count += __syncthreads_count(exists);
    }
    for (int p = threadIdx.x; p < pairs; p += blockDim.x) {
      int32_t row = rows[p];
      int rank = 0;
#pragma unroll 8
      for (int q = 0; q < kClusterPairs; q += 4) {
        int4 others = *reinterpret_cast<const int4 *>(rows + q);
        rank += (others.x < row) + (others.y < row) + (others.z < row) +
                (others.w < row);
      }
      if (row != kNowhere)
        sorted[rank] = static_cast<int16_t>(p);
    }
    __syncthreads();
    return count;
  }
};

/// Moves the scales of a cluster of tokens to a matrix where those of
/// neighbouring rows are neighbours: together they fill whole sectors.
template <typename T>
__device__ void spreadScales(const PermuteArgs &args, const RowScales &scales,
                             int64_t cluster) {
  __shared__ SortedPairs pairs;
  int64_t first = cluster * args.clusterTokens;
  int slots = static_cast<int>(args.slots);
  int tokens =
      static_cast<int>(min(args.tokens - first, int64_t(args.clusterTokens)));
  int count = pairs.sort(args, first, tokens * slots);
  for (int s = threadIdx.x; s < count; s += blockDim.x) {
    int p = pairs.sorted[s];
    if (p < 0)
      continue;
    auto *from = static_cast<const T *>(scales.from) +
                 (first + p / slots) * scales.fromRow;
    auto *to = static_cast<T *>(scales.to) + pairs.rows[p] * scales.toRow;
#pragma unroll 8
    for (int64_t j = 0; j < scales.cols; ++j)
      to[j * scales.toCol] = from[j * scales.fromCol];
  }
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
  int64_t token = int64_t(blockIdx.x) - args.clusters;
  if (token < 0) {
    if (args.scales.size == 4)
      spreadScales<uint32_t>(args, args.scales, blockIdx.x);
    else
      spreadScales<uint8_t>(args, args.scales, blockIdx.x);
    return;
  }
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
            held[a] = __ldcs(from + base + a * blockDim.x);
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
    if (args.clusters || !args.scales.from)
      continue;
    __syncthreads(); // `targets`, where a row has no words
    for (int r = 0; r < targets.count; ++r)
      moveScales(args.scales, token, targets.rows[r]);
  }
}

//===----------------------------------------------------------------------===//
// permute_quantize to rows alone: a token is read and cast once
//===----------------------------------------------------------------------===//

namespace {
/// 16 elements as codes.
template <bool E5M2>
__device__ uint4 castWords(const uint4 (&words)[2], float scale) {
  uint32_t codes[4];
#pragma unroll
  for (int q = 0; q < 4; ++q) {
    const uint4 &from = words[q / 2];
    uint32_t first = q % 2 ? from.z : from.x, second = q % 2 ? from.w : from.y;
    codes[q] = encodeFour<E5M2>(
        __fmul_rn(lowOf(first), scale), __fmul_rn(highOf(first), scale),
        __fmul_rn(lowOf(second), scale), __fmul_rn(highOf(second), scale));
  }
  return make_uint4(codes[0], codes[1], codes[2], codes[3]);
}

__device__ float scaleFor(const ScatterCastArgs &args, float amax) {
  return scaleFromAmax(amax, args.e5m2 ? 57344.0f : 448.0f, args.epsilon,
                       args.pow2, args.overflow);
}
} // namespace

/// Columns are a multiple of 16, all rows aligned to 16 bytes. A thread takes
/// 16 columns at a time, eight neighbours a block of 128.
extern "C" __global__ void __launch_bounds__(kRowThreads)
    scatter_cast_bf16(const __grid_constant__ ScatterCastArgs args) {
  constexpr int kAhead = 2;
  __shared__ Targets targets;
  const PermuteArgs &rows = args.rows;
  int64_t token = blockIdx.x;
  if (token >= rows.tokens) {
    float inverse = __frcp_rn(scaleFor(args, 0.0f));
    forPads(rows, token - rows.tokens, [&](int64_t row) {
      for (int64_t i = threadIdx.x; i < rows.cols / 16; i += blockDim.x)
        reinterpret_cast<uint4 *>(args.values + row * rows.cols)[i] =
            make_uint4(0, 0, 0, 0);
      for (int64_t j = threadIdx.x; j < (rows.cols + 127) / 128;
           j += blockDim.x)
        args.scales[row * args.strideRow + j * args.strideCol] = inverse;
    });
    return;
  }
  auto *input = reinterpret_cast<const uint4 *>(
      static_cast<const BF16 *>(rows.input) + token * rows.cols);
  int64_t chunks = rows.cols / 16, blocks = (rows.cols + 127) / 128;
  bool isLast = false;
  for (int64_t slot0 = 0; slot0 < rows.slots; slot0 += 32) {
    __syncthreads(); // the last users of `targets`
    targets.find(rows, token, slot0);
    // Whole warps go round together: eight lanes share a block of 128.
    for (int64_t base = threadIdx.x; base - threadIdx.x < chunks;
         base += kAhead * blockDim.x) {
      uint4 words[kAhead][2] = {};
#pragma unroll
      for (int a = 0; a < kAhead; ++a) {
        int64_t chunk = base + a * blockDim.x;
        if (chunk < chunks) {
          words[a][0] = __ldcs(input + 2 * chunk);
          words[a][1] = __ldcs(input + 2 * chunk + 1);
        }
      }
      if (base == threadIdx.x)
        __syncthreads(); // `targets` is there
      uint4 codes[kAhead];
#pragma unroll
      for (int a = 0; a < kAhead; ++a) {
        int64_t chunk = base + a * blockDim.x;
        uint32_t pair = words[a][0].x;
        pair = maxMagnitude(pair, words[a][0].y);
        pair = maxMagnitude(pair, words[a][0].z);
        pair = maxMagnitude(pair, words[a][0].w);
        pair = maxMagnitude(maxMagnitude(pair, words[a][1].x),
                            maxMagnitude(words[a][1].y, words[a][1].z));
        pair = maxMagnitude(pair, words[a][1].w);
#pragma unroll
        for (int step = 1; step < 8; step *= 2)
          pair = maxMagnitude(pair, __shfl_xor_sync(~0u, pair, step));
        float scale = scaleFor(args, amaxOfPair(pair));
        codes[a] = args.e5m2 ? castWords<true>(words[a], scale)
                             : castWords<false>(words[a], scale);
        if (chunk >= chunks)
          continue;
        float inverse = __frcp_rn(scale);
        if (rows.clusters) {
          if (slot0 == 0 && chunk % 8 == 0)
            args.tokenScales[token * blocks + chunk / 8] = inverse;
          continue;
        }
        // The lanes of a block, fewer than eight at the edge, share its rows.
        int lanes = static_cast<int>(min(chunks - chunk / 8 * 8, int64_t(8)));
        for (int r = threadIdx.x % 8; r < targets.count; r += lanes)
          args.scales[targets.rows[r] * args.strideRow +
                      chunk / 8 * args.strideCol] = inverse;
      }
      // The scales are all there before values are stored: nobody waits for
      // these.
      if (rows.clusters && slot0 == 0 &&
          base - threadIdx.x + kAhead * blockDim.x >= chunks) {
        __syncthreads();
        int64_t cluster = token / rows.clusterTokens;
        int64_t left = rows.tokens - cluster * rows.clusterTokens;
        if (threadIdx.x == 0)
          isLast = addRelease(args.tickets + cluster, 1u) ==
                   min(left, int64_t(rows.clusterTokens)) - 1;
      }
      int count = targets.count;
#pragma unroll 4
      for (int r = 0; r < count; ++r) {
        auto *to = reinterpret_cast<uint4 *>(args.values +
                                             targets.rows[r] * rows.cols);
#pragma unroll
        for (int a = 0; a < kAhead; ++a)
          if (base + a * blockDim.x < chunks)
            __stcs(to + base + a * blockDim.x, codes[a]);
      }
    }
  }
  // The last token of a cluster spreads the scales of all.
  if (!rows.clusters || !__syncthreads_or(isLast))
    return;
  __threadfence();
  int64_t cluster = token / rows.clusterTokens;
  if (threadIdx.x == 0)
    args.tickets[cluster] = 0;
  spreadScales<float>(rows, rows.scales, cluster);
}

//===----------------------------------------------------------------------===//
// unpermute
//===----------------------------------------------------------------------===//

namespace {
/// Rows of a token, the last one first; sums begin at +0.
template <typename T> __device__ void unpermuteRows(const PermuteArgs &args) {
  extern __shared__ int32_t sorted[]; // [slots], then [slots] unsorted
  int64_t token = blockIdx.x;
  int slots = static_cast<int>(args.slots);
  int32_t *unsorted = sorted + slots;
  for (int s = threadIdx.x; s < slots; s += blockDim.x) {
    int32_t row = args.rowMap[token * slots + s];
    bool exists = row >= 0 && row < args.capacity;
    unsorted[s] = exists ? row : -1;
    if (args.outProbs)
      args.outProbs[token * slots + s] = exists ? args.probs[row] : 0.0f;
  }
  __syncthreads();
  for (int s = threadIdx.x; s < slots; s += blockDim.x) {
    int32_t row = unsorted[s];
    int rank = 0;
    for (int other = 0; other < slots; ++other)
      rank += unsorted[other] > row || (unsorted[other] == row && other < s);
    sorted[rank] = row;
  }
  __syncthreads();
  int count = 0;
  while (count < slots && sorted[count] >= 0)
    ++count;
  auto *input = static_cast<const T *>(args.input);
  auto *output = static_cast<T *>(args.output) + token * args.cols;
  constexpr int kWidth = 16 / sizeof(T);
  bool vector =
      (reinterpret_cast<uintptr_t>(args.input) |
       reinterpret_cast<uintptr_t>(args.output) | args.cols * sizeof(T)) %
          16 ==
      0;
  if (!vector) {
    for (int64_t j = threadIdx.x; j < args.cols; j += blockDim.x) {
      float sum = 0.0f;
      for (int s = 0; s < count; ++s)
        sum += toFloat(input[sorted[s] * args.cols + j]);
      output[j] = fromFloat<T>(sum);
    }
    return;
  }
  for (int64_t i = threadIdx.x; i < args.cols / kWidth; i += blockDim.x) {
    float sums[kWidth] = {};
    constexpr int kAhead = 8; // loads in flight
    for (int s0 = 0; s0 < count; s0 += kAhead) {
      uint4 words[kAhead];
#pragma unroll
      for (int a = 0; a < kAhead; ++a)
        if (s0 + a < count)
          words[a] = __ldcs(reinterpret_cast<const uint4 *>(
                                input + sorted[s0 + a] * args.cols) +
                            i);
#pragma unroll
      for (int a = 0; a < kAhead; ++a)
        if (s0 + a < count)
          add(sums, words[a], T());
    }
    reinterpret_cast<uint4 *>(output)[i] = pack(sums);
  }
}
} // namespace

extern "C" __global__ void __launch_bounds__(kRowThreads)
    unpermute_bf16(const __grid_constant__ PermuteArgs args) {
  unpermuteRows<BF16>(args);
}
extern "C" __global__ void __launch_bounds__(kRowThreads)
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
