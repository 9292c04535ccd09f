//===- micro_sink.cuh - tiles as MXFP8 or NVFP4 ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tiles and sources are those of tile.cuh. A tile of 128 x 128 has whole blocks,
// since blocks and tiles both begin where their group does, and in SWIZZLED
// scales it has whole tiles of 128 x 4, so that these are written at once, with
// the padding that they hold.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_SINK_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_SINK_CUH

#include "cuda/kernels/micro_params.h"
#include "cuda/kernels/micro_scales.cuh"
#include "cuda/kernels/microscaling.cuh"
#include "cuda/kernels/sinks.cuh"
#include "cuda/kernels/sources.cuh"

namespace te_rt {
namespace cuda {

// 64 bytes of FP4 for each column, and 8 more to meet all banks.
constexpr int kStagePitch = 72;

struct MicroShared {
  union {
    uint8_t stage[kTile * kStagePitch]; // FP4, columnwise
    float columns[kWarps][kTile];       // MXFP8: amaxes over a warp's 16 rows
    uint4 pairs[kWarps][16];            // the same of BF16
  };
  float squares[kWarps][4];
  uint8_t codes[2][8][kTile]; // scales: direction, block, line
  float warps[kWarps];
};

template <typename T> __device__ inline float pieceAmax(const Piece<T> &piece) {
  float amax = 0.0f;
#pragma unroll
  for (int i = 0; i < 8; ++i)
    amax = fmaxf(amax, rowAmax(piece, i));
  return amax;
}
__device__ inline float maxWith(float amax, int lanes) {
  return fmaxf(amax, __shfl_xor_sync(~0u, amax, lanes));
}

//===----------------------------------------------------------------------===//
// MXFP8
//===----------------------------------------------------------------------===//

/// FP8 of row i of a piece; multiplier(i, j) is that of an element.
template <bool E5M2, typename T, typename Multiplier>
__device__ inline uint2 encodeRow(const Piece<T> &piece, int i,
                                  Multiplier multiplier) {
  auto pair = [&](int j) {
    return encodePair<E5M2>(
        __fmul_rn(piece.get(i, j), multiplier(i, j)),
        __fmul_rn(piece.get(i, j + 1), multiplier(i, j + 1)));
  };
  return make_uint2(pair(0) | pair(2) << 16, pair(4) | pair(6) << 16);
}
template <bool E5M2, typename T, typename Multiplier>
__device__ inline void storeFp8(const MicroTask &task, const Place &place,
                                const MicroOutput &out, const Piece<T> &piece,
                                Multiplier multiplier) {
  int row0 = place.threadRow(), col0 = place.threadCol();
  uint8_t *to = out.values +
                (place.member * task.rows + place.row0 + row0) * out.stride +
                place.col0 + col0;
  bool vector = (reinterpret_cast<uintptr_t>(to) | out.stride) % 8 == 0;
  int rows = min(place.rows - row0, 8), cols = min(place.cols - col0, 8);
  if (vector && rows == 8 && cols == 8) {
#pragma unroll
    for (int i = 0; i < 8; ++i, to += out.stride)
      *reinterpret_cast<uint2 *>(to) = encodeRow<E5M2>(piece, i, multiplier);
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i, to += out.stride) {
    uint2 codes = encodeRow<E5M2>(piece, i, multiplier);
    if (i >= rows)
      break;
    if (vector && cols == 8) {
      *reinterpret_cast<uint2 *>(to) = codes;
      continue;
    }
    for (int j = 0; j < cols; ++j)
      to[j] = static_cast<uint8_t>((j < 4 ? codes.x : codes.y) >> (j % 4 * 8));
  }
}
template <typename T, typename Multiplier>
__device__ inline void storeFp8(const MicroTask &task, const Place &place,
                                const MicroOutput &out, const Piece<T> &piece,
                                Multiplier multiplier) {
  if (out.e5m2)
    storeFp8<true>(task, place, out, piece, multiplier);
  else
    storeFp8<false>(task, place, out, piece, multiplier);
}

/// The amaxes of rows 2 q and 2 q + 1 over the 32 columns of four lanes, of which
/// this is number q. A lane keeps half of what it has at each step.
__device__ inline float2 rowAmaxPair(const Piece<BF16> &piece) {
  uint32_t pairs[4]; // of rows 2 r and 2 r + 1
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    uint32_t rows[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const uint32_t(&row)[4] = piece.pairs[2 * r + h];
      rows[h] = maxMagnitude(maxMagnitude(row[0], row[1]),
                             maxMagnitude(row[2], row[3]));
    }
    pairs[r] = maxMagnitude(__byte_perm(rows[0], rows[1], 0x5410),
                            __byte_perm(rows[0], rows[1], 0x7632));
  }
  bool upper = threadIdx.x & 2, odd = threadIdx.x & 1;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    uint32_t sent = upper ? pairs[r] : pairs[r + 2];
    uint32_t kept = upper ? pairs[r + 2] : pairs[r];
    pairs[r] = maxMagnitude(kept, __shfl_xor_sync(~0u, sent, 2));
  }
  uint32_t sent = odd ? pairs[0] : pairs[1], kept = odd ? pairs[1] : pairs[0];
  uint32_t both = maxMagnitude(kept, __shfl_xor_sync(~0u, sent, 1));
  return make_float2(fmaxf(lowOf(both), 0.0f), fmaxf(highOf(both), 0.0f));
}
__device__ inline float2 rowAmaxPair(const Piece<float> &piece) {
  float amax[8];
#pragma unroll
  for (int i = 0; i < 8; ++i)
    amax[i] = maxWith(maxWith(rowAmax(piece, i), 1), 2);
  int q = threadIdx.x % 4;
  return make_float2(q < 2 ? q ? amax[2] : amax[0] : q == 2 ? amax[4] : amax[6],
                     q < 2 ? q ? amax[3] : amax[1] : q == 2 ? amax[5] : amax[7]);
}

