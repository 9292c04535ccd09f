//===- dequantize.h - parts of a matrix as floats ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_REF_DEQUANTIZE_H
#define TE_RUNTIME_REF_DEQUANTIZE_H

#include "common/numeric.h"
#include "common/scales.h"
#include "ref/backend.h"

#include <optional>

namespace te_rt {
namespace ref {

/// A matrix of BF16, F32 or, with its scales, FP8, rank 2 or packed [E, ..].
class Operand {
public:
  /// `scales` is nullptr but for FP8; `ragged` tells what groups divide.
  Operand(const te_rt_tensor &values, const te_rt_tensor *scales,
          Ragged ragged);

  int64_t rows() const { return values.shape[values.rank - 2]; }
  int64_t cols() const { return values.shape[values.rank - 1]; }
  te_rt_dtype dtype() const { return values.dtype; }

  /// Elements of `member` of a packed matrix (0 otherwise) from (row0, col0)
  /// on.
  template <typename T>
  const T *at(int64_t member, int64_t row0, int64_t col0) const {
    return data<const T>(values) + (member * rows() + row0) * cols() + col0;
  }

  /// Writes rows [row0, row0 + numRows) x columns [col0, col0 + numCols), which
  /// belong to `group`, to `output`, dense: values * scale in F32, then
  /// rounded. T is float or BFloat16. The group's own index tells its TENSOR
  /// scale; for a packed matrix that is the member's.
  template <typename T>
  void convert(te_rt_context *context, int64_t member, const Group &group,
               int64_t row0, int64_t numRows, int64_t col0, int64_t numCols,
               T *output) const;

private:
  template <typename T>
  void convertRow(int64_t member, const Group &group, int64_t row, int64_t col0,
                  int64_t numCols, T *output) const;

  const te_rt_tensor &values;
  const te_rt_tensor *scales;
  Ragged ragged;
  std::optional<ScaleGrid> grid; // where there are scales
};

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_DEQUANTIZE_H
