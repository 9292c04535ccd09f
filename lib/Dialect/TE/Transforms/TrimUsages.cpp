//===- TrimUsages.cpp - no direction that nobody reads --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "te/Dialect/TE/IR/TE.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

#define DEBUG_TYPE "te-trim-usages"
namespace mlir::te {
#define GEN_PASS_DEF_TRIMUSAGESPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
/// The lists of results of a cast, in the order of the op.
enum ResultList {
  Values,
  Scales,
  ValuesT,
  ScalesT,
  AmaxOut,
  TensorAmax,
  TensorAmaxT,
  NumLists
};

struct Trimmed {
  bool lists[NumLists] = {};
  explicit operator bool() const {
    return lists[Values] || lists[ValuesT] || lists[AmaxOut];
  }
};

/// The lists of `op` that nobody reads; never both directions.
template <typename CastOp> Trimmed getUnread(CastOp op) {
  auto isThere = [&](unsigned list) { return !op.getODSResults(list).empty(); };
  auto isUnread = [&](unsigned list) {
    return isThere(list) && llvm::all_of(op.getODSResults(list),
                                         [](Value v) { return v.use_empty(); });
  };
  Trimmed trimmed;
  auto isNotRead = [&](unsigned list) {
    return !isThere(list) || isUnread(list);
  };
  bool rowwise =
      isUnread(Values) && isUnread(Scales) && isNotRead(TensorAmax);
  bool columnwise =
      isUnread(ValuesT) && isUnread(ScalesT) && isNotRead(TensorAmaxT);
  // (Q1) asks for one of the two, even where the amax alone is read.
  if (rowwise && (columnwise || !isThere(ValuesT)))
    rowwise = false;
  if (columnwise && !isThere(Values))
    columnwise = false;
  for (unsigned list : {Values, Scales, TensorAmax})
    trimmed.lists[list] = rowwise;
  for (unsigned list : {ValuesT, ScalesT, TensorAmaxT})
    trimmed.lists[list] = columnwise;
  trimmed.lists[AmaxOut] = isUnread(AmaxOut);
  return trimmed;
}

/// The types of the results that stay in `list`.
template <typename CastOp>
SmallVector<Type> getTypes(CastOp op, const Trimmed &trimmed, unsigned list) {
  if (trimmed.lists[list])
    return {};
  return llvm::map_to_vector(op.getODSResults(list),
                             [](Value value) { return value.getType(); });
}

Type getType(QuantizeOp op, const Trimmed &trimmed, unsigned list) {
  SmallVector<Type> types = getTypes(op, trimmed, list);
  return types.empty() ? Type() : types.front();
}

Operation *rebuild(OpBuilder &b, QuantizeOp op, const Trimmed &trimmed,
                   ValueRange outs) {
  auto type = [&](unsigned list) { return getType(op, trimmed, list); };
  return QuantizeOp::create(
      b, op.getLoc(), type(Values), type(Scales), type(ValuesT), type(ScalesT),
      type(AmaxOut), type(TensorAmax), type(TensorAmaxT), op.getInput(),
      op.getScale(), trimmed.lists[AmaxOut] ? Value() : op.getAmax(),
      op.getNoop(), op.getOffsets(), op.getRng(), outs, op.getMemberAttr(),
      op.getPow2ScalesAttr(), op.getSquareBlocksAttr(),
      // It is of columnwise values alone.
      trimmed.lists[ValuesT] ? UnitAttr() : op.getHadamardAttr(),
      op.getRngStreamAttr(), op.getEpsilonAttr(), op.getVariantAttr());
}

Operation *rebuild(OpBuilder &b, MultiCastTransposeOp op,
                   const Trimmed &trimmed, ValueRange outs) {
  auto types = [&](unsigned list) { return getTypes(op, trimmed, list); };
  return MultiCastTransposeOp::create(
      b, op.getLoc(), types(Values), types(Scales), types(ValuesT),
      types(ScalesT), types(AmaxOut), types(TensorAmax), types(TensorAmaxT),
      op.getInputs(), op.getScale(),
      trimmed.lists[AmaxOut] ? ValueRange() : ValueRange(op.getAmax()),
      op.getNoop(), outs, op.getPow2ScalesAttr(), op.getSquareBlocksAttr(),
      op.getEpsilonAttr());
}

struct TrimUsagesPass : te::impl::TrimUsagesPassBase<TrimUsagesPass> {
  using Base::Base;

  void runOnOperation() override {
    // Readers stand behind what they read, so that in reverse order a chain,
    // and the views and destinations that only it needs, go from its end.
    SmallVector<Operation *> ops;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (wouldOpBeTriviallyDead(op))
        ops.push_back(op);
    });
    for (Operation *op : llvm::reverse(ops)) {
      if (isOpTriviallyDead(op))
        op->erase();
      else if (auto quantize = dyn_cast<QuantizeOp>(op))
        trim(quantize);
      else if (auto multi = dyn_cast<MultiCastTransposeOp>(op))
        trim(multi);
    }
  }

private:
  template <typename CastOp> void trim(CastOp op);
};

template <typename CastOp> void TrimUsagesPass::trim(CastOp op) {
  Trimmed trimmed = getUnread(op);
  if (!trimmed)
    return;
  SmallVector<Value> kept, outs;
  for (unsigned list = 0; list < NumLists; ++list)
    for (OpResult result : op.getODSResults(list))
      if (!trimmed.lists[list]) {
        kept.push_back(result);
        if (!op.getOuts().empty())
          outs.push_back(op.getOuts()[result.getResultNumber()]);
      }
  OpBuilder builder(op);
  Operation *smaller = rebuild(builder, op, trimmed, outs);
  smaller->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  for (auto [from, to] : llvm::zip_equal(kept, smaller->getResults()))
    from.replaceAllUsesWith(to);

  static const Remarks remarks(DEBUG_TYPE, "TrimUsages");
  static constexpr std::pair<unsigned, const char *> names[] = {
      {Values, "rowwise"}, {ValuesT, "columnwise"}, {AmaxOut, "amax_out"}};
  auto passed = remarks.passed(smaller, Saving().removed(op).added(smaller));
  for (auto [list, name] : names)
    if (trimmed.lists[list]) {
      passed << remark::add("nobody reads {0}", name);
      numTrimmed += list != AmaxOut;
    }
  op->erase();
}
} // namespace
