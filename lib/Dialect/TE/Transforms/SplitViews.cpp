//===- SplitViews.cpp - a view for each layout wanted of scales -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SplitViews.h"

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::te;

/// An op without a launch that looks at scales in another tensor.
static bool isViewOfScales(Operation *op) {
  auto cost = dyn_cast<CostOpInterface>(op);
  return cost && cost.getCost().launches == 0 && isPure(op) &&
         !isa<DestinationOpInterface>(op) && op->getNumResults() == 1 &&
         getScalesEncoding(op->getResult(0).getType());
}

SplitViews::SplitViews(Operation *root) {
  root->walk([&](Operation *op) {
    if (!isViewOfScales(op))
      return;
    auto isConverted = [](OpOperand &use) {
      return isa<ConvertScalesOp>(use.getOwner());
    };
    Value view = op->getResult(0);
    if (llvm::all_of(view.getUses(), isConverted) ||
        llvm::none_of(view.getUses(), isConverted))
      return;
    OpBuilder builder(op);
    builder.setInsertionPointAfter(op);
    Operation *other = builder.clone(*op);
    view.replaceUsesWithIf(other->getResult(0), isConverted);
    pairs.emplace_back(op, other);
  });
}

void SplitViews::merge() {
  for (auto [op, other] : pairs)
    if (op->getBlock() == other->getBlock() && op->isBeforeInBlock(other) &&
        op->getOperands() == other->getOperands() &&
        op->getResultTypes() == other->getResultTypes()) {
      other->replaceAllUsesWith(op);
      other->erase();
    }
}
