//===- amaxes.cuh - the largest magnitudes of a tile ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of the pieces of threads, combined over warps, blocks and groups, and the
// sink that wants nothing else.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_AMAXES_CUH
#define TE_RUNTIME_CUDA_KERNELS_AMAXES_CUH

#include "cuda/kernels/tile.cuh"

namespace te_rt {
namespace cuda {

/// Of each column of one thread's piece, and of those of the two threads of a
/// warp that share these columns: eight magnitudes, two in a word where they
/// fit.
template <int R>
__device__ inline void columnAmaxes(const Piece<BF16, R> &piece,
                                    uint32_t (&amax)[4]) {
#pragma unroll
  for (int p = 0; p < 4; ++p) {
    amax[p] = piece.pairs[0][p];
#pragma unroll
    for (int i = 1; i < R; ++i)
      amax[p] = maxMagnitude(amax[p], piece.pairs[i][p]);
    amax[p] = maxMagnitude(amax[p], __shfl_xor_sync(~0u, amax[p], 16));
  }
}
template <int R>
__device__ inline void columnAmaxes(const Piece<float, R> &piece,
                                    uint32_t (&amax)[8]) {
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    float largest = 0.0f;
#pragma unroll
    for (int i = 0; i < R; ++i)
      largest = fmaxf(largest, fabsf(piece.values[i][j]));
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 16));
    amax[j] = __float_as_uint(largest);
  }
}
/// Puts a thread's words at `to`, sixteen bytes at a time.
template <int N>
__device__ inline void putWords(uint32_t *to, const uint32_t (&words)[N]) {
#pragma unroll
  for (int v = 0; v < N / 4; ++v)
    reinterpret_cast<uint4 *>(to)[v] = make_uint4(
        words[4 * v], words[4 * v + 1], words[4 * v + 2], words[4 * v + 3]);
}
/// As a number; NaN, which all were, as zero.
template <typename T> __device__ inline float amaxOf(uint32_t word);
template <> __device__ inline float amaxOf<BF16>(uint32_t word) {
  return amaxOfPair(word);
}
template <> __device__ inline float amaxOf<float>(uint32_t word) {
  return __uint_as_float(word);
}

/// Of a row of one thread's piece, in words of the same kind.
template <int R, int Side>
__device__ inline uint32_t rowAmax(const Piece<BF16, R, Side> &piece, int i) {
  return maxMagnitude(maxMagnitude(piece.pairs[i][0], piece.pairs[i][1]),
                      maxMagnitude(piece.pairs[i][2], piece.pairs[i][3]));
}
template <int R, int Side>
__device__ inline uint32_t rowAmax(const Piece<float, R, Side> &piece, int i) {
  float amax = 0.0f;
#pragma unroll
  for (int j = 0; j < 8; ++j)
    amax = fmaxf(amax, fabsf(piece.values[i][j]));
  return __float_as_uint(amax);
}
template <typename T>
__device__ inline uint32_t largerWord(uint32_t a, uint32_t b);
template <>
__device__ inline uint32_t largerWord<BF16>(uint32_t a, uint32_t b) {
  return maxMagnitude(a, b);
}
template <>
__device__ inline uint32_t largerWord<float>(uint32_t a, uint32_t b) {
  return max(a, b); // of floats without a sign, and none is NaN
}

/// The amax of all lanes, each with its own.
__device__ inline float warpMax(float amax) {
  return __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(amax)));
}

/// Adds what a block found to the accumulator of its group. One thread does it,
/// and mostly finds that there is nothing to add.
__device__ inline void raise(uint32_t *accumulator, float amax) {
  if (__float_as_uint(amax) > __ldcg(accumulator))
    atomicMax(accumulator, __float_as_uint(amax));
}
__device__ inline void accumulate(const TileTask &task, const Place &place,
                                  float amax) {
  if (__float_as_uint(amax) > place.known)
    atomicMax(task.accumulators + place.group, __float_as_uint(amax));
}

/// Combines R values over the sixteen threads of a row: each lane keeps half of
/// them at a step while it has several. Lane `i * (16 / R)` of each half warp
/// and those up to the next one end with value i.
template <typename T, int R, typename F>
__device__ inline T reduceRows(T (&values)[R], F combine) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int step = 8, kept = R / 2; step; step /= 2, kept /= 2) {
    if (kept) {
      bool upper = lane & step;
#pragma unroll
      for (int i = 0; i < kept; ++i) {
        T sent = upper ? values[i] : values[i + kept];
        T mine = upper ? values[i + kept] : values[i];
        values[i] = combine(mine, __shfl_xor_sync(~0u, sent, step));
      }
    } else {
      values[0] = combine(values[0], __shfl_xor_sync(~0u, values[0], step));
    }
  }
  return values[0];
}
/// Which of its R rows a lane has the combined value of.
template <int R> __device__ inline int reducedRow() {
  return threadIdx.x % 16 / (16 / R);
}
/// The amax of the row that reducedRow names, of the pieces of its threads.
template <typename T, int R, int Side>
__device__ inline float amaxOfRows(const Piece<T, R, Side> &piece) {
  uint32_t amax[R];
#pragma unroll
  for (int i = 0; i < R; ++i)
    amax[i] = rowAmax(piece, i);
  return amaxOf<T>(reduceRows(
      amax, [](uint32_t a, uint32_t b) { return largerWord<T>(a, b); }));
}

/// The first of two passes: amaxes alone.
template <typename Tile> struct AmaxSink {
  using T = typename Tile::Element;
  struct Shared {
    float warps[Tile::kWarps];
  };
  __device__ AmaxSink(const TileArgs &args, const TileTask &task,
                      const Place &place, Shared &shared)
      : args(args), task(task), place(place), shared(shared) {}
  int64_t colsBefore = 0;

  __device__ bool run(Tile &piece, bool isLastPart) {
    uint32_t word = rowAmax(piece, 0);
#pragma unroll
    for (int i = 1; i < Tile::kRows; ++i)
      word = largerWord<T>(word, rowAmax(piece, i));
    float amax = warpMax(amaxOf<T>(word));
    if (threadIdx.x % 32 == 0)
      shared.warps[threadIdx.x / 32] = amax;
    Tile::sync();
    if (threadIdx.x != 0)
      return false;
#pragma unroll
    for (int w = 1; w < Tile::kWarps; ++w)
      amax = fmaxf(amax, shared.warps[w]);
    if (task.accumulators)
      accumulate(task, place, amax);
    return isLastPart && args.finishes && arrive(args);
  }

private:
  const TileArgs &args;
  const TileTask &task;
  const Place &place;
  Shared &shared;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_AMAXES_CUH
