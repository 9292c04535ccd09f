//===- norm.cu - rows scaled to one length --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// rms_norm.
//
//   work      a warp for each row, which reads it twice: the second time mostly
//             from L2
//   moves     BF16: 2 B read and 2 B written for each element
//   bound     memory
//   measured  not yet
//   not here  words of 16 bytes, which a kernel that is fast needs
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/norm.h"
#include "cuda/kernels/numeric.cuh"

using namespace te_rt::cuda;

namespace {
template <typename T> __device__ void normRow(const NormArgs &args) {
  int64_t row = blockIdx.x * int64_t(kNormRows) + threadIdx.x / 32;
  int lane = threadIdx.x % 32;
  if (row >= args.rows)
    return;
  const T *input = static_cast<const T *>(args.input) + row * args.cols;
  T *output = static_cast<T *>(args.output) + row * args.cols;
  float sum = 0.0f;
  for (int64_t j = lane; j < args.cols; j += 32) {
    float value = toFloat(input[j]);
    sum += value * value;
  }
  // Lane l adds that of lane l + half, as the contract says; lane 0 has all.
  for (int half = 16; half > 0; half /= 2)
    sum += __shfl_down_sync(~0u, sum, half);
  float length = __fsqrt_rn(
      __fdiv_rn(__shfl_sync(~0u, sum, 0), float(args.cols)) + args.epsilon);
  for (int64_t j = lane; j < args.cols; j += 32)
    output[j] = fromFloat<T>(__fdiv_rn(toFloat(input[j]), length));
}
} // namespace

extern "C" __global__ void __launch_bounds__(kNormRows * 32)
    rms_norm_bf16(const __grid_constant__ NormArgs args) {
  normRow<BF16>(args);
}

extern "C" __global__ void __launch_bounds__(kNormRows * 32)
    rms_norm_f32(const __grid_constant__ NormArgs args) {
  normRow<float>(args);
}
