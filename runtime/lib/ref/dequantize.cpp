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
                 Ragged ragged, const te_rt_tensor *tensorAmax)
    : values(values), scales(scales), tensorAmax(tensorAmax), ragged(ragged) {
  if (scales)
    grid.emplace(*scales, rows(), cols(), ragged);
}

template <typename T>
void Operand::convertRow(int64_t member, const Group &group,
                         const ScaleGrid *blocks, int64_t row, int64_t col0,
                         int64_t numCols, T *output) const {
  if (!scales) {
    withFloatType(values.dtype, [&](auto element) {
      auto *from = at<decltype(element)>(member, row, col0);
      for (int64_t j = 0; j < numCols; ++j)
        fromFloat(toFloat(from[j]), output[j]);
    });
    return;
  }
  const float *decode = decodeTable(values.dtype);
  TempVector<uint8_t> unpacked;
  const uint8_t *codes;
  float factor = 1.0f; // exact where there is none
  if (values.dtype == TE_RT_F4E2M1) {
    unpacked.resize(static_cast<size_t>(numCols));
    int64_t first = (member * rows() + row) * cols() + col0;
    for (int64_t j = 0; j < numCols; ++j)
      unpacked[j] =
          data<const uint8_t>(values)[(first + j) / 2] >> (first + j) % 2 * 4 &
          0xf;
    codes = unpacked.data();
    if (tensorAmax)
      factor = elementOf(*tensorAmax, indexOf(member, group)) / kNvfp4Range;
  } else {
    codes = at<uint8_t>(member, row, col0);
  }
  if (scales->layout == TE_RT_TENSOR)
    return decodeRow(codes, numCols, decode,
                     elementOf(*scales, indexOf(member, group)), output);

  bool bytes = isByteScale(scales->dtype);
  const float *scaleTable = bytes ? decodeTable(scales->dtype) : nullptr;
  int64_t base = member * grid->elements;
  int64_t blockRow =
      (row - (ragged == Ragged::Rows ? group.begin : 0)) / blocks->blockRows;
  int64_t begin = ragged == Ragged::Cols ? group.begin : 0;
  for (int64_t col = col0 - begin, last = col + numCols; col < last;) {
    int64_t block = col / blocks->blockCols;
    int64_t end = std::min((block + 1) * blocks->blockCols, last);
    int64_t at = base + blocks->index(blockRow, block);
    float scale =
        bytes ? scaleTable[data<uint8_t>(scales)[at]] : data<float>(scales)[at];
    int64_t from = col + begin - col0;
    if (end - col > 1 && factor == 1.0f)
      decodeRow(codes + from, end - col, decode, scale, output + from);
    else
      for (int64_t j = from; j < from + end - col; ++j)
        fromFloat(decode[codes[j]] * scale * factor, output[j]);
    col = end;
  }
}

template <typename T>
void Operand::convert(te_rt_context *context, int64_t member,
                      const Group &group, int64_t row0, int64_t numRows,
                      int64_t col0, int64_t numCols, T *output) const {
  std::optional<ScaleGrid> blocks;
  if (grid)
    blocks.emplace(grid->ofGroup(group));
  int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(numCols, 1));
  parallelRanges(context, numRows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      convertRow(member, group, blocks ? &*blocks : nullptr, row0 + i, col0,
                 numCols, output + i * numCols);
  });
}

template void Operand::convert(te_rt_context *, int64_t, const Group &, int64_t,
                               int64_t, int64_t, int64_t, float *) const;
template void Operand::convert(te_rt_context *, int64_t, const Group &, int64_t,
                               int64_t, int64_t, int64_t, BFloat16 *) const;

te_rt_status ref::dequantize(te_rt_context *context, const te_rt_tensor *values,
                             const te_rt_tensor *scales,
                             const te_rt_tensor *tensor_amax,
                             const te_rt_tensor *offsets,
                             const te_rt_tensor *output) {
  bool packed = values->rank == 3;
  int64_t rows = values->shape[packed], cols = values->shape[packed + 1];
  int64_t members = packed ? values->shape[0] : 1;
  TempVector<Group> groups;
  if (te_rt_status status =
          readGroups(context, "offsets", offsets, rows, -1, groups))
    return status;
  Operand operand(*values, scales, offsets ? Ragged::Rows : Ragged::No,
                  tensor_amax);
  if (operand.alignsGroups())
    if (te_rt_status status = checkAligned(context, *offsets))
      return status;
  for (int64_t e = 0; e < members; ++e)
    for (const Group &group : groups)
      withFloatType(output->dtype, [&](auto element) {
        using T = decltype(element);
        operand.convert(context, e, group, group.begin, group.size(), 0, cols,
                        data<T>(output) + (e * rows + group.begin) * cols);
      });
  return TE_RT_OK;
}
