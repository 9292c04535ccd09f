//===- communicator.h - ranks that are threads ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMM_COMMUNICATOR_H
#define TE_RUNTIME_COMM_COMMUNICATOR_H

#include "te_runtime/types.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

/// A meeting has two barriers. At the first each rank posts a pointer; between
/// the two every rank may read what all have posted; after the second, nobody
/// does. An abort ends the first barrier. It leaves the second alone: ranks
/// that are past the first do reach it, and until they have, the memory of the
/// others must stay.
struct te_rt_communicator {
  explicit te_rt_communicator(int32_t ranks)
      : posts(static_cast<size_t>(ranks)), actions(static_cast<size_t>(ranks)) {
  }

  int32_t ranks() const { return static_cast<int32_t>(posts.size()); }

  /// Waits for all ranks. False, and nothing may be read, after an abort.
  bool open(int32_t rank, const void *post);
  /// What `rank` has posted; between open and close.
  const void *post(int32_t rank) const {
    return posts[static_cast<size_t>(rank)];
  }
  /// Waits until every rank has finished reading. False where one of them says
  /// that it has failed.
  bool close(bool ok = true);
  /// Ends meetings for all ranks, then calls what they have left with atAbort.
  void abort();
  /// `action`, of `rank`, may be called on any thread until it is replaced; an
  /// empty one is none.
  void atAbort(int32_t rank, std::function<void()> action);

private:
  bool wait(bool mayAbort, std::unique_lock<std::mutex> &lock);

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<const void *> posts;
  std::mutex actionsMutex;
  std::vector<std::function<void()>> actions; // at an abort, of each rank
  int32_t arrived = 0;
  bool failing = false; // a rank has closed this meeting with a failure
  bool failed = false;  // the same of the last meeting
  uint64_t generation = 0;
  bool aborted = false;
};

#endif // TE_RUNTIME_COMM_COMMUNICATOR_H
