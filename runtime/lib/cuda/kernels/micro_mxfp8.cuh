//===- micro_mxfp8.cuh - tiles as MXFP8 -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_MXFP8_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_MXFP8_CUH

#include "cuda/kernels/micro_sink.cuh"

namespace te_rt {
namespace cuda {

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

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_MXFP8_CUH
