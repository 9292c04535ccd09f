//===- dequantize.cpp - parts of a matrix as floats -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ref/dequantize.h"
#include "ref/rows.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::ref;

Operand::Operand(const te_rt_tensor &values, const te_rt_tensor *scales,
                 Ragged ragged)
    : values(values), scales(scales), ragged(ragged) {
  if (scales)
    grid.emplace(*scales, rows(), cols(), ragged);
}

namespace {
/// The block of `index`, counted through all groups, and where it ends.
struct BlockAlong {
  int64_t block, begin, first;

  BlockAlong(int64_t block, bool ragged, const Group &group)
      : block(block), begin(ragged && block > 1 ? group.begin : 0),
        first(ragged && block > 1
                  ? ScaleGrid::firstBlock(block, group.begin, group.index)
                  : 0) {}
  int64_t of(int64_t index) const { return first + (index - begin) / block; }
  int64_t endAfter(int64_t index) const {
    return begin + ((index - begin) / block + 1) * block;
  }
};
} // namespace

template <typename T>
void Operand::convertRow(int64_t member, const Group &group, int64_t row,
                         int64_t col0, int64_t numCols, T *output) const {
  if (!scales) {
    withFloatType(values.dtype, [&](auto element) {
      auto *from = at<decltype(element)>(member, row, col0);
      for (int64_t j = 0; j < numCols; ++j)
        fromFloat(toFloat(from[j]), output[j]);
    });
    return;
  }
  const uint8_t *codes = at<uint8_t>(member, row, col0);
  const float *decode = decodeTable(values.dtype);
  auto run = [&](int64_t begin, int64_t end, float scale) {
    decodeRow(codes + begin, end - begin, decode, scale, output + begin);
  };
  if (scales->layout == TE_RT_TENSOR) {
    int64_t index = values.rank == 3 ? member : group.index;
    return run(0, numCols, data<float>(scales)[scales->rank ? index : 0]);
  }
  const float *base = data<float>(scales) + member * grid->elements;
  BlockAlong rowBlocks(grid->blockRows, ragged == Ragged::Rows, group);
  BlockAlong colBlocks(grid->blockCols, ragged == Ragged::Cols, group);
  int64_t blockRow = rowBlocks.of(row);
  for (int64_t col = col0; col < col0 + numCols;) {
    int64_t end = std::min(colBlocks.endAfter(col), col0 + numCols);
    run(col - col0, end - col0, base[grid->index(blockRow, colBlocks.of(col))]);
    col = end;
  }
}

template <typename T>
void Operand::convert(te_rt_context *context, int64_t member,
                      const Group &group, int64_t row0, int64_t numRows,
                      int64_t col0, int64_t numCols, T *output) const {
  int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(numCols, 1));
  parallelRanges(context, numRows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      convertRow(member, group, row0 + i, col0, numCols, output + i * numCols);
  });
}

template void Operand::convert(te_rt_context *, int64_t, const Group &, int64_t,
                               int64_t, int64_t, int64_t, float *) const;
template void Operand::convert(te_rt_context *, int64_t, const Group &, int64_t,
                               int64_t, int64_t, int64_t, BFloat16 *) const;
