//===- norm.h - what the kernels of norms are given -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_NORM_H
#define TE_RUNTIME_CUDA_KERNELS_NORM_H

#include <cstdint>

namespace te_rt {
namespace cuda {

constexpr int kNormRows = 8; // of a block: a warp for each

struct NormArgs {
  const void *input;
  void *output;
  int64_t rows, cols;
  float epsilon;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_NORM_H
