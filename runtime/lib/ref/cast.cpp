//===- cast.cpp - one direction of a quantize -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ref/cast.h"
#include "ref/rows.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::ref;

namespace {
constexpr int64_t kTile = 128;

/// out[j * stride + i] = codes[i * width + j], in pieces that stay in registers
/// and lines of cache.
void storeTransposed(const uint8_t *codes, int64_t width, int64_t rows,
                     int64_t cols, uint8_t *out, int64_t stride) {
  constexpr int64_t piece = 16;
  for (int64_t j0 = 0; j0 < cols; j0 += piece)
    for (int64_t i0 = 0; i0 < rows; i0 += piece) {
      int64_t iEnd = std::min(i0 + piece, rows);
      int64_t jEnd = std::min(j0 + piece, cols);
      for (int64_t j = j0; j < jEnd; ++j)
        for (int64_t i = i0; i < iEnd; ++i)
          out[j * stride + i] = codes[i * width + j];
    }
}

/// Rows [row0, row0 + rows) and columns [col0, col0 + cols) of a task: whole
/// blocks, or any part under TENSOR scales.
template <typename Format, typename T> struct Tile {
  const CastTask &task;
  int64_t row0, col0, rows, cols;

  const T *input(int64_t row) const {
    return reinterpret_cast<const T *>(task.input) + (row0 + row) * task.cols +
           col0;
  }
  /// Where row `row` of the codes goes, before a transpose if there is one.
  uint8_t *codes(int64_t row, uint8_t *buffer) const {
    return task.transposed ? buffer + row * cols
                           : task.values + (row0 + row) * task.stride + col0;
  }
  float choose(int32_t amaxBits, int64_t row, int64_t col) const {
    float scale = scaleFromAmax(bitsFloat(amaxBits), fp8Max(task.valuesType),
                                task.epsilon, task.pow2, task.overflow);
    task.scales[(row0 + row) / task.blockRows * task.strideRow +
                (col0 + col) / task.blockCols * task.strideCol] = 1.0f / scale;
    return scale;
  }

  void cast(uint8_t *buffer) const {
    if (!task.scales) {
      castWith(task.scale, buffer);
    } else if (task.blockRows == 1) {
      for (int64_t i = 0; i < rows; ++i)
        castRow(Format(), input(i), cols,
                choose(rowAmax(input(i), cols, 0), i, 0), codes(i, buffer));
    } else if (task.blockCols == 1) {
      castColumns(buffer);
    } else {
      int32_t amax = 0;
      for (int64_t i = 0; i < rows; ++i)
        amax = rowAmax(input(i), cols, amax);
      castWith(choose(amax, 0, 0), buffer);
    }
    if (task.transposed)
      storeTransposed(buffer, cols, rows, cols,
                      task.values + col0 * task.stride + row0, task.stride);
  }

private:
  void castWith(float scale, uint8_t *buffer) const {
    for (int64_t i = 0; i < rows; ++i)
      castRow(Format(), input(i), cols, scale, codes(i, buffer));
  }
  void castColumns(uint8_t *buffer) const {
    int32_t amax[kTile] = {};
    float scales[kTile];
    for (int64_t i = 0; i < rows; ++i)
      columnAmax(input(i), cols, amax);
    for (int64_t j = 0; j < cols; ++j)
      scales[j] = choose(amax[j], 0, j);
    for (int64_t i = 0; i < rows; ++i)
      castRow(Format(), input(i), cols, scales, codes(i, buffer));
  }
};
} // namespace

int64_t CastTask::stripRows() const {
  return !scales || blockRows == 1 ? kTile : blockRows;
}

int64_t CastTask::numStrips() const {
  return cols ? ceilDiv(rows, stripRows()) : 0;
}

void ref::castStrip(const CastTask &task, int64_t strip) {
  int64_t row0 = strip * task.stripRows();
  int64_t rows = std::min(task.stripRows(), task.rows - row0);
  int64_t width = !task.scales || task.blockCols == 1 ? kTile : task.blockCols;
  TempVector<uint8_t> buffer(
      task.transposed ? static_cast<size_t>(rows * std::min(width, task.cols))
                      : 0);
  withFloatType(task.inputType, [&](auto element) {
    withFp8Format(task.valuesType, [&](auto format) {
      for (int64_t col0 = 0; col0 < task.cols; col0 += width)
        Tile<decltype(format), decltype(element)>{
            task, row0, col0, rows, std::min(width, task.cols - col0)}
            .cast(buffer.data());
    });
  });
}

float ref::largestMagnitude(const char *input, te_rt_dtype type,
                            int64_t count) {
  int32_t amax = 0;
  withFloatType(type, [&](auto element) {
    amax =
        rowAmax(reinterpret_cast<const decltype(element) *>(input), count, 0);
  });
  return bitsFloat(amax);
}
