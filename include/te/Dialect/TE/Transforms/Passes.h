//===- Passes.h - rewrites of the te dialect --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_PASSES_H
#define TE_DIALECT_TE_TRANSFORMS_PASSES_H

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::te {

#define GEN_PASS_DECL
#include "te/Dialect/TE/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "te/Dialect/TE/Transforms/Passes.h.inc"

} // namespace mlir::te

#endif // TE_DIALECT_TE_TRANSFORMS_PASSES_H
