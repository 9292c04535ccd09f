//===- scales.h - where the scale of a block lies ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMMON_SCALES_H
#define TE_RUNTIME_COMMON_SCALES_H

#include "common/numeric.h"
#include "te_runtime/gemm.h"

#include <vector>

namespace te_rt {

/// Which dimension of a matrix groups divide.
enum class Ragged { No, Rows, Cols };

/// Rows or columns [begin, end) of a matrix, which group `index` owns.
struct Group {
  int64_t index, begin, end;
  int64_t size() const { return end - begin; }
};

/// The grid of blocks of a matrix as it is stored, or of one of its groups, and
/// the place of each scale. For TENSOR the grid is 1 x 1, and its block the
/// whole matrix.
struct ScaleGrid {
  /// `scales` has a layout other than NOT_SCALES and blocks above 0; `rows` x
  /// `cols` is the data's shape (of one member).
  ScaleGrid(const te_rt_tensor &scales, int64_t rows, int64_t cols,
            Ragged ragged);

  /// The grid of a group, whose block (0, 0) begins where the group does.
  ScaleGrid ofGroup(const Group &group) const;

  /// Element of the scale of block (row, col), within one member.
  int64_t index(int64_t row, int64_t col) const {
    row += firstRow;
    col += firstCol;
    return swizzled ? swizzledIndex(row, col)
                    : row * strideRow + col * strideCol;
  }
  /// Calls body(element) for each place that no block has; there are some in
  /// scales of 8 bits. Of groups under SWIZZLED scales each has its own.
  template <typename Body> void forPadding(Body &&body) const {
    for (int64_t row = 0; row < paddedRows; ++row)
      for (int64_t col = row < gridRows ? gridCols : 0; col < paddedCols; ++col)
        body(index(row, col));
  }
  /// Groups must begin at multiples of 128: each has tiles of its own.
  bool alignsGroups() const { return swizzled && restarts; }

  bool perTensor = false, swizzled = false;
  int64_t blockRows, blockCols; // kWhole for TENSOR
  int64_t gridRows, gridCols;
  int64_t paddedRows, paddedCols; // as stored
  int64_t strideRow = 0, strideCol = 0;
  /// Of rank 2, or 0.
  class Shape {
  public:
    Shape() = default;
    Shape(int64_t rows, int64_t cols) : rank(2), extents{rows, cols} {}
    int64_t operator[](size_t i) const { return extents[i]; }
    operator std::vector<int64_t>() const { return {extents, extents + rank}; }

  private:
    int32_t rank = 0;
    int64_t extents[2] = {};
  };
  Shape shape;      // of the scales of one member
  int64_t elements; // product of shape

  static constexpr int64_t kWhole = int64_t(1) << 62;
  static constexpr int64_t kTileOuter = 128, kTileBlocks = 4;

private:
  int64_t swizzledIndex(int64_t row, int64_t col) const;
  void padTiles();

  Ragged ragged;
  bool restarts = false;  // at each group
  bool outerCols = false; // blocks of n x 1: tiles go along columns
  int64_t firstRow = 0, firstCol = 0, firstTile = 0, tilesAcross = 0;
};

/// Along which dimension groups of rows lie where a matrix is stored, transposed
/// or not.
inline Ragged raggedRows(bool ragged, bool transposed) {
  return !ragged ? Ragged::No : transposed ? Ragged::Cols : Ragged::Rows;
}
/// The same of an operand of a product, whose rows or reduction groups divide
/// (TE_RT_DENSE, ...): rows of it are those of the product, columns its reduction.
inline Ragged raggedOperand(int64_t ragged, bool transposed) {
  return raggedRows(ragged != TE_RT_DENSE,
                    (ragged == TE_RT_RAGGED_REDUCTION) != transposed);
}
/// Along which dimension the groups of `scales` divide 1 x n or n x 1 blocks.
inline Ragged raggedOf(const te_rt_tensor &scales) {
  return scales.groups == 0       ? Ragged::No
         : scales.block_rows == 1 ? Ragged::Cols
                                  : Ragged::Rows;
}
/// Columnwise scales in COMPACT or SWIZZLED blocks r x 1 belong to data that is
/// stored like the input it was made of, not transposed.
bool isUntransposed(const te_rt_tensor &scales);

/// How many rows a cast has: those of `values`, or those that `values_t` (of
/// these scales) has transposed or not. One of the two is there.
int64_t rowsOfCast(const te_rt_tensor *values, const te_rt_tensor *values_t,
                   const te_rt_tensor *scales_t);

} // namespace te_rt

#endif // TE_RUNTIME_COMMON_SCALES_H
