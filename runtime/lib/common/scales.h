//===- scales.h - where the scale of a block lies ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMMON_SCALES_H
#define TE_RUNTIME_COMMON_SCALES_H

#include "common/numeric.h"

#include <vector>

namespace te_rt {

/// Which dimension of a matrix groups divide.
enum class Ragged { No, Rows, Cols };

/// The grid of blocks of a matrix as it is stored, and the place of each scale.
/// For TENSOR the grid is 1 x 1, and its block the whole matrix.
struct ScaleGrid {
  /// `scales` has a layout other than NOT_SCALES and blocks above 0; `rows` x
  /// `cols` is the data's shape (of one member).
  ScaleGrid(const te_rt_tensor &scales, int64_t rows, int64_t cols,
            Ragged ragged);

  /// Element of the scale of block (row, col), within one member.
  int64_t index(int64_t row, int64_t col) const {
    return swizzled ? swizzledIndex(row, col)
                    : row * strideRow + col * strideCol;
  }
  /// The number, along a dimension with blocks of `block`, of the first block
  /// of a group that begins at `begin`.
  static int64_t firstBlock(int64_t block, int64_t begin, int64_t group) {
    return block == 1 ? begin : begin / block + group;
  }

  bool perTensor = false, swizzled = false;
  int64_t blockRows, blockCols; // kWhole for TENSOR
  int64_t gridRows, gridCols;
  int64_t strideRow = 0, strideCol = 0;
  std::vector<int64_t> shape; // of the scales of one member
  int64_t elements;           // product of shape

  static constexpr int64_t kWhole = int64_t(1) << 62;

private:
  int64_t swizzledIndex(int64_t row, int64_t col) const;
  bool swizzledColumns = false; // blocks run along rows: operand is transposed
};

/// Along which dimension the groups of `scales` divide 1 x n or n x 1 blocks.
inline Ragged raggedOf(const te_rt_tensor &scales) {
  return scales.groups == 0       ? Ragged::No
         : scales.block_rows == 1 ? Ragged::Cols
                                  : Ragged::Rows;
}
/// Columnwise scales in COMPACT blocks r x 1 belong to data that is stored like
/// the input it was made of, not transposed.
bool isUntransposed(const te_rt_tensor &scales);

/// How many rows a cast has: those of `values`, or those that `values_t` (of
/// these scales) has transposed or not. One of the two is there.
int64_t rowsOfCast(const te_rt_tensor *values, const te_rt_tensor *values_t,
                   const te_rt_tensor *scales_t);

} // namespace te_rt

#endif // TE_RUNTIME_COMMON_SCALES_H
