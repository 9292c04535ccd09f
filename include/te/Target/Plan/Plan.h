//===- Plan.h - lowered programs as data ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_TARGET_PLAN_PLAN_H
#define TE_TARGET_PLAN_PLAN_H

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace llvm {
class Error;
}

namespace mlir::te {

/// Writes the functions of `module`, lowered by te-lower, as the bytes of a plan
/// (runtime/schema/plan.fbs). Emits an error at what is not lowered, or has no
/// form in a plan, and fails.
LogicalResult translateToPlan(ModuleOp module, std::string &bytes);

/// Prints a plan for people. The bytes may be anything: an error says what is
/// wrong with them.
llvm::Error printPlan(StringRef bytes, raw_ostream &os);

} // namespace mlir::te

#endif // TE_TARGET_PLAN_PLAN_H
