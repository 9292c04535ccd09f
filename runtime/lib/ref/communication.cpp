//===- communication.cpp - moves of rows between ranks --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ranks are threads: each posts its arguments, and reads what it needs of the
// others' memory between the two barriers of a meeting. A finding between them
// is returned after the second, since until then others may be reading here.
//
//===----------------------------------------------------------------------===//

#include "comm/meeting.h"
#include "common/check.h"
#include "common/numeric.h"
#include "ref/backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace te_rt;
using namespace te_rt::ref;

namespace {
int64_t bytesOfRow(const te_rt_tensor &tensor) {
  return tensor.shape[0]
             ? bytesOf(tensor.dtype, numElements(tensor)) / tensor.shape[0]
             : 0;
}

int64_t numRanks(const te_rt_context *context) {
  return context->communicator ? context->communicator->ranks() : 1;
}

/// Bit r of a token is set if it goes to rank r.
TempVector<bool> destinations(const te_rt_tensor &indices, int64_t ranks,
                               int64_t experts) {
  int64_t slots = indices.shape[1];
  TempVector<bool> goes(static_cast<size_t>(indices.shape[0] * ranks));
  for (int64_t i = 0, pairs = numElements(indices); i < pairs; ++i)
    if (int32_t expert = data<int32_t>(indices)[i]; expert >= 0)
      goes[i / slots * ranks + expert / experts] = true;
  return goes;
}

te_rt_status checkExperts(te_rt_context *context, const te_rt_tensor &indices,
                          int64_t experts) {
  for (int64_t i = 0, pairs = numElements(indices); i < pairs; ++i)
    if (int32_t expert = data<int32_t>(indices)[i];
        expert < -1 || expert >= experts)
      return context->fail(TE_RT_INVALID_ARGUMENT, "indices[", i, "]: found ",
                           expert, ", wanted -1 or an expert below ", experts);
  return TE_RT_OK;
}
} // namespace

te_rt_status ref::dispatch_map(te_rt_context *context,
                               const te_rt_tensor *indices,
                               const te_rt_tensor *handle,
                               const te_rt_tensor *recv_indices, int64_t ranks,
                               int64_t num_experts) {
  if (te_rt_status status =
          checkExperts(context, *indices, ranks * num_experts))
    return status;
  Meeting mine = {"dispatch_map", indices, {nullptr, 0}};
  return meet(context, mine, [&](const TempVector<const Meeting *> &all) {
    if (te_rt_status status = checkAlike(context, mine, all))
      return status;
    int64_t tokens = indices->shape[0], slots = indices->shape[1];
    int32_t *received = data<int32_t>(*recv_indices);
    std::fill(received, received + numElements(*recv_indices), -1);
    TempVector<int32_t> next(static_cast<size_t>(ranks)); // row on each rank
    for (int64_t source = 0; source < ranks; ++source) {
      const te_rt_tensor &theirs = *all[source]->map;
      TempVector<bool> goes = destinations(theirs, ranks, num_experts);
      for (int64_t t = 0; t < tokens; ++t)
        for (int64_t r = 0; r < ranks; ++r) {
          int32_t row = goes[t * ranks + r] ? next[r]++ : -1;
          if (source == context->rank)
            data<int32_t>(*handle)[t * ranks + r] = row;
          if (r != context->rank || row < 0)
            continue;
          for (int64_t s = 0; s < slots; ++s) {
            int32_t expert = data<int32_t>(theirs)[t * slots + s];
            if (expert >= 0 && expert / num_experts == context->rank)
              received[row * slots + s] =
                  static_cast<int32_t>(expert % num_experts);
          }
        }
    }
    return TE_RT_OK;
  });
}

