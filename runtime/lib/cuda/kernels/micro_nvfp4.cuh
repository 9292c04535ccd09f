//===- micro_nvfp4.cuh - tiles as NVFP4 -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread has blocks of columns to itself, since its pieces are sixteen rows
// high, and shares those of rows with one neighbour.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH

#include "cuda/kernels/micro_kernels.cuh"
#include "cuda/kernels/microscaling.cuh"
#include "cuda/kernels/sinks.cuh"

namespace te_rt {
namespace cuda {

using Bf16Piece = Piece<BF16, kNvfp4Rows>;
using FloatPiece = Piece<float, kNvfp4Rows>;

//===----------------------------------------------------------------------===//
// Amaxes
//===----------------------------------------------------------------------===//

/// Of row `row` and the next one, over the sixteen columns of two neighbours.
__device__ inline float2 amaxesOfRows(const Bf16Piece &piece, int row) {
  uint32_t upper = rowAmax(piece, row), lower = rowAmax(piece, row + 1);
  uint32_t both = maxMagnitude(__byte_perm(upper, lower, 0x5410),
                               __byte_perm(upper, lower, 0x7632));
  return amaxesOf(maxMagnitude(both, __shfl_xor_sync(~0u, both, 1)));
}
__device__ inline float2 amaxesOfRows(const FloatPiece &piece, int row) {
  return make_float2(maxWith(__uint_as_float(rowAmax(piece, row)), 1),
                     maxWith(__uint_as_float(rowAmax(piece, row + 1)), 1));
}
/// Of columns 2 p and 2 p + 1.
__device__ inline float2 amaxesOfColumns(const Bf16Piece &piece, int p) {
  uint32_t amax = piece.pairs[0][p];
#pragma unroll
  for (int i = 1; i < kNvfp4Rows; ++i)
    amax = maxMagnitude(amax, piece.pairs[i][p]);
  return amaxesOf(amax);
}
__device__ inline float2 amaxesOfColumns(const FloatPiece &piece, int p) {
  float2 amax = make_float2(0.0f, 0.0f);
#pragma unroll
  for (int i = 0; i < kNvfp4Rows; ++i) {
    amax.x = fmaxf(amax.x, fabsf(piece.values[i][2 * p]));
    amax.y = fmaxf(amax.y, fabsf(piece.values[i][2 * p + 1]));
  }
  return amax;
}
/// Of all of a piece.
template <typename T>
__device__ inline float amaxOfPiece(const Piece<T, kNvfp4Rows> &piece) {
  uint32_t word = rowAmax(piece, 0);
#pragma unroll
  for (int i = 1; i < kNvfp4Rows; ++i)
    word = largerWord<T>(word, rowAmax(piece, i));
  return amaxOf<T>(word);
}

__device__ inline void transformColumns(Bf16Piece &piece, const Place &place) {
  transform(piece.pairs, place.rows - Bf16Piece::row());
}
__device__ inline void transformColumns(FloatPiece &, const Place &) {}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// NaN, which nobody asks about any more, as infinity: both become 6.
__device__ inline void replaceNan(Bf16Piece &piece) {
#pragma unroll
  for (int i = 0; i < kNvfp4Rows; ++i)
#pragma unroll
    for (int p = 0; p < 4; ++p)
      asm("min.bf16x2 %0, %0, %1;"
          : "+r"(piece.pairs[i][p])
          : "r"(0x7f807f80));
}
__device__ inline void replaceNan(FloatPiece &piece) {
#pragma unroll
  for (int i = 0; i < kNvfp4Rows; ++i)
#pragma unroll
    for (int j = 0; j < 8; ++j)
      piece.values[i][j] =
          fminf(piece.values[i][j], __uint_as_float(0x7f800000));
}

/// Signs of row i, of its eight columns, in bits 3, 7, ..
__device__ inline uint32_t signsOfRow(const Bf16Piece &piece, int i) {
  const uint32_t(&pairs)[4] = piece.pairs[i];
  uint32_t left = __byte_perm(pairs[0], pairs[1], 0x7531);
  uint32_t right = __byte_perm(pairs[2], pairs[3], 0x7531);
  uint32_t even = __byte_perm(left, right, 0x6420) >> 4;
  uint32_t odd = __byte_perm(left, right, 0x7531);
  return (even & 0x08080808) | (odd & 0x80808080);
}
__device__ inline uint32_t signsOfRow(const FloatPiece &piece, int i) {
  uint32_t signs = 0;
#pragma unroll
  for (int j = 0; j < 8; ++j)
    signs |= __float_as_uint(piece.values[i][j]) >> 31 << (4 * j + 3);
  return signs;
}
/// The same of rows `row` to `row` + 7 of columns 2 p and 2 p + 1.
__device__ inline void signsOfColumns(const Bf16Piece &piece, int row, int p,
                                      uint32_t (&signs)[2]) {
  uint32_t four[2]; // rows of both columns
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    auto word = [&](int i) { return piece.pairs[row + 4 * h + i][p]; };
    four[h] = (word(0) >> 12 & 0x00080008) | (word(1) >> 8 & 0x00800080) |
              (word(2) >> 4 & 0x08000800) | (word(3) & 0x80008000);
  }
  signs[0] = __byte_perm(four[0], four[1], 0x5410);
  signs[1] = __byte_perm(four[0], four[1], 0x7632);
}
__device__ inline void signsOfColumns(const FloatPiece &piece, int row, int p,
                                      uint32_t (&signs)[2]) {
  signs[0] = signs[1] = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int c = 0; c < 2; ++c)
      signs[c] |= __float_as_uint(piece.values[row + i][2 * p + c]) >> 31
                  << (4 * i + 3);
}

