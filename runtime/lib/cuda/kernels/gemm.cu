//===- gemm.cu - products of any operands ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What cuBLASLt does not take: odd extents, mixed types, empty reductions, and
// rows whose number only the device knows while a graph is captured.
//
//   work      one block for each 64 x 64 of the result, operands as F32 in
//             shared memory
//   moves     each operand once for each 64 rows or columns of the result
//   bound     FP32 arithmetic, 67 TFLOP/s on an H200: a way for what is small or
//             rare, not for a layer
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/numeric.cuh"
#include "cuda/kernels/params.h"

using namespace te_rt::cuda;

namespace {
constexpr int kSide = 64, kDepth = 16, kThreads = 256;

/// Element (outer, inner) as F32; both count from the operand's first element.
__device__ float elementOf(const GemmOperand &operand, int64_t outer,
                           int64_t inner, int64_t group, int64_t begin) {
  int64_t at = outer * operand.strideOuter + inner * operand.strideInner;
  if (operand.type == kGemmF32)
    return static_cast<const float *>(operand.data)[at];
  if (operand.type == kGemmBf16)
    return toFloat(static_cast<const BF16 *>(operand.data)[at]);
  uint8_t code = static_cast<const uint8_t *>(operand.data)[at];
  float value = decodePair(code, operand.type == kGemmE5M2).x;
  // Blocks begin anew at each group, along the dimension that groups divide.
  auto block = [&](int64_t index, int64_t size, bool ragged) {
    return size == 1 ? index
           : ragged  ? (index - begin) / size + begin / size + group
                     : index / size;
  };
  int64_t scale = 0;
  if (operand.blockOuter == 0)
    scale = operand.scalePerGroup ? group : 0;
  else
    scale = block(outer, operand.blockOuter, operand.raggedOuter) *
                operand.scaleOuter +
            block(inner, operand.blockInner, operand.raggedInner) *
                operand.scaleInner;
  return __fmul_rn(value, operand.scales[scale]);
}

__device__ float biasOf(const GemmArgs &args, int64_t col) {
  if (!args.bias)
    return 0.0f;
  return args.biasType == kGemmF32
             ? static_cast<const float *>(args.bias)[col]
             : toFloat(static_cast<const BF16 *>(args.bias)[col]);
}

template <typename T>
__device__ void storeSum(const GemmArgs &args, int64_t row, int64_t col,
                         float sum) {
  T *out = static_cast<T *>(args.result) + row * args.n + col;
  T rounded = fromFloat<T>(args.bias ? sum + biasOf(args, col) : sum);
  *out = args.accumulate ? fromFloat<T>(toFloat(*out) + toFloat(rounded))
                         : rounded;
}
} // namespace

extern "C" __global__ void __launch_bounds__(kThreads)
    gemm_any(const __grid_constant__ GemmArgs args) {
  __shared__ float left[kDepth][kSide + 1], right[kDepth][kSide + 1];
  int64_t begin = args.begin, end = args.end;
  if (args.offsets) {
    begin = args.offsets[0];
    end = args.offsets[1];
  }
  bool raggedRows = args.ragged == 1, raggedReduction = args.ragged == 2;
  int64_t across = (args.n + kSide - 1) / kSide;
  int64_t row0 = blockIdx.x / across * kSide + (raggedRows ? begin : 0);
  int64_t col0 = blockIdx.x % across * kSide;
  int64_t rowEnd = raggedRows ? end : args.m;
  int64_t inner0 = raggedReduction ? begin : 0;
  int64_t innerEnd = raggedReduction ? end : args.k;
  if (row0 >= rowEnd || (raggedReduction && args.accumulate && begin >= end))
    return;
  int rowOf = threadIdx.x / 16 * 4, colOf = threadIdx.x % 16 * 4;
  float sums[4][4] = {};
  for (int64_t inner = inner0; inner < innerEnd; inner += kDepth) {
    for (int i = threadIdx.x; i < kSide * kDepth; i += kThreads) {
      int outer = i / kDepth, depth = i % kDepth;
      bool within = inner + depth < innerEnd;
      left[depth][outer] =
          within && row0 + outer < rowEnd
              ? elementOf(args.lhs, row0 + outer, inner + depth, args.group,
                          begin)
              : 0.0f;
      right[depth][outer] =
          within && col0 + outer < args.n
              ? elementOf(args.rhs, col0 + outer, inner + depth, args.group,
                          begin)
              : 0.0f;
    }
    __syncthreads();
#pragma unroll
    for (int depth = 0; depth < kDepth; ++depth)
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j)
          sums[i][j] = fmaf(left[depth][rowOf + i], right[depth][colOf + j],
                            sums[i][j]);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      int64_t row = row0 + rowOf + i, col = col0 + colOf + j;
      if (row >= rowEnd || col >= args.n)
        continue;
      if (args.resultType == kGemmF32)
        storeSum<float>(args, row, col, sums[i][j]);
      else
        storeSum<BF16>(args, row, col, sums[i][j]);
    }
}

extern "C" __global__ void __launch_bounds__(kThreads)
    product_factors(const __grid_constant__ ProductFactorsArgs args) {
  int64_t i = blockIdx.x * int64_t(kThreads) + threadIdx.x;
  if (i >= args.groups)
    return;
  float lhs = args.lhsAmax[args.lhsPerGroup ? args.firstGroup + i : 0];
  args.factors[2 * i] = __fmul_rn(lhs, *args.rhsAmaxes[i]) / 7225344.0f;
  args.factors[2 * i + 1] = args.accumulate ? 1.0f : 0.0f;
}

extern "C" __global__ void __launch_bounds__(kThreads)
    product_groups(const __grid_constant__ ProductGroupsArgs args) {
  int64_t first = blockIdx.x * int64_t(kThreads) + threadIdx.x,
          threads = gridDim.x * int64_t(kThreads);
  if (first < 2)
    args.scales[first] = first == 0 || args.accumulate ? 1.0f : 0.0f;
  for (int64_t i = first; i < args.groups; i += threads) {
    int64_t begin = args.offsets[i], end = args.offsets[i + 1];
    args.arrays.lhs[i] = args.lhs + begin * args.m * sizeof(BF16);
    args.arrays.rhs[i] = args.rhs + begin * args.n * sizeof(BF16);
    args.arrays.results[i] = args.results[i];
    args.arrays.m[i] = static_cast<int32_t>(args.m);
    args.arrays.n[i] = static_cast<int32_t>(args.n);
    args.arrays.k[i] = static_cast<int32_t>(end - begin);
  }
  if (args.accumulate)
    return;
  // Rows of operands, and so of results, are whole units of 16 bytes.
  for (int64_t g = 0; g < args.groups; ++g)
    if (args.offsets[g] == args.offsets[g + 1])
      for (int64_t i = first; i < args.m * args.n / 4; i += threads)
        static_cast<float4 *>(args.results[g])[i] = float4{0, 0, 0, 0};
}
