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

/// Rows that come, of which the last two are kept in registers, since two blocks
/// do not fit otherwise.
template <typename T, int R, int Before> struct MostlyComing {
  using Tile = Piece<T, R>;
  static constexpr int kApart = R - 2;
  Coming<T, R, Before, kApart> rows;
  Piece<T, R - kApart> last;

  __device__ void request(const T *base, int stride, const Place &place) {
    rows.request(base, stride, place);
    int cols = place.cols - Tile::col();
    const T *from = base + int64_t(Tile::row() + kApart) * stride + Tile::col();
    bool vector = isVector<T, R>(base, stride, place);
#pragma unroll
    for (int i = 0; i < R - kApart; ++i, from += stride) {
      bool exists = Tile::row() + kApart + i < place.rows;
      if (vector)
        loadVector(from, exists && cols > 0, last, i);
      else
        loadSome(from, exists ? cols : 0, last, i);
    }
  }
  template <int N>
  __device__ void get(int i, Piece<T, N> &piece, int row) const {
    if (i < kApart)
      return rows.get(i, piece, row);
#pragma unroll
    for (int p = 0; p < 4; ++p)
      piece.pairs[row][p] = last.pairs[i - kApart][p];
  }
  template <int N>
  __device__ void put(int i, const Piece<T, N> &piece, int row) {
    if (i < kApart)
      return rows.put(i, piece, row);
#pragma unroll
    for (int p = 0; p < 4; ++p)
      last.pairs[i - kApart][p] = piece.pairs[row][p];
  }
};

/// The sums of a thread's rows over the columns of a tile, two rows at a time; to
/// the bits of reduceRows. Lane k + 8 h of a half warp keeps that of row 2 k + h.
struct RowSums {
  float kept = 0.0f;

  __device__ void add(int i, float first, float second) {
    int lane = threadIdx.x % 16;
    bool upper = lane & 8;
    float sum = upper ? second : first;
    sum += __shfl_xor_sync(~0u, upper ? first : second, 8);
#pragma unroll
    for (int step = 4; step; step /= 2)
      sum += __shfl_xor_sync(~0u, sum, step);
    kept = lane % 8 == i / 2 ? sum : kept;
  }
  template <int R>
  __device__ void store(const RowSource &source, const Place &place) const {
    int64_t tile = place.col0 / kTile;
    int lane = threadIdx.x % 16;
    int row = PieceShape<R>::row() + lane % 8 * 2 + lane / 8;
    // Of rows that are not there too, since settle reads four at a time.
    if (source.gradProbs && tile < source.probTiles && lane % 8 < R / 2)
      __stcg(partialsOf(source, place, tile) + row, kept);
  }
  /// Adds the sums of all tiles of these rows where this is the last of them: a
  /// warp calls it when the block has stored those of one tile. All loads of
  /// sixteen tiles are on their way at once, or other warps wait for this one.
  __device__ static void settle(const RowSource &source, const Place &place) {
    if (!source.gradProbs || place.col0 / kTile >= source.probTiles)
      return;
    int lane = threadIdx.x % 32;
    uint32_t *ticket = source.tickets + place.blockRow;
    bool isLast =
        lane == 0 && addRelease(ticket, 1u) == uint32_t(source.probTiles) - 1;
    if (!__shfl_sync(~0u, isLast, 0))
      return;
    __threadfence();
    if (lane == 0)
      *ticket = 0;
    constexpr int kAhead = 16;
    const float *from = partialsOf(source, place, 0) + lane * 4;
    float total[4] = {};
#pragma unroll 1
    for (int64_t t = 0; t < source.probTiles; t += kAhead) {
      float4 parts[kAhead];
#pragma unroll
      for (int k = 0; k < kAhead; ++k)
        parts[k] =
            t + k < source.probTiles
                ? __ldcg(reinterpret_cast<const float4 *>(from + (t + k) * kTile))
                : make_float4(0, 0, 0, 0);
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        total[0] += parts[k].x, total[1] += parts[k].y;
        total[2] += parts[k].z, total[3] += parts[k].w;
      }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (lane * 4 + i < place.rows)
        source.gradProbs[place.row0 + lane * 4 + i] = total[i];
  }
};

