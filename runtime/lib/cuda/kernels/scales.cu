//===- scales.cu - moves of 8-bit scales, and values of codes -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Scales of 8 bits in permute, pad and unpad, and dequantize of any codes and
// scales.
//
//   work      permute_scales: a word, four scales, for each thread; decode_rows:
//             tiles of 128 x 128, eight elements of eight rows for each thread
//   moves     each scale once each way; decode_rows 1 B (FP4 1/2 B) of codes and
//             2 or 4 B of the output
//   bound     memory, and below a few MB the launch
//   measured  docs/Benchmarks.md, Microscaling on an H200
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/micro_scales.cuh"
#include "cuda/kernels/microscaling.cuh"
#include "te_runtime/types.h"

using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256;
} // namespace

//===----------------------------------------------------------------------===//
// Moves of rows
//===----------------------------------------------------------------------===//

namespace {
constexpr int kPadBlocks = 4; // for each group
}

extern "C" __global__ void __launch_bounds__(kThreads)
    permute_scales(const __grid_constant__ PermuteScalesArgs args) {
  clearPadding(args.to);
  int64_t quads = args.to.paddedBlocks / 4;
  auto *from = reinterpret_cast<const uint32_t *>(args.from.scales);
  auto *to = reinterpret_cast<uint32_t *>(args.to.scales);
  int64_t padBlock = int64_t(gridDim.x) - int64_t(args.groups) * kPadBlocks;
  if (blockIdx.x >= padBlock) {
    int64_t slot = blockIdx.x - padBlock, group = slot / kPadBlocks;
    int64_t begin = args.offsets[group] + int64_t(args.counts[group]);
    int64_t end = args.offsets[group + 1];
    if (begin < 0 || end > args.capacity)
      return;
    for (int64_t i = slot % kPadBlocks * kThreads + threadIdx.x;
         i < (end - begin) * quads; i += kPadBlocks * kThreads)
      to[placeOf(args.to, begin + i / quads, i % quads * 4) / 4] = 0;
    return;
  }
  int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= args.pairs * quads)
    return;
  int64_t pair = index / quads, quad = index - pair * quads;
  int64_t row = args.rowMap[pair];
  if (row < 0 || row >= args.capacity)
    return;
  uint32_t word = from[placeOf(args.from, pair / args.slots, quad * 4) / 4];
  int64_t left = args.to.blocks - quad * 4;
  if (left < 4)
    word &= (1u << (8 * left)) - 1;
  to[placeOf(args.to, row, quad * 4) / 4] = word;
}

extern "C" __global__ void __launch_bounds__(kThreads)
    clear_rows(const __grid_constant__ ClearRowsArgs args) {
  int64_t first = args.offsets[0], last = args.offsets[args.groups];
  int64_t step = int64_t(gridDim.x) * kThreads;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
       i < args.numRows * args.rowBytes; i += step) {
    int64_t row = i / args.rowBytes;
    if (row < first || row >= last)
      args.rows[i] = 0;
  }
}

//===----------------------------------------------------------------------===//
// Values of codes
//===----------------------------------------------------------------------===//

