//===- Prediction.cpp - what a call of the runtime takes ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What our kernels take on an H200, as straight lines: of what moves memory by its bytes
// and rows; of products, ProductTime.cpp. The figures are fitted by
// tools/scripts/fit-costs.py to profiles of layers, sustained, but for casts and
// gradients of blocks, set by later runs; docs/Benchmarks.md ("Predicted and measured")
// names the layers, and others that nothing was fitted to. Casts in both directions are
// those of groups that begin at a multiple of 128 rows, which types do not tell.
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::te;

namespace {
/// A function that moves memory takes picoseconds for each byte that it reads and for each
/// that it writes, and microseconds whatever it moves. `form`: the directions in which it
/// casts, and to blocks or tensors that share a scale; empty if it casts nothing.
struct MemoryTime {
  StringLiteral function, form;
  double read, write, fixed;
};
constexpr MemoryTime kMemoryTimes[] = {
    // BEGIN memory
    {"fill", "", 0.2914, 0.2914, 0},
    {"multi_cast_transpose", "both block", 0.2536, 0.2536, 0},
    {"multi_cast_transpose", "both tensor", 0.262, 0.262, 0},
    {"multi_cast_transpose", "one block", 0.2476, 0.2476, 0},
    {"permute", "", 0.2562, 0.2562, 0},
    {"permute_quantize", "both block", 0.4023, 0.4023, 0},
    {"permute_quantize", "both tensor", 0.6716, 0.6716, 73.3},
    {"permute_quantize", "one block", 0.2474, 0.2474, 14.7},
    {"quantize", "both block", 0.285, 0.285, 0},
    {"quantize", "one block", 0.243, 0.243, 0},
    {"routing_map", "", 12.03, 12.03, 0},
    {"swiglu", "", 0.2291, 0.2291, 0},
    {"swiglu_backward", "", 0.2367, 0.2367, 0},
    {"swiglu_backward_quantize", "both block", 0.25, 0.25, 0},
    {"swiglu_backward_quantize", "both tensor", 0.352, 0.352, 0},
    {"swiglu_quantize", "both block", 0.262, 0.262, 0},
    {"swiglu_quantize", "both tensor", 0.3072, 0.3072, 0},
    {"swiglu_quantize", "one block", 0.235, 0.235, 0},
    {"unpermute", "", 0.185, 0.6128, 0},
    // END memory
};

bool isQuantized(RankedTensorType type) {
  return isa<Float8E4M3FNType, Float8E5M2Type>(type.getElementType());
}

/// 0 where the function was not measured.
double getMemoryTime(const OpCost &cost, const CallTypes &call) {
  bool columns = false, rows = false, tensor = false;
  double written = 0;
  for (const CallTypes::Slot &slot : call.slots) {
    if (!slot.isOutput)
      continue;
    for (RankedTensorType type : slot.types) {
      ScalesAttr scales = getScalesEncoding(type);
      tensor |= scales && scales.isTensor();
      written += getBytes(type);
    }
    if (!slot.types.empty() && isQuantized(slot.types.front()))
      (rows ? columns : rows) = true;
  }
  std::string form;
  if (rows)
    form = std::string(columns ? "both" : "one") + (tensor ? " tensor" : " block");
  for (const MemoryTime &time : kMemoryTimes)
    if (time.function == call.function && time.form == form)
      return ((cost.bytes - written) * time.read + written * time.write) * 1e-3 +
             time.fixed * 1e3;
  return 0;
}

/// Of the way that was chosen; before that, the least of those that may be. 0 where it
/// was not measured.
double getProductSeconds(const OpCost &cost, const CallTypes &call,
                         TargetAttr target) {
  double least = 0;
  for (const ProductWay &way : getProductWays(cost, call, target)) {
    bool isOpen = way.whyNot.empty() && !way.readsOnHost;
    if (way.seconds && (call.way.empty() ? isOpen : way.name == call.way) &&
        (!least || way.seconds < least))
      least = way.seconds;
  }
  return least;
}
} // namespace

double te::getPredictedSeconds(const OpCost &cost, const CallTypes &call,
                               TargetAttr target) {
  if (target.getChip() != "sm_90")
    return 0;
  if (cost.flops)
    return getProductSeconds(cost, call, target);
  double time = getMemoryTime(cost, call);
  return time ? (cost.launches * kLaunchNs + time) * 1e-9 : 0;
}

double te::getPredictedSeconds(Operation *op) {
  auto costly = dyn_cast<CostOpInterface>(op);
  auto called = dyn_cast<RuntimeCallOpInterface>(op);
  if (!costly || !called)
    return 0;
  RuntimeCall call = called.getRuntimeCall();
  CallTypes types{call.function, {}, {}, {}};
  for (const RuntimeSlot &slot : call.slots) {
    types.slots.push_back({{}, slot.isOutput});
    for (Value value : slot.values)
      types.slots.back().types.push_back(tensorType(value));
  }
  for (Attribute scalar : call.scalars)
    if (auto integer = dyn_cast<IntegerAttr>(scalar))
      types.scalars.push_back(integer.getInt());
  return getPredictedSeconds(costly.getCost(), types, TargetAttr::lookup(op));
}