/// Notes the amaxes of a warp's 16 rows, column by column.
__device__ inline void noteColumns(const Piece<BF16> &piece,
                                   MicroShared &shared) {
  uint32_t amax[4];
#pragma unroll
  for (int p = 0; p < 4; ++p) {
    amax[p] = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      amax[p] = maxMagnitude(amax[p], piece.pairs[i][p]);
    amax[p] = maxMagnitude(amax[p], __shfl_xor_sync(~0u, amax[p], 16));
  }
  if ((threadIdx.x & 16) == 0)
    shared.pairs[threadIdx.x / 32][threadIdx.x % 16] =
        make_uint4(amax[0], amax[1], amax[2], amax[3]);
}
__device__ inline void noteColumns(const Piece<float> &piece,
                                   MicroShared &shared) {
  float amax[8];
  columnAmax(piece, amax);
#pragma unroll
  for (int j = 0; j < 8; ++j)
    amax[j] = maxWith(amax[j], 16);
  if (threadIdx.x & 16)
    return;
  float *to = shared.columns[threadIdx.x / 32] + threadIdx.x % 16 * 8;
#pragma unroll
  for (int j = 0; j < 8; j += 4)
    *reinterpret_cast<float4 *>(to + j) =
        make_float4(amax[j], amax[j + 1], amax[j + 2], amax[j + 3]);
}
/// Those of columns `col` and `col` + 1 over the 32 rows of block `block`.
__device__ inline float2 columnAmaxPair(const Piece<BF16> &, int block, int col,
                                        const MicroShared &shared) {
  auto pair = [&](int warp) {
    return reinterpret_cast<const uint32_t *>(shared.pairs[warp])[col / 2];
  };
  uint32_t both = maxMagnitude(pair(2 * block), pair(2 * block + 1));
  return make_float2(fmaxf(lowOf(both), 0.0f), fmaxf(highOf(both), 0.0f));
}
__device__ inline float2 columnAmaxPair(const Piece<float> &, int block,
                                        int col, const MicroShared &shared) {
  auto amax = [&](int c) { // all of a column may be NaN
    return fmaxf(fmaxf(shared.columns[2 * block][c],
                       shared.columns[2 * block + 1][c]),
                 0.0f);
  };
  return make_float2(amax(col), amax(col + 1));
}

