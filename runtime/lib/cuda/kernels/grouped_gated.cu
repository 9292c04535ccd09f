//===- grouped_gated.cu - products of FP8 whose activation is cast --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// grouped_gemm followed by swiglu_quantize, to the same bits.
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/gated_cast.cuh"
#include "cuda/kernels/grouped_wide.cuh"

using namespace te_rt::cuda::grouped;

TE_WIDE_KERNEL(grouped_swiglu_quantize, GatedCast, Element::E4M3, Element::E4M3)
