//===- device.h - where a backend has its memory and its work ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMMON_DEVICE_H
#define TE_RUNTIME_COMMON_DEVICE_H

#include "te_runtime/device.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace te_rt {

/// What a device says of a call: TE_RT_OK, or a status and its reason.
struct Outcome {
  te_rt_status status = TE_RT_OK;
  std::string message;
};

/// The memory of a context's backend, and the order of its work. This one is
/// the host's: work is done when the call returns.
class Device {
public:
  virtual ~Device() = default;

  virtual bool isHost() const { return true; }
  /// nullptr if there is not as much.
  virtual void *allocate(size_t bytes);
  virtual void release(void *memory);
  /// The most bytes allocated at a time, of a device's memory.
  virtual int64_t peakBytes() const { return 0; }
  virtual Outcome copy(void *to, const void *from, size_t bytes);
  virtual Outcome fill(void *memory, int byte, size_t bytes);
  virtual Outcome synchronize() { return {}; }
  virtual void *stream() { return nullptr; }
  /// Work goes there from now on; nullptr is a stream of the device's own.
  virtual Outcome useStream(void *stream);
  /// The number of the GPU.
  virtual int32_t ordinal() const { return 0; }
  /// Whether a kernel has raised the overflow flag; clears it.
  virtual bool takeOverflow() { return false; }

  /// Between the two, calls prepare what their work will need (scratch memory,
  /// tables) and enqueue nothing: a run then allocates nothing.
  virtual void beginPreparing() {}
  virtual Outcome endPreparing() { return {}; }

  /// Work between the two becomes a graph, launched by launchGraph.
  virtual Outcome beginCapture();
  virtual Outcome endCapture(void **graph);
  /// In between, the work that follows depends on that of the given calls alone, and
  /// the work since then is the next call's: 0, 1, ...
  virtual Outcome beginBranch(const std::vector<size_t> &) { return {}; }
  virtual Outcome endBranch() { return {}; }
  /// Memory that is not a call's arguments and that work since the last such question
  /// shares with other work, as bits.
  virtual uint64_t takeShared() { return 0; }
  virtual Outcome launchGraph(void *graph);
  virtual void destroyGraph(void *) {}

  /// Time stamps in order of the work, read after a synchronize.
  virtual Outcome mark(size_t index);
  virtual double nanosecondsBetween(size_t first, size_t second);
  virtual Outcome measureLimits(te_rt_limits &limits);
};

} // namespace te_rt

#endif // TE_RUNTIME_COMMON_DEVICE_H
