//===- Cost.cpp - what an op costs ----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::te;

StringRef te::stringifyCostClass(CostClass costClass) {
  static constexpr StringLiteral names[kNumCostClasses] = {
      "weight_quantize",
      "activation_quantize",
      "dequantize",
      "scale_conversion",
      "swizzle",
      "transpose",
      "update_scales",
      "offsets",
      "routing_map",
      "permute",
      "pad",
      "activation",
      "gemm",
      "communication",
      "copy",
      "other"};
  return names[unsigned(costClass)];
}

double te::getRooflineSeconds(const OpCost &cost, TargetAttr target) {
  double seconds = cost.bytes / target.getBytesPerSecond();
  if (!cost.flops)
    return seconds;
  return std::max(seconds,
                  cost.flops / target.getFlopsPerSecond(cost.product));
}

int64_t te::getBytes(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape() ||
      !tensor.getElementType().isIntOrFloat())
    return 0;
  // Two FP4 share a byte; other elements have bytes of their own.
  if (isa<Float4E2M1FNType>(tensor.getElementType()))
    return llvm::divideCeil(tensor.getNumElements(), 2);
  return tensor.getNumElements() * ((tensor.getElementTypeBitWidth() + 7) / 8);
}

OpCost te::getMemoryBoundCost(Operation *op, CostClass costClass) {
  OpCost cost;
  cost.costClass = costClass;
  cost.launches = 1;
  // A destination is overwritten: its bytes count with the result.
  llvm::SmallPtrSet<OpOperand *, 4> overwritten;
  if (auto dest = dyn_cast<DestinationOpInterface>(op))
    for (OpOperand &out : dest.getDestinations())
      overwritten.insert(&out);
  for (OpOperand &operand : op->getOpOperands())
    if (!overwritten.count(&operand))
      cost.bytes += getBytes(operand.get().getType());
  for (Value result : op->getResults())
    cost.bytes += getBytes(result.getType());
  if (auto member = dyn_cast<MemberOpInterface>(op))
    if (member.getGroupMember())
      cost.bytes /= getNumGroups(member.getGroupOffsets());
  return cost;
}

CostClass te::getQuantizeClass(Value input) {
  while (Operation *def = input.getDefiningOp()) {
    if (!isa<MemberOp, PackOp, TransposeOp>(def) || def->getNumOperands() == 0)
      return CostClass::ActivationQuantize;
    input = def->getOperand(0);
  }
  auto argument = dyn_cast<BlockArgument>(input);
  if (!argument)
    return CostClass::ActivationQuantize;
  auto function =
      dyn_cast<FunctionOpInterface>(argument.getOwner()->getParentOp());
  if (function && argument.getOwner()->isEntryBlock() &&
      function.getArgAttr(argument.getArgNumber(), TEDialect::kParameterAttr))
    return CostClass::WeightQuantize;
  return CostClass::ActivationQuantize;
}

std::optional<int64_t> te::getNumExecutions(Operation *op) {
  int64_t times = 1;
  for (Operation *at = op->getParentOp(); at; at = at->getParentOp())
    if (auto loop = dyn_cast<LoopLikeOpInterface>(at)) {
      std::optional<APInt> trips = loop.getStaticTripCount();
      if (!trips)
        return std::nullopt;
      times *= trips->getSExtValue();
    }
  return times;
}
