//===- quantize.cpp - casts to FP8 and FP4 --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"
#include "common/numeric.h"
#include "ref/block_cast.h"
#include "ref/cast.h"
#include "ref/hadamard.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

using namespace te_rt;
using namespace te_rt::ref;

namespace {
/// Arguments of quantize for one tensor; those absent are nullptr.
struct Quantize {
  const te_rt_tensor *input, *scale, *amax, *offsets, *rng, *values, *scales,
      *valuesT, *scalesT, *amaxOut, *tensorAmax, *tensorAmaxT;
  int64_t member;
  bool pow2, squareBlocks, hadamard;
  int64_t rngStream;
  float epsilon;

  te_rt_status run(te_rt_context *context) const;

private:
  bool packed() const { return input->rank == 3; }
  int64_t rows() const { return input->shape[packed()]; }
  int64_t cols() const { return input->shape[packed() + 1]; }
  int64_t rowBytes() const { return bytesOf(input->dtype, cols()); }
  te_rt_status findGroups(te_rt_context *context,
                          TempVector<Group> &groups) const;
  TempVector<float> findAmaxes(te_rt_context *context,
                                const TempVector<Group> &groups,
                                const char *source) const;
  /// 1/s of the groups whose scales are TENSOR; returns s.
  TempVector<float> storeTensorScales(const TempVector<Group> &groups,
                                       const TempVector<float> &amaxes) const;
  void storeAmaxes(const TempVector<Group> &groups,
                   const TempVector<float> &amaxes) const;
  void castBlocks(te_rt_context *context, const TempVector<Group> &groups,
                  const TempVector<float> &amaxes) const;
  CastTask makeTask(const Group &group, bool columnwise, float scale) const;
};

bool isByte(const te_rt_tensor *scales) {
  return scales && isByteScale(scales->dtype);
}
bool isTensorwise(const te_rt_tensor *scales) {
  return scales && scales->layout == TE_RT_TENSOR;
}

/// Of a packed input each member is a group, its rows counted through.
te_rt_status Quantize::findGroups(te_rt_context *context,
                                  TempVector<Group> &groups) const {
  if (!packed())
    return readGroups(context, "offsets", offsets, rows(), member, groups);
  for (int64_t e = 0; e < input->shape[0]; ++e)
    if (member < 0 || member == e)
      groups.push_back({e, e * rows(), (e + 1) * rows()});
  return TE_RT_OK;
}

TempVector<float> Quantize::findAmaxes(te_rt_context *context,
                                        const TempVector<Group> &groups,
                                        const char *source) const {
  constexpr int64_t chunk = 64;
  TempVector<int64_t> first = {0}; // chunk of each group
  for (const Group &group : groups)
    first.push_back(first.back() + ceilDiv(group.size(), chunk));
  TempVector<float> partial(static_cast<size_t>(first.back()));
  context->pool.parallelFor(first.back(), [&](int64_t index, int32_t) {
    size_t g =
        std::upper_bound(first.begin(), first.end(), index) - first.begin() - 1;
    int64_t begin = groups[g].begin + (index - first[g]) * chunk;
    int64_t end = std::min(begin + chunk, groups[g].end);
    partial[index] = largestMagnitude(source + begin * rowBytes(), input->dtype,
                                      (end - begin) * cols());
  });
  TempVector<float> amaxes;
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
  task.input = data<const char>(input) + group.begin * rowBytes();
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
                 raggedRows(offsets != nullptr, task.transposed));
  task.blockRows = grid.blockRows;
  task.blockCols = grid.blockCols;
  task.strideRow = grid.strideRow;
  task.strideCol = grid.strideCol;
  if (task.transposed) {
    std::swap(task.blockRows, task.blockCols);
    std::swap(task.strideRow, task.strideCol);
  }
  task.scales =
      data<float>(outScales) + (packed() ? group.index * grid.elements
                                         : grid.ofGroup(group).index(0, 0));
  task.epsilon = epsilon;
  task.overflow = largestValue(input->dtype);
  task.pow2 = pow2;
  return task;
}

