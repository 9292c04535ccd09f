//===- cast.h - one direction of a quantize ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_REF_CAST_H
#define TE_RUNTIME_REF_CAST_H

#include "ref/backend.h"

namespace te_rt {
namespace ref {

/// Casts `rows` x `cols` of the input, one group or packed member, to FP8. All
/// blocks, strides and offsets are in the orientation of the input.
struct CastTask {
  const char *input; // first element of the group
  te_rt_dtype inputType;
  int64_t rows, cols;

  uint8_t *values; // first element of the group
  te_rt_dtype valuesType;
  bool transposed;
  int64_t stride; // between rows of values as they are stored

  float *scales; // scale of the group's first block; nullptr: `scale` is it
  float scale;   // the multiplier, where scales is nullptr
  int64_t blockRows, blockCols;
  int64_t strideRow, strideCol; // between scales of neighbouring blocks
  float epsilon, overflow;
  bool pow2;

  /// Rows that one call of castStrip takes.
  int64_t stripRows() const;
  int64_t numStrips() const;
};

/// The largest extent of a block with other than TENSOR scales.
constexpr int64_t kLargestBlock = 512;

void castStrip(const CastTask &task, int64_t strip);

/// quantize of rows that a fused function has made: without the arguments that
/// these functions lack.
te_rt_status castRows(te_rt_context *context, const te_rt_tensor &rows,
                      const te_rt_tensor *scale, const te_rt_tensor *amax,
                      const te_rt_tensor *offsets, const te_rt_tensor *values,
                      const te_rt_tensor *scales, const te_rt_tensor *values_t,
                      const te_rt_tensor *scales_t,
                      const te_rt_tensor *amax_out, int64_t pow2_scales,
                      double epsilon);

/// The largest magnitude of `count` elements, NaN left out; 0 for none.
float largestMagnitude(const char *input, te_rt_dtype type, int64_t count);

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_CAST_H
