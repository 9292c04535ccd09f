//===- PackOps.cpp - a group's members as one value -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::te;

//===----------------------------------------------------------------------===//
// PackOp
//===----------------------------------------------------------------------===//

LogicalResult PackOp::verify() {
  if (getInputs().empty())
    return emitOpError("(P1) there must be at least one input, but got 0");
  for (auto [e, input] : llvm::enumerate(getInputs()))
    if (failed(wantType(*this, "P1", ("member " + Twine(e)).str(),
                        input.getType(), getInputs().front().getType())))
      return failure();
  return wantType(*this, "P2", "output", getOutput().getType(),
                  MemberOp::getPackedType(tensorType(getInputs().front()),
                                          getInputs().size()));
}

Value te::getPackedOfMembers(ValueRange values) {
  Value packed;
  for (auto [i, value] : llvm::enumerate(values)) {
    auto member = value.getDefiningOp<MemberOp>();
    if (!member || member.getIndex() != std::optional<uint64_t>(i) ||
        (packed && packed != member.getPacked()))
      return {};
    packed = member.getPacked();
  }
  bool all =
      packed && tensorType(packed).getDimSize(0) == int64_t(values.size());
  return all ? packed : Value();
}

Value te::packMembers(OpBuilder &builder, Location loc, ValueRange values) {
  if (Value packed = getPackedOfMembers(values))
    return packed;
  return PackOp::create(
      builder, loc,
      MemberOp::getPackedType(tensorType(values.front()), values.size()),
      values);
}

OpFoldResult PackOp::fold(FoldAdaptor) {
  return getPackedOfMembers(getInputs());
}

namespace {
/// The destination that `value`, a result of an op, is the new content of; null
/// where there is none.
OpOperand *getUpdated(Value value) {
  auto op = value.getDefiningOp<DestinationOpInterface>();
  if (!op || op.getDestinations().empty())
    return nullptr;
  return &op.getDestinations()[cast<OpResult>(value).getResultNumber()];
}

/// The new content of a destination.
Value getResult(OpOperand &destination) {
  Operation *op = destination.getOwner();
  for (Value result : op->getResults())
    if (getUpdated(result) == &destination)
      return result;
  llvm_unreachable("a destination has a result");
}

/// pack(update(member(x, 0)), update(member(x, 1))), the accumulators of a
/// loop: x with the members inserted, each of which is written where it lies.
struct PackOfUpdates : OpRewritePattern<PackOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(PackOp op,
                                PatternRewriter &rewriter) const override {
    Value packed;
    SmallVector<OpOperand *> updates;
    for (auto [e, input] : llvm::enumerate(op.getInputs())) {
      auto member = input.getDefiningOp<MemberOp>();
      if (!member) {
        OpOperand *updated = getUpdated(input);
        if (!updated || updated->getOwner()->getBlock() != op->getBlock())
          return rewriter.notifyMatchFailure(op, "an input is no update");
        member = updated->get().getDefiningOp<MemberOp>();
        updates.push_back(updated);
      }
      if (!member || member.getIndex() != std::optional<uint64_t>(e) ||
          (packed && packed != member.getPacked()))
        return rewriter.notifyMatchFailure(
            op, "an input is not what a member of one tensor became");
      packed = member.getPacked();
    }
    if (packed.getType() != op.getType() || updates.empty())
      return rewriter.notifyMatchFailure(op, "not all members of a tensor");
    // Another reader of the old content would need a copy of it.
    for (Operation *user : packed.getUsers())
      if (!isa<MemberOp>(user) || !user->hasOneUse())
        return rewriter.notifyMatchFailure(op,
                                           "the members are read elsewhere");
    llvm::sort(updates, [](OpOperand *a, OpOperand *b) {
      return a->getOwner()->isBeforeInBlock(b->getOwner());
    });
    for (auto [a, b] : llvm::zip(updates, llvm::drop_begin(updates)))
      if (a->getOwner() == b->getOwner())
        return rewriter.notifyMatchFailure(op, "one op updates two members");

    // Each update is of what the one before it has left: nothing is read that
    // has been overwritten, so all of them can be in place.
    for (OpOperand *update : updates) {
      Operation *owner = update->getOwner();
      auto member = update->get().getDefiningOp<MemberOp>();
      int64_t index = *member.getIndex();
      if (packed != member.getPacked()) {
        rewriter.setInsertionPoint(owner);
        Value latest =
            MemberOp::create(rewriter, member.getLoc(), packed, index);
        rewriter.modifyOpInPlace(owner, [&] { update->set(latest); });
      }
      rewriter.setInsertionPointAfter(owner);
      packed = InsertMemberOp::create(rewriter, op.getLoc(), getResult(*update),
                                      packed, index);
    }
    rewriter.replaceOp(op, packed);
    return success();
  }
};
} // namespace

void PackOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *context) {
  patterns.add<PackOfUpdates>(context);
}

SmallVector<ScaleLayout> PackOp::getOperandLayouts(OpOperand &operand,
                                                   TargetAttr) {
  return te::detail::convertibleLayouts(operand.get().getType());
}

SmallVector<ScaleLayout> PackOp::getResultLayouts(OpResult result, TargetAttr) {
  return te::detail::convertibleLayouts(result.getType());
}

SmallVector<OpOperand *> PackOp::getTiedLayoutOperands(OpResult) {
  return llvm::to_vector(llvm::make_pointer_range((*this)->getOpOperands()));
}

OpCost PackOp::getCost() { return getMemoryBoundCost(*this, CostClass::Copy); }

RuntimeCall PackOp::getRuntimeCall() {
  return {
      "pack",
      {RuntimeSlot::in(ValueRange(getInputs())), RuntimeSlot::out(getOutput())},
      {}};
}

//===----------------------------------------------------------------------===//
// MemberOp
//===----------------------------------------------------------------------===//

RankedTensorType MemberOp::getMemberType(RankedTensorType packed) {
  return RankedTensorType::get(packed.getShape().drop_front(),
                               packed.getElementType(), packed.getEncoding());
}

RankedTensorType MemberOp::getPackedType(RankedTensorType member,
                                         int64_t count) {
  SmallVector<int64_t> shape = {count};
  llvm::append_range(shape, member.getShape());
  return RankedTensorType::get(shape, member.getElementType(),
                               member.getEncoding());
}

/// The index is a constant in range, or an operand.
static LogicalResult verifyIndex(Operation *op, StringRef label, Value dynamic,
                                 std::optional<uint64_t> index,
                                 RankedTensorType packed) {
  if (bool(dynamic) == index.has_value())
    return op->emitOpError() << "(" << label
                             << ") the index must be either a constant or an "
                                "operand, but got "
                             << (dynamic ? "both" : "neither");
  if (packed.getRank() < 1)
    return op->emitOpError()
           << "(" << label << ") packed must have a first dimension, but got "
           << packed;
  if (index && (int64_t(*index) < 0 || int64_t(*index) >= packed.getDimSize(0)))
    return op->emitOpError()
           << "(" << label << ") the index must be in [0, "
           << packed.getDimSize(0) << "), but got " << int64_t(*index);
  return success();
}

void MemberOp::build(OpBuilder &builder, OperationState &state, Value packed,
                     int64_t index) {
  build(builder, state, getMemberType(tensorType(packed)), packed, Value(),
        builder.getI64IntegerAttr(index));
}

void MemberOp::build(OpBuilder &builder, OperationState &state, Value packed,
                     Value index) {
  build(builder, state, getMemberType(tensorType(packed)), packed, index,
        IntegerAttr());
}

LogicalResult MemberOp::verify() {
  RankedTensorType packed = tensorType(getPacked());
  if (failed(verifyIndex(*this, "E1", getDynamicIndex(), getIndex(), packed)))
    return failure();
  return wantType(*this, "E2", "output", getOutput().getType(),
                  getMemberType(packed));
}

OpFoldResult MemberOp::fold(FoldAdaptor) {
  if (!getIndex())
    return {};
  if (auto pack = getPacked().getDefiningOp<PackOp>())
    return pack.getInputs()[*getIndex()];
  // Look through insertions of other members.
  Value packed = getPacked();
  while (auto insert = packed.getDefiningOp<InsertMemberOp>()) {
    if (!insert.getIndex())
      break;
    if (*insert.getIndex() == *getIndex())
      return insert.getValue();
    packed = insert.getPacked();
  }
  return {};
}

SmallVector<ScaleLayout> MemberOp::getOperandLayouts(OpOperand &operand,
                                                     TargetAttr) {
  return te::detail::convertibleLayouts(operand.get().getType());
}

SmallVector<ScaleLayout> MemberOp::getResultLayouts(OpResult result,
                                                    TargetAttr) {
  return te::detail::convertibleLayouts(result.getType());
}

SmallVector<OpOperand *> MemberOp::getTiedLayoutOperands(OpResult) {
  return {&getPackedMutable()};
}

OpCost MemberOp::getCost() { return {CostClass::Other, 0, 0, 0, 0, Type()}; }

RuntimeCall MemberOp::getRuntimeCall() { return {}; }

//===----------------------------------------------------------------------===//
// InsertMemberOp
//===----------------------------------------------------------------------===//

void InsertMemberOp::build(OpBuilder &builder, OperationState &state,
                           Value value, Value packed, int64_t index) {
  build(builder, state, packed.getType(), value, packed, Value(),
        builder.getI64IntegerAttr(index));
}

void InsertMemberOp::build(OpBuilder &builder, OperationState &state,
                           Value value, Value packed, Value index) {
  build(builder, state, packed.getType(), value, packed, index, IntegerAttr());
}

LogicalResult InsertMemberOp::verify() {
  RankedTensorType packed = tensorType(getPacked());
  if (failed(verifyIndex(*this, "I1", getDynamicIndex(), getIndex(), packed)) ||
      failed(wantType(*this, "I2", "value", getValue().getType(),
                      MemberOp::getMemberType(packed))))
    return failure();
  return wantType(*this, "I3", "output", getOutput().getType(), packed);
}

MutableOperandRange InsertMemberOp::getDestinations() {
  return getPackedMutable();
}
bool InsertMemberOp::readsDestinations() { return true; }

SmallVector<ScaleLayout> InsertMemberOp::getOperandLayouts(OpOperand &operand,
                                                           TargetAttr) {
  return te::detail::convertibleLayouts(operand.get().getType());
}

SmallVector<ScaleLayout> InsertMemberOp::getResultLayouts(OpResult result,
                                                          TargetAttr) {
  return te::detail::convertibleLayouts(result.getType());
}

SmallVector<OpOperand *> InsertMemberOp::getTiedLayoutOperands(OpResult) {
  return {&getValueMutable(), &getPackedMutable()};
}

OpCost InsertMemberOp::getCost() {
  return {CostClass::Other, 0, 0, 0, 0, Type()};
}

RuntimeCall InsertMemberOp::getRuntimeCall() { return {}; }