/// Code i of eight.
__device__ inline uint32_t codeOf(uint2 codes, int i) {
  return (i < 4 ? codes.x : codes.y) >> (i % 4 * 8) & 0xff;
}

struct Mxfp8 {
  static constexpr int kBlock = 32;

  /// Nobody uses `shared` any more when this is called.
  template <typename T>
  __device__ static void run(const MicroArgs &args, const MicroTask &task,
                             const Place &place, const Piece<T> &piece,
                             MicroShared &shared) {
    const MicroOutput &rows = task.micro[0], &columns = task.micro[1];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int quarter = lane % 16 / 4; // which 32 columns
    if (task.accumulators) {
      float amax = warpMax(pieceAmax(piece));
      if (lane == 0)
        shared.warps[warp] = amax;
    }
    float2 amax;
    if (args.square) {
      float own = pieceAmax(piece);
      own = maxWith(maxWith(maxWith(own, 1), 2), 16);
      if (lane < 16 && lane % 4 == 0)
        shared.squares[warp][quarter] = own;
    } else {
      if (columns.values)
        noteColumns(piece, shared);
      amax = rowAmaxPair(piece);
    }
    __syncthreads();
    if (task.accumulators && threadIdx.x == 0)
      addAmax(task.accumulators + place.group, shared.warps);
    if (args.square)
      amax.x = amax.y = fmaxf(shared.squares[warp & ~1][quarter],
                              shared.squares[warp | 1][quarter]);
    uint2 rowCodes = make_uint2(0, 0);
    if (rows.values) {
      // Each of four lanes chooses two of the eight scales that all of them need.
      uint32_t own = chooseE8M0(amax.x, rows.e5m2) |
                     chooseE8M0(amax.y, rows.e5m2) << 8;
      uint32_t other = __shfl_xor_sync(~0u, own, 1);
      uint32_t four = lane & 1 ? other | own << 16 : own | other << 16;
      uint32_t far = __shfl_xor_sync(~0u, four, 2);
      rowCodes = lane & 2 ? make_uint2(far, four) : make_uint2(four, far);
      if (lane % 4 == 0)
        *reinterpret_cast<uint2 *>(shared.codes[0][quarter] +
                                   place.threadRow()) = rowCodes;
    }
    if (columns.values) {
      int block = threadIdx.x / 64, col = threadIdx.x % 64 * 2;
      float2 largest;
      if (args.square)
        largest.x = largest.y = fmaxf(shared.squares[2 * block][col / 32],
                                      shared.squares[2 * block + 1][col / 32]);
      else
        largest = columnAmaxPair(piece, block, col, shared);
      *reinterpret_cast<uint16_t *>(shared.codes[1][block] + col) =
          static_cast<uint16_t>(chooseE8M0(largest.x, columns.e5m2) |
                                chooseE8M0(largest.y, columns.e5m2) << 8);
    }
    __syncthreads();
    uint2 columnCodes = make_uint2(0, 0);
    if (columns.values)
      columnCodes = *reinterpret_cast<const uint2 *>(shared.codes[1][warp / 2] +
                                                     place.threadCol());
    if (rows.values)
      storeScales<kBlock, false>(task, place, rows.scales, shared.codes[0]);
    if (columns.values)
      storeScales<kBlock, true>(task, place, columns.scales, shared.codes[1]);
    if (isWhole(task, place)) {
      if (rows.values && columns.values)
        return storeWhole<true, true>(task, place, piece, rowCodes,
                                      columnCodes);
      if (rows.values)
        return storeWhole<true, false>(task, place, piece, rowCodes,
                                       columnCodes);
      return storeWhole<false, true>(task, place, piece, rowCodes, columnCodes);
    }
    if (rows.values)
      storeFp8(task, place, rows, piece, [&](int i, int) {
        return multiplierOf(codeOf(rowCodes, i));
      });
    if (columns.values)
      storeFp8(task, place, columns, piece, [&](int, int j) {
        return multiplierOf(codeOf(columnCodes, j));
      });
  }

private:
  /// All of the tile exists, as E4M3 in memory that words of 8 bytes fit.
  __device__ static bool isWhole(const MicroTask &task, const Place &place) {
    uintptr_t bits = task.cols;
    int32_t e5m2 = 0;
    for (const MicroOutput &out : task.micro) {
      bits |= reinterpret_cast<uintptr_t>(out.values);
      e5m2 |= out.values ? out.e5m2 : 0;
    }
    return place.rows == kTile && place.cols == kTile && bits % 8 == 0 && !e5m2;
  }
  /// Both directions from one unpacking of each element.
  template <bool Rows, bool Columns, typename T>
  __device__ static void storeWhole(const MicroTask &task, const Place &place,
                                    const Piece<T> &piece, uint2 rowCodes,
                                    uint2 columnCodes) {
    int64_t at = (place.member * task.rows + place.row0 + place.threadRow()) *
                     task.cols +
                 place.col0 + place.threadCol();
    uint8_t *toRows = task.micro[0].values + at;
    uint8_t *toColumns = task.micro[1].values + at;
    float column[8];
    if (Columns)
#pragma unroll
      for (int j = 0; j < 8; ++j)
        column[j] = multiplierOf(codeOf(columnCodes, j));
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      float values[8];
#pragma unroll
      for (int j = 0; j < 8; ++j)
        values[j] = piece.get(i, j);
      if (Rows) {
        float row = multiplierOf(codeOf(rowCodes, i));
        *reinterpret_cast<uint2 *>(toRows) =
            encodeEight(values, [&](int) { return row; });
        toRows += task.cols;
      }
      if (Columns) {
        *reinterpret_cast<uint2 *>(toColumns) =
            encodeEight(values, [&](int j) { return column[j]; });
        toColumns += task.cols;
      }
    }
  }
  template <typename Multiplier>
  __device__ static uint2 encodeEight(const float (&values)[8],
                                      Multiplier multiplier) {
    auto pair = [&](int j) {
      return encodePair<false>(__fmul_rn(values[j], multiplier(j)),
                               __fmul_rn(values[j + 1], multiplier(j + 1)));
    };
    return make_uint2(pair(0) | pair(2) << 16, pair(4) | pair(6) << 16);
  }
};

