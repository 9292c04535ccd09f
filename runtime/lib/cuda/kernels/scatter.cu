//===- scatter.cu - rows of tokens to where they are routed ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// permute (with padding, scales and probabilities) and permute_quantize to rows
// in blocks of 1 x 128, where rows are whole words of 16 bytes; permute.cu has
// the rest. One launch each, two where many scales move.
//
//   work      one block for some tokens, and a part of the columns where rows
//             are long or few. A warp brings a token's row to shared memory in
//             one copy, casts it there, and stores it as often as it is routed,
//             each by one copy. Scales whose rows are neighbours in memory are
//             gathered by a second kernel, in tiles of 128 rows, since single
//             words of scattered rows cost as much as a third of the values
//   moves     permute: T + R rows of T tokens and R routed ones; 16384 of
//             7168 BF16, top 8: 2.1 GB; FP8 and scales: 1.1 GB; cast: 1.2 GB
//   bound     memory; scattered rows run at 3.8 TB/s on an H200
//   measured  docs/Benchmarks.md, rows permute and permute_quantize
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/bulk.cuh"
#include "cuda/kernels/numeric.cuh"
#include "cuda/kernels/params.h"

using namespace te_rt::cuda;

namespace {
constexpr int kThreads = kScatterThreads, kWarps = kThreads / 32;
constexpr int32_t kNowhere = 0x7fffffff;

/// Where the tokens of a block go.
struct Pairs {
  int32_t rows[kBlockPairs]; // kNowhere: not routed
  uint64_t arrivals[kWarps];

  /// Reads those of `tokens` of the map; all threads call it. One block of
  /// those that share tokens tells what it moves besides their rows.
  __device__ void load(const ScatterArgs &args, int64_t first, int tokens,
                       bool tells) {
    int slots = static_cast<int>(args.rows.slots), count = tokens * slots;
    for (int p = threadIdx.x; p < count; p += kThreads) {
      int64_t pair = first * slots + p;
      int32_t row = args.rows.rowMap[pair];
      bool exists = row >= 0 && row < args.rows.capacity;
      rows[p] = exists ? row : kNowhere;
      if (!exists || !tells)
        continue;
      if (args.rows.outProbs)
        args.rows.outProbs[row] = args.rows.probs[pair];
      if (args.rowTokens)
        args.rowTokens[row] = static_cast<int32_t>(first + p / slots);
    }
    __syncthreads();
  }
};

/// The part of the rows and of their scales that a block moves.
struct Part {
  int64_t from, to; // bytes of a row, as it is read and as it is stored
  uint32_t bytes, stored;
  int firstScale, scales;

