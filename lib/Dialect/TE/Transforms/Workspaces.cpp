//===- Workspaces.cpp - who reads and writes globals ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Workspaces.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::te;
using ml_program::GlobalLoadOp;
using ml_program::GlobalStoreOp;

/// Whether `op` itself, not an op in it, may write any global.
static bool mayWriteAny(Operation *op) {
  if (isa<SymbolOpInterface>(op) || op->hasTrait<OpTrait::SymbolTable>() ||
      op->hasTrait<OpTrait::IsTerminator>() ||
      op->hasTrait<OpTrait::HasRecursiveMemoryEffects>())
    return false;
  return !isMemoryEffectFree(op);
}

Workspaces::Workspaces(Operation *root) {
  root->walk([&](Operation *op) {
    if (auto load = dyn_cast<GlobalLoadOp>(op))
      loads[load.getGlobal()].push_back(load);
    else if (auto store = dyn_cast<GlobalStoreOp>(op))
      stores[store.getGlobal()].push_back(store);
    else if (mayWriteAny(op))
      unknown.push_back(op);
  });
}

Workspace Workspaces::find(Value value) {
  std::optional<int64_t> index;
  if (auto member = value.getDefiningOp<MemberOp>();
      member && member.getIndex()) {
    index = *member.getIndex();
    value = member.getPacked();
  }
  if (auto load = value.getDefiningOp<GlobalLoadOp>())
    return {load.getGlobal(), index};
  return {};
}

bool Workspaces::isWrittenIn(SymbolRefAttr global, Operation *scope) const {
  auto isInside = [&](Operation *op) { return scope->isAncestor(op); };
  return llvm::any_of(unknown, isInside) ||
         llvm::any_of(stores.lookup(global), isInside);
}

/// Whether `op` stands behind `other` in the text, in its block or in one
/// around it.
static bool isBehind(Operation *op, Operation *other) {
  for (Operation *at = other; at->getBlock(); at = at->getParentOp())
    if (Operation *ancestor = at->getBlock()->findAncestorOpInBlock(*op))
      return at->isBeforeInBlock(ancestor);
  return false;
}

/// Whether `user` may run after `write`, and there read `origin` as it was
/// before: further on; or in the next iteration of a loop around both, into
/// which `origin` comes from outside.
static bool mayRunAfter(Operation *user, Operation *write, Value origin) {
  if (isBehind(user, write))
    return true;
  auto loop = write->getParentOfType<LoopLikeOpInterface>();
  while (loop && !loop->isAncestor(user))
    loop = loop->getParentOfType<LoopLikeOpInterface>();
  return loop && !loop->isAncestor(origin.getParentBlock()->getParentOp());
}

/// The first store behind `write` in its block: what it writes is the content
/// of the global from there on.
GlobalStoreOp Workspaces::getNextStore(SymbolRefAttr global,
                                       Operation *write) const {
  GlobalStoreOp next;
  for (GlobalStoreOp store : stores.lookup(global))
    if (store->getBlock() == write->getBlock() &&
        write->isBeforeInBlock(store) &&
        (!next || store->isBeforeInBlock(next)))
      next = store;
  return next;
}

/// Whether the owner does more than to overwrite what it is given.
static bool isReader(OpOperand &use) {
  auto dest = dyn_cast<DestinationOpInterface>(use.getOwner());
  return !dest || dest.readsDestinations() ||
         llvm::none_of(dest.getDestinations(),
                       [&](OpOperand &out) { return &out == &use; });
}

/// Who reads `value`, through views.
static void collectReaders(Value value, SmallVectorImpl<Operation *> &readers) {
  for (OpOperand &use : value.getUses())
    if (auto view = dyn_cast<MemberOp>(use.getOwner()))
      collectReaders(view.getOutput(), readers);
    else if (isReader(use))
      readers.push_back(use.getOwner());
}

const Workspaces::Readers &Workspaces::getReaders(Value value) const {
  auto [it, isNew] = readers.try_emplace(value);
  Readers &its = it->second;
  if (!isNew)
    return its;
  // Once for all members: a group asks for each of them.
  collectReaders(value, its.all);
  for (OpOperand &use : value.getUses()) {
    auto view = dyn_cast<MemberOp>(use.getOwner());
    if (view && view.getIndex())
      collectReaders(view.getOutput(), its.ofMember[*view.getIndex()]);
    else if (view)
      collectReaders(view.getOutput(), its.ofOthers);
    else if (isReader(use))
      its.ofOthers.push_back(use.getOwner());
  }
  return its;
}

