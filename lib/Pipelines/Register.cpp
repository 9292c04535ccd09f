//===- Register.cpp - the pipelines by name -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

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
  buildLowerPipeline(pm);
}

void te::registerTEPipelines() {
  registerTEPipelinesPasses();
  PassPipelineRegistration<OptimizeOptions>(
      "te-optimize", "The rewrites of expert layers, in their order",
      buildOptimizePipeline);
  PassPipelineRegistration<>(
      "te-lower",
      "From the te dialect to calls of the runtime, with "
      "all memory planned",
      buildLowerPipeline);
  PassPipelineRegistration<OptimizeOptions>(
      "te-compile", "te-optimize, then te-lower", buildCompilePipeline);
}
