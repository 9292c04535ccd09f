//===- routing.cpp - which token goes where, and the moves of tokens ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"
#include "common/numeric.h"
#include "ref/backend.h"

#include <algorithm>
#include <cstring>
#include <functional>

using namespace te_rt;
using namespace te_rt::ref;

te_rt_status ref::routing_map(te_rt_context *context,
                              const te_rt_tensor *indices,
                              const te_rt_tensor *row_map,
                              const te_rt_tensor *counts,
                              const te_rt_tensor *offsets, int64_t alignment,
                              int64_t capacity) {
  const int32_t *expert = data<int32_t>(*indices);
  int64_t pairs = numElements(*indices), experts = counts->shape[0];
  TempVector<int64_t> next(static_cast<size_t>(experts) + 1);
  for (int64_t i = 0; i < pairs; ++i) {
    if (expert[i] < -1 || expert[i] >= experts)
      return context->fail(TE_RT_INVALID_ARGUMENT, "indices[", i, "]: found ",
                           expert[i], ", wanted -1 or an expert below ",
                           experts);
    if (expert[i] >= 0)
      ++next[expert[i] + 1];
  }
  // next[e]: the first row of expert e; later, its next one. What would begin
  // beyond the capacity begins, and ends, at the capacity.
  for (int64_t e = 0; e < experts; ++e)
    next[e + 1] = std::min(next[e] + roundUp(next[e + 1], alignment), capacity);
  int32_t *number = data<int32_t>(*counts);
  std::fill(number, number + experts, 0);
  for (int64_t e = 0; offsets && e <= experts; ++e)
    data<int32_t>(*offsets)[e] = static_cast<int32_t>(next[e]);
  int32_t *row = data<int32_t>(*row_map);
  for (int64_t i = 0; i < pairs; ++i) {
    row[i] = -1;
    if (expert[i] < 0)
      continue;
    if (next[expert[i]] < capacity) {
      row[i] = static_cast<int32_t>(next[expert[i]]++);
      ++number[expert[i]];
    } else {
      context->overflow = true;
    }
  }
  return TE_RT_OK;
}

te_rt_status ref::compute_offsets(te_rt_context *context,
                                  const te_rt_tensor *counts,
                                  const te_rt_tensor *offsets,
                                  int64_t alignment) {
  const int32_t *number = data<int32_t>(*counts);
  int32_t *out = data<int32_t>(*offsets);
  int64_t sum = 0;
  out[0] = 0;
  for (int64_t e = 0; e < counts->shape[0]; ++e) {
    sum += roundUp(std::max(number[e], 0), alignment);
    if (number[e] < 0 || sum > INT32_MAX)
      return context->fail(TE_RT_INVALID_ARGUMENT, "counts[", e, "]: found ",
                           number[e], ", wanted 0 or more, with a sum below ",
                           "2^31");
    out[e + 1] = static_cast<int32_t>(sum);
  }
  return TE_RT_OK;
}

te_rt_status ref::to_host(te_rt_context *context, const te_rt_tensor *offsets,
                          const te_rt_tensor *output) {
  return ref::copy(context, offsets, output);
}

//===----------------------------------------------------------------------===//
// Moves of rows
//===----------------------------------------------------------------------===//

namespace {
constexpr int64_t kGrainRows = 16;

/// Moves the scales of one row between two layouts.
template <typename T>
void moveScales(const T *from, const ScaleGrid &fromGrid, int64_t fromRow,
                T *to, const ScaleGrid &toGrid, int64_t toRow) {
  for (int64_t j = 0; j < fromGrid.gridCols; ++j)
    to[toGrid.index(toRow, j)] = from[fromGrid.index(fromRow, j)];
}

/// The rows that alignment adds to each group: `counts[e]` of those that
/// `offsets` gives group e are in use.
te_rt_status readPads(te_rt_context *context, const te_rt_tensor *counts,
                      const te_rt_tensor *offsets, int64_t capacity,
                      TempVector<Group> &pads) {
  if (!counts)
    return TE_RT_OK;
  if (te_rt_status status =
          readGroups(context, "offsets", offsets, capacity, -1, pads))
    return status;
  for (size_t e = 0; e < pads.size(); ++e) {
    int32_t used = data<int32_t>(*counts)[e];
    if (used < 0 || used > pads[e].size())
      return context->fail(TE_RT_INVALID_ARGUMENT, "counts[", e, "]: found ",
                           used, ", wanted 0 to the ", pads[e].size(),
                           " rows of its group");
    pads[e].begin += used;
  }
  return TE_RT_OK;
}

/// Zeroes the scales of one row.
void clearScales(const te_rt_tensor &scales, const ScaleGrid &grid,
                 int64_t row) {
  int64_t size = bytesOf(scales.dtype, 1);
  for (int64_t j = 0; j < grid.gridCols; ++j)
    std::memset(data<char>(scales) + grid.index(row, j) * size, 0, size);
}
} // namespace

