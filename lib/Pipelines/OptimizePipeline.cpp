//===- OptimizePipeline.cpp - te-optimize ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Pipelines/Pipelines.h"

#include "mlir/Pass/PassManager.h"

using namespace mlir;

void te::buildOptimizePipeline(OpPassManager &) {}
