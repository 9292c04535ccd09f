//===- GatedGemmOp.cpp - products that are activated and cast -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// te.grouped_gemm_swiglu_quantize, and how te.swiglu_quantize becomes a part of
// it.
//
//===----------------------------------------------------------------------===//

#include "Cast.h"
#include "Product.h"
#include "Verify.h"

using namespace mlir;
using namespace mlir::te;
using Slot = RuntimeSlot;

/// Columns of a block of scales, and what the width of an activation is a
/// multiple of.
constexpr static int64_t kBlock = 128;

static bool hasBlocks(Type scales, int64_t rows) {
  ScalesAttr encoding = getScalesEncoding(scales);
  return encoding && !encoding.isTensor() && encoding.getRows() == rows &&
         encoding.getCols() == kBlock;
}

static bool isE4M3(Value value) {
  return isa<Float8E4M3FNType>(tensorType(value).getElementType());
}

//===----------------------------------------------------------------------===//
// GroupedGemmSwigluQuantizeOp
//===----------------------------------------------------------------------===//

/// (GS1) as far as the lists go.
static LogicalResult verifyLists(GroupedGemmSwigluQuantizeOp op) {
  int64_t groups = getNumGroups(op.getOffsets());
  int64_t count = op.getRhs().size(), scales = op.getRhsScales().size();
  if (count == 0 || scales != count)
    return op.emitOpError(
               "(GS1) rhs must have at least one tensor, and as many "
               "scales, but got ")
           << count << " and " << scales;
  for (auto [name, list] :
       {std::pair<StringRef, ValueRange>("rhs", op.getRhs()),
        {"rhs_scales", op.getRhsScales()}})
    for (auto [e, value] : llvm::enumerate(list))
      if (failed(wantType(op, "GS1", (name + " " + Twine(e)).str(),
                          value.getType(), list.front().getType())))
        return failure();
  for (Value operand : {Value(op.getLhs()), op.getRhs().front()})
    if (failed(want(op, "GS1", operand == op.getLhs() ? "lhs" : "rhs",
                    isE4M3(operand), "of f8E4M3FN", operand.getType())))
      return failure();
  RankedTensorType rhs = tensorType(op.getRhs().front());
  bool packed = count == 1 && rhs.getRank() == 3;
  if (packed)
    count = rhs.getDimSize(0);
  return want(op, "GS1", "rhs", count == groups,
              "one for each of the " + std::to_string(groups) + " groups",
              count);
}

LogicalResult GroupedGemmSwigluQuantizeOp::verify() {
  RankedTensorType offsets = getOffsets().getType();
  if (failed(want(*this, "GS8", "offsets",
                  isVector(getOffsets()) && offsets.getDimSize(0) >= 2 &&
                      !isOnHost(offsets),
                  "a vector of at least two in memory of the device",
                  offsets)) ||
      failed(verifyLists(*this)))
    return failure();
  RankedTensorType rhs = tensorType(getRhs().front());
  RankedTensorType rhsScales = tensorType(getRhsScales().front());
  if (rhs.getRank() == 3) {
    rhs = MemberOp::getMemberType(rhs);
    if (rhsScales.getRank() == 3)
      rhsScales = MemberOp::getMemberType(rhsScales);
  }
  RankedTensorType lhs = tensorType(getLhs());
  if (lhs.getRank() != 2 || rhs.getRank() != 2)
    return emitOpError("(GS2) lhs must have rank 2 and rhs 2 or 3, but got ")
           << lhs << " and " << getRhs().front().getType();
  auto product = RankedTensorType::get({lhs.getDimSize(0), rhs.getDimSize(0)},
                                       BFloat16Type::get(getContext()));
  if (failed(verifyProduct(
          *this, {{lhs, tensorType(getLhsScales()), {}, /*transpose=*/false},
                  {rhs, rhsScales, {}, /*transpose=*/false},
                  /*bias=*/{},
                  product,
                  getNumGroups(getOffsets()),
                  /*overReduction=*/false})) ||
      failed(want(*this, "GS2", "lhs_scales",
                  hasBlocks(getLhsScales().getType(), 1),
                  "of blocks of 1 x 128", getLhsScales().getType())) ||
      failed(want(*this, "GS2", "rhs_scales", hasBlocks(rhsScales, kBlock),
                  "of blocks of 128 x 128", rhsScales)) ||
      failed(want(*this, "GS3", "the rows of rhs",
                  product.getDimSize(1) % (2 * kBlock) == 0,
                  "a multiple of 256", product.getDimSize(1))))
    return failure();
  if (getProbs() &&
      failed(wantShape(*this, "GS4", "probs", tensorType(getProbs()),
                       {product.getDimSize(0)})))
    return failure();
  if (failed(verifyDirections(*this, "GS5", getValues(), getScales(),
                              getValuesT(), getScalesT())))
    return failure();
  Cast cast = {};
  cast.input =
      product.clone({product.getDimSize(0), product.getDimSize(1) / 2});
  cast.offsets = getOffsets();
  cast.values = getValues(), cast.scales = getScales();
  cast.valuesT = getValuesT(), cast.scalesT = getScalesT();
  cast.pow2Scales = getPow2Scales();
  cast.epsilon = getEpsilon().convertToDouble();
  if (failed(verifyCast(*this, CastLabels::of("GS6", "GS6"), cast)))
    return failure();
  for (auto [name, scales] :
       {std::pair<StringRef, Value>("scales", getScales()),
        {"scales_t", getScalesT()}})
    if (scales &&
        failed(want(*this, "GS6", name, hasBlocks(scales.getType(), 1),
                    "of blocks of 1 x 128", scales.getType())))
      return failure();
  if (!getProduct())
    return success();
  return wantType(*this, "GS7", "product", getProduct().getType(), product);
}

