//===- QuantizeOps.cpp - casts and their scales ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cast.h"
#include "Verify.h"

using namespace mlir;
using namespace mlir::te;

constexpr static CastLabels kQuantizeLabels = {
    "Q2", "Q3", "Q4", "Q5", "Q6", "Q7", "Q8", "Q9", "Q11", "Q12", "Q13", "Q15"};
constexpr static CastLabels kMultiLabels = CastLabels::of("M3", "M2");

//===----------------------------------------------------------------------===//
// QuantizeOp
//===----------------------------------------------------------------------===//

/// Stochastic rounding, and the transform of columnwise data.
static LogicalResult verifyRandomAndTransform(QuantizeOp op) {
  bool rowwise = op.getValues() && isFP4(tensorType(op.getValues()));
  bool columnwise = op.getValuesT() && isFP4(tensorType(op.getValuesT()));
  Type input = tensorType(op.getInput()).getElementType();
  if (op.getRng()) {
    if (!rowwise && !columnwise)
      return op.emitOpError("(Q14) rng must stand with values of f4E2M1FN, "
                            "but got none");
    if (failed(wantShape(op, "Q14", "rng", tensorType(op.getRng()), {2})))
      return failure();
  }
  if (int64_t(op.getRngStream()) < 0 || (op.getRngStream() && !op.getRng()))
    return op.emitOpError("(Q14) rng_stream must be at least 0, and 0 without "
                          "rng, but got ")
           << int64_t(op.getRngStream());
  if (op.getHadamard() && (!columnwise || !input.isBF16()))
    return op.emitOpError("(Q16) hadamard must stand with columnwise values of "
                          "f4E2M1FN and an input of bf16, but got ")
           << (columnwise ? op.getInput().getType()
                          : op.getResults().front().getType());
  return success();
}

LogicalResult QuantizeOp::verify() {
  if (failed(verifyDirections(*this, "Q1", getValues(), getScales(),
                              getValuesT(), getScalesT())))
    return failure();
  int64_t rank = tensorType(getInput()).getRank();
  if (rank != 2 && (rank != 3 || getOffsets()))
    return emitOpError("(Q3) input must have rank 2, or 3 without groups, but "
                       "got ")
           << getInput().getType();
  if (getNoop() && getOuts().empty())
    return emitOpError("(Q10) noop needs destinations, but got none");
  // Before the amaxes of a tensor, of which they have others.
  if (getVariant())
    return emitOpError("(Q17) variant must be absent: the NVFP4 variants "
                       "row_scaled and 4over6 are not supported, but got ")
           << getVariantAttr();
  if (failed(
          verifyCast(*this, kQuantizeLabels,
                     {tensorType(getInput()), getScale(), getAmax(),
                      getOffsets(), bool(getMember()), getValues(), getScales(),
                      getValuesT(), getScalesT(), getAmaxOut(), getPow2Scales(),
                      getEpsilon().convertToDouble(), getTensorAmax(),
                      getTensorAmaxT(), getSquareBlocks()})))
    return failure();
  return verifyRandomAndTransform(*this);
}

/// Those of a cast that may be to FP4.
static SmallVector<Usage> getCastUsages() {
  return {{"rowwise", {0, 1, 5}, true},
          {"columnwise", {2, 3, 6}, true},
          {"amax_out", {4}, false}};
}

SmallVector<Usage> QuantizeOp::getUsages() { return getCastUsages(); }
void QuantizeOp::forgetUsage(StringRef usage) {
  if (usage == "amax_out")
    getAmaxMutable().clear();
  if (usage == "columnwise") // which it is of alone
    setHadamard(false);
}

MutableOperandRange QuantizeOp::getDestinations() { return getOutsMutable(); }
bool QuantizeOp::readsDestinations() { return getMember() || getNoop(); }
Value QuantizeOp::getGroupOffsets() { return getOffsets(); }
std::optional<int64_t> QuantizeOp::getGroupMember() { return getMember(); }

