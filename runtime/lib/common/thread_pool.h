//===- thread_pool.h - a loop over several threads --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMMON_THREAD_POOL_H
#define TE_RUNTIME_COMMON_THREAD_POOL_H

#include "common/temporary.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace te_rt {

/// The body of a loop, which outlives it: a reference to what can be called
/// with an index and a thread, without a copy of it.
class LoopBody {
public:
  template <typename Callable>
  LoopBody(const Callable &callable)
      : object(&callable),
        call([](const void *object, int64_t index, int32_t thread) {
          (*static_cast<const Callable *>(object))(index, thread);
        }) {}
  void operator()(int64_t index, int32_t thread) const {
    call(object, index, thread);
  }

private:
  const void *object;
  void (*call)(const void *, int64_t, int32_t);
};

/// Threads that wait for loops. One thread at a time may call parallelFor.
class ThreadPool {
public:
  /// `threads` counts the caller of parallelFor; at least 1.
  explicit ThreadPool(int32_t threads);
  ~ThreadPool();

  int32_t size() const { return static_cast<int32_t>(workers.size()) + 1; }

  /// Calls body(index, thread) once for each index in [0, count), in any order,
  /// thread in [0, size()); returns when all are done. The first exception that
  /// leaves the body ends the loop and is thrown here. The body must not call
  /// parallelFor.
  void parallelFor(int64_t count, LoopBody body);

  /// Where temporaries of the caller of parallelFor lie (0), and of the others,
  /// within the body.
  TempStack &temporaries(int32_t thread) { return stacks[thread]; }

private:
  void work(int32_t thread);
  void drain(int32_t thread);

  std::vector<TempStack> stacks;
  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake, done;
  const LoopBody *body = nullptr;
  std::atomic<int64_t> next{0};
  int64_t count = 0;
  uint64_t generation = 0;
  int32_t busy = 0;
  bool stopping = false;
  std::exception_ptr error;
};

} // namespace te_rt

#endif // TE_RUNTIME_COMMON_THREAD_POOL_H
