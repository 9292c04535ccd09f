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
//   work      from rows to tiles, a warp for each 128 lines x 32 blocks, turned in
//             registers, back, a block for 128 blocks by way of shared memory, since
//             words of a row must be written together; where lines are dense, a
//             warp for 16 blocks. What no words of 16 bytes fit, by bytes
//   moves     each scale once each way
//   bound     memory, and below a few MB the launch
//   measured  docs/Benchmarks.md, Microscaling on an H200
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/micro_scales.cuh"

using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256, kLines = 128;

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

  /// Part number `unit` of those of `Quads` quads.
  template <int Quads>
  __device__ bool locate(const SwizzleArgs &args, uint32_t unit) {
    quads = args.paddedBlocks / 4;
    uint32_t across = static_cast<uint32_t>((quads + Quads - 1) / Quads);
    uint32_t down = static_cast<uint32_t>(args.paddedOuter / kLines);
    uint32_t row = unit / across, member = row / down;
    if (member >= args.members)
      return false;
    quad0 = int64_t(unit - row * across) * Quads;
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

__device__ uint32_t warpNumber() {
  return blockIdx.x * (kThreads / 32) + threadIdx.x / 32;
}

/// Where lines are dense, to or from tiles: a thread has 16 lines of one quad.
template <bool ToTiles> __device__ void moveColumns(const SwizzleArgs &args) {
  Part part;
  if (!part.locate<4>(args, warpNumber()))
    return;
  int lane = threadIdx.x % 32, line = lane % 8 * 4;
  int64_t quad = part.quad0 + lane / 8;
  bool exists = quad < part.quads;
  auto column = [&](int group, int block) {
    return (quad * 4 + block) * args.paddedOuter + part.line0 + 32 * group +
           line;
  };
  int64_t tile = part.tile(quad) + line * 16;
  uint32_t words[4][4]; // of a group of lines: four lines of a block, or turned
  if (ToTiles) {
#pragma unroll
    for (int g = 0; g < 4; ++g)
#pragma unroll
      for (int b = 0; b < 4; ++b)
        words[g][b] = exists ? *reinterpret_cast<const uint32_t *>(
                                   part.from + column(g, b))
                             : 0;
#pragma unroll
    for (int g = 0; g < 4; ++g)
      transposeBytes(words[g]);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      uint4 held = make_uint4(0, 0, 0, 0);
      if (exists)
        held = *reinterpret_cast<const uint4 *>(part.from + tile + i * 16);
      words[0][i] = held.x, words[1][i] = held.y;
      words[2][i] = held.z, words[3][i] = held.w;
    }
  }
  if (!part.whole)
#pragma unroll
    for (int g = 0; g < 4; ++g)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        words[g][i] = part.masked(args, words[g][i], 32 * g + line + i, quad);
  if constexpr (ToTiles) {
    // A thread has 64 bytes of a tile; to write tiles at once, 16 of each. Word
    // w of a tile lies where eight neighbours, and eight of the same i, meet all
    // banks.
    __shared__ uint4 stage[kThreads / 32][4][32];
    uint4(&tiles)[4][32] = stage[threadIdx.x / 32];
    auto place = [](int w) { return w ^ (w / 8 % 4); };
#pragma unroll
    for (int i = 0; i < 4; ++i)
      tiles[lane / 8][place(line + i)] =
          make_uint4(words[0][i], words[1][i], words[2][i], words[3][i]);
    __syncwarp();
#pragma unroll
    for (int q = 0; q < 4; ++q)
      if (part.quad0 + q < part.quads)
        *reinterpret_cast<uint4 *>(part.to + part.tile(part.quad0 + q) +
                                   lane * 16) = tiles[q][place(lane)];
  } else {
    if (!exists)
      return;
#pragma unroll
    for (int g = 0; g < 4; ++g)
      transposeBytes(words[g]);
#pragma unroll
    for (int g = 0; g < 4; ++g)
#pragma unroll
      for (int b = 0; b < 4; ++b)
        *reinterpret_cast<uint32_t *>(part.to + column(g, b)) = words[g][b];
  }
}
} // namespace

/// A thread has four lines of eight quads.
extern "C" __global__ void __launch_bounds__(kThreads)
    swizzle_rows(const __grid_constant__ SwizzleArgs args) {
  Part part;
  if (!part.locate<8>(args, warpNumber()))
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

/// A block has 128 lines of 32 quads.
extern "C" __global__ void __launch_bounds__(kThreads)
    unswizzle_rows(const __grid_constant__ SwizzleArgs args) {
  __shared__ uint32_t words[kLines][33]; // an odd pitch meets all banks
  Part part;
  part.locate<32>(args, blockIdx.x);
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int round = 0; round < 4; ++round) {
    int q = threadIdx.x / 32 + round * (kThreads / 32);
    if (part.quad0 + q >= part.quads)
      break;
    uint32_t held[4];
    unpack(*reinterpret_cast<const uint4 *>(
               part.from + part.tile(part.quad0 + q) + lane * 16),
           held);
#pragma unroll
    for (int j = 0; j < 4; ++j)
      words[lane + 32 * j][q] =
          part.whole ? held[j]
                     : part.masked(args, held[j], lane + 32 * j, part.quad0 + q);
  }
  __syncthreads();
#pragma unroll
  for (int round = 0; round < 4; ++round) {
    int line = round * 32 + threadIdx.x / 8, q = threadIdx.x % 8 * 4;
    if (part.quad0 + q < part.quads)
      *reinterpret_cast<uint4 *>(
          part.to + (part.line0 + line) * args.paddedBlocks +
          (part.quad0 + q) * 4) = make_uint4(words[line][q], words[line][q + 1],
                                             words[line][q + 2],
                                             words[line][q + 3]);
  }
}

extern "C" __global__ void __launch_bounds__(kThreads)
    swizzle_columns(const __grid_constant__ SwizzleArgs args) {
  moveColumns<true>(args);
}
extern "C" __global__ void __launch_bounds__(kThreads)
    unswizzle_columns(const __grid_constant__ SwizzleArgs args) {
  moveColumns<false>(args);
}

/// Any layouts and any memory: a thread for each place of the output.
extern "C" __global__ void __launch_bounds__(kThreads)
    move_scales(const __grid_constant__ SwizzleArgs args) {
  int64_t size = args.paddedOuter * args.paddedBlocks;
  int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= size * args.members)
    return;
  int64_t member = index / size * args.memberBytes, place = index % size;
  int64_t line = args.outerDense ? place % args.paddedOuter
                                 : place / args.paddedBlocks;
  int64_t block = args.outerDense ? place / args.paddedOuter
                                  : place % args.paddedBlocks;
  auto placeIn = [&](bool swizzled) {
    return member + (swizzled ? swizzledPlace(line, block, args.paddedBlocks / 4)
                              : place);
  };
  args.to[placeIn(args.toSwizzled)] =
      line < args.outer && block < args.blocks
          ? args.from[placeIn(args.fromSwizzled)]
          : 0;
}
