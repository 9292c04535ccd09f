//===- BufferConflicts.cpp - what may be overwritten ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BufferAssignment.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::te;

//===----------------------------------------------------------------------===//
// What is read afterwards
//===----------------------------------------------------------------------===//

/// An op that runs after `write` (or is it), uses `value`, or a view of it, and
/// wants the content that `origin` had before.
Operation *BufferAssignment::findUseAfter(Value value, Value origin,
                                          Operation *write, Ignore ignore) {
  for (OpOperand &use : value.getUses()) {
    Operation *owner = use.getOwner();
    if (ignore(use))
      continue;
    if (auto member = dyn_cast<MemberOp>(owner)) {
      if (Operation *user =
              findUseAfter(member.getOutput(), origin, write, ignore))
        return user;
      continue;
    }
    if (owner == write || order.runsAfter(owner, write, origin))
      return owner;
  }
  return nullptr;
}

Operation *BufferAssignment::findPlacedUseAfter(unsigned id, Operation *write,
                                                Ignore ignore) {
  for (unsigned placed : classes[id].placed)
    if (Operation *user = findClassUseAfter(find(placed), write, ignore))
      return user;
  return nullptr;
}

Operation *BufferAssignment::findClassUseAfter(unsigned id, Operation *write,
                                               Ignore ignore) {
  for (Value value : classes[id].values)
    if (Operation *user = findUseAfter(value, value, write, ignore))
      return user;
  return findPlacedUseAfter(id, write, ignore);
}

bool BufferAssignment::isWritable(unsigned id, Operation *write) const {
  const BufferClass &entry = classes[id];
  if (entry.kind == BufferClass::Alloc)
    return true;
  if (entry.kind != BufferClass::Workspace)
    return false;
  // In place, if what it then holds is what will be stored.
  auto found = stores.find(entry.global);
  return found != stores.end() && order[write] < order[found->second.front()];
}

bool BufferAssignment::mayOverwrite(OpOperand &destination, Operation *write,
                                    bool reads, Ignore ignore) {
  Value value = destination.get();
  auto ignoreToo = [&](OpOperand &use) {
    return &use == &destination || ignore(use);
  };
  unsigned id = classOf(value);
  // The next iteration reads what `write` overwrites, if it comes from outside.
  return reuse && isWritable(id, write) &&
         !(reads && order.runsAfter(write, write, value)) &&
         !findUseAfter(value, value, write, ignoreToo) &&
         !findPlacedUseAfter(id, write, ignoreToo);
}

/// The same for a destination that is a member of a packed tensor: the packed
/// tensor may then only be used elsewhere, or have this member replaced.
bool BufferAssignment::mayOverwriteView(OpOperand &destination,
                                        Operation *write, bool reads,
                                        Ignore ignore) {
  auto member = destination.get().getDefiningOp<MemberOp>();
  Value packed = member.getPacked();
  if (isMadeAtUse(packed) || packed.getDefiningOp<MemberOp>())
    return false;
  MemberIndex index = getMemberIndex(member);
  auto ignoreToo = [&](OpOperand &use) {
    if (&use == &destination || ignore(use))
      return true;
    if (auto other = dyn_cast<MemberOp>(use.getOwner())) {
      MemberIndex at = getMemberIndex(other);
      return isa<Attribute>(at) && isa<Attribute>(index) && at != index;
    }
    auto insert = dyn_cast<InsertMemberOp>(use.getOwner());
    return insert && use == insert.getPackedMutable() &&
           getMemberIndex(insert) == index &&
           insert->getBlock() == write->getBlock();
  };
  unsigned id = classOf(packed);
  return reuse && isWritable(id, write) &&
         !(reads && order.runsAfter(write, write, packed)) &&
         !findUseAfter(packed, packed, write, ignoreToo) &&
         !findPlacedUseAfter(id, write, ignoreToo);
}

//===----------------------------------------------------------------------===//
// Yielded values
//===----------------------------------------------------------------------===//

bool BufferAssignment::mayYieldInPlace(scf::ForOp loop, unsigned yielded,
                                       unsigned carried) {
  const BufferClass &entry = classes[yielded];
  return reuse && entry.kind == BufferClass::Alloc &&
         loop.getRegion().isAncestor(entry.scope->getParent()) &&
         classes[carried].kind == BufferClass::Alloc &&
         !isUsedFrom(carried, entry.first, loop.getRegion());
}

/// Whether a value of the class is used in `within`, by `from` or further on.
bool BufferAssignment::isUsedFrom(unsigned id, Operation *from,
                                  Region &within) {
  auto isUsed = [&](Value value, auto &isUsed) -> bool {
    for (Operation *user : value.getUsers()) {
      if (auto member = dyn_cast<MemberOp>(user)) {
        if (isUsed(member.getOutput(), isUsed))
          return true;
      } else if (within.isAncestor(user->getParentRegion()) &&
                 order[user] >= order[from]) {
        return true;
      }
    }
    return false;
  };
  for (Value value : classes[id].values)
    if (isUsed(value, isUsed))
      return true;
  return llvm::any_of(classes[id].placed, [&](unsigned placed) {
    return isUsedFrom(find(placed), from, within);
  });
}

//===----------------------------------------------------------------------===//
// Inserted values
//===----------------------------------------------------------------------===//

/// Whether the producers of the value that is inserted may write into its
/// place: the place is not used until then, nor written after.
bool BufferAssignment::mayPlace(InsertMemberOp op, unsigned container,
                                MemberIndex index) {
  Value value = op.getValue();
  if (!reuse || isMadeAtUse(value) || value.getDefiningOp<MemberOp>())
    return false;
  unsigned id = classOf(value);
  const BufferClass &entry = classes[id];
  if (entry.kind != BufferClass::Alloc || id == container ||
      entry.scope != op->getBlock())
    return false;
  unsigned from = order[entry.first], to = order[op];
  // What is there before is written before; undefined content never is.
  bool isUndefined = op.getPacked().getDefiningOp<tensor::EmptyOp>() != nullptr;
  const BufferClass &outer = classes[container];
  if (!isUndefined && outer.first && order[outer.first] >= from)
    return false;
  return llvm::none_of(outer.values, [&](Value packed) {
    return isSlotUsedBetween(packed, index, from, to);
  });
}

/// Whether an op in [from, to) uses `packed` other than at another constant
/// index.
bool BufferAssignment::isSlotUsedBetween(Value packed, MemberIndex index,
                                         unsigned from, unsigned to) {
  auto isElsewhere = [&](MemberIndex other) {
    return !index.isNull() && isa<Attribute>(index) && isa<Attribute>(other) &&
           index != other;
  };
  for (OpOperand &use : packed.getUses()) {
    Operation *owner = use.getOwner();
    if (auto member = dyn_cast<MemberOp>(owner)) {
      if (!isElsewhere(getMemberIndex(member)) &&
          isSlotUsedBetween(member.getOutput(), MemberIndex(), from, to))
        return true;
      continue;
    }
    unsigned at = order[owner];
    if (at < from || at >= to)
      continue;
    auto insert = dyn_cast<InsertMemberOp>(owner);
    // In place it leaves the other members alone; else it copies all of them.
    bool isInPlace = insert && use == insert.getPackedMutable() &&
                     isElsewhere(getMemberIndex(insert)) &&
                     classOf(insert.getOutput()) == classOf(packed);
    if (!isInPlace)
      return true;
  }
  return false;
}
