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
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "te-trim-usages"
namespace mlir::te {
#define GEN_PASS_DEF_TRIMUSAGESPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

using Listener =
    llvm::function_ref<void(Operation *, Operation *, ArrayRef<Usage>)>;

static bool isThere(UsagesOpInterface op, const Usage &usage) {
  return !op.getResultList(usage.lists.front()).empty();
}

/// One that reads any result of the usage, or null.
static Operation *getReader(UsagesOpInterface op, const Usage &usage) {
  for (unsigned list : usage.lists)
    for (Value value : op.getResultList(list))
      if (!value.use_empty())
        return *value.user_begin();
  return nullptr;
}

/// The usages of `op` that nobody reads; never all of its directions, even where
/// nothing but an amax is read.
static SmallVector<Usage> getUnread(UsagesOpInterface op) {
  SmallVector<Usage> there = op.getUsages();
  llvm::erase_if(there, [&](const Usage &usage) { return !isThere(op, usage); });
  bool hasDirection = llvm::any_of(there, [&](const Usage &usage) {
    return usage.isDirection && getReader(op, usage);
  });
  SmallVector<Usage> unread;
  for (const Usage &usage : there)
    if (usage.isDirection && !hasDirection)
      hasDirection = true; // this one stays
    else if (!getReader(op, usage))
      unread.push_back(usage);
  return unread;
}

/// `op` without the lists `gone`.
static Operation *rebuild(OpBuilder &b, UsagesOpInterface op,
                          ArrayRef<unsigned> gone) {
  auto properties = cast<DictionaryAttr>(op->getPropertiesAsAttribute());
  StringRef segments = "resultSegmentSizes";
  auto sizes = llvm::to_vector(
      properties.getAs<DenseI32ArrayAttr>(segments).asArrayRef());
  SmallVector<Type> types;
  for (unsigned list = 0; list < sizes.size(); ++list)
    if (llvm::is_contained(gone, list))
      sizes[list] = 0;
    else
      llvm::append_range(types, op.getResultList(list).getTypes());
  NamedAttrList changed(properties);
  changed.set(segments, b.getDenseI32ArrayAttr(sizes));
  OperationState state(op.getLoc(), op->getName(), op->getOperands(), types,
                       llvm::to_vector(op->getDiscardableAttrs()));
  state.propertiesAttr = changed.getDictionary(b.getContext());
  return b.create(state);
}

static void trim(UsagesOpInterface op, Listener listener) {
  SmallVector<Usage> unread = getUnread(op);
  if (unread.empty())
    return;
  SmallVector<unsigned> gone;
  SmallVector<Value> dropped;
  for (const Usage &usage : unread)
    for (unsigned list : usage.lists) {
      gone.push_back(list);
      llvm::append_range(dropped, op.getResultList(list));
    }
  SmallVector<Value> kept = llvm::to_vector(ValueRange(op->getResults()));
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
  for (const Usage &usage : unread)
    op.forgetUsage(usage.name); // it has no further use
  OpBuilder builder(op);
  Operation *smaller = rebuild(builder, op, gone);
  for (auto [from, to] : llvm::zip_equal(kept, smaller->getResults()))
    from.replaceAllUsesWith(to);
  listener(op, smaller, unread);
  op->erase();
}

namespace {
struct TrimUsagesPass : te::impl::TrimUsagesPassBase<TrimUsagesPass> {
  using Base::Base;

  void runOnOperation() override {
    Remarks remarks(DEBUG_TYPE, "TrimUsages");
    trimUsages(getOperation(), [&](Operation *from, Operation *to,
                                   ArrayRef<Usage> usages) {
      auto passed = remarks.passed(to, Saving().removed(from).added(to));
      for (const Usage &usage : usages) {
        passed << remark::add("nobody reads {0}", usage.name);
        numTrimmed += usage.isDirection;
      }
    });
    // What is read of a direction, be it scales alone, keeps all of it. Entries of
    // a list have readers of their own.
    getOperation()->walk([&](UsagesOpInterface op) {
      if (llvm::any_of(op.getUsages(), [&](const Usage &usage) {
            return op.getResultList(usage.lists.front()).size() > 1;
          }))
        return;
      SmallVector<std::string> readers, others;
      for (const Usage &usage : op.getUsages())
        if (Operation *reader = getReader(op, usage)) {
          if (usage.isDirection)
            readers.push_back(llvm::formatv(
                readers.empty() ? "{0} reads it {1}" : "{0} {1}",
                describe(reader), usage.name));
          else
            others.push_back(usage.name.str());
        }
      if (readers.size() > 1)
        remarks.missed(op, "{0}", llvm::join(readers, ", and "));
      else if (readers.empty() && !others.empty())
        remarks.missed(op, "its {0} is read, and it must have a direction",
                       others.front());
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
    else if (auto usages = dyn_cast<UsagesOpInterface>(op))
      trim(usages, listener);
}
