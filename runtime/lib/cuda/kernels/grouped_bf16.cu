//===- grouped_bf16.cu - products of BF16 ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/grouped_gemm.cuh"

using namespace te_rt::cuda;
using namespace te_rt::cuda::hopper;

// By which operands are stored transposed.
#define TE_KERNEL(name, lhsMajor, rhsMajor)                                    \
  TE_GROUPED_KERNEL(name, false, GroupedScale::None, Element::BF16, Element::BF16,    \
                    Major::lhsMajor, Major::rhsMajor)

TE_KERNEL(grouped_bf16_nn, Reduction, Reduction)
TE_KERNEL(grouped_bf16_nt, Reduction, Outer)
TE_KERNEL(grouped_bf16_tn, Outer, Reduction)
TE_KERNEL(grouped_bf16_tt, Outer, Outer)