void Workspaces::forEachReader(
    Workspace workspace, Operation *write,
    function_ref<void(Operation *, Value)> visit) const {
  GlobalStoreOp next = getNextStore(workspace.global, write);
  if (!next)
    return;
  auto isBehindNext = [&](Operation *op) { return isBehind(op, next); };
  auto visitAll = [&](Value value) {
    const Readers &its = getReaders(value);
    if (!workspace.member) {
      for (Operation *reader : its.all)
        if (reader != write)
          visit(reader, value);
      return;
    }
    for (Operation *reader : its.ofOthers)
      if (reader != write)
        visit(reader, value);
    auto found = its.ofMember.find(*workspace.member);
    if (found != its.ofMember.end())
      for (Operation *reader : found->second)
        if (reader != write)
          visit(reader, value);
  };
  for (GlobalLoadOp load : loads.lookup(workspace.global))
    if (!isBehindNext(load))
      visitAll(load.getResult());
  // What was stored earlier lies there too.
  for (GlobalStoreOp store : stores.lookup(workspace.global))
    if (store != next && !isBehindNext(store) &&
        !mayRunAfter(store, write, store.getValue()))
      visitAll(store.getValue());
}

Operation *Workspaces::findPendingReader(Workspace workspace,
                                         Operation *write) const {
  Operation *pending = nullptr;
  forEachReader(workspace, write, [&](Operation *reader, Value value) {
    if (!pending && mayRunAfter(reader, write, value))
      pending = reader;
  });
  return pending;
}

//===----------------------------------------------------------------------===//
// Destinations
//===----------------------------------------------------------------------===//

namespace {
/// Where a result is stored, alone or packed with others.
struct Stored {
  GlobalStoreOp store;
  std::optional<int64_t> member;
};
} // namespace

static Stored findStore(OpResult result) {
  for (OpOperand &use : result.getUses()) {
    Operation *user = use.getOwner();
    std::optional<int64_t> member;
    if (isa<PackOp>(user) && user->hasOneUse()) {
      member = use.getOperandNumber();
      user = *user->user_begin();
    }
    auto store = dyn_cast<GlobalStoreOp>(user);
    if (store && store->getBlock() == result.getOwner()->getBlock())
      return {store, member};
  }
  return {};
}

Operation *Workspaces::passDestinations(QuantizeOp cast) {
  SmallVector<Stored> stored;
  for (OpResult result : cast->getResults())
    stored.push_back(findStore(result));
  auto isStored = [](const Stored &each) { return bool(each.store); };
  if (llvm::none_of(stored, isStored))
    return nullptr;
  for (Stored &each : stored) {
    if (!each.store)
      continue;
    SymbolRefAttr global = each.store.getGlobal();
    // Another write in between would be overwritten too early.
    if (getNextStore(global, cast) != each.store)
      return getNextStore(global, cast);
    for (Operation *op : unknown)
      if (op->getBlock() == cast->getBlock() && cast->isBeforeInBlock(op) &&
          op->isBeforeInBlock(each.store))
        return op;
    if (Operation *reader = findPendingReader({global, each.member}, cast))
      return reader;
  }
  OpBuilder builder(cast);
  SmallVector<Value> outs;
  for (auto [result, each] : llvm::zip(cast->getResults(), stored)) {
    if (!each.store) {
      // The amax is written over in any case.
      outs.push_back(
          result == cast.getAmaxOut()
              ? cast.getAmax()
              : Value(tensor::EmptyOp::create(builder, cast.getLoc(),
                                              result.getType(), ValueRange())));
      continue;
    }
    SymbolRefAttr global = each.store.getGlobal();
    // One load serves all members.
    GlobalLoadOp load;
    for (GlobalLoadOp other : loads.lookup(global))
      if (other->getBlock() == cast->getBlock() && other->isBeforeInBlock(cast))
        load = other;
    if (!load) {
      load = GlobalLoadOp::create(builder, cast.getLoc(),
                                  each.store.getValue().getType(), global);
      loads[global].push_back(load);
    }
    Value out = load.getResult();
    if (each.member)
      out = MemberOp::create(builder, cast.getLoc(), out, *each.member);
    outs.push_back(out);
  }
  cast.getOutsMutable().assign(outs);
  forgetReaders();
  return nullptr;
}
