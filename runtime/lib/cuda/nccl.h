//===- nccl.h - NCCL, opened at run time ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_NCCL_H
#define TE_RUNTIME_CUDA_NCCL_H

#include "common/device.h"

#include <cstdint>
#include <mutex>
#include <vector>

namespace te_rt {
namespace cuda {

/// What the ranks of one NCCL communicator share; the library's own type.
struct NcclId {
  char bytes[128];
};

/// Bytes for another rank, or from there.
struct Message {
  void *data;
  size_t bytes;
  int32_t rank;
  bool isSent;
};

/// One rank of an NCCL communicator. All ranks make the same calls; abort may
/// come from any thread.
class Nccl {
public:
  Nccl() = default;
  Nccl(const Nccl &) = delete;
  Nccl &operator=(const Nccl &) = delete;
  ~Nccl(); ///< waits for the other ranks' destructors, unless aborted

  static Outcome makeId(NcclId &id);
  /// Waits for all ranks. The calling thread's GPU is this rank's.
  Outcome join(const NcclId &id, int32_t ranks, int32_t rank);
  /// Enqueues all messages as one piece of work.
  Outcome enqueue(const std::vector<Message> &messages, void *stream);
  /// Ends all work of this rank, also what waits for other ranks. Nothing can
  /// be enqueued after that.
  void abort();
  bool isAborted();

private:
  std::mutex mutex;
  void *communicator = nullptr;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_NCCL_H
