//===- quantize.cpp - casts to FP8 and back -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"
#include "common/numeric.h"
#include "ref/cast.h"
#include "ref/dequantize.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

using namespace te_rt;
using namespace te_rt::ref;

namespace {
/// Arguments of quantize for one tensor; those absent are nullptr.
struct Quantize {
  const te_rt_tensor *input, *scale, *amax, *offsets, *values, *scales,
      *valuesT, *scalesT, *amaxOut;
  int64_t member;
  bool pow2;
  float epsilon;

  te_rt_status run(te_rt_context *context) const;
  /// The largest magnitude of each group.
  te_rt_status writeAmaxes(te_rt_context *context,
                           const te_rt_tensor &result) const;

private:
  bool packed() const { return input->rank == 3; }
  int64_t rows() const { return input->shape[packed()]; }
  int64_t cols() const { return input->shape[packed() + 1]; }
  const char *rowOf(int64_t row) const {
    return data<const char>(input) + row * cols() * elementSize(input->dtype);
  }
  te_rt_status findGroups(te_rt_context *context,
                          std::vector<Group> &groups) const;
  std::vector<float> findAmaxes(te_rt_context *context,
                                const std::vector<Group> &groups) const;
  CastTask makeTask(const Group &group, bool columnwise, float scale) const;
};

bool isTensorwise(const te_rt_tensor *scales) {
  return scales && scales->layout == TE_RT_TENSOR;
}

/// An F32 argument that is rank 0 or has one element for each group.
float &elementOf(const te_rt_tensor *tensor, int64_t group) {
  return data<float>(tensor)[tensor->rank ? group : 0];
}

/// Of a packed input each member is a group, its rows counted through.
te_rt_status Quantize::findGroups(te_rt_context *context,
                                  std::vector<Group> &groups) const {
  if (!packed())
    return readGroups(context, "offsets", offsets, rows(), member, groups);
  for (int64_t e = 0; e < input->shape[0]; ++e)
    if (member < 0 || member == e)
      groups.push_back({e, e * rows(), (e + 1) * rows()});
  return TE_RT_OK;
}

std::vector<float>
Quantize::findAmaxes(te_rt_context *context,
                     const std::vector<Group> &groups) const {
  constexpr int64_t chunk = 64;
  std::vector<int64_t> first = {0}; // chunk of each group
  for (const Group &group : groups)
    first.push_back(first.back() + ceilDiv(group.size(), chunk));
  std::vector<float> partial(static_cast<size_t>(first.back()));
  context->pool.parallelFor(first.back(), [&](int64_t index, int32_t) {
    size_t g =
        std::upper_bound(first.begin(), first.end(), index) - first.begin() - 1;
    int64_t begin = groups[g].begin + (index - first[g]) * chunk;
    int64_t end = std::min(begin + chunk, groups[g].end);
    partial[index] =
        largestMagnitude(rowOf(begin), input->dtype, (end - begin) * cols());
  });
  std::vector<float> amaxes;
  for (size_t g = 0; g < groups.size(); ++g) {
    float amax = 0;
    for (int64_t i = first[g]; i < first[g + 1]; ++i)
      amax = std::max(amax, partial[i]);
    amaxes.push_back(amax);
  }
  return amaxes;
}

CastTask Quantize::makeTask(const Group &group, bool columnwise,
                            float scale) const {
  const te_rt_tensor &out = columnwise ? *valuesT : *values;
  const te_rt_tensor &outScales = columnwise ? *scalesT : *scales;
  CastTask task = {};
  task.input = rowOf(group.begin);
  task.inputType = input->dtype;
  task.rows = group.size();
  task.cols = cols();
  task.valuesType = out.dtype;
  task.transposed = columnwise && !isUntransposed(outScales);
  task.stride = lastDim(out);
  // As stored, the group is some columns of a transposed ragged matrix, and
  // otherwise what begins at its first row.
  task.values =
      data<uint8_t>(out) +
      (task.transposed && !packed() ? group.begin : group.begin * cols());
  task.scale = scale;
  if (isTensorwise(&outScales))
    return task;

  ScaleGrid grid(outScales, task.transposed ? cols() : rows(),
                 task.transposed ? rows() : cols(),
                 !offsets          ? Ragged::No
                 : task.transposed ? Ragged::Cols
                                   : Ragged::Rows);
  if (task.transposed) {
    std::swap(grid.blockRows, grid.blockCols);
    std::swap(grid.strideRow, grid.strideCol);
  }
  task.blockRows = grid.blockRows;
  task.blockCols = grid.blockCols;
  task.strideRow = grid.strideRow;
  task.strideCol = grid.strideCol;
  task.scales =
      data<float>(outScales) +
      (packed()
           ? group.index * grid.elements
           : grid.strideRow * ScaleGrid::firstBlock(grid.blockRows, group.begin,
                                                    group.index));
  task.epsilon = epsilon;
  task.overflow = largestValue(input->dtype);
  task.pow2 = pow2;
  return task;
}

te_rt_status Quantize::run(te_rt_context *context) const {
  for (const te_rt_tensor *each : {scales, scalesT})
    if (each && !isTensorwise(each) &&
        std::max(each->block_rows, each->block_cols) > kLargestBlock)
      return context->fail(TE_RT_UNSUPPORTED, "blocks: found ",
                           each->block_rows, " x ", each->block_cols,
                           ", wanted at most ", kLargestBlock);
  std::vector<Group> groups;
  if (te_rt_status status = findGroups(context, groups))
    return status;

  // The multiplier of each group where the scales are TENSOR, and the amaxes.
  const te_rt_tensor *tensorwise = isTensorwise(scales)    ? scales
                                   : isTensorwise(scalesT) ? scalesT
                                                           : nullptr;
  std::vector<float> amaxes(groups.size());
  if (amaxOut || (tensorwise && !scale))
    amaxes = findAmaxes(context, groups);
  float largest = 0;
  for (float each : amaxes)
    largest = std::max(largest, each);

  std::vector<float> multipliers(groups.size());
  for (size_t g = 0; tensorwise && g < groups.size(); ++g) {
    float amax = tensorwise->rank ? amaxes[g] : largest;
    multipliers[g] =
        scale ? elementOf(scale, groups[g].index)
              : scaleFromAmax(
                    amax,
                    fp8Max((tensorwise == scales ? values : valuesT)->dtype),
                    epsilon, pow2, FLT_MAX);
    for (const te_rt_tensor *each : {scales, scalesT})
      if (isTensorwise(each))
        elementOf(each, groups[g].index) = 1.0f / multipliers[g];
  }
  for (size_t g = 0; amaxOut && g < groups.size(); ++g) {
    float before = amax ? elementOf(amax, groups[g].index) : 0.0f;
    elementOf(amaxOut, groups[g].index) =
        std::fmax(before, amaxOut->rank ? amaxes[g] : largest);
    if (!amaxOut->rank)
      break;
  }

  std::vector<CastTask> tasks;
  std::vector<int64_t> first = {0};
  for (size_t g = 0; g < groups.size(); ++g)
    for (bool columnwise : {false, true})
      if (columnwise ? valuesT : values) {
        tasks.push_back(makeTask(groups[g], columnwise, multipliers[g]));
        first.push_back(first.back() + tasks.back().numStrips());
      }
  context->pool.parallelFor(first.back(), [&](int64_t index, int32_t) {
    size_t t =
        std::upper_bound(first.begin(), first.end(), index) - first.begin() - 1;
    castStrip(tasks[t], index - first[t]);
  });
  return TE_RT_OK;
}

te_rt_status Quantize::writeAmaxes(te_rt_context *context,
                                   const te_rt_tensor &result) const {
  std::vector<Group> groups;
  if (te_rt_status status = findGroups(context, groups))
    return status;
  std::vector<float> amaxes = findAmaxes(context, groups);
  for (size_t g = 0; g < groups.size(); ++g)
    elementOf(&result, groups[g].index) = amaxes[g];
  return TE_RT_OK;
}

bool isSkipped(const te_rt_tensor *noop) {
  return noop && *data<float>(noop) == 1.0f;
}
} // namespace

