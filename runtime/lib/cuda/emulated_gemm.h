//===- emulated_gemm.h - products of MXFP8 and NVFP4 ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_EMULATED_GEMM_H
#define TE_RUNTIME_CUDA_EMULATED_GEMM_H

#include "cuda/cast.h"

namespace te_rt {
namespace cuda {

/// The arguments of grouped_gemm; those of gemm are lists of one, with `member`,
/// which is -1 for all groups and where nothing is ragged.
struct EmulatedProduct {
  const te_rt_tensor *lhs, *lhsScales, *lhsAmax;
  te_rt_tensor_list rhs, rhsScales, rhsAmax, bias;
  const te_rt_tensor *offsets;
  te_rt_tensor_list results;
  int64_t ragged, member;
  bool transposeLhs, transposeRhs, accumulate;
};

/// Products of operands with 8-bit scales, which no GPU before sm_100 has: codes
/// times scales in BF16, exactly, and sums in F32. One launch.
Outcome multiplyEmulated(CudaDevice &device, const EmulatedProduct &product);

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_EMULATED_GEMM_H