  __device__ Part(const ScatterArgs &args, int chunk, bool casts) {
    from = int64_t(chunk) * args.chunkBytes;
    bytes = static_cast<uint32_t>(
        min(int64_t(args.chunkBytes), args.readBytes - from));
    to = casts ? from / 2 : from;
    stored = casts ? bytes / 2 : bytes;
    firstScale = chunk * args.chunkScales;
    scales = static_cast<int>(
        min(int64_t(args.chunkScales), args.rows.scales.cols - firstScale));
  }
};

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

__device__ float scaleFor(const ScatterArgs &args, float amax) {
  return scaleFromAmax(amax, args.e5m2 ? 57344.0f : 448.0f, args.epsilon,
                       args.pow2, args.overflow);
}

/// Casts a row in place, which a warp calls, and leaves the inverses of its
/// scales: eight neighbouring lanes share a block of 128. Codes overwrite what
/// all lanes have read.
__device__ void castRow(const ScatterArgs &args, uint4 *row, int bytes,
                        float *inverses) {
  constexpr int kAhead = 2;
  int lane = threadIdx.x % 32, chunks = bytes / 32; // of 16 elements
#pragma unroll 1
  for (int base = lane; base - lane < chunks; base += 32 * kAhead) {
    uint4 words[kAhead][2] = {}, codes[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (base + 32 * a < chunks) {
        words[a][0] = row[2 * (base + 32 * a)];
        words[a][1] = row[2 * (base + 32 * a) + 1];
      }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const uint4 &x = words[a][0], &y = words[a][1];
      uint32_t pair = maxMagnitude(
          maxMagnitude(maxMagnitude(x.x, x.y), maxMagnitude(x.z, x.w)),
          maxMagnitude(maxMagnitude(y.x, y.y), maxMagnitude(y.z, y.w)));
#pragma unroll
      for (int step = 1; step < 8; step *= 2)
        pair = maxMagnitude(pair, __shfl_xor_sync(~0u, pair, step));
      float scale = scaleFor(args, amaxOfPair(pair));
      codes[a] = args.e5m2 ? castWords<true>(words[a], scale)
                           : castWords<false>(words[a], scale);
      if (lane % 8 == 0 && base + 32 * a < chunks)
        inverses[(base + 32 * a) / 8] = __frcp_rn(scale);
    }
    __syncwarp();
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (base + 32 * a < chunks)
        row[base + 32 * a] = codes[a];
  }
}

/// Rows side by side.
struct Rows {
  int64_t begin;
  int count;
};
/// Those that padding adds to group g; none behind the last group.
__device__ Rows padsOf(const PermuteArgs &rows, int g) {
  if (g >= rows.groups)
    return {0, 0};
  int64_t begin = max(rows.offsets[g], 0) + int64_t(max(rows.counts[g], 0));
  int64_t end = min(int64_t(rows.offsets[g + 1]), rows.capacity);
  return {begin, static_cast<int>(max(end - begin, int64_t(0)))};
}

/// The sum over threads before this one; `total`: over all, which call it.
__device__ int sumBefore(int value, int (&warps)[kWarps], int &total) {
  int lane = threadIdx.x % 32, sum = value;
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    int other = __shfl_up_sync(~0u, sum, step);
    sum += lane >= step ? other : 0;
  }
  __syncthreads(); // the last reader of `warps`
  if (lane == 31)
    warps[threadIdx.x / 32] = sum;
  __syncthreads();
  int before = sum - value;
  total = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    before += w < static_cast<int>(threadIdx.x) / 32 ? warps[w] : 0;
    total += warps[w];
  }
  return before;
}

/// Rows that padding adds: zeros, of which so many bytes are there, and the scales
/// of zeros.
__device__ void zeroRows(const ScatterArgs &args, Rows pads, const uint4 *zeros,
                         int zeroBytes) {
  const PermuteArgs &rows = args.rows;
  int64_t bytes = rows.rowBytes * pads.count;
  auto *to = static_cast<uint8_t *>(rows.output) + pads.begin * rows.rowBytes;
  for (int64_t at = int64_t(threadIdx.x) * zeroBytes; at < bytes;
       at += int64_t(kThreads) * zeroBytes)
    bulk::store(to + at, zeros,
                static_cast<uint32_t>(min(int64_t(zeroBytes), bytes - at)));
  const RowScales &scales = rows.scales;
  for (int64_t i = threadIdx.x;
       scales.to && !args.rowTokens && i < pads.count * scales.cols;
       i += kThreads) {
    int64_t j = i / pads.count, row = pads.begin + (i - j * pads.count);
    static_cast<float *>(scales.to)[row * scales.toRow + j * scales.toCol] =
        args.padScale;
  }
  for (int r = threadIdx.x; r < pads.count; r += kThreads) {
    if (rows.outProbs)
      rows.outProbs[pads.begin + r] = 0.0f;
    if (args.rowTokens)
      args.rowTokens[pads.begin + r] = kPadRow;
  }
}