TempVector<float>
Quantize::storeTensorScales(const TempVector<Group> &groups,
                            const TempVector<float> &amaxes) const {
  const te_rt_tensor *tensorwise = isTensorwise(scales)    ? scales
                                   : isTensorwise(scalesT) ? scalesT
                                                           : nullptr;
  TempVector<float> multipliers(groups.size());
  float largest = 0;
  for (float each : amaxes)
    largest = std::max(largest, each);
  for (size_t g = 0; tensorwise && g < groups.size(); ++g) {
    float amax = tensorwise->rank ? amaxes[g] : largest;
    multipliers[g] =
        scale ? elementOf(*scale, groups[g].index)
              : scaleFromAmax(
                    amax,
                    fp8Max((tensorwise == scales ? values : valuesT)->dtype),
                    epsilon, pow2, FLT_MAX);
    for (const te_rt_tensor *each : {scales, scalesT})
      if (isTensorwise(each))
        elementOf(*each, groups[g].index) = 1.0f / multipliers[g];
  }
  return multipliers;
}

void Quantize::storeAmaxes(const TempVector<Group> &groups,
                           const TempVector<float> &amaxes) const {
  float largest = 0;
  for (float each : amaxes)
    largest = std::max(largest, each);
  for (size_t g = 0; amaxOut && g < groups.size(); ++g) {
    float before = amax ? elementOf(*amax, groups[g].index) : 0.0f;
    elementOf(*amaxOut, groups[g].index) =
        std::fmax(before, amaxOut->rank ? amaxes[g] : largest);
    if (!amaxOut->rank)
      break;
  }
}

void Quantize::castBlocks(te_rt_context *context,
                          const TempVector<Group> &groups,
                          const TempVector<float> &amaxes) const {
  for (bool columnwise : {false, true}) {
    if (!isByte(columnwise ? scalesT : scales))
      continue;
    const char *source = data<const char>(input);
    TempVector<float> tensorAmaxes = amaxes;
    if (columnwise && hadamard) {
      auto *transformed = context->scratch<BFloat16>(
          kScratchTransform, static_cast<size_t>(numElements(*input)));
      transformRows(context, groups, cols(), data<const BFloat16>(input),
                    transformed);
      source = reinterpret_cast<const char *>(transformed);
      tensorAmaxes = findAmaxes(context, groups, source);
    }
    if (const te_rt_tensor *out = columnwise ? tensorAmaxT : tensorAmax)
      for (size_t g = 0; g < groups.size(); ++g)
        elementOf(*out, groups[g].index) = tensorAmaxes[g];
    BlockCast{source,
              input->dtype,
              rows(),
              cols(),
              packed(),
              offsets != nullptr,
              groups,
              tensorAmaxes,
              columnwise ? *valuesT : *values,
              columnwise ? *scalesT : *scales,
              columnwise,
              squareBlocks,
              data<const int64_t>(rng),
              rngStream}
        .run(context);
  }
}

