//===- wide_params.h - arguments of products in wide tiles ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Read by the host's compiler and by nvcc.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_WIDE_PARAMS_H
#define TE_RUNTIME_CUDA_KERNELS_WIDE_PARAMS_H

#include "cuda/kernels/grouped_params.h"
#include "cuda/kernels/params.h"

namespace te_rt {
namespace cuda {

constexpr int kWideThreads = 512;
/// Columns of the result that a block of threads makes, two times 128, and
/// buffers of operands that it has. Boxes of rhs have half as many rows.
constexpr int kWideCols = 256, kWideStages = 3;
constexpr int kWideSharedBytes =
    1024 +
    kWideStages *
        ((kGroupedRows + kWideCols) * kGroupedBytes + kGroupedRows * 4 + 16) +
    kGroupedRows * kWideCols * 2 + 2048;
static_assert(kWideSharedBytes <= 232448, "shared memory of sm_90");

/// A product [a | b] whose activation is cast.
struct GatedArgs {
  GroupedArgs product; // resultValues: nullptr where nobody reads it
  const float *probs;
  CastOutput out[2]; // kRowBlocks; kColumnBlocks, transposed; or kNoOutput
  float epsilon, overflow;
  int32_t pow2;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_WIDE_PARAMS_H
