//===- Program.h - one program of a plan ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_PROGRAM_H
#define TE_EXEC_PROGRAM_H

#include "ArrayType.h"
#include "te_runtime/plan.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace te::exec {

/// A named part of an argument: a member of a packed one, or all of it. The
/// same leaf may lie in a packed argument of one plan and be an argument of
/// another.
struct Leaf {
  std::string name;
  ArrayType type;
  int64_t offset; ///< bytes, in the argument
};

struct Argument {
  std::string name;
  te_rt_direction direction;
  ArrayType type;
  int64_t bytes;
  std::vector<Leaf> leaves; ///< in order along the first dimension
  bool packed;
  bool onHost; ///< in host memory on every backend
  te_rt_init init;
  float deviation;
  int64_t numExperts;
  std::string next;
  std::string group;  ///< of a member of a group that is not packed
  int64_t groupIndex; ///< its position there

  /// Read only, the same in every step: runs may share its memory.
  bool isConstant() const { return direction == TE_RT_IN && next.empty(); }
  bool isResult() const { return direction != TE_RT_IN; }
};

/// The type of `members`, all of one type, laid one behind another.
ArrayType packedType(const std::vector<const Argument *> &members);

/// A verified plan and the program chosen from it.
class Program {
public:
  /// `label` names the plan in messages. `entry` names the program; if empty,
  /// the plan must have just one. Throws Error.
  Program(const std::string &label, std::string_view bytes,
          const std::string &entry);

  const std::string label;
  std::string name;
  int ranks;
  int64_t arenaBytes, workspaceBytes, argumentBytes;
  uint32_t dtypes; ///< of all tensors, bit 1 << D for type D
  std::vector<Argument> arguments;

  te_rt_plan *handle() const { return plan.get(); }
  int32_t index() const { return program; }
  /// Position of the result `name`, or -1. A state has the name of its next
  /// value.
  int findResult(const std::string &name) const;
  /// The arguments that are the members 0, 1, ... of the group `name`, among
  /// the results or among the others; empty unless each is there once, all of
  /// one type.
  std::vector<const Argument *> findGroup(const std::string &name,
                                          bool results) const;

private:
  void select(const std::string &entry);
  void addArgument(const te_rt_argument_info &info);

  struct Destroy {
    void operator()(te_rt_plan *p) const { te_rt_plan_destroy(p); }
  };
  std::unique_ptr<te_rt_plan, Destroy> plan;
  int32_t program = 0;
};

} // namespace te::exec

#endif // TE_EXEC_PROGRAM_H
