//===- swiglu_stream.cuh - the same for many tiles --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The sources of swiglu.cuh for blocks that take one tile after another
// (stream.cuh), to the same bits.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_SWIGLU_STREAM_CUH
#define TE_RUNTIME_CUDA_KERNELS_SWIGLU_STREAM_CUH

#include "cuda/kernels/stream.cuh"
#include "cuda/kernels/swiglu.cuh"

namespace te_rt {
namespace cuda {

/// The probability of one row of this half warp's, for the lane that keeps it.
template <int R>
__device__ inline float loadProb(const float *probs, const Place &place) {
  int row = PieceShape<R>::row() + threadIdx.x % 16 % R;
  return probs && row < place.rows ? __ldg(probs + place.row0 + row) : 1.0f;
}

template <typename T, int R = kTileRows> struct SwigluStream {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 1;

  __device__ void request(const TileTask &task, const Place &place, int) {
    const RowSource &source = task.source;
    int stride = static_cast<int>(2 * source.width);
    const T *base = static_cast<const T *>(source.input) +
                    place.row0 * 2 * source.width + place.col0;
    a.request(base, stride, place);
    b.request(base + source.width, stride, place);
    prob = loadProb<R>(source.probs, place);
  }
  __device__ void take(const TileTask &, const Place &, int, Tile &piece) {
    a.wait();
#pragma unroll
    for (int i = 0; i < R; ++i) {
      Piece<T, 1> left, right;
      a.get(i, left, 0);
      b.get(i, right, 0);
      float own = __shfl_sync(~0u, prob, i, 16), values[8];
#pragma unroll
      for (int j = 0; j < 8; ++j)
        values[j] = silu<T>(left.get(0, j)) * right.get(0, j) * own;
      piece.setRow(i, values);
    }
  }
  __device__ static void settle(const TileTask &, const Place &) {}

private:
  Coming<T, R, 0> a;
  Coming<T, R, R> b;
  float prob;
};

/// SwigluBackwardSource, with a, b and most of the gradients of the activation
/// in shared memory: two blocks fit.
template <typename T, int R = kTileRows> struct SwigluBackwardStream {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 2;
  static constexpr int kApart = R - 2; // rows of gradients in shared memory

  __device__ void request(const TileTask &task, const Place &place, int part) {
    const RowSource &source = task.source;
    int width = static_cast<int>(source.width);
    if (part == 0) {
      const T *base = static_cast<const T *>(source.input) +
                      place.row0 * 2 * source.width + place.col0;
      a.request(base, 2 * width, place);
      b.request(base + width, 2 * width, place);
      prob = loadProb<R>(source.probs, place);
      return;
    }
    const T *base = static_cast<const T *>(source.grad) +
                    place.row0 * source.width + place.col0;
    grads.request(base, width, place);
    loadLast(base, width, place);
  }
  __device__ void take(const TileTask &task, const Place &place, int part,
                       Tile &piece) {
    if (part == 0)
      compute(task, place);
#pragma unroll
    for (int i = 0; i < R; ++i)
      part == 0 ? a.get(i, piece, i) : getGrads(i, piece, i);
  }
  /// Adds the sums of all tiles of these rows where this is the last of them.
  __device__ static void settle(const TileTask &task, const Place &place) {
    const RowSource &source = task.source;
    if (!source.gradProbs)
      return;
    int lane = threadIdx.x % 32;
    uint32_t *ticket = source.tickets + place.blockRow;
    bool isLast =
        lane == 0 && addRelease(ticket, 1u) == uint32_t(task.tilesAcross) - 1;
    if (!__shfl_sync(~0u, isLast, 0))
      return;
    __threadfence();
    if (lane == 0)
      *ticket = 0;
    for (int row = lane; row < place.rows; row += 32) {
      float total = 0.0f;
#pragma unroll 4
      for (int64_t t = 0; t < task.tilesAcross; ++t)
        total += __ldcg(source.partials + t * task.rows + place.row0 + row);
      source.gradProbs[place.row0 + row] = total;
    }
  }

private:
  /// Leaves the gradients of a where a was, and those of b where those of the
  /// activation were. Few rows at a time: all of them are more instructions
  /// than an SM keeps.
  __device__ void compute(const TileTask &task, const Place &place) {
    a.wait();
    int lane = threadIdx.x % 16;
    float kept = 0.0f;
    auto computeRow = [&](int i, Piece<T, 1> &grad) {
      Piece<T, 1> left, right;
      a.get(i, left, 0);
      b.get(i, right, 0);
      float p = __shfl_sync(~0u, prob, i, 16), da[8], db[8], sum = 0.0f;
#pragma unroll
      for (int j = 0; j < 8; ++j)
        swigluBackward<T>(grad.get(0, j), left.get(0, j), right.get(0, j), p,
                          da[j], db[j], sum);
      left.setRow(0, da);
      grad.setRow(0, db);
      a.put(i, left, 0);
      // As reduceRows adds.
#pragma unroll
      for (int step = 8; step; step /= 2)
        sum += __shfl_xor_sync(~0u, sum, step);
      kept = lane == i ? sum : kept;
    };
#pragma unroll 2
    for (int i = 0; i < kApart; ++i) {
      Piece<T, 1> grad;
      grads.get(i, grad, 0);
      computeRow(i, grad);
      grads.put(i, grad, 0);
    }
#pragma unroll
    for (int i = kApart; i < R; ++i) {
      Piece<T, 1> grad;
      getGrads(i, grad, 0);
      computeRow(i, grad);
#pragma unroll
      for (int p = 0; p < 4; ++p)
        last.pairs[i - kApart][p] = grad.pairs[0][p];
    }
    const RowSource &source = task.source;
    int row = Tile::row() + lane;
    if (source.gradProbs && lane < R && row < place.rows)
      __stcg(source.partials + place.col0 / kTile * task.rows + place.row0 +
                 row,
             kept);
  }
  __device__ void loadLast(const T *base, int width, const Place &place) {
    int cols = place.cols - Tile::col();
    const T *from = base + int64_t(Tile::row() + kApart) * width + Tile::col();
    bool vector = isVector<T, R>(base, width, place);
#pragma unroll
    for (int i = 0; i < R - kApart; ++i, from += width) {
      bool exists = Tile::row() + kApart + i < place.rows;
      if (vector)
        loadVector(from, exists && cols > 0, last, i);
      else
        loadSome(from, exists ? cols : 0, last, i);
    }
  }
  template <int N>
  __device__ void getGrads(int i, Piece<T, N> &piece, int row) const {
    if (i < kApart)
      return grads.get(i, piece, row);
#pragma unroll
    for (int p = 0; p < 4; ++p)
      piece.pairs[row][p] = last.pairs[i - kApart][p];
  }
  Coming<T, R, 0> a;
  Coming<T, R, R> b;
  Coming<T, R, 2 * R, kApart> grads;
  Piece<T, R - kApart> last;
  float prob;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_SWIGLU_STREAM_CUH
