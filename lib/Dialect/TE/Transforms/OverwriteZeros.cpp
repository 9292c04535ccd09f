//===- OverwriteZeros.cpp - the first of a sum is written -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "te/Dialect/TE/IR/TE.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/MapVector.h"

#define DEBUG_TYPE "te-overwrite-zeros"
namespace mlir::te {
#define GEN_PASS_DEF_OVERWRITEZEROSPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
struct OverwriteZerosPass
    : te::impl::OverwriteZerosPassBase<OverwriteZerosPass> {
  using Base::Base;
  void runOnOperation() override;

private:
  scf::ForOp findLoop(DestinationOpInterface op);
  void overwrite(DestinationOpInterface op);
  void peel(scf::ForOp loop, ArrayRef<Operation *> ops);

  Remarks remarks{DEBUG_TYPE, "OverwriteZeros"};
};
} // namespace

/// Whether all elements of `value`, which may be a view, are zero.
static bool isZero(Value value) {
  while (auto member = value.getDefiningOp<MemberOp>())
    value = member.getPacked();
  return matchPattern(value, m_AnyZeroFloat());
}

/// The loop in whose first iteration the destinations of `op` hold zeros that
/// nobody else reads; null, with a remark, if there is none.
scf::ForOp OverwriteZerosPass::findLoop(DestinationOpInterface op) {
  auto missed = [&](const char *reason) {
    remarks.missed(op, reason);
    return scf::ForOp();
  };
  auto loop = dyn_cast<scf::ForOp>(op->getParentOp());
  for (OpOperand &destination : op.getDestinations()) {
    auto argument = dyn_cast<BlockArgument>(destination.get());
    OpOperand *init = loop && argument && argument.getOwner() == loop.getBody()
                          ? loop.getTiedLoopInit(argument)
                          : nullptr;
    if (!init || !isZero(init->get()))
      return missed("what it adds to is not known to be zero");
    if (!argument.hasOneUse())
      return missed("what it adds to has another reader");
  }
  std::optional<APInt> trips = loop.getStaticTripCount();
  if (!trips || trips->isZero() || !getConstantIntValue(loop.getLowerBound()) ||
      !getConstantIntValue(loop.getStep()))
    return missed("the loop is not known to run at least once");
  return loop;
}

void OverwriteZerosPass::overwrite(DestinationOpInterface op) {
  op.overwriteDestinations();
  ++numOverwritten;
  if (op.readsDestinations())
    return;
  OpBuilder builder(op);
  for (OpOperand &destination : op.getDestinations()) {
    auto type = cast<RankedTensorType>(destination.get().getType());
    destination.set(
        tensor::EmptyOp::create(builder, op.getLoc(), type.getShape(),
                                type.getElementType(), type.getEncoding()));
  }
}

/// Takes the first iteration out of `loop`; there, `ops` overwrite.
void OverwriteZerosPass::peel(scf::ForOp loop, ArrayRef<Operation *> ops) {
  IRRewriter rewriter(loop);
  SmallVector<Saving> savings(ops.size());
  for (auto [op, saving] : llvm::zip(ops, savings))
    saving.removed(op);
  IRMapping first;
  first.map(loop.getInductionVar(), loop.getLowerBound());
  first.map(loop.getRegionIterArgs(), loop.getInitArgs());
  for (Operation &op : loop.getBody()->without_terminator())
    rewriter.clone(op, first);
  SmallVector<Value> carried;
  for (Value yielded : loop.getYieldedValues())
    carried.push_back(first.lookupOrDefault(yielded));
  loop.getInitArgsMutable().assign(carried);
  loop.setLowerBound(arith::ConstantIndexOp::create(
      rewriter, loop.getLoc(),
      *getConstantIntValue(loop.getLowerBound()) +
          *getConstantIntValue(loop.getStep())));
  for (auto [op, saving] : llvm::zip(ops, savings)) {
    auto copy = cast<DestinationOpInterface>(first.lookup(op));
    overwrite(copy);
    remarks.passed(copy, saving.added(copy).added(op));
  }
  // None is left, or one: neither needs a loop.
  std::optional<APInt> trips = loop.getStaticTripCount();
  if (trips->isZero()) {
    rewriter.replaceOp(loop, loop.getInitArgs());
    return;
  }
  (void)loop.promoteIfSingleIteration(rewriter);
}

void OverwriteZerosPass::runOnOperation() {
  llvm::MapVector<scf::ForOp, SmallVector<Operation *>> loops;
  getOperation().walk([&](DestinationOpInterface op) {
    if (!op.addsToDestinations())
      return;
    if (llvm::all_of(op.getDestinations(), [](OpOperand &destination) {
          return isZero(destination.get());
        })) {
      Saving saving;
      saving.removed(op);
      overwrite(op);
      remarks.passed(op, saving.added(op));
    } else if (scf::ForOp loop = findLoop(op)) {
      loops[loop].push_back(op);
    }
  });
  for (auto &[loop, ops] : loops)
    peel(loop, ops);
}
