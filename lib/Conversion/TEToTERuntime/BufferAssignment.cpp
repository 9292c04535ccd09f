//===- BufferAssignment.cpp - which values share a buffer -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BufferAssignment.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::te;

bool te::isMadeAtUse(Value value) {
  return matchPattern(value, m_Constant()) ||
         value.getDefiningOp<tensor::EmptyOp>();
}

static bool ignoreNothing(OpOperand &) { return false; }

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

unsigned BufferAssignment::find(unsigned id) const {
  while (classes[id].mergedInto)
    id = *classes[id].mergedInto;
  return id;
}

unsigned BufferAssignment::addClass(BufferClass::Kind kind, Value value,
                                    Operation *first) {
  BufferClass added;
  added.kind = kind;
  added.type = cast<RankedTensorType>(value.getType());
  added.first = first;
  added.scope = first ? first->getBlock() : &function.front();
  classes.push_back(std::move(added));
  join(value, classes.size() - 1);
  return classes.size() - 1;
}

void BufferAssignment::join(Value value, unsigned id) {
  ids[value] = id;
  classes[id].values.push_back(value);
}

void BufferAssignment::merge(unsigned from, unsigned into) {
  classes[from].mergedInto = into;
  llvm::append_range(classes[into].values, classes[from].values);
  llvm::append_range(classes[into].placed, classes[from].placed);
}

void BufferAssignment::place(unsigned id, unsigned container,
                             MemberIndex index) {
  classes[id].kind = BufferClass::Placed;
  classes[id].container = container;
  classes[id].index = index;
  classes[container].placed.push_back(id);
}

BufferPlace BufferAssignment::getPlace(Value value) const {
  SmallVector<MemberIndex, 2> path; // innermost first
  while (auto member = value.getDefiningOp<MemberOp>()) {
    path.push_back(getMemberIndex(member));
    value = member.getPacked();
  }
  unsigned id = classOf(value);
  while (classes[id].kind == BufferClass::Placed) {
    path.push_back(classes[id].index);
    id = find(classes[id].container);
  }
  std::reverse(path.begin(), path.end());
  return {id, path};
}

std::optional<unsigned>
BufferAssignment::getResultClass(unsigned number) const {
  for (auto [id, entry] : llvm::enumerate(classes))
    if (!entry.mergedInto && entry.result == number)
      return id;
  return std::nullopt;
}

unsigned BufferAssignment::getGlobalClass(StringAttr global) {
  auto found = globalClasses.find(global);
  if (found != globalClasses.end())
    return found->second;
  BufferClass added;
  added.kind = BufferClass::Workspace;
  auto symbol = SymbolTable::lookupNearestSymbolFrom<ml_program::GlobalOp>(
      function, global);
  added.type = cast<RankedTensorType>(symbol.getType());
  added.global = global;
  added.scope = &function.front();
  classes.push_back(std::move(added));
  return globalClasses[global] = classes.size() - 1;
}

//===----------------------------------------------------------------------===//
// What is read afterwards
//===----------------------------------------------------------------------===//

/// Whether an op that runs after `write` (or is it) uses `value`, or a view of it,
/// and wants the content that `origin` had before.
bool BufferAssignment::isUsedAfter(Value value, Value origin, Operation *write,
                                   Ignore ignore) {
  for (OpOperand &use : value.getUses()) {
    Operation *owner = use.getOwner();
    if (ignore(use))
      continue;
    if (auto member = dyn_cast<MemberOp>(owner)) {
      if (isUsedAfter(member.getOutput(), origin, write, ignore))
        return true;
      continue;
    }
    if (owner == write || order.runsAfter(owner, write, origin))
      return true;
  }
  return false;
}

bool BufferAssignment::isPlacedUsedAfter(unsigned id, Operation *write) {
  return llvm::any_of(classes[id].placed, [&](unsigned placed) {
    return isClassUsedAfter(find(placed), write);
  });
}

