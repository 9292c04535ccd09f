//===- Pipelines.h - from a program to a lowered one ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_PIPELINES_PIPELINES_H
#define TE_PIPELINES_PIPELINES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"

namespace mlir::te {

/// What te-optimize does only when asked for. But for the budget, bits of results
/// may change.
struct OptimizeOptions : PassPipelineOptions<OptimizeOptions> {
  Option<int64_t> memoryBudget{
      *this, "memory-budget",
      llvm::cl::desc("Compute tensors again where the arena would have more "
                     "bytes than this (te-recompute); 0 is any number"),
      llvm::cl::init(0)};
  Option<bool> requantizeColumnwise{
      *this, "requantize-columnwise",
      llvm::cl::desc("Cast rows before they travel also where they are cast "
                     "columnwise, from FP8 rows then (changes values)"),
      llvm::cl::init(false)};
  Option<bool> deriveAlignment{
      *this, "derive-alignment",
      llvm::cl::desc("Pad rows of experts no further than their readers need "
                     "(te-derive-alignment: reassociates)"),
      llvm::cl::init(false)};
  Option<bool> removeDoubleQuantization{
      *this, "remove-double-quantization",
      llvm::cl::desc("Leave rows that are FP8 already as they are "
                     "(te-remove-double-quantization: equal values)"),
      llvm::cl::init(false)};
};

/// te-optimize: the rewrites of the te dialect, on a module.
void buildOptimizePipeline(OpPassManager &pm,
                           const OptimizeOptions &options = {});

/// What te-lower does beyond lowering.
struct LowerOptions : PassPipelineOptions<LowerOptions> {
  Option<bool> overwriteZeros{
      *this, "overwrite-zeros",
      llvm::cl::desc("Take the first micro-batch out of the loop where it can "
                     "write sums, rather than add to zeros (te-overwrite-zeros)"),
      llvm::cl::init(false)};
  Option<std::string> products{
      *this, "products",
      llvm::cl::desc("How a GPU makes products: own, library or cost "
                     "(te-choose-products)"),
      llvm::cl::init("cost")};
};

/// te-lower: te to te_rt with planned memory, on a module.
void buildLowerPipeline(OpPassManager &pm, const LowerOptions &options = {});

/// te-compile: te-optimize, then te-lower with all options.
void buildCompilePipeline(OpPassManager &pm,
                          const OptimizeOptions &options = {});

/// Registers the three by these names, te-fuse-permute-pad-quantize, and the
/// passes on pipelines.
void registerTEPipelines();

#define GEN_PASS_DECL
#include "te/Pipelines/Passes.h.inc"

} // namespace mlir::te

#endif // TE_PIPELINES_PIPELINES_H