SmallVector<Usage> GroupedGemmSwigluQuantizeOp::getUsages() {
  return {{"rowwise", {0, 1}, true},
          {"columnwise", {2, 3}, true},
          {"product", {4}, false}};
}
void GroupedGemmSwigluQuantizeOp::forgetUsage(StringRef) {}

Value GroupedGemmSwigluQuantizeOp::getScaledData(Value scales) {
  if (scales == getLhsScales())
    return getLhs();
  for (auto [rhs, of] : llvm::zip(getRhs(), getRhsScales()))
    if (of == scales)
      return rhs;
  if (scales == getScales())
    return getValues();
  return scales == getScalesT() ? Value(getValuesT()) : Value();
}

OpCost GroupedGemmSwigluQuantizeOp::getCost() {
  RankedTensorType lhs = tensorType(getLhs());
  RankedTensorType rhs = tensorType(getRhs().front());
  OpCost cost = getMemoryBoundCost(*this, CostClass::Gemm);
  cost.flops = 2 * lhs.getNumElements() * rhs.getDimSize(rhs.getRank() - 2);
  cost.product = lhs.getElementType();
  return cost;
}

RuntimeCall GroupedGemmSwigluQuantizeOp::getRuntimeCall() {
  Builder b(getContext());
  return {"grouped_gemm_swiglu_quantize",
          {Slot::in(getLhs()), Slot::in(getLhsScales()),
           Slot::in(ValueRange(getRhs())), Slot::in(ValueRange(getRhsScales())),
           Slot::in(getProbs()), Slot::in(getOffsets()),
           Slot::out(getProduct()), Slot::out(getValues()),
           Slot::out(getScales()), Slot::out(getValuesT()),
           Slot::out(getScalesT())},
          {b.getI64IntegerAttr(getPow2Scales()),
           b.getF64FloatAttr(getEpsilon().convertToDouble())}};
}

//===----------------------------------------------------------------------===//
// SwigluQuantizeOp, as a part of it
//===----------------------------------------------------------------------===//

OpOperand &SwigluQuantizeOp::getProductOperand() { return getInputMutable(); }

std::string SwigluQuantizeOp::getEpilogueObstacle(GroupedGemmOp &product) {
  std::string text;
  llvm::raw_string_ostream os(text);
  int64_t cols = getInput().getType().getDimSize(1);
  if (product.getRagged() != Ragged::Rows)
    return "the product is over reduction";
  if (!product.getBias().empty())
    return "the product has a bias";
  if (product.getAccumulate())
    return "the product is added to what is there";
  if (product.getOffsets() != getOffsets())
    return "the groups of the product are not those of the cast";
  if (!getInput().getType().getElementType().isBF16() ||
      !isE4M3(product.getLhs()) || !isE4M3(product.getRhs().front()))
    os << "the product is of " << tensorType(product.getLhs()).getElementType()
       << " and " << tensorType(product.getRhs().front()).getElementType()
       << " to " << getInput().getType().getElementType()
       << ", not of f8E4M3FN to bf16";
  else if (!hasBlocks(product.getLhsScales().getType(), 1) ||
           !hasBlocks(product.getRhsScales().front().getType(), kBlock))
    os << "scales of the product are "
       << getScalesEncoding(product.getLhsScales().getType()) << " and "
       << getScalesEncoding(product.getRhsScales().front().getType())
       << ", not of 1 x 128 and 128 x 128";
  else if (cols % (2 * kBlock))
    os << "rows of " << cols / 2 << " are no multiple of 128";
  else if (getAmaxOut() || getAmax() || getScale())
    os << "the cast has an amax or a scale of tensors";
  else
    for (Value scales : {Value(getScales()), Value(getScalesT())})
      if (scales && !hasBlocks(scales.getType(), 1))
        os << "the cast is to " << getScalesEncoding(scales.getType())
           << ", not to blocks of 1 x 128";
  return text;
}

Operation *SwigluQuantizeOp::formWithProduct(OpBuilder &builder,
                                             GroupedGemmOp &product,
                                             bool keepsProduct) {
  auto typeOf = [](Value value) { return value ? value.getType() : Type(); };
  return GroupedGemmSwigluQuantizeOp::create(
      builder, product.getLoc(), typeOf(getValues()), typeOf(getScales()),
      typeOf(getValuesT()), typeOf(getScalesT()),
      keepsProduct ? typeOf(product.getResults().front()) : Type(),
      product.getLhs(), product.getLhsScales(), product.getRhs(),
      product.getRhsScales(), getProbs(), getOffsets(), getPow2ScalesAttr(),
      getEpsilonAttr());
}
