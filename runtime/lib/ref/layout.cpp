//===- layout.cpp - conversions and moves that change no value ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"
#include "common/encode.h"
#include "common/numeric.h"
#include "ref/backend.h"

#include <algorithm>
#include <cstring>

using namespace te_rt;
using namespace te_rt::ref;

namespace {
constexpr int64_t kGrainBytes = 1 << 18;

/// Calls `body` with an unsigned integer of the size of the type, of F4E2M1
/// that of two elements.
template <typename Body> void withBytes(te_rt_dtype dtype, Body &&body) {
  switch (elementBits(dtype)) {
  case 64:
    return body(uint64_t());
  case 32:
    return body(uint32_t());
  case 16:
    return body(uint16_t());
  default:
    return body(uint8_t());
  }
}

void copyBytes(te_rt_context *context, const te_rt_tensor &from, char *to) {
  int64_t bytes = bytesOf(from.dtype, numElements(from));
  if (to == from.data)
    return;
  parallelRanges(context, bytes, kGrainBytes, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, data<const char>(from) + begin, end - begin);
  });
}
} // namespace

te_rt_status ref::convert_scales(te_rt_context *context,
                                 const te_rt_tensor *scales,
                                 const te_rt_tensor *output, int64_t rows,
                                 int64_t cols) {
  Ragged ragged = raggedOf(*scales);
  ScaleGrid from(*scales, rows, cols, ragged), to(*output, rows, cols, ragged);
  int64_t members = scales->rank == 3 ? scales->shape[0] : 1;
  for (int64_t e = 0; e < members; ++e)
    zeroPadding(*output, to, e);
  withBytes(scales->dtype, [&](auto element) {
    using T = decltype(element);
    context->pool.parallelFor(
        members * from.gridRows, [&](int64_t index, int32_t) {
          int64_t e = index / from.gridRows, i = index % from.gridRows;
          const T *source = data<T>(*scales) + e * from.elements;
          T *target = data<T>(*output) + e * to.elements;
          for (int64_t j = 0; j < from.gridCols; ++j)
            target[to.index(i, j)] = source[from.index(i, j)];
        });
  });
  return TE_RT_OK;
}

te_rt_status ref::transpose(te_rt_context *context, const te_rt_tensor *input,
                            const te_rt_tensor *output) {
  constexpr int64_t tile = 64;
  int64_t rows = input->shape[input->rank - 2];
  int64_t cols = input->shape[input->rank - 1];
  int64_t members = input->rank == 3 ? input->shape[0] : 1;
  int64_t strips = ceilDiv(rows, tile);
  withBytes(input->dtype, [&](auto element) {
    using T = decltype(element);
    context->pool.parallelFor(members * strips, [&](int64_t index, int32_t) {
      int64_t e = index / strips, i0 = index % strips * tile;
      const T *from = data<T>(*input) + e * rows * cols;
      T *to = data<T>(*output) + e * rows * cols;
      int64_t iEnd = std::min(i0 + tile, rows);
      for (int64_t j0 = 0; j0 < cols; j0 += tile)
        for (int64_t j = j0; j < std::min(j0 + tile, cols); ++j)
          for (int64_t i = i0; i < iEnd; ++i)
            to[j * rows + i] = from[i * cols + j];
    });
  });
  return TE_RT_OK;
}

te_rt_status ref::pack(te_rt_context *context, te_rt_tensor_list inputs,
                       const te_rt_tensor *output) {
  char *to = data<char>(*output);
  for (int64_t i = 0; i < inputs.count; ++i) {
    copyBytes(context, inputs.items[i], to);
    to += bytesOf(output->dtype, numElements(inputs.items[i]));
  }
  return TE_RT_OK;
}

te_rt_status ref::copy(te_rt_context *context, const te_rt_tensor *input,
                       const te_rt_tensor *output) {
  copyBytes(context, *input, data<char>(*output));
  return TE_RT_OK;
}

te_rt_status ref::fill(te_rt_context *context, const te_rt_tensor *output,
                       double value) {
  uint64_t bits = encodeElementBits(output->dtype, value);
  withBytes(output->dtype, [&](auto element) {
    using T = decltype(element);
    int64_t count = bytesOf(output->dtype, numElements(*output)) / sizeof(T);
    parallelRanges(context, count, kGrainBytes,
                   [&](int64_t begin, int64_t end) {
                     std::fill(data<T>(*output) + begin, data<T>(*output) + end,
                               static_cast<T>(bits));
                   });
  });
  return TE_RT_OK;
}