te_rt_status
ref::permute(te_rt_context *context, const te_rt_tensor *input,
             const te_rt_tensor *scales, const te_rt_tensor *probs,
             const te_rt_tensor *row_map, const te_rt_tensor *counts,
             const te_rt_tensor *offsets, const te_rt_tensor *output,
             const te_rt_tensor *out_scales, const te_rt_tensor *out_probs) {
  int64_t tokens = input->shape[0], slots = row_map->shape[1];
  int64_t capacity = output->shape[0];
  if (te_rt_status status = checkRows(context, "row_map", *row_map, capacity,
                                      /*once=*/true))
    return status;
  TempVector<Group> pads;
  if (te_rt_status status = readPads(context, counts, offsets, capacity, pads))
    return status;
  int64_t bytes = bytesOf(input->dtype, input->shape[1]);
  ScaleGrid from(
      scales
          ? *scales
          : te_rt_tensor{nullptr, TE_RT_F32, 0, {}, TE_RT_TENSOR, 0, 0, 0, 0},
      tokens, input->shape[1], Ragged::No);
  ScaleGrid to(
      scales
          ? *out_scales
          : te_rt_tensor{nullptr, TE_RT_F32, 0, {}, TE_RT_TENSOR, 0, 0, 0, 0},
      capacity, input->shape[1], Ragged::No);
  parallelRanges(context, tokens, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin * slots; pair < end * slots; ++pair) {
      int64_t row = data<int32_t>(*row_map)[pair], token = pair / slots;
      if (row < 0)
        continue;
      std::memcpy(data<char>(*output) + row * bytes,
                  data<char>(*input) + token * bytes, bytes);
      if (scales && scales->dtype == TE_RT_F32)
        moveScales(data<float>(scales), from, token, data<float>(out_scales),
                   to, row);
      else if (scales)
        moveScales(data<uint8_t>(scales), from, token,
                   data<uint8_t>(out_scales), to, row);
      if (probs)
        data<float>(out_probs)[row] = data<float>(probs)[pair];
    }
  });
  if (scales)
    zeroPadding(*out_scales, to, /*member=*/0);
  for (const Group &pad : pads) {
    std::memset(data<char>(*output) + pad.begin * bytes, 0, pad.size() * bytes);
    for (int64_t row = pad.begin; scales && row < pad.end; ++row)
      clearScales(*out_scales, to, row);
    if (probs)
      std::fill_n(data<float>(out_probs) + pad.begin, pad.size(), 0.0f);
  }
  return TE_RT_OK;
}

