//===- ProductTime.cpp - the ways of a product, and what they take --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What kernels for products take on an H200. Figures of products of all groups
// lie between what tools/scripts/fit-costs.py fits to profiles of layers that
// run for a moment and of such that run at the power limit; those of single
// groups and of cuBLASLt are fitted to `te_runtime_bench ways`.
// docs/Benchmarks.md names the layers. FP8 products over the reduction are
// those of groups that begin at a multiple of 128 rows: others take up to 1.45
// times as long, which types do not tell.
//
//===----------------------------------------------------------------------===//

#include "Verify.h"
#include "product_ways.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::te;
using ::te::products::Element;
using ::te::products::Form;
using ::te::products::Scaling;
using ::te::products::Way;

namespace {
/// Picoseconds for each byte, where a product of all groups has more memory
/// than work.
constexpr double kGroupedByte = 0.285;

/// A product of all groups takes tiles * (tile + blocks * block) ns, tiles
/// being those of 128 x 128 of the result, blocks of 128 of the reduction, or
/// `byte` picoseconds for each byte. `adds`: to a result in F32; gated: of what
/// is activated, and cast in one direction or in both.
struct ProductTime {
  StringLiteral form;
  bool overReduction, adds;
  double tile, block, byte = kGroupedByte;
};
constexpr ProductTime kProductTimes[] = {
    // BEGIN products
    {"bf16", false, false, 1, 5.7},
    {"bf16", true, false, 6, 6.7},
    {"bf16", true, true, 20, 5.9},
    {"block", false, false, 3.5, 2.95},
    {"block", true, false, 6.3, 4.35},
    {"block", true, true, 17, 4.45},
    {"gated both", false, false, 9.6, 3.02},
    {"gated one", false, false, 5.3, 2.98},
    {"tensor", false, false, 8.6, 2.6},
    {"tensor", true, false, 15, 3.3},
    {"tensor", true, true, 27, 3},
    // END products
};
/// By cuBLASLt's grouped matmul, of what it was measured to be ahead for.
constexpr ProductTime kGroupsTimes[] = {
    {"bf16", true, false, 7.5, 5.55, 0.37},
    {"bf16", true, true, 18, 5.5, 0.265},
};

/// A product of one group fills a GPU in waves of `slots` tiles, and takes
/// fixed + waves * (tile + blocks * block) microseconds, or `byte` picoseconds
/// for each byte: read from memory, and with its launch.
struct LoneTime {
  Way way;
  StringLiteral form;
  bool overReduction;
  double fixed, tile, block, slots, byte;
};
constexpr LoneTime kLoneTimes[] = {
    {Way::Own, "block", false, 5.5, 2.04, 0.519, 154, 0.285},
    {Way::Own, "block", true, 9.21, 1.3, 0.495, 99.6, 0.346},
    {Way::Own, "tensor", false, 3.33, 3.88, 0.489, 185, 0.285},
    {Way::Own, "tensor", true, 9.26, 2.16, 0.36, 110, 0.386},
    {Way::Own, "bf16", false, 6.85, 0.694, 1.2, 201, 0.285},
    {Way::Own, "bf16", true, 7.12, 7.53, 1.11, 223, 0.363},
    {Way::Library, "block", false, 8.59, 0.273, 0.315, 80, 0.285},
    {Way::Library, "block", true, 3.47, 3.0, 0.33, 91.5, 0.402},
    {Way::Library, "tensor", false, 5.89, 1.18, 0.19, 72, 0.285},
    {Way::Library, "tensor", true, 7.77, 4.35, 0.169, 97.2, 0.415},
    {Way::Library, "bf16", false, 2.43, 0.395, 0.26, 50.9, 0.373},
    {Way::Library, "bf16", true, 3.98, 3.65, 0.42, 96.2, 0.418},
};

/// What the host takes to hand cuBLASLt the product of one group of many, us,
/// and the share that is left of such a product's time beside those on other
/// streams.
struct LibraryOverlap {
  StringLiteral form;
  double host, share;
};
constexpr LibraryOverlap kLibraryOverlaps[] = {
    {"block", 9.5, 0.72}, {"tensor", 11.6, 0.9}, {"bf16", 6.5, 1}};
/// What the host waits for offsets, us.
constexpr double kHostRead = 12;

/// A call as a product.
struct ProductOf {
  Form form;
  StringRef
      kind; ///< "bf16", "block", "tensor", "gated one", "gated both", or empty
  bool overReduction, adds;
  int64_t groups; ///< that the call makes
  double m, n,
      k; ///< of one of them: a ragged extent by its share of the capacity
};

Element elementOf(Type type) {
  return type.isF32()                  ? Element::F32
         : type.isBF16()               ? Element::BF16
         : isa<Float8E4M3FNType>(type) ? Element::E4M3
         : isa<Float8E5M2Type>(type)   ? Element::E5M2
         : isa<Float4E2M1FNType>(type) ? Element::FP4
                                       : Element::None;
}

Scaling scalingOf(RankedTensorType type) {
  ScalesAttr scales = type ? getScalesEncoding(type) : ScalesAttr();
  if (!scales)
    return Scaling::None;
  if (scales.isTensor())
    return Scaling::Tensor;
  if (scales.isNVFP4())
    return Scaling::NVFP4;
  if (scales.isMXFP8())
    return Scaling::MXFP8;
  if (scales.getCols() != 128 ||
      (scales.getRows() != 1 && scales.getRows() != 128))
    return Scaling::Other;
  return scales.getRows() == 1 ? Scaling::Rows : Scaling::Squares;
}

/// Where a function has the parts of a product; no slot where it has none.
struct ProductSlots {
  StringLiteral function;
  unsigned lhs, lhsScales, rhs, rhsScales, bias, offsets, result;
  int ragged,
      flags; ///< scalars: of which dimension; transpositions, accumulate
  bool grouped;
};
constexpr unsigned kNoSlot = ~0u;
constexpr ProductSlots kProductSlots[] = {
    {"gemm", 0, 1, 3, 4, 6, 7, 8, 0, 2, false},
    {"grouped_gemm", 0, 1, 3, 4, 6, 7, 8, 0, 1, true},
    // Over rows; slots 7 and 9 are what is cast, in either direction.
    {"grouped_gemm_swiglu_quantize", 0, 1, 2, 3, kNoSlot, 5, 6, -1, -1, true},
};

/// Nothing for a call that is no product.
std::optional<ProductOf> getProduct(const CallTypes &call, TargetAttr target) {
  const ProductSlots *at =
      llvm::find_if(kProductSlots, [&](const ProductSlots &slots) {
        return slots.function == call.function;
      });
  if (at == std::end(kProductSlots) || call.slots.size() <= at->result ||
      (at->flags >= 0 && int(call.scalars.size()) < at->flags + 3))
    return std::nullopt;
  auto typeOf = [&](unsigned slot) {
    if (slot == kNoSlot || call.slots[slot].types.empty())
      return RankedTensorType();
    return call.slots[slot].types.front();
  };
  auto flag = [&](int i) {
    return at->flags >= 0 && call.scalars[at->flags + i];
  };
  auto sideOf = [&](unsigned slot, unsigned scales, bool transposed) {
    RankedTensorType type = typeOf(slot);
    ::te::products::Side side = {};
    side.element = elementOf(type.getElementType());
    side.scaling = scalingOf(typeOf(scales));
    side.transposed = transposed;
    side.rows = type.getDimSize(type.getRank() - 2);
    side.cols = type.getDimSize(type.getRank() - 1);
    side.alignment = call.slots[slot].alignment;
    // Members of a packed tensor lie so many bytes apart.
    if (type.getRank() == 3)
      side.alignment =
          std::gcd(side.alignment, getBytes(MemberOp::getMemberType(type)));
    side.scaleAlignment = 16; // those that are not are copied for the library
    return side;
  };
  ProductOf p = {};
  p.form.major = target.getChip() == "sm_90" ? 9 : 10;
  p.form.lhs = sideOf(at->lhs, at->lhsScales, flag(0));
  p.form.rhs = sideOf(at->rhs, at->rhsScales, flag(1));
  p.form.m = flag(0) ? p.form.lhs.cols : p.form.lhs.rows;
  p.form.k = flag(0) ? p.form.lhs.rows : p.form.lhs.cols;
  p.form.n = flag(1) ? p.form.rhs.cols : p.form.rhs.rows;
  RankedTensorType offsets = typeOf(at->offsets), bias = typeOf(at->bias),
                   result = typeOf(at->result);
  p.form.bias = bias ? elementOf(bias.getElementType()) : Element::None;
  p.form.result = result ? elementOf(result.getElementType()) : Element::BF16;
  p.form.biasAlignment = bias ? call.slots[at->bias].alignment : 16;
  p.form.resultAlignment = call.slots[at->result].alignment;
  p.form.hostKnows = !offsets || isOnHost(offsets);
  p.form.activated = at->flags < 0;
  p.overReduction =
      at->ragged >= 0 && call.scalars[at->ragged] == int64_t(Ragged::Reduction);
  p.adds = flag(2);
  p.form.libraryVersion = ::te::products::kGroupsVersion;
  p.m = p.form.m, p.n = p.form.n, p.k = p.form.k;
  int64_t members = offsets ? offsets.getDimSize(0) - 1 : 1;
  p.groups = p.form.groups = at->grouped ? members : 1;
  if (offsets) {
    int64_t &extent = p.overReduction ? p.form.k : p.form.m;
    (p.overReduction ? p.k : p.m) = double(extent) / members;
    if (extent)
      extent = ::te::products::kUnknown;
  }
  if (p.form.activated) {
    p.kind = typeOf(7) && typeOf(9) ? "gated both" : "gated one";
    return p;
  }
  Scaling scaling = p.form.lhs.scaling;
  p.kind = scaling == Scaling::Tensor                                ? "tensor"
           : scaling == Scaling::Rows || scaling == Scaling::Squares ? "block"
           : scaling == Scaling::None && p.form.lhs.element == Element::BF16
               ? "bf16"
               : "";
  return p;
}

constexpr double kSide = 128;

double getBlocks(const ProductOf &p) {
  return p.overReduction ? p.k / kSide : std::ceil(p.k / kSide);
}

/// Null where no such product was measured.
const LoneTime *findLone(const ProductOf &p, Way way) {
  for (const LoneTime &time : kLoneTimes)
    if (time.way == way && time.form == p.kind &&
        time.overReduction == p.overReduction)
      return &time;
  return nullptr;
}

/// Seconds of all groups in one launch; 0 where no such product was measured.
double getGroupedTime(const ProductOf &p, const OpCost &cost,
                      ArrayRef<ProductTime> times) {
  // Rows of a group end within a tile, wherever they end.
  auto ragged = [](double rows) { return rows / kSide + 0.5; };
  double tiles = p.groups * std::ceil(p.n / kSide) *
                 (p.overReduction ? std::ceil(p.m / kSide) : ragged(p.m));
  double blocks = p.overReduction ? ragged(p.k) : getBlocks(p);
  const LoneTime *lone = findLone(p, Way::Own);
  for (const ProductTime &time : times)
    if (time.form == p.kind && time.overReduction == p.overReduction &&
        time.adds == p.adds)
      return std::max(
                 {kLaunchNs + tiles * (time.tile + blocks * time.block),
                  kLaunchNs + cost.bytes * time.byte * 1e-3,
                  lone ? (lone->fixed + lone->tile + blocks * lone->block) * 1e3
                       : 0}) *
             1e-9;
  return 0;
}

/// Seconds of one group; 0 where no such product was measured.
double getLoneTime(const ProductOf &p, Way way, double bytes) {
  const LoneTime *time = findLone(p, way);
  if (!time)
    return 0;
  double tiles = std::ceil(p.n / kSide) *
                 (p.overReduction ? std::ceil(p.m / kSide) : p.m / kSide);
  // The last wave is full or not, as the rows of the group are.
  double filled = std::max(tiles / time->slots, 1.0);
  double waves = (std::ceil(filled) + filled) / 2;
  return std::max(time->fixed +
                      waves * (time->tile + getBlocks(p) * time->block),
                  bytes * time->byte * 1e-6) *
         1e-6;
}

double getSeconds(const ProductOf &p, const OpCost &cost, Way way) {
  if (p.form.major != 9 || p.form.m == 0 || p.form.n == 0 || p.form.k == 0)
    return 0;
  if (p.groups == 1 && !p.form.activated)
    return getLoneTime(p, way, cost.bytes);
  if (way == Way::Own)
    return getGroupedTime(p, cost, kProductTimes);
  if (way == Way::Groups)
    return getGroupedTime(p, cost, kGroupsTimes);
  double each = getLoneTime(p, way, double(cost.bytes) / p.groups);
  for (const LibraryOverlap &overlap : kLibraryOverlaps)
    if (each && overlap.form == p.kind)
      return p.groups * std::max(overlap.host * 1e-6, overlap.share * each) +
             (p.form.hostKnows ? 0 : kHostRead * 1e-6);
  return 0;
}
} // namespace

SmallVector<ProductWay> mlir::te::getProductWays(const OpCost &cost,
                                                 const CallTypes &call,
                                                 TargetAttr target) {
  SmallVector<ProductWay> ways;
  std::optional<ProductOf> product = getProduct(call, target);
  if (!product)
    return ways;
  for (Way way : ::te::products::kWays) {
    bool isEach = way == Way::Library || way == Way::Plain;
    ways.push_back({nameOf(way), ::te::products::whyNot(way, product->form),
                    way == Way::Library && !product->form.hostKnows,
                    isEach               ? product->groups
                    : way == Way::Groups ? 2
                                         : 1,
                    getSeconds(*product, cost, way)});
  }
  return ways;
}
