//===- FuseRequantize.cpp - from FP8 to FP8 in one launch -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FuseIntoCast.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#define DEBUG_TYPE "te-fuse-requantize"
namespace mlir::te {
#define GEN_PASS_DEF_FUSEREQUANTIZEPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
struct FuseRequantizePass
    : te::impl::FuseRequantizePassBase<FuseRequantizePass> {
  using Base::Base;
  void runOnOperation() override {
    getOperation().walk([&](QuantizeOp op) {
      if (auto from = op.getInput().getDefiningOp<DequantizeOp>())
        fuse(op, from);
    });
  }

private:
  void fuse(QuantizeOp op, DequantizeOp from);
  bool canFuse(QuantizeOp op, DequantizeOp from);

  Remarks remarks{DEBUG_TYPE, "FuseRequantize"};
};

/// What the rows and scales of the two add to the conditions of every cast.
bool FuseRequantizePass::canFuse(QuantizeOp op, DequantizeOp from) {
  if (cast<RankedTensorType>(op.getInput().getType()).getRank() != 2) {
    remarks.missed(op, "its input is packed: {0}", op.getInput().getType());
    return false;
  }
  if (from.getOffsets() == op.getOffsets())
    return true;
  // Rows that the dequantize leaves out, but the quantize casts, hold nothing.
  if (from.getOffsets()) {
    remarks.missed(op, "te.dequantize has other groups");
    return false;
  }
  ScalesAttr encoding = getScalesEncoding(from.getScales().getType());
  if (encoding.getGroups() ||
      (!encoding.isTensor() && encoding.getRows() > 1)) {
    remarks.missed(op, "te.dequantize has no groups, and scales of {0}",
                   from.getScales().getType());
    return false;
  }
  return true;
}

void FuseRequantizePass::fuse(QuantizeOp op, DequantizeOp from) {
  if (!canFuse(op, from) || !canFuseIntoCast(op, remarks))
    return;
  OpBuilder builder(op);
  CastTypes types(op);
  Type via = cast<RankedTensorType>(op.getInput().getType()).getElementType();
  auto fused = RequantizeOp::create(
      builder, builder.getFusedLoc({op.getLoc(), from.getLoc()}), types.values,
      types.scales, types.valuesT, types.scalesT, types.amaxOut,
      from.getValues(), from.getScales(), op.getScale(), op.getAmax(),
      op.getOffsets(), via, op.getPow2Scales(), op.getEpsilon());
  replaceByFusedCast(op, fused, remarks);
  ++numFused;
}
} // namespace
