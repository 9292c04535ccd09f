//===- kernels.h - the fatbins of all kernels ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_H
#define TE_RUNTIME_CUDA_KERNELS_H

namespace te_rt {
namespace cuda {

/// One fatbin for each file of kernels, with code for each architecture that this
/// library was built for; nullptr at the end, at once where it was built without.
const void *const *kernelImages();

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_H
