//===- meeting.cpp - a call that all ranks make together ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "comm/meeting.h"
#include "common/check.h"
#include "common/numeric.h"

using namespace te_rt;

static std::string describe(const Meeting &meeting) {
  std::string text = std::string(meeting.function) + " of";
  if (meeting.map)
    text += " " + toString(shapeOf(*meeting.map)) +
            (meeting.tensors.count ? "," : "");
  for (int64_t i = 0; i < meeting.tensors.count; ++i)
    text += std::string(i ? ", " : " ") +
            dtypeName(meeting.tensors.items[i].dtype) + " " +
            toString(shapeOf(meeting.tensors.items[i]));
  return text;
}

te_rt_status te_rt::checkAlike(te_rt_context *context, const Meeting &mine,
                               const std::vector<const Meeting *> &all) {
  for (size_t r = 0; r < all.size(); ++r)
    if (describe(*all[r]) != describe(mine))
      return context->fail(TE_RT_INVALID_ARGUMENT, "rank ", r, ": found ",
                           describe(*all[r]), ", wanted ", describe(mine),
                           " as on rank ", context->rank);
  return TE_RT_OK;
}