//===----------------------------------------------------------------------===//
// NVFP4
//===----------------------------------------------------------------------===//

/// The 16 rows of a warp: lanes 0 to 15 give their last four columns for the
/// first four of lanes 16 to 31.
template <typename T>
__device__ inline void exchange(const Piece<T> &piece, Columns<T> &columns);
template <>
__device__ inline void exchange(const Piece<BF16> &piece,
                                Columns<BF16> &columns) {
  bool upper = threadIdx.x & 16;
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int p = 0; p < 2; ++p) {
      uint32_t sent = upper ? piece.pairs[i][p] : piece.pairs[i][2 + p];
      uint32_t kept = upper ? piece.pairs[i][2 + p] : piece.pairs[i][p];
      uint32_t got = __shfl_xor_sync(~0u, sent, 16);
      columns.pairs[i][p] = upper ? got : kept;
      columns.pairs[8 + i][p] = upper ? kept : got;
    }
}
template <>
__device__ inline void exchange(const Piece<float> &piece,
                                Columns<float> &columns) {
  bool upper = threadIdx.x & 16;
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      float sent = upper ? piece.values[i][c] : piece.values[i][4 + c];
      float kept = upper ? piece.values[i][4 + c] : piece.values[i][c];
      float got = __shfl_xor_sync(~0u, sent, 16);
      columns.values[i][c] = upper ? got : kept;
      columns.values[8 + i][c] = upper ? kept : got;
    }
}
__device__ inline void transformRows(Columns<BF16> &columns,
                                     const Place &place) {
  transform(columns, place.rows - static_cast<int>(threadIdx.x) / 32 * 16);
}
__device__ inline void transformRows(Columns<float> &, const Place &) {}

/// The random words of `Count` neighbours from element `index` on.
template <int Count>
__device__ inline void randomWords(const MicroArgs &args, bool columnwise,
                                   int64_t index, uint32_t (&words)[Count]) {
  Philox philox = {static_cast<uint64_t>(args.rng[0]),
                   static_cast<uint64_t>(args.rng[1]) +
                       static_cast<uint64_t>(args.rngStream),
                   columnwise ? uint64_t(1) << 62 : 0};
  philox.words<Count>(index, words);
}

