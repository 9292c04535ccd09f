//===- TrimUsages.cpp - no direction that nobody reads --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "te/Dialect/TE/IR/TE.h"
#include "te/Dialect/TE/Transforms/Passes.h"
#include "te/Dialect/TE/Transforms/TrimUsages.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

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

/// How many lists an op has: only those that cast to FP4 have a tensor_amax.
template <typename CastOp>
constexpr unsigned kNumListsOf = std::is_same_v<CastOp, QuantizeOp> ||
                                         std::is_same_v<CastOp,
                                                        MultiCastTransposeOp>
                                     ? NumLists
                                     : TensorAmax;

/// The lists of `op` that nobody reads; never both directions.
template <typename CastOp> Trimmed getUnread(CastOp op) {
  auto isThere = [&](unsigned list) {
    return list < kNumListsOf<CastOp> && !op.getODSResults(list).empty();
  };
  auto isUnread = [&](unsigned list) {
    return isThere(list) && llvm::all_of(op.getODSResults(list),
                                         [](Value v) { return v.use_empty(); });
  };
  Trimmed trimmed;
  auto isNotRead = [&](unsigned list) {
    return !isThere(list) || isUnread(list);
  };
  bool rowwise = isUnread(Values) && isUnread(Scales) && isNotRead(TensorAmax);
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

/// `op` without these lists. It has no further use then: operands that go with a
/// list are taken from it.
template <typename CastOp>
Operation *rebuild(OpBuilder &b, CastOp op, const Trimmed &trimmed) {
  if (trimmed.lists[AmaxOut])
    op.getAmaxMutable().clear();
  // Of columnwise values alone.
  if constexpr (std::is_same_v<CastOp, QuantizeOp>)
    if (trimmed.lists[ValuesT])
      op.setHadamard(false);
  OperationState state(op.getLoc(), op->getName());
  state.addOperands(op->getOperands());
  auto &properties =
      state.getOrAddProperties<typename CastOp::Properties>() =
          op.getProperties();
  for (unsigned list = 0; list < properties.resultSegmentSizes.size(); ++list)
    if (list < kNumListsOf<CastOp> && trimmed.lists[list])
      properties.resultSegmentSizes[list] = 0;
    else
      state.addTypes(op.getODSResults(list).getTypes());
  return b.create(state);
}

using Listener =
    llvm::function_ref<void(Operation *, Operation *, ArrayRef<StringRef>)>;

template <typename CastOp> void trim(CastOp op, Listener listener) {
  Trimmed trimmed = getUnread(op);
  if (!trimmed)
    return;
  SmallVector<Value> kept = llvm::to_vector(ValueRange(op->getResults()));
  SmallVector<Value> dropped;
  for (unsigned list = 0; list < kNumListsOf<CastOp>; ++list)
    if (trimmed.lists[list])
      llvm::append_range(dropped, op.getODSResults(list));
  llvm::erase_if(kept, [&](Value value) {
    return llvm::is_contained(dropped, value);
  });
  if (auto dest = dyn_cast<DestinationOpInterface>(op.getOperation())) {
    MutableOperandRange range = dest.getDestinations();
    SmallVector<Value> outs;
    for (Value value : kept)
      if (!range.empty())
        outs.push_back(range[cast<OpResult>(value).getResultNumber()].get());
    range.assign(outs);
  }
  OpBuilder builder(op);
  Operation *smaller = rebuild(builder, op, trimmed);
  for (auto [from, to] : llvm::zip_equal(kept, smaller->getResults()))
    from.replaceAllUsesWith(to);

  static constexpr std::pair<unsigned, StringLiteral> names[] = {
      {Values, "rowwise"}, {ValuesT, "columnwise"}, {AmaxOut, "amax_out"}};
  SmallVector<StringRef> gone;
  for (auto [list, name] : names)
    if (trimmed.lists[list])
      gone.push_back(name);
  listener(op, smaller, gone);
  op->erase();
}

struct TrimUsagesPass : te::impl::TrimUsagesPassBase<TrimUsagesPass> {
  using Base::Base;

  void runOnOperation() override {
    Remarks remarks(DEBUG_TYPE, "TrimUsages");
    trimUsages(getOperation(), [&](Operation *from, Operation *to,
                                   ArrayRef<StringRef> names) {
      auto passed = remarks.passed(to, Saving().removed(from).added(to));
      for (StringRef name : names) {
        passed << remark::add("nobody reads {0}", name);
        numTrimmed += name != "amax_out";
      }
    });
    // What is read of a direction, be it scales alone, keeps all of it.
    getOperation()->walk([&](QuantizeOp op) {
      auto readerOf = [](Value values, Value scales) -> Operation * {
        for (Value value : {values, scales})
          if (value && !value.use_empty())
            return *value.user_begin();
        return nullptr;
      };
      Operation *rowwise = readerOf(op.getValues(), op.getScales());
      Operation *columnwise = readerOf(op.getValuesT(), op.getScalesT());
      if (rowwise && columnwise)
        remarks.missed(op, "{0} reads it rowwise, and {1} columnwise",
                       describe(rowwise), describe(columnwise));
      else if (!rowwise && !columnwise && op.getAmaxOut())
        remarks.missed(op, "its amax_out is read, and it must have a direction");
    });
  }
};
} // namespace

void te::trimUsages(Operation *root, Listener listener) {
  // Readers stand behind what they read, so that in reverse order a chain, and
  // the views and destinations that only it needs, go from its end.
  SmallVector<Operation *> ops;
  root->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (wouldOpBeTriviallyDead(op))
      ops.push_back(op);
  });
  for (Operation *op : llvm::reverse(ops))
    if (isOpTriviallyDead(op))
      op->erase();
    else
      llvm::TypeSwitch<Operation *>(op)
          .Case<QuantizeOp, MultiCastTransposeOp, RequantizeOp,
                PermuteQuantizeOp, SwigluQuantizeOp, SwigluBackwardQuantizeOp>(
              [&](auto cast) { trim(cast, listener); });
}
