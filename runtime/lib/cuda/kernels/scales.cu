//===- scales.cu - scales of 8 bits in their layouts, and codes under them ===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// convert_scales of MXFP8 and NVFP4 (any number of members in one launch), their
// scales in permute, pad and unpad, and dequantize of any codes and scales.
//
//   work      swizzle_bytes: one block for 128 lines x 128 blocks, 16 KiB through
//             shared memory; permute_scales: a word, four scales, for each thread;
//             decode_rows: tiles of 128 x 128, eight elements for each thread
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
constexpr int kThreads = 256, kLines = 128, kQuads = 32;

/// Four scales of each of 128 lines, in 32 groups; an odd pitch meets all banks.
using Words = uint32_t[kLines][kQuads + 1];

/// The places of 4 x 4 bytes swapped.
__device__ void transposeBytes(uint32_t (&w)[4]) {
  uint32_t a = __byte_perm(w[0], w[1], 0x5140), b = __byte_perm(w[2], w[3], 0x5140);
  uint32_t c = __byte_perm(w[0], w[1], 0x7362), d = __byte_perm(w[2], w[3], 0x7362);
  w[0] = __byte_perm(a, b, 0x5410), w[1] = __byte_perm(a, b, 0x7632);
  w[2] = __byte_perm(c, d, 0x5410), w[3] = __byte_perm(c, d, 0x7632);
}
/// Which 16 lines and which quad a thread has of a part: two of the former and 16
/// of the latter in a warp, which fill sectors of memory and meet all banks.
struct Unit {
  int line, quad;
  __device__ Unit()
      : line((threadIdx.x % 2 + threadIdx.x / 32 % 4 * 2) * 16),
        quad(threadIdx.x / 2 % 16 + threadIdx.x / 128 * 16) {}
};

__device__ uint32_t wordOf(const uint4 &four, int w) {
  return w == 0 ? four.x : w == 1 ? four.y : w == 2 ? four.z : four.w;
}
/// 16 bytes at a multiple of 16 in scales that may begin at any multiple of 4.
__device__ uint4 loadFour(const uint8_t *from) {
  if (reinterpret_cast<uintptr_t>(from) % 16 == 0)
    return *reinterpret_cast<const uint4 *>(from);
  auto *words = reinterpret_cast<const uint32_t *>(from);
  return make_uint4(words[0], words[1], words[2], words[3]);
}
__device__ void storeFour(uint8_t *to, const uint4 &four) {
  if (reinterpret_cast<uintptr_t>(to) % 16 == 0) {
    *reinterpret_cast<uint4 *>(to) = four;
    return;
  }
#pragma unroll
  for (int w = 0; w < 4; ++w)
    reinterpret_cast<uint32_t *>(to)[w] = wordOf(four, w);
}

struct Part {
  int64_t line0, quad0; // first of the member's
  int quads;            // of the part that exist
};

