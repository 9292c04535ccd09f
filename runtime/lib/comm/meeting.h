//===- meeting.h - a call that all ranks make together ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMM_MEETING_H
#define TE_RUNTIME_COMM_MEETING_H

#include "comm/communicator.h"
#include "common/context.h"

namespace te_rt {

/// Every rank calls the same function, with tensors of the same shapes.
struct Meeting {
  const char *function;
  const te_rt_tensor *map; // handle or indices; may be null
  te_rt_tensor_list tensors;
};

/// An error where a rank has come with something else than this one.
te_rt_status checkAlike(te_rt_context *context, const Meeting &mine,
                        const TempVector<const Meeting *> &all);

/// Posts `mine`, then calls body(posts), posts[r] being that of rank r. Fails
/// where any rank's body does.
template <typename Post, typename Body>
te_rt_status meet(te_rt_context *context, const Post &mine, Body &&body) {
  te_rt_communicator *world = context->communicator;
  if (!world)
    return body(TempVector<const Post *>{&mine});
  TempVector<const Post *> posts(static_cast<size_t>(world->ranks()));
  if (!world->open(context->rank, &mine))
    return context->fail(TE_RT_INTERNAL, "communicator: found an abort by "
                                         "another rank, wanted all ranks");
  te_rt_status status = TE_RT_OK;
  try {
    for (int32_t r = 0; r < world->ranks(); ++r)
      posts[r] = static_cast<const Post *>(world->post(r));
    status = body(posts);
  } catch (...) {
    world->close(false);
    throw;
  }
  if (!world->close(status == TE_RT_OK) && status == TE_RT_OK)
    return context->fail(TE_RT_INTERNAL, "communicator: found a failure of "
                                         "another rank, wanted all ranks");
  return status;
}

} // namespace te_rt

#endif // TE_RUNTIME_COMM_MEETING_H
