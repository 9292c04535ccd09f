//===- permute.cu - moves of rows -----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// permute (with padding, scales and probabilities), unpermute, pad and unpad. One
// launch each.
//
//   work      one block for each token (permute, unpermute) or row (pad): a row
//             is read once and written as often as it is routed; only rows that
//             padding adds are zeroed
//   moves     permute: T + R rows of T tokens and R routed ones; 16384 tokens of
//             7168 BF16, top 8: 2.1 GB
//   bound     memory; scattered rows run at 3.8 TB/s on an H200, gathered ones at
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
  for (int64_t j = threadIdx.x; j < scales.cols; j += kRowThreads)
    static_cast<T *>(scales.to)[toRow * scales.toRow + j * scales.toCol] =
        fromRow < 0 ? T(0)
                    : static_cast<const T *>(
                          scales.from)[fromRow * scales.fromRow +
                                       j * scales.fromCol];
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

/// Rows that padding adds to group g, a part of them for each block.
__device__ void zeroPads(const PermuteArgs &args, int64_t index) {
  int64_t g = index / args.padBlocks;
  int64_t begin = max(args.offsets[g], 0) + int64_t(max(args.counts[g], 0));
  int64_t end = min(int64_t(args.offsets[g + 1]), args.capacity);
  auto *output = static_cast<uint8_t *>(args.output);
  uintptr_t alignment = reinterpret_cast<uintptr_t>(output) | args.rowBytes;
  for (int64_t row = begin + index % args.padBlocks; row < end;
       row += args.padBlocks) {
    forWords(alignment, args.rowBytes, [&](auto word, int64_t i) {
      using Word = decltype(word);
      reinterpret_cast<Word *>(output + row * args.rowBytes)[i] =
          zeroOf<Word>();
    });
    moveScales(args.scales, -1, row);
    if (args.outProbs && threadIdx.x == 0)
      args.outProbs[row] = 0.0f;
  }
}
} // namespace

