//===- Passes.h - memory plans ----------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TERUNTIME_TRANSFORMS_PASSES_H
#define TE_DIALECT_TERUNTIME_TRANSFORMS_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::te_rt {

#define GEN_PASS_DECL
#include "te/Dialect/TERuntime/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "te/Dialect/TERuntime/Transforms/Passes.h.inc"

} // namespace mlir::te_rt

#endif // TE_DIALECT_TERUNTIME_TRANSFORMS_PASSES_H
