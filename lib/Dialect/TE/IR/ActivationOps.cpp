//===- ActivationOps.cpp - gated activations ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

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

LogicalResult SwigluBackwardOp::verify() {
  if (failed(verifyGated(*this, "B1", "input", getInput(), getGrad())) ||
      failed(
          verifyGated(*this, "B1", "grad_input", getGradInput(), getGrad())) ||
      failed(verifyPerRow(*this, "B2", "probs", getProbs(), getGrad())))
    return failure();
  if (getGradProbs() && !getProbs())
    return emitOpError(
        "(B3) grad_probs must come with probs, but got it alone");
  return verifyPerRow(*this, "B3", "grad_probs", getGradProbs(), getGrad());
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
