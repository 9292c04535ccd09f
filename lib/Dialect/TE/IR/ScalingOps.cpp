//===- ScalingOps.cpp - amaxes, and the scales they give ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

using namespace mlir;
using namespace mlir::te;

/// `results` are of the types of `operands`, of which there is at least one.
static LogicalResult verifyLists(Operation *op, StringRef countLabel,
                                 StringRef typeLabel, StringRef operandName,
                                 ValueRange operands, StringRef resultName,
                                 ValueRange results) {
  if (operands.empty())
    return op->emitOpError()
           << "(" << countLabel << ") there must be at least one "
           << operandName << ", but got 0";
  if (operands.size() != results.size())
    return op->emitOpError()
           << "(" << countLabel << ") there must be " << operands.size() << " "
           << resultName << ", but got " << results.size();
  for (auto [operand, result] : llvm::zip(operands, results))
    if (failed(wantType(op, typeLabel, resultName, result.getType(),
                        operand.getType())))
      return failure();
  return success();
}

static LogicalResult verifyMax(Operation *op, StringRef label,
                               const APFloat &max) {
  return want(op, label, "fp8_max", max.convertToDouble() > 0, "above 0",
              max.convertToDouble());
}

//===----------------------------------------------------------------------===//
// AmaxOp
//===----------------------------------------------------------------------===//

LogicalResult AmaxOp::verify() {
  RankedTensorType input = tensorType(getInput());
  if (input.getRank() != 2 && (input.getRank() != 3 || getOffsets()))
    return emitOpError("(A1) input must have rank 2, or 3 without groups, but "
                       "got ")
           << input;
  SmallVector<int64_t> shape(input.getShape().drop_back(2));
  if (getOffsets() && !getMember())
    shape.push_back(getNumGroups(getOffsets()));
  return wantShape(*this, "A2", "amax", tensorType(getAmax()), shape);
}

Value AmaxOp::getGroupOffsets() { return getOffsets(); }
std::optional<int64_t> AmaxOp::getGroupMember() { return getMember(); }
bool AmaxOp::isMemberResult(OpResult) { return true; }

Operation *AmaxOp::formGroup(OpBuilder &builder, ArrayRef<Operation *> members,
                             ValueRange) {
  return create(builder, getLoc(),
                MemberOp::getPackedType(tensorType(getAmax()), members.size()),
                getInput(), getDeviceOffsets(getOffsets()), IntegerAttr());
}

OpCost AmaxOp::getCost() {
  return getMemoryBoundCost(*this, getQuantizeClass(getInput()));
}

RuntimeCall AmaxOp::getRuntimeCall() {
  using Slot = RuntimeSlot;
  return {"amax",
          {Slot::in(getInput()), Slot::in(getOffsets()), Slot::out(getAmax())},
          {Builder(getContext()).getI64IntegerAttr(getMember().value_or(-1))}};
}

//===----------------------------------------------------------------------===//
// AllReduceOp
//===----------------------------------------------------------------------===//

LogicalResult AllReduceOp::verify() {
  return verifyLists(*this, "R1", "R2", "input", getInputs(), "outputs",
                     getOutputs());
}

unsigned AllReduceOp::getNumSlots() { return getInputs().size(); }

OpCost AllReduceOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Communication);
}

RuntimeCall AllReduceOp::getRuntimeCall() {
  using Slot = RuntimeSlot;
  return {"all_reduce",
          {Slot::in(ValueRange(getInputs())),
           Slot::out(ValueRange(getOutputs())).orInPlaceOf(0)},
          {}};
}

//===----------------------------------------------------------------------===//
// ScaleFromAmaxOp
//===----------------------------------------------------------------------===//

LogicalResult ScaleFromAmaxOp::verify() {
  if (failed(verifyLists(*this, "F1", "F2", "amax", getAmax(), "scales",
                         getScale())) ||
      failed(verifyMax(*this, "F3", getFp8Max())))
    return failure();
  double epsilon = getEpsilon().convertToDouble();
  return want(*this, "F3", "epsilon", epsilon >= 0, "at least 0", epsilon);
}

unsigned ScaleFromAmaxOp::getNumSlots() { return getAmax().size(); }

OpCost ScaleFromAmaxOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::UpdateScales);
}

RuntimeCall ScaleFromAmaxOp::getRuntimeCall() {
  Builder b(getContext());
  using Slot = RuntimeSlot;
  return {"scale_from_amax",
          {Slot::in(ValueRange(getAmax())),
           Slot::out(ValueRange(getScale())).orInPlaceOf(0)},
          {b.getF64FloatAttr(getFp8Max().convertToDouble()),
           b.getI64IntegerAttr(getPow2Scales()),
           b.getF64FloatAttr(getEpsilon().convertToDouble())}};
}

//===----------------------------------------------------------------------===//
// UpdateScalesOp
//===----------------------------------------------------------------------===//

LogicalResult UpdateScalesOp::verify() {
  if (getScale().empty())
    return emitOpError("(U1) there must be at least one slot, but got 0");
  if (getHistoryOut().size() != getScale().size())
    return emitOpError("(U1) each list must have ")
           << getScale().size() << " entries, but got "
           << getHistoryOut().size();
  for (auto [amax, history, scale, historyOut, scaleOut] :
       llvm::zip(getAmax(), getHistory(), getScale(), getHistoryOut(),
                 getScaleOut())) {
    if (failed(wantType(*this, "U2", "amax", amax.getType(), scale.getType())))
      return failure();
    RankedTensorType historyType = tensorType(history);
    if (historyType.getRank() != tensorType(scale).getRank() + 1 ||
        historyType.getShape().drop_back() != tensorType(scale).getShape() ||
        historyType.getShape().back() < 1)
      return emitOpError("(U2) history must have the shape of scale and one "
                         "more dimension of at least 1, but got ")
             << historyType << " for " << scale.getType();
    if (failed(wantType(*this, "U3", "history_out", historyOut.getType(),
                        history.getType())) ||
        failed(wantType(*this, "U3", "scale_out", scaleOut.getType(),
                        scale.getType())))
      return failure();
  }
  if (failed(verifyMax(*this, "U4", getFp8Max())))
    return failure();
  // Beyond, the runtime's powers of two are none of F32.
  int64_t margin = getMargin();
  return want(*this, "U5", "margin", margin >= -64 && margin <= 64,
              "from -64 to 64", margin);
}

unsigned UpdateScalesOp::getNumSlots() { return getScale().size(); }

OpCost UpdateScalesOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::UpdateScales);
}

RuntimeCall UpdateScalesOp::getRuntimeCall() {
  Builder b(getContext());
  using Slot = RuntimeSlot;
  return {"update_scales",
          {Slot::in(ValueRange(getAmax())), Slot::in(ValueRange(getHistory())),
           Slot::in(ValueRange(getScale())),
           Slot::out(ValueRange(getHistoryOut())).orInPlaceOf(1),
           Slot::out(ValueRange(getScaleOut())).orInPlaceOf(2)},
          {b.getF64FloatAttr(getFp8Max().convertToDouble()),
           b.getI64IntegerAttr(getMargin()),
           b.getI64IntegerAttr(getAlgorithm() == AmaxAlgorithm::MostRecent)}};
}
