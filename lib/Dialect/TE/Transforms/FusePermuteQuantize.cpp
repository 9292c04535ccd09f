//===- FusePermuteQuantize.cpp - tokens to experts in FP8 -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FuseIntoCast.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/IR/Dominance.h"

#define DEBUG_TYPE "te-fuse-permute-quantize"
namespace mlir::te {
#define GEN_PASS_DEF_FUSEPERMUTEQUANTIZEPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
struct FusePermuteQuantizePass
    : te::impl::FusePermuteQuantizePassBase<FusePermuteQuantizePass> {
  using Base::Base;
  void runOnOperation() override {
    auto &dominance = getAnalysis<DominanceInfo>();
    getOperation().walk([&](QuantizeOp op) {
      if (auto from = op.getInput().getDefiningOp<PermuteOp>())
        fuse(op, from, dominance);
    });
  }

private:
  void fuse(QuantizeOp op, PermuteOp from, DominanceInfo &dominance);
  bool canFuse(QuantizeOp op, PermuteOp from, DominanceInfo &dominance);

  Remarks remarks{DEBUG_TYPE, "FusePermuteQuantize"};
};

/// What the rows of the two add to the conditions of every cast.
bool FusePermuteQuantizePass::canFuse(QuantizeOp op, PermuteOp from,
                                      DominanceInfo &dominance) {
  if (!op.getOffsets()) {
    remarks.missed(op, "it has no groups");
    return false;
  }
  if (from.getOffsets() && from.getOffsets() != op.getOffsets()) {
    remarks.missed(op, "te.permute pads other groups");
    return false;
  }
  // The probabilities are made where the cast stands.
  if (Value probs = from.getOutProbs())
    for (Operation *reader : probs.getUsers())
      if (!dominance.properlyDominates(op, reader)) {
        remarks.missed(op, "the probabilities are read by {0} before it",
                       reader->getName().getStringRef());
        return false;
      }
  return true;
}

void FusePermuteQuantizePass::fuse(QuantizeOp op, PermuteOp from,
                                   DominanceInfo &dominance) {
  if (!canFuseIntoCast(op, remarks) || !canFuse(op, from, dominance))
    return;
  OpBuilder builder(op);
  CastTypes types(op);
  Value outProbs = from.getOutProbs();
  bool hasProbs = outProbs && !outProbs.use_empty();
  auto fused = PermuteQuantizeOp::create(
      builder, builder.getFusedLoc({op.getLoc(), from.getLoc()}), types.values,
      types.scales, types.valuesT, types.scalesT, types.amaxOut,
      hasProbs ? outProbs.getType() : Type(), from.getInput(),
      hasProbs ? Value(from.getProbs()) : Value(), from.getRowMap(),
      op.getScale(), op.getAmax(), op.getOffsets(), from.getCounts(),
      op.getPow2Scales(), op.getEpsilon());
  if (hasProbs)
    outProbs.replaceAllUsesWith(fused.getOutProbs());
  replaceByFusedCast(op, fused, remarks);
  ++numFused;
}
} // namespace