/// `Count` codes, four bits each, of scaled(i).
template <int Count, bool MayDraw, typename Scaled>
__device__ inline void encodeAll(const MicroArgs &args, bool columnwise,
                                 int64_t index, Scaled scaled,
                                 uint32_t (&words)[Count / 8]) {
#pragma unroll
  for (int w = 0; w < Count / 8; ++w)
    words[w] = 0;
  if (MayDraw && args.rng) {
    uint32_t random[Count];
    randomWords<Count>(args, columnwise, index, random);
#pragma unroll
    for (int i = 0; i < Count; ++i)
      words[i / 8] |= encodeFp4(scaled(i), random[i]) << (i % 8 * 4);
    return;
  }
#pragma unroll
  for (int i = 0; i < Count; ++i)
    words[i / 8] |= encodeFp4(scaled(i)) << (i % 8 * 4);
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

/// `Any`: with a Hadamard transform or stochastic rounding, if asked for.
template <bool Any> struct Nvfp4 {
  static constexpr int kBlock = 16;

  template <typename T>
  __device__ static void run(const MicroArgs &args, const MicroTask &task,
                             const Place &place, const Piece<T> &piece,
                             MicroShared &shared) {
    const MicroOutput &rows = task.micro[0], &columns = task.micro[1];
    float square = 0.0f;
    if (args.square)
      square = maxWith(maxWith(pieceAmax(piece), 1), 16);
    if (rows.values)
      castRows(args, task, place, piece, rows, square, shared.codes[0]);
    if (columns.values)
      castColumns(args, task, place, piece, columns, square, shared);
    __syncthreads();
    if (rows.values)
      storeScales<kBlock, false>(task, place, rows.scales, shared.codes[0]);
    if (columns.values) {
      storeScales<kBlock, true>(task, place, columns.scales, shared.codes[1]);
      storeColumns(task, place, columns, shared.stage);
    }
  }

private:
  struct Tensor {
    float sixth, inverse;
    __device__ Tensor(const MicroOutput &out, const Place &place) {
      float s = tensorMultiplier(
          out.tensorAmax[out.amaxPerGroup ? place.group : 0]);
      sixth = __fmul_rn(s, 1.0f / 6.0f);
      inverse = __frcp_rn(s);
    }
    __device__ BlockScale choose(float amax) const {
      return chooseE4M3(amax, sixth, inverse);
    }
  };

  /// Two neighbours have a block of each row; each chooses the scales of four.
  template <typename T>
  __device__ static void
  castRows(const MicroArgs &args, const MicroTask &task, const Place &place,
           const Piece<T> &piece, const MicroOutput &out, float square,
           uint8_t (*codes)[kTile]) {
    Tensor tensor(out, place);
    bool odd = threadIdx.x & 1;
    float amax[8], own[4], multiplier[8];
#pragma unroll
    for (int i = 0; i < 8; ++i)
      amax[i] = rowAmax(piece, i);
    uint32_t word = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float sent = odd ? amax[i] : amax[4 + i];
      float kept = odd ? amax[4 + i] : amax[i];
      float largest = fmaxf(kept, __shfl_xor_sync(~0u, sent, 1));
      BlockScale scale = tensor.choose(args.square ? square : largest);
      word |= scale.code << (8 * i);
      own[i] = scale.multiplier;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float other = __shfl_xor_sync(~0u, own[i], 1);
      multiplier[i] = odd ? other : own[i];
      multiplier[4 + i] = odd ? own[i] : other;
    }
    int row0 = place.threadRow(), col0 = place.threadCol();
    *reinterpret_cast<uint32_t *>(codes[threadIdx.x % 16 / 2] + row0 +
                                  (odd ? 4 : 0)) = word;
    int cols = min(place.cols - col0, 8);
    int64_t first =
        (place.member * task.rows + place.row0 + row0) * task.cols +
        place.col0 + col0;
    bool vector =
        cols == 8 &&
        (reinterpret_cast<uintptr_t>(out.values) * 2 + first | task.cols) % 8 ==
            0;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (row0 + i >= place.rows || cols <= 0)
        continue;
      int64_t at = first + i * task.cols;
      uint32_t words[1];
      encodeAll<8, Any>(
          args, false, at,
          [&](int j) { return __fmul_rn(piece.get(i, j), multiplier[i]); },
          words);
      uint8_t *to = out.values + at / 2; // the number of columns is even
      if (vector)
        *reinterpret_cast<uint32_t *>(to) = words[0];
      else
#pragma unroll
        for (int j = 0; j < 8; j += 2)
          if (j < cols)
            to[j / 2] = static_cast<uint8_t>(words[0] >> (4 * j));
    }
  }

  template <typename T>
  __device__ static void
  castColumns(const MicroArgs &args, const MicroTask &task, const Place &place,
              const Piece<T> &piece, const MicroOutput &out, float square,
              MicroShared &shared) {
    Tensor tensor(out, place);
    Columns<T> columns;
    exchange(piece, columns);
    if (Any && args.hadamard)
      transformRows(columns, place);
    int warp = threadIdx.x / 32;
    int col0 = place.threadCol() + (threadIdx.x & 16 ? 4 : 0);
    float amax[4];
    columns.amaxes(amax);
    if (Any && args.square && args.hadamard) {
      square = fmaxf(fmaxf(amax[0], amax[1]), fmaxf(amax[2], amax[3]));
      square = maxWith(maxWith(square, 1), 16);
    }
    uint32_t word = 0;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      BlockScale scale = tensor.choose(args.square ? square : amax[c]);
      word |= scale.code << (8 * c);
      uint32_t words[2];
      encodeAll<16, Any>(
          args, true,
          (place.member * task.cols + place.col0 + col0 + c) * out.stride +
              place.row0 + warp * 16,
          [&](int i) {
            return __fmul_rn(columns.get(i, c), scale.multiplier);
          },
          words);
      *reinterpret_cast<uint2 *>(shared.stage +
                                 stagePosition(col0 + c) * kStagePitch +
                                 warp * 8) = make_uint2(words[0], words[1]);
    }
    *reinterpret_cast<uint32_t *>(shared.codes[1][warp] + col0) = word;
  }

  /// Where column `col` of the tile has its rows in the stage.
  __device__ static int stagePosition(int col) {
    return col % 8 * 16 + col / 8;
  }

  /// Four threads of 16 bytes write a column of the tile.
  __device__ static void storeColumns(const MicroTask &task, const Place &place,
                                      const MicroOutput &out,
                                      const uint8_t *stage) {
#pragma unroll
    for (int round = 0; round < kTile * 4 / kTileThreads; ++round) {
      int unit = round * kTileThreads + threadIdx.x;
      int position = unit / 4, part = unit % 4;
      int col = position % 16 * 8 + position / 16;
      int rows = min(place.rows - part * 32, 32);
      if (col >= place.cols || rows <= 0)
        continue;
      const uint8_t *from = stage + position * kStagePitch + part * 16;
      int64_t first = (place.member * task.cols + place.col0 + col) * out.stride +
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
};

/// The first of the two passes of NVFP4: amaxes alone. `Any` as above.
template <bool Any> struct Nvfp4Amax {
  static constexpr int kBlock = 16;

  template <typename T>
  __device__ static void run(const MicroArgs &args, const MicroTask &task,
                             const Place &place, const Piece<T> &piece,
                             MicroShared &shared) {
    add(task.accumulators, place, pieceAmax(piece), shared);
    if (!Any || !task.transformed)
      return;
    Columns<T> columns;
    exchange(piece, columns);
    transformRows(columns, place);
    float amax[4];
    columns.amaxes(amax);
    add(task.transformed, place,
        fmaxf(fmaxf(amax[0], amax[1]), fmaxf(amax[2], amax[3])), shared);
  }

private:
  __device__ static void add(uint32_t *accumulators, const Place &place,
                             float amax, MicroShared &shared) {
    __syncthreads();
    amax = warpMax(amax);
    if (threadIdx.x % 32 == 0)
      shared.warps[threadIdx.x / 32] = amax;
    __syncthreads();
    if (threadIdx.x == 0)
      addAmax(accumulators + place.group, shared.warps);
  }
};

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// 16 bytes, or as many zeros.
__device__ inline void copyOrZero(uint4 *to, const uint4 *from, bool exists) {
  auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address),
               "l"(from), "r"(exists ? 16 : 0)
               : "memory");
}
__device__ inline void keepRow(const Piece<BF16> &row, uint4 *to) {
  *to = make_uint4(row.pairs[0][0], row.pairs[0][1], row.pairs[0][2],
                   row.pairs[0][3]);
}
__device__ inline void keepRow(const Piece<float> &row, uint4 *to) {
  const float(&v)[8] = row.values[0];
  to[0] = make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]),
                     __float_as_uint(v[2]), __float_as_uint(v[3]));
  to[kTileThreads] = make_uint4(__float_as_uint(v[4]), __float_as_uint(v[5]),
                                __float_as_uint(v[6]), __float_as_uint(v[7]));
}
__device__ inline void takePiece(Piece<BF16> &piece, const uint4 *from) {
  asm volatile("cp.async.wait_all;" ::: "memory");
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    uint4 word = from[i * kTileThreads];
    piece.pairs[i][0] = word.x, piece.pairs[i][1] = word.y;
    piece.pairs[i][2] = word.z, piece.pairs[i][3] = word.w;
  }
}
__device__ inline void takePiece(Piece<float> &piece, const uint4 *from) {
  asm volatile("cp.async.wait_all;" ::: "memory");
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int w = 0; w < 2; ++w) {
      uint4 word = from[(2 * i + w) * kTileThreads];
      piece.values[i][4 * w] = __uint_as_float(word.x);
      piece.values[i][4 * w + 1] = __uint_as_float(word.y);
      piece.values[i][4 * w + 2] = __uint_as_float(word.z);
      piece.values[i][4 * w + 3] = __uint_as_float(word.w);
    }
}

