//===- GemmOps.cpp - matrix products of experts ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Product.h"
#include "Verify.h"

using namespace mlir;
using namespace mlir::te;
using Slot = RuntimeSlot;

//===----------------------------------------------------------------------===//
// What te.gemm and te.grouped_gemm share
//===----------------------------------------------------------------------===//

namespace {
/// A product reads what its target multiplies: blocks as gemm_ready or
/// swizzled.
SmallVector<ScaleLayout> getReadableLayouts(OpOperand &operand) {
  return te::detail::currentLayout(operand.get().getType());
}

/// Flops of a product of these operands: 2 M N K, of the capacity.
OpCost getProductCost(Operation *op, RankedTensorType lhs, int64_t n,
                      int64_t share) {
  OpCost cost = getMemoryBoundCost(op, CostClass::Gemm);
  if (op->hasAttr("accumulate"))
    for (Value result : op->getResults())
      cost.bytes += getBytes(result.getType());
  cost.flops = 2 * lhs.getNumElements() * n / share;
  cost.product = lhs.getElementType();
  return cost;
}

IntegerAttr flag(Builder &b, bool value) { return b.getI64IntegerAttr(value); }

RankedTensorType memberOf(RankedTensorType type) {
  return type ? MemberOp::getMemberType(type) : type;
}
} // namespace

//===----------------------------------------------------------------------===//
// GemmOp
//===----------------------------------------------------------------------===//

LogicalResult GemmOp::verify() {
  if (bool(getOffsets()) != bool(getMember()) ||
      bool(getOffsets()) != bool(getRagged()))
    return emitOpError("(G8) groups, member and over must come together, but "
                       "got ")
           << (getOffsets() ? "groups" : "no groups") << ", "
           << (getMember() ? "member" : "no member") << ", "
           << (getRagged() ? "over" : "no over");
  if (getAccumulate() && !getOuts())
    return emitOpError("(G9) accumulate needs a destination, but got none");
  return verifyProduct(*this,
                       {{tensorType(getLhs()), tensorType(getLhsScales()),
                         tensorType(getLhsAmax()), getTransposeLhs()},
                        {tensorType(getRhs()), tensorType(getRhsScales()),
                         tensorType(getRhsAmax()), getTransposeRhs()},
                        tensorType(getBias()),
                        tensorType(getResult()),
                        getOffsets() ? getNumGroups(getOffsets()) : 0,
                        getRagged() == Ragged::Reduction});
}

MutableOperandRange GemmOp::getDestinations() { return getOutsMutable(); }
bool GemmOp::readsDestinations() {
  return getAccumulate() || getRagged() == Ragged::Rows;
}
bool GemmOp::addsToDestinations() { return getAccumulate(); }
void GemmOp::overwriteDestinations() { setAccumulate(false); }
Value GemmOp::getGroupOffsets() { return getOffsets(); }
std::optional<int64_t> GemmOp::getGroupMember() { return getMember(); }

SmallVector<ScaleLayout> GemmOp::getOperandLayouts(OpOperand &operand,
                                                   TargetAttr) {
  return getReadableLayouts(operand);
}

Value GemmOp::getScaledData(Value scales) {
  if (scales == getLhsScales())
    return getLhs();
  return scales == getRhsScales() ? getRhs() : Value();
}

StringRef GemmOp::getMemberOperandName(OpOperand &operand) {
  if (getRagged() != Ragged::Rows)
    return "";
  if (&operand == &getRhsMutable())
    return "rhs";
  if (isAmong(getRhsScalesMutable(), operand))
    return "rhs_scales";
  if (isAmong(getRhsAmaxMutable(), operand))
    return "rhs_amax";
  return isAmong(getBiasMutable(), operand) ? "bias" : "";
}

bool GemmOp::isMemberResult(OpResult) {
  return getRagged() == Ragged::Reduction;
}