/// SwigluBackwardSource, with a, b and most of the gradients of the activation
/// in shared memory.
template <typename T, int R = kTileRows> struct SwigluBackwardStream {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 2;

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
    grads.request(static_cast<const T *>(source.grad) +
                      place.row0 * source.width + place.col0,
                  width, place);
  }
  __device__ void take(const TileTask &task, const Place &place, int part,
                       Tile &piece) {
    if (part == 0)
      compute(task, place);
#pragma unroll
    for (int i = 0; i < R; ++i)
      part == 0 ? a.get(i, piece, i) : grads.get(i, piece, i);
  }
  __device__ static void settle(const TileTask &task, const Place &place) {
    RowSums::settle(task.source, place);
  }

private:
  /// Leaves the gradients of a where a was, and those of b where those of the
  /// activation were. Few rows at a time: all of them are more instructions
  /// than an SM keeps.
  __device__ void compute(const TileTask &task, const Place &place) {
    a.wait();
    RowSums sums;
    auto computeRow = [&](int i) {
      Piece<T, 1> left, right, grad;
      a.get(i, left, 0);
      b.get(i, right, 0);
      grads.get(i, grad, 0);
      float p = __shfl_sync(~0u, prob, i, 16), da[8], db[8], sum = 0.0f;
#pragma unroll
      for (int j = 0; j < 8; ++j)
        swigluBackward<T>(grad.get(0, j), left.get(0, j), right.get(0, j), p,
                          da[j], db[j], sum);
      left.setRow(0, da);
      grad.setRow(0, db);
      a.put(i, left, 0);
      grads.put(i, grad, 0);
      return sum;
    };
    auto computeTwo = [&](int i) {
      float first = computeRow(i);
      sums.add(i, first, computeRow(i + 1));
    };
#pragma unroll 1
    for (int i = 0; i < grads.kApart; i += 2)
      computeTwo(i);
    computeTwo(grads.kApart);
    sums.store<R>(task.source, place);
  }
  Coming<T, R, 0> a;
  Coming<T, R, R> b;
  MostlyComing<T, R, 2 * R> grads;
  float prob;
};

/// SwigluBackwardAnySource: tiles of [da | db], of a width whose multiples of
/// eight columns are in one half.
template <typename T, int R = kTileRows> struct SwigluBackwardAnyStream {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 1;

  __device__ void request(const TileTask &task, const Place &place, int) {
    const RowSource &source = task.source;
    int width = static_cast<int>(source.width);
    int64_t col0 = place.col0 - (isRight(task, place) ? width : 0);
    const T *base = static_cast<const T *>(source.input) +
                    place.row0 * 2 * source.width + col0;
    a.request(base, 2 * width, place);
    if (!isRight(task, place))
      b.request(base + width, 2 * width, place);
    grads.request(static_cast<const T *>(source.grad) +
                      place.row0 * source.width + col0,
                  width, place);
    prob = loadProb<R>(source.probs, place);
  }
  __device__ void take(const TileTask &task, const Place &place, int,
                       Tile &piece) {
    a.wait();
    bool right = isRight(task, place);
    RowSums sums;
    auto computeTwo = [&](int i) {
      float first = computeRow(right, i);
      sums.add(i, first, computeRow(right, i + 1));
    };
#pragma unroll 1
    for (int i = 0; i < grads.kApart; i += 2)
      computeTwo(i);
    computeTwo(grads.kApart);
    sums.store<R>(task.source, place);
#pragma unroll
    for (int i = 0; i < R; ++i)
      a.get(i, piece, i);
  }
  __device__ static void settle(const TileTask &task, const Place &place) {
    RowSums::settle(task.source, place);
  }

private:
  __device__ static bool isRight(const TileTask &task, const Place &place) {
    return place.col0 + Tile::col() >= task.source.width;
  }
  /// Leaves the gradients of a row where a was; what they add to that of its
  /// probability.
  __device__ float computeRow(bool right, int i) {
    Piece<T, 1> left, other, grad;
    a.get(i, left, 0);
    grads.get(i, grad, 0);
    float p = __shfl_sync(~0u, prob, i, 16), values[8], sum = 0.0f;
    if (right) {
#pragma unroll
      for (int j = 0; j < 8; ++j)
        values[j] = swigluBackwardRight<T>(grad.get(0, j), left.get(0, j), p);
    } else {
      b.get(i, other, 0);
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        float db;
        swigluBackward<T>(grad.get(0, j), left.get(0, j), other.get(0, j), p,
                          values[j], db, sum);
      }
    }
    left.setRow(0, values);
    a.put(i, left, 0);
    return sum;
  }
  Coming<T, R, 0> a;
  Coming<T, R, R> b;
  MostlyComing<T, R, 2 * R> grads;
  float prob;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_SWIGLU_STREAM_CUH