SmallVector<ScaleLayout> QuantizeOp::getResultLayouts(OpResult result,
                                                      TargetAttr) {
  return getWritableLayouts(result);
}

Value QuantizeOp::getScaledData(Value scales) {
  if (scales == getScales())
    return getValues();
  return scales == getScalesT() ? Value(getValuesT()) : Value();
}

StringRef QuantizeOp::getMemberOperandName(OpOperand &operand) {
  if (isAmong(getScaleMutable(), operand))
    return "scale";
  return isAmong(getAmaxMutable(), operand) ? "amax" : "";
}

bool QuantizeOp::isMemberResult(OpResult result) {
  return result == getAmaxOut();
}

Operation *QuantizeOp::formGroup(OpBuilder &builder,
                                 ArrayRef<Operation *> members,
                                 ValueRange destinations) {
  auto pack = [&](auto get) -> Value {
    if (!get(*this))
      return {};
    SmallVector<Value> values;
    for (Operation *member : members)
      values.push_back(get(cast<QuantizeOp>(member)));
    return packMembers(builder, getLoc(), values);
  };
  Value scale = pack([](QuantizeOp op) { return op.getScale(); });
  Value amax = pack([](QuantizeOp op) { return op.getAmax(); });
  SmallVector<Value> outs(destinations);
  if (amax) {
    unsigned number = cast<OpResult>(getAmaxOut()).getResultNumber();
    outs[number] =
        pack([=](QuantizeOp op) -> Value { return op.getOuts()[number]; });
  }
  auto typeOf = [](Value value) { return value ? value.getType() : Type(); };
  return create(builder, getLoc(), typeOf(getValues()), typeOf(getScales()),
                typeOf(getValuesT()), typeOf(getScalesT()), typeOf(amax),
                typeOf(getTensorAmax()), typeOf(getTensorAmaxT()), getInput(),
                scale, amax, getNoop(), getDeviceOffsets(getOffsets()),
                getRng(), outs, IntegerAttr(), getPow2ScalesAttr(),
                getSquareBlocksAttr(), getHadamardAttr(), getRngStreamAttr(),
                getEpsilonAttr(), getVariantAttr());
}

OpCost QuantizeOp::getCost() {
  Value scales = getScales(), scalesT = getScalesT();
  return getCastCost(
      *this, getInput(),
      getNumLaunches(bool(getScale()), asRange(scales), asRange(scalesT)));
}

RuntimeCall QuantizeOp::getRuntimeCall() {
  Builder b(getContext());
  using Slot = RuntimeSlot;
  return {"quantize",
          {Slot::in(getInput()), Slot::in(getScale()), Slot::in(getAmax()),
           Slot::in(getNoop()), Slot::in(getOffsets()), Slot::in(getRng()),
           Slot::out(getValues()), Slot::out(getScales()),
           Slot::out(getValuesT()), Slot::out(getScalesT()),
           Slot::out(getAmaxOut()).orInPlaceOf(2), Slot::out(getTensorAmax()),
           Slot::out(getTensorAmaxT())},
          {b.getI64IntegerAttr(getMember().value_or(-1)),
           b.getI64IntegerAttr(getPow2Scales()),
           b.getI64IntegerAttr(getSquareBlocks()),
           b.getI64IntegerAttr(getHadamard()), getRngStreamAttr(),
           b.getF64FloatAttr(getEpsilon().convertToDouble())}};
}

//===----------------------------------------------------------------------===//
// MultiCastTransposeOp
//===----------------------------------------------------------------------===//