namespace {
/// Where the scale of an element of a tile lies.
class ScaleOf {
public:
  __device__ ScaleOf(const DecodeArgs &args, const Place &place) : args(args) {
    base = place.member * args.member;
    tilesAcross = args.tilesAcross;
    rowBegin = firstBlock = 0;
    if (!args.restarts)
      return;
    rowBegin = groupBegin(args.task, place);
    int64_t rows = groupEnd(args.task, place) - rowBegin;
    int64_t perTile = int64_t(args.blockRows) * 4;
    if (args.swizzled) {
      base += args.paddedOuter * (rowBegin / perTile * 4);
      tilesAcross = (rows + perTile - 1) / perTile;
    } else {
      firstBlock = rowBegin / args.blockRows + place.group;
    }
  }
  /// The block that a column is in, of those across.
  __device__ int64_t across(int64_t col) const {
    return args.blockCols == 1 ? col : col / args.blockCols;
  }
  __device__ float at(int64_t row, int64_t across) const {
    int64_t down = row - rowBegin;
    if (args.blockRows != 1)
      down = down / args.blockRows + firstBlock;
    int64_t at = base + (args.swizzled == 0
                             ? down * args.strideRow + across * args.strideCol
                         : args.swizzled == 1
                             ? swizzledPlace(down, across, tilesAcross)
                             : swizzledPlace(across, down, tilesAcross));
    if (args.scaleType == TE_RT_F32)
      return static_cast<const float *>(args.scales)[at];
    uint32_t code = static_cast<const uint8_t *>(args.scales)[at];
    return args.scaleType == TE_RT_F8E8M0 ? valueOfE8M0(code)
                                          : valueOfE4M3(code);
  }

private:
  const DecodeArgs &args;
  int64_t base, rowBegin, firstBlock, tilesAcross;
};

/// Eight codes from element `first` on, of which `count` exist; of FP4 in x.
__device__ uint2 loadCodes(const DecodeArgs &args, int64_t first, int count) {
  bool fp4 = args.valueType == TE_RT_F4E2M1;
  auto *codes = static_cast<const uint8_t *>(args.task.source.input) +
                (fp4 ? first / 2 : first);
  if (count == 8 && reinterpret_cast<uintptr_t>(codes) % (fp4 ? 4 : 8) == 0) {
    if (fp4)
      return make_uint2(__ldcs(reinterpret_cast<const uint32_t *>(codes)), 0);
    return __ldcs(reinterpret_cast<const uint2 *>(codes));
  }
  int bytes = fp4 ? count / 2 : count;
  uint2 words = make_uint2(0, 0);
#pragma unroll
  for (int b = 0; b < 8; ++b)
    if (b < bytes)
      (b < 4 ? words.x : words.y) |= uint32_t(codes[b]) << (b % 4 * 8);
  return words;
}
__device__ void decode(const DecodeArgs &args, uint2 words,
                       float (&values)[8]) {
  if (args.valueType == TE_RT_F4E2M1) {
#pragma unroll
    for (int j = 0; j < 8; ++j)
      values[j] = valueOfFp4(words.x >> (4 * j) & 15);
    return;
  }
#pragma unroll
  for (int p = 0; p < 4; ++p) {
    float2 pair = decodePair((p < 2 ? words.x : words.y) >> (p % 2 * 16),
                             args.valueType == TE_RT_F8E5M2);
    values[2 * p] = pair.x, values[2 * p + 1] = pair.y;
  }
}
template <typename T>
__device__ void storeEight(T *to, int count, const float (&values)[8]) {
  if (count == 8 && reinterpret_cast<uintptr_t>(to) % 16 == 0) {
    if constexpr (sizeof(T) == 2) {
      *reinterpret_cast<uint4 *>(to) = make_uint4(
          packBf16(values[0], values[1]), packBf16(values[2], values[3]),
          packBf16(values[4], values[5]), packBf16(values[6], values[7]));
    } else {
      auto *words = reinterpret_cast<float4 *>(to);
      words[0] = make_float4(values[0], values[1], values[2], values[3]);
      words[1] = make_float4(values[4], values[5], values[6], values[7]);
    }
    return;
  }
#pragma unroll
  for (int j = 0; j < 8; ++j)
    if (j < count)
      to[j] = fromFloat<T>(values[j]);
}

template <typename T> __device__ void decodeTile(const DecodeArgs &args) {
  Place place;
  if (blockIdx.x >= args.task.tiles || !locate(args.task, blockIdx.x, place))
    return;
  float factor = 1.0f; // exact where there is none
  if (args.tensorAmax)
    factor = __fdiv_rn(args.tensorAmax[args.amaxPerGroup ? place.group : 0],
                       2688.0f);
  int col = threadIdx.x % 16 * 8;
  if (col >= place.cols)
    return;
  int count = min(place.cols - col, 8);
  bool perTensor = args.blockRows == 0;
  bool shared = perTensor || args.blockCols % 8 == 0;
  ScaleOf scales(args, place);
  int64_t across = perTensor ? 0 : scales.across(place.col0 + col);
  // Rows 16 apart; all of them are under way before the first is used.
  constexpr int kRows = kTile / 16;
  int row0 = threadIdx.x / 16;
  int64_t first = (place.member * args.task.rows + place.row0 + row0) *
                      args.task.cols +
                  place.col0 + col;
  uint2 codes[kRows];
  float scale[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    bool exists = row0 + r * 16 < place.rows;
    codes[r] = loadCodes(args, first + r * 16 * args.task.cols,
                         exists ? count : 0);
    scale[r] = 0.0f;
    if (exists)
      scale[r] = perTensor
                     ? static_cast<const float *>(
                           args.scales)[args.perGroup ? place.group : 0]
                     : scales.at(place.row0 + row0 + r * 16, across);
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (row0 + r * 16 >= place.rows)
      break;
    float values[8];
    decode(args, codes[r], values);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      if (!shared && j && j < count)
        scale[r] = scales.at(place.row0 + row0 + r * 16,
                             scales.across(place.col0 + col + j));
      values[j] = __fmul_rn(__fmul_rn(values[j], scale[r]), factor);
    }
    storeEight(static_cast<T *>(args.task.output) + first +
                   r * 16 * args.task.cols,
               count, values);
  }
}
} // namespace

extern "C" __global__ void __launch_bounds__(kThreads, 4)
    decode_rows_bf16(const __grid_constant__ DecodeArgs args) {
  decodeTile<BF16>(args);
}
extern "C" __global__ void __launch_bounds__(kThreads, 4)
    decode_rows_f32(const __grid_constant__ DecodeArgs args) {
  decodeTile<float>(args);
}