te_rt_status
ref::quantize(te_rt_context *context, const te_rt_tensor *input,
              const te_rt_tensor *scale, const te_rt_tensor *amax,
              const te_rt_tensor *noop, const te_rt_tensor *offsets,
              const te_rt_tensor *values, const te_rt_tensor *scales,
              const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
              const te_rt_tensor *amax_out, int64_t member, int64_t pow2_scales,
              double epsilon) {
  if (isSkipped(noop))
    return TE_RT_OK;
  return Quantize{input,
                  scale,
                  amax,
                  offsets,
                  values,
                  scales,
                  values_t,
                  scales_t,
                  amax_out,
                  member,
                  pow2_scales != 0,
                  static_cast<float>(epsilon)}
      .run(context);
}

te_rt_status ref::multi_cast_transpose(
    te_rt_context *context, te_rt_tensor_list inputs, te_rt_tensor_list scale,
    te_rt_tensor_list amax, const te_rt_tensor *noop, te_rt_tensor_list values,
    te_rt_tensor_list scales, te_rt_tensor_list values_t,
    te_rt_tensor_list scales_t, te_rt_tensor_list amax_out, int64_t pow2_scales,
    double epsilon) {
  if (isSkipped(noop))
    return TE_RT_OK;
  for (int64_t i = 0; i < inputs.count; ++i) {
    auto at = [i](te_rt_tensor_list list) {
      return list.count ? list.items + i : nullptr;
    };
    te_rt_status status =
        Quantize{at(inputs),    at(scale),        at(amax),
                 nullptr,       at(values),       at(scales),
                 at(values_t),  at(scales_t),     at(amax_out),
                 /*member=*/-1, pow2_scales != 0, static_cast<float>(epsilon)}
            .run(context);
    if (status != TE_RT_OK)
      return status;
  }
  return TE_RT_OK;
}