extern "C" __global__ void __launch_bounds__(kRowThreads)
    permute_rows(const __grid_constant__ PermuteArgs args) {
  constexpr int kSlots = 32; // rows held at a time
  __shared__ int32_t rows[kSlots];
  __shared__ int count;
  int64_t token = blockIdx.x;
  if (token >= args.tokens)
    return zeroPads(args, token - args.tokens);
  auto *input = static_cast<const uint8_t *>(args.input) + token * args.rowBytes;
  auto *output = static_cast<uint8_t *>(args.output);
  uintptr_t alignment = reinterpret_cast<uintptr_t>(args.input) |
                        reinterpret_cast<uintptr_t>(args.output) |
                        args.rowBytes;
  for (int64_t slot0 = 0; slot0 < args.slots; slot0 += kSlots) {
    if (threadIdx.x < 32) {
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
    __syncthreads();
    int routed = count;
    forWords(alignment, args.rowBytes, [&](auto word, int64_t i) {
      using Word = decltype(word);
      Word held = reinterpret_cast<const Word *>(input)[i];
      for (int r = 0; r < routed; ++r)
        reinterpret_cast<Word *>(output + rows[r] * args.rowBytes)[i] = held;
    });
    for (int r = 0; r < routed; ++r)
      moveScales(args.scales, token, rows[r]);
    __syncthreads();
  }
}

//===----------------------------------------------------------------------===//
// permute_quantize to rows alone: a token is read and cast once
//===----------------------------------------------------------------------===//

namespace {
/// A row of `cols` codes as one thread holds it: 16 at a time.
template <bool E5M2>
__device__ uint4 castWords(const uint4 (&words)[2], float scale) {
  uint32_t codes[4];
#pragma unroll
  for (int q = 0; q < 4; ++q) {
    const uint4 &from = words[q / 2];
    uint32_t first = q % 2 ? from.z : from.x, second = q % 2 ? from.w : from.y;
    codes[q] = encodePair<E5M2>(__fmul_rn(lowOf(first), scale),
                                __fmul_rn(highOf(first), scale)) |
               encodePair<E5M2>(__fmul_rn(lowOf(second), scale),
                                __fmul_rn(highOf(second), scale))
                   << 16;
  }
  return make_uint4(codes[0], codes[1], codes[2], codes[3]);
}

/// Rows that padding adds to group g: zeros and their scale.
__device__ void castPads(const ScatterCastArgs &args, int64_t index) {
  const PermuteArgs &rows = args.rows;
  int64_t g = index / rows.padBlocks;
  int64_t begin = max(rows.offsets[g], 0) + int64_t(max(rows.counts[g], 0));
  int64_t end = min(int64_t(rows.offsets[g + 1]), rows.capacity);
  float inverse = __frcp_rn(
      scaleFromAmax(0.0f, args.e5m2 ? 57344.0f : 448.0f, args.epsilon,
                    args.pow2, args.overflow));
  for (int64_t row = begin + index % rows.padBlocks; row < end;
       row += rows.padBlocks) {
    for (int64_t i = threadIdx.x; i < rows.cols / 16; i += kRowThreads)
      reinterpret_cast<uint4 *>(args.values + row * rows.cols)[i] =
          make_uint4(0, 0, 0, 0);
    for (int64_t j = threadIdx.x; j < (rows.cols + 127) / 128; j += kRowThreads)
      args.scales[row * args.strideRow + j * args.strideCol] = inverse;
    if (rows.outProbs && threadIdx.x == 0)
      rows.outProbs[row] = 0.0f;
  }
}
} // namespace

/// Columns are a multiple of 16, all rows aligned to 16 bytes.
extern "C" __global__ void __launch_bounds__(kRowThreads)
    scatter_cast_bf16(const __grid_constant__ ScatterCastArgs args) {
  constexpr int kSlots = 32;
  __shared__ int32_t targets[kSlots];
  __shared__ int count;
  const PermuteArgs &rows = args.rows;
  int64_t token = blockIdx.x;
  if (token >= rows.tokens)
    return castPads(args, token - rows.tokens);
  auto *input = reinterpret_cast<const uint4 *>(
      static_cast<const BF16 *>(rows.input) + token * rows.cols);
  int64_t chunks = rows.cols / 16;
  for (int64_t slot0 = 0; slot0 < rows.slots; slot0 += kSlots) {
    if (threadIdx.x < 32) {
      int64_t slot = slot0 + threadIdx.x, pair = token * rows.slots + slot;
      int32_t row = slot < rows.slots ? rows.rowMap[pair] : -1;
      bool routed = row >= 0 && row < rows.capacity;
      unsigned ballot = __ballot_sync(~0u, routed);
      if (routed) {
        targets[__popc(ballot & ((1u << threadIdx.x) - 1))] = row;
        if (rows.outProbs)
          rows.outProbs[row] = rows.probs[pair];
      }
      if (threadIdx.x == 0)
        count = __popc(ballot);
    }
    __syncthreads();
    int routed = count;
    // Whole warps go round together: eight lanes share a block of 128.
    for (int64_t base = 0; base < chunks; base += kRowThreads) {
      int64_t chunk = base + threadIdx.x;
      bool exists = chunk < chunks;
      uint4 words[2] = {};
      if (exists) {
        words[0] = __ldcs(input + 2 * chunk);
        words[1] = __ldcs(input + 2 * chunk + 1);
      }
      uint32_t pair = 0;
#pragma unroll
      for (int w = 0; w < 2; ++w)
        pair = maxMagnitude(
            pair, maxMagnitude(maxMagnitude(words[w].x, words[w].y),
                               maxMagnitude(words[w].z, words[w].w)));
      float amax = fmaxf(fmaxf(lowOf(pair), highOf(pair)), 0.0f);
#pragma unroll
      for (int step = 1; step < 8; step *= 2)
        amax = fmaxf(amax, __shfl_xor_sync(~0u, amax, step));
      float scale = scaleFromAmax(amax, args.e5m2 ? 57344.0f : 448.0f,
                                  args.epsilon, args.pow2, args.overflow);
      if (!exists)
        continue;
      uint4 codes = args.e5m2 ? castWords<true>(words, scale)
                              : castWords<false>(words, scale);
      for (int r = 0; r < routed; ++r)
        reinterpret_cast<uint4 *>(args.values +
                                  targets[r] * rows.cols)[chunk] = codes;
      // The lanes of a block, fewer than eight at the edge, share its rows.
      float inverse = __frcp_rn(scale);
      int lanes = static_cast<int>(min(chunks - chunk / 8 * 8, int64_t(8)));
      for (int r = threadIdx.x % 8; r < routed; r += lanes)
        args.scales[targets[r] * args.strideRow + chunk / 8 * args.strideCol] =
            inverse;
    }
    __syncthreads();
  }
}

/// For gathers: tokens[row], and what permute_quantize moves beside its rows.
extern "C" __global__ void __launch_bounds__(kRowThreads)
    invert_map(const __grid_constant__ InvertArgs args) {
  int64_t pair = blockIdx.x * int64_t(kRowThreads) + threadIdx.x;
  if (pair < args.pairs) {
    int32_t row = args.rowMap[pair];
    if (row < 0 || row >= args.capacity)
      return;
    args.tokens[row] = static_cast<int32_t>(pair / args.slots);
    if (args.outProbs)
      args.outProbs[row] = args.probs[pair];
    return;
  }
  // Blocks beyond the pairs: a warp for each group, rows that padding adds.
  int64_t beyond = (args.pairs + kRowThreads - 1) / kRowThreads * kRowThreads;
  int64_t g = (pair - beyond) / 32;
  if (pair < beyond || g >= args.groups || !args.counts || !args.outProbs)
    return;
  int64_t begin = max(args.offsets[g], 0) + int64_t(max(args.counts[g], 0));
  int64_t end = min(int64_t(args.offsets[g + 1]), args.capacity);
  for (int64_t row = begin + threadIdx.x % 32; row < end; row += 32)
    args.outProbs[row] = 0.0f;
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
  for (int s = threadIdx.x; s < slots; s += kRowThreads) {
    int32_t row = args.rowMap[token * slots + s];
    bool exists = row >= 0 && row < args.capacity;
    unsorted[s] = exists ? row : -1;
    if (args.outProbs)
      args.outProbs[token * slots + s] = exists ? args.probs[row] : 0.0f;
  }
  __syncthreads();
  for (int s = threadIdx.x; s < slots; s += kRowThreads) {
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
  bool vector = (reinterpret_cast<uintptr_t>(args.input) |
                 reinterpret_cast<uintptr_t>(args.output) |
                 args.cols * sizeof(T)) %
                    16 ==
                0;
  if (!vector) {
    for (int64_t j = threadIdx.x; j < args.cols; j += kRowThreads) {
      float sum = 0.0f;
      for (int s = 0; s < count; ++s)
        sum += toFloat(input[sorted[s] * args.cols + j]);
      output[j] = fromFloat<T>(sum);
    }
    return;
  }
  for (int64_t i = threadIdx.x; i < args.cols / kWidth; i += kRowThreads) {
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
  auto *from = static_cast<const uint8_t *>(args.input) + source * args.rowBytes;
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
