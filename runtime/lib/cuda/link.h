//===- link.h - how a rank reaches the others -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ranks are threads of one process, each with a GPU or a part of one. Where
// each has a GPU of its own they exchange bytes through NCCL, whose work is a
// part of the stream, so that a graph may hold it. Ranks that share a GPU,
// which NCCL refuses, read each other's memory; events order that.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_LINK_H
#define TE_RUNTIME_CUDA_LINK_H

#include "comm/meeting.h"
#include "cuda/device.h"

#include <memory>
#include <vector>

namespace te_rt {
namespace cuda {

/// Memory that other ranks read, equally much on each.
struct Parcel {
  const void *data;
  size_t bytes;
};

/// What a rank brings to a call of all ranks.
struct Post {
  Meeting meeting;
  std::vector<Parcel> parcels;
};
using Posts = TempVector<const Post *>;

/// In a call of all ranks: arrive; between the two barriers of the meeting
/// gather, exchange and depart; then leave.
class Link {
public:
  /// All ranks of `world` make theirs together. TE_RT_UNAVAILABLE where NCCL is
  /// wanted and not there.
  static Outcome make(te_rt_communicator &world, int32_t rank,
                      CudaDevice &device, std::unique_ptr<Link> &link);
  virtual ~Link() = default;

  /// Whether gather tells where the others' memory is, and moves nothing.
  virtual bool isDirect() const = 0;

  virtual Outcome arrive() { return {}; }
  /// pieces[p][r]: where work that is enqueued from now on finds the p-th
  /// parcel of rank r.
  virtual Outcome gather(const Posts &posts,
                         std::vector<std::vector<const void *>> &pieces) = 0;
  /// Sends part r of `from`, `bytes` long, to rank r, and receives as much from
  /// there into part r of `to`; leaves this rank's part alone. Not of a direct
  /// link.
  virtual Outcome exchange(const void *from, void *to, size_t bytes) = 0;
  virtual Outcome depart() { return {}; }
  /// Once all ranks have departed: later work may overwrite what they read.
  virtual Outcome leave() { return {}; }
  /// A rank has failed: what this one has enqueued must not wait for it.
  virtual void giveUp() {}
  /// Whether all ranks are there still.
  virtual Outcome check() { return {}; }

protected:
  Link(CudaDevice &device, int32_t ranks, int32_t rank)
      : device(device), ranks(ranks), rank(rank) {}
  CudaDevice &device;
  int32_t ranks, rank;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_LINK_H
