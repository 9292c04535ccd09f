//===- microscaling.h - casts to MXFP8 and NVFP4 ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_MICROSCALING_H
#define TE_RUNTIME_CUDA_MICROSCALING_H

#include "common/numeric.h"
#include "common/scales.h"
#include "cuda/device.h"
#include "cuda/kernels/micro_params.h"

namespace te_rt {
namespace cuda {

struct CastArguments;
struct CastKernels;

inline bool hasByteScales(const te_rt_tensor *scales) {
  return scales && scales->layout != TE_RT_NOT_SCALES &&
         isByteScale(scales->dtype);
}

/// Where the 8-bit scales of a matrix of rows x cols (of one member), as it is
/// stored, lie; `ragged`: what groups divide.
ScalePlaces describePlaces(const te_rt_tensor &scales, int64_t rows,
                           int64_t cols, Ragged ragged);

/// convert_scales of 8 bits.
Outcome convertByteScales(CudaDevice &device, const te_rt_tensor &scales,
                          const te_rt_tensor &output, int64_t rows,
                          int64_t cols);
/// The part of permute that moves scales of 8 bits, with the padding of `rows`.
Outcome permuteByteScales(CudaDevice &device, const te_rt_tensor &scales,
                          const te_rt_tensor &output, const PermuteArgs &rows);
/// Zeroes rows of 8-bit scales that no group owns.
Outcome clearUnownedRows(CudaDevice &device, const te_rt_tensor &scales,
                         const int32_t *offsets, int64_t groups);
/// dequantize of any codes and scales.
Outcome decodeRows(CudaDevice &device, const te_rt_tensor &values,
                   const te_rt_tensor &scales, const te_rt_tensor *tensorAmax,
                   const te_rt_tensor *offsets, te_rt_dtype outputType,
                   void *output);

/// The part of casts that is under scales of 8 bits.
class MicroCast {
public:
  MicroCast(CudaDevice &device, te_rt_dtype inputType, const float *noop)
      : device(device), inputType(inputType), noop(noop) {}

  /// Takes from `arguments` the directions that it casts, and the amax where no
  /// other direction is left.
  Outcome add(const TileTask &task, CastArguments &arguments);
  /// With the names of the source's kernels for other scales.
  Outcome run(const CastKernels &kernels);

private:
  /// Those of one recipe.
  struct Batch {
    MicroArgs args = {};
    std::vector<MicroTask> tasks;
    int64_t tiles = 0, accumulators = 0;
    bool finishes = false;
  };
  Outcome addTo(Batch &batch, bool fp4, MicroTask task,
                const CastArguments &arguments, bool takesAmax);
  Outcome accumulate(Batch &batch, int64_t groups, uint32_t **accumulators);
  /// With so many of the batch's tiles for each block.
  Outcome launch(Batch &batch, const std::string &kernel, Grid grid,
                 bool finishes, int64_t tilesOfBlock = 1);

  CudaDevice &device;
  te_rt_dtype inputType;
  const float *noop;
  Batch mxfp8, nvfp4;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_MICROSCALING_H