LogicalResult MultiCastTransposeOp::verify() {
  size_t count = getInputs().size();
  if (count == 0)
    return emitOpError("(M1) inputs must have at least one entry, but got 0");
  const std::pair<StringRef, size_t> lists[] = {
      {"scale", getScale().size()},
      {"amax", getAmax().size()},
      {"values", getValues().size()},
      {"scales", getScales().size()},
      {"values_t", getValuesT().size()},
      {"scales_t", getScalesT().size()},
      {"amax_out", getAmaxOut().size()},
      {"tensor_amax", getTensorAmax().size()},
      {"tensor_amax_t", getTensorAmaxT().size()}};
  for (auto [name, size] : lists)
    if (size != 0 && size != count)
      return emitOpError("(M1) ") << name << " must be empty or have " << count
                                  << " entries, but got " << size;
  if (getValues().empty() && getValuesT().empty())
    return emitOpError("(M3) at least one of the rowwise and columnwise "
                       "results must be asked for, but got none");
  if (getValues().size() != getScales().size() ||
      getValuesT().size() != getScalesT().size())
    return emitOpError("(M3) values and scales must come together, but got "
                       "one of them alone");
  if (getNoop() && getOuts().empty())
    return emitOpError("(M5) noop needs destinations, but got none");

  auto at = [](auto range, size_t i) {
    return range.empty() ? Value() : Value(range[i]);
  };
  for (size_t i = 0; i < count; ++i) {
    int64_t rank = tensorType(getInputs()[i]).getRank();
    if (rank != 2 && rank != 3)
      return emitOpError("(M3) inputs must have rank 2 or 3, but got ")
             << getInputs()[i].getType();
    if (failed(verifyCast(*this, kMultiLabels,
                          {tensorType(getInputs()[i]), at(getScale(), i),
                           at(getAmax(), i), Value(), false, at(getValues(), i),
                           at(getScales(), i), at(getValuesT(), i),
                           at(getScalesT(), i), at(getAmaxOut(), i),
                           getPow2Scales(), getEpsilon().convertToDouble(),
                           at(getTensorAmax(), i), at(getTensorAmaxT(), i),
                           getSquareBlocks()})))
      return failure();
  }
  // One launch knows one scheme.
  auto element = [](Value value) { return tensorType(value).getElementType(); };
  for (ValueRange list : {ValueRange(getInputs()), ValueRange(getValues()),
                          ValueRange(getValuesT())})
    for (auto [i, value] : llvm::enumerate(list))
      if (failed(wantType(*this, "M4",
                          ("the element type of entry " + Twine(i)).str(),
                          element(value), element(list.front()))))
        return failure();
  for (ValueRange list : {ValueRange(getScales()), ValueRange(getScalesT())})
    for (auto [i, value] : llvm::enumerate(list))
      if (getScalesEncoding(value.getType()) !=
          getScalesEncoding(list.front().getType()))
        return emitOpError("(M4) scales of entry ")
               << i << " must be " << getScalesEncoding(list.front().getType())
               << ", but got " << getScalesEncoding(value.getType());
  return success();
}

SmallVector<Usage> MultiCastTransposeOp::getUsages() { return getCastUsages(); }

MutableOperandRange MultiCastTransposeOp::getDestinations() {
  return getOutsMutable();
}
bool MultiCastTransposeOp::readsDestinations() { return bool(getNoop()); }

SmallVector<ScaleLayout> MultiCastTransposeOp::getResultLayouts(OpResult result,
                                                                TargetAttr) {
  return getWritableLayouts(result);
}

/// (M4) makes the entries of a list one.
OpResult MultiCastTransposeOp::getTiedLayoutResult(OpResult result) {
  for (ValueRange list : {ValueRange(getScales()), ValueRange(getScalesT())})
    if (llvm::is_contained(list, result))
      return cast<OpResult>(list.front());
  return {};
}

Value MultiCastTransposeOp::getScaledData(Value scales) {
  for (auto [values, of] : llvm::zip(getValues(), getScales()))
    if (of == scales)
      return values;
  for (auto [values, of] : llvm::zip(getValuesT(), getScalesT()))
    if (of == scales)
      return values;
  return {};
}

