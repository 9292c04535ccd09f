//===- FusedCastOps.cpp - casts of what the op makes itself ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cast.h"
#include "Verify.h"

using namespace mlir;
using namespace mlir::te;
using Slot = RuntimeSlot;

//===----------------------------------------------------------------------===//
// What they share
//===----------------------------------------------------------------------===//

constexpr static CastLabels kRequantizeLabels = CastLabels::of("E4", "E4");
constexpr static CastLabels kPermuteLabels = CastLabels::of("F5", "F5");

/// The groups that one launch casts: at least one, known on the device.
static LogicalResult verifyDeviceGroups(Operation *op, StringRef label,
                                        Value offsets) {
  RankedTensorType type = tensorType(offsets);
  if (type.getRank() == 1 && type.getDimSize(0) >= 2 && !isOnHost(type))
    return success();
  return op->emitOpError() << "(" << label
                           << ") offsets must be a vector of at "
                           << "least two values on the device, but got "
                           << type;
}

/// Slots of the results of a cast, whose amax may be that of slot `amax`.
template <typename OpTy>
static void addResultSlots(OpTy op, unsigned amax, RuntimeCall &call) {
  call.slots.append({Slot::out(op.getValues()), Slot::out(op.getScales()),
                     Slot::out(op.getValuesT()), Slot::out(op.getScalesT()),
                     Slot::out(op.getAmaxOut()).orInPlaceOf(amax)});
}

template <typename OpTy>
static void addCastScalars(OpTy op, RuntimeCall &call) {
  Builder b(op.getContext());
  call.scalars.append({b.getI64IntegerAttr(op.getPow2Scales()),
                       b.getF64FloatAttr(op.getEpsilon().convertToDouble())});
}

template <typename OpTy> static Value getResultData(OpTy op, Value scales) {
  if (scales == op.getScales())
    return op.getValues();
  return scales == op.getScalesT() ? Value(op.getValuesT()) : Value();
}

template <typename OpTy> static OpCost getFusedCost(OpTy op) {
  Value scales = op.getScales(), scalesT = op.getScalesT();
  return getCastCost(
      op, op.getInput(),
      getNumLaunches(bool(op.getScale()), asRange(scales), asRange(scalesT)));
}

//===----------------------------------------------------------------------===//
// RequantizeOp
//===----------------------------------------------------------------------===//

LogicalResult RequantizeOp::verify() {
  if (failed(verifyDirections(*this, "E1", getValues(), getScales(),
                              getValuesT(), getScalesT())))
    return failure();
  RankedTensorType input = tensorType(getInput());
  if (input.getRank() != 2)
    return emitOpError("(E2) input must have rank 2, but got ") << input;
  if (!getVia().isBF16() && !getVia().isF32())
    return emitOpError("(E2) via must be bf16 or f32, but got ") << getVia();
  if (getOffsets() && failed(verifyDeviceGroups(*this, "E4", getOffsets())))
    return failure();
  if (failed(wantScales(*this, "E3", "E3", "input_scales",
                        tensorType(getInputScales()), input)))
    return failure();
  ScalesAttr encoding = getScalesEncoding(getInputScales().getType());
  if (encoding.isNVFP4())
    return emitOpError("(E3) input of ")
           << input.getElementType() << " must have no blocks of 1 x 16, "
           << "but got " << encoding;
  int64_t groups = getOffsets() ? getNumGroups(getOffsets()) : 0;
  int64_t wanted = !encoding.isTensor() && encoding.getRows() == 1 ? 0 : groups;
  if (encoding.getGroups() != wanted &&
      !(encoding.isTensor() && encoding.getGroups() == 0))
    return emitOpError("(E3) input_scales must have ")
           << wanted << " groups, but got " << encoding.getGroups();
  return verifyCast(
      *this, kRequantizeLabels,
      castOf(*this, RankedTensorType::get(input.getShape(), getVia())));
}

