//===- swizzle.cu - scales of 8 bits from one layout to another -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// convert_scales of MXFP8 and NVFP4, of any number of members in one launch. A
// tile of SWIZZLED scales is 32 words of 16 bytes; word r has four blocks (a quad)
// of the lines r, r + 32, r + 64 and r + 96.
//
//   work      rows: a block for each 128 lines x 16, 28 or 32 quads, by way of shared
//             memory; columns, whose lines lie side by side: a warp for each 256
//             lines x 1 quad. A thread has 32 bytes
//   moves     each scale once each way
//   bound     memory, and below a few MB the launch
//   measured  docs/Benchmarks.md, Microscaling on an H200
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/micro_scales.cuh"

using namespace te_rt::cuda;

namespace {
constexpr int kLines = 128, kWords = 2; // of 16 bytes for a thread
constexpr int kColumnWarps = 4;
constexpr int kColumnTiles = 2; // of a quad, side by side, for each warp

/// Four scales of a line, with zero for what is no data.
__device__ uint32_t dataOf(const SwizzleArgs &args, uint32_t word, int64_t line,
                           int64_t quad) {
  int64_t left = args.blocks - quad * 4;
  if (line >= args.outer || left <= 0)
    return 0;
  return left >= 4 ? word : word & ((1u << (8 * left)) - 1);
}

/// Which lines and quads of which member a block has.
struct Part {
  const uint8_t *from;
  uint8_t *to;
  uint32_t quads; // in a row of the member
  uint32_t quad0;
  int64_t line0;
  bool whole; // all of it is data

  __device__ Part(const SwizzleArgs &args, int count) {
    quads = static_cast<uint32_t>(args.paddedBlocks / 4);
    uint32_t row = divide(blockIdx.x, args.across, args.perAcross);
    uint32_t member = divide(row, args.down, args.perDown);
    quad0 = (blockIdx.x - row * args.across) * count;
    line0 = int64_t(row - member * args.down) * kLines;
    from = args.from + member * args.memberBytes;
    to = args.to + member * args.memberBytes;
    whole = line0 + kLines <= args.outer && (quad0 + count) * 4 <= args.blocks;
  }
  __device__ int64_t tile(int quad) const {
    return line0 * quads * 4 + (quad0 + quad) * 512;
  }
  __device__ uint32_t masked(const SwizzleArgs &args, uint32_t word, int line,
                             int quad) const {
    return dataOf(args, word, line0 + line, quad0 + quad);
  }
};

/// Which lines and quad of which member a warp has: one quad after another.
struct ColumnPart {
  uint32_t member, quad;
  int64_t line0;
  int tiles;  // of kColumnTiles that exist
  bool whole; // all of it is data

