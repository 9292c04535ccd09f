//===- ActivationOps.cpp - gated activations ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cast.h"
#include "Verify.h"

using namespace mlir;
using namespace mlir::te;
using Slot = RuntimeSlot;

/// `wide` is C x 2F and `narrow` C x F, of one element type.
static LogicalResult verifyGated(Operation *op, StringRef label,
                                 StringRef wideName, Value wide, Value narrow) {
  RankedTensorType type = tensorType(narrow);
  if (type.getRank() != 2)
    return op->emitOpError() << "(" << label << ") rows of F must have rank 2, "
                             << "but got " << type;
  return wantType(op, label, wideName, wide.getType(),
                  type.clone({type.getDimSize(0), 2 * type.getDimSize(1)}));
}

static LogicalResult verifyPerRow(Operation *op, StringRef label,
                                  StringRef name, Value vector, Value rows) {
  if (!vector)
    return success();
  return wantShape(op, label, name, tensorType(vector),
                   {tensorType(rows).getDimSize(0)});
}

/// The gradient of `probs`, where there is one, comes with them.
static LogicalResult verifyGradProbs(Operation *op, StringRef label,
                                     Value probs, Value gradProbs, Value rows) {
  if (gradProbs && !probs)
    return op->emitOpError()
           << "(" << label
           << ") grad_probs must come with probs, but got it alone";
  return verifyPerRow(op, label, "grad_probs", gradProbs, rows);
}

/// Offsets that a kernel reads.
static LogicalResult verifyOffsets(Operation *op, StringRef label,
                                   Value offsets) {
  if (!offsets)
    return success();
  RankedTensorType type = tensorType(offsets);
  return want(op, label, "offsets",
              type.getRank() == 1 && type.getDimSize(0) >= 2 && !isOnHost(type),
              "a vector of at least two in memory of the device", type);
}

static Type typeOf(Value value) { return value ? value.getType() : Type(); }

//===----------------------------------------------------------------------===//
// SwigluOp
//===----------------------------------------------------------------------===//

LogicalResult SwigluOp::verify() {
  if (failed(verifyGated(*this, "S1", "input", getInput(), getOutput())))
    return failure();
  return verifyPerRow(*this, "S2", "probs", getProbs(), getOutput());
}

OpCost SwigluOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Activation);
}

RuntimeCall SwigluOp::getRuntimeCall() {
  return {"swiglu",
          {Slot::in(getInput()), Slot::in(getProbs()), Slot::in(getOffsets()),
           Slot::out(getOutput())},
          {}};
}

OpResult SwigluOp::getQuantizableResult() {
  return cast<OpResult>(getOutput());
}
Value SwigluOp::getRowGroups() { return getOffsets(); }

Operation *SwigluOp::formQuantized(OpBuilder &builder, QuantizeOp &quantize) {
  return SwigluQuantizeOp::create(
      builder, quantize.getLoc(), typeOf(quantize.getValues()),
      typeOf(quantize.getScales()), typeOf(quantize.getValuesT()),
      typeOf(quantize.getScalesT()), typeOf(quantize.getAmaxOut()), getInput(),
      getProbs(), getOffsets(), quantize.getScale(), quantize.getAmax(),
      quantize.getPow2ScalesAttr(), quantize.getEpsilonAttr());
}

//===----------------------------------------------------------------------===//
// SwigluBackwardOp
//===----------------------------------------------------------------------===//

LogicalResult SwigluBackwardOp::verify() {
  if (failed(verifyGated(*this, "B1", "input", getInput(), getGrad())) ||
      failed(
          verifyGated(*this, "B1", "grad_input", getGradInput(), getGrad())) ||
      failed(verifyPerRow(*this, "B2", "probs", getProbs(), getGrad())))
    return failure();
  return verifyGradProbs(*this, "B3", getProbs(), getGradProbs(), getGrad());
}

OpCost SwigluBackwardOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Activation);
}

RuntimeCall SwigluBackwardOp::getRuntimeCall() {
  return {"swiglu_backward",
          {Slot::in(getGrad()), Slot::in(getInput()), Slot::in(getProbs()),
           Slot::in(getOffsets()), Slot::out(getGradInput()),
           Slot::out(getGradProbs())},
          {}};
}

OpResult SwigluBackwardOp::getQuantizableResult() {
  return cast<OpResult>(getGradInput());
}
Value SwigluBackwardOp::getRowGroups() { return getOffsets(); }

Operation *SwigluBackwardOp::formQuantized(OpBuilder &builder,
                                           QuantizeOp &quantize) {
  return SwigluBackwardQuantizeOp::create(
      builder, quantize.getLoc(), typeOf(quantize.getValues()),
      typeOf(quantize.getScales()), typeOf(quantize.getValuesT()),
      typeOf(quantize.getScalesT()), typeOf(quantize.getAmaxOut()),
      typeOf(getGradProbs()), getGrad(), getInput(), getProbs(), getOffsets(),
      quantize.getScale(), quantize.getAmax(), quantize.getPow2ScalesAttr(),
      quantize.getEpsilonAttr());
}

