//===- ShareOffsets.cpp - offsets computed once ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "te/Dialect/TE/IR/TE.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Dominance.h"
#include "llvm/ADT/MapVector.h"

#define DEBUG_TYPE "te-share-offsets"
namespace mlir::te {
#define GEN_PASS_DEF_SHAREOFFSETSPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
/// Ops of one operand and one result that give the same, by the operand and
/// the alignment (0 where the op has none).
using Equals =
    llvm::MapVector<std::pair<Value, uint64_t>, SmallVector<Operation *>>;

struct ShareOffsetsPass : te::impl::ShareOffsetsPassBase<ShareOffsetsPass> {
  using Base::Base;
  void runOnOperation() override;

private:
  void replace(Operation *op, Value by);
  void shareAmong(ArrayRef<Operation *> ops, DominanceInfo &dominance);

  Remarks remarks{DEBUG_TYPE, "ShareOffsets"};
};
} // namespace

void ShareOffsetsPass::replace(Operation *op, Value by) {
  remarks.passed(op, Saving().removed(op));
  op->getResult(0).replaceAllUsesWith(by);
  op->erase();
  ++numShared;
}

/// Keeps the first op, where it dominates the others; else where their operand
/// is defined.
void ShareOffsetsPass::shareAmong(ArrayRef<Operation *> ops,
                                  DominanceInfo &dominance) {
  Operation *first = ops.front();
  if (!llvm::all_of(ops.drop_front(), [&](Operation *op) {
        return dominance.properlyDominates(first, op);
      })) {
    Value operand = first->getOperand(0);
    if (Operation *def = operand.getDefiningOp())
      first->moveAfter(def);
    else
      first->moveBefore(&operand.getParentBlock()->front());
  }
  for (Operation *op : ops.drop_front())
    replace(op, first->getResult(0));
}

void ShareOffsetsPass::runOnOperation() {
  auto &dominance = getAnalysis<DominanceInfo>();
  Equals offsets;
  getOperation().walk([&](ComputeOffsetsOp op) {
    offsets[{op.getCounts(), op.getAlignment()}].push_back(op);
  });
  for (auto &[key, ops] : offsets) {
    auto [counts, alignment] = key;
    auto map = counts.getDefiningOp<RoutingMapOp>();
    if (map && map.getAlignment() == alignment) {
      for (Operation *op : ops)
        replace(op, map.getOffsets());
    } else if (ops.size() > 1) {
      shareAmong(ops, dominance);
    } else {
      remarks.missed(ops.front(),
                     "no other offsets of these counts have alignment {0}",
                     alignment);
    }
  }

  // Of equal offsets the host now reads equal values.
  Equals reads;
  getOperation().walk(
      [&](ToHostOp op) { reads[{op.getOffsets(), 0}].push_back(op); });
  for (auto &[key, ops] : reads)
    if (ops.size() > 1)
      shareAmong(ops, dominance);
}
