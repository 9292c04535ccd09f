//===- backend.h - the CUDA backend ------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Built with any C++ compiler: the driver is opened at run time, and the kernels
// are a fatbin inside the library, which is absent where no nvcc was found.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_BACKEND_H
#define TE_RUNTIME_CUDA_BACKEND_H

#include "common/context.h"

namespace te_rt {
namespace cuda {

#define TE_RT_FUNCTION(name) decltype(te_rt_##name) name;
#include "common/functions.def"

const BackendTable &table();

/// Opens the GPU of `rank`: TE_RT_UNAVAILABLE, with the reason, where this
/// library has no kernels, or the machine no driver or no GPU that they fit.
Outcome open(int32_t rank, std::unique_ptr<Device> &device);

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_BACKEND_H
