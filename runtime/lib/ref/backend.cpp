//===- backend.cpp - table of the reference backend -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ref/backend.h"
#include "common/check.h"
#include "ref/blas.h"

#include <algorithm>

using namespace te_rt;

const BackendTable &ref::table() {
  static const BackendTable functions = {
#define TE_RT_FUNCTION(name) ref::name,
#include "common/functions.def"
      [](te_rt_context *) { blas(); }};
  return functions;
}

te_rt_status ref::readGroups(te_rt_context *context, const char *name,
                             const te_rt_tensor *offsets, int64_t capacity,
                             int64_t member, TempVector<Group> &groups) {
  if (!offsets) {
    groups.push_back({0, 0, capacity});
    return TE_RT_OK;
  }
  const int32_t *starts = data<int32_t>(*offsets);
  for (int64_t g = 0; g + 1 < offsets->shape[0]; ++g) {
    int64_t begin = starts[g], end = starts[g + 1];
    if (begin < 0 || end < begin || end > capacity)
      return context->fail(TE_RT_INVALID_ARGUMENT, name, "[", g, "], [", g + 1,
                           "]: found ", begin, ", ", end,
                           ", wanted ascending values from 0 to ", capacity);
    if (member < 0 || member == g)
      groups.push_back({g, begin, end});
  }
  return TE_RT_OK;
}

te_rt_status ref::checkAligned(te_rt_context *context,
                               const te_rt_tensor &offsets) {
  for (int64_t g = 0; g < offsets.shape[0]; ++g)
    if (int32_t offset = data<int32_t>(offsets)[g];
        offset % ScaleGrid::kTileOuter != 0)
      return context->fail(TE_RT_INVALID_ARGUMENT, "offsets[", g, "]: found ",
                           offset, ", wanted a multiple of ",
                           ScaleGrid::kTileOuter, " for SWIZZLED scales");
  return TE_RT_OK;
}

void ref::zeroPadding(const te_rt_tensor &scales, const ScaleGrid &grid,
                      int64_t member) {
  if (!isByteScale(scales.dtype))
    return;
  uint8_t *codes = data<uint8_t>(scales) + member * grid.elements;
  grid.forPadding([&](int64_t at) { codes[at] = 0; });
}

te_rt_status ref::checkRows(te_rt_context *context, const char *name,
                            const te_rt_tensor &map, int64_t capacity,
                            bool once) {
  const int32_t *rows = data<int32_t>(map);
  capacity = std::min<int64_t>(capacity, int64_t(1) << 31);
  TempVector<bool> taken(once ? static_cast<size_t>(capacity) : 0);
  for (int64_t i = 0, count = numElements(map); i < count; ++i) {
    if (rows[i] == -1)
      continue;
    if (rows[i] < -1 || rows[i] >= capacity)
      return context->fail(TE_RT_INVALID_ARGUMENT, name, "[", i, "]: found ",
                           rows[i], ", wanted -1 or a row below ", capacity);
    if (once && taken[rows[i]])
      return context->fail(TE_RT_INVALID_ARGUMENT, name, "[", i, "]: found ",
                           rows[i], " again, wanted each row once");
    if (once)
      taken[rows[i]] = true;
  }
  return TE_RT_OK;
}
