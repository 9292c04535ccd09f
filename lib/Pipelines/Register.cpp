//===- Register.cpp - the pipelines by name -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TE/Transforms/Passes.h"
#include "te/Pipelines/Pipelines.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace {
using namespace mlir::te;
#define GEN_PASS_REGISTRATION
#include "te/Pipelines/Passes.h.inc"
} // namespace

void te::buildCompilePipeline(OpPassManager &pm,
                              const OptimizeOptions &options) {
  buildOptimizePipeline(pm, options);
  LowerOptions lowering;
  lowering.overwriteZeros = true;
  buildLowerPipeline(pm, lowering);
}

/// Padding first moves into te.permute, which then takes the cast along.
static void buildFusePermutePadQuantize(OpPassManager &pm) {
  OpPassManager &functions = pm.nest<func::FuncOp>();
  functions.addPass(te::createShareOffsetsPass());
  functions.addPass(te::createFusePermutePadPass());
  functions.addPass(te::createGroupGemmsPass());
  functions.addPass(te::createFusePermuteQuantizePass());
}

void te::registerTEPipelines() {
  registerTEPipelinesPasses();
  PassPipelineRegistration<OptimizeOptions>(
      "te-optimize", "The rewrites of expert layers, in their order",
      buildOptimizePipeline);
  PassPipelineRegistration<>(
      "te-fuse-permute-pad-quantize",
      "te-fuse-permute-pad and te-fuse-permute-quantize, with what they need "
      "in front",
      buildFusePermutePadQuantize);
  PassPipelineRegistration<LowerOptions>(
      "te-lower",
      "From the te dialect to calls of the runtime, with "
      "all memory planned",
      buildLowerPipeline);
  PassPipelineRegistration<OptimizeOptions>(
      "te-compile", "te-optimize, then te-lower", buildCompilePipeline);
}
