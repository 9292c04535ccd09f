//===- transpose.cu - rows that become columns ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// transpose, and convert_scales of F32, for any number of members.
//
//   work      one block for a tile whose columns are 256 bytes: a thread loads 16
//             bytes of several rows, transposes them in registers, and stores 16
//             bytes of columns, by way of shared memory
//   moves     each element read once and written once
//   bound     memory
//   measured  docs/Benchmarks.md, rows transpose and convert_scales
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/params.h"

#include <cstdint>
#include <cstring>

using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256;

template <int Size> struct ElementOf;
template <> struct ElementOf<1> { using Type = uint8_t; };
template <> struct ElementOf<2> { using Type = uint16_t; };
template <> struct ElementOf<4> { using Type = uint32_t; };
template <> struct ElementOf<8> { using Type = uint64_t; };

__device__ uint32_t wordOf(const uint4 &words, int i) {
  return i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w;
}

/// Element j of each of the rows that a thread holds, one after another.
template <int Size, int Held, int Words>
__device__ void columnOf(const uint4 (&held)[Held], int j,
                         uint32_t (&column)[Words]) {
  auto word = [&](int row) { return wordOf(held[row], j * Size / 4); };
#pragma unroll
  for (int k = 0; k < Words; ++k) {
    if constexpr (Size == 1) {
      uint32_t pick = j % 2 ? 0x7351 : 0x6240; // odd or even bytes of two rows
      uint32_t low = __byte_perm(word(4 * k), word(4 * k + 1), pick);
      uint32_t high = __byte_perm(word(4 * k + 2), word(4 * k + 3), pick);
      column[k] = __byte_perm(low, high, j % 4 < 2 ? 0x5410 : 0x7632);
    } else if constexpr (Size == 2) {
      column[k] = __byte_perm(word(2 * k), word(2 * k + 1),
                              j % 2 ? 0x7632 : 0x5410);
    } else {
      column[k] = wordOf(held[k * 4 / Size], j * Size / 4 + k % (Size / 4));
    }
  }
}

template <int Size> __device__ void transposeTile(const MoveArgs &args) {
  using T = typename ElementOf<Size>::Type;
  constexpr int kHeld = Size == 8 ? 4 : 8; // rows of a thread
  constexpr int kChunk = 16 / Size, kRows = 256 / Size; // kRows: of the tile
  constexpr int kAcross = kThreads * kHeld / kRows, kCols = kAcross * kChunk;
  constexpr int kWords = kHeld * Size / 4;
  __shared__ uint4 stage[kCols * 16];

  uint32_t perMember = args.across * args.down;
  uint32_t member = blockIdx.x / perMember;
  uint32_t tile = blockIdx.x - member * perMember, down = tile / args.across;
  int64_t row0 = int64_t(down) * kRows;
  int64_t col0 = int64_t(tile - down * args.across) * kCols;
  auto *from = static_cast<const T *>(args.from) + member * args.fromMember +
               row0 * args.fromPitch + col0;
  auto *to = static_cast<T *>(args.to) + member * args.toMember +
             col0 * args.toPitch + row0;
  int rows = static_cast<int>(min(args.rows - row0, int64_t(kRows)));
  int cols = static_cast<int>(min(args.cols - col0, int64_t(kCols)));
  auto isAligned = [](const T *base, int64_t pitch) {
    return (reinterpret_cast<uintptr_t>(base) |
            static_cast<uintptr_t>(pitch) * Size) %
               16 ==
           0;
  };

  int row = threadIdx.x / kAcross * kHeld, col = threadIdx.x % kAcross * kChunk;
  const T *source = from + row * args.fromPitch + col;
  uint4 held[kHeld] = {};
  if (isAligned(from, args.fromPitch) && col + kChunk <= cols) {
#pragma unroll
    for (int i = 0; i < kHeld; ++i, source += args.fromPitch)
      if (row + i < rows)
        held[i] = __ldg(reinterpret_cast<const uint4 *>(source));
  } else {
#pragma unroll
    for (int i = 0; i < kHeld; ++i, source += args.fromPitch) {
      T elements[kChunk];
#pragma unroll
      for (int j = 0; j < kChunk; ++j)
        elements[j] = row + i < rows && col + j < cols ? source[j] : T(0);
      memcpy(&held[i], elements, 16);
    }
  }
  // Chunks of a column go round with the column, so that lanes meet all banks.
  int round = threadIdx.x % kAcross % 8;
#pragma unroll
  for (int j = 0; j < kChunk; ++j) {
    uint32_t column[kWords];
    columnOf<Size>(held, j, column);
    uint4 *place = stage + (col + j) * 16;
    if constexpr (kWords == 2)
      reinterpret_cast<uint2 *>(place + (row / 16 ^ round))[row / 8 % 2] =
          make_uint2(column[0], column[1]);
    else
#pragma unroll
      for (int w = 0; w < kWords; w += 4)
        place[row / kChunk + w / 4 ^ round] = make_uint4(
            column[w], column[w + 1], column[w + 2], column[w + 3]);
  }
  __syncthreads();

  int chunk = threadIdx.x % 16, first = chunk * kChunk;
  bool vector = isAligned(to, args.toPitch) && first + kChunk <= rows;
#pragma unroll
  for (int j = threadIdx.x / 16; j < kCols; j += kThreads / 16) {
    if (j >= cols)
      break;
    uint4 words = stage[j * 16 + (chunk ^ j / kChunk % 8)];
    T *target = to + j * args.toPitch + first;
    if (vector) {
      *reinterpret_cast<uint4 *>(target) = words;
      continue;
    }
    T elements[kChunk];
    memcpy(elements, &words, 16);
#pragma unroll
    for (int i = 0; i < kChunk; ++i)
      if (first + i < rows)
        target[i] = elements[i];
  }
}
} // namespace

#define TE_RT_TRANSPOSE(Size)                                                  \
  extern "C" __global__ void __launch_bounds__(kThreads, 3)                    \
      transpose_##Size(const __grid_constant__ MoveArgs args) {                \
    transposeTile<Size>(args);                                                 \
  }
TE_RT_TRANSPOSE(1)
TE_RT_TRANSPOSE(2)
TE_RT_TRANSPOSE(4)
TE_RT_TRANSPOSE(8)

/// Rows of words of 4 bytes from one pitch to another.
extern "C" __global__ void __launch_bounds__(kThreads)
    move_rows(const __grid_constant__ MoveArgs args) {
  int64_t each = args.rows * args.cols, count = each * args.members;
  int64_t index = blockIdx.x * int64_t(kThreads) + threadIdx.x;
  if (index >= count)
    return;
  int64_t member = index / each, within = index - member * each;
  int64_t row = within / args.cols, col = within - row * args.cols;
  static_cast<uint32_t *>(
      args.to)[member * args.toMember + row * args.toPitch + col] =
      static_cast<const uint32_t *>(
          args.from)[member * args.fromMember + row * args.fromPitch + col];
}