/// The codes of eight values without their signs, four bits each.
template <typename Scaled> __device__ inline uint32_t magnitudes(Scaled scaled) {
  uint32_t word = 0;
#pragma unroll
  for (int i = 7; i >= 0; --i)
    word = word * 16 + roundToFp4(scaled(i));
  return word - kFp4Bases;
}

/// The random words of eight neighbours from element `index` on.
__device__ inline void randomWords(const MicroArgs &args, bool columnwise,
                                   int64_t index, uint32_t (&words)[8]) {
  Philox philox = {static_cast<uint64_t>(args.rng[0]),
                   static_cast<uint64_t>(args.rng[1]) +
                       static_cast<uint64_t>(args.rngStream),
                   columnwise ? uint64_t(1) << 62 : 0};
  philox.words<8>(index, words);
}
template <typename Scaled>
__device__ inline uint32_t encodeRandomly(const MicroArgs &args,
                                          bool columnwise, int64_t index,
                                          Scaled scaled) {
  uint32_t word = 0, random[8];
  randomWords(args, columnwise, index, random);
#pragma unroll
  for (int i = 0; i < 8; ++i)
    word |= encodeFp4(scaled(i), random[i]) << (4 * i);
  return word;
}

/// Sets one of the two codes of a byte that others set the other one of.
__device__ inline void setNibble(uint8_t *values, int64_t element,
                                 uint32_t code) {
  auto address = reinterpret_cast<uintptr_t>(values + element / 2);
  auto *word = reinterpret_cast<uint32_t *>(address & ~uintptr_t(3));
  int shift = static_cast<int>(address & 3) * 8 + static_cast<int>(element & 1) * 4;
  uint32_t found = *word, wanted;
  do {
    wanted = found;
    found = atomicCAS(word, wanted,
                      (wanted & ~(15u << shift)) | code << shift);
  } while (found != wanted);
}

//===----------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------===//

