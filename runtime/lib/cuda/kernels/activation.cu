//===- activation.cu - gated activations, and casts of them ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// swiglu, swiglu_backward, and each followed by quantize; permute_quantize. All
// are sources of tiles: the fused function casts the very registers that the
// other one stores.
//
//   work      one block for each 128 x 128 of the activation; backward, of both
//             of its gradients
//   moves     BF16: swiglu 4 + 2 B for each element of the activation, cast both
//             ways 4 + 2 B; backward 6 + 4 B, cast both ways 6 + 4 B; and scales
//   bound     memory
//   measured  docs/Benchmarks.md, rows swiglu and permute_quantize
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/micro_kernels.cuh"
#include "cuda/kernels/micro_mxfp8.cuh"
#include "cuda/kernels/sinks.cuh"
#include "cuda/kernels/sources.cuh"

using namespace te_rt::cuda;

namespace {
__device__ float sigmoid(float a) {
  return __fdiv_rn(1.0f, __fadd_rn(1.0f, expf(-a)));
}
__device__ float swigluOf(float a, float b, float prob) {
  float silu = __fdiv_rn(a, __fadd_rn(1.0f, expf(-a)));
  return silu * b * prob;
}

/// Rows of [a | b], each `width` wide, as silu(a) * b * prob.
template <typename T> struct SwigluSource {
  using Element = T;
  static constexpr int kParts = 1;

  __device__ static void load(const TileTask &task, const Place &place,
                              Piece<T> (&pieces)[1]) {
    const RowSource &source = task.source;
    int64_t stride = 2 * source.width;
    const T *a = static_cast<const T *>(source.input) + place.row0 * stride +
                 place.col0;
    const T *b = a + source.width;
    bool vector = isVector(a, stride) && isVector(b, stride);
    int row0 = place.threadRow(), col0 = place.threadCol();
    Piece<T> right;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      int count = row0 + i < place.rows ? place.cols - col0 : 0;
      int64_t at = (row0 + i) * stride + col0;
      loadRow(a + at, count, vector, pieces[0], i);
      loadRow(b + at, count, vector, right, i);
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      bool exists = row0 + i < place.rows;
      float prob = source.probs && exists
                       ? source.probs[place.row0 + row0 + i]
                       : 1.0f;
      float values[8];
#pragma unroll
      for (int j = 0; j < 8; ++j)
        values[j] = exists && col0 + j < place.cols
                        ? swigluOf(pieces[0].get(i, j), right.get(i, j), prob)
                        : 0.0f;
      pieces[0].setRow(i, values);
    }
  }
};

struct Gradients {
  float a, b, prob;
};
__device__ Gradients swigluBackward(float g, float a, float b, float p) {
  float s = sigmoid(a);
  return {g * p * (s + a * s * (1.0f - s)) * b, g * p * a * s, g * a * s * b};
}

/// The sum over the columns of this tile, for each row, and, by the last tile of
/// a row of tiles to come, over all of them in order of the columns.
__device__ inline void sumProbs(const TileTask &task, const Place &place,
                                float (&sums)[8]) {
  const RowSource &source = task.source;
  if (!source.gradProbs)
    return;
  __shared__ bool isLast;
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int step = 1; step < 16; step *= 2)
      sums[i] += __shfl_xor_sync(~0u, sums[i], step);
  int64_t tilesAcross = task.tilesAcross, tile = place.col0 / kTile;
  if (threadIdx.x % 16 == 0)
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (place.threadRow() + i < place.rows)
        __stcg(source.partials + tile * task.rows + place.row0 +
                   place.threadRow() + i,
               sums[i]);
  __threadfence();
  __syncthreads();
  // Rows of tiles of a ragged matrix number like those of its scales.
  uint32_t *ticket = source.tickets + place.blockRow;
  if (threadIdx.x == 0)
    isLast = atomicAdd(ticket, 1u) == tilesAcross - 1;
  __syncthreads();
  if (!isLast)
    return;
  __threadfence();
  if (threadIdx.x < place.rows) {
    float sum = 0.0f;
    for (int64_t t = 0; t < tilesAcross; ++t)
      sum += __ldcg(source.partials + t * task.rows + place.row0 + threadIdx.x);
    source.gradProbs[place.row0 + threadIdx.x] = sum;
  }
  if (threadIdx.x == 0)
    *ticket = 0;
}

