//===- Passes.h - passes that need to lower a program -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_PIPELINES_PASSES_H
#define TE_PIPELINES_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::te {

#define GEN_PASS_DECL
#include "te/Pipelines/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "te/Pipelines/Passes.h.inc"

} // namespace mlir::te

#endif // TE_PIPELINES_PASSES_H
