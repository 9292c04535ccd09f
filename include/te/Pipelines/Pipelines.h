//===- Pipelines.h - from a program to a lowered one ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_PIPELINES_PIPELINES_H
#define TE_PIPELINES_PIPELINES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::te {

/// te-optimize: the rewrites of the te dialect, on a module.
void buildOptimizePipeline(OpPassManager &pm);

/// te-lower: te to te_rt with planned memory, on a module.
void buildLowerPipeline(OpPassManager &pm);

/// te-compile: te-optimize, then te-lower.
void buildCompilePipeline(OpPassManager &pm);

/// Registers the three by these names, and the passes on pipelines.
void registerTEPipelines();

#define GEN_PASS_DECL
#include "te/Pipelines/Passes.h.inc"

} // namespace mlir::te

#endif // TE_PIPELINES_PIPELINES_H