OpCost MultiCastTransposeOp::getCost() {
  return getCastCost(
      *this, getInputs(),
      getNumLaunches(!getScale().empty(), getScales(), getScalesT()));
}

RuntimeCall MultiCastTransposeOp::getRuntimeCall() {
  Builder b(getContext());
  using Slot = RuntimeSlot;
  return {
      "multi_cast_transpose",
      {Slot::in(ValueRange(getInputs())), Slot::in(ValueRange(getScale())),
       Slot::in(ValueRange(getAmax())), Slot::in(getNoop()),
       Slot::out(ValueRange(getValues())), Slot::out(ValueRange(getScales())),
       Slot::out(ValueRange(getValuesT())), Slot::out(ValueRange(getScalesT())),
       Slot::out(ValueRange(getAmaxOut())).orInPlaceOf(2),
       Slot::out(ValueRange(getTensorAmax())),
       Slot::out(ValueRange(getTensorAmaxT()))},
      {b.getI64IntegerAttr(getPow2Scales()),
       b.getI64IntegerAttr(getSquareBlocks()),
       b.getF64FloatAttr(getEpsilon().convertToDouble())}};
}

//===----------------------------------------------------------------------===//
// DequantizeOp
//===----------------------------------------------------------------------===//

LogicalResult DequantizeOp::verify() {
  if (failed(wantScales(*this, "D1", "D2", "scales", tensorType(getScales()),
                        tensorType(getValues()))))
    return failure();
  RankedTensorType values = tensorType(getValues());
  if (failed(wantShape(*this, "D3", "output", tensorType(getOutput()),
                       values.getShape())))
    return failure();
  ScalesAttr encoding = getScalesEncoding(getScales().getType());
  if (isFP4(values) != encoding.isNVFP4() ||
      isFP4(values) != bool(getTensorAmax()))
    return emitOpError("(D4) values of f4E2M1FN must have blocks of 1 x 16 and "
                       "an amax, others neither, but got ")
           << values.getElementType() << " with " << encoding << " and "
           << (getTensorAmax() ? "an amax" : "none");
  if (!getTensorAmax())
    return success();
  SmallVector<int64_t> perGroup(values.getShape().drop_back(2));
  if (getOffsets())
    perGroup.push_back(getNumGroups(getOffsets()));
  return wantShape(*this, "D4", "tensor_amax", tensorType(getTensorAmax()),
                   perGroup);
}

SmallVector<ScaleLayout> DequantizeOp::getOperandLayouts(OpOperand &operand,
                                                         TargetAttr) {
  return getDequantizableLayouts(operand.get().getType());
}

Value DequantizeOp::getScaledData(Value) { return getValues(); }

OpCost DequantizeOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Dequantize);
}

RuntimeCall DequantizeOp::getRuntimeCall() {
  using Slot = RuntimeSlot;
  return {"dequantize",
          {Slot::in(getValues()), Slot::in(getScales()),
           Slot::in(getTensorAmax()), Slot::in(getOffsets()),
           Slot::out(getOutput())},
          {}};
}

//===----------------------------------------------------------------------===//
// AdvanceRngOp
//===----------------------------------------------------------------------===//

LogicalResult AdvanceRngOp::verify() {
  ArrayRef<int64_t> shape = tensorType(getRng()).getShape();
  if (failed(want(*this, "AR1", "rng",
                  !shape.empty() && shape.size() <= 2 && shape.back() == 2,
                  "of the shape 2 or N x 2", getRng().getType())))
    return failure();
  return want(*this, "AR2", "by", int64_t(getBy()) >= 0, "at least 0",
              int64_t(getBy()));
}

OpCost AdvanceRngOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Other);
}

RuntimeCall AdvanceRngOp::getRuntimeCall() {
  using Slot = RuntimeSlot;
  return {"advance_rng",
          {Slot::in(getRng()), Slot::out(getOutput()).orInPlaceOf(0)},
          {getByAttr()}};
}
