//===- Functions.h - functions that a plan may call, by name ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_RT_PLAN_FUNCTIONS_H
#define TE_RT_PLAN_FUNCTIONS_H

#include "plan/Contracts.h"
#include "te_runtime/types.h"

#include <string_view>

namespace te_rt::interp {

/// The value of one parameter: `tensors` for a slot (a Tensor is a list of one,
/// or of none where it is absent), `integer` or `real` for an attribute.
union Operand {
  te_rt_tensor_list tensors;
  int64_t integer;
  double real;
};

struct Function {
  const char *name;            // without te_rt_
  const Parameter *parameters; // slots, then attributes
  uint32_t numSlots;
  uint32_t numAttributes;
  /// Calls the function with one operand for each parameter.
  te_rt_status (*invoke)(te_rt_context *context, const Operand *operands);
};

/// The function called `name`, or nullptr.
const Function *findFunction(std::string_view name);

} // namespace te_rt::interp

#endif // TE_RT_PLAN_FUNCTIONS_H