/// Gradients of a tile of the activation, which gives two tiles of [da | db]:
/// `width` is a multiple of the tile's, so that blocks of scales do not straddle
/// the two halves.
template <typename T> struct SwigluBackwardSource {
  using Element = T;
  static constexpr int kParts = 2;

  __device__ static void load(const TileTask &task, const Place &place,
                              Piece<T> (&pieces)[2]) {
    const RowSource &source = task.source;
    int64_t stride = 2 * source.width;
    const T *grad = static_cast<const T *>(source.grad) +
                    place.row0 * source.width + place.col0;
    const T *a = static_cast<const T *>(source.input) + place.row0 * stride +
                 place.col0;
    const T *b = a + source.width;
    bool vector = isVector(grad, source.width) && isVector(a, stride) &&
                  isVector(b, stride);
    int row0 = place.threadRow(), col0 = place.threadCol();
    Piece<T> grads;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      int count = row0 + i < place.rows ? place.cols - col0 : 0;
      loadRow(grad + (row0 + i) * source.width + col0, count, vector, grads, i);
      loadRow(a + (row0 + i) * stride + col0, count, vector, pieces[0], i);
      loadRow(b + (row0 + i) * stride + col0, count, vector, pieces[1], i);
    }
    float sums[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      bool exists = row0 + i < place.rows;
      float prob = source.probs && exists
                       ? source.probs[place.row0 + row0 + i]
                       : 1.0f;
      float da[8], db[8];
      sums[i] = 0.0f;
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        Gradients gradients = {0.0f, 0.0f, 0.0f};
        if (exists && col0 + j < place.cols)
          gradients = swigluBackward(grads.get(i, j), pieces[0].get(i, j),
                                     pieces[1].get(i, j), prob);
        da[j] = gradients.a;
        db[j] = gradients.b;
        sums[i] += gradients.prob;
      }
      pieces[0].setRow(i, da);
      pieces[1].setRow(i, db);
    }
    sumProbs(task, place, sums);
  }
};

/// The same for any width: a tile of [da | db], which may hold parts of both.
template <typename T> struct SwigluBackwardAnySource {
  using Element = T;
  static constexpr int kParts = 1;

  __device__ static void load(const TileTask &task, const Place &place,
                              Piece<T> (&pieces)[1]) {
    const RowSource &source = task.source;
    int64_t width = source.width, stride = 2 * width;
    auto *grad = static_cast<const T *>(source.grad);
    auto *input = static_cast<const T *>(source.input);
    float sums[8];
#pragma unroll 1
    for (int i = 0; i < 8; ++i) {
      sums[i] = 0.0f;
      int64_t row = place.row0 + place.threadRow() + i;
      bool exists = place.threadRow() + i < place.rows;
      float prob = source.probs && exists ? source.probs[row] : 1.0f;
      float values[8];
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        int64_t col = place.col0 + place.threadCol() + j;
        values[j] = 0.0f;
        if (!exists || col >= stride)
          continue;
        int64_t at = col < width ? col : col - width;
        Gradients gradients = swigluBackward(
            toFloat(grad[row * width + at]), toFloat(input[row * stride + at]),
            toFloat(input[row * stride + width + at]), prob);
        values[j] = col < width ? gradients.a : gradients.b;
        sums[i] += col < width ? gradients.prob : 0.0f;
      }
      setRow(pieces[0], i, values);
    }
    sumProbs(task, place, sums);
  }

private:
  // Registers have no address: the row is found by comparing.
  __device__ static void setRow(Piece<T> &piece, int row,
                                const float (&values)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (i == row)
        piece.setRow(i, values);
  }
};
} // namespace

#define TE_RT_TILE_KERNEL(name, source, sink, blocksPerSm)                     \
  extern "C" __global__ void __launch_bounds__(kTileThreads, blocksPerSm)      \
      name(const __grid_constant__ TileArgs args) {                            \
    runTile<source, sink>(args);                                               \
  }
#define TE_RT_ACTIVATION(name, Source, blocksPerSm)                            \
  TE_RT_TILE_KERNEL(name##_bf16, Source<BF16>, StoreSink, blocksPerSm)         \
  TE_RT_TILE_KERNEL(name##_f32, Source<float>, StoreSink, 1)                   \
  TE_RT_CASTS(name, Source, blocksPerSm)
#define TE_RT_CASTS(name, Source, blocksPerSm)                                 \
  TE_RT_TILE_KERNEL(name##_cast_bf16, Source<BF16>, CastSink, blocksPerSm)     \
  TE_RT_TILE_KERNEL(name##_cast_f32, Source<float>, CastSink, 1)               \
  TE_RT_TILE_KERNEL(name##_amax_bf16, Source<BF16>, AmaxSink, blocksPerSm)     \
  TE_RT_TILE_KERNEL(name##_amax_f32, Source<float>, AmaxSink, 1)               \
  TE_RT_MICRO_KERNEL(mx_##name##_cast_bf16, Source<BF16>, Mxfp8, blocksPerSm)  \
  TE_RT_MICRO_KERNEL(mx_##name##_cast_f32, Source<float>, Mxfp8, 1)

TE_RT_ACTIVATION(swiglu, SwigluSource, 3)
TE_RT_ACTIVATION(swiglu_backward, SwigluBackwardSource, 2)
TE_RT_ACTIVATION(swiglu_backward_any, SwigluBackwardAnySource, 2)
TE_RT_ACTIVATION(gather, GatherSource, 3)
