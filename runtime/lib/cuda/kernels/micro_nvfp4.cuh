//===- micro_nvfp4.cuh - tiles as NVFP4 -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread has blocks of columns to itself, since its pieces are sixteen rows
// high, and shares those of rows with one neighbour. Casts take these rows and
// columns from shared memory in loops: unrolled over registers, instructions
// arrive too late.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH

#include "cuda/kernels/micro_fp4.cuh"
#include "cuda/kernels/micro_kernels.cuh"

namespace te_rt {
namespace cuda {

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

/// `Transforms`: columns may be asked for under a Hadamard transform. `Random`:
/// rounding is stochastic. Wants the bytes of a tile as dynamic shared memory.
template <typename T, bool Transforms, bool Random> struct Nvfp4CastSink {
  static constexpr int kRows = kNvfp4Rows, kBlock = 16;
  using Tile = Piece<T, kRows>;
  // 64 bytes of FP4 for each column, and 8 more to meet all banks.
  static constexpr int kStagePitch = kTile / 2 + 8;
  struct Shared {
    uint8_t stage[kTile * kStagePitch];      // columnwise
    uint8_t codes[2][kTile / kBlock][kTile]; // scales: direction, block, line
    float multipliers[1 + Transforms][128];  // of each code
  };
  __device__ Nvfp4CastSink(const MicroArgs &args, const MicroTask &task,
                           const Place &place, Shared &shared)
      : args(args), task(task), place(place), shared(shared) {}
  int64_t colsBefore = 0; // there are no parts

  __device__ bool run(Tile &piece, bool) {
    const MicroOutput &rows = task.micro[0], &columns = task.micro[1];
    // Both directions have the amax of the tensor, but for a transform's.
    float sixth = tabulate(rows.values ? rows : columns, 0);
    float sixthOfColumns =
        Transforms && columns.values ? tabulate(columns, 1) : sixth;
    float square = 0.0f;
    if (args.square)
      square = maxWith(amaxOfPiece(piece), 1);
    RowsAside<T> aside(piece); // read by who has written it
    __syncthreads();
    if (rows.values)
      castRows(aside, rows, sixth, square);
    if (columns.values)
      castColumns(aside, columns, sixthOfColumns, square);
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
  /// Notes what each code of a scale stands for; gives a sixth of the tensor's
  /// multiplier.
  __device__ float tabulate(const MicroOutput &out, int table) {
    static_assert(Tile::kThreads == 128, "a thread for each code");
    float multiplier =
        tensorMultiplier(out.tensorAmax[out.amaxPerGroup ? place.group : 0]);
    shared.multipliers[table][threadIdx.x] =
        multiplierOfE4M3(threadIdx.x, __frcp_rn(multiplier));
    return __fmul_rn(multiplier, 1.0f / 6.0f);
  }

  /// `square`: the amax of a thread's sixteen rows and its neighbour's.
  __device__ void castRows(const RowsAside<T> &aside, const MicroOutput &out,
                           float sixth, float square) {
    int rows = place.rows - Tile::row(), cols = place.cols - Tile::col();
    int64_t first = (place.row + Tile::row()) * task.cols + place.col0 +
                    Tile::col();
    // The number of columns is even.
    uint32_t stride = static_cast<uint32_t>(task.cols) / 2;
    uint8_t *to = out.values + static_cast<uint64_t>(first) / 2;
    bool whole = (reinterpret_cast<uintptr_t>(to) | stride) % 4 == 0 &&
                 rows >= kRows && cols >= 8;
    uint8_t *toCodes =
        shared.codes[0][threadIdx.x % 16 / 2] + Tile::row();
#pragma unroll 1
    for (int row = 0; row < kRows; row += 2) {
      Pairs<T, 4> both[2];
      aside.row(row, both[0]);
      aside.row(row + 1, both[1]);
      float2 amax = amaxesOfRows(both);
      if (args.square)
        amax = make_float2(square, square);
      uint32_t codes = chooseE4M3(amax, sixth);
      if (threadIdx.x % 2 == 0)
        *reinterpret_cast<uint16_t *>(toCodes + row) =
            static_cast<uint16_t>(codes);
#pragma unroll
      for (int i = 0; i < 2; ++i, to += stride) {
        float multiplier = shared.multipliers[0][codes >> (i * 8) & 0xff];
        both[i].replaceNan();
        auto scaled = [&](int j) {
          return __fmul_rn(j % 2 ? both[i].high(j / 2) : both[i].low(j / 2),
                           multiplier);
        };
        uint32_t word;
        if (Random)
          word = encodeRandomly(args, false, first + (row + i) * task.cols,
                                scaled);
        else
          word = magnitudes(scaled) | signsOfRow(both[i]);
        if (whole)
          *reinterpret_cast<uint32_t *>(to) = word;
        else
          storeRow(to, row + i < rows ? cols : 0, word);
      }
    }
  }
  __device__ static void storeRow(uint8_t *to, int count, uint32_t word) {
#pragma unroll 1
    for (int j = 0; j < min(count, 8); j += 2, word >>= 8)
      to[j / 2] = static_cast<uint8_t>(word);
  }

  __device__ void castColumns(const RowsAside<T> &aside, const MicroOutput &out,
                              float sixth, float square) {
    int block = Tile::row() / kBlock;
    int64_t first =
        (place.member * task.cols + place.col0 + Tile::col()) * out.stride +
        place.row0 + Tile::row();
    uint8_t *to = shared.stage + stagePosition(Tile::col()) * kStagePitch +
                  block * 8;
    uint8_t *toCodes = shared.codes[1][block] + Tile::col();
    auto load = [&](int p, Pairs<T, kRows> &columns) {
      aside.columns(p, columns);
      if (Transforms && args.hadamard)
        transform(columns, place.rows - Tile::row());
      float2 amax = amaxesOf(columns.amax());
      return amax;
    };
    if (Transforms && args.square && args.hadamard) {
      float largest = 0.0f;
#pragma unroll 1
      for (int p = 0; p < 4; ++p) {
        Pairs<T, kRows> columns;
        float2 amax = load(p, columns);
        largest = fmaxf(largest, fmaxf(amax.x, amax.y));
      }
      square = maxWith(largest, 1);
    }
#pragma unroll 1
    for (int p = 0; p < 4; ++p) {
      Pairs<T, kRows> columns;
      float2 amax = load(p, columns);
      if (args.square)
        amax = make_float2(square, square);
      uint32_t codes = chooseE4M3(amax, sixth);
      *reinterpret_cast<uint16_t *>(toCodes + 2 * p) =
          static_cast<uint16_t>(codes);
      columns.replaceNan();
      uint32_t words[2][2]; // of a column, of eight rows
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        uint32_t signs[2];
        signsOfColumns(columns, 8 * h, signs);
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          float multiplier =
              shared.multipliers[Transforms][codes >> (c * 8) & 0xff];
          auto scaled = [&](int i) {
            return __fmul_rn(c ? columns.high(8 * h + i)
                               : columns.low(8 * h + i),
                             multiplier);
          };
          if (Random)
            words[c][h] = encodeRandomly(
                args, true, first + (2 * p + c) * out.stride + 8 * h, scaled);
          else
            words[c][h] = magnitudes(scaled) | signs[c];
        }
      }
#pragma unroll
      for (int c = 0; c < 2; ++c)
        *reinterpret_cast<uint2 *>(to + stagePosition(2 * p + c) * kStagePitch) =
            make_uint2(words[c][0], words[c][1]);
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
    // Position p of the stage is of column p % 16 * 8 + p / 16.
    constexpr int kColumns = Tile::kThreads / 4; // at a time
    int position = threadIdx.x / 4;
    int col = position % 16 * 8 + position / 16;
    const uint8_t *from = shared.stage + position * kStagePitch + part * 16;
    int64_t first =
        (place.member * task.cols + place.col0 + col) * out.stride +
        place.row0 + part * 32;
    uint8_t *to = out.values + static_cast<uint64_t>(first) / 2;
    auto step = static_cast<uint32_t>(kColumns / 16 * out.stride / 2);
    bool vector = rows == 32 && out.stride % 32 == 0 &&
                  (reinterpret_cast<uintptr_t>(out.values) * 2 + first) % 32 == 0;
#pragma unroll
    for (int round = 0; round < kTile / kColumns; ++round) {
      if (col + round * (kColumns / 16) < place.cols) {
        if (vector) {
          uint2 low = *reinterpret_cast<const uint2 *>(from);
          uint2 high = *reinterpret_cast<const uint2 *>(from + 8);
          *reinterpret_cast<uint4 *>(to) =
              make_uint4(low.x, low.y, high.x, high.y);
        } else {
          storeNibbles(out.values, first + round * (kColumns / 16) * out.stride,
                       rows, from);
        }
      }
      from += kColumns * kStagePitch;
      to += step;
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
template <typename T> using Nvfp4Sink = Nvfp4CastSink<T, false, false>;
template <typename T> using Nvfp4HadamardSink = Nvfp4CastSink<T, true, false>;
template <typename T> using Nvfp4RandomSink = Nvfp4CastSink<T, true, true>;

/// The first of the two passes of NVFP4: amaxes alone.
template <typename T, bool Transforms> struct Nvfp4AmaxesSink {
  static constexpr int kRows = kNvfp4Rows;
  using Tile = Piece<T, kRows>;
  struct Shared {
    float warps[2][Tile::kWarps];
  };
  __device__ Nvfp4AmaxesSink(const MicroArgs &args, const MicroTask &task,
                             const Place &place, Shared &shared)
      : args(args), task(task), place(place), shared(shared) {}
  int64_t colsBefore = 0;

  __device__ bool run(Tile &piece, bool) {
    note(amaxOfPiece(piece), 0);
    bool transforms = Transforms && task.transformed;
    if (transforms)
      note(amaxOfTransform(piece), 1);
    __syncthreads();
    if (threadIdx.x != 0)
      return false;
    add(task.accumulators, 0);
    if (transforms)
      add(task.transformed, 1);
    return arrive(args);
  }

private:
  __device__ float amaxOfTransform(Tile &piece) const {
    float largest = 0.0f;
    if constexpr (Transforms)
#pragma unroll 1
      for (int p = 0; p < 4; ++p) {
        // Columns go round, so that all of this is there once.
        Pairs<BF16, kRows> columns;
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
          columns.words[i] = piece.pairs[i][0];
#pragma unroll
          for (int next = 1; next < 4; ++next)
            piece.pairs[i][next - 1] = piece.pairs[i][next];
        }
        transform(columns, place.rows - Tile::row());
        float2 amax = amaxesOf(columns.amax());
        largest = fmaxf(largest, fmaxf(amax.x, amax.y));
      }
    return largest;
  }
  __device__ void note(float amax, int which) {
    amax = warpMax(amax);
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
template <typename T> using Nvfp4AmaxSink = Nvfp4AmaxesSink<T, false>;
template <typename T> using Nvfp4HadamardAmaxSink = Nvfp4AmaxesSink<T, true>;

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH
