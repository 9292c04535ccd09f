//===- TEDialect.cpp - the te dialect -------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::te;

#include "te/Dialect/TE/IR/TEDialect.cpp.inc"
#include "te/Dialect/TE/IR/TEInterfaces.cpp.inc"

void TEDialect::initialize() {
  registerAttributes();
  registerBytecode();
  addOperations<
#define GET_OP_LIST
#include "te/Dialect/TE/IR/TEOps.cpp.inc"
      >();
}

LogicalResult TEDialect::verifyOperationAttribute(Operation *op,
                                                  NamedAttribute attribute) {
  if (attribute.getName() == kTargetAttr &&
      !isa<TargetAttr>(attribute.getValue()))
    return op->emitOpError() << kTargetAttr << " must be a #te.target, but got "
                             << attribute.getValue();
  return success();
}

Operation *TEDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                          Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

ScalesAttr te::getScalesEncoding(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? dyn_cast_or_null<ScalesAttr>(tensor.getEncoding())
                : ScalesAttr();
}

bool te::isOnHost(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa_and_nonnull<HostAttr>(tensor.getEncoding());
}

RankedTensorType te::getScalesType(ScalesAttr encoding, RankedTensorType data,
                                   Type element) {
  return RankedTensorType::get(encoding.getScalesShape(data.getShape()),
                               element, encoding);
}

SmallVector<ScaleLayout> te::detail::currentLayout(Type type) {
  if (ScalesAttr encoding = getScalesEncoding(type))
    return {encoding.getLayout()};
  return {};
}

SmallVector<ScaleLayout> te::detail::convertibleLayouts(Type type) {
  ScalesAttr encoding = getScalesEncoding(type);
  if (!encoding || encoding.isTensor())
    return currentLayout(type);
  if (encoding.hasByteScales()) {
    if (encoding.getGroups() != 0)
      return currentLayout(type);
    return {ScaleLayout::Compact, ScaleLayout::Swizzled};
  }
  SmallVector<ScaleLayout> layouts = {ScaleLayout::Compact};
  if (encoding.getRows() == 1 || encoding.getRows() == encoding.getCols())
    layouts.push_back(ScaleLayout::GemmReady);
  return layouts;
}

LogicalResult te::detail::verifyDestinations(Operation *op) {
  auto outs = cast<DestinationOpInterface>(op).getDestinations();
  if (outs.empty())
    return success();
  if (outs.size() != op->getNumResults())
    return op->emitOpError()
           << "must have no destination or one for each of its "
           << op->getNumResults() << " results, but got " << outs.size();
  for (auto [out, result] : llvm::zip(outs, op->getResults()))
    if (out.get().getType() != result.getType())
      return op->emitOpError()
             << "destination " << result.getResultNumber() << " must be "
             << result.getType() << ", but got " << out.get().getType();
  return success();
}

LogicalResult te::detail::verifyMember(Operation *op) {
  auto member = cast<MemberOpInterface>(op);
  Value offsets = member.getGroupOffsets();
  std::optional<int64_t> index = member.getGroupMember();
  if (!offsets)
    return want(op, "member", "member", !index, "absent without groups",
                index.value_or(0));
  if (tensorType(offsets).getRank() != 1 || getNumGroups(offsets) < 1)
    return op->emitOpError()
           << "groups must be a vector of at least two offsets, but got "
           << offsets.getType();
  if (!index) {
    if (isOnHost(offsets.getType()))
      return op->emitOpError()
             << "offsets of all groups are read on the device, but got "
             << offsets.getType();
    return success();
  }
  if (*index < 0 || *index >= getNumGroups(offsets))
    return op->emitOpError()
           << "member must be in [0, " << getNumGroups(offsets) << "), but got "
           << *index;
  if (!isOnHost(offsets.getType()))
    return op->emitOpError()
           << "an op with member needs offsets that the host has read "
              "(#te.host), but got "
           << offsets.getType();
  if (auto dest = dyn_cast<DestinationOpInterface>(op))
    if (dest.getDestinations().empty())
      return op->emitOpError() << "an op with member writes one group alone, "
                                  "so it needs destinations, but got none";
  return success();
}
