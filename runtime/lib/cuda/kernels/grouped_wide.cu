//===- grouped_wide.cu - products of FP8 in tiles of 128 x 256 ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/grouped_wide.cuh"
#include "cuda/kernels/wide_store.cuh"

using namespace te_rt::cuda::grouped;

TE_WIDE_KERNEL(grouped_row_square_wide_e4m3_e4m3, WideStore, Element::E4M3,
               Element::E4M3)
TE_WIDE_KERNEL(grouped_row_square_wide_e4m3_e5m2, WideStore, Element::E4M3,
               Element::E5M2)
TE_WIDE_KERNEL(grouped_row_square_wide_e5m2_e4m3, WideStore, Element::E5M2,
               Element::E4M3)
