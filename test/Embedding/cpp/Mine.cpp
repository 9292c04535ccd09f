//===- Mine.cpp - an op of mine, and a rewrite of it ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Mine.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "MineDialect.cpp.inc"
#define GET_OP_CLASSES
#include "Mine.cpp.inc"

using namespace mlir;

void mine::MineDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "Mine.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// What te asks of an op
//===----------------------------------------------------------------------===//

// The cost report counts it.
te::OpCost mine::SnapshotOp::getCost() {
  return te::getMemoryBoundCost(*this, te::CostClass::Copy);
}

// Layout assignment may give it any layout, the same on both sides.
SmallVector<te::ScaleLayout>
mine::SnapshotOp::getOperandLayouts(OpOperand &, te::TargetAttr) {
  return {te::ScaleLayout::Compact, te::ScaleLayout::GemmReady};
}
SmallVector<te::ScaleLayout>
mine::SnapshotOp::getResultLayouts(OpResult, te::TargetAttr) {
  return {te::ScaleLayout::Compact, te::ScaleLayout::GemmReady};
}
SmallVector<OpOperand *> mine::SnapshotOp::getTiedLayoutOperands(OpResult) {
  return {&getScalesMutable()};
}

// te-lower makes this call of it.
te::RuntimeCall mine::SnapshotOp::getRuntimeCall() {
  return {"copy",
          {te::RuntimeSlot::in(getScales()), te::RuntimeSlot::out(getCopy())},
          {}};
}

//===----------------------------------------------------------------------===//
// A rewrite
//===----------------------------------------------------------------------===//

namespace {
struct MergeSnapshots : OpRewritePattern<mine::SnapshotOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(mine::SnapshotOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getScales().getDefiningOp<mine::SnapshotOp>())
      return rewriter.notifyMatchFailure(op, "not of a snapshot");
    rewriter.replaceOp(op, op.getScales());
    return success();
  }
};

struct MergeSnapshotsPass
    : PassWrapper<MergeSnapshotsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(MergeSnapshotsPass)

  StringRef getArgument() const final { return "mine-merge-snapshots"; }
  void runOnOperation() final {
    RewritePatternSet patterns(&getContext());
    patterns.add<MergeSnapshots>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> mine::createMergeSnapshotsPass() {
  return std::make_unique<MergeSnapshotsPass>();
}
