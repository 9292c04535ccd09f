//===- blas.h - cuBLASLt, opened at run time --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_BLAS_H
#define TE_RUNTIME_CUDA_BLAS_H

#include "common/device.h"

namespace te_rt {
namespace cuda {

class Blas {
public:
  Outcome open() { return {TE_RT_UNAVAILABLE, "cuBLASLt: not opened"}; }
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_BLAS_H
