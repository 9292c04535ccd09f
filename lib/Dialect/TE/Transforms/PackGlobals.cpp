//===- PackGlobals.cpp - one packed workspace for E members ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PackGlobals.h"

#include "DissolvePacks.h"

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace mlir::te;
using ml_program::GlobalLoadOp;
using ml_program::GlobalOp;
using ml_program::GlobalStoreOp;

namespace {
/// Whether `op`, if it is in another block than `stores`, runs before or after
/// all of them, and so do all of `accesses` in its block. What another function
/// sees, which may be called in between, is not known.
bool seesStoresTogether(Operation *op, ArrayRef<Operation *> stores,
                        ArrayRef<Operation *> accesses) {
  Block *block = stores.front()->getBlock();
  if (op->getBlock() == block)
    return true;
  if (isa<GlobalStoreOp>(op) ||
      op->getParentOfType<FunctionOpInterface>() !=
          stores.front()->getParentOfType<FunctionOpInterface>())
    return false;
  if (Operation *ancestor = block->findAncestorOpInBlock(*op)) {
    auto isBehind = [&](Operation *store) {
      return store->isBeforeInBlock(ancestor);
    };
    return llvm::all_of(stores, isBehind) || llvm::none_of(stores, isBehind);
  }
  Operation *around = op->getBlock()->findAncestorOpInBlock(*stores.front());
  return !around || llvm::all_of(accesses, [&](Operation *other) {
    return other->getBlock() != op->getBlock() ||
           other->isBeforeInBlock(around) == op->isBeforeInBlock(around);
  });
}

/// Why `accesses` of the members of a group, in order of their members, cannot
/// be loads and one store of the packed global; empty if they can.
std::string whyNotPacked(ArrayRef<GlobalOp> members,
                         ArrayRef<ArrayRef<Operation *>> accesses) {
  auto because = [](const char *format, auto... args) {
    return llvm::formatv(format, args...).str();
  };
  SmallVector<Operation *> stores;
  for (auto [member, its] : llvm::zip(members, accesses)) {
    GlobalOp global = member;
    StringRef name = global.getSymName();
    if (global.getValue())
      return because("{0} has an initial value", name);
    Operation *store = nullptr;
    for (Operation *op : its) {
      if (!isa<GlobalLoadOp, GlobalStoreOp>(op))
        return because("{0} is accessed by {1}", name, op->getName());
      if (isa<GlobalStoreOp>(op)) {
        if (store)
          return because("{0} is stored more than once", name);
        store = op;
        stores.push_back(op);
      }
    }
    if (store)
      for (Operation *op : its)
        if (op != store && op->getBlock() == store->getBlock() &&
            store->isBeforeInBlock(op))
          return because("{0} is loaded after it has been stored", name);
  }
  if (stores.empty())
    return "";
  if (stores.size() != members.size())
    return because("{0} of its {1} members are stored, not all", stores.size(),
                   members.size());
  // In one block all stores, or none, stand between two loads.
  SmallVector<Operation *> all(stores);
  for (ArrayRef<Operation *> its : accesses)
    llvm::append_range(all, its);
  for (Operation *op : all)
    if (!seesStoresTogether(op, stores, all))
      return "its members are stored, and accessed between the stores, or in "
             "another function";
  return "";
}

/// Replaces `members` by one global with `attributes`, and their `accesses`.
void packGlobal(SymbolTable &symbols, ArrayRef<GlobalOp> members,
                DictionaryAttr attributes, ArrayRef<Operation *> accesses,
                SmallVectorImpl<PackOp> &packs) {
  GlobalOp first = members.front();
  auto type = MemberOp::getPackedType(cast<RankedTensorType>(first.getType()),
                                      members.size());
  auto name = attributes.getAs<StringAttr>(TEDialect::kNameAttr);
  auto symbol = FlatSymbolRefAttr::get(name);
  llvm::StringMap<unsigned> indexOf;
  for (auto [e, global] : llvm::enumerate(members))
    indexOf[GlobalOp(global).getSymName()] = e;

  // The first load of each block loads all members, the last store stores them.
  llvm::SmallDenseMap<Block *, Operation *> firstLoad;
  Operation *lastStore = nullptr;
  for (Operation *op : accesses) {
    if (isa<GlobalStoreOp>(op)) {
      if (!lastStore || lastStore->isBeforeInBlock(op))
        lastStore = op;
    } else if (Operation *&at = firstLoad[op->getBlock()];
               !at || op->isBeforeInBlock(at)) {
      at = op;
    }
  }
  llvm::SmallDenseMap<Block *, Value> loaded;
  for (auto [block, at] : firstLoad) {
    OpBuilder builder(at);
    loaded[block] = GlobalLoadOp::create(builder, at->getLoc(), type, symbol);
  }
  for (Operation *op : accesses)
    if (auto load = dyn_cast<GlobalLoadOp>(op)) {
      OpBuilder builder(load);
      int64_t e = indexOf[load.getGlobal().getLeafReference()];
      load.getResult().replaceAllUsesWith(MemberOp::create(
          builder, load.getLoc(), loaded[load->getBlock()], e));
    }
  if (lastStore) {
    SmallVector<Value> stored(members.size());
    for (Operation *op : accesses)
      if (auto store = dyn_cast<GlobalStoreOp>(op))
        stored[indexOf[store.getGlobal().getLeafReference()]] =
            store.getValue();
    OpBuilder builder(lastStore);
    packs.push_back(createPack(builder, lastStore->getLoc(), stored));
    GlobalStoreOp::create(builder, lastStore->getLoc(), symbol, packs.back());
  }
  for (Operation *op : accesses)
    op->erase();

  OpBuilder builder(first);
  auto packed = GlobalOp::create(builder, first.getLoc(), name,
                                 TypeAttr::get(type), first.getIsMutableAttr(),
                                 Attribute(), first.getSymVisibilityAttr());
  for (NamedAttribute attribute : attributes)
    if (attribute.getName().getValue().starts_with("te.") &&
        attribute.getName() != TEDialect::kNameAttr)
      packed->setAttr(attribute.getName(), attribute.getValue());
  for (GlobalOp global : members)
    symbols.erase(global);
  symbols.insert(packed);
}
} // namespace

