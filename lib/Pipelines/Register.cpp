//===- Register.cpp - the pipelines by name -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Pipelines/Pipelines.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

void te::registerTEPipelines() {
  PassPipelineRegistration<>("te-optimize",
                             "The rewrites of expert layers, in their order",
                             buildOptimizePipeline);
}
