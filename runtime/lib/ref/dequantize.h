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

/// What NVFP4 scales and values reach together: 448 * 6.
constexpr float kNvfp4Range = 2688.0f;

/// A matrix of BF16, F32 or, with its scales, FP8 or FP4, rank 2 or packed
/// [E, ..].
class Operand {
public:
  /// `scales` is nullptr but for FP8 and FP4; `ragged` tells what groups
  /// divide. With `tensorAmax` FP4 is multiplied by what that makes of it.
  Operand(const te_rt_tensor &values, const te_rt_tensor *scales, Ragged ragged,
          const te_rt_tensor *tensorAmax = nullptr);

  int64_t rows() const { return values.shape[values.rank - 2]; }
  int64_t cols() const { return values.shape[values.rank - 1]; }
  te_rt_dtype dtype() const { return values.dtype; }
  /// Groups must begin at multiples of 128.
  bool alignsGroups() const { return grid && grid->alignsGroups(); }
  bool isSwizzled() const { return grid && grid->swizzled; }

  /// Elements of `member` of a packed matrix (0 otherwise) from (row0, col0)
  /// on; not of FP4.
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
  void convertRow(int64_t member, const Group &group, const ScaleGrid *blocks,
                  int64_t row, int64_t col0, int64_t numCols, T *output) const;
  int64_t indexOf(int64_t member, const Group &group) const {
    return values.rank == 3 ? member : group.index;
  }

  const te_rt_tensor &values;
  const te_rt_tensor *scales, *tensorAmax;
  Ragged ragged;
  std::optional<ScaleGrid> grid; // where there are scales
};

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_DEQUANTIZE_H
