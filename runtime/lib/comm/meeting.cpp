//===- meeting.cpp - a call that all ranks make together ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "comm/meeting.h"
#include "common/check.h"
#include "common/numeric.h"

#include <algorithm>
#include <cstring>

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

static bool haveSameShape(const te_rt_tensor &one, const te_rt_tensor &other) {
  return one.rank == other.rank &&
         std::equal(one.shape, one.shape + one.rank, other.shape);
}

/// Whether both are described alike; without a description, which allocates.
static bool areAlike(const Meeting &one, const Meeting &other) {
  auto isSame = [](const te_rt_tensor &tensor, const te_rt_tensor &of) {
    return tensor.dtype == of.dtype && haveSameShape(tensor, of);
  };
  const te_rt_tensor_list &list = one.tensors, &others = other.tensors;
  return !std::strcmp(one.function, other.function) && !one.map == !other.map &&
         (!one.map || haveSameShape(*one.map, *other.map)) &&
         std::equal(list.items, list.items + list.count, others.items,
                    others.items + others.count, isSame);
}

te_rt_status te_rt::checkAlike(te_rt_context *context, const Meeting &mine,
                               const TempVector<const Meeting *> &all) {
  for (size_t r = 0; r < all.size(); ++r)
    if (!areAlike(*all[r], mine))
      return context->fail(TE_RT_INVALID_ARGUMENT, "rank ", r, ": found ",
                           describe(*all[r]), ", wanted ", describe(mine),
                           " as on rank ", context->rank);
  return TE_RT_OK;
}
