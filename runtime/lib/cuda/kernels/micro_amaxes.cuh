//===- micro_amaxes.cuh - the amaxes of tensors cast to NVFP4 ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The first of the two passes. A block that tells of an amax waits for it, and
// takes several tiles before it does.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_AMAXES_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_AMAXES_CUH

#include "cuda/kernels/micro_fp4.cuh"
#include "cuda/kernels/micro_kernels.cuh"

namespace te_rt {
namespace cuda {

/// The amaxes of the tiles of a block, of which it tells at the end, or where another
/// group begins.
template <typename T, bool Transforms> class Nvfp4Amaxes {
public:
  static constexpr int kRows = kNvfp4Rows;
  using Tile = Piece<T, kRows>;

  __device__ void add(const MicroTask &task, const Place &place, Tile &piece) {
    if (task.accumulators + place.group != accumulators)
      tell();
    accumulators = task.accumulators + place.group;
    largest = fmaxf(largest, amaxOfPiece(piece));
    if (Transforms && task.transformed) {
      transformed = task.transformed + place.group;
      largestTransformed =
          fmaxf(largestTransformed,
                amaxOfTransform(piece, place.rows - Tile::row()));
    }
  }
  __device__ void tell() {
    if (accumulators)
      tell(accumulators, largest);
    if (Transforms && transformed)
      tell(transformed, largestTransformed);
    largest = largestTransformed = 0.0f;
  }

private:
  __device__ static void tell(uint32_t *accumulator, float amax) {
    amax = warpMax(amax);
    if (threadIdx.x % 32 == 0)
      raise(accumulator, amax);
  }
  __device__ static float amaxOfTransform(Tile &piece, int rows) {
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
        transform(columns, rows);
        float2 amax = amaxesOf(columns.amax());
        largest = fmaxf(largest, fmaxf(amax.x, amax.y));
      }
    return largest;
  }

  uint32_t *accumulators = nullptr, *transformed = nullptr;
  float largest = 0.0f, largestTransformed = 0.0f;
};
template <typename T> using Nvfp4PlainAmaxes = Nvfp4Amaxes<T, false>;
template <typename T> using Nvfp4HadamardAmaxes = Nvfp4Amaxes<T, true>;

/// The body of these kernels: `tilesOfBlock` tiles, one after another.
template <typename Source, typename Amaxes, bool FromTable>
__device__ inline void runAmaxes(const MicroArgs &args) {
  __shared__ Place place;
  __shared__ MicroTask fetched; // not there where nobody uses it
  __shared__ bool works;
  if (args.noop && *args.noop == 1.0f)
    return;
  const MicroTask &task = FromTable ? fetched : args.task;
  Amaxes amaxes;
#pragma unroll 1
  for (uint32_t t = 0; t < args.tilesOfBlock; ++t) {
    if (threadIdx.x < 32) {
      uint32_t tile = blockIdx.x * args.tilesOfBlock + t;
      if (FromTable)
        fetchTask(args, args.firstTiles, tile, fetched);
      Place found;
      bool exists = locate(task, tile, found);
      if (threadIdx.x == 0) {
        place = found;
        works = exists;
      }
    }
    __syncthreads();
    if (works) {
      typename Source::Tile piece;
      Source(task, place).take(0, piece);
      amaxes.add(task, place, piece);
    }
    __syncthreads(); // the last reader of `place`
  }
  amaxes.tell();
  __syncthreads();
  bool isLast = threadIdx.x == 0 && arrive(args);
  if (threadIdx.x < 32 && __shfl_sync(~0u, isLast, 0))
    finish(args, 32);
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_AMAXES_CUH
