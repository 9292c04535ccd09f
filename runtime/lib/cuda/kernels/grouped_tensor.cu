//===- grouped_tensor.cu - products of FP8 with a scale for each tensor -===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/grouped_gemm.cuh"

using namespace te_rt::cuda;
using namespace te_rt::cuda::hopper;

#define TE_KERNELS(name, scale)                                                \
  TE_GROUPED_KERNEL(name##_e4m3_e4m3, scale, Element::E4M3, Element::E4M3,     \
                    Major::Reduction, Major::Reduction)                        \
  TE_GROUPED_KERNEL(name##_e4m3_e5m2, scale, Element::E4M3, Element::E5M2,     \
                    Major::Reduction, Major::Reduction)                        \
  TE_GROUPED_KERNEL(name##_e5m2_e4m3, scale, Element::E5M2, Element::E4M3,     \
                    Major::Reduction, Major::Reduction)

TE_KERNELS(grouped_tensor, GroupedScale::Tensor)