/// The last block to arrive writes the amaxes of all groups, and leaves
/// accumulators and ticket at zero.
__device__ inline void finishAmaxes(const MicroTask &task, int thread,
                                    int step) {
  int first = task.member >= 0 ? task.member : 0;
  int last = task.member >= 0 ? task.member + 1 : task.groups;
  for (int g = first + thread; task.accumulators && g < last; g += step) {
    float own = __uint_as_float(__ldcg(task.accumulators + g));
    float transformed = task.transformed
                            ? __uint_as_float(__ldcg(task.transformed + g))
                            : own;
    for (int d = 0; d < 2; ++d)
      if (const MicroOutput &out = task.micro[d]; out.tensorAmax)
        out.tensorAmax[out.amaxPerGroup ? g : 0] = d ? transformed : own;
    if (task.amaxOut) {
      int at = task.amaxPerGroup ? g : 0;
      task.amaxOut[at] = fmaxf(task.amax ? task.amax[at] : 0.0f, own);
    }
    task.accumulators[g] = 0;
    if (task.transformed)
      task.transformed[g] = 0;
  }
}

/// Called by all threads of each block, once: the last block finishes.
__device__ inline void finishMicro(const MicroArgs &args) {
  if (!args.finishes)
    return;
  __shared__ bool isLast;
  if (threadIdx.x == 0) {
    __threadfence();
    isLast = atomicAdd(args.ticket, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!isLast)
    return;
  __threadfence();
  if (!args.table)
    finishAmaxes(args.task, threadIdx.x, kTileThreads);
  for (int64_t i = threadIdx.x; args.table && i < args.numTasks;
       i += kTileThreads)
    finishAmaxes(args.table[i], 0, 1);
  if (threadIdx.x == 0)
    *args.ticket = 0;
}

/// What no tile of ragged rows has.
__device__ inline void clearPadding(const MicroTask &task) {
  if (task.tilesPerMember == 0)
    for (const MicroOutput &out : task.micro)
      if (out.values && !(out.scales.swizzled && out.scales.restarts))
        clearPadding(out.scales);
}

/// The body of kernels over tiles whose elements are computed: one for each block.
template <typename Source, typename Format>
__device__ inline void runMicro(const MicroArgs &args) {
  __shared__ MicroShared shared;
  if (args.noop && *args.noop == 1.0f)
    return;
  const MicroTask &task = args.task;
  clearPadding(task);
  Place place;
  if (blockIdx.x < task.tiles && locate(task, blockIdx.x, place)) {
    Piece<typename Source::Element> pieces[Source::kParts];
    Source::load(task, place, pieces);
#pragma unroll
    for (int part = 0; part < Source::kParts; ++part) {
      Place target = place;
      target.col0 += part * task.source.width;
      if (part)
        __syncthreads(); // the last user of `shared`
      Format::run(args, task, target, pieces[part], shared);
    }
  }
  finishMicro(args);
}

/// The body of kernels over the tiles of matrices in memory: a block takes every
/// gridDim.x-th, and the next one is on its way to shared memory meanwhile. A
/// thread waits for nothing but what it has asked for itself.
template <typename T, typename Format, bool FromTable>
__device__ inline void runMicroStream(const MicroArgs &args) {
  extern __shared__ uint4 memory[];
  __shared__ MicroShared shared;
  __shared__ Place places[2];
  if (args.noop && *args.noop == 1.0f)
    return;
  constexpr int kWords = sizeof(T) / 2; // of 16 bytes in eight elements
  uint4 *words = memory + threadIdx.x;
  const MicroTask *next = FromTable ? args.table : &args.task;
  bool works = false;
  if (!FromTable)
    clearPadding(args.task);
  auto request = [&](uint32_t tile, Place &noted) {
    if (FromTable) {
      if (tile >= next->firstTile + next->tiles || tile < next->firstTile)
        next = args.table + countUpTo(args.numTasks, tile, [&](int64_t i) {
                 return args.table[i].firstTile;
               }) - 1;
      tile -= static_cast<uint32_t>(next->firstTile);
    }
    Place place;
    works = tile < next->tiles && locate(*next, tile, place);
    if (!works)
      return;
    if (threadIdx.x == 0)
      noted = place;
    int row0 = place.threadRow(), col0 = place.threadCol();
    const T *from = static_cast<const T *>(next->source.input) +
                    (place.member * next->rows + place.row0 + row0) *
                        next->cols +
                    place.col0 + col0;
    int rows = place.rows - row0, cols = place.cols - col0;
    if (isVector(from, next->cols) && cols >= 8) {
#pragma unroll
      for (int i = 0; i < 8; ++i, from += next->cols)
#pragma unroll
        for (int w = 0; w < kWords; ++w)
          copyOrZero(words + (i * kWords + w) * kTileThreads,
                     reinterpret_cast<const uint4 *>(from) + w, i < rows);
      return;
    }
#pragma unroll 1
    for (int i = 0; i < 8; ++i, from += next->cols) {
      Piece<T> row;
      loadRow(from, i < rows ? cols : 0, false, row, 0);
      keepRow(row, words + i * kWords * kTileThreads);
    }
  };
  uint32_t tiles = static_cast<uint32_t>(args.tiles);
  int parity = 0;
  if (blockIdx.x < tiles)
    request(blockIdx.x, places[0]);
  for (uint32_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const MicroTask &task = *next;
    bool now = works;
    __syncthreads(); // the place is there, and nobody reads the other one
    Place place = places[parity];
    Piece<T> piece;
    if (now)
      takePiece(piece, words);
    parity ^= 1;
    if (tile + gridDim.x < tiles)
      request(tile + gridDim.x, places[parity]);
    if (now)
      Format::run(args, task, place, piece, shared);
  }
  finishMicro(args);
}

#define TE_RT_MICRO_KERNEL(name, source, format, blocksPerSm)                  \
  extern "C" __global__ void __launch_bounds__(te_rt::cuda::kTileThreads,      \
                                               blocksPerSm)                    \
      name(const __grid_constant__ te_rt::cuda::MicroArgs args) {              \
    te_rt::cuda::runMicro<source, format>(args);                               \
  }
#define TE_RT_MICRO_STREAM(name, type, format, fromTable, blocksPerSm)         \
  extern "C" __global__ void __launch_bounds__(te_rt::cuda::kTileThreads,      \
                                               blocksPerSm)                    \
      name(const __grid_constant__ te_rt::cuda::MicroArgs args) {              \
    te_rt::cuda::runMicroStream<type, format, fromTable>(args);                \
  }

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_SINK_CUH