/// Loads the words of a part. Beyond the data they are zero.
__device__ void loadWords(const SwizzleArgs &args, const uint8_t *from,
                          const Part &part, Words &words) {
  auto masked = [&](uint32_t word, int line, int quad) {
    int64_t left = args.blocks - (part.quad0 + quad) * 4;
    if (part.line0 + line >= args.outer || left <= 0)
      return 0u;
    return left >= 4 ? word : word & ((1u << (8 * left)) - 1);
  };
  if (args.fromSwizzled) {
    int lane = threadIdx.x % 32;
#pragma unroll 4
    for (int quad = threadIdx.x / 32; quad < part.quads; quad += kThreads / 32) {
      int64_t tile =
          part.line0 / kLines * (args.paddedBlocks / 4) + part.quad0 + quad;
      uint4 held = loadFour(from + tile * 512 + lane * 16);
      words[lane][quad] = masked(held.x, lane, quad);
      words[lane + 32][quad] = masked(held.y, lane + 32, quad);
      words[lane + 64][quad] = masked(held.z, lane + 64, quad);
      words[lane + 96][quad] = masked(held.w, lane + 96, quad);
    }
  } else if (args.outerDense) {
    Unit unit;
    if (unit.quad >= part.quads)
      return;
    uint4 held[4];
#pragma unroll
    for (int b = 0; b < 4; ++b)
      held[b] = loadFour(from + ((part.quad0 + unit.quad) * 4 + b) *
                                    args.paddedOuter +
                         part.line0 + unit.line);
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      uint32_t four[4];
#pragma unroll
      for (int b = 0; b < 4; ++b)
        four[b] = wordOf(held[b], w);
      transposeBytes(four);
#pragma unroll
      for (int i = 0; i < 4; ++i)
        words[unit.line + 4 * w + i][unit.quad] =
            masked(four[i], unit.line + 4 * w + i, unit.quad);
    }
  } else if (args.paddedBlocks % 16 == 0) {
#pragma unroll
    for (int round = 0; round < 4; ++round) {
      int line = round * 32 + threadIdx.x / 8, quad = threadIdx.x % 8 * 4;
      if (quad >= part.quads)
        continue;
      uint4 held = loadFour(from + (part.line0 + line) * args.paddedBlocks +
                            (part.quad0 + quad) * 4);
#pragma unroll
      for (int w = 0; w < 4; ++w)
        words[line][quad + w] = masked(wordOf(held, w), line, quad + w);
    }
  } else {
#pragma unroll 8
    for (int round = 0; round < kLines * kQuads / kThreads; ++round) {
      int line = round * (kThreads / kQuads) + threadIdx.x / kQuads;
      int quad = threadIdx.x % kQuads;
      if (quad < part.quads)
        words[line][quad] =
            masked(*reinterpret_cast<const uint32_t *>(
                       from + (part.line0 + line) * args.paddedBlocks +
                       (part.quad0 + quad) * 4),
                   line, quad);
    }
  }
}

__device__ void storeWords(const SwizzleArgs &args, uint8_t *to,
                           const Part &part, const Words &words) {
  if (args.toSwizzled) {
    int lane = threadIdx.x % 32;
#pragma unroll 4
    for (int quad = threadIdx.x / 32; quad < part.quads; quad += kThreads / 32) {
      int64_t tile =
          part.line0 / kLines * (args.paddedBlocks / 4) + part.quad0 + quad;
      storeFour(to + tile * 512 + lane * 16,
                make_uint4(words[lane][quad], words[lane + 32][quad],
                           words[lane + 64][quad], words[lane + 96][quad]));
    }
  } else if (args.outerDense) {
    Unit unit;
    if (unit.quad >= part.quads)
      return;
    uint32_t out[4][4]; // of each block
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      uint32_t four[4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        four[i] = words[unit.line + 4 * w + i][unit.quad];
      transposeBytes(four);
#pragma unroll
      for (int b = 0; b < 4; ++b)
        out[b][w] = four[b];
    }
#pragma unroll
    for (int b = 0; b < 4; ++b)
      storeFour(to + ((part.quad0 + unit.quad) * 4 + b) * args.paddedOuter +
                    part.line0 + unit.line,
                make_uint4(out[b][0], out[b][1], out[b][2], out[b][3]));
  } else if (args.paddedBlocks % 16 == 0) {
#pragma unroll
    for (int round = 0; round < 4; ++round) {
      int line = round * 32 + threadIdx.x / 8, quad = threadIdx.x % 8 * 4;
      if (quad < part.quads)
        storeFour(to + (part.line0 + line) * args.paddedBlocks +
                      (part.quad0 + quad) * 4,
                  make_uint4(words[line][quad], words[line][quad + 1],
                             words[line][quad + 2], words[line][quad + 3]));
    }
  } else {
#pragma unroll 8
    for (int round = 0; round < kLines * kQuads / kThreads; ++round) {
      int line = round * (kThreads / kQuads) + threadIdx.x / kQuads;
      int quad = threadIdx.x % kQuads;
      if (quad < part.quads)
        *reinterpret_cast<uint32_t *>(
            to + (part.line0 + line) * args.paddedBlocks +
            (part.quad0 + quad) * 4) = words[line][quad];
    }
  }
}
} // namespace

