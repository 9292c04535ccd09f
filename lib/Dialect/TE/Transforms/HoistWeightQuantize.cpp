//===- HoistWeightQuantize.cpp - casts weights once in a step -------------===//
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
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

#define DEBUG_TYPE "te-hoist-weight-quantize"
namespace mlir::te {
#define GEN_PASS_DEF_HOISTWEIGHTQUANTIZEPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
const Remarks &getRemarks() {
  static const Remarks remarks(DEBUG_TYPE, "HoistWeightQuantize");
  return remarks;
}

/// "noop", "destination" and so on: what `operand` is of a cast.
StringRef getRole(OpOperand &operand) {
  static constexpr StringLiteral quantize[] = {
      "input", "scale", "amax", "noop", "offsets", "rng", "destination"};
  static constexpr StringLiteral multi[] = {"input", "scale", "amax", "noop",
                                            "destination"};
  unsigned position = operand.getOperandNumber();
  auto find = [&](auto op, ArrayRef<StringLiteral> roles) -> StringRef {
    for (unsigned list = 0; list < roles.size(); ++list) {
      auto [start, length] = op.getODSOperandIndexAndLength(list);
      if (position >= start && position < start + length)
        return roles[list];
    }
    return "operand";
  };
  if (auto op = dyn_cast<QuantizeOp>(operand.getOwner()))
    return find(op, quantize);
  return find(cast<MultiCastTransposeOp>(operand.getOwner()), multi);
}

/// The amax result that goes with an amax operand, or null for another operand.
OpResult getAmaxOut(OpOperand &operand) {
  if (getRole(operand) != "amax")
    return {};
  if (auto op = dyn_cast<QuantizeOp>(operand.getOwner()))
    return cast<OpResult>(op.getAmaxOut());
  auto op = cast<MultiCastTransposeOp>(operand.getOwner());
  return cast<OpResult>(
      op.getAmaxOut()[operand.getOperandNumber() -
                      op.getODSOperandIndexAndLength(2).first]);
}

/// The casts of one loop that can leave it.
class LoopCasts {
public:
  explicit LoopCasts(scf::ForOp loop) : loop(loop) {}

  /// Moves them; returns how many.
  unsigned hoist();

private:
  bool isInvariant(Value value);
  BlockArgument getIterArg(Value value);
  bool isOwnMaximum(BlockArgument argument);
  Value getNextMaximum(Value value);
  OpOperand *findVarying(Operation *op);
  void moveOut(Value value);
  void moveMaxima();

  scf::ForOp loop;
  llvm::DenseSet<Operation *> casts;
  /// The answers of isOwnMaximum for these casts.
  llvm::MapVector<BlockArgument, bool> ownMaximum;
};

/// Defined outside the loop, a view of such values, or made of nothing.
bool LoopCasts::isInvariant(Value value) {
  if (loop.isDefinedOutsideOfLoop(value))
    return true;
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != loop.getBody())
    return false;
  if (casts.contains(def))
    return true;
  return isa<MemberOp, PackOp, arith::ConstantOp, tensor::EmptyOp>(def) &&
         llvm::all_of(def->getOperands(),
                      [&](Value operand) { return isInvariant(operand); });
}

/// The iteration argument that `value` is, or a member at a constant of, or
/// null.
BlockArgument LoopCasts::getIterArg(Value value) {
  if (auto member = value.getDefiningOp<MemberOp>();
      member && member.getIndex())
    value = member.getPacked();
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument || argument.getOwner() != loop.getBody() ||
      argument == loop.getInductionVar())
    return {};
  return argument;
}

/// The amax that the one cast that reads `value`, as amax and as destination of
/// the new amax, makes of it; null if it is read otherwise.
Value LoopCasts::getNextMaximum(Value value) {
  OpResult next;
  for (OpOperand &use : value.getUses()) {
    OpResult out =
        casts.contains(use.getOwner()) ? getAmaxOut(use) : OpResult();
    if (out && next)
      return {};
    next = out ? out : next;
  }
  if (!next)
    return {};
  auto outs = cast<DestinationOpInterface>(next.getOwner()).getDestinations();
  for (OpOperand &use : value.getUses())
    if (!getAmaxOut(use) && (use.getOwner() != next.getOwner() ||
                             &outs[next.getResultNumber()] != &use))
      return {};
  return next;
}

