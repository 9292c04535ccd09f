//===- Mine.cpp - the op, and what te's passes ask of it ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Mine.h"

using namespace mlir;
using namespace mine;

#include "MineDialect.cpp.inc"
#define GET_OP_CLASSES
#include "Mine.cpp.inc"

void MineDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "Mine.cpp.inc"
      >();
}

LogicalResult RmsNormOp::verify() {
  if (getInput().getType().getRank() != 2)
    return emitOpError("(N1) input must have rank 2, but got ")
           << getInput().getType();
  if (!(getEpsilon().convertToDouble() > 0))
    return emitOpError("(N2) epsilon must be above 0, but got ")
           << getEpsilonAttr();
  return success();
}

/// One kernel, which reads the input and writes the output.
te::OpCost RmsNormOp::getCost() {
  return te::getMemoryBoundCost(*this, te::CostClass::Other);
}

/// te_rt_rms_norm(context, input, output, epsilon).
te::RuntimeCall RmsNormOp::getRuntimeCall() {
  return {
      "rms_norm",
      {te::RuntimeSlot::in(getInput()), te::RuntimeSlot::out(getOutput())},
      {Builder(getContext()).getF64FloatAttr(getEpsilon().convertToDouble())}};
}
