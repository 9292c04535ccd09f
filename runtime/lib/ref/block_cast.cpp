//===- block_cast.cpp - one direction of an MXFP8 or NVFP4 cast -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ref/block_cast.h"
#include "ref/block_scale.h"
#include "ref/philox.h"
#include "ref/rows.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::ref;

namespace {
constexpr int64_t kMostRows = 32, kWidth = 128;

/// One group: where it lies in its member, and its scales.
struct Part {
  int64_t member, begin, size; // rows
  ScaleGrid grid;
  uint8_t *scales;  // of the member
  float multiplier; // of the tensor, for NVFP4
};

/// A row of blocks of a part, or what of it lies in kWidth columns.
template <typename Format, typename T> class Tile {
public:
  /// `row0` counts within the part.
  Tile(const BlockCast &cast, const Part &part, int64_t row0, int64_t col0)
      : cast(cast), part(part), row0(row0), col0(col0),
        rows(std::min(cast.block(), part.size - row0)),
        cols(std::min(kWidth, cast.cols - col0)) {}

  void run() {
    if (cast.columnwise)
      castColumns();
    else
      castRows();
    store();
  }

private:
  int64_t rowInTensor(int64_t row) const {
    return part.member * cast.rows + part.begin + row0 + row;
  }
  const T *input(int64_t row) const {
    return reinterpret_cast<const T *>(cast.input) +
           rowInTensor(row) * cast.cols + col0;
  }
  /// Where element (row, col) lies in the values as they are stored.
  int64_t place(int64_t row, int64_t col) const {
    return cast.isTransposed()
               ? (part.member * cast.cols + col0 + col) * cast.rows +
                     part.begin + row0 + row
               : rowInTensor(row) * cast.cols + col0 + col;
  }

  /// Chooses the scale of a block and stores it; the place counts blocks along
  /// the direction of the cast, elements across it.
  float choose(int32_t amaxBits, int64_t row, int64_t col) const {
    float amax = bitsFloat(amaxBits);
    BlockScale scale = cast.isFp4() ? chooseE4M3(amax, part.multiplier)
                                    : chooseE8M0(amax, cast.values.dtype);
    part.scales[cast.isTransposed() ? part.grid.index(col, row)
                                    : part.grid.index(row, col)] = scale.code;
    return scale.multiplier;
  }
  int32_t squareAmax(int64_t col, int64_t width) const {
    int32_t amax = 0;
    for (int64_t i = 0; i < rows; ++i)
      amax = rowAmax(input(i) + col, width, amax);
    return amax;
  }

  void castRows() {
    const int64_t block = cast.block();
    for (int64_t j = 0; j < cols; j += block) {
      int64_t width = std::min(block, cols - j);
      int32_t shared = cast.square ? squareAmax(j, width) : 0;
      for (int64_t i = 0; i < rows; ++i) {
        float multiplier =
            choose(cast.square ? shared : rowAmax(input(i) + j, width, 0),
                   row0 + i, (col0 + j) / block);
        if (!cast.rng) {
          castRow(Format(), input(i) + j, width, multiplier, codes[i] + j);
          continue;
        }
        std::fill_n(multipliers + j, width, multiplier);
        Philox philox = makePhilox();
        for (int64_t col = j; col < j + width; ++col)
          castRandomly(philox, i, col);
      }
    }
  }
  void castColumns() {
    const int64_t block = cast.block();
    int32_t amax[kWidth] = {};
    for (int64_t i = 0; i < rows; ++i)
      columnAmax(input(i), cols, amax);
    for (int64_t j = 0; cast.square && j < cols; j += block) {
      int64_t width = std::min(block, cols - j);
      std::fill_n(amax + j, width,
                  *std::max_element(amax + j, amax + j + width));
    }
    for (int64_t j = 0; j < cols; ++j)
      multipliers[j] = choose(amax[j], row0 / block, col0 + j);
    if (cast.rng) {
      // Along the stored rows, where neighbours share a draw.
      Philox philox = makePhilox();
      for (int64_t j = 0; j < cols; ++j)
        for (int64_t i = 0; i < rows; ++i)
          castRandomly(philox, i, j);
      return;
    }
    for (int64_t i = 0; i < rows; ++i)
      castRow(Format(), input(i), cols, multipliers, codes[i]);
  }

  Philox makePhilox() const {
    uint64_t offset = static_cast<uint64_t>(cast.rng[1]);
    return Philox(static_cast<uint64_t>(cast.rng[0]),
                  offset + static_cast<uint64_t>(cast.rngStream));
  }
  void castRandomly(Philox &philox, int64_t row, int64_t col) {
    uint64_t first = cast.columnwise ? uint64_t(1) << 62 : 0;
    uint64_t index = static_cast<uint64_t>(place(row, col));
    codes[row][col] = roundStochastically(
        toFloat(input(row)[col]) * multipliers[col], philox.word(first, index));
  }

  void store() const {
    uint8_t *out = data<uint8_t>(cast.values);
    if (!cast.isFp4()) {
      for (int64_t i = 0; i < rows; ++i)
        std::copy_n(codes[i], cols, out + place(i, 0));
    } else if (!cast.columnwise) {
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < cols; j += 2)
          out[place(i, j) / 2] =
              static_cast<uint8_t>(codes[i][j] | codes[i][j + 1] << 4);
    } else {
      // A group may begin in the middle of a byte.
      for (int64_t j = 0; j < cols; ++j)
        for (int64_t i = 0; i < rows; ++i) {
          int64_t at = place(i, j), shift = at % 2 * 4;
          out[at / 2] = static_cast<uint8_t>((out[at / 2] & (0xf0 >> shift)) |
                                             codes[i][j] << shift);
        }
    }
  }

