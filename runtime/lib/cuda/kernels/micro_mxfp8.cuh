//===- micro_mxfp8.cuh - tiles as MXFP8 -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_MXFP8_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_MXFP8_CUH

#include "cuda/kernels/micro_kernels.cuh"
#include "cuda/kernels/microscaling.cuh"
#include "cuda/kernels/sinks.cuh"

namespace te_rt {
namespace cuda {

/// The amaxes of rows 2 q and 2 q + 1 over the 32 columns of four lanes, of which
/// this is number q. A lane keeps half of what it has at each step.
__device__ inline float2 rowAmaxPair(const Piece<BF16, kMxfp8Rows> &piece) {
  uint32_t pairs[4]; // of rows 2 r and 2 r + 1
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    uint32_t even = rowAmax(piece, 2 * r), odd = rowAmax(piece, 2 * r + 1);
    pairs[r] = maxMagnitude(__byte_perm(even, odd, 0x5410),
                            __byte_perm(even, odd, 0x7632));
  }
  bool upper = threadIdx.x & 2, odd = threadIdx.x & 1;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    uint32_t sent = upper ? pairs[r] : pairs[r + 2];
    uint32_t kept = upper ? pairs[r + 2] : pairs[r];
    pairs[r] = maxMagnitude(kept, __shfl_xor_sync(~0u, sent, 2));
  }
  uint32_t sent = odd ? pairs[0] : pairs[1], kept = odd ? pairs[1] : pairs[0];
  return amaxesOf(maxMagnitude(kept, __shfl_xor_sync(~0u, sent, 1)));
}
__device__ inline float2 rowAmaxPair(const Piece<float, kMxfp8Rows> &piece) {
  float amax[8];
#pragma unroll
  for (int i = 0; i < 8; ++i)
    amax[i] = maxWith(maxWith(__uint_as_float(rowAmax(piece, i)), 1), 2);
  int q = threadIdx.x % 4;
  return make_float2(q < 2 ? q ? amax[2] : amax[0] : q == 2 ? amax[4] : amax[6],
                     q < 2 ? q ? amax[3] : amax[1] : q == 2 ? amax[5] : amax[7]);
}

