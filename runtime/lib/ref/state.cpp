//===- state.cpp - scales from amaxes, and what casts keep ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"
#include "common/numeric.h"
#include "ref/backend.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

using namespace te_rt;
using namespace te_rt::ref;

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

te_rt_status ref::advance_rng(te_rt_context *, const te_rt_tensor *rng,
                              const te_rt_tensor *output, int64_t by) {
  const int64_t *from = data<const int64_t>(rng);
  int64_t *to = data<int64_t>(output);
  for (int64_t i = 0; i < numElements(*rng); i += 2) {
    to[i] = from[i];
    // Offsets wrap around, as the counters made of them do.
    to[i + 1] = static_cast<int64_t>(static_cast<uint64_t>(from[i + 1]) +
                                     static_cast<uint64_t>(by));
  }
  return TE_RT_OK;
}