te_rt_status ref::unpermute(te_rt_context *context, const te_rt_tensor *input,
                            const te_rt_tensor *probs,
                            const te_rt_tensor *row_map,
                            const te_rt_tensor *output,
                            const te_rt_tensor *out_probs) {
  if (te_rt_status status = checkRows(context, "row_map", *row_map,
                                      input->shape[0], /*once=*/false))
    return status;
  int64_t tokens = row_map->shape[0], slots = row_map->shape[1];
  int64_t cols = input->shape[1];
  withFloatType(input->dtype, [&](auto element) {
    using T = decltype(element);
    parallelRanges(
        context, tokens, kGrainRows, [&](int64_t begin, int64_t end) {
          TempVector<int32_t> rows;
          TempVector<float> sum(static_cast<size_t>(cols));
          for (int64_t t = begin; t < end; ++t) {
            const int32_t *map = data<int32_t>(*row_map) + t * slots;
            rows.assign(map, map + slots);
            std::sort(rows.begin(), rows.end(), std::greater<int32_t>());
            std::fill(sum.begin(), sum.end(), 0.0f);
            for (int32_t row : rows) {
              if (row < 0)
                break;
              const T *from = data<T>(*input) + row * cols;
              for (int64_t j = 0; j < cols; ++j)
                sum[j] += toFloat(from[j]);
            }
            T *to = data<T>(*output) + t * cols;
            for (int64_t j = 0; j < cols; ++j)
              fromFloat(sum[j], to[j]);
            for (int64_t s = 0; probs && s < slots; ++s)
              data<float>(out_probs)[t * slots + s] =
                  map[s] < 0 ? 0.0f : data<float>(probs)[map[s]];
          }
        });
  });
  return TE_RT_OK;
}

namespace {
/// Scales of 8 bits, a row for each row of the data, with padding behind them.
bool isScalesOfRows(const te_rt_tensor &tensor) {
  return tensor.layout == TE_RT_COMPACT && isByteScale(tensor.dtype);
}

/// Moves the rows that a group has in both, then zeroes those it has in `to`
/// alone.
te_rt_status moveGroups(te_rt_context *context, const te_rt_tensor *input,
                        const te_rt_tensor *probs, const te_rt_tensor *from,
                        const te_rt_tensor *to, const te_rt_tensor *output,
                        const te_rt_tensor *out_probs, bool mayGrow) {
  TempVector<Group> before, after;
  te_rt_status status =
      readGroups(context, "from", from, input->shape[0], -1, before);
  if (status == TE_RT_OK)
    status = readGroups(context, "to", to, output->shape[0], -1, after);
  if (status != TE_RT_OK)
    return status;
  for (size_t g = 0; g < before.size(); ++g)
    if (mayGrow ? after[g].size() < before[g].size()
                : after[g].size() > before[g].size())
      return context->fail(TE_RT_INVALID_ARGUMENT, "to: found ",
                           after[g].size(), " rows in group ", g, ", wanted ",
                           mayGrow ? "at least " : "at most ",
                           before[g].size());
  int64_t bytes = bytesOf(input->dtype, input->shape[1]);
  for (size_t g = 0; g < before.size(); ++g)
    parallelRanges(
        context, after[g].size(), kGrainRows, [&](int64_t begin, int64_t end) {
          int64_t kept = std::max(begin, std::min(end, before[g].size()));
          int64_t source = before[g].begin + begin;
          int64_t target = after[g].begin + begin;
          char *rows = data<char>(*output) + target * bytes;
          std::memcpy(rows, data<char>(*input) + source * bytes,
                      (kept - begin) * bytes);
          std::memset(rows + (kept - begin) * bytes, 0, (end - kept) * bytes);
          if (!probs)
            return;
          float *values = data<float>(out_probs) + target;
          std::copy_n(data<float>(probs) + source, kept - begin, values);
          std::fill(values + (kept - begin), values + (end - begin), 0.0f);
        });
  // How many rows the data has is not known here: no group owns the padding.
  if (isScalesOfRows(*output))
    for (int64_t row = 0; row < output->shape[0]; ++row)
      if (row < after.front().begin || row >= after.back().end)
        std::memset(data<char>(*output) + row * bytes, 0, bytes);
  return TE_RT_OK;
}
} // namespace

te_rt_status ref::pad(te_rt_context *context, const te_rt_tensor *input,
                      const te_rt_tensor *probs, const te_rt_tensor *from,
                      const te_rt_tensor *to, const te_rt_tensor *output,
                      const te_rt_tensor *out_probs) {
  return moveGroups(context, input, probs, from, to, output, out_probs,
                    /*mayGrow=*/true);
}

te_rt_status ref::unpad(te_rt_context *context, const te_rt_tensor *input,
                        const te_rt_tensor *probs, const te_rt_tensor *from,
                        const te_rt_tensor *to, const te_rt_tensor *output,
                        const te_rt_tensor *out_probs) {
  return moveGroups(context, input, probs, from, to, output, out_probs,
                    /*mayGrow=*/false);
}