te_rt_status ref::dispatch(te_rt_context *context, const te_rt_tensor *handle,
                           te_rt_tensor_list inputs,
                           te_rt_tensor_list outputs) {
  int64_t ranks = numRanks(context), tokens = handle->shape[0];
  if (te_rt_status status =
          checkRows(context, "handle", *handle, ranks * tokens, /*once=*/false))
    return status;
  Meeting mine = {"dispatch", handle, inputs};
  return meet(context, mine, [&](const TempVector<const Meeting *> &all) {
    if (te_rt_status status = checkAlike(context, mine, all))
      return status;
    for (int64_t i = 0; i < inputs.count; ++i) {
      const te_rt_tensor &out = outputs.items[i];
      int64_t padding = out.shape[0] - ranks * tokens; // of scales alone
      if (int64_t bytes = padding * bytesOfRow(out))
        std::memset(data<char>(out) + ranks * tokens * bytesOfRow(out), 0,
                    bytes);
    }
    // In order, so that even a handle that names a row twice has one meaning.
    for (int64_t source = 0; source < ranks; ++source)
      for (int64_t t = 0; t < tokens; ++t) {
        int64_t row =
            data<int32_t>(*all[source]->map)[t * ranks + context->rank];
        for (int64_t i = 0; row >= 0 && i < inputs.count; ++i) {
          const te_rt_tensor &from = all[source]->tensors.items[i];
          int64_t bytes = bytesOfRow(from);
          if (bytes)
            std::memcpy(data<char>(outputs.items[i]) + row * bytes,
                        data<char>(from) + t * bytes, bytes);
        }
      }
    return TE_RT_OK;
  });
}

te_rt_status ref::combine(te_rt_context *context, const te_rt_tensor *handle,
                          te_rt_tensor_list inputs, te_rt_tensor_list outputs) {
  int64_t ranks = numRanks(context), tokens = handle->shape[0];
  if (te_rt_status status =
          checkRows(context, "handle", *handle, ranks * tokens, /*once=*/false))
    return status;
  Meeting mine = {"combine", handle, inputs};
  return meet(context, mine, [&](const TempVector<const Meeting *> &all) {
    if (te_rt_status status = checkAlike(context, mine, all))
      return status;
    for (int64_t i = 0; tokens && i < inputs.count; ++i) {
      const te_rt_tensor &out = outputs.items[i];
      int64_t width = numElements(out) / tokens;
      withFloatType(out.dtype, [&](auto element) {
        using T = decltype(element);
        parallelRanges(context, tokens, 16, [&](int64_t begin, int64_t end) {
          TempVector<float> sum(static_cast<size_t>(width));
          for (int64_t t = begin; t < end; ++t) {
            std::fill(sum.begin(), sum.end(), 0.0f);
            for (int64_t r = 0; r < ranks; ++r) {
              int64_t row = data<int32_t>(*handle)[t * ranks + r];
              if (row < 0)
                continue;
              const T *from = data<T>(all[r]->tensors.items[i]) + row * width;
              for (int64_t j = 0; j < width; ++j)
                sum[j] += toFloat(from[j]);
            }
            for (int64_t j = 0; j < width; ++j)
              fromFloat(sum[j], data<T>(out)[t * width + j]);
          }
        });
      });
    }
    return TE_RT_OK;
  });
}

te_rt_status ref::all_reduce(te_rt_context *context, te_rt_tensor_list inputs,
                             te_rt_tensor_list outputs) {
  // An output may be an input that another rank still reads, and so is written
  // when all have parted.
  TempVector<float> result;
  Meeting mine = {"all_reduce", nullptr, inputs};
  te_rt_status status =
      meet(context, mine, [&](const TempVector<const Meeting *> &all) {
        if (te_rt_status status = checkAlike(context, mine, all))
          return status;
        for (int64_t i = 0; i < inputs.count; ++i)
          for (int64_t j = 0, n = numElements(inputs.items[i]); j < n; ++j) {
            float largest = NAN;
            for (const Meeting *theirs : all)
              largest =
                  std::fmax(largest, data<float>(theirs->tensors.items[i])[j]);
            result.push_back(largest == 0.0f || std::isnan(largest)
                                 ? data<float>(inputs.items[i])[j]
                                 : largest);
          }
        return TE_RT_OK;
      });
  if (status != TE_RT_OK)
    return status;
  const float *next = result.data();
  for (int64_t i = 0; i < inputs.count; ++i) {
    int64_t n = numElements(inputs.items[i]);
    std::copy(next, next + n, data<float>(outputs.items[i]));
    next += n;
  }
  return TE_RT_OK;
}
