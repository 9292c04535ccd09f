//===- sinks.cuh - what becomes of a tile ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_SINKS_CUH
#define TE_RUNTIME_CUDA_KERNELS_SINKS_CUH

#include "cuda/kernels/tile.cuh"

namespace te_rt {
namespace cuda {

constexpr int kWarps = kTileThreads / 32;

//===----------------------------------------------------------------------===//
// Largest magnitudes
//===----------------------------------------------------------------------===//

/// Of one thread's piece: of each column, and of all.
__device__ inline void columnAmax(const Piece<BF16> &piece, float (&amax)[8]) {
#pragma unroll
  for (int p = 0; p < 4; ++p) {
    uint32_t largest = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      largest = maxMagnitude(largest, piece.pairs[i][p]);
    amax[2 * p] = lowOf(largest);
    amax[2 * p + 1] = highOf(largest);
  }
}
__device__ inline void columnAmax(const Piece<float> &piece, float (&amax)[8]) {
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    amax[j] = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      amax[j] = fmaxf(amax[j], fabsf(piece.values[i][j]));
  }
}
__device__ inline float rowAmax(const Piece<BF16> &piece, int i) {
  uint32_t largest =
      maxMagnitude(maxMagnitude(piece.pairs[i][0], piece.pairs[i][1]),
                   maxMagnitude(piece.pairs[i][2], piece.pairs[i][3]));
  return fmaxf(fmaxf(lowOf(largest), highOf(largest)), 0.0f);
}
__device__ inline float rowAmax(const Piece<float> &piece, int i) {
  float amax = 0.0f;
#pragma unroll
  for (int j = 0; j < 8; ++j)
    amax = fmaxf(amax, fabsf(piece.values[i][j]));
  return amax;
}

/// The amax of all lanes, each with its own.
__device__ inline float warpMax(float amax) {
  return __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(amax)));
}

/// Halves the values a lane keeps at each step: after 8, 4 and 2 lanes apart it
/// has one of the 8 rows, and after 1 the amax over its 16 threads. Row
/// threadRow() + `row` is what it returns the amax of.
__device__ inline float reduceRows(float (&amax)[8], int &row) {
  int lane = threadIdx.x % 32;
  row = 0;
#pragma unroll
  for (int step = 8; step >= 2; step /= 2) {
    int kept = step / 2;
    bool upper = lane & step;
    row += upper ? kept : 0;
#pragma unroll
    for (int i = 0; i < kept; ++i) {
      float sent = upper ? amax[i] : amax[i + kept];
      float mine = upper ? amax[i + kept] : amax[i];
      amax[i] = fmaxf(mine, __shfl_xor_sync(~0u, sent, step));
    }
  }
  return fmaxf(amax[0], __shfl_xor_sync(~0u, amax[0], 1));
}

/// Adds what a block found to the accumulator of its group.
__device__ inline void accumulate(const TileTask &task, const Place &place,
                                  float amax, float (&warps)[kWarps]) {
  amax = warpMax(amax);
  if (threadIdx.x % 32 == 0)
    warps[threadIdx.x / 32] = amax;
  __syncthreads();
  if (threadIdx.x == 0) {
#pragma unroll
    for (int w = 1; w < kWarps; ++w)
      amax = fmaxf(amax, warps[w]);
    if (amax > 0.0f)
      atomicMax(task.accumulators + place.group, __float_as_uint(amax));
  }
}

/// The first of two passes: amaxes alone.
struct AmaxSink {
  struct Shared {
    float warps[kWarps];
  };
  template <typename T>
  __device__ static void run(const TileArgs &args, const TileTask &task,
                             const Place &place, const Piece<T> &piece,
                             Shared &shared, bool isLastPart) {
    __syncthreads();
    float amax = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      amax = fmaxf(amax, rowAmax(piece, i));
    accumulate(task, place, amax, shared.warps);
    if (isLastPart && args.finishes && threadIdx.x == 0)
      arrive(args);
  }
};

//===----------------------------------------------------------------------===//
// Stores
//===----------------------------------------------------------------------===//

/// Rows as they are.
struct StoreSink {
  struct Shared {};
  template <typename T>
  __device__ static void run(const TileArgs &, const TileTask &task,
                             const Place &place, const Piece<T> &piece,
                             Shared &, bool) {
    int64_t stride = task.outputStride;
    T *base = static_cast<T *>(task.output) +
              (place.member * task.rows + place.row0) * stride + place.col0;
    bool vector = (reinterpret_cast<uintptr_t>(base) | stride * sizeof(T)) % 16 == 0;
    int row0 = place.threadRow(), col0 = place.threadCol();
    int cols = min(place.cols - col0, 8);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (row0 + i >= place.rows)
        continue;
      T *to = base + (row0 + i) * stride + col0;
      if (vector && cols == 8) {
        auto *from = reinterpret_cast<const uint4 *>(rowOf(piece, i));
#pragma unroll
        for (int v = 0; v < static_cast<int>(sizeof(T)) / 2; ++v)
          reinterpret_cast<uint4 *>(to)[v] = from[v];
      } else {
#pragma unroll
        for (int j = 0; j < 8; ++j)
          if (j < cols)
            to[j] = fromFloat<T>(piece.get(i, j));
      }
    }
  }

