//===- backend.h - the reference backend ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each function as its header says, in plain loops on the host. Results do not
// depend on the number of threads.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_REF_BACKEND_H
#define TE_RUNTIME_REF_BACKEND_H

#include "common/context.h"
#include "common/scales.h"


namespace te_rt {
namespace ref {

#define TE_RT_FUNCTION(name) decltype(te_rt_##name) name;
#include "common/functions.def"

const BackendTable &table();

template <typename T> T *data(const te_rt_tensor &tensor) {
  return static_cast<T *>(tensor.data);
}
template <typename T> T *data(const te_rt_tensor *tensor) {
  return tensor ? static_cast<T *>(tensor->data) : nullptr;
}

/// An F32 argument that is rank 0 or has one element for each group.
inline float &elementOf(const te_rt_tensor &tensor, int64_t group) {
  return data<float>(tensor)[tensor.rank ? group : 0];
}

/// The groups that `offsets` tells, all or `member` alone, or an error if they
/// descend or pass `capacity`. No offsets: one group of all rows.
te_rt_status readGroups(te_rt_context *context, const char *name,
                        const te_rt_tensor *offsets, int64_t capacity,
                        int64_t member, TempVector<Group> &groups);

/// An error unless all offsets are multiples of 128.
te_rt_status checkAligned(te_rt_context *context, const te_rt_tensor &offsets);

/// An error unless each entry of the I32 map is -1 or in [0, capacity), and, if
/// `once`, no row appears twice.
te_rt_status checkRows(te_rt_context *context, const char *name,
                       const te_rt_tensor &map, int64_t capacity, bool once);

/// Zeroes what no block has of the scales of `member`, those of 8 bits.
void zeroPadding(const te_rt_tensor &scales, const ScaleGrid &grid,
                 int64_t member);

/// Calls body(begin, end) on ranges of about `grain` elements of [0, count).
template <typename Body>
void parallelRanges(te_rt_context *context, int64_t count, int64_t grain,
                    Body &&body) {
  int64_t ranges = count / grain + (count % grain != 0);
  context->pool.parallelFor(ranges, [&](int64_t index, int32_t) {
    int64_t begin = index * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_BACKEND_H
