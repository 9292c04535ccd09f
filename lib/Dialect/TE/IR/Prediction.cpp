//===- Prediction.cpp - what a call of the runtime takes ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What our kernels take on an H200, as straight lines: of what moves memory by its bytes
// and rows, of products by their tiles and the blocks of the reduction in these. The
// figures are fitted by tools/scripts/fit-costs.py to profiles of layers, sustained;
// docs/Benchmarks.md ("Predicted and measured") names the layers, and others that nothing
// was fitted to.
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::te;

namespace {
/// Nanoseconds of each launch.
constexpr double kLaunch = 2500;
/// A function that moves memory takes picoseconds for each byte that it reads and for each
/// that it writes, and microseconds whatever it moves. `form`: the directions in which it
/// casts, and to blocks or tensors that share a scale; empty if it casts nothing.
struct MemoryTime {
  StringLiteral function, form;
  double read, write, fixed;
};
constexpr MemoryTime kMemoryTimes[] = {
    // BEGIN memory
    {"fill", "", 0, 0.3, 0},
    {"multi_cast_transpose", "both block", 0.496, 0, 0},
    {"permute", "", 0, 0.285, 0},
    {"permute_quantize", "both block", 0, 0.749, 0},
    {"permute_quantize", "one block", 0, 0.4, 0},
    {"quantize", "both block", 0.268, 0.268, 0},
    {"quantize", "one block", 0.243, 0.243, 0},
    {"routing_map", "", 23.1, 0, 0},
    {"swiglu", "", 0.37, 0, 0},
    {"swiglu_backward", "", 0.6, 0, 0},
    {"swiglu_backward_quantize", "both block", 0.63, 0, 0},
    {"swiglu_quantize", "both block", 0.465, 0, 6.3},
    {"swiglu_quantize", "one block", 0.36, 0, 0},
    {"unpermute", "", 0.19, 0.608, 10.1},
    // END memory
};

/// A product of all groups takes tiles * (tile + blocks * block), tiles being those of
/// 128 x 128 of the result, blocks of 128 of the reduction. `adds`: to a result in F32.
struct ProductTime {
  StringLiteral form;
  bool overReduction, adds;
  double tile, block;
};
constexpr ProductTime kProductTimes[] = {
    // BEGIN products
    {"bf16", false, false, 15, 6.0},
    {"bf16", true, false, 40, 6.6},
    {"block", false, false, 3.38, 3.81},
    {"block", true, false, 28, 5.13},
    // END products
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

/// 0 where no such product was measured.
double getProductTime(const OpCost &cost, const CallTypes &call) {
  // Slots and scalars of te_rt_grouped_gemm.
  enum { Lhs = 0, LhsScales = 1, Offsets = 7, Results = 8, NumSlots = 9 };
  enum { RaggedKind = 0, Accumulate = 3, NumScalars = 4 };
  if (call.slots.size() != NumSlots || call.scalars.size() != NumScalars)
    return 0;
  auto typeOf = [&](unsigned slot) {
    ArrayRef<RankedTensorType> types = call.slots[slot].types;
    return types.empty() ? RankedTensorType() : types.front();
  };
  RankedTensorType lhs = typeOf(Lhs), scales = typeOf(LhsScales),
                   result = typeOf(Results);
  bool overReduction = Ragged(call.scalars[RaggedKind]) == Ragged::Reduction;
  StringRef form = "bf16";
  if (scales) {
    ScalesAttr encoding = getScalesEncoding(scales);
    if (encoding.hasByteScales())
      return 0;
    form = encoding.isTensor() ? "tensor" : "block";
  } else if (!lhs.getElementType().isBF16()) {
    return 0;
  }
  constexpr double side = 128;
  double groups = typeOf(Offsets).getDimSize(0) - 1;
  int64_t rank = result.getRank();
  double m = result.getDimSize(rank - 2), n = result.getDimSize(rank - 1);
  double k = cost.flops / (2 * n * (overReduction ? m : lhs.getDimSize(0)));
  // Rows of a group end within a tile, wherever they end.
  auto ragged = [&](double rows) { return rows / side + groups / 2; };
  double tiles = std::ceil(n / side) *
                 (overReduction ? groups * std::ceil(m / side) : ragged(m));
  double blocks =
      overReduction ? ragged(k) / groups : std::ceil(k / side);
  for (const ProductTime &time : kProductTimes)
    if (time.form == form && time.overReduction == overReduction &&
        time.adds == bool(call.scalars[Accumulate]))
      return tiles * (time.tile + blocks * time.block);
  return 0;
}
} // namespace

double te::getPredictedSeconds(const OpCost &cost, const CallTypes &call,
                               TargetAttr target) {
  if (target.getChip() != "sm_90")
    return 0;
  double time =
      cost.flops ? getProductTime(cost, call) : getMemoryTime(cost, call);
  return time ? (cost.launches * kLaunch + time) * 1e-9 : 0;
}

double te::getPredictedSeconds(Operation *op) {
  auto costly = dyn_cast<CostOpInterface>(op);
  auto called = dyn_cast<RuntimeCallOpInterface>(op);
  if (!costly || !called)
    return 0;
  RuntimeCall call = called.getRuntimeCall();
  CallTypes types{call.function, {}, {}};
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
