//===- micro_nvfp4.cuh - tiles as NVFP4 -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tile lies in shared memory, from where casts take it in loops: unrolled over
// registers, instructions arrive too late. A thread shares blocks of rows, which it
// has put there, with one neighbour, and then has blocks of columns to itself.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH

#include "cuda/kernels/micro_fp4.cuh"
#include "cuda/kernels/micro_kernels.cuh"

#include <type_traits>

namespace te_rt {
namespace cuda {

/// The random words of neighbours from elements `index` on.
template <int Lines, int Count>
__device__ inline void randomWords(const MicroArgs &args, bool columnwise,
                                   const int64_t (&index)[Lines],
                                   uint32_t (&words)[Lines][Count]) {
  Philox philox = {static_cast<uint64_t>(args.rng[0]),
                   static_cast<uint64_t>(args.rng[1]) +
                       static_cast<uint64_t>(args.rngStream),
                   columnwise ? uint64_t(1) << 62 : 0};
  philox.words(index, words);
}
/// The codes of eight values without their signs, rounded by so many words.
template <typename Scaled>
__device__ inline uint32_t magnitudesRandomly(Scaled scaled,
                                              const uint32_t *words) {
  uint32_t word = 0;
#pragma unroll
  for (int i = 7; i >= 0; --i)
    word = word * 16 + roundRandomly(scaled(i), words[i]);
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
  static constexpr int kRows = kNvfp4CastRows, kBlock = 16;
  static constexpr int kBlocks = kTile / kBlock, kPairs = kTile / 2;
  using Tile = Piece<T, kRows>;
  // 64 bytes of FP4 for each column, and 8 more to meet all banks.
  static constexpr int kStagePitch = kTile / 2 + 8;
  struct Shared {
    uint8_t stage[kTile * kStagePitch]; // columnwise
    alignas(16) uint8_t codes[2][kTile * kBlocks]; // scales of a direction
    uint8_t *scaleTiles[2];                        // where they go as they are
    Fp4Scale scales[1 + Transforms][128];          // of each code
    float squares[kBlocks][kBlocks];               // amaxes
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
    if (threadIdx.x == 0)
      shared.scaleTiles[0] = scaleTiles<false>(rows);
    else if (threadIdx.x == 32)
      shared.scaleTiles[1] = scaleTiles<true>(columns);
    if (args.square)
      noteSquares(piece);
    __syncthreads();
    TileAside<T> aside(piece); // rows are read by who has written them
    if (rows.values)
      castRows(aside, rows, sixth);
    __syncthreads();
    if (columns.values) {
      castColumns(aside, columns, sixthOfColumns);
      __syncthreads();
      storeColumns(columns);
    }
    storeAllScales();
    return false;
  }

private:
  /// Where a scale is in shared memory: as in tiles of SWIZZLED scales.
  __device__ static int codeAt(int line, int block) {
    return block / 4 * 512 + line % 32 * 16 + line / 32 * 4 + block % 4;
  }
  template <bool Columnwise>
  __device__ uint8_t *scaleTiles(const MicroOutput &out) const {
    if (!out.values)
      return nullptr;
    ScaleTile<kBlock, Columnwise> tile(task, place, 0, out.scales);
    uint8_t *to = tile.blocks == kBlocks ? tile.whole() : nullptr;
    return reinterpret_cast<uintptr_t>(to) % 16 == 0 ? to : nullptr;
  }
  __device__ void storeAllScales() {
    constexpr int kWords = kTile * kBlocks / 16; // of a direction
    static_assert(Tile::kThreads >= 2 * kWords, "a word for each thread");
    int direction = threadIdx.x / kWords, word = threadIdx.x % kWords;
    if (direction < 2)
      if (uint8_t *to = shared.scaleTiles[direction])
        reinterpret_cast<uint4 *>(to)[word] =
            reinterpret_cast<const uint4 *>(shared.codes[direction])[word];
    storeOddScales<false>();
    storeOddScales<true>();
  }
  template <bool Columnwise> __device__ void storeOddScales() {
    const MicroOutput &out = task.micro[Columnwise];
    if (out.values && !shared.scaleTiles[Columnwise])
      storeScales<kBlock, Columnwise, Tile::kThreads>(
          task, place, 0, out.scales, [&](int block, int line) {
            return shared.codes[Columnwise][codeAt(line, block)];
          });
  }

  /// Two neighbours and those a row of threads below have a square.
  __device__ void noteSquares(const Tile &piece) {
    float amax = maxWith(maxWith(amaxOfPiece(piece), 1), 16);
    if (threadIdx.x % 32 < 16 && threadIdx.x % 2 == 0)
      shared.squares[Tile::row() / kBlock][Tile::col() / kBlock] = amax;
  }

  /// Codes of blocks without NaN want no care, mostly.
  static constexpr bool kPlain = std::is_same<T, BF16>::value && !Random;

  /// Notes what each code of a scale stands for; gives a sixth of the tensor's
  /// multiplier.
  __device__ float tabulate(const MicroOutput &out, int table) {
    static_assert(Tile::kThreads == 256, "two threads for each code");
    float multiplier =
        tensorMultiplier(out.tensorAmax[out.amaxPerGroup ? place.group : 0]);
    if (threadIdx.x / 128 == table)
      shared.scales[table][threadIdx.x % 128] =
          fp4ScaleOf(threadIdx.x % 128, __frcp_rn(multiplier));
    return __fmul_rn(multiplier, 1.0f / 6.0f);
  }

  __device__ void castRows(const TileAside<T> &aside, const MicroOutput &out,
                           float sixth) {
    int rows = place.rows - Tile::row(), cols = place.cols - Tile::col();
    int64_t first =
        (place.row + Tile::row()) * task.cols + place.col0 + Tile::col();
    // The number of columns is even.
    uint32_t stride = static_cast<uint32_t>(task.cols) / 2;
    uint8_t *to = out.values + static_cast<uint64_t>(first) / 2;
    bool whole = (reinterpret_cast<uintptr_t>(to) | stride) % 4 == 0 &&
                 rows >= kRows && cols >= 8;
    uint8_t *toCodes =
        shared.codes[0] + codeAt(Tile::row(), Tile::col() / kBlock);
    float square = 0.0f;
    if (args.square)
      square = shared.squares[Tile::row() / kBlock][Tile::col() / kBlock];
#pragma unroll 1
    for (int i0 = 0; i0 < kRows; i0 += 2) {
      Pairs<T, 4> both[2];
      aside.row(Tile::row() + i0, Tile::col(), both[0]);
      aside.row(Tile::row() + i0 + 1, Tile::col(), both[1]);
      uint32_t words[2], codes;
      bool isPlain = false;
      if constexpr (kPlain) {
        if (!args.square) {
          codes = chooseE4M3(amaxesOrNan(both), sixth);
          Fp4Scale scales[2];
          isPlain = lookUpScales(0, codes, scales);
#pragma unroll
          for (int i = 0; i < 2; ++i)
            words[i] = encodeRow(both[i], scales[i]);
        }
      }
      if (!isPlain) {
        float2 amax = amaxesOfRows(both);
        if (args.square)
          amax = make_float2(square, square);
        codes = chooseE4M3(amax, sixth);
        uint32_t random[2][8];
        if constexpr (Random) {
          int64_t at = first + i0 * task.cols;
          randomWords(args, false, {at, at + task.cols}, random);
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float multiplier =
              shared.scales[0][codes >> (i * 8) & 0xff].multiplier;
          both[i].replaceNan();
          auto scaled = [&](int j) {
            return __fmul_rn(j % 2 ? both[i].high(j / 2) : both[i].low(j / 2),
                             multiplier);
          };
          words[i] = (Random ? magnitudesRandomly(scaled, random[i])
                             : magnitudes(scaled)) |
                     signsOfRow(both[i]);
        }
      }
      // Lines beside each other lie 16 bytes apart.
      if (threadIdx.x % 2 == 0) {
        toCodes[i0 * 16] = static_cast<uint8_t>(codes);
        toCodes[i0 * 16 + 16] = static_cast<uint8_t>(codes >> 8);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i, to += stride) {
        if (whole)
          *reinterpret_cast<uint32_t *>(to) = words[i];
        else
          storeRow(to, i0 + i < rows ? cols : 0, words[i]);
      }
    }
  }
  /// Those of two codes; whether all of the warp's are plain.
  __device__ bool lookUpScales(int table, uint32_t codes,
                               Fp4Scale (&scales)[2]) const {
#pragma unroll
    for (int i = 0; i < 2; ++i)
      scales[i] = shared.scales[table][codes >> (i * 8) & 0xff];
    return !__any_sync(
        ~0u, max(scales[0].upToFive, scales[1].upToFive) == kNoFive);
  }
  __device__ static void storeRow(uint8_t *to, int count, uint32_t word) {
#pragma unroll 1
    for (int j = 0; j < min(count, 8); j += 2, word >>= 8)
      to[j / 2] = static_cast<uint8_t>(word);
  }

  /// A thread has two columns of every fourth block, so that a warp reads a row of
  /// the tile at once.
  __device__ void castColumns(const TileAside<T> &aside, const MicroOutput &out,
                              float sixth) {
    int pair = threadIdx.x % kPairs;
#pragma unroll 1
    for (int block = threadIdx.x / kPairs; block < kBlocks;
         block += Tile::kThreads / kPairs) {
      Pairs<T, kNvfp4Rows> columns;
      aside.columns(block * kBlock, pair, columns);
      if (Transforms && args.hadamard)
        transform(columns, place.rows - block * kBlock);
      uint32_t words[2][2], codes; // words[h][c]: of column c, of eight rows
      bool isPlain = false;
      if constexpr (kPlain) {
        if (!args.square) {
          codes = chooseE4M3(amaxesOrNan(columns), sixth);
          Fp4Scale scales[2];
          isPlain = lookUpScales(Transforms, codes, scales);
#pragma unroll
          for (int h = 0; h < 2; ++h)
            encodeColumns(columns, 8 * h, scales, words[h]);
        }
      }
      if (!isPlain) {
        float2 amax = amaxesOf(columns.amax());
        if (args.square) {
          // Eight threads have the sixteen columns.
          float largest = maxWith(fmaxf(amax.x, amax.y), 1);
          largest = maxWith(maxWith(largest, 2), 4);
          amax = make_float2(largest, largest);
        }
        codes = chooseE4M3(amax, sixth);
        columns.replaceNan();
#pragma unroll
        for (int h = 0; h < 2; ++h)
          signsOfColumns(columns, 8 * h, words[h]);
        int64_t first =
            (place.member * task.cols + place.col0 + 2 * pair) * out.stride +
            place.row0 + block * kBlock;
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          float multiplier =
              shared.scales[Transforms][codes >> (c * 8) & 0xff].multiplier;
          uint32_t random[1][kNvfp4Rows];
          if constexpr (Random)
            randomWords(args, true, {first + c * out.stride}, random);
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            auto scaled = [&](int i) {
              return __fmul_rn(c ? columns.high(8 * h + i)
                                 : columns.low(8 * h + i),
                               multiplier);
            };
            words[h][c] |= Random ? magnitudesRandomly(scaled, random[0] + 8 * h)
                                  : magnitudes(scaled);
          }
        }
      }
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        shared.codes[1][codeAt(2 * pair + c, block)] =
            static_cast<uint8_t>(codes >> (8 * c));
        *reinterpret_cast<uint2 *>(shared.stage +
                                   stagePosition(2 * pair + c) * kStagePitch +
                                   block * 8) =
            make_uint2(words[0][c], words[1][c]);
      }
    }
  }

  /// Where column `col` of the tile has its rows in the stage.
  __device__ static int stagePosition(int col) {
    return col % 2 * kPairs + col / 2;
  }

  /// Four threads of 16 bytes write a column of the tile.
  __device__ void storeColumns(const MicroOutput &out) {
    int part = threadIdx.x % 4, rows = min(place.rows - part * 32, 32);
    if (rows <= 0)
      return;
    static_assert(Tile::kThreads / 4 == kPairs, "even columns, then odd ones");
    int position = threadIdx.x / 4, col = position * 2;
    const uint8_t *from = shared.stage + position * kStagePitch + part * 16;
    int64_t first =
        (place.member * task.cols + place.col0 + col) * out.stride +
        place.row0 + part * 32;
    uint8_t *to = out.values + static_cast<uint64_t>(first) / 2;
    bool vector = rows == 32 && out.stride % 32 == 0 &&
                  (reinterpret_cast<uintptr_t>(out.values) * 2 + first) % 32 == 0;
#pragma unroll
    for (int odd = 0; odd < 2; ++odd) {
      if (col + odd < place.cols) {
        if (vector) {
          uint2 low = *reinterpret_cast<const uint2 *>(from);
          uint2 high = *reinterpret_cast<const uint2 *>(from + 8);
          *reinterpret_cast<uint4 *>(to) =
              make_uint4(low.x, low.y, high.x, high.y);
        } else {
          storeNibbles(out.values, first + odd * out.stride, rows, from);
        }
      }
      from += kPairs * kStagePitch;
      to += out.stride / 2;
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

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH
