//===- Cast.cpp - what the ops that cast to FP8 share ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cast.h"
#include "Verify.h"

using namespace mlir;
using namespace mlir::te;

namespace {
SmallVector<int64_t> transposed(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> result(shape);
  std::swap(result[result.size() - 1], result[result.size() - 2]);
  return result;
}

/// Groups that `scales` must tell: those of the offsets where one scale, or a
/// grid of blocks along the rows of the input, belongs to a group.
LogicalResult verifyGroups(Operation *op, const CastLabels &labels,
                           StringRef name, Value scales, bool columnwise,
                           int64_t groups) {
  ScalesAttr encoding = getScalesEncoding(scales.getType());
  int64_t wanted = encoding.isTensor() || columnwise ? groups : 0;
  if (encoding.getGroups() == wanted)
    return success();
  return op->emitOpError() << "(" << labels.groups << ") " << name
                           << " must have " << wanted << " groups, but got "
                           << encoding.getGroups();
}
} // namespace

LogicalResult te::verifyCast(Operation *op, const CastLabels &labels,
                             const Cast &cast) {
  RankedTensorType input = cast.input;
  int64_t groups = cast.offsets ? getNumGroups(cast.offsets) : 0;
  // One value for each member of a group; a member op has its own alone.
  SmallVector<int64_t> perMember(input.getShape().drop_back(2));
  if (groups && !cast.isMember)
    perMember.push_back(groups);

  Value anyScales = cast.scales ? cast.scales : cast.scalesT;
  if (cast.values) {
    RankedTensorType values = tensorType(cast.values);
    if (failed(
            wantShape(op, labels.values, "values", values, input.getShape())) ||
        failed(wantScales(op, labels.encoding, labels.scales, "scales",
                          tensorType(cast.scales), values)) ||
        failed(verifyGroups(op, labels, "scales", cast.scales,
                            /*columnwise=*/false, groups)))
      return failure();
  }
  if (cast.valuesT) {
    RankedTensorType values = tensorType(cast.valuesT);
    ScalesAttr encoding = getScalesEncoding(cast.scalesT.getType());
    bool inPlace = encoding && isUntransposed(encoding);
    SmallVector<int64_t> shape = inPlace
                                     ? SmallVector<int64_t>(input.getShape())
                                     : transposed(input.getShape());
    if (failed(wantShape(op, labels.valuesT, "values_t", values, shape)) ||
        failed(wantScales(op, labels.encoding, labels.scalesT, "scales_t",
                          tensorType(cast.scalesT), values)) ||
        failed(verifyGroups(op, labels, "scales_t", cast.scalesT,
                            /*columnwise=*/true, groups)))
      return failure();
  }
  if (cast.scale) {
    if (!getScalesEncoding(anyScales.getType()).isTensor())
      return op->emitOpError()
             << "(" << labels.scale
             << ") a given scale must stand with <tensor> scales, but got "
             << anyScales.getType();
    if (failed(wantShape(op, labels.scale, "scale", tensorType(cast.scale),
                         perMember)))
      return failure();
  }
  if (bool(cast.amax) != bool(cast.amaxOut))
    return op->emitOpError()
           << "(" << labels.amax << ") amax and amax_out must come together, "
           << "but got " << (cast.amax ? "amax" : "amax_out") << " alone";
  if (cast.amax &&
      (failed(wantShape(op, labels.amax, "amax", tensorType(cast.amax),
                        perMember)) ||
       failed(wantType(op, labels.amax, "amax_out", cast.amaxOut.getType(),
                       cast.amax.getType()))))
    return failure();
  return success();
}

LogicalResult te::verifyDirections(Operation *op, StringRef label, Value values,
                                   Value scales, Value valuesT, Value scalesT) {
  if (!values && !valuesT)
    return op->emitOpError()
           << "(" << label << ") at least one of the rowwise and columnwise "
           << "results must be asked for, but got none";
  if (bool(values) != bool(scales) || bool(valuesT) != bool(scalesT))
    return op->emitOpError() << "(" << label << ") values and scales must come "
                             << "together, but got one of them alone";
  return success();
}

bool te::isUntransposed(ScalesAttr encoding) {
  return encoding.getCols() == 1 && encoding.getRows() > 1 &&
         encoding.getLayout() != ScaleLayout::GemmReady;
}

SmallVector<ScaleLayout> te::getWritableLayouts(OpResult result) {
  return te::detail::convertibleLayouts(result.getType());
}

SmallVector<ScaleLayout> te::getDequantizableLayouts(Type type) {
  ScalesAttr encoding = getScalesEncoding(type);
  if (!encoding || encoding.isTensor() ||
      encoding.getLayout() == ScaleLayout::Swizzled ||
      (encoding.getRows() > 1 && encoding.getCols() == 1))
    return te::detail::currentLayout(type);
  return {ScaleLayout::Compact, ScaleLayout::GemmReady};
}

int64_t te::getNumLaunches(bool hasScale, ValueRange scales,
                           ValueRange scalesT) {
  Value any = scales.empty() ? scalesT.front() : scales.front();
  return !hasScale && getScalesEncoding(any.getType()).isTensor() ? 2 : 1;
}

OpCost te::getCastCost(Operation *op, ValueRange inputs, int64_t launches) {
  OpCost cost = getMemoryBoundCost(op, getQuantizeClass(inputs.front()));
  if (launches == 2) {
    int64_t bytes = 0;
    for (Value input : inputs)
      bytes += getBytes(input.getType());
    if (auto member = dyn_cast<MemberOpInterface>(op))
      if (member.getGroupMember())
        bytes /= getNumGroups(member.getGroupOffsets());
    cost.bytes += bytes;
  }
  cost.launches = launches;
  return cost;
}
