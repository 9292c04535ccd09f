//===- NormBeforeMove.cpp - normalizes rows before they are copied --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Mine.h"

#include "mlir/IR/Remarks.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace {
constexpr llvm::StringLiteral kName = "mine-norm-before-move";

/// norm(move(x)) -> move(norm(x)), for any op that moves rows.
struct NormBeforeMove : OpRewritePattern<mine::RmsNormOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(mine::RmsNormOp op,
                                PatternRewriter &rewriter) const override {
    auto move = op.getInput().getDefiningOp<te::RowMoveOpInterface>();
    if (!move)
      return rewriter.notifyMatchFailure(op, "no move of rows makes the input");
    auto options = remark::RemarkOpts::name("NormBeforeMove").category(kName);
    auto missed = [&](const char *why) {
      remark::missed(op.getLoc(), options) << remark::reason("{0}", why);
      return rewriter.notifyMatchFailure(op, why);
    };
    OpOperand *rows = move.getMovedOperand(cast<OpResult>(op.getInput()));
    if (!rows)
      return missed("its rows come from no operand");
    if (!op.getInput().hasOneUse())
      return missed("somebody else reads the rows as they are");
    int64_t before =
        cast<RankedTensorType>(rows->get().getType()).getDimSize(0);
    int64_t after = op.getOutput().getType().getDimSize(0);
    if (before > after)
      return missed("the move leaves fewer rows than it is given");

    rewriter.setInsertionPoint(move);
    Value norm = mine::RmsNormOp::create(rewriter, op.getLoc(), rows->get(),
                                         op.getEpsilonAttr());
    rewriter.modifyOpInPlace(move, [&] { rows->set(norm); });
    rewriter.replaceOp(op, op.getInput());
    remark::passed(op.getLoc(), options)
        << remark::metric("RowsSaved", after - before);
    return success();
  }
};

struct NormBeforeMovePass
    : PassWrapper<NormBeforeMovePass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NormBeforeMovePass)

  llvm::StringRef getArgument() const override { return kName; }
  llvm::StringRef getDescription() const override {
    return "Normalizes tokens before they are copied to experts. Exact.";
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<NormBeforeMove>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

void mine::registerPasses() { PassRegistration<NormBeforeMovePass>(); }
