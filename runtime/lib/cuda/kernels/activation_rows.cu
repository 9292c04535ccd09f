//===- activation_rows.cu - gated activations, row by row -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// swiglu and swiglu_backward. What is cast as well goes by tiles (activation.cu),
// which gives the same bits: sums of rows are those of the same eight columns,
// of the same sixteen threads, and then of tiles in their order.
//
//   work      one block for some whole rows: a thread takes eight columns
//   moves     BF16: swiglu 4 + 2 B for each element of the activation, backward
//             6 + 4 B
//   bound     memory
//   measured  docs/Benchmarks.md, rows swiglu and swiglu_backward
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/swiglu.cuh"

using namespace te_rt::cuda;

namespace {
constexpr int kThreads = kActivationThreads;

/// The rows of a block, in parts of eight columns: those of a tile of 128 are
/// neighbours, whether they exist or not.
struct Rows {
  int64_t first;
  int count, parts;
  uint32_t perParts;

  __device__ explicit Rows(const ActivationArgs &args)
      : parts(args.tiles * 16), perParts(args.perParts) {
    int64_t begin = 0, end = args.rows;
    if (args.offsets) {
      begin = min(max(int64_t(args.offsets[0]), int64_t(0)), args.rows);
      end = min(int64_t(args.offsets[args.groups]), args.rows);
    }
    first = begin + int64_t(blockIdx.x) * args.blockRows;
    count = static_cast<int>(
        max(min(end - first, int64_t(args.blockRows)), int64_t(0)));
  }
  __device__ int total() const { return count * parts; }
  __device__ int rowOf(int index) const {
    return static_cast<int>(divide(index, parts, perParts));
  }
};

/// Eight elements of a row at `from`, of which `count` exist.
template <typename T>
__device__ void load(const T *from, int count, bool vector, Piece<T, 1> &part) {
  if (vector)
    loadVector(from, count > 0, part, 0);
  else
    loadSome(from, count, part, 0);
}
__device__ void storeVector(BF16 *to, const Piece<BF16, 1> &part) {
  const uint32_t(&from)[4] = part.pairs[0];
  *reinterpret_cast<uint4 *>(to) =
      make_uint4(from[0], from[1], from[2], from[3]);
}
__device__ void storeVector(float *to, const Piece<float, 1> &part) {
  const float(&from)[8] = part.values[0];
  auto *words = reinterpret_cast<float4 *>(to);
  words[0] = make_float4(from[0], from[1], from[2], from[3]);
  words[1] = make_float4(from[4], from[5], from[6], from[7]);
}
template <typename T>
__device__ void store(T *to, int count, bool vector, const Piece<T, 1> &part) {
  if (vector) {
    if (count > 0)
      storeVector(to, part);
    return;
  }
#pragma unroll
  for (int j = 0; j < 8; ++j)
    if (j < count)
      to[j] = fromFloat<T>(part.get(0, j));
}

template <typename T> __device__ void forward(const ActivationArgs &args) {
  constexpr int kAhead = 2;
  Rows rows(args);
  int64_t width = args.width;
  auto *input = static_cast<const T *>(args.input) + rows.first * 2 * width;
  auto *output = static_cast<T *>(args.output) + rows.first * width;
  bool vector = isVector(input, width) && isVector(output, width);
  for (int base = threadIdx.x; base < rows.total(); base += kThreads * kAhead) {
    Piece<T, 1> a[kAhead], b[kAhead];
    float prob[kAhead];
    int row[kAhead], col[kAhead], count[kAhead];
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      int index = base + k * kThreads;
      row[k] = rows.rowOf(index);
      col[k] = (index - row[k] * rows.parts) * 8;
      count[k] = index < rows.total() ? static_cast<int>(width) - col[k] : 0;
      const T *from = input + row[k] * 2 * width + col[k];
      load(from, count[k], vector, a[k]);
      load(from + width, count[k], vector, b[k]);
      prob[k] = args.probs && count[k] > 0
                    ? __ldg(args.probs + rows.first + row[k])
                    : 1.0f;
    }
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      float values[8];
#pragma unroll
      for (int j = 0; j < 8; ++j)
        values[j] = silu<T>(a[k].get(0, j)) * b[k].get(0, j) * prob[k];
      a[k].setRow(0, values);
      store(output + row[k] * width + col[k], count[k], vector, a[k]);
    }
  }
}

