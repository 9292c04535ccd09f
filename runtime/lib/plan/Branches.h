//===- Branches.h - which calls of a graph wait for which -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_RT_PLAN_BRANCHES_H
#define TE_RT_PLAN_BRANCHES_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace te_rt::interp {

/// The calls of a step in order, by what they do to memory.
class Branches {
public:
  /// Bytes that a call reads or, if `written`, may write.
  struct Reach {
    uintptr_t begin, end;
    bool written;
  };

  void clear() { calls.clear(); }

  /// Adds a call, and returns those that it must follow: which reach the same bytes, one
  /// of the two writing there, or share other memory with it (bits of `shared`).
  std::vector<size_t> add(std::vector<Reach> reaches, uint64_t shared) {
    std::vector<size_t> after;
    Call call = {std::move(reaches), shared};
    for (size_t i = 0; i < calls.size(); ++i)
      if (meet(calls[i], call))
        after.push_back(i);
    calls.push_back(std::move(call));
    return after;
  }

private:
  struct Call {
    std::vector<Reach> reaches;
    uint64_t shared;
  };
  static bool meet(const Call &a, const Call &b) {
    if (a.shared & b.shared)
      return true;
    for (const Reach &x : a.reaches)
      for (const Reach &y : b.reaches)
        if ((x.written || y.written) &&
            std::max(x.begin, y.begin) < std::min(x.end, y.end))
          return true;
    return false;
  }
  std::vector<Call> calls;
};

} // namespace te_rt::interp

#endif // TE_RT_PLAN_BRANCHES_H
