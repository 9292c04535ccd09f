//===- thread_pool.cpp - a loop over several threads ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/thread_pool.h"

#include <system_error>

using namespace te_rt;

ThreadPool::ThreadPool(int32_t threads)
    : stacks(static_cast<size_t>(threads)) {
  try {
    for (int32_t thread = 1; thread < threads; ++thread)
      workers.emplace_back([this, thread] { work(thread); });
  } catch (const std::system_error &) {
    // The system has no more threads: loops run on those there are.
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    stopping = true;
  }
  wake.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::parallelFor(int64_t loopCount, LoopBody loopBody) {
  if (workers.empty() || loopCount <= 1) {
    for (int64_t index = 0; index < loopCount; ++index) {
      TempStack::Scope temporaries(stacks[0]);
      loopBody(index, 0);
    }
    return;
  }
  {
    std::lock_guard<std::mutex> lock(mutex);
    body = &loopBody;
    count = loopCount;
    next = 0;
    busy = static_cast<int32_t>(workers.size());
    error = nullptr;
    ++generation;
  }
  wake.notify_all();
  drain(0);
  std::unique_lock<std::mutex> lock(mutex);
  done.wait(lock, [&] { return busy == 0; });
  if (error)
    std::rethrow_exception(error);
}

void ThreadPool::work(int32_t thread) {
  uint64_t seen = 0;
  while (true) {
    {
      std::unique_lock<std::mutex> lock(mutex);
      wake.wait(lock, [&] { return stopping || generation != seen; });
      if (stopping)
        return;
      seen = generation;
    }
    drain(thread);
    std::lock_guard<std::mutex> lock(mutex);
    if (--busy == 0)
      done.notify_one();
  }
}

void ThreadPool::drain(int32_t thread) {
  try {
    for (int64_t index = next++; index < count; index = next++) {
      TempStack::Scope temporaries(stacks[static_cast<size_t>(thread)]);
      (*body)(index, thread);
    }
  } catch (...) {
    next = count;
    std::lock_guard<std::mutex> lock(mutex);
    if (!error)
      error = std::current_exception();
  }
}