  __device__ ColumnPart(const SwizzleArgs &args, uint32_t unit) {
    uint32_t column = divide(unit, args.across, args.perAcross);
    member = divide(column, args.down, args.perDown);
    quad = column - member * args.down;
    line0 = int64_t(unit - column * args.across) * (kColumnTiles * kLines);
    int64_t left = (args.paddedOuter - line0) / kLines;
    tiles = left < kColumnTiles ? static_cast<int>(left) : kColumnTiles;
    whole = line0 + kColumnTiles * kLines <= args.outer &&
            int64_t(quad) * 4 + 4 <= args.blocks;
  }
  __device__ uint32_t masked(const SwizzleArgs &args, uint32_t word,
                             int line) const {
    return whole ? word : dataOf(args, word, line0 + line, quad);
  }
};

/// Between rows of blocks and tiles.
template <int Quads, bool ToTiles>
__device__ void moveRows(const SwizzleArgs &args) {
  constexpr int kThreads = kLines * Quads / 4 / kWords;
  constexpr int kPitch = Quads + 1; // odd, to meet all banks
  __shared__ uint32_t stage[kLines * kPitch];
  Part part(args, Quads);
  // A word of 16 bytes is four quads of a line here, a quad of four lines there.
  auto rowWord = [&](int w, int &line, int &quad) {
    int i = w * kThreads + threadIdx.x;
    line = i / (Quads / 4), quad = i % (Quads / 4) * 4;
    return part.quad0 + quad < part.quads;
  };
  auto tileWord = [&](int w, int &line, int &quad) {
    int i = w * kThreads + threadIdx.x;
    line = i % 32, quad = i / 32;
    return part.quad0 + quad < part.quads;
  };
  auto inRow = [&](int line, int quad) {
    return (part.line0 + line) * args.paddedBlocks + (part.quad0 + quad) * 4;
  };
  uint4 held[kWords];
  int line, quad;
#pragma unroll
  for (int w = 0; w < kWords; ++w)
    if (ToTiles ? rowWord(w, line, quad) : tileWord(w, line, quad))
      held[w] = __ldg(reinterpret_cast<const uint4 *>(
          part.from +
          (ToTiles ? inRow(line, quad) : part.tile(quad) + line * 16)));
  constexpr int kLineStep = ToTiles ? 0 : 32, kQuadStep = ToTiles ? 1 : 0;
#pragma unroll
  for (int w = 0; w < kWords; ++w) {
    if (!(ToTiles ? rowWord(w, line, quad) : tileWord(w, line, quad)))
      continue;
    const uint32_t words[4] = {held[w].x, held[w].y, held[w].z, held[w].w};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      int l = line + k * kLineStep, q = quad + k * kQuadStep;
      stage[l * kPitch + q] =
          part.whole ? words[k] : part.masked(args, words[k], l, q);
    }
  }
  __syncthreads();
#pragma unroll
  for (int w = 0; w < kWords; ++w) {
    if (!(ToTiles ? tileWord(w, line, quad) : rowWord(w, line, quad)))
      continue;
    constexpr int kStep = ToTiles ? 32 * kPitch : 1;
    const uint32_t *from = stage + line * kPitch + quad;
    *reinterpret_cast<uint4 *>(
        part.to + (ToTiles ? part.tile(quad) + line * 16 : inRow(line, quad))) =
        make_uint4(from[0], from[kStep], from[2 * kStep], from[3 * kStep]);
  }
}

/// The places of 4 x 4 bytes swapped.
__device__ void transposeBytes(uint32_t (&w)[4]) {
  uint32_t a = __byte_perm(w[0], w[1], 0x5140), b = __byte_perm(w[2], w[3], 0x5140);
  uint32_t c = __byte_perm(w[0], w[1], 0x7362), d = __byte_perm(w[2], w[3], 0x7362);
  w[0] = __byte_perm(a, b, 0x5410), w[1] = __byte_perm(a, b, 0x7632);
  w[2] = __byte_perm(c, d, 0x5410), w[3] = __byte_perm(c, d, 0x7632);
}