extern "C" __global__ void __launch_bounds__(kThreads)
    swizzle_bytes(const __grid_constant__ SwizzleArgs args) {
  __shared__ Words words;
  int64_t quads = args.paddedBlocks / 4;
  uint32_t across = static_cast<uint32_t>((quads + kQuads - 1) / kQuads);
  uint32_t down = static_cast<uint32_t>(args.paddedOuter / kLines);
  uint32_t row = blockIdx.x / across, member = row / down;
  Part part;
  part.quad0 = int64_t(blockIdx.x - row * across) * kQuads;
  part.line0 = int64_t(row - member * down) * kLines;
  part.quads = static_cast<int>(
      quads - part.quad0 < kQuads ? quads - part.quad0 : kQuads);
  loadWords(args, args.from + member * args.memberBytes, part, words);
  __syncthreads();
  storeWords(args, args.to + member * args.memberBytes, part, words);
}

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

/// The values of eight codes from element `first` on, of which `count` exist.
__device__ void loadCodes(const DecodeArgs &args, int64_t first, int count,
                          float (&values)[8]) {
  bool fp4 = args.valueType == TE_RT_F4E2M1;
  auto *codes = static_cast<const uint8_t *>(args.task.source.input) +
                (fp4 ? first / 2 : first);
  int bytes = fp4 ? count / 2 : count;
  uint2 words = make_uint2(0, 0);
  if (count == 8 && reinterpret_cast<uintptr_t>(codes) % (fp4 ? 4 : 8) == 0) {
    if (fp4)
      words.x = *reinterpret_cast<const uint32_t *>(codes);
    else
      words = *reinterpret_cast<const uint2 *>(codes);
  } else {
#pragma unroll
    for (int b = 0; b < 8; ++b)
      if (b < bytes)
        (b < 4 ? words.x : words.y) |= uint32_t(codes[b]) << (b % 4 * 8);
  }
  if (fp4) {
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

/// Eight neighbours of a row from column `col` on, which is in block `across`.
template <typename T>
__device__ void decodeEight(const DecodeArgs &args, const Place &place,
                            const ScaleOf &scales, int64_t row, int64_t col,
                            int64_t across, int count, float factor) {
  int64_t first = (place.member * args.task.rows + row) * args.task.cols + col;
  bool perTensor = args.blockRows == 0;
  bool shared = perTensor || args.blockCols % 8 == 0;
  float scale = perTensor ? static_cast<const float *>(
                                args.scales)[args.perGroup ? place.group : 0]
                          : scales.at(row, across);
  float values[8];
  loadCodes(args, first, count, values);
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    if (!shared && j && j < count)
      scale = scales.at(row, scales.across(col + j));
    values[j] = __fmul_rn(__fmul_rn(values[j], scale), factor);
  }
  T *to = static_cast<T *>(args.task.output) + first;
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
  ScaleOf scales(args, place);
  int col = threadIdx.x % 16 * 8;
  if (col >= place.cols)
    return;
  int64_t across = args.blockRows ? scales.across(place.col0 + col) : 0;
  int count = min(place.cols - col, 8);
#pragma unroll 4
  for (int row = threadIdx.x / 16; row < place.rows; row += kThreads / 16)
    decodeEight<T>(args, place, scales, place.row0 + row, place.col0 + col,
                   across, count, factor);
}
} // namespace

extern "C" __global__ void __launch_bounds__(kThreads)
    decode_rows_bf16(const __grid_constant__ DecodeArgs args) {
  decodeTile<BF16>(args);
}
extern "C" __global__ void __launch_bounds__(kThreads)
    decode_rows_f32(const __grid_constant__ DecodeArgs args) {
  decodeTile<float>(args);
}