/// `Any`: with a Hadamard transform or stochastic rounding, if asked for.
template <typename T, bool Any> struct Nvfp4AnySink {
  static constexpr int kRows = kNvfp4Rows, kBlock = 16;
  using Tile = Piece<T, kRows>;
  // 64 bytes of FP4 for each column, and 8 more to meet all banks.
  static constexpr int kStagePitch = kTile / 2 + 8;
  struct Shared {
    uint8_t stage[kTile * kStagePitch];      // columnwise
    uint8_t codes[2][kTile / kBlock][kTile]; // scales: direction, block, line
    float multipliers[2][128];               // of each code
  };
  __device__ Nvfp4AnySink(const MicroArgs &args, const MicroTask &task,
                          const Place &place, Shared &shared)
      : args(args), task(task), place(place), shared(shared) {}
  int64_t colsBefore = 0; // there are no parts

  __device__ bool run(Tile &piece, bool) {
    const MicroOutput &rows = task.micro[0], &columns = task.micro[1];
    tabulate(0);
    tabulate(1);
    __syncthreads();
    float square = 0.0f;
    if (args.square)
      square = maxWith(amaxOfPiece(piece), 1);
    if (rows.values)
      castRows(piece, rows, square);
    if (columns.values) {
      if (Any && args.hadamard) {
        transformColumns(piece, place);
        if (args.square)
          square = maxWith(amaxOfPiece(piece), 1);
      }
      castColumns(piece, columns, square);
    }
    __syncthreads();
    if (rows.values)
      storeScales<kBlock, false, Tile::kThreads>(task, place, 0, rows.scales,
                                                 shared.codes[0]);
    if (columns.values) {
      storeScales<kBlock, true, Tile::kThreads>(task, place, 0, columns.scales,
                                                shared.codes[1]);
      storeColumns(columns);
    }
    return false;
  }

private:
  __device__ float tensorMultiplierOf(const MicroOutput &out) const {
    return tensorMultiplier(out.tensorAmax[out.amaxPerGroup ? place.group : 0]);
  }
  __device__ void tabulate(int d) {
    static_assert(Tile::kThreads == 128, "a thread for each code");
    const MicroOutput &out = task.micro[d];
    if (out.values)
      shared.multipliers[d][threadIdx.x] =
          multiplierOfE4M3(threadIdx.x, __frcp_rn(tensorMultiplierOf(out)));
  }

  __device__ void castRows(const Tile &piece, const MicroOutput &out,
                           float square) {
    float sixth = __fmul_rn(tensorMultiplierOf(out), 1.0f / 6.0f);
    uint32_t codes[4] = {0, 0, 0, 0}; // of all rows
#pragma unroll
    for (int i = 0; i < kRows; i += 2) {
      float2 amax = make_float2(square, square);
      if (!args.square)
        amax = amaxesOfRows(piece, i);
      codes[i / 4] |= (chooseE4M3(amax.x, sixth) |
                       chooseE4M3(amax.y, sixth) << 8) << (i % 4 * 8);
    }
    bool odd = threadIdx.x & 1;
    *reinterpret_cast<uint2 *>(shared.codes[0][threadIdx.x % 16 / 2] +
                               Tile::row() + (odd ? 8 : 0)) =
        make_uint2(odd ? codes[2] : codes[0], odd ? codes[3] : codes[1]);
    Tile cleaned = piece;
    replaceNan(cleaned);
    int rows = place.rows - Tile::row(), cols = place.cols - Tile::col();
    int64_t first = (place.row + Tile::row()) * task.cols + place.col0 +
                    Tile::col();
    int stride = static_cast<int>(task.cols / 2); // that number is even
    uint8_t *to = out.values + first / 2;
    bool vector =
        cols >= 8 &&
        (reinterpret_cast<uintptr_t>(out.values) * 2 + first | task.cols) % 8 ==
            0;
#pragma unroll
    for (int i = 0; i < kRows; ++i, to += stride) {
      if (i >= rows || cols <= 0)
        continue;
      float multiplier =
          shared.multipliers[0][codes[i / 4] >> (i % 4 * 8) & 0xff];
      auto scaled = [&](int j) {
        return __fmul_rn(cleaned.get(i, j), multiplier);
      };
      uint32_t word;
      if (Any && args.rng)
        word = encodeRandomly(args, false, first + i * task.cols, scaled);
      else
        word = magnitudes(scaled) | signsOfRow(cleaned, i);
      if (vector)
        *reinterpret_cast<uint32_t *>(to) = word;
      else
#pragma unroll 1
        for (int j = 0; j < min(cols, 8); j += 2, word >>= 8)
          to[j / 2] = static_cast<uint8_t>(word);
    }
  }

  __device__ void castColumns(Tile &piece, const MicroOutput &out,
                              float square) {
    float sixth = __fmul_rn(tensorMultiplierOf(out), 1.0f / 6.0f);
    int block = Tile::row() / kBlock;
    uint32_t codes[2] = {0, 0};
#pragma unroll
    for (int p = 0; p < 4; ++p) {
      float2 amax = make_float2(square, square);
      if (!args.square)
        amax = amaxesOfColumns(piece, p);
      codes[p / 2] |= (chooseE4M3(amax.x, sixth) |
                       chooseE4M3(amax.y, sixth) << 8) << (p % 2 * 16);
    }
    *reinterpret_cast<uint2 *>(shared.codes[1][block] + Tile::col()) =
        make_uint2(codes[0], codes[1]);
    replaceNan(piece);
#pragma unroll
    for (int p = 0; p < 4; ++p) {
      uint32_t words[2][2]; // of a column, of eight rows
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        uint32_t signs[2];
        signsOfColumns(piece, 8 * h, p, signs);
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          int col = 2 * p + c;
          float multiplier =
              shared.multipliers[1][codes[p / 2] >> (col % 4 * 8) & 0xff];
          auto scaled = [&](int i) {
            return __fmul_rn(piece.get(8 * h + i, col), multiplier);
          };
          if (Any && args.rng)
            words[c][h] = encodeRandomly(
                args, true,
                (place.member * task.cols + place.col0 + Tile::col() + col) *
                        out.stride +
                    place.row0 + Tile::row() + 8 * h,
                scaled);
          else
            words[c][h] = magnitudes(scaled) | signs[c];
        }
      }
#pragma unroll
      for (int c = 0; c < 2; ++c)
        *reinterpret_cast<uint2 *>(
            shared.stage + stagePosition(Tile::col() + 2 * p + c) * kStagePitch +
            block * 8) = make_uint2(words[c][0], words[c][1]);
    }
  }

  /// Where column `col` of the tile has its rows in the stage.
  __device__ static int stagePosition(int col) {
    return col % 8 * 16 + col / 8;
  }

  /// Four threads of 16 bytes write a column of the tile.
  __device__ void storeColumns(const MicroOutput &out) {
    int part = threadIdx.x % 4, rows = min(place.rows - part * 32, 32);
    if (rows <= 0)
      return;
#pragma unroll
    for (int round = 0; round < kTile * 4 / Tile::kThreads; ++round) {
      int position = round * (Tile::kThreads / 4) + threadIdx.x / 4;
      int col = position % 16 * 8 + position / 16;
      if (col >= place.cols)
        continue;
      const uint8_t *from = shared.stage + position * kStagePitch + part * 16;
      int64_t first =
          (place.member * task.cols + place.col0 + col) * out.stride +
          place.row0 + part * 32;
      uint8_t *to = out.values + first / 2;
      bool vector = rows == 32 && first % 2 == 0 &&
                    reinterpret_cast<uintptr_t>(to) % 16 == 0;
      if (vector) {
        uint2 low = *reinterpret_cast<const uint2 *>(from);
        uint2 high = *reinterpret_cast<const uint2 *>(from + 8);
        *reinterpret_cast<uint4 *>(to) = make_uint4(low.x, low.y, high.x, high.y);
      } else {
        storeNibbles(out.values, first, rows, from);
      }
    }
  }
  /// Neighbours may have the other half of the first byte and of the last one.
  __device__ static void storeNibbles(uint8_t *values, int64_t first, int rows,
                                      const uint8_t *from) {
    auto code = [&](int i) { return from[i / 2] >> (i % 2 * 4) & 15u; };
    int i = 0;
    if (first % 2)
      setNibble(values, first, code(i++));
    for (; i + 1 < rows; i += 2)
      values[(first + i) / 2] = static_cast<uint8_t>(code(i) | code(i + 1) << 4);
    if (i < rows)
      setNibble(values, first + i, code(i));
  }

  const MicroArgs &args;
  const MicroTask &task;
  const Place &place;
  Shared &shared;
};
template <typename T> using Nvfp4Sink = Nvfp4AnySink<T, false>;
template <typename T> using Nvfp4OptionsSink = Nvfp4AnySink<T, true>;