/// Casts to FP8 in blocks of 32. Scales of rows are known to four lanes, which go
/// on at once; those of columns and squares need two warps.
template <typename T> struct Mxfp8Sink {
  static constexpr int kRows = kMxfp8Rows, kBlock = 32;
  using Tile = Piece<T, kRows>;
  static constexpr int kWarps = Tile::kWarps;
  static constexpr int kWords = sizeof(T) / 2 * 4; // of eight magnitudes
  struct Shared {
    uint32_t columns[kWarps][16 * kWords]; // amaxes over a warp's 16 rows
    float squares[kWarps][4];
    uint8_t codes[2][kTile / kBlock][kTile]; // scales: direction, block, line
    float warps[kWarps];
  };
  __device__ Mxfp8Sink(const MicroArgs &args, const MicroTask &task,
                       const Place &place, Shared &shared)
      : args(args), task(task), place(place), shared(shared) {}
  int64_t colsBefore = 0; // of the parts before this one

  __device__ bool run(Tile &piece, bool isLastPart) {
    const MicroOutput &rows = task.micro[0], &columns = task.micro[1];
    piece.forget();
    note(piece, columns.values);
    if (args.square)
      __syncthreads();
    if (rows.values) {
      float scale[kRows];
      chooseRows(piece, rows, scale);
      piece.forget();
      cast<true>(piece, rows, scale);
    }
    __syncthreads();
    bool isLast = settle(isLastPart);
    if (columns.values) {
      chooseColumns(columns);
      __syncthreads();
    }
    if (rows.values)
      store<false>(rows);
    if (columns.values) {
      store<true>(columns);
      float scale[8];
      uint2 codes = *reinterpret_cast<const uint2 *>(
          shared.codes[1][Tile::row() / kBlock] + Tile::col());
#pragma unroll
      for (int j = 0; j < 8; ++j)
        scale[j] = multiplierOf(codeOf(codes, j));
      piece.forget();
      cast<false>(piece, columns, scale);
    }
    return isLast;
  }

private:
  template <bool Columnwise> __device__ void store(const MicroOutput &out) {
    storeScales<kBlock, Columnwise, Tile::kThreads>(
        task, place, colsBefore, out.scales, [&](int block, int line) {
          return shared.codes[Columnwise][block][line];
        });
  }

  /// Code i of eight.
  __device__ static uint32_t codeOf(uint2 codes, int i) {
    return (i < 4 ? codes.x : codes.y) >> (i % 4 * 8) & 0xff;
  }

  /// What other warps want to know of this one.
  __device__ void note(const Tile &piece, bool findsColumns) {
    if (!findsColumns && !task.accumulators && !args.square)
      return;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    uint32_t amax[kWords];
    columnAmaxes(piece, amax);
    if (findsColumns && !args.square && lane < 16)
      putWords(shared.columns[warp] + lane * kWords, amax);
    if (!task.accumulators && !args.square)
      return;
#pragma unroll
    for (int w = 1; w < kWords; ++w)
      amax[0] = largerWord<T>(amax[0], amax[w]);
    float own = amaxOf<T>(amax[0]);
    if (args.square) {
      float square = maxWith(maxWith(own, 1), 2);
      if (lane < 16 && lane % 4 == 0)
        shared.squares[warp][lane / 4] = square;
    }
    if (task.accumulators) {
      own = warpMax(own);
      if (lane == 0)
        shared.warps[warp] = own;
    }
  }
  __device__ bool settle(bool isLastPart) {
    if (threadIdx.x != 0)
      return false;
    if (task.accumulators) {
      float largest = 0.0f;
#pragma unroll
      for (int w = 0; w < kWarps; ++w)
        largest = fmaxf(largest, shared.warps[w]);
      accumulate(task, place, largest);
    }
    return isLastPart && args.finishes && arrive(args);
  }

  __device__ float squareOf(int block, int quarter) const {
    return fmaxf(shared.squares[2 * block][quarter],
                 shared.squares[2 * block + 1][quarter]);
  }

  /// Each of four lanes chooses two of the eight scales that all of them need.
  __device__ void chooseRows(const Tile &piece, const MicroOutput &out,
                             float (&scale)[kRows]) {
    int lane = threadIdx.x % 32, quarter = lane % 16 / 4; // which 32 columns
    float2 amax;
    if (args.square)
      amax.x = amax.y = squareOf(Tile::row() / kBlock, quarter);
    else
      amax = rowAmaxPair(piece);
    uint32_t own =
        chooseE8M0(amax.x, out.e5m2) | chooseE8M0(amax.y, out.e5m2) << 8;
    uint32_t other = __shfl_xor_sync(~0u, own, 1);
    uint32_t four = lane & 1 ? other | own << 16 : own | other << 16;
    uint32_t far = __shfl_xor_sync(~0u, four, 2);
    uint2 codes = lane & 2 ? make_uint2(far, four) : make_uint2(four, far);
    if (lane % 4 == 0)
      *reinterpret_cast<uint2 *>(shared.codes[0][quarter] + Tile::row()) =
          codes;
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      scale[i] = multiplierOf(codeOf(codes, i));
  }
  /// Two neighbours of a block for each thread.
  __device__ void chooseColumns(const MicroOutput &out) {
    int block = threadIdx.x / 64, col = threadIdx.x % 64 * 2;
    float2 largest;
    if (args.square) {
      largest.x = largest.y = squareOf(block, col / kBlock);
    } else {
      const uint32_t *upper = shared.columns[2 * block];
      const uint32_t *lower = shared.columns[2 * block + 1];
      if constexpr (kWords == 4)
        largest = amaxesOf(maxMagnitude(upper[col / 2], lower[col / 2]));
      else
        largest = make_float2(
            amaxOf<T>(largerWord<T>(upper[col], lower[col])),
            amaxOf<T>(largerWord<T>(upper[col + 1], lower[col + 1])));
    }
    *reinterpret_cast<uint16_t *>(shared.codes[1][block] + col) =
        static_cast<uint16_t>(chooseE8M0(largest.x, out.e5m2) |
                              chooseE8M0(largest.y, out.e5m2) << 8);
  }

  template <bool ByRow>
  __device__ void cast(const Tile &piece, const MicroOutput &out,
                       const float (&scale)[8]) {
    if (out.e5m2)
      castTo<true, ByRow>(piece, out, scale);
    else
      castTo<false, ByRow>(piece, out, scale);
  }
  template <bool E5M2, bool ByRow>
  __device__ void castTo(const Tile &piece, const MicroOutput &out,
                         const float (&scale)[8]) {
    int stride = static_cast<int>(out.stride);
    uint8_t *base =
        out.values + place.row * out.stride + place.col0 + colsBefore;
    bool vector = (reinterpret_cast<uintptr_t>(base) | out.stride) % 8 == 0;
    int rows = place.rows - Tile::row(), cols = place.cols - Tile::col();
    uint8_t *to = base + int64_t(Tile::row()) * stride + Tile::col();
    uint2 codes[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      auto scaled = [&](int j) {
        return __fmul_rn(piece.get(i, j), scale[ByRow ? i : j]);
      };
      codes[i] = make_uint2(
          encodeFour<E5M2>(scaled(0), scaled(1), scaled(2), scaled(3)),
          encodeFour<E5M2>(scaled(4), scaled(5), scaled(6), scaled(7)));
    }
    storeCodes(to, stride, rows, cols, vector, codes);
  }

  const MicroArgs &args;
  const MicroTask &task;
  const Place &place;
  Shared &shared;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_MXFP8_CUH