/// The share of one of `padBlocks` blocks in the rows that padding adds to all
/// groups.
__device__ void zeroPads(const ScatterArgs &args, int64_t block, uint4 *zeros) {
  __shared__ int warps[kWarps];
  __shared__ Rows found[kThreads];
  __shared__ int numFound;
  int sum = 0, total;
  for (int g = threadIdx.x; g < args.rows.groups; g += kThreads)
    sum += padsOf(args.rows, g).count;
  if (threadIdx.x == 0)
    numFound = 0;
  sumBefore(sum, warps, total);
  int share = (total + args.padBlocks - 1) / args.padBlocks;
  int64_t first = block * share, last = min(first + share, int64_t(total));
  if (first >= last)
    return;
  int zeroBytes = min(kWarps * args.chunkBytes, 4096);
  for (int i = threadIdx.x; i < zeroBytes / 16; i += kThreads)
    zeros[i] = make_uint4(0, 0, 0, 0);
  bulk::publish();
  int64_t at = 0; // pads of groups before
  for (int g = threadIdx.x; at < last; g += kThreads) {
    Rows pads = padsOf(args.rows, g);
    int64_t own = at + sumBefore(pads.count, warps, total);
    at += total;
    int64_t from = max(first - own, int64_t(0));
    int64_t to = min(last - own, int64_t(pads.count));
    if (from < to)
      found[atomicAdd(&numFound, 1)] = {pads.begin + from,
                                        static_cast<int>(to - from)};
    __syncthreads();
    for (int i = 0; i < numFound; ++i)
      zeroRows(args, found[i], zeros, zeroBytes);
    __syncthreads();
    if (threadIdx.x == 0)
      numFound = 0;
  }
  bulk::waitRead();
}

template <bool Casts> __device__ void scatter(const ScatterArgs &args) {
  __shared__ Pairs pairs;
  // Of each warp a row; then scales. Copies from odd multiples of 16 bytes take a
  // third longer.
  extern __shared__ __align__(128) uint4 words[];
  const PermuteArgs &rows = args.rows;
  // Divisions of 64 bits would take as long as a load.
  uint32_t chunks = args.chunks, blockOfTokens = blockIdx.x / chunks;
  int chunk = static_cast<int>(blockIdx.x - blockOfTokens * chunks);
  int64_t first = int64_t(blockOfTokens) * args.blockTokens;
  if (first >= rows.tokens) {
    int64_t blocks = (rows.tokens + args.blockTokens - 1) / args.blockTokens;
    return zeroPads(args, blockIdx.x - blocks * args.chunks, words);
  }
  int tokens =
      static_cast<int>(min(rows.tokens - first, int64_t(args.blockTokens)));
  int slots = static_cast<int>(rows.slots), warp = threadIdx.x / 32,
      lane = threadIdx.x % 32;
  Part part(args, chunk, Casts);
  auto *input = static_cast<const uint8_t *>(rows.input) + part.from;
  auto *output = static_cast<uint8_t *>(rows.output) + part.to;
  uint4 *own = words + warp * (args.chunkBytes / 16);
  auto *staged =
      reinterpret_cast<float *>(words + kWarps * (args.chunkBytes / 16));
  int pitch = args.chunkScales | 1;
  uint64_t &arrival = pairs.arrivals[warp];
  auto request = [&](int t) {
    bulk::load(own, input + (first + t) * args.readBytes, part.bytes, arrival);
  };
  if (lane == 0) {
    bulk::init(arrival);
    if (warp < tokens)
      request(warp);
  }
  // Where another kernel moves the scales, a cast leaves them for it.
  bool movesScales = rows.scales.to && !args.rowTokens && part.scales > 0;
  if (!Casts && movesScales)
    for (int t = warp; t < tokens; t += kWarps)
      for (int j = lane; j < part.scales; j += 32)
        staged[t * pitch + j] = static_cast<const float *>(
            rows.scales.from)[(first + t) * rows.scales.fromRow +
                              (part.firstScale + j) * rows.scales.fromCol];
  pairs.load(args, first, tokens, chunk == 0);
  uint32_t parity = 0;
#pragma unroll 1
  for (int t = warp; t < tokens; t += kWarps, parity ^= 1) {
    if (t != warp && lane == 0)
      request(t);
    bulk::wait(arrival, parity);
    if constexpr (Casts) {
      castRow(args, own, part.bytes, staged + t * pitch);
      bulk::publish();
      __syncwarp();
      for (int j = lane; args.rowTokens && j < part.scales; j += 32)
        args.tokenScales[(first + t) * rows.scales.cols + part.firstScale + j] =
            staged[t * pitch + j];
    }
    for (int s = lane; s < slots; s += 32)
      if (int32_t row = pairs.rows[t * slots + s]; row != kNowhere)
        bulk::store(output + row * rows.rowBytes, own, part.stored);
    bulk::waitRead();
    __syncwarp();
  }
  if (!movesScales)
    return;
  __syncthreads();
  auto *to = static_cast<float *>(rows.scales.to) +
             part.firstScale * rows.scales.toCol;
  for (int t = warp; t < tokens; t += kWarps)
    for (int s = 0; s < slots; ++s)
      if (int32_t row = pairs.rows[t * slots + s]; row != kNowhere)
        for (int j = lane; j < part.scales; j += 32)
          to[row * rows.scales.toRow + j * rows.scales.toCol] =
              staged[t * pitch + j];
}
} // namespace

