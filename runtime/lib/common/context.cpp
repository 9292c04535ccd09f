//===- context.cpp - making and ending contexts ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/context.h"
#include "comm/communicator.h"
#include "cuda/backend.h"
#include "ref/backend.h"

#include <cstdio>
#include <cstdlib>
#include <new>

using namespace te_rt;

void *Scratch::get(size_t bytes) {
  if (bytes > capacity) {
    memory.reset(); // first, so that both never exist at once
    capacity = 0;
    size_t rounded = (bytes + 63) / 64 * 64;
    void *fresh = rounded < bytes ? nullptr : std::aligned_alloc(64, rounded);
    if (!fresh)
      throw std::bad_alloc();
    memory.reset(fresh);
    capacity = rounded;
  }
  return memory.get();
}

void Scratch::Free::operator()(void *memory) const { std::free(memory); }

void te_rt_context::reserve(int64_t elements, int64_t extents,
                            int64_t tensors) {
  // Copies of a tensor are of at most 4 bytes an element.
  for (int use = 0; use < kNumScratches; ++use)
    scratches[use].get(use == kScratchTiles
                           ? size_t(pool.size() * kLargestTile) * 4
                           : size_t(elements) * 4);
  // Lists of groups and of parts of them, marks of rows, and for each thread a
  // few rows: measured in what they grow with, and generous, as what is not
  // touched takes no memory.
  constexpr int64_t least = 1 << 20, forEachTensor = 1 << 12;
  pool.temporaries(0).reserve(
      size_t(least + tensors * forEachTensor + extents * 64));
  for (int32_t thread = 1; thread < pool.size(); ++thread)
    pool.temporaries(thread).reserve(size_t(least + extents * 16));
}

namespace {
constexpr int32_t kMaxThreads = 1024;

te_rt_status createContext(te_rt_backend backend, int32_t threads,
                           te_rt_communicator *communicator, int32_t rank,
                           te_rt_context **context, std::string &message) {
  if (backend != TE_RT_REF && backend != TE_RT_CUDA) {
    message = "backend: found " + std::to_string(backend) +
              ", wanted 0 (ref) or 1 (cuda)";
    return TE_RT_INVALID_ARGUMENT;
  }
  if (threads < 0 || threads > kMaxThreads) {
    message = "threads: found " + std::to_string(threads) + ", wanted 0 to " +
              std::to_string(kMaxThreads);
    return TE_RT_INVALID_ARGUMENT;
  }
  int32_t ranks = communicator ? communicator->ranks() : 1;
  if (rank < 0 || rank >= ranks) {
    message = "rank: found " + std::to_string(rank) + ", wanted 0 to " +
              std::to_string(ranks - 1);
    return TE_RT_INVALID_ARGUMENT;
  }
  if (threads == 0) {
    unsigned cores = std::thread::hardware_concurrency();
    threads = cores == 0 ? 1
              : cores > static_cast<unsigned>(kMaxThreads)
                  ? kMaxThreads
                  : static_cast<int32_t>(cores);
  }
  auto made = std::make_unique<te_rt_context>(threads);
  if (backend == TE_RT_CUDA) {
    Outcome outcome = cuda::open(rank, made->device);
    if (outcome.status != TE_RT_OK) {
      message = outcome.message;
      return outcome.status;
    }
    made->backend = &cuda::table();
  } else {
    made->device = std::make_unique<Device>();
    made->backend = &ref::table();
  }
  made->communicator = communicator;
  made->rank = rank;
  *context = made.release();
  return TE_RT_OK;
}
te_rt_status createOnGpu(int32_t gpu, te_rt_context **context,
                         std::string &message) {
  if (gpu < 0) {
    message = "gpu: found " + std::to_string(gpu) + ", wanted 0 or more";
    return TE_RT_INVALID_ARGUMENT;
  }
  auto made = std::make_unique<te_rt_context>(1);
  Outcome outcome = cuda::open(gpu, made->device);
  if (outcome.status != TE_RT_OK) {
    message = outcome.message;
    return outcome.status;
  }
  // A rank beyond the last GPU begins anew with the first.
  if (made->device->ordinal() != gpu) {
    message = "gpu: found " + std::to_string(gpu) +
              ", wanted one of the GPUs that there are";
    return TE_RT_INVALID_ARGUMENT;
  }
  made->backend = &cuda::table();
  *context = made.release();
  return TE_RT_OK;
}

/// Makes *context by `create`, which is given it and where a reason goes.
template <typename Create>
te_rt_status guarded(te_rt_context **context, char *message, int64_t capacity,
                     Create create) {
  if (!context)
    return TE_RT_INVALID_ARGUMENT;
  *context = nullptr;
  te_rt_status status;
  try {
    std::string reason;
    status = create(context, reason);
    if (message && capacity > 0)
      std::snprintf(message, static_cast<size_t>(capacity), "%s",
                    reason.c_str());
  } catch (const std::bad_alloc &) {
    status = TE_RT_OUT_OF_MEMORY;
    if (message && capacity > 0)
      std::snprintf(message, static_cast<size_t>(capacity),
                    "out of memory for a context");
  }
  return status;
}
} // namespace

extern "C" te_rt_status
te_rt_context_create(te_rt_backend backend, int32_t threads,
                     te_rt_communicator *communicator, int32_t rank,
                     te_rt_context **context, char *message, int64_t capacity) {
  return guarded(context, message, capacity,
                 [&](te_rt_context **made, std::string &reason) {
                   return createContext(backend, threads, communicator, rank,
                                        made, reason);
                 });
}

extern "C" te_rt_status te_rt_context_create_on_gpu(int32_t gpu,
                                                    te_rt_context **context,
                                                    char *message,
                                                    int64_t capacity) {
  return guarded(context, message, capacity,
                 [&](te_rt_context **made, std::string &reason) {
                   return createOnGpu(gpu, made, reason);
                 });
}

extern "C" void te_rt_context_destroy(te_rt_context *context) {
  delete context;
}

extern "C" const char *te_rt_last_error(const te_rt_context *context) {
  return context ? context->message.c_str() : "context: found NULL";
}

extern "C" int32_t te_rt_take_overflow(te_rt_context *context) {
  if (!context)
    return 0;
  bool overflow = context->device->takeOverflow() || context->overflow;
  context->overflow = false;
  return overflow;
}
