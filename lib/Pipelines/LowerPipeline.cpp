//===- LowerPipeline.cpp - te-lower ---------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Conversion/TEToTERuntime/Passes.h"
#include "te/Dialect/TE/Transforms/Passes.h"
#include "te/Dialect/TERuntime/IR/TERuntime.h"
#include "te/Dialect/TERuntime/Transforms/Passes.h"
#include "te/Pipelines/Pipelines.h"

#include "mlir/Pass/PassManager.h"

using namespace mlir;

void te::buildLowerPipeline(OpPassManager &pm, const LowerOptions &options) {
  // Here and not in te-optimize, which would see two bodies of one loop the next time.
  if (options.overwriteZeros)
    pm.nest<func::FuncOp>().addPass(createOverwriteZerosPass());
  pm.addPass(te::createConvertTEToTERuntimePass());
  OpPassManager &functions = pm.nest<func::FuncOp>();
  // By the types and views of buffers, so not before there are some.
  functions.addPass(te_rt::createChooseProductsPass({options.products}));
  functions.addPass(te_rt::createPlanMemoryPass());
  // What runs later trusts the plan blindly, and checking it is cheap.
  functions.addPass(te_rt::createVerifyMemoryPlanPass());
}