te_rt_status Quantize::run(te_rt_context *context) const {
  for (const te_rt_tensor *each : {scales, scalesT})
    if (each && !isTensorwise(each) &&
        std::max(each->block_rows, each->block_cols) > kLargestBlock)
      return context->fail(TE_RT_UNSUPPORTED, "blocks: found ",
                           each->block_rows, " x ", each->block_cols,
                           ", wanted at most ", kLargestBlock);
  TempVector<Group> groups;
  if (te_rt_status status = findGroups(context, groups))
    return status;
  for (const te_rt_tensor *each : {scales, scalesT})
    if (each && each->layout == TE_RT_SWIZZLED && each->groups)
      if (te_rt_status status = checkAligned(context, *offsets))
        return status;

  TempVector<float> amaxes(groups.size());
  bool chooses = (isTensorwise(scales) || isTensorwise(scalesT)) && !scale;
  if (amaxOut || tensorAmax || tensorAmaxT || chooses)
    amaxes = findAmaxes(context, groups, data<const char>(input));
  TempVector<float> multipliers = storeTensorScales(groups, amaxes);
  storeAmaxes(groups, amaxes);
  castBlocks(context, groups, amaxes);

  TempVector<CastTask> tasks;
  TempVector<int64_t> first = {0};
  for (size_t g = 0; g < groups.size(); ++g)
    for (bool columnwise : {false, true})
      if ((columnwise ? valuesT : values) &&
          !isByte(columnwise ? scalesT : scales)) {
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

bool isSkipped(const te_rt_tensor *noop) {
  return noop && *data<float>(noop) == 1.0f;
}
} // namespace

te_rt_status
ref::quantize(te_rt_context *context, const te_rt_tensor *input,
              const te_rt_tensor *scale, const te_rt_tensor *amax,
              const te_rt_tensor *noop, const te_rt_tensor *offsets,
              const te_rt_tensor *rng, const te_rt_tensor *values,
              const te_rt_tensor *scales, const te_rt_tensor *values_t,
              const te_rt_tensor *scales_t, const te_rt_tensor *amax_out,
              const te_rt_tensor *tensor_amax,
              const te_rt_tensor *tensor_amax_t, int64_t member,
              int64_t pow2_scales, int64_t square_blocks, int64_t hadamard,
              int64_t rng_stream, double epsilon) {
  if (isSkipped(noop))
    return TE_RT_OK;
  return Quantize{input,
                  scale,
                  amax,
                  offsets,
                  rng,
                  values,
                  scales,
                  values_t,
                  scales_t,
                  amax_out,
                  tensor_amax,
                  tensor_amax_t,
                  member,
                  pow2_scales != 0,
                  square_blocks != 0,
                  hadamard != 0,
                  rng_stream,
                  static_cast<float>(epsilon)}
      .run(context);
}

te_rt_status ref::multi_cast_transpose(
    te_rt_context *context, te_rt_tensor_list inputs, te_rt_tensor_list scale,
    te_rt_tensor_list amax, const te_rt_tensor *noop, te_rt_tensor_list values,
    te_rt_tensor_list scales, te_rt_tensor_list values_t,
    te_rt_tensor_list scales_t, te_rt_tensor_list amax_out,
    te_rt_tensor_list tensor_amax, te_rt_tensor_list tensor_amax_t,
    int64_t pow2_scales, int64_t square_blocks, double epsilon) {
  if (isSkipped(noop))
    return TE_RT_OK;
  for (int64_t i = 0; i < inputs.count; ++i) {
    auto at = [i](te_rt_tensor_list list) {
      return list.count ? list.items + i : nullptr;
    };
    te_rt_status status = Quantize{at(inputs),
                                   at(scale),
                                   at(amax),
                                   /*offsets=*/nullptr,
                                   /*rng=*/nullptr,
                                   at(values),
                                   at(scales),
                                   at(values_t),
                                   at(scales_t),
                                   at(amax_out),
                                   at(tensor_amax),
                                   at(tensor_amax_t),
                                   /*member=*/-1,
                                   pow2_scales != 0,
                                   square_blocks != 0,
                                   /*hadamard=*/false,
                                   /*rngStream=*/0,
                                   static_cast<float>(epsilon)}
                              .run(context);
    if (status != TE_RT_OK)
      return status;
  }
  return TE_RT_OK;
}

te_rt_status ref::amax(te_rt_context *context, const te_rt_tensor *input,
                       const te_rt_tensor *offsets, const te_rt_tensor *amax,
                       int64_t member) {
  Quantize nothing = {};
  nothing.input = input;
  nothing.offsets = offsets;
  nothing.member = member;
  nothing.amaxOut = amax;
  return nothing.run(context);
}
