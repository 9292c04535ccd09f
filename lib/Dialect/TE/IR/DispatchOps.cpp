//===- DispatchOps.cpp - rows between ranks -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

using namespace mlir;
using namespace mlir::te;
using Slot = RuntimeSlot;

LogicalResult DispatchMapOp::verify() {
  if (failed(want(*this, "X1", "ranks", int64_t(getRanks()) > 0, "above 0",
                  int64_t(getRanks()))) ||
      failed(want(*this, "X1", "num_experts", int64_t(getNumExperts()) > 0,
                  "above 0", int64_t(getNumExperts()))))
    return failure();
  if (!isMatrix(getIndices()))
    return emitOpError("(X2) indices must have rank 2, but got ")
           << getIndices().getType();
  ArrayRef<int64_t> shape = tensorType(getIndices()).getShape();
  int64_t ranks = getRanks();
  if (failed(wantShape(*this, "X2", "handle", tensorType(getHandle()),
                       {shape[0], ranks})))
    return failure();
  return wantShape(*this, "X3", "recv_indices", tensorType(getRecvIndices()),
                   {shape[0] * ranks, shape[1]});
}

OpCost DispatchMapOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Communication);
}

RuntimeCall DispatchMapOp::getRuntimeCall() {
  Builder b(getContext());
  return {
      "dispatch_map",
      {Slot::in(getIndices()), Slot::out(getHandle()),
       Slot::out(getRecvIndices())},
      {b.getI64IntegerAttr(getRanks()), b.getI64IntegerAttr(getNumExperts())}};
}

/// Each tensor of `tokens` has a row for each of `handle`, and the one of
/// `received` R times as many.
static LogicalResult verifyExchange(Operation *op, StringRef countLabel,
                                    StringRef shapeLabel, Value handle,
                                    ValueRange tokens, ValueRange received,
                                    StringRef tokenName,
                                    StringRef receivedName) {
  if (tokens.empty() || tokens.size() != received.size())
    return op->emitOpError()
           << "(" << countLabel
           << ") there must be as many outputs as inputs, at "
              "least one, but got "
           << op->getNumResults() << " for " << op->getNumOperands() - 1;
  if (!isMatrix(handle))
    return op->emitOpError()
           << "(" << shapeLabel << ") handle must have rank 2, but got "
           << handle.getType();
  ArrayRef<int64_t> map = tensorType(handle).getShape();
  for (auto [token, row] : llvm::zip(tokens, received)) {
    RankedTensorType type = tensorType(token);
    ScalesAttr encoding = getScalesEncoding(type);
    bool isPadded = encoding && encoding.hasByteScales();
    auto padded = [&](int64_t rows) {
      return isPadded ? int64_t(llvm::alignTo(rows, 128)) : rows;
    };
    if (type.getRank() < 1 || type.getDimSize(0) != padded(map[0]))
      return op->emitOpError()
             << "(" << shapeLabel << ") " << tokenName << " must have the "
             << padded(map[0]) << " rows of handle, but got " << type;
    SmallVector<int64_t> shape(type.getShape());
    shape[0] = padded(map[0] * map[1]);
    if (failed(wantType(op, shapeLabel, receivedName, row.getType(),
                        type.clone(shape))))
      return failure();
  }
  return success();
}

LogicalResult DispatchOp::verify() {
  for (Value input : getInputs())
    if (ScalesAttr encoding = getScalesEncoding(input.getType()))
      if (encoding.getLayout() != ScaleLayout::Compact ||
          encoding.getRows() != 1)
        return emitOpError("(Y3) scales must have compact blocks one row high, "
                           "but got ")
               << input.getType();
  return verifyExchange(*this, "Y1", "Y2", getHandle(), getInputs(),
                        getOutputs(), "input", "output");
}

SmallVector<ScaleLayout> DispatchOp::getOperandLayouts(OpOperand &operand,
                                                       TargetAttr) {
  if (getScalesEncoding(operand.get().getType()))
    return {ScaleLayout::Compact};
  return {};
}

SmallVector<ScaleLayout> DispatchOp::getResultLayouts(OpResult result,
                                                      TargetAttr) {
  if (getScalesEncoding(result.getType()))
    return {ScaleLayout::Compact};
  return {};
}

SmallVector<OpOperand *> DispatchOp::getTiedLayoutOperands(OpResult result) {
  return {&getInputsMutable()[result.getResultNumber()]};
}

OpCost DispatchOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Communication);
}

RuntimeCall DispatchOp::getRuntimeCall() {
  return {"dispatch",
          {Slot::in(getHandle()), Slot::in(ValueRange(getInputs())),
           Slot::out(ValueRange(getOutputs()))},
          {}};
}

LogicalResult CombineOp::verify() {
  for (Value input : getInputs())
    if (!isa<BFloat16Type, Float32Type>(tensorType(input).getElementType()))
      return emitOpError("(Z2) inputs must be bf16 or f32, but got ")
             << input.getType();
  return verifyExchange(*this, "Z1", "Z2", getHandle(), getOutputs(),
                        getInputs(), "output", "input");
}

OpCost CombineOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Communication);
}

RuntimeCall CombineOp::getRuntimeCall() {
  return {"combine",
          {Slot::in(getHandle()), Slot::in(ValueRange(getInputs())),
           Slot::out(ValueRange(getOutputs()))},
          {}};
}
