//===- FuseIntoCast.cpp - casts that make their input themselves ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FuseIntoCast.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::te;

te::CastTypes::CastTypes(QuantizeOp op) {
  auto typeOf = [](Value value) { return value ? value.getType() : Type(); };
  values = typeOf(op.getValues());
  scales = typeOf(op.getScales());
  valuesT = typeOf(op.getValuesT());
  scalesT = typeOf(op.getScalesT());
  amaxOut = typeOf(op.getAmaxOut());
}

Value te::getKnownDestination(QuantizeOp op) {
  // Not one that holds nothing, a constant, or the amax that a fused cast may
  // overwrite too.
  for (Value destination : op.getOuts())
    if (!destination.getDefiningOp<tensor::EmptyOp>() &&
        !matchPattern(destination, m_Constant()) && destination != op.getAmax())
      return destination;
  return {};
}

std::string te::getUnfusableReason(QuantizeOp op) {
  Value scales = op.getScales() ? op.getScales() : op.getScalesT();
  if (getScalesEncoding(scales.getType()).isNVFP4())
    return "scales of NVFP4 need the amax of all rows first";
  return op.getSquareBlocks() ? "it has square_blocks" : "";
}

bool te::canFuseIntoCast(QuantizeOp op, const Remarks &remarks) {
  Operation *producer = op.getInput().getDefiningOp();
  StringRef name = producer->getName().getStringRef();
  if (std::string reason = getUnfusableReason(op); !reason.empty()) {
    remarks.missed(op, "{0}", reason);
    return false;
  }
  if (op.getMember()) {
    remarks.missed(op, "it casts member {0} alone", *op.getMember());
    return false;
  }
  if (op.getNoop()) {
    remarks.missed(op, "its noop flag would skip the {0} too", name);
    return false;
  }
  if (Value destination = getKnownDestination(op)) {
    remarks.missed(op, "it has a destination, of type {0}",
                   destination.getType());
    return false;
  }
  if (producer->getBlock() != op->getBlock()) {
    remarks.missed(op, "the {0} stands in another block", name);
    return false;
  }
  if (!op.getInput().hasOneUse()) {
    remarks.missed(op, "the rows of {0} have {1} readers, not 1", name,
                   op.getInput().getNumUses());
    return false;
  }
  return true;
}

void te::replaceByFusedCast(QuantizeOp op, Operation *fused,
                            const Remarks &remarks) {
  Operation *producer = op.getInput().getDefiningOp();
  remarks.passed(fused, Saving().removed(producer).removed(op).added(fused));
  fused->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  op->replaceAllUsesWith(fused->getResults().take_front(op->getNumResults()));
  op->erase();
  producer->erase();
}

QuantizeOp te::createDirection(QuantizeOp op, OpBuilder &builder, Value input,
                               Type values, Type scales, bool columnwise,
                               Value groups) {
  auto cast = QuantizeOp::create(
      builder, op.getLoc(), columnwise ? Type() : values,
      columnwise ? Type() : scales, columnwise ? values : Type(),
      columnwise ? scales : Type(), /*amax_out=*/Type(), /*tensor_amax=*/Type(),
      /*tensor_amax_t=*/Type(), input, op.getScale(), /*amax=*/Value(),
      /*noop=*/Value(), groups, /*rng=*/Value(), /*outs=*/ValueRange(),
      /*member=*/IntegerAttr(), op.getPow2ScalesAttr(),
      /*square_blocks=*/UnitAttr(), /*hadamard=*/UnitAttr(),
      op.getRngStreamAttr(), op.getEpsilonAttr(), /*variant=*/StringAttr());
  cast->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  return cast;
}