template <typename T> __device__ void backward(const ActivationArgs &args) {
  constexpr int kAhead = sizeof(T) == 2 ? 2 : 1;
  extern __shared__ float sums[]; // [rows, tiles]
  Rows rows(args);
  int64_t width = args.width;
  auto *grad = static_cast<const T *>(args.grad) + rows.first * width;
  auto *input = static_cast<const T *>(args.input) + rows.first * 2 * width;
  auto *output = static_cast<T *>(args.output) + rows.first * 2 * width;
  bool vector = isVector(input, width) && isVector(output, width) &&
                isVector(grad, width);
  // Whole warps stay, since their lanes add.
  int total = (rows.total() + 31) / 32 * 32;
  for (int base = threadIdx.x; base < total; base += kThreads * kAhead) {
    Piece<T, 1> g[kAhead], a[kAhead], b[kAhead];
    float prob[kAhead];
    int row[kAhead], part[kAhead], count[kAhead];
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      int index = base + k * kThreads;
      row[k] = rows.rowOf(index);
      part[k] = index - row[k] * rows.parts;
      count[k] = index < rows.total() ? static_cast<int>(width) - part[k] * 8 : 0;
      load(grad + row[k] * width + part[k] * 8, count[k], vector, g[k]);
      const T *from = input + row[k] * 2 * width + part[k] * 8;
      load(from, count[k], vector, a[k]);
      load(from + width, count[k], vector, b[k]);
      prob[k] = args.probs && count[k] > 0
                    ? __ldg(args.probs + rows.first + row[k])
                    : 1.0f;
    }
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      float da[8], db[8], sum = 0.0f;
#pragma unroll
      for (int j = 0; j < 8; ++j)
        swigluBackward<T>(g[k].get(0, j), a[k].get(0, j), b[k].get(0, j),
                          prob[k], da[j], db[j], sum);
      a[k].setRow(0, da);
      b[k].setRow(0, db);
      T *to = output + row[k] * 2 * width + part[k] * 8;
      store(to, count[k], vector, a[k]);
      store(to + width, count[k], vector, b[k]);
      if (!args.gradProbs)
        continue;
      // As reduceRows adds.
#pragma unroll
      for (int step = 8; step; step /= 2)
        sum += __shfl_xor_sync(~0u, sum, step);
      int index = base + k * kThreads;
      if (threadIdx.x % 16 == 0 && index < rows.total())
        sums[index / 16] = sum;
    }
  }
  if (!args.gradProbs)
    return;
  __syncthreads();
  for (int row = threadIdx.x; row < rows.count; row += kThreads) {
    float total = 0.0f;
#pragma unroll 8
    for (int t = 0; t < args.tiles; ++t)
      total += sums[row * args.tiles + t];
    args.gradProbs[rows.first + row] = total;
  }
}
} // namespace

#define TE_RT_ACTIVATION_ROWS(name, body)                                      \
  extern "C" __global__ void __launch_bounds__(kThreads, 4)                    \
      name##_bf16(const __grid_constant__ ActivationArgs args) {               \
    body<BF16>(args);                                                          \
  }                                                                            \
  extern "C" __global__ void __launch_bounds__(kThreads)                       \
      name##_f32(const __grid_constant__ ActivationArgs args) {                \
    body<float>(args);                                                         \
  }
TE_RT_ACTIVATION_ROWS(swiglu, forward)
TE_RT_ACTIVATION_ROWS(swiglu_backward, backward)
