//===- FuseActivationQuantize.cpp - casts where their input is made -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Knows no activation: which result an op can write quantized, and the op that
// does so, is told by QuantizingOpInterface.
//
//===----------------------------------------------------------------------===//

#include "FuseIntoCast.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "llvm/ADT/SetVector.h"

#define DEBUG_TYPE "te-fuse-activation-quantize"
namespace mlir::te {
#define GEN_PASS_DEF_FUSEACTIVATIONQUANTIZEPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
struct FuseActivationQuantizePass
    : te::impl::FuseActivationQuantizePassBase<FuseActivationQuantizePass> {
  using Base::Base;
  void runOnOperation() override;

private:
  bool isLegal(QuantizingOpInterface producer, QuantizeOp quantize);
  Operation *findPlace(QuantizingOpInterface producer, QuantizeOp quantize,
                       DominanceInfo &dominance);
  void fuse(QuantizingOpInterface producer, QuantizeOp quantize,
            Operation *place);

  /// Leaves a remark at `op` and returns false.
  template <typename... Args>
  bool missed(Operation *op, const char *reason, Args &&...args) {
    remarks.missed(op, reason, std::forward<Args>(args)...);
    return false;
  }

  Remarks remarks{DEBUG_TYPE, "FuseActivationQuantize"};
};

/// The first of the destinations that hold something, which a fused op would
/// not write into; none if all may be left out.
std::optional<unsigned> findKeptDestination(QuantizeOp quantize) {
  for (auto [i, out] : llvm::enumerate(quantize.getOuts())) {
    bool isOwnAmax = quantize->getResult(i) == quantize.getAmaxOut() &&
                     out == quantize.getAmax();
    if (!isOwnAmax && !out.getDefiningOp<tensor::EmptyOp>())
      return i;
  }
  return std::nullopt;
}
} // namespace

bool FuseActivationQuantizePass::isLegal(QuantizingOpInterface producer,
                                         QuantizeOp quantize) {
  StringRef name = producer->getName().getStringRef();
  if (std::string reason = getUnfusableReason(quantize); !reason.empty())
    return missed(quantize, "{0}", reason);
  for (Operation *user : quantize.getInput().getUsers())
    if (user != quantize)
      return missed(quantize, "the result of {0} is also read by {1}", name,
                    user->getName());
  if (producer->getBlock() != quantize->getBlock())
    return missed(quantize,
                  "{0} stands in another block (outside of a loop or branch)",
                  name);
  if (quantize.getMember())
    return missed(quantize, "member {0} is cast, but {1} writes all",
                  *quantize.getMember(), name);
  if (producer.getRowGroups() != quantize.getOffsets())
    return missed(quantize, "the groups cast are not those that {0} writes",
                  name);
  if (quantize.getNoop())
    return missed(quantize, "the noop flag may keep what was cast before");
  if (std::optional<unsigned> out = findKeptDestination(quantize))
    return missed(quantize,
                  "destination {0} is memory to write into, of which {1} "
                  "knows none",
                  *out, name);
  return true;
}

/// Where the cast stands, or, if some other result of the producer is read
/// before that, where the producer stands; null if the cast's operands are not
/// known there.
Operation *FuseActivationQuantizePass::findPlace(QuantizingOpInterface producer,
                                                 QuantizeOp quantize,
                                                 DominanceInfo &dominance) {
  bool readBefore = llvm::any_of(producer->getUsers(), [&](Operation *user) {
    return dominance.properlyDominates(
        quantize->getBlock()->findAncestorOpInBlock(*user), quantize);
  });
  if (!readBefore)
    return quantize;
  bool known = llvm::all_of(quantize->getOperands(), [&](Value operand) {
    return operand == quantize.getInput() ||
           dominance.properlyDominates(operand, producer);
  });
  return known ? producer.getOperation() : nullptr;
}

void FuseActivationQuantizePass::fuse(QuantizingOpInterface producer,
                                      QuantizeOp quantize, Operation *place) {
  OpBuilder builder(place);
  Operation *fused = producer.formQuantized(builder, quantize);
  fused->setDiscardableAttrs(quantize->getDiscardableAttrDictionary());
  OpResult input = producer.getQuantizableResult();
  unsigned next = 0;
  for (Value result : quantize->getResults())
    result.replaceAllUsesWith(fused->getResult(next++));
  for (OpResult result : producer->getResults())
    if (result != input)
      result.replaceAllUsesWith(fused->getResult(next++));

  remarks.passed(fused,
                 Saving().removed(producer).removed(quantize).added(fused));
  llvm::SmallSetVector<Operation *, 4> empties;
  for (Value out : quantize.getOuts())
    if (auto empty = out.getDefiningOp<tensor::EmptyOp>())
      empties.insert(empty);
  quantize.erase();
  producer.erase();
  for (Operation *empty : empties)
    if (empty->use_empty())
      empty->erase();
  ++numFused;
}

void FuseActivationQuantizePass::runOnOperation() {
  auto &dominance = getAnalysis<DominanceInfo>();
  SmallVector<QuantizeOp> casts;
  getOperation().walk([&](QuantizeOp op) { casts.push_back(op); });
  for (QuantizeOp quantize : casts) {
    auto producer = quantize.getInput().getDefiningOp<QuantizingOpInterface>();
    if (!producer || producer.getQuantizableResult() != quantize.getInput() ||
        !isLegal(producer, quantize))
      continue;
    if (Operation *place = findPlace(producer, quantize, dominance))
      fuse(producer, quantize, place);
    else
      missed(quantize,
             "another result of {0} is read before the operands of the cast "
             "are known",
             producer->getName());
  }
}