Operation *GemmOp::formGroup(OpBuilder &builder, ArrayRef<Operation *> members,
                             ValueRange destinations) {
  auto collect = [&](auto get) {
    SmallVector<Value> values;
    for (Operation *member : members)
      if (Value value = get(cast<GemmOp>(member)))
        values.push_back(value);
    return values;
  };
  // A packed tensor where each list is one, else all of them as lists.
  auto packAll = [](ArrayRef<SmallVector<Value> *> lists) {
    SmallVector<Value> packed;
    for (SmallVector<Value> *list : lists)
      packed.push_back(list->empty() ? Value() : getPackedOfMembers(*list));
    for (auto [list, value] : llvm::zip(lists, packed))
      if (!list->empty() && !value)
        return;
    for (auto [list, value] : llvm::zip(lists, packed))
      if (value)
        *list = {value};
  };

  SmallVector<Value> rhs = {getRhs()}, scales, amax, bias, outs(destinations);
  if (getRhsScales())
    scales = {getRhsScales()};
  if (getRhsAmax())
    amax = {getRhsAmax()};
  if (getRagged() == Ragged::Rows) {
    rhs = collect([](GemmOp op) { return op.getRhs(); });
    scales = collect([](GemmOp op) { return op.getRhsScales(); });
    amax = collect([](GemmOp op) { return op.getRhsAmax(); });
    bias = collect([](GemmOp op) { return op.getBias(); });
    packAll({&rhs, &scales, &amax, &bias});
  } else {
    outs = collect([](GemmOp op) { return op.getOuts(); });
    packAll({&outs});
  }
  return GroupedGemmOp::create(
      builder, getLoc(), ValueRange(outs).getTypes(), getLhs(), getLhsScales(),
      getLhsAmax(), rhs, scales, amax, bias, getDeviceOffsets(getOffsets()),
      outs, *getRagged(), getTransposeLhs(), getTransposeRhs(),
      getAccumulate());
}

OpCost GemmOp::getCost() {
  int64_t n = tensorType(getResult()).getDimSize(1);
  OpCost cost = getProductCost(*this, tensorType(getLhs()), n,
                               getOffsets() ? getNumGroups(getOffsets()) : 1);
  // Only the ragged operands are shared out; a weight is read whole.
  if (getOffsets()) {
    int64_t groups = getNumGroups(getOffsets());
    bool rows = getRagged() == Ragged::Rows;
    auto bytes = [](Value value) {
      return value ? getBytes(value.getType()) : int64_t(0);
    };
    int64_t ragged = bytes(getLhs()) + bytes(getLhsScales());
    int64_t rhs = bytes(getRhs()) + bytes(getRhsScales());
    int64_t result = bytes(getResult()) * (getAccumulate() ? 2 : 1);
    cost.bytes = rows ? (ragged + result) / groups + rhs + bytes(getBias())
                      : (ragged + rhs) / groups + result;
  }
  return cost;
}

RuntimeCall GemmOp::getRuntimeCall() {
  Builder b(getContext());
  return {"gemm",
          {Slot::in(getLhs()), Slot::in(getLhsScales()), Slot::in(getLhsAmax()),
           Slot::in(getRhs()), Slot::in(getRhsScales()), Slot::in(getRhsAmax()),
           Slot::in(getBias()), Slot::in(getOffsets()), Slot::out(getResult())},
          {b.getI64IntegerAttr(getRagged() ? int64_t(*getRagged()) : 0),
           b.getI64IntegerAttr(getMember().value_or(-1)),
           flag(b, getTransposeLhs()), flag(b, getTransposeRhs()),
           flag(b, getAccumulate())}};
}

//===----------------------------------------------------------------------===//
// GroupedGemmOp
//===----------------------------------------------------------------------===//