unsigned te::packGlobals(ModuleOp module, SymbolTable &symbols,
                         const SymbolUserMap &users, PackRemarks &remarks,
                         SmallVectorImpl<PackOp> &packs) {
  MLIRContext *context = module.getContext();
  unsigned numGlobals = 0;
  SmallVector<Candidate> candidates;
  auto globals = llvm::to_vector(module.getOps<GlobalOp>());
  for (GlobalOp global : globals) {
    NamedAttrList attributes(global->getAttrDictionary());
    attributes.erase(global.getSymNameAttrName());
    attributes.erase(global.getTypeAttrName());
    attributes.set(TEDialect::kNameAttr, global.getSymNameAttr());
    candidates.push_back(
        {global.getLoc(), global.getType(), attributes.getDictionary(context)});
  }
  for (const MemberGroup &group :
       findMemberGroups(candidates, module, remarks)) {
    auto members = llvm::map_to_vector(group.members,
                                       [&](unsigned i) { return globals[i]; });
    auto accesses = llvm::map_to_vector(
        members, [&](GlobalOp op) { return users.getUsers(op); });
    std::string reason = whyNotPacked(members, accesses);
    if (reason.empty() && symbols.lookup(group.name) &&
        !llvm::is_contained(members, symbols.lookup(group.name)))
      reason = "there is another symbol of its name";
    if (!reason.empty()) {
      remarks.missed(members.front().getLoc(), module,
                     "group {0} of globals: {1}", group.name.getValue(),
                     reason);
      continue;
    }
    Location loc = members.front().getLoc();
    SmallVector<Operation *> all;
    for (ArrayRef<Operation *> its : accesses)
      llvm::append_range(all, its);
    packGlobal(symbols, members, getPackedAttributes(candidates, group), all,
               packs);
    remarks.passed(loc, module, "global", group.name.getValue(),
                   group.members.size());
    ++numGlobals;
  }
  return numGlobals;
}
