//===- Timeline.h - what ran, and for how long ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_TIMELINE_H
#define TE_EXEC_TIMELINE_H

#include "te_runtime/device.h"
#include "te_runtime/plan.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace te::exec {

/// One call of the plan, all its executions together.
struct CallSite {
  std::string function, costClass, location;
  std::string variant; ///< how a product was made, the last time
  uint64_t calls = 0, launches = 0, bytes = 0, flops = 0;
  te_rt_dtype dtype = TE_RT_F32; ///< of the operands of a product
  int64_t nanoseconds = 0;
  /// What the compiler expected; 0 if it did not say of any call.
  double predicted = 0;

  void add(const CallSite &other);
};

/// The calls of one rank.
class Timeline {
public:
  /// `keepEvents`: for a trace; a profile needs the sums alone.
  explicit Timeline(bool keepEvents) : keepEvents(keepEvents) {}
  /// `runBegan`: when the run began, in nanoseconds since the first one.
  void add(const te_rt_call_info &call, int64_t runBegan);

  struct Event {
    int64_t position, begin, end; ///< nanoseconds since the first run began
  };
  std::map<int64_t, CallSite> sites; ///< by position in the plan
  std::vector<Event> events;

private:
  bool keepEvents;
};

/// A table with a row for each function, class and location, the longest first,
/// and a total: sums over all ranks and steps. "of limit" is the time that the
/// bytes or, if that is longer, the operations of a row take at `limits`, as a
/// share of its time, "predicted" what the compiler expected, and "ratio" the time as
/// a multiple of that; "-" where they are not known. "variant" tells how a device made
/// a product.
std::string profileTable(const std::vector<Timeline> &ranks,
                         const te_rt_limits &limits);

/// Writes the timelines as Chrome's JSON trace: one thread for each rank.
void writeTrace(const std::string &path, const std::vector<Timeline> &ranks);

/// A line on stderr, if that is a terminal, of a run that takes over two
/// seconds.
class Progress {
public:
  Progress();
  ~Progress();
  bool isEnabled() const { return enabled; }
  /// Rank 0 makes the data of input `name`.
  void showInput(const std::string &name);
  /// Rank 0 has run `call` of the program that messages call `label`.
  void showCall(const std::string &label, int64_t step, int64_t steps,
                const te_rt_call_info &call);

private:
  bool isDue();
  void show(const std::string &text);

  bool enabled, shown = false;
  int64_t began, next;                 ///< nanoseconds
  std::map<std::string, int64_t> last; ///< last call of each program so far
};

/// Nanoseconds of a steady clock.
int64_t now();

} // namespace te::exec

#endif // TE_EXEC_TIMELINE_H
