//===- nccl.cpp - NCCL, opened at run time --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/nccl.h"
#include "cuda/device.h"
#include "cuda/library.h"

#include <dlfcn.h>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
// name, symbol, parameters; each returns an ncclResult_t, 0 of which is success
#define TE_RT_NCCL_FUNCTIONS(X)                                                \
  X(getId, ncclGetUniqueId, (NcclId *))                                        \
  X(init, ncclCommInitRank, (void **, int, NcclId, int))                       \
  X(destroy, ncclCommDestroy, (void *))                                        \
  X(abort, ncclCommAbort, (void *))                                            \
  X(asyncError, ncclCommGetAsyncError, (void *, int *))                        \
  X(groupStart, ncclGroupStart, ())                                            \
  X(groupEnd, ncclGroupEnd, ())                                                \
  X(send, ncclSend, (const void *, size_t, int, int, void *, void *))          \
  X(receive, ncclRecv, (void *, size_t, int, int, void *, void *))

struct Library {
#define TE_RT_MEMBER(name, symbol, parameters) int(*name) parameters;
  TE_RT_NCCL_FUNCTIONS(TE_RT_MEMBER)
#undef TE_RT_MEMBER
  const char *(*errorString)(int);
  const char *(*lastError)(void *);
  std::string why;
};

Library openNccl() {
  Library library = {};
  void *opened =
      openLibrary("NCCL", "TE_RT_NCCL", {"libnccl.so.2"}, library.why);
  if (!opened)
    return library;
  auto load = [&](auto &function, const char *symbol) {
    using Pointer = std::remove_reference_t<decltype(function)>;
    function = reinterpret_cast<Pointer>(dlsym(opened, symbol));
    if (!function)
      library.why = std::string("NCCL: found a library without ") + symbol +
                    ", wanted NCCL 2.7 or newer";
  };
#define TE_RT_LOAD(name, symbol, parameters) load(library.name, #symbol);
  TE_RT_NCCL_FUNCTIONS(TE_RT_LOAD)
#undef TE_RT_LOAD
  load(library.errorString, "ncclGetErrorString");
  // Since 2.13; without it a message says less.
  library.lastError = reinterpret_cast<const char *(*)(void *)>(
      dlsym(opened, "ncclGetLastError"));
  return library;
}

const Library &nccl() {
  static const Library library = openNccl();
  return library;
}

constexpr int kInProgress = 7, kBytes = 1; // ncclInProgress, ncclUint8

Outcome check(const char *what, int result) {
  if (result == 0)
    return {};
  std::string text =
      std::string(what) + ": NCCL: " + nccl().errorString(result);
  const char *more = nccl().lastError ? nccl().lastError(nullptr) : nullptr;
  if (more && *more)
    text += std::string(" (") + more + ")";
  return {TE_RT_DEVICE_ERROR, text};
}
} // namespace

Outcome Nccl::makeId(NcclId &id) {
  if (!nccl().why.empty())
    return {TE_RT_UNAVAILABLE, nccl().why};
  return check("ncclGetUniqueId", nccl().getId(&id));
}

Outcome Nccl::join(const NcclId &id, int32_t ranks, int32_t rank) {
  Outcome outcome =
      check("ncclCommInitRank", nccl().init(&communicator, ranks, id, rank));
  if (outcome.status != TE_RT_OK)
    communicator = nullptr;
  return outcome;
}

Outcome Nccl::enqueue(const std::vector<Message> &messages, void *stream) {
  std::lock_guard<std::mutex> lock(mutex);
  if (!communicator)
    return {TE_RT_INTERNAL, "NCCL: found ranks of which one has failed, wanted "
                            "a new communicator"};
  int failure = 0;
  TE_RT_TRY(check("ncclCommGetAsyncError",
                  nccl().asyncError(communicator, &failure)));
  if (failure != kInProgress)
    TE_RT_TRY(check("earlier work", failure));
  TE_RT_TRY(check("ncclGroupStart", nccl().groupStart()));
  Outcome outcome;
  for (const Message &m : messages)
    if (outcome.status == TE_RT_OK)
      outcome =
          m.isSent
              ? check("ncclSend", nccl().send(m.data, m.bytes, kBytes, m.rank,
                                              communicator, stream))
              : check("ncclRecv", nccl().receive(m.data, m.bytes, kBytes,
                                                 m.rank, communicator, stream));
  Outcome ended = check("ncclGroupEnd", nccl().groupEnd());
  return outcome.status == TE_RT_OK ? ended : outcome;
}

void Nccl::abort() {
  std::lock_guard<std::mutex> lock(mutex);
  if (communicator)
    nccl().abort(communicator);
  communicator = nullptr;
}

bool Nccl::isAborted() {
  std::lock_guard<std::mutex> lock(mutex);
  return !communicator;
}

Nccl::~Nccl() {
  if (communicator)
    nccl().destroy(communicator);
}