te_rt_status ref::dequantize(te_rt_context *context, const te_rt_tensor *values,
                             const te_rt_tensor *scales,
                             const te_rt_tensor *offsets,
                             const te_rt_tensor *output) {
  bool packed = values->rank == 3;
  int64_t rows = values->shape[packed], cols = values->shape[packed + 1];
  int64_t members = packed ? values->shape[0] : 1;
  std::vector<Group> groups;
  if (te_rt_status status =
          readGroups(context, "offsets", offsets, rows, -1, groups))
    return status;
  Operand operand(*values, scales, offsets ? Ragged::Rows : Ragged::No);
  for (int64_t e = 0; e < members; ++e)
    for (const Group &group : groups)
      withFloatType(output->dtype, [&](auto element) {
        using T = decltype(element);
        operand.convert(context, e, group, group.begin, group.size(), 0, cols,
                        data<T>(output) + (e * rows + group.begin) * cols);
      });
  return TE_RT_OK;
}

te_rt_status ref::amax(te_rt_context *context, const te_rt_tensor *input,
                       const te_rt_tensor *offsets, const te_rt_tensor *amax,
                       int64_t member) {
  Quantize matrix = {};
  matrix.input = input;
  matrix.offsets = offsets;
  matrix.member = member;
  return matrix.writeAmaxes(context, *amax);
}

te_rt_status ref::scale_from_amax(te_rt_context *, te_rt_tensor_list amax,
                                  te_rt_tensor_list scale, double fp8_max,
                                  int64_t pow2_scales, double epsilon) {
  for (int64_t i = 0; i < amax.count; ++i)
    for (int64_t j = 0, count = numElements(amax.items[i]); j < count; ++j)
      data<float>(scale.items[i])[j] = scaleFromAmax(
          data<float>(amax.items[i])[j], static_cast<float>(fp8_max),
          static_cast<float>(epsilon), pow2_scales != 0, FLT_MAX);
  return TE_RT_OK;
}

te_rt_status ref::update_scales(te_rt_context *, te_rt_tensor_list amax,
                                te_rt_tensor_list history,
                                te_rt_tensor_list scale,
                                te_rt_tensor_list history_out,
                                te_rt_tensor_list scale_out, double fp8_max,
                                int64_t margin, int64_t most_recent) {
  float target =
      static_cast<float>(std::ldexp(fp8_max, -static_cast<int>(margin)));
  for (int64_t i = 0; i < amax.count; ++i) {
    int64_t slots = numElements(amax.items[i]);
    int64_t length = lastDim(history.items[i]);
    for (int64_t slot = 0; slot < slots; ++slot) {
      float last = data<float>(amax.items[i])[slot];
      const float *past = data<float>(history.items[i]) + slot * length;
      float *next = data<float>(history_out.items[i]) + slot * length;
      float chosen = data<float>(scale.items[i])[slot];
      if (next != past)
        std::copy(past, past + length, next);
      if (last != 0.0f) {
        float largest = last;
        for (int64_t h = 1; !most_recent && h < length; ++h)
          largest = std::fmax(largest, next[h]);
        for (int64_t h = 1; h + 1 < length; ++h)
          next[h] = next[h + 1];
        next[length - 1] = last;
        next[0] = 0.0f;
        if (std::isfinite(largest) && largest > 0.0f) {
          chosen = target / largest;
          if (std::isinf(chosen))
            chosen = FLT_MAX;
        }
      }
      data<float>(scale_out.items[i])[slot] = chosen;
    }
  }
  return TE_RT_OK;
}