/// Between columns of blocks, whose lines are dense, and tiles. Of each tile, a
/// thread has 16 lines of a block there and 16 bytes here.
template <bool ToTiles> __device__ void moveColumns(const SwizzleArgs &args) {
  __shared__ uint4 stages[kColumnWarps][kColumnTiles][32];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  ColumnPart part(args, blockIdx.x * kColumnWarps + warp);
  if (part.member >= args.members)
    return;
  const uint8_t *from = args.from + part.member * args.memberBytes;
  uint8_t *to = args.to + part.member * args.memberBytes;
  auto column = [&](int t) {
    return (int64_t(part.quad) * 4 + lane / 8) * args.paddedOuter + part.line0 +
           t * kLines + lane % 8 * 16;
  };
  auto tile = [&](int t) {
    return (part.line0 + t * kLines) * args.paddedBlocks + part.quad * 512 +
           lane * 16;
  };
  uint4 held[kColumnTiles];
#pragma unroll
  for (int t = 0; t < kColumnTiles; ++t)
    if (t < part.tiles)
      held[t] = __ldg(reinterpret_cast<const uint4 *>(
          from + (ToTiles ? column(t) : tile(t))));
#pragma unroll
  for (int t = 0; t < kColumnTiles; ++t) {
    if (t >= part.tiles)
      return;
    uint4 *stage = stages[warp][t];
    auto *words = reinterpret_cast<uint32_t *>(stage);
    uint32_t four[4]; // four blocks of four lines
    if (ToTiles) {
      stage[lane] = held[t];
      __syncwarp();
#pragma unroll
      for (int b = 0; b < 4; ++b)
        four[b] = words[b * 32 + lane];
      transposeBytes(four);
      __syncwarp();
      // Within a word of 16 bytes, places go round, so that lines meet all banks.
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        int line = lane * 4 + i, row = line % 32;
        words[row * 4 + (line / 32 + row / 4) % 4] =
            part.masked(args, four[i], t * kLines + line);
      }
      __syncwarp();
      uint4 word = stage[lane];
      uint32_t round[4] = {word.x, word.y, word.z, word.w}, straight[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        int by = lane / 4 % 4;
        straight[j] = by == 0   ? round[j]
                      : by == 1 ? round[(j + 1) % 4]
                      : by == 2 ? round[(j + 2) % 4]
                                : round[(j + 3) % 4];
      }
      *reinterpret_cast<uint4 *>(to + tile(t)) =
          make_uint4(straight[0], straight[1], straight[2], straight[3]);
    } else {
      words[lane] = held[t].x, words[lane + 32] = held[t].y;
      words[lane + 64] = held[t].z, words[lane + 96] = held[t].w;
      __syncwarp();
      uint4 lines = stage[lane];
      four[0] = lines.x, four[1] = lines.y, four[2] = lines.z, four[3] = lines.w;
#pragma unroll
      for (int i = 0; i < 4; ++i)
        four[i] = part.masked(args, four[i], t * kLines + lane * 4 + i);
      transposeBytes(four);
      __syncwarp();
#pragma unroll
      for (int b = 0; b < 4; ++b)
        words[b * 32 + lane] = four[b];
      __syncwarp();
      *reinterpret_cast<uint4 *>(to + column(t)) = stage[lane];
    }
  }
}
} // namespace

#define TE_RT_MOVE_ROWS(name, quads, toTiles)                                  \
  extern "C" __global__ void __launch_bounds__(kLines *quads / 4 / kWords,     \
                                               2048 * 4 * kWords / quads /     \
                                                   kLines)                     \
      name(const __grid_constant__ SwizzleArgs args) {                         \
    moveRows<quads, toTiles>(args);                                            \
  }
TE_RT_MOVE_ROWS(swizzle_rows_16, 16, true)
TE_RT_MOVE_ROWS(swizzle_rows_28, 28, true)
TE_RT_MOVE_ROWS(unswizzle_rows_32, 32, false)

#define TE_RT_MOVE_COLUMNS(name, toTiles)                                      \
  extern "C" __global__ void __launch_bounds__(32 * kColumnWarps)              \
      name(const __grid_constant__ SwizzleArgs args) {                         \
    moveColumns<toTiles>(args);                                                \
  }
TE_RT_MOVE_COLUMNS(swizzle_columns, true)
TE_RT_MOVE_COLUMNS(unswizzle_columns, false)

/// Any layouts and alignments, a quad of a line for each thread.
extern "C" __global__ void __launch_bounds__(256)
    swizzle_bytes(const __grid_constant__ SwizzleArgs args) {
  int64_t quads = args.paddedBlocks / 4, each = args.paddedOuter * quads;
  int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  int64_t member = index / each, within = index - member * each;
  if (member >= args.members)
    return;
  int64_t line = args.outerDense ? within % args.paddedOuter : within / quads;
  int64_t quad = args.outerDense ? within / args.paddedOuter : within % quads;
  auto place = [&](bool swizzled, int64_t block) {
    return member * args.memberBytes +
           (swizzled          ? swizzledPlace(line, block, quads)
            : args.outerDense ? block * args.paddedOuter + line
                              : line * args.paddedBlocks + block);
  };
#pragma unroll
  for (int64_t block = quad * 4; block < quad * 4 + 4; ++block)
    args.to[place(args.toSwizzled, block)] =
        line < args.outer && block < args.blocks
            ? args.from[place(args.fromSwizzled, block)]
            : 0;
}