/// The first of the two passes of NVFP4: amaxes alone. `Any` as above.
template <typename T, bool Any> struct Nvfp4AnyAmaxSink {
  static constexpr int kRows = kNvfp4Rows;
  using Tile = Piece<T, kRows>;
  struct Shared {
    float warps[2][Tile::kWarps];
  };
  __device__ Nvfp4AnyAmaxSink(const MicroArgs &args, const MicroTask &task,
                              const Place &place, Shared &shared)
      : args(args), task(task), place(place), shared(shared) {}
  int64_t colsBefore = 0;

  __device__ bool run(Tile &piece, bool) {
    note(piece, 0);
    bool transforms = Any && task.transformed;
    if (transforms) {
      transformColumns(piece, place);
      note(piece, 1);
    }
    __syncthreads();
    if (threadIdx.x != 0)
      return false;
    add(task.accumulators, 0);
    if (transforms)
      add(task.transformed, 1);
    return arrive(args);
  }

private:
  __device__ void note(const Tile &piece, int which) {
    float amax = warpMax(amaxOfPiece(piece));
    if (threadIdx.x % 32 == 0)
      shared.warps[which][threadIdx.x / 32] = amax;
  }
  __device__ void add(uint32_t *accumulators, int which) {
    float amax = 0.0f;
#pragma unroll
    for (int w = 0; w < Tile::kWarps; ++w)
      amax = fmaxf(amax, shared.warps[which][w]);
    raise(accumulators + place.group, amax);
  }

  const MicroArgs &args;
  const MicroTask &task;
  const Place &place;
  Shared &shared;
};
template <typename T> using Nvfp4AmaxSink = Nvfp4AnyAmaxSink<T, false>;
template <typename T> using Nvfp4OptionsAmaxSink = Nvfp4AnyAmaxSink<T, true>;

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH
