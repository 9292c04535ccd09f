//===- swizzle.cu - scales of 8 bits from one layout to another -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// convert_scales of MXFP8 and NVFP4, of any number of members in one launch. A
// tile of SWIZZLED scales is 32 words of 16 bytes; word r has four blocks of the
// lines r, r + 32, r + 64 and r + 96.
//
//   work      swizzle_rows and unswizzle_columns: a warp for each 128 lines x 32
//             blocks (16 where lines are dense), turned in registers. All else, where
//             that would scatter what is written: a block for 128 x 128, by way of
//             shared memory
//   moves     each scale once each way
//   bound     memory, and below a few MB the launch
//   measured  docs/Benchmarks.md, Microscaling on an H200
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/micro_scales.cuh"

using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256, kLines = 128, kQuads = 32;

/// The places of 4 x 4 bytes swapped.
__device__ void transposeBytes(uint32_t (&w)[4]) {
  uint32_t a = __byte_perm(w[0], w[1], 0x5140), b = __byte_perm(w[2], w[3], 0x5140);
  uint32_t c = __byte_perm(w[0], w[1], 0x7362), d = __byte_perm(w[2], w[3], 0x7362);
  w[0] = __byte_perm(a, b, 0x5410), w[1] = __byte_perm(a, b, 0x7632);
  w[2] = __byte_perm(c, d, 0x5410), w[3] = __byte_perm(c, d, 0x7632);
}
__device__ void unpack(const uint4 &four, uint32_t (&words)[4]) {
  words[0] = four.x, words[1] = four.y, words[2] = four.z, words[3] = four.w;
}

/// Which part of which member a warp has.
struct Part {
  const uint8_t *from;
  uint8_t *to;
  int64_t line0, quad0; // a quad: four blocks
  int64_t quads;        // in a row of the member
  bool whole;           // all of it is data

  template <int Quads> __device__ bool locate(const SwizzleArgs &args) {
    quads = args.paddedBlocks / 4;
    uint32_t across = static_cast<uint32_t>((quads + Quads - 1) / Quads);
    uint32_t down = static_cast<uint32_t>(args.paddedOuter / kLines);
    uint32_t warp = blockIdx.x * (kThreads / 32) + threadIdx.x / 32;
    uint32_t row = warp / across, member = row / down;
    if (member >= args.members)
      return false;
    quad0 = int64_t(warp - row * across) * Quads;
    line0 = int64_t(row - member * down) * kLines;
    from = args.from + member * args.memberBytes;
    to = args.to + member * args.memberBytes;
    whole = line0 + kLines <= args.outer && (quad0 + Quads) * 4 <= args.blocks;
    return true;
  }
  __device__ int64_t tile(int64_t quad) const {
    return (line0 / kLines * quads + quad) * 512;
  }
  /// Four scales of a line, with zero for what is no data.
  __device__ uint32_t masked(const SwizzleArgs &args, uint32_t word,
                             int64_t line, int64_t quad) const {
    int64_t left = args.blocks - quad * 4;
    if (line0 + line >= args.outer || left <= 0)
      return 0;
    return left >= 4 ? word : word & ((1u << (8 * left)) - 1);
  }
};
} // namespace

/// Rows of blocks to tiles: a thread has four lines of eight quads.
extern "C" __global__ void __launch_bounds__(kThreads)
    swizzle_rows(const __grid_constant__ SwizzleArgs args) {
  Part part;
  if (!part.locate<8>(args))
    return;
  int lane = threadIdx.x % 32;
  uint4 held[2][4];
#pragma unroll
  for (int half = 0; half < 2; ++half)
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (part.quad0 + 4 * half < part.quads)
        held[half][j] = *reinterpret_cast<const uint4 *>(
            part.from + (part.line0 + lane + 32 * j) * args.paddedBlocks +
            (part.quad0 + 4 * half) * 4);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    int64_t quad0 = part.quad0 + 4 * half;
    if (quad0 >= part.quads)
      break;
    uint32_t words[4][4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      unpack(held[half][j], words[j]);
      if (!part.whole)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          words[j][i] = part.masked(args, words[j][i], lane + 32 * j, quad0 + i);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
      *reinterpret_cast<uint4 *>(part.to + part.tile(quad0 + i) + lane * 16) =
          make_uint4(words[0][i], words[1][i], words[2][i], words[3][i]);
  }
}

/// Tiles to blocks whose lines are dense: a thread has 16 lines of one quad.
extern "C" __global__ void __launch_bounds__(kThreads)
    unswizzle_columns(const __grid_constant__ SwizzleArgs args) {
  Part part;
  if (!part.locate<4>(args))
    return;
  int lane = threadIdx.x % 32, line = lane % 8 * 4;
  int64_t quad = part.quad0 + lane / 8;
  if (quad >= part.quads)
    return;
  int64_t tile = part.tile(quad) + line * 16;
  uint32_t words[4][4]; // of 32 lines each
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    uint4 held = *reinterpret_cast<const uint4 *>(part.from + tile + i * 16);
    words[0][i] = held.x, words[1][i] = held.y;
    words[2][i] = held.z, words[3][i] = held.w;
  }
#pragma unroll
  for (int g = 0; g < 4; ++g) {
    if (!part.whole)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        words[g][i] = part.masked(args, words[g][i], 32 * g + line + i, quad);
    transposeBytes(words[g]);
#pragma unroll
    for (int b = 0; b < 4; ++b)
      *reinterpret_cast<uint32_t *>(
          part.to + (quad * 4 + b) * args.paddedOuter + part.line0 + 32 * g +
          line) = words[g][b];
  }
}

namespace {
/// Four scales of each of 128 lines, in 32 groups; an odd pitch meets all banks.
using Words = uint32_t[kLines][kQuads + 1];

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

struct Block {
  int64_t line0, quad0; // first of the member's
  int quads;            // of the part that exist
};

/// Loads the words of a part. Beyond the data they are zero.
__device__ void loadWords(const SwizzleArgs &args, const uint8_t *from,
                          const Block &part, Words &words) {
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
                           const Block &part, const Words &words) {
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

/// Any layouts, by way of shared memory.
extern "C" __global__ void __launch_bounds__(kThreads)
    swizzle_bytes(const __grid_constant__ SwizzleArgs args) {
  __shared__ Words words;
  int64_t quads = args.paddedBlocks / 4;
  uint32_t across = static_cast<uint32_t>((quads + kQuads - 1) / kQuads);
  uint32_t down = static_cast<uint32_t>(args.paddedOuter / kLines);
  uint32_t row = blockIdx.x / across, member = row / down;
  Block part;
  part.quad0 = int64_t(blockIdx.x - row * across) * kQuads;
  part.line0 = int64_t(row - member * down) * kLines;
  part.quads = static_cast<int>(
      quads - part.quad0 < kQuads ? quads - part.quad0 : kQuads);
  loadWords(args, args.from + member * args.memberBytes, part, words);
  __syncthreads();
  storeWords(args, args.to + member * args.memberBytes, part, words);
}
