//===- blocks.h - casts to FP8 in blocks of any size ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_BLOCKS_H
#define TE_RUNTIME_CUDA_BLOCKS_H

#include "cuda/device.h"
#include "cuda/kernels/params.h"

#include "te_runtime/types.h"

namespace te_rt {
namespace cuda {

struct CastArguments;
struct CastKernels;

/// The part of casts whose blocks no tile of 128 x 128 holds: a launch for each
/// matrix and direction, and one more where another function makes the rows.
class BlockCast {
public:
  BlockCast(CudaDevice &device, te_rt_dtype inputType, const float *noop)
      : device(device), inputType(inputType), noop(noop) {}

  /// Takes from `arguments` the directions that it casts.
  Outcome add(const TileTask &task, CastArguments &arguments);
  /// `like` has what the casts of tiles have, too.
  Outcome run(const CastKernels &kernels, const TileArgs &like);

private:
  Outcome storeRows(const CastKernels &kernels, TileTask &task);

  CudaDevice &device;
  te_rt_dtype inputType;
  const float *noop;
  std::vector<BlockCastArgs> tasks;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_BLOCKS_H
