//===- communicator.cpp - ranks that are threads --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "comm/communicator.h"

#include <new>

bool te_rt_communicator::wait(bool mayAbort,
                              std::unique_lock<std::mutex> &lock) {
  uint64_t mine = generation;
  if (++arrived == ranks()) {
    arrived = 0;
    failed = failing;
    failing = false;
    ++generation;
    changed.notify_all();
    return true;
  }
  changed.wait(lock,
               [&] { return generation != mine || (mayAbort && aborted); });
  if (generation != mine)
    return true;
  --arrived;
  return false;
}

bool te_rt_communicator::open(int32_t rank, const void *post) {
  std::unique_lock<std::mutex> lock(mutex);
  if (aborted)
    return false;
  posts[static_cast<size_t>(rank)] = post;
  return wait(/*mayAbort=*/true, lock);
}

bool te_rt_communicator::close(bool ok) {
  std::unique_lock<std::mutex> lock(mutex);
  failing |= !ok;
  wait(/*mayAbort=*/false, lock);
  // Nobody comes to the end of the next barrier before this returns.
  return !failed;
}

void te_rt_communicator::abort() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    aborted = true;
    changed.notify_all();
  }
  std::lock_guard<std::mutex> lock(actionsMutex);
  for (const std::function<void()> &action : actions)
    if (action)
      action();
}

void te_rt_communicator::atAbort(int32_t rank, std::function<void()> action) {
  std::lock_guard<std::mutex> lock(actionsMutex);
  actions[static_cast<size_t>(rank)] = std::move(action);
}

extern "C" te_rt_status
te_rt_communicator_create(int32_t ranks, te_rt_communicator **communicator) {
  if (!communicator)
    return TE_RT_INVALID_ARGUMENT;
  *communicator = nullptr;
  if (ranks < 1)
    return TE_RT_INVALID_ARGUMENT;
  try {
    *communicator = new te_rt_communicator(ranks);
  } catch (const std::bad_alloc &) {
    return TE_RT_OUT_OF_MEMORY;
  }
  return TE_RT_OK;
}

extern "C" void te_rt_communicator_abort(te_rt_communicator *communicator) {
  if (communicator)
    communicator->abort();
}

extern "C" void te_rt_communicator_destroy(te_rt_communicator *communicator) {
  delete communicator;
}
