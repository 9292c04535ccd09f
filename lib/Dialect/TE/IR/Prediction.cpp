//===- Prediction.cpp - what a call of the runtime takes ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What our kernels take on an H200, as straight lines: of what moves memory by its bytes
// and rows, of products by their tiles and the blocks of the reduction in these. The
// figures are fitted by tools/scripts/fit-costs.py to profiles of layers, sustained, but
// for casts and gradients of blocks, set by later runs; docs/Benchmarks.md ("Predicted
// and measured") names the layers, and others that nothing was fitted to. FP8 products
// over the reduction, and casts in both directions, are those of groups that begin at a
// multiple of 128 rows: others take up to 1.45 times as long, which types do not tell.
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
    {"fill", "", 0.2914, 0.2914, 0},
    {"multi_cast_transpose", "both block", 0.2536, 0.2536, 0},
    {"multi_cast_transpose", "both tensor", 0.262, 0.262, 0},
    {"multi_cast_transpose", "one block", 0.2476, 0.2476, 0},
    {"permute", "", 0.2843, 0.2843, 0},
    {"permute_quantize", "both block", 0, 0.505, 0},
    {"permute_quantize", "both tensor", 0.6716, 0.6716, 73.3},
    {"permute_quantize", "one block", 0.272, 0.272, 0},
    {"quantize", "both block", 0.285, 0.285, 0},
    {"quantize", "one block", 0.243, 0.243, 0},
    {"routing_map", "", 12.03, 12.03, 0},
    {"swiglu", "", 0.237, 0.237, 0},
    {"swiglu_backward", "", 0.259, 0.259, 0},
    {"swiglu_backward_quantize", "both block", 0.32, 0.32, 0},
    {"swiglu_backward_quantize", "both tensor", 0.352, 0.352, 0},
    {"swiglu_quantize", "both block", 0.262, 0.262, 0},
    {"swiglu_quantize", "both tensor", 0.3072, 0.3072, 0},
    {"swiglu_quantize", "one block", 0.235, 0.235, 0},
    {"unpermute", "", 0.185, 0.6128, 0},
    // END memory
};

/// A product of all groups takes tiles * (tile + blocks * block), tiles being those of
/// 128 x 128 of the result, blocks of 128 of the reduction. `adds`: to a result in F32;
/// gated: of what is activated, and cast in one direction or in both.
struct ProductTime {
  StringLiteral form;
  bool overReduction, adds;
  double tile, block;
};
constexpr ProductTime kProductTimes[] = {
    // BEGIN products
    {"bf16", false, false, 0, 6.09},
    {"bf16", true, false, 0, 7.05},
    {"block", false, false, 7.04, 3.01},
    {"block", true, false, 7.53, 4.45},
    {"block", true, true, 17, 4.45},
    {"gated both", false, false, 3, 3.05},
    {"gated one", false, false, 1.4, 2.9},
    {"tensor", false, false, 8.62, 2.77},
    {"tensor", true, false, 21.2, 4.02},
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

/// m x n x k; m, or over the reduction k, is of all groups.
struct Extents {
  double m, n, k, groups;
  bool overReduction;
};

/// 0 where no such product was measured.
double getTimeOf(StringRef form, const Extents &e, bool adds) {
  constexpr double side = 128;
  // Rows of a group end within a tile, wherever they end.
  auto ragged = [&](double rows) { return rows / side + e.groups / 2; };
  double tiles = std::ceil(e.n / side) *
                 (e.overReduction ? e.groups * std::ceil(e.m / side)
                                  : ragged(e.m));
  double blocks =
      e.overReduction ? ragged(e.k) / e.groups : std::ceil(e.k / side);
  for (const ProductTime &time : kProductTimes)
    if (time.form == form && time.overReduction == e.overReduction &&
        time.adds == adds)
      return tiles * (time.tile + blocks * time.block);
  return 0;
}

double getProductTime(const OpCost &cost, const CallTypes &call) {
  auto typeOf = [&](unsigned slot) {
    ArrayRef<RankedTensorType> types = call.slots[slot].types;
    return types.empty() ? RankedTensorType() : types.front();
  };
  auto groupsOf = [&](unsigned slot) {
    return double(typeOf(slot).getDimSize(0) - 1);
  };
  if (call.function == "grouped_gemm_swiglu_quantize") {
    enum { Lhs = 0, Offsets = 5, Values = 7, ValuesT = 9 };
    RankedTensorType lhs = typeOf(Lhs);
    bool both = typeOf(Values) && typeOf(ValuesT);
    return getTimeOf(both ? "gated both" : "gated one",
                     {double(lhs.getDimSize(0)),
                      cost.flops / (2.0 * lhs.getNumElements()),
                      double(lhs.getDimSize(1)), groupsOf(Offsets), false},
                     /*adds=*/false);
  }
  // Slots and scalars of te_rt_grouped_gemm.
  enum { Lhs = 0, LhsScales = 1, Offsets = 7, Results = 8, NumSlots = 9 };
  enum { RaggedKind = 0, Accumulate = 3, NumScalars = 4 };
  if (call.slots.size() != NumSlots || call.scalars.size() != NumScalars)
    return 0;
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
  int64_t rank = result.getRank();
  double m = result.getDimSize(rank - 2), n = result.getDimSize(rank - 1);
  double k = cost.flops / (2 * n * (overReduction ? m : lhs.getDimSize(0)));
  return getTimeOf(form, {m, n, k, groupsOf(Offsets), overReduction},
                   call.scalars[Accumulate]);
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
