//===- scales.cpp - where the scale of a block lies -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/scales.h"

using namespace te_rt;

ScaleGrid::ScaleGrid(const te_rt_tensor &scales, int64_t rows, int64_t cols,
                     Ragged ragged)
    : ragged(ragged) {
  if (scales.layout == TE_RT_TENSOR) {
    perTensor = true;
    blockRows = blockCols = kWhole;
    gridRows = gridCols = paddedRows = paddedCols = elements = 1;
    return;
  }
  blockRows = scales.block_rows;
  blockCols = scales.block_cols;
  swizzled = scales.layout == TE_RT_SWIZZLED;
  outerCols = blockCols == 1 && blockRows > 1;
  restarts = (ragged == Ragged::Rows && blockRows > 1) ||
             (ragged == Ragged::Cols && blockCols > 1);
  // Each group may end with a block that is not full, but for tiles.
  auto blocks = [&](int64_t extent, int64_t block, Ragged along) {
    return ragged == along && block > 1 && !swizzled
               ? extent / block + scales.groups
               : ceilDiv(extent, block);
  };
  gridRows = paddedRows = blocks(rows, blockRows, Ragged::Rows);
  gridCols = paddedCols = blocks(cols, blockCols, Ragged::Cols);
  if (isByteScale(scales.dtype))
    padTiles();
  if (swizzled) {
    shape = outerCols ? Shape{paddedCols, paddedRows}
                      : Shape{paddedRows, paddedCols};
    tilesAcross = shape[1] / kTileBlocks;
  } else if (scales.layout == TE_RT_GEMM_READY && blockRows == 1) {
    shape = {gridCols, roundUp(gridRows, 4)};
    strideRow = 1;
    strideCol = shape[1];
  } else {
    shape = {paddedRows, scales.layout == TE_RT_GEMM_READY
                             ? roundUp(gridCols, 4)
                             : paddedCols};
    strideRow = shape[1];
    strideCol = 1;
  }
  // No tensor has that many; a descriptor may claim so before it is refused.
  if (__builtin_mul_overflow(shape[0], shape[1], &elements))
    elements = INT64_MAX;
}

void ScaleGrid::padTiles() {
  paddedRows = roundUp(gridRows, outerCols ? kTileBlocks : kTileOuter);
  paddedCols = roundUp(gridCols, outerCols ? kTileOuter : kTileBlocks);
}

ScaleGrid ScaleGrid::ofGroup(const Group &group) const {
  ScaleGrid part = *this;
  if (perTensor || ragged == Ragged::No)
    return part;
  bool alongRows = ragged == Ragged::Rows;
  int64_t block = alongRows ? blockRows : blockCols;
  int64_t &grid = alongRows ? part.gridRows : part.gridCols;
  int64_t &first = alongRows ? part.firstRow : part.firstCol;
  grid = ceilDiv(group.size(), block);
  if (!alignsGroups()) {
    first = block == 1 ? group.begin : group.begin / block + group.index;
    return part;
  }
  part.padTiles();
  int64_t outer = outerCols ? part.paddedCols : part.paddedRows;
  int64_t blocks = outerCols ? part.paddedRows : part.paddedCols;
  part.firstTile = outer / kTileOuter * (group.begin / block / kTileBlocks);
  part.tilesAcross = blocks / kTileBlocks;
  return part;
}

// Tiles of 128 x 4 scales, 512 bytes each, in rows of tiles; within a tile row
// i lies at 16 (i mod 32) + 4 (i / 32) (te-semantics 2.1).
int64_t ScaleGrid::swizzledIndex(int64_t row, int64_t col) const {
  int64_t i = outerCols ? col : row;
  int64_t j = outerCols ? row : col;
  int64_t tile = firstTile + i / kTileOuter * tilesAcross + j / kTileBlocks;
  return tile * kTileOuter * kTileBlocks + i % 32 * 16 +
         i % kTileOuter / 32 * 4 + j % kTileBlocks;
}

bool te_rt::isUntransposed(const te_rt_tensor &scales) {
  return (scales.layout == TE_RT_COMPACT || scales.layout == TE_RT_SWIZZLED) &&
         scales.block_cols == 1 && scales.block_rows > 1;
}

int64_t te_rt::rowsOfCast(const te_rt_tensor *values,
                          const te_rt_tensor *values_t,
                          const te_rt_tensor *scales_t) {
  if (values)
    return values->shape[0];
  return values_t->shape[scales_t && isUntransposed(*scales_t) ? 0 : 1];
}
