//===- OptimizePipeline.cpp - te-optimize ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TE/Transforms/Passes.h"
#include "te/Pipelines/Pipelines.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::te;

/// The rewrites that are done only when asked for.
struct Extras {
  bool deriveAlignment, removeDoubleQuantization;
  QuantizeBeforeMovePassOptions moves;
};

static void addRewrites(OpPassManager &pm, const Extras &extras) {
  // First, because it changes signatures, and because a group whose members are
  // one tensor is one operand for every pass below.
  pm.addPass(createPackParametersPass());
  OpPassManager &casts = pm.nest<func::FuncOp>();
  // Equal casts of one value are one, before casts are counted and moved.
  casts.addPass(createCSEPass());
  // Before fusion, so that a cast which has to stay in the loop keeps no other
  // there with it.
  casts.addPass(createHoistWeightQuantizePass());
  casts.addPass(createFuseMultiCastTransposePass());
  // Behind fusion, which lets the scales of all members change their layout as
  // one tensor; in front of the groups, so that each reads that tensor.
  casts.addPass(createRemoveScaleTransposesPass());
  // A workspace is swizzled if all functions agree.
  pm.addPass(createHoistSwizzlesPass());
  OpPassManager &functions = pm.nest<func::FuncOp>();
  // A group is known by the offsets that its members share.
  functions.addPass(createShareOffsetsPass());
  // Behind the layouts, so that scales go from te.permute to te.dequantize as
  // they are, and behind the shared offsets, whose readers it counts. In front
  // of the groups, which then form on the offsets that the map itself gives.
  functions.addPass(createFusePermutePadPass());
  functions.addPass(createGroupGemmsPass());
  // Once all readers are in their final form: what nobody reads, and what the
  // rewrites above left behind (iteration arguments, views).
  functions.addPass(createTrimUsagesPass());
  // Behind what trims, and what makes one row map of padding: nothing dead, and no
  // te.pad, then needs more than products do.
  if (extras.deriveAlignment)
    functions.addPass(createDeriveAlignmentPass());
  // Behind what trims, since a columnwise direction that nobody reads is no
  // obstacle; in front of what makes one op of a move and a cast. The layout in
  // which rows then arrive is chosen in the next round.
  functions.addPass(createQuantizeBeforeMovePass(extras.moves));
  // In front of what makes one op of the two casts.
  if (extras.removeDoubleQuantization)
    functions.addPass(createRemoveDoubleQuantizationPass());
  // Behind the groups, because a cast of one member cannot be fused, behind
  // padding, which then stands no longer between a cast and what moves its
  // rows, and behind what trims, so that nothing dead counts as a reader, and
  // no direction is written that nobody reads. Each looks for another op that
  // makes the input of a cast: their order is of no consequence.
  functions.addPass(createFuseActivationQuantizePass());
  functions.addPass(createFuseRequantizePass());
  functions.addPass(createFusePermuteQuantizePass());
  functions.addPass(createCanonicalizerPass());
  functions.addPass(createCSEPass());
}

void te::buildOptimizePipeline(OpPassManager &pm,
                               const OptimizeOptions &options) {
  Extras extras;
  extras.deriveAlignment = options.deriveAlignment;
  extras.removeDoubleQuantization = options.removeDoubleQuantization;
  if (options.requantizeColumnwise)
    extras.moves.columnwise = "requantize";
  // A rewrite may make room for one that stands in front of it: a layout that
  // changed gives two casts one scheme. On what is optimized already a round
  // costs little, as groups are few ops.
  pm.addPass(createCompositeFixedPointPass(
      "te-optimize",
      [extras](OpPassManager &round) { addRewrites(round, extras); }));
  // Last, since it counts what is left, and since what it makes twice is equal.
  if (options.memoryBudget)
    pm.addPass(createRecomputePass({options.memoryBudget}));
  // Behind what makes a cast a second time, which a product would be too dear for.
  // The fused op has no form that a rewrite above waits for.
  pm.addNestedPass<func::FuncOp>(createFuseProductActivationPass());
}
