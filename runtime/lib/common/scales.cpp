//===- scales.cpp - where the scale of a block lies -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/scales.h"

using namespace te_rt;

ScaleGrid::ScaleGrid(const te_rt_tensor &scales, int64_t rows, int64_t cols,
                     Ragged ragged) {
  if (scales.layout == TE_RT_TENSOR) {
    perTensor = true;
    blockRows = blockCols = kWhole;
    gridRows = gridCols = elements = 1;
    return;
  }
  blockRows = scales.block_rows;
  blockCols = scales.block_cols;
  // Each group may end with a block that is not full.
  auto blocks = [&](int64_t extent, int64_t block, Ragged along) {
    return ragged == along && block > 1 ? extent / block + scales.groups
                                        : ceilDiv(extent, block);
  };
  gridRows = blocks(rows, blockRows, Ragged::Rows);
  gridCols = blocks(cols, blockCols, Ragged::Cols);
  switch (scales.layout) {
  case TE_RT_GEMM_READY:
    if (blockRows == 1) {
      shape = {gridCols, roundUp(gridRows, 4)};
      strideRow = 1;
      strideCol = shape[1];
    } else {
      shape = {gridRows, roundUp(gridCols, 4)};
      strideRow = shape[1];
      strideCol = 1;
    }
    break;
  case TE_RT_SWIZZLED:
    swizzled = true;
    swizzledColumns = blockCols == 1 && blockRows > 1;
    shape = swizzledColumns ? std::vector<int64_t>{roundUp(gridCols, 128),
                                                   roundUp(gridRows, 4)}
                            : std::vector<int64_t>{roundUp(gridRows, 128),
                                                   roundUp(gridCols, 4)};
    break;
  default:
    shape = {gridRows, gridCols};
    strideRow = gridCols;
    strideCol = 1;
  }
  // No tensor has that many; a descriptor may claim so before it is refused.
  if (__builtin_mul_overflow(shape[0], shape[1], &elements))
    elements = INT64_MAX;
}

// Tiles of 128 x 4 scales, 512 bytes each, in rows of tiles; within a tile row
// i lies at 16 (i mod 32) + 4 (i / 32) (te-semantics 2.1).
int64_t ScaleGrid::swizzledIndex(int64_t row, int64_t col) const {
  int64_t i = swizzledColumns ? col : row;
  int64_t j = swizzledColumns ? row : col;
  int64_t tile = i / 128 * (shape[1] / 4) + j / 4;
  return tile * 512 + i % 32 * 16 + i % 128 / 32 * 4 + j % 4;
}

bool te_rt::isUntransposed(const te_rt_tensor &scales) {
  return scales.layout == TE_RT_COMPACT && scales.block_cols == 1 &&
         scales.block_rows > 1;
}

int64_t te_rt::rowsOfCast(const te_rt_tensor *values,
                          const te_rt_tensor *values_t,
                          const te_rt_tensor *scales_t) {
  if (values)
    return values->shape[0];
  return values_t->shape[scales_t && isUntransposed(*scales_t) ? 0 : 1];
}