  const BlockCast &cast;
  const Part &part;
  const int64_t row0, col0, rows, cols;
  float multipliers[kWidth];
  uint8_t codes[kMostRows][kWidth];
};

template <typename Format>
void castTile(const BlockCast &cast, const Part &part, int64_t row0,
              int64_t col0) {
  withFloatType(cast.inputType, [&](auto element) {
    Tile<Format, decltype(element)>(cast, part, row0, col0).run();
  });
}
void castTile(const BlockCast &cast, const Part &part, int64_t row0,
              int64_t col0) {
  if (cast.isFp4())
    return castTile<E2M1>(cast, part, row0, col0);
  withFp8Format(cast.values.dtype, [&](auto format) {
    castTile<decltype(format)>(cast, part, row0, col0);
  });
}
} // namespace

void BlockCast::run(te_rt_context *context) const {
  const ScaleGrid grid(scales, isTransposed() ? cols : rows,
                       isTransposed() ? rows : cols,
                       raggedRows(ragged, isTransposed()));
  TempVector<Part> parts;
  TempVector<int64_t> first = {0}; // strip of each part
  for (size_t g = 0; g < groups.size(); ++g) {
    const Group &group = groups[g];
    int64_t member = packed ? group.index : 0;
    parts.push_back({member, group.begin - member * rows, group.size(),
                     grid.ofGroup(group),
                     data<uint8_t>(scales) + member * grid.elements,
                     isFp4() ? tensorMultiplier(tensorAmaxes[g]) : 1.0f});
    first.push_back(first.back() + ceilDiv(group.size(), block()));
  }
  for (const Part &part : parts)
    if (packed || grid.alignsGroups() || &part == &parts.front())
      zeroPadding(scales, grid.alignsGroups() ? part.grid : grid, part.member);

  // Neighbouring rows of transposed FP4 may share a byte, columns never do.
  if (isTransposed()) {
    context->pool.parallelFor(ceilDiv(cols, kWidth), [&](int64_t i, int32_t) {
      for (const Part &part : parts)
        for (int64_t row = 0; row < part.size; row += block())
          castTile(*this, part, row, i * kWidth);
    });
    return;
  }
  context->pool.parallelFor(first.back(), [&](int64_t index, int32_t) {
    size_t g =
        std::upper_bound(first.begin(), first.end(), index) - first.begin() - 1;
    for (int64_t col = 0; col < cols; col += kWidth)
      castTile(*this, parts[g], (index - first[g]) * block(), col);
  });
}