bool BufferAssignment::isClassUsedAfter(unsigned id, Operation *write) {
  for (Value value : classes[id].values)
    if (isUsedAfter(value, value, write, ignoreNothing))
      return true;
  return isPlacedUsedAfter(id, write);
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
  return isWritable(id, write) &&
         !(reads && order.runsAfter(write, write, value)) &&
         !isUsedAfter(value, value, write, ignoreToo) &&
         !isPlacedUsedAfter(id, write);
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
  return isWritable(id, write) &&
         !(reads && order.runsAfter(write, write, packed)) &&
         !isUsedAfter(packed, packed, write, ignoreToo) &&
         !isPlacedUsedAfter(id, write);
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Whether the one other use of a destination by its own op is an input that the
/// function of the runtime allows its result to be in place of.
static bool isOwnInPlaceInput(OpOperand &use, OpOperand &destination,
                              OpResult result, const RuntimeCall &call) {
  Operation *op = destination.getOwner();
  if (use.getOwner() != op || use.get() != destination.get())
    return false;
  unsigned inputs = 0;
  for (const RuntimeSlot &slot : call.slots)
    if (!slot.isOutput)
      inputs += llvm::count(slot.values, use.get());
  if (inputs != 1)
    return false;
  for (const RuntimeSlot &slot : call.slots) {
    auto found = llvm::find(slot.values, Value(result));
    if (!slot.isOutput || !slot.inPlaceOf || found == slot.values.end())
      continue;
    ArrayRef<Value> other = call.slots[*slot.inPlaceOf].values;
    size_t position = found - slot.values.begin();
    return position < other.size() && other[position] == use.get();
  }
  return false;
}

LogicalResult BufferAssignment::visitCall(RuntimeCallOpInterface op) {
  auto dest = dyn_cast<DestinationOpInterface>(op.getOperation());
  RuntimeCall call = op.getRuntimeCall();
  for (OpResult result : op->getResults()) {
    if (dest && !dest.getDestinations().empty()) {
      OpOperand &out = dest.getDestinations()[result.getResultNumber()];
      auto ignore = [&](OpOperand &use) {
        return isOwnInPlaceInput(use, out, result, call);
      };
      bool reads = dest.readsDestinations();
      if (auto member = out.get().getDefiningOp<MemberOp>()) {
        if (mayOverwriteView(out, op, reads, ignore)) {
          unsigned id = addClass(BufferClass::Alloc, result, op);
          place(id, classOf(member.getPacked()), getMemberIndex(member));
          continue;
        }
      } else if (!isMadeAtUse(out.get()) &&
                 mayOverwrite(out, op, reads, ignore)) {
        join(result, classOf(out.get()));
        continue;
      }
    }
    addClass(BufferClass::Alloc, result, op);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

LogicalResult BufferAssignment::visitLoop(scf::ForOp loop) {
  if (!getConstantIntValue(loop.getLowerBound()) || !loop.getConstantStep() ||
      !loop.getStaticTripCount())
    return loop.emitOpError(
        "must have constant bounds and a constant step to be lowered");
  for (auto [init, carried, result] :
       llvm::zip(loop.getInitArgsMutable(), loop.getRegionIterArgs(),
                 loop.getResults())) {
    if (!isa<RankedTensorType>(carried.getType()))
      return loop.emitOpError("carries a ")
             << carried.getType()
             << ", but only tensors of static shape can be lowered";
    bool isView = init.get().getDefiningOp<MemberOp>() != nullptr;
    if (!isMadeAtUse(init.get()) && !isView &&
        mayOverwrite(init, loop, /*reads=*/true, ignoreNothing))
      join(carried, classOf(init.get()));
    else
      addClass(BufferClass::Alloc, carried, loop);
    join(result, classOf(carried));
  }
  if (failed(visit(*loop.getBody())))
    return failure();
  visitYield(loop);
  return success();
}

/// What the next iteration begins with is made in the buffer that carries it, if
/// nobody wants its old content from then on.
void BufferAssignment::visitYield(scf::ForOp loop) {
  for (auto [yielded, carried] :
       llvm::zip(loop.getYieldedValues(), loop.getRegionIterArgs())) {
    if (isMadeAtUse(yielded) || yielded.getDefiningOp<MemberOp>())
      continue;
    unsigned from = classOf(yielded), into = classOf(carried);
    if (from != into && mayYieldInPlace(loop, from, into))
      merge(from, into);
  }
}

bool BufferAssignment::mayYieldInPlace(scf::ForOp loop, unsigned yielded,
                                       unsigned carried) {
  const BufferClass &entry = classes[yielded];
  return entry.kind == BufferClass::Alloc &&
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
// Members
//===----------------------------------------------------------------------===//

LogicalResult BufferAssignment::visitInsert(InsertMemberOp op) {
  OpOperand &packed = op.getPackedMutable();
  if (!isMadeAtUse(packed.get()) && !packed.get().getDefiningOp<MemberOp>() &&
      mayOverwrite(packed, op, /*reads=*/true, ignoreNothing))
    join(op.getOutput(), classOf(packed.get()));
  else
    addClass(BufferClass::Alloc, op.getOutput(), op);
  unsigned container = classOf(op.getOutput());
  MemberIndex index = getMemberIndex(op);
  if (mayPlace(op, container, index)) {
    unsigned id = classOf(op.getValue());
    Operation *first = classes[id].first;
    if (order[first] < order[classes[container].first])
      classes[container].first = first;
    place(id, container, index);
  }
  return success();
}

/// Whether the producers of the value that is inserted may write into its place:
/// the place is not used until then, nor written after.
bool BufferAssignment::mayPlace(InsertMemberOp op, unsigned container,
                                MemberIndex index) {
  Value value = op.getValue();
  if (isMadeAtUse(value) || value.getDefiningOp<MemberOp>())
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

/// Whether an op in [from, to) uses `packed` other than at another constant index.
bool BufferAssignment::isSlotUsedBetween(Value packed, MemberIndex index,
                                         unsigned from, unsigned to) {
  auto isElsewhere = [&](MemberIndex other) {
    return isa<Attribute>(index) && isa<Attribute>(other) && index != other;
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
    if (!insert || use != insert.getPackedMutable() ||
        !isElsewhere(getMemberIndex(insert)))
      return true;
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Globals and results
//===----------------------------------------------------------------------===//

void BufferAssignment::visitLoad(ml_program::GlobalLoadOp op) {
  StringAttr global = op.getGlobal().getLeafReference();
  if (buffered.contains(global))
    addClass(BufferClass::Alloc, op.getResult(), op);
  else
    join(op.getResult(), getGlobalClass(global));
}

void BufferAssignment::visitStore(ml_program::GlobalStoreOp op) {
  StringAttr global = op.getGlobal().getLeafReference();
  unsigned id = getGlobalClass(global);
  if (buffered.contains(global))
    return;
  bool inPlace = !isMadeAtUse(op.getValue()) &&
                 !op.getValue().getDefiningOp<MemberOp>() &&
                 classOf(op.getValue()) == id;
  // A copy overwrites what the class holds.
  if (!inPlace && isClassUsedAfter(id, op))
    restart |= buffered.insert(global);
}

void BufferAssignment::visitReturn(func::ReturnOp op) {
  for (OpOperand &use : op->getOpOperands()) {
    if (isMadeAtUse(use.get()) || use.get().getDefiningOp<MemberOp>())
      continue;
    BufferClass &entry = classes[classOf(use.get())];
    if (entry.kind == BufferClass::Alloc && !entry.result)
      entry.result = use.getOperandNumber();
  }
}

//===----------------------------------------------------------------------===//
// The whole function
//===----------------------------------------------------------------------===//

LogicalResult BufferAssignment::visit(Operation *op) {
  if (isa<MemberOp, tensor::EmptyOp>(op) || op->hasTrait<OpTrait::ConstantLike>())
    return success();
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return visitLoop(loop);
  if (auto insert = dyn_cast<InsertMemberOp>(op))
    return visitInsert(insert);
  if (auto load = dyn_cast<ml_program::GlobalLoadOp>(op))
    return visitLoad(load), success();
  if (auto store = dyn_cast<ml_program::GlobalStoreOp>(op))
    return visitStore(store), success();
  if (auto call = dyn_cast<RuntimeCallOpInterface>(op))
    return visitCall(call);
  if (auto ret = dyn_cast<func::ReturnOp>(op))
    return visitReturn(ret), success();
  if (isa<scf::YieldOp>(op))
    return success();
  return op->emitOpError("has no lowering to te_rt: it implements no "
                         "RuntimeCallOpInterface");
}

LogicalResult BufferAssignment::visit(Block &block) {
  for (Operation &op : block)
    if (failed(visit(&op)))
      return failure();
  return success();
}

/// A global is its memory itself if no load needs its content from before a store.
void BufferAssignment::reset() {
  classes.clear();
  ids.clear();
  globalClasses.clear();
  restart = false;
  for (BlockArgument argument : function.getArguments()) {
    unsigned id = addClass(BufferClass::Argument, argument, nullptr);
    classes[id].number = argument.getArgNumber();
  }
}

LogicalResult BufferAssignment::compute() {
  function.walk([&](Operation *op) {
    if (auto load = dyn_cast<ml_program::GlobalLoadOp>(op))
      loads[load.getGlobal().getLeafReference()].push_back(op);
    else if (auto store = dyn_cast<ml_program::GlobalStoreOp>(op))
      stores[store.getGlobal().getLeafReference()].push_back(op);
  });
  for (auto &[global, writers] : stores) {
    auto found = loads.find(global);
    if (found == loads.end())
      continue;
    ArrayRef<Operation *> readers = found->second;
    if (readers.size() != 1 || writers.size() != 1 ||
        readers.front()->getBlock() != writers.front()->getBlock() ||
        order[readers.front()] > order[writers.front()])
      buffered.insert(global);
  }
  do {
    reset();
    if (failed(visit(function.front())))
      return failure();
  } while (restart);
  return success();
}
