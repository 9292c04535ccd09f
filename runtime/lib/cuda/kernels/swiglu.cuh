//===- swiglu.cuh - gated activations as sources of tiles -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For blocks of one tile: silu(a) * b * prob of rows of [a | b], and the gradients
// of all three.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_SWIGLU_CUH
#define TE_RUNTIME_CUDA_KERNELS_SWIGLU_CUH

#include "cuda/kernels/sources.cuh"

namespace te_rt {
namespace cuda {

/// 1 / (1 + exp(-a)). Of a BF16 value to a few units in the last place of F32,
/// 2^-12 of what its product is rounded to.
template <typename T> __device__ float sigmoid(float a);
template <> __device__ inline float sigmoid<float>(float a) {
  return __fdiv_rn(1.0f, __fadd_rn(1.0f, expf(-a)));
}
/// A fourth of the denominator: the reciprocal is no denormal where the result
/// is not zero. It is zero where exp(-a) overflows.
__device__ inline float fourSigmoids(float a) {
  float fourth, reciprocal;
  asm("ex2.approx.ftz.f32 %0, %1;"
      : "=f"(fourth)
      : "f"(__fmaf_rn(a, -1.44269504f, -2.0f)));
  asm("rcp.approx.ftz.f32 %0, %1;"
      : "=f"(reciprocal)
      : "f"(__fadd_rn(fourth, 0.25f)));
  return reciprocal;
}
template <> __device__ inline float sigmoid<BF16>(float a) {
  return fourSigmoids(a) * 0.25f;
}
template <typename T> __device__ float silu(float a);
template <> __device__ inline float silu<float>(float a) {
  return __fdiv_rn(a, __fadd_rn(1.0f, expf(-a)));
}
template <> __device__ inline float silu<BF16>(float a) {
  return a * 0.25f * fourSigmoids(a);
}

/// One for each row of a piece; 1 without, and for rows that do not exist.
template <int R>
__device__ inline void loadProbs(const float *probs, const Place &place,
                          float (&own)[R]) {
  int row = PieceShape<R>::row();
#pragma unroll
  for (int i = 0; i < R; ++i)
    own[i] = probs && row + i < place.rows ? __ldg(probs + place.row0 + row + i)
                                           : 1.0f;
}

/// Rows of [a | b], each `width` wide, as silu(a) * b * prob.
template <typename T, int R = kTileRows> struct SwigluSource {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 1;

  __device__ SwigluSource(const TileTask &task, const Place &place)
      : task(task), place(place) {}
  __device__ void take(int, Tile &piece) {
    const RowSource &source = task.source;
    int stride = static_cast<int>(2 * source.width);
    const T *a = static_cast<const T *>(source.input) +
                 place.row0 * 2 * source.width + place.col0;
    float prob[R];
    Tile right;
    loadRows(a, stride, place, piece);
    loadRows(a + source.width, stride, place, right);
    loadProbs(source.probs, place, prob);
#pragma unroll
    for (int i = 0; i < R; ++i) {
      float values[8];
#pragma unroll
      for (int j = 0; j < 8; ++j)
        values[j] = silu<T>(piece.get(i, j)) * right.get(i, j) * prob[i];
      piece.setRow(i, values);
    }
  }

private:
  const TileTask &task;
  const Place &place;
};

/// Gradients of one element of [a | b] and of its row's probability, which is
/// added to `sum`.
template <typename T>
__device__ inline void swigluBackward(float g, float a, float b, float p, float &da,
                               float &db, float &sum) {
  float s = sigmoid<T>(a), z = a * s, gp = g * p;
  da = gp * __fmaf_rn(z, 1.0f - s, s) * b;
  db = gp * z;
  sum = __fmaf_rn(g * z, b, sum);
}
/// The same of b alone.
template <typename T>
__device__ inline float swigluBackwardRight(float g, float a, float p) {
  return g * p * (a * sigmoid<T>(a));
}

/// Where the sums of rows over the columns of a tile go.
__device__ inline float *partialsOf(const RowSource &source, const Place &place,
                                    int64_t tile) {
  return source.partials + (place.blockRow * source.probTiles + tile) * kTile;
}
/// Such sums over all tiles of a row, in the order of the columns.
__device__ inline float sumOfTiles(const float *partials, int64_t tiles) {
  constexpr int kAhead = 16;
  float total = 0.0f;
#pragma unroll 1
  for (int64_t t = 0; t < tiles; t += kAhead) {
    float parts[kAhead];
#pragma unroll
    for (int k = 0; k < kAhead; ++k)
      parts[k] = t + k < tiles ? __ldcg(partials + (t + k) * kTile) : 0.0f;
#pragma unroll
    for (int k = 0; k < kAhead; ++k)
      total += parts[k];
  }
  return total;
}

/// Sums over the columns of a tile, for each row, and, by the last warp to come
/// to these rows, over all tiles. Tiles of [da | db] that have no a have none.
template <int R>
__device__ inline void sumProbs(const TileTask &task, const Place &place,
                         float (&sums)[R]) {
  constexpr int kWarpRows = 2 * R;
  const RowSource &source = task.source;
  int64_t tile = place.col0 / kTile;
  if (!source.gradProbs || tile >= source.probTiles)
    return;
  float sum = reduceRows(sums, [](float a, float b) { return a + b; });
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int row = PieceShape<R>::row() + reducedRow<R>();
  if (lane % (16 / R) == 0 && row < place.rows)
    __stcg(partialsOf(source, place, tile) + row, sum);
  __syncwarp();
  // Rows of tiles of a ragged matrix number like those of its scales.
  uint32_t *ticket =
      source.tickets + place.blockRow * PieceShape<R>::kWarps + warp;
  bool isLast =
      lane == 0 && addRelease(ticket, 1u) == uint32_t(source.probTiles) - 1;
  if (!__shfl_sync(~0u, isLast, 0))
    return;
  __threadfence();
  row = warp * kWarpRows + lane;
  if (lane < kWarpRows && row < place.rows)
    source.gradProbs[place.row0 + row] =
        sumOfTiles(partialsOf(source, place, 0) + row, source.probTiles);
  if (lane == 0)
    *ticket = 0;
}

/// The rows of one thread in the dynamic shared memory of a block, where they
/// take no registers. Of F32 there are too many.
template <typename T, int R> struct Aside;
template <int R> struct Aside<BF16, R> {
  __device__ Aside() {
    extern __shared__ uint4 words[];
    own = words + threadIdx.x;
  }
  __device__ void request(const BF16 *base, int stride, const Place &place) {
    using Tile = Piece<BF16, R>;
    int rows = place.rows - Tile::row(), cols = place.cols - Tile::col();
    const BF16 *from = base + int64_t(Tile::row()) * stride + Tile::col();
    bool vector = isVector<BF16, R>(base, stride, place);
#pragma unroll
    for (int i = 0; i < R; ++i, from += stride) {
      if (vector) {
        bool exists = i < rows && cols > 0;
        asm volatile(
            "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                static_cast<uint32_t>(__cvta_generic_to_shared(at(i)))),
            "l"(exists ? from : base), "r"(exists ? 16 : 0)
            : "memory");
      } else {
        Piece<BF16, 1> row;
        loadSome(from, i < rows ? cols : 0, row, 0);
        put(i, row, 0);
      }
    }
  }
  __device__ void wait() { asm volatile("cp.async.wait_all;" ::: "memory"); }
  template <int N>
  __device__ void put(int i, const Piece<BF16, N> &piece, int row) {
    const uint32_t(&pairs)[4] = piece.pairs[row];
    *at(i) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
  }
  template <int N> __device__ void get(int i, Piece<BF16, N> &piece, int row) {
    uint4 words = *at(i);
    piece.pairs[row][0] = words.x, piece.pairs[row][1] = words.y;
    piece.pairs[row][2] = words.z, piece.pairs[row][3] = words.w;
  }

private:
  __device__ uint4 *at(int i) const {
    return own + i * PieceShape<R>::kThreads;
  }
  uint4 *own;
};
template <int R> struct Aside<float, R> {
  __device__ void request(const float *base, int stride, const Place &place) {
    loadRows(base, stride, place, held);
  }
  __device__ void wait() {}
  template <int N>
  __device__ void put(int i, const Piece<float, N> &piece, int row) {
    held.setRow(i, piece.values[row]);
  }
  template <int N> __device__ void get(int i, Piece<float, N> &piece, int row) {
    piece.setRow(row, held.values[i]);
  }

private:
  Piece<float, R> held;
};

/// Gradients of a tile of the activation, which gives two tiles of [da | db]:
/// `width` is a multiple of the tile's, so that blocks of scales do not
/// straddle the two halves.
template <typename T, int R = kTileRows> struct SwigluBackwardSource {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 2;

  __device__ SwigluBackwardSource(const TileTask &task, const Place &place)
      : task(task), place(place) {}
  __device__ void take(int part, Tile &piece) {
    if (part == 0)
      return compute(piece);
#pragma unroll
    for (int i = 0; i < R; ++i)
      aside.get(i, piece, i);
  }

private:
  /// Leaves the gradients of a in `piece`, and those of b where those of the
  /// activation were.
  __device__ void compute(Tile &piece) {
    const RowSource &source = task.source;
    int width = static_cast<int>(source.width);
    const T *a = static_cast<const T *>(source.input) +
                 place.row0 * 2 * source.width + place.col0;
    aside.request(static_cast<const T *>(source.grad) +
                      place.row0 * source.width + place.col0,
                  width, place);
    Tile right;
    loadRows(a, 2 * width, place, piece);
    loadRows(a + width, 2 * width, place, right);
    float prob[R], sums[R];
    loadProbs(source.probs, place, prob);
    aside.wait();
#pragma unroll
    for (int i = 0; i < R; ++i) {
      Piece<T, 1> grads;
      aside.get(i, grads, 0);
      float da[8], db[8];
      sums[i] = 0.0f;
#pragma unroll
      for (int j = 0; j < 8; ++j)
        swigluBackward<T>(grads.get(0, j), piece.get(i, j), right.get(i, j),
                          prob[i], da[j], db[j], sums[i]);
      piece.setRow(i, da);
      grads.setRow(0, db);
      aside.put(i, grads, 0);
    }
    sumProbs(task, place, sums);
  }

  const TileTask &task;
  const Place &place;
  Aside<T, R> aside;
};

/// The same for any width: a tile of [da | db], which may hold parts of both.
template <typename T, int R = kTileRows> struct SwigluBackwardAnySource {
  using Tile = Piece<T, R>;
  static constexpr int kParts = 1;

  __device__ SwigluBackwardAnySource(const TileTask &task, const Place &place)
      : task(task), place(place) {}
  __device__ void take(int, Tile &piece) {
    const RowSource &source = task.source;
    int64_t width = source.width;
    auto *grad = static_cast<const T *>(source.grad) + place.row0 * width;
    auto *input = static_cast<const T *>(source.input) + place.row0 * 2 * width;
    float prob[R], sums[R];
    loadProbs(source.probs, place, prob);
    int64_t col = place.col0 + Tile::col();
    bool isRight = col >= width; // all eight, where vectors fit
    int64_t at = isRight ? col - width : col;
    bool vector =
        width % 8 == 0 && isVector(grad, width) && isVector(input, width);
#pragma unroll
    for (int i = 0; i < R; ++i) {
      sums[i] = 0.0f;
      int64_t row = Tile::row() + i;
      bool exists = row < place.rows;
      float values[8];
      if (vector) {
        exists = exists && col < 2 * width;
        Piece<T, 1> g, a, b;
        loadVector(grad + row * width + at, exists, g, 0);
        loadVector(input + row * 2 * width + at, exists, a, 0);
        loadVector(input + row * 2 * width + width + at, exists && !isRight, b,
                   0);
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          float db;
          if (isRight)
            values[j] =
                swigluBackwardRight<T>(g.get(0, j), a.get(0, j), prob[i]);
          else
            swigluBackward<T>(g.get(0, j), a.get(0, j), b.get(0, j), prob[i],
                              values[j], db, sums[i]);
        }
      } else {
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          values[j] = 0.0f;
          bool inRight = col + j >= width;
          int64_t from = inRight ? col + j - width : col + j;
          if (!exists || from >= width)
            continue;
          float g = toFloat(grad[row * width + from]), db;
          float a = toFloat(input[row * 2 * width + from]);
          if (inRight)
            values[j] = swigluBackwardRight<T>(g, a, prob[i]);
          else
            swigluBackward<T>(
                g, a, toFloat(input[row * 2 * width + width + from]), prob[i],
                values[j], db, sums[i]);
        }
      }
      piece.setRow(i, values);
    }
    sumProbs(task, place, sums);
  }

private:
  const TileTask &task;
  const Place &place;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_SWIGLU_CUH