//===----------------------------------------------------------------------===//
// Activations that write FP8
//===----------------------------------------------------------------------===//

template <typename ActivationQuantizeOp>
static Value scaledDataOf(ActivationQuantizeOp op, Value scales) {
  if (scales == op.getScales())
    return op.getValues();
  return scales == op.getScalesT() ? Value(op.getValuesT()) : Value();
}

/// An activation that an amax needs first is computed once more for the cast.
template <typename ActivationQuantizeOp>
static OpCost costOf(ActivationQuantizeOp op, ValueRange inputs) {
  Value scales = op.getScales() ? op.getScales() : op.getScalesT();
  OpCost cost = getCastCost(
      op, inputs, getNumLaunches(bool(op.getScale()), scales, ValueRange()));
  cost.costClass = CostClass::ActivationQuantize;
  return cost;
}

/// The slots and scalars behind the operands of the activation itself: those
/// of a quantize, in its order.
template <typename ActivationQuantizeOp>
static RuntimeCall callOf(ActivationQuantizeOp op, StringRef function,
                          ArrayRef<Value> activation) {
  Builder b(op.getContext());
  RuntimeCall call = {function, {}, {}};
  for (Value operand : activation)
    call.slots.push_back(Slot::in(operand));
  call.slots.append({Slot::in(op.getProbs()), Slot::in(op.getOffsets()),
                     Slot::in(op.getScale()), Slot::in(op.getAmax())});
  unsigned amaxSlot = call.slots.size() - 1;
  call.slots.append({Slot::out(op.getValues()), Slot::out(op.getScales()),
                     Slot::out(op.getValuesT()), Slot::out(op.getScalesT()),
                     Slot::out(op.getAmaxOut()).orInPlaceOf(amaxSlot)});
  call.scalars = {b.getI64IntegerAttr(op.getPow2Scales()),
                  b.getF64FloatAttr(op.getEpsilon().convertToDouble())};
  return call;
}

LogicalResult SwigluQuantizeOp::verify() {
  RankedTensorType input = getInput().getType();
  if (failed(want(*this, "SQ1", "input",
                  input.getRank() == 2 && input.getDimSize(1) % 2 == 0,
                  "a matrix of an even number of columns", input)))
    return failure();
  Cast cast = castOf(
      *this, input.clone({input.getDimSize(0), input.getDimSize(1) / 2}));
  if (failed(verifyPerRow(*this, "SQ2", "probs", getProbs(), getInput())) ||
      failed(verifyOffsets(*this, "SQ3", getOffsets())) ||
      failed(verifyDirections(*this, "SQ4", getValues(), getScales(),
                              getValuesT(), getScalesT())))
    return failure();
  return verifyCast(*this, CastLabels::of("SQ5", "SQ6"), cast);
}

SmallVector<ScaleLayout> SwigluQuantizeOp::getResultLayouts(OpResult result,
                                                            TargetAttr) {
  return getWritableLayouts(result);
}
Value SwigluQuantizeOp::getScaledData(Value scales) {
  return scaledDataOf(*this, scales);
}
OpCost SwigluQuantizeOp::getCost() { return costOf(*this, getInput()); }
RuntimeCall SwigluQuantizeOp::getRuntimeCall() {
  return callOf(*this, "swiglu_quantize", {getInput()});
}

LogicalResult SwigluBackwardQuantizeOp::verify() {
  if (failed(verifyGated(*this, "BQ1", "input", getInput(), getGrad())))
    return failure();
  Cast cast = castOf(*this, getInput().getType());
  if (failed(verifyPerRow(*this, "BQ2", "probs", getProbs(), getGrad())) ||
      failed(verifyGradProbs(*this, "BQ3", getProbs(), getGradProbs(),
                             getGrad())) ||
      failed(verifyOffsets(*this, "BQ4", getOffsets())) ||
      failed(verifyDirections(*this, "BQ5", getValues(), getScales(),
                              getValuesT(), getScalesT())))
    return failure();
  return verifyCast(*this, CastLabels::of("BQ6", "BQ7"), cast);
}

SmallVector<ScaleLayout>
SwigluBackwardQuantizeOp::getResultLayouts(OpResult result, TargetAttr) {
  return getWritableLayouts(result);
}
Value SwigluBackwardQuantizeOp::getScaledData(Value scales) {
  return scaledDataOf(*this, scales);
}
OpCost SwigluBackwardQuantizeOp::getCost() {
  return costOf(*this, {getGrad(), getInput()});
}
RuntimeCall SwigluBackwardQuantizeOp::getRuntimeCall() {
  RuntimeCall call =
      callOf(*this, "swiglu_backward_quantize", {getGrad(), getInput()});
  call.slots.push_back(Slot::out(getGradProbs()));
  return call;
}
