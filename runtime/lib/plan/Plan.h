//===- Plan.h - a verified plan, as the session reads it --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What stands here has been verified: indices are in range, tensors lie in
// their space for every iteration of the loops around their uses. Strings and
// the data of constants point into te_rt_plan::bytes.
//
//===----------------------------------------------------------------------===//
#ifndef TE_RT_PLAN_PLAN_H
#define TE_RT_PLAN_PLAN_H

#include "plan/Functions.h"
#include "plan/Memory.h"
#include "plan_generated.h"
#include "product_ways.h"
#include "te_runtime/plan.h"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace te_rt::interp {

namespace plan = te::plan; // the schema

struct Tensor {
  te_rt_tensor descriptor; // data is nullptr
  plan::Space space;
  uint32_t index;
  uint64_t offset;
  uint64_t bytes;
  std::vector<uint64_t> strides; // of the loops around a use, outermost first
};

/// What the compiler foresaw; zero where a plan does not say.
struct CallCost {
  uint64_t launches = 0, bytes = 0, flops = 0, hostSyncs = 0;
  double limitNs = 0, predictedNs = 0, ratherNs = 0;
};

struct Call {
  const Function *function;
  std::vector<std::vector<uint32_t>> slots; // indices of tensors
  std::vector<Operand> attributes;
  const char *location;
  const char *costClass;
  CallCost cost;
  te::products::Way way, rather; // of a product: what is taken where it can be
                                 // is `rather`, if set
  int64_t position; // among the program's calls, loops counted once
};

struct Step;
struct Loop {
  uint64_t tripCount;
  std::vector<Step> body;
};
struct Step {
  std::variant<Call, Loop> kind;
};

struct Argument {
  te_rt_argument_info info; // its members point to `members`
  std::vector<const char *> members;
};

struct Program {
  const char *name;
  std::vector<Argument> arguments;
  std::vector<Tensor> tensors;
  std::vector<Step> steps;
  uint64_t arenaBytes;
  uint64_t numSteps; // of one run, loops multiplied out
  uint32_t ranks;
};

struct Constant {
  const uint8_t *data;
  uint64_t bytes;
};

struct Workspace {
  const char *name;
  uint64_t bytes;
  std::vector<const char *> members;
};

} // namespace te_rt::interp

struct te_rt_plan {
  te_rt::interp::Memory bytes;
  int32_t version; // as it was written
  const char *target;
  std::vector<te_rt::interp::Workspace> workspaces;
  std::vector<te_rt::interp::Constant> constants;
  std::vector<te_rt::interp::Program> programs;
};

#endif // TE_RT_PLAN_PLAN_H
