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

/// The blocks are those of the values' type and direction.
LogicalResult verifyBlocks(Operation *op, const CastLabels &labels,
                           StringRef name, RankedTensorType values,
                           ScalesAttr encoding, bool columnwise) {
  auto error = [&](const Twine &wanted) {
    return op->emitOpError() << "(" << labels.blocks << ") " << name << " of "
                             << values.getElementType() << " must have "
                             << wanted << ", but got " << encoding;
  };
  if (isFP4(values) != encoding.isNVFP4())
    return error(isFP4(values) ? "blocks of 1 x 16" : "no blocks of 1 x 16");
  if (isFP4(values) && values.getShape().back() % 2 != 0)
    return op->emitOpError()
           << "(" << labels.blocks << ") " << name
           << " of f4E2M1FN must have an even last extent, but got " << values;
  if (encoding.isMXFP8() && (encoding.getCols() == 1) != columnwise)
    return error(columnwise ? "blocks of 32 x 1" : "blocks of 1 x 32");
  return success();
}

/// What goes with scales of 8 bits alone, and what does not.
LogicalResult verifyOptions(Operation *op, const CastLabels &labels,
                            const Cast &cast, ScalesAttr encoding) {
  if (encoding.hasByteScales() && (cast.pow2Scales || cast.epsilon != 0))
    return op->emitOpError()
           << "(" << labels.options << ") scales of 8 bits must have no "
           << (cast.pow2Scales ? "pow2_scales" : "epsilon")
           << ", but got some for " << encoding;
  if (!cast.squareBlocks)
    return success();
  if (!encoding.hasByteScales())
    return op->emitOpError()
           << "(" << labels.squareBlocks
           << ") square_blocks must stand with scales of 8 bits, but got "
           << encoding;
  if (cast.offsets)
    return op->emitOpError() << "(" << labels.squareBlocks
                             << ") square_blocks must stand without groups, "
                                "but got some";
  return success();
}

/// The amax that scales of FP4 stand under is there, and no other.
LogicalResult verifyTensorAmax(Operation *op, const CastLabels &labels,
                               StringRef name, Value amax, Value values,
                               ArrayRef<int64_t> shape) {
  bool wanted = values && isFP4(tensorType(values));
  if (wanted != bool(amax))
    return op->emitOpError()
           << "(" << labels.tensorAmax << ") " << name << " must come with "
           << "values of f4E2M1FN, but got "
           << (amax ? "it alone" : "those alone");
  if (!amax)
    return success();
  return wantShape(op, labels.tensorAmax, name, tensorType(amax), shape);
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

  // Casts of single members chain those of all through destinations.
  SmallVector<int64_t> perGroup(input.getShape().drop_back(2));
  if (groups)
    perGroup.push_back(groups);

  Value anyScales = cast.scales ? cast.scales : cast.scalesT;
  if (cast.values) {
    RankedTensorType values = tensorType(cast.values);
    if (failed(
            wantShape(op, labels.values, "values", values, input.getShape())) ||
        failed(wantScales(op, labels.encoding, labels.scales, "scales",
                          tensorType(cast.scales), values)) ||
        failed(verifyBlocks(op, labels, "values", values,
                            getScalesEncoding(cast.scales.getType()),
                            /*columnwise=*/false)) ||
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
        failed(verifyBlocks(op, labels, "values_t", values, encoding, true)) ||
        failed(verifyGroups(op, labels, "scales_t", cast.scalesT,
                            /*columnwise=*/true, groups)))
      return failure();
  }
  if (failed(verifyOptions(op, labels, cast,
                           getScalesEncoding(anyScales.getType()))) ||
      failed(verifyTensorAmax(op, labels, "tensor_amax", cast.tensorAmax,
                              cast.values, perGroup)) ||
      failed(verifyTensorAmax(op, labels, "tensor_amax_t", cast.tensorAmaxT,
                              cast.valuesT, perGroup)))
    return failure();
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
  if (!encoding || encoding.isTensor() || encoding.hasByteScales() ||
      (encoding.getRows() > 1 && encoding.getCols() == 1))
    return te::detail::currentLayout(type);
  return {ScaleLayout::Compact, ScaleLayout::GemmReady};
}

int64_t te::getNumLaunches(bool hasScale, ValueRange scales,
                           ValueRange scalesT) {
  Value any = scales.empty() ? scalesT.front() : scales.front();
  ScalesAttr encoding = getScalesEncoding(any.getType());
  return encoding.isNVFP4() || (!hasScale && encoding.isTensor()) ? 2 : 1;
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