extern "C" __global__ void __launch_bounds__(kThreads, 4)
    scatter_rows(const __grid_constant__ ScatterArgs args) {
  scatter<false>(args);
}
/// Columns are a multiple of 16, of chunks of 128; BF16.
extern "C" __global__ void __launch_bounds__(kThreads, 4)
    scatter_cast_bf16(const __grid_constant__ ScatterArgs args) {
  scatter<true>(args);
}

/// One block for 128 rows: to(row, j) = from(tokens[row], j), or `padScale`;
/// rows that no token has stay.
extern "C" __global__ void __launch_bounds__(kThreads)
    gather_scales(const __grid_constant__ GatherScalesArgs args) {
  constexpr int kRows = 128, kCols = 64;
  __shared__ int32_t tokens[kRows];
  __shared__ float tile[kCols][kRows + 1];
  const RowScales &scales = args.scales;
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int64_t first = int64_t(blockIdx.x) * kRows;
  int count = static_cast<int>(min(args.rows - first, int64_t(kRows)));
  if (threadIdx.x < kRows)
    tokens[threadIdx.x] = static_cast<int>(threadIdx.x) < count
                              ? args.tokens[first + threadIdx.x]
                              : -1;
  for (int64_t col0 = 0; col0 < scales.cols; col0 += kCols) {
    __syncthreads(); // tokens are there, and nobody reads the tile
    int cols = static_cast<int>(min(scales.cols - col0, int64_t(kCols)));
    // All loads of a warp are on their way before the first is used.
    float held[kRows / kWarps][kCols / 32];
#pragma unroll
    for (int k = 0; k < kRows / kWarps; ++k) {
      int64_t token = tokens[warp + k * kWarps];
      auto *from = static_cast<const float *>(scales.from) +
                   token * scales.fromRow + col0 * scales.fromCol;
#pragma unroll
      for (int c = 0; c < kCols / 32; ++c) {
        held[k][c] = args.padScale;
        if (token >= 0 && lane + 32 * c < cols)
          held[k][c] = __ldg(from + (lane + 32 * c) * scales.fromCol);
      }
    }
#pragma unroll
    for (int k = 0; k < kRows / kWarps; ++k)
#pragma unroll
      for (int c = 0; c < kCols / 32; ++c)
        tile[lane + 32 * c][warp + k * kWarps] = held[k][c];
    __syncthreads();
    for (int j = warp; j < cols; j += kWarps)
#pragma unroll
      for (int r = lane; r < kRows; r += 32)
        if (tokens[r] != -1)
          static_cast<float *>(scales.to)[(first + r) * scales.toRow +
                                          (col0 + j) * scales.toCol] =
              tile[j][r];
  }
}