/// Whether `argument`, or each member of it, is a maximum that casts alone, all
/// of which leave, read and make anew.
bool LoopCasts::isOwnMaximum(BlockArgument argument) {
  Value yielded = loop.getTiedLoopYieldedValue(argument)->get();
  auto pack = yielded.getDefiningOp<PackOp>();
  if (!pack)
    return yielded == getNextMaximum(argument);
  SmallVector<Value> next(pack.getInputs().size());
  for (Operation *user : argument.getUsers()) {
    auto member = dyn_cast<MemberOp>(user);
    if (!member || !member.getIndex() || next[*member.getIndex()])
      return false;
    next[*member.getIndex()] = getNextMaximum(member.getOutput());
  }
  return llvm::equal(next, pack.getInputs());
}

/// The first operand that keeps a cast in the loop, or null.
OpOperand *LoopCasts::findVarying(Operation *op) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (isInvariant(operand.get()))
      continue;
    BlockArgument argument = getIterArg(operand.get());
    StringRef role = getRole(operand);
    if (!argument || (role != "amax" && role != "destination"))
      return &operand;
    auto [it, isNew] = ownMaximum.insert({argument, false});
    if (isNew) {
      bool own = isOwnMaximum(argument);
      ownMaximum[argument] = own;
      it = ownMaximum.find(argument);
    }
    if (!it->second)
      return &operand;
  }
  return nullptr;
}

/// Moves what defines `value` in front of the loop.
void LoopCasts::moveOut(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != loop.getBody())
    return;
  for (Value operand : def->getOperands())
    moveOut(operand);
  def->moveBefore(loop);
}

/// Lets the casts begin with the initial values of their maxima: the arguments
/// become dead.
void LoopCasts::moveMaxima() {
  for (auto [argument, isOwn] : ownMaximum) {
    OpOperand *init = loop.getTiedLoopInit(argument);
    for (OpOperand &use : llvm::make_early_inc_range(argument.getUses())) {
      if (auto member = dyn_cast<MemberOp>(use.getOwner()))
        member->moveBefore(loop);
      use.set(init->get());
    }
  }
}

unsigned LoopCasts::hoist() {
  SmallVector<Operation *> candidates;
  for (Operation &op : *loop.getBody())
    if (isa<QuantizeOp, MultiCastTransposeOp>(op) &&
        isInvariant(op.getOperand(0))) {
      candidates.push_back(&op);
      casts.insert(&op);
    }
  if (candidates.empty())
    return 0;
  std::optional<APInt> trips = loop.getStaticTripCount();
  if (!trips || trips->isZero()) {
    for (Operation *op : candidates)
      getRemarks().missed(op, "the loop is not known to run at least once");
    return 0;
  }
  // A cast that stays keeps those that need its results, or share a packed
  // maximum with it.
  for (bool changed = true; changed;) {
    changed = false;
    ownMaximum.clear();
    for (Operation *&op : candidates)
      if (OpOperand *varying = findVarying(op)) {
        getRemarks().missed(op, "{0} varies in the loop", getRole(*varying));
        casts.erase(op);
        op = nullptr;
        changed = true;
      }
    llvm::erase(candidates, nullptr);
  }

  moveMaxima();
  for (Operation *op : candidates) {
    for (Value operand : op->getOperands())
      moveOut(operand);
    Saving saving;
    saving.removed(op);
    op->moveBefore(loop);
    getRemarks().passed(op, saving.added(op));
  }
  for (auto [argument, isOwn] : ownMaximum) {
    OpOperand *yielded = loop.getTiedLoopYieldedValue(argument);
    moveOut(yielded->get());
    // The loop carries the maximum round unchanged, and needs no initial one:
    // in a loop around it that one may be an argument too.
    loop.getTiedLoopInit(argument)->set(yielded->get());
    loop.getTiedLoopResult(argument).replaceAllUsesWith(yielded->get());
    yielded->set(argument);
  }
  return candidates.size();
}

struct HoistWeightQuantizePass
    : te::impl::HoistWeightQuantizePassBase<HoistWeightQuantizePass> {
  using Base::Base;
  void runOnOperation() override {
    // Inner loops first: what leaves one may leave the next.
    getOperation().walk(
        [&](scf::ForOp loop) { numHoisted += LoopCasts(loop).hoist(); });
  }
};
} // namespace