LogicalResult GroupedGemmOp::verify() {
  int64_t groups = getNumGroups(getOffsets());
  bool overRows = getRagged() == Ragged::Rows;
  size_t count = getRhs().size();
  if (count == 0 || (!getRhsScales().empty() && getRhsScales().size() != count))
    return emitOpError("(GG1) rhs must have at least one tensor, and as many "
                       "scales or none, but got ")
           << count << " and " << getRhsScales().size();
  if (!getRhsAmax().empty() && getRhsAmax().size() != count)
    return emitOpError("(GG1) rhs_amax must be empty or as rhs, but got ")
           << getRhsAmax().size() << " for " << count;
  bool packedRhs = count == 1 && tensorType(getRhs()[0]).getRank() == 3;
  if (!overRows && (count != 1 || packedRhs))
    return emitOpError("(GG1) rhs must be one tensor of rank 2 over reduction, "
                       "but got ")
           << count << " of " << getRhs()[0].getType();
  if (overRows) {
    int64_t experts =
        packedRhs ? tensorType(getRhs()[0]).getDimSize(0) : int64_t(count);
    if (experts != groups)
      return emitOpError("(GG4) there must be one rhs for each of the ")
             << groups << " groups, but got " << experts;
    if (getResults().size() != 1)
      return emitOpError("(GG3) there must be one result over rows, but got ")
             << getResults().size();
    size_t biases = getBias().size();
    if (biases != 0 && biases != count)
      return emitOpError("(GG1) bias must be empty or as rhs, but got ")
             << biases << " for " << count;
  }
  bool packedResult =
      getResults().size() == 1 && tensorType(getResults()[0]).getRank() == 3;
  if (!overRows) {
    if (!getBias().empty())
      return emitOpError("(GG1) there must be no bias over reduction, but got ")
             << getBias().size();
    if (getResults().empty())
      return emitOpError("(GG3) there must be one packed result or one for "
                         "each group, but got 0");
    int64_t experts = packedResult ? tensorType(getResults()[0]).getDimSize(0)
                                   : int64_t(getResults().size());
    if (experts != groups)
      return emitOpError("(GG4) there must be one result for each of the ")
             << groups << " groups, but got " << experts;
  }
  for (auto [name, list] : {std::pair<StringRef, ValueRange>("rhs", getRhs()),
                            {"rhs_scales", getRhsScales()},
        {"rhs_amax", getRhsAmax()},
                            {"bias", getBias()}})
    for (auto [e, value] : llvm::enumerate(list))
      if (failed(wantType(*this, "GG1", (name + " " + Twine(e)).str(),
                          value.getType(), list.front().getType())))
        return failure();
  if (getAccumulate() && getOuts().empty())
    return emitOpError("(GG5) accumulate needs destinations, but got none");

  // Each product on its own: the tensors of group e.
  auto at = [](ValueRange range, size_t i, bool packed) {
    if (range.empty())
      return RankedTensorType();
    RankedTensorType type = tensorType(range[packed ? 0 : i]);
    return packed ? memberOf(type) : type;
  };
  size_t products = overRows && !packedRhs       ? count
                    : !overRows && !packedResult ? getResults().size()
                                                 : 1;
  for (size_t i = 0; i < products; ++i)
    if (failed(verifyProduct(
            *this,
            {{tensorType(getLhs()), tensorType(getLhsScales()),
              tensorType(getLhsAmax()), getTransposeLhs()},
             {at(getRhs(), overRows ? i : 0, packedRhs),
              at(getRhsScales(), overRows ? i : 0, packedRhs),
              at(getRhsAmax(), overRows ? i : 0, packedRhs), getTransposeRhs()},
             at(getBias(), i, packedRhs),
             at(getResults(), overRows ? 0 : i, packedResult),
             groups,
             !overRows})))
      return failure();
  return success();
}

MutableOperandRange GroupedGemmOp::getDestinations() {
  return getOutsMutable();
}
bool GroupedGemmOp::readsDestinations() { return getAccumulate(); }
bool GroupedGemmOp::addsToDestinations() { return getAccumulate(); }
void GroupedGemmOp::overwriteDestinations() { setAccumulate(false); }
Value GroupedGemmOp::getGroupOffsets() { return getOffsets(); }
std::optional<int64_t> GroupedGemmOp::getGroupMember() { return std::nullopt; }

SmallVector<ScaleLayout> GroupedGemmOp::getOperandLayouts(OpOperand &operand,
                                                          TargetAttr) {
  return getReadableLayouts(operand);
}

Value GroupedGemmOp::getScaledData(Value scales) {
  if (scales == getLhsScales())
    return getLhs();
  for (auto [rhs, of] : llvm::zip(getRhs(), getRhsScales()))
    if (of == scales)
      return rhs;
  return {};
}

OpCost GroupedGemmOp::getCost() {
  RankedTensorType result = tensorType(getResults().front());
  int64_t n = result.getDimSize(result.getRank() - 1);
  return getProductCost(*this, tensorType(getLhs()), n, 1);
}

RuntimeCall GroupedGemmOp::getRuntimeCall() {
  Builder b(getContext());
  return {"grouped_gemm",
          {Slot::in(getLhs()), Slot::in(getLhsScales()), Slot::in(getLhsAmax()),
           Slot::in(ValueRange(getRhs())), Slot::in(ValueRange(getRhsScales())),
           Slot::in(ValueRange(getRhsAmax())), Slot::in(ValueRange(getBias())),
           Slot::in(getOffsets()), Slot::out(ValueRange(getResults()))},
          {b.getI64IntegerAttr(int64_t(getRagged())),
           flag(b, getTransposeLhs()), flag(b, getTransposeRhs()),
           flag(b, getAccumulate())}};
}
