//===- grouped_tensor.cu - products of FP8 with a scale for each tensor -===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/grouped_gemm.cuh"

using namespace te_rt::cuda;
using namespace te_rt::cuda::hopper;

TE_GROUPED_FP8_KERNELS(grouped_tensor, false, GroupedScale::Tensor)
TE_GROUPED_FP8_KERNELS(grouped_tensor_staged, true, GroupedScale::Tensor)