SmallVector<ScaleLayout> RequantizeOp::getOperandLayouts(OpOperand &operand,
                                                         TargetAttr) {
  return getDequantizableLayouts(operand.get().getType());
}

SmallVector<ScaleLayout> RequantizeOp::getResultLayouts(OpResult result,
                                                        TargetAttr) {
  return getWritableLayouts(result);
}

Value RequantizeOp::getScaledData(Value scales) {
  return scales == getInputScales() ? getInput() : getResultData(*this, scales);
}

OpCost RequantizeOp::getCost() { return getFusedCost(*this); }

RuntimeCall RequantizeOp::getRuntimeCall() {
  RuntimeCall call{"requantize",
                   {Slot::in(getInput()), Slot::in(getInputScales()),
                    Slot::in(getScale()), Slot::in(getAmax()),
                    Slot::in(getOffsets())},
                   {}};
  addResultSlots(*this, /*amax=*/3, call);
  call.scalars.push_back(
      Builder(getContext()).getI64IntegerAttr(getVia().isBF16()));
  addCastScalars(*this, call);
  return call;
}

//===----------------------------------------------------------------------===//
// PermuteQuantizeOp
//===----------------------------------------------------------------------===//

/// How many rows are cast, as the data of either direction tells.
static int64_t getCapacity(PermuteQuantizeOp op) {
  if (op.getValues())
    return tensorType(op.getValues()).getDimSize(0);
  RankedTensorType data = tensorType(op.getValuesT());
  ScalesAttr encoding = getScalesEncoding(op.getScalesT().getType());
  bool asInput = encoding && isUntransposed(encoding);
  return data.getDimSize(asInput ? 0 : data.getRank() - 1);
}

LogicalResult PermuteQuantizeOp::verify() {
  if (failed(verifyDirections(*this, "F1", getValues(), getScales(),
                              getValuesT(), getScalesT())))
    return failure();
  RankedTensorType input = tensorType(getInput());
  RankedTensorType map = tensorType(getRowMap());
  if (input.getRank() != 2)
    return emitOpError("(F2) input must have rank 2, but got ") << input;
  if (map.getRank() != 2 || map.getDimSize(0) != input.getDimSize(0))
    return emitOpError("(F2) row_map must have rank 2 and the ")
           << input.getDimSize(0) << " rows of input, but got " << map;
  if (failed(verifyDeviceGroups(*this, "F3", getOffsets())))
    return failure();
  if (getCounts() &&
      failed(wantShape(*this, "F3", "counts", tensorType(getCounts()),
                       {getNumGroups(getOffsets())})))
    return failure();
  for (Value data : {Value(getValues()), Value(getValuesT())})
    if (data && tensorType(data).getRank() != 2)
      return emitOpError("(F5) the data of each direction must have rank 2, "
                         "but got ")
             << data.getType();
  int64_t capacity = getCapacity(*this);
  if (failed(verifyProbs(*this, "F4", getProbs(), map.getShape(), getOutProbs(),
                         {capacity})))
    return failure();
  return verifyCast(
      *this, kPermuteLabels,
      castOf(*this, input.clone({capacity, input.getDimSize(1)})));
}

SmallVector<ScaleLayout> PermuteQuantizeOp::getResultLayouts(OpResult result,
                                                             TargetAttr) {
  return getWritableLayouts(result);
}

Value PermuteQuantizeOp::getScaledData(Value scales) {
  return getResultData(*this, scales);
}

OpCost PermuteQuantizeOp::getCost() { return getFusedCost(*this); }

RuntimeCall PermuteQuantizeOp::getRuntimeCall() {
  RuntimeCall call{"permute_quantize",
                   {Slot::in(getInput()), Slot::in(getProbs()),
                    Slot::in(getRowMap()), Slot::in(getScale()),
                    Slot::in(getAmax()), Slot::in(getOffsets()),
                    Slot::in(getCounts())},
                   {}};
  addResultSlots(*this, /*amax=*/4, call);
  call.slots.push_back(Slot::out(getOutProbs()));
  addCastScalars(*this, call);
  return call;
}