private:
  __device__ static const void *rowOf(const Piece<BF16> &piece, int i) {
    return piece.pairs[i];
  }
  __device__ static const void *rowOf(const Piece<float> &piece, int i) {
    return piece.values[i];
  }
};

/// Casts to FP8, in one or two directions.
struct CastSink {
  // Columns of the transposed tile, 16 apart where a half warp writes them: so
  // they meet all banks. 8 bytes more than 128 for the same reason.
  static constexpr int kPitch = kTile + 8;
  struct Shared {
    union {
      uint8_t stage[kTile * kPitch];
      float columns[kWarps * 2][kTile];
    };
    float rows[kTile];
    float scale[2][kTile];
    float warps[kWarps];
  };

  template <typename T>
  __device__ static void run(const TileArgs &args, const TileTask &task,
                             const Place &place, const Piece<T> &piece,
                             Shared &shared, bool isLastPart) {
    __syncthreads(); // the last user of `shared`
    findAmaxes(task, place, piece, shared);
    __syncthreads();
    chooseScales(args, task, place, shared);
    if (isLastPart && args.finishes && threadIdx.x == 0)
      arrive(args);
    __syncthreads();
#pragma unroll
    for (int d = 0; d < 2; ++d) {
      const CastOutput &out = task.out[d];
      if (out.kind == kNoOutput)
        continue;
      if (out.e5m2)
        cast<true>(task, place, piece, out, shared.scale[d], shared.stage);
      else
        cast<false>(task, place, piece, out, shared.scale[d], shared.stage);
    }
  }

private:
  __device__ static bool has(const TileTask &task, int kind) {
    return task.out[0].kind == kind || task.out[1].kind == kind;
  }

  template <typename T>
  __device__ static void findAmaxes(const TileTask &task, const Place &place,
                                    const Piece<T> &piece, Shared &shared) {
    if (has(task, kRowBlocks)) {
      float amax[8];
#pragma unroll
      for (int i = 0; i < 8; ++i)
        amax[i] = rowAmax(piece, i);
      int row;
      float largest = reduceRows(amax, row);
      if (threadIdx.x % 2 == 0)
        shared.rows[place.threadRow() + row] = largest;
    }
    bool whole = task.accumulators || has(task, kSquareBlocks);
    if (!whole && !has(task, kColumnBlocks))
      return;
    float amax[8];
    columnAmax(piece, amax);
    float *columns = shared.columns[threadIdx.x / 16] + place.threadCol();
    if (has(task, kColumnBlocks)) {
      *reinterpret_cast<float4 *>(columns) =
          make_float4(amax[0], amax[1], amax[2], amax[3]);
      *reinterpret_cast<float4 *>(columns + 4) =
          make_float4(amax[4], amax[5], amax[6], amax[7]);
    }
    if (whole) {
      float largest = 0.0f;
#pragma unroll
      for (int j = 0; j < 8; ++j)
        largest = fmaxf(largest, amax[j]);
      largest = warpMax(largest);
      if (threadIdx.x % 32 == 0)
        shared.warps[threadIdx.x / 32] = largest;
    }
  }

  /// Threads 0 to 127 for the first direction, the others for the second.
  __device__ static void chooseScales(const TileArgs &args,
                                      const TileTask &task, const Place &place,
                                      Shared &shared) {
    int d = threadIdx.x / kTile, k = threadIdx.x % kTile;
    const CastOutput &out = task.out[d];
    float whole = 0.0f;
    if (task.accumulators || out.kind == kSquareBlocks)
#pragma unroll
      for (int w = 0; w < kWarps; ++w)
        whole = fmaxf(whole, shared.warps[w]);
    if (threadIdx.x == 0 && task.accumulators && whole > 0.0f)
      atomicMax(task.accumulators + place.group, __float_as_uint(whole));

    int64_t blockCol = place.col0 / kTile;
    int64_t at = place.member * out.memberScales;
    float amax = 0.0f;
    bool writes = false;
    switch (out.kind) {
    case kNoOutput:
      return;
    case kWholeTensor:
      shared.scale[d][k] =
          task.multipliers[task.multiplierPerGroup ? place.group : 0];
      return;
    case kRowBlocks:
      amax = shared.rows[k];
      at += (place.row0 + k) * out.strideRow + blockCol * out.strideCol;
      writes = k < place.rows;
      break;
    case kColumnBlocks:
#pragma unroll
      for (int w = 0; w < 2 * kWarps; ++w)
        amax = fmaxf(amax, shared.columns[w][k]);
      at += place.blockRow * out.strideRow + (place.col0 + k) * out.strideCol;
      writes = k < place.cols;
      break;
    case kSquareBlocks:
      amax = whole;
      at += place.blockRow * out.strideRow + blockCol * out.strideCol;
      writes = k == 0;
      break;
    }
    float scale = scaleFromAmax(amax, out.e5m2 ? 57344.0f : 448.0f,
                                args.epsilon, args.pow2, args.overflow);
    shared.scale[d][k] = scale;
    if (writes)
      out.scales[at] = __frcp_rn(scale);
  }

