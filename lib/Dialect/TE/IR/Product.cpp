//===- Product.cpp - what one matrix product must satisfy -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Product.h"
#include "Cast.h"
#include "Verify.h"

using namespace mlir;
using namespace mlir::te;

static bool isQuantized(RankedTensorType type) {
  return isa<Float8E4M3FNType, Float8E5M2Type, Float4E2M1FNType>(
      type.getElementType());
}

/// `groups` are those that the operand is ragged in, or 0; `overReduction`
/// tells the dimension.
static LogicalResult verifySide(Operation *op, StringRef name,
                                const ProductSide &side, int64_t groups,
                                bool overReduction) {
  auto error = [&](StringRef label) {
    return op->emitOpError() << "(" << label << ") " << name;
  };
  auto comesWith = [&](StringRef label, StringRef what, bool wanted) {
    return error(label) << " of " << side.values.getElementType() << " must "
                        << (wanted ? "have " : "have no ") << what
                        << ", but got " << (wanted ? "none" : "some");
  };
  if (isQuantized(side.values) != bool(side.scales))
    return comesWith("G3", "scales", isQuantized(side.values));
  bool fp4 = isFP4(side.values);
  if (fp4 != bool(side.amax))
    return comesWith("G10", "amax", fp4);
  if (!side.scales)
    return success();
  if (failed(wantScales(op, "G3", "G3", name.str() + "_scales", side.scales,
                        side.values)))
    return failure();
  ScalesAttr encoding = getScalesEncoding(side.scales);
  if (fp4 != encoding.isNVFP4())
    return comesWith("G10", "blocks of 1 x 16", fp4);
  // Stored untransposed by a cast, the reduction runs along its blocks.
  bool transposed = encoding.isMXFP8() && encoding.getCols() == 1;
  if (side.transpose && !transposed)
    return op->emitOpError() << "(G4) FP8 and FP4 operands must be K-major, "
                                "but got transpose_"
                             << name;
  if (!side.transpose && transposed)
    return error("G4") << " of blocks of 32 x 1 must be transposed, but got no "
                          "transpose_"
                       << name;
  // One scale for a group, and a grid of blocks that starts anew where the
  // blocks run along the ragged dimension.
  int64_t wanted = encoding.isTensor() || overReduction ? groups : 0;
  if (encoding.getGroups() != wanted)
    return error("G3") << "_scales must have " << wanted << " groups, but got "
                       << encoding.getGroups();
  SmallVector<int64_t> perGroup;
  if (groups)
    perGroup.push_back(groups);
  if (fp4)
    return wantShape(op, "G10", name.str() + "_amax", side.amax, perGroup);
  return success();
}

/// Whether a product of operands with these scales exists.
static bool areMultiplied(ScalesAttr a, ScalesAttr b) {
  if (a.isTensor() || b.isTensor())
    return a.isTensor() && b.isTensor();
  if (a.getLayout() == ScaleLayout::Compact || a.getLayout() != b.getLayout())
    return false;
  if (a.hasByteScales())
    return a.isMXFP8() == b.isMXFP8();
  return (a.getRows() == 1 || b.getRows() == 1) && a.getCols() == b.getCols();
}

LogicalResult te::verifyProduct(Operation *op, const Product &p) {
  RankedTensorType lhs = p.lhs.values, rhs = p.rhs.values;
  if (lhs.getRank() != 2 || rhs.getRank() != 2)
    return op->emitOpError("(G1) lhs and rhs must have rank 2, but got ")
           << lhs << " and " << rhs;
  int64_t m = lhs.getDimSize(p.lhs.transpose ? 1 : 0);
  int64_t k = lhs.getDimSize(p.lhs.transpose ? 0 : 1);
  int64_t n = rhs.getDimSize(p.rhs.transpose ? 1 : 0);
  int64_t rhsK = rhs.getDimSize(p.rhs.transpose ? 0 : 1);
  if (rhsK != k)
    return op->emitOpError("(G1) rhs must have a length of reduction of ")
           << k << ", that of lhs, but got " << rhsK;
  if (failed(wantShape(op, "G2", "result", p.result, {m, n})))
    return failure();
  if (failed(verifySide(op, "lhs", p.lhs, p.groups, p.overReduction)) ||
      failed(verifySide(op, "rhs", p.rhs, p.overReduction ? p.groups : 0,
                        p.overReduction)))
    return failure();
  if (bool(p.lhs.scales) != bool(p.rhs.scales))
    return op->emitOpError(
               "(G3) both operands must be FP8 or neither, but got ")
           << lhs << " and " << rhs;
  if (p.lhs.scales) {
    if (isa<Float8E5M2Type>(lhs.getElementType()) &&
        isa<Float8E5M2Type>(rhs.getElementType()))
      return op->emitOpError("(G5) at most one operand may be f8E5M2, but got "
                             "two");
    ScalesAttr a = getScalesEncoding(p.lhs.scales);
    ScalesAttr b = getScalesEncoding(p.rhs.scales);
    if (!areMultiplied(a, b))
      return op->emitOpError(
                 "(G6) scales must both be <tensor>, or gemm_ready with at "
                 "most one square block, or swizzled of one recipe, but got ")
             << a << " and " << b;
  }
  if (p.bias)
    return wantShape(op, "G7", "bias", p.bias, {n});
  return success();
}
