//===- rows_params.h - rows that are cast in blocks of 1 x 128 --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_ROWS_PARAMS_H
#define TE_RUNTIME_CUDA_KERNELS_ROWS_PARAMS_H

#include <cstdint>

namespace te_rt {
namespace cuda {

/// So many threads have a block; a block of threads has so many.
constexpr int kRowsLanes = 8, kRowsThreads = 256;

/// Rows `begin` to `end`, or those of groups `first` to `last` - 1. Few bytes, since
/// small calls wait for each line of arguments.
struct RowsArgs {
  const float *noop;
  const void *input;
  uint8_t *values;
  float *scales;
  const int32_t *offsets; // of groups; or none
  int64_t strideRow, strideCol; // of scales
  int32_t begin, end;
  int32_t first, last;
  int32_t rows, cols;
  uint32_t across, perAcross; // blocks of a row, and to divide by them: inverseOf
  float epsilon, overflow;
  int32_t pow2, e5m2;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_ROWS_PARAMS_H