  /// The scales of eight rows or columns of a thread.
  __device__ static void readScales(const float *scales, float (&own)[8]) {
    float4 low = *reinterpret_cast<const float4 *>(scales);
    float4 high = *reinterpret_cast<const float4 *>(scales + 4);
    own[0] = low.x, own[1] = low.y, own[2] = low.z, own[3] = low.w;
    own[4] = high.x, own[5] = high.y, own[6] = high.z, own[7] = high.w;
  }

  template <bool E5M2, typename T>
  __device__ static void cast(const TileTask &task, const Place &place,
                              const Piece<T> &piece, const CastOutput &out,
                              const float *scales, uint8_t *stage) {
    bool byRow = out.kind == kRowBlocks;
    float own[8]; // whole tensors and squares: all the same
    readScales(scales + (byRow ? place.threadRow() : place.threadCol()), own);
    if (out.transposed) {
      if (byRow)
        stageColumns<E5M2, true>(piece, own, place, stage);
      else
        stageColumns<E5M2, false>(piece, own, place, stage);
      __syncthreads();
      storeTransposed(task, place, out, stage);
      __syncthreads(); // before the other direction stages
    } else if (byRow) {
      storeRows<E5M2, true>(task, piece, own, place, out);
    } else {
      storeRows<E5M2, false>(task, piece, own, place, out);
    }
  }

  template <bool E5M2, bool ByRow, typename T>
  __device__ static void storeRows(const TileTask &task, const Piece<T> &piece,
                                   const float (&scale)[8], const Place &place,
                                   const CastOutput &out) {
    uint8_t *base = out.values +
                    (place.member * task.rows + place.row0) * out.stride +
                    place.col0;
    bool vector = (reinterpret_cast<uintptr_t>(base) | out.stride) % 8 == 0;
    int row0 = place.threadRow(), col0 = place.threadCol();
    int cols = min(place.cols - col0, 8);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      uint32_t words[2];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        auto scaled = [&](int j) {
          return __fmul_rn(piece.get(i, j), scale[ByRow ? i : j]);
        };
        words[h] = encodePair<E5M2>(scaled(4 * h), scaled(4 * h + 1)) |
                   encodePair<E5M2>(scaled(4 * h + 2), scaled(4 * h + 3)) << 16;
      }
      if (row0 + i >= place.rows)
        continue;
      uint8_t *to = base + (row0 + i) * out.stride + col0;
      if (vector && cols == 8) {
        *reinterpret_cast<uint2 *>(to) = make_uint2(words[0], words[1]);
      } else {
#pragma unroll
        for (int j = 0; j < 8; ++j)
          if (j < cols)
            to[j] = static_cast<uint8_t>(words[j / 4] >> (j % 4 * 8));
      }
    }
  }

  /// Where column `col` of the tile has its rows in the stage.
  __device__ static int stagePosition(int col) {
    return col % 8 * 16 + col / 8;
  }

  template <bool E5M2, bool ByRow, typename T>
  __device__ static void
  stageColumns(const Piece<T> &piece, const float (&scale)[8],
               const Place &place, uint8_t *stage) {
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      uint32_t words[2];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        auto scaled = [&](int i) {
          return __fmul_rn(piece.get(i, j), scale[ByRow ? i : j]);
        };
        words[h] = encodePair<E5M2>(scaled(4 * h), scaled(4 * h + 1)) |
                   encodePair<E5M2>(scaled(4 * h + 2), scaled(4 * h + 3)) << 16;
      }
      uint8_t *to = stage + stagePosition(place.threadCol() + j) * kPitch +
                    place.threadRow();
      *reinterpret_cast<uint2 *>(to) = make_uint2(words[0], words[1]);
    }
  }

  /// Eight threads of 16 bytes write a column of the tile.
  __device__ static void storeTransposed(const TileTask &task,
                                         const Place &place,
                                         const CastOutput &out,
                                         const uint8_t *stage) {
    uint8_t *base = out.values + place.member * task.rows * task.cols +
                    place.col0 * out.stride + place.row0;
    bool vector = (reinterpret_cast<uintptr_t>(base) | out.stride) % 16 == 0;
    int part = threadIdx.x % 8 * 16;
    int rows = min(place.rows - part, 16);
#pragma unroll
    for (int round = 0; round < kTile * 8 / kTileThreads; ++round) {
      int position = round * (kTileThreads / 8) + threadIdx.x / 8;
      int col = position % 16 * 8 + position / 16;
      if (col >= place.cols || rows <= 0)
        continue;
      const uint8_t *from = stage + position * kPitch + part;
      uint8_t *to = base + col * out.stride + part;
      if (vector && rows == 16) {
        uint2 low = *reinterpret_cast<const uint2 *>(from);
        uint2 high = *reinterpret_cast<const uint2 *>(from + 8);
        *reinterpret_cast<uint4 *>(to) =
            make_uint4(low.x, low.y, high.x, high.y);
      } else {
        for (int i = 0; i < rows; ++i)
          to[i] = from[i];
      }
    }
  }
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_SINKS_CUH
