//===- grouped_block.cu - products of FP8 with scales of blocks -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/grouped_gemm.cuh"

using namespace te_rt::cuda;
using namespace te_rt::cuda::hopper;

TE_GROUPED_FP8_KERNELS(grouped_row_square, false, GroupedScale::RowSquare)
TE_GROUPED_FP8_KERNELS(grouped_row_square_staged, true, GroupedScale::RowSquare)
TE_GROUPED_FP8_KERNELS(grouped_row_row, false, GroupedScale::RowRow)
