//===- BufferAssignment.cpp - which values share a buffer -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BufferAssignment.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace mlir::te;

bool te::isMadeAtUse(Value value) {
  return matchPattern(value, m_Constant()) ||
         value.getDefiningOp<tensor::EmptyOp>();
}

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
  auto found = resultClasses.find(number);
  if (found == resultClasses.end())
    return std::nullopt;
  return found->second;
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
// Calls
//===----------------------------------------------------------------------===//

namespace {
/// Of a call: for each result the input that the function of the runtime allows
/// it to be in place of, if the call reads that once.
class InPlaceInputs {
public:
  InPlaceInputs(Operation *op, const RuntimeCall &call) {
    llvm::DenseMap<Value, unsigned> uses;
    llvm::DenseMap<Value, OpOperand *> operands;
    for (const RuntimeSlot &slot : call.slots)
      for (Value value : slot.values)
        ++uses[value];
    for (OpOperand &operand : op->getOpOperands())
      operands.insert({operand.get(), &operand});
    for (const RuntimeSlot &slot : call.slots) {
      if (!slot.isOutput || !slot.inPlaceOf)
        continue;
      for (auto [result, input] :
           llvm::zip(slot.values, call.slots[*slot.inPlaceOf].values))
        if (uses.lookup(input) == 1)
          inputs[result] = operands.lookup(input);
    }
  }
  OpOperand *lookup(OpResult result) const { return inputs.lookup(result); }

private:
  llvm::DenseMap<Value, OpOperand *> inputs;
};
} // namespace

LogicalResult BufferAssignment::visitCall(RuntimeCallOpInterface op) {
  auto dest = dyn_cast<DestinationOpInterface>(op.getOperation());
  bool reads = dest && dest.readsDestinations();
  InPlaceInputs inputs(op, op.getRuntimeCall());
  for (OpResult result : op->getResults()) {
    OpOperand *input = inputs.lookup(result);
    OpOperand *out = nullptr;
    if (dest && !dest.getDestinations().empty())
      out = &dest.getDestinations()[result.getResultNumber()];
    // The input may be the same value as the destination.
    bool isSame = input && out && input->get() == out->get();
    auto ignore = [&](OpOperand &use) { return isSame && &use == input; };
    if (!out)
      out = input;
    if (!out || isMadeAtUse(out->get())) {
      addClass(BufferClass::Alloc, result, op);
    } else if (auto member = out->get().getDefiningOp<MemberOp>()) {
      bool inPlace = mayOverwriteView(*out, op, reads || out == input, ignore);
      unsigned id = addClass(BufferClass::Alloc, result, op);
      if (inPlace)
        place(id, classOf(member.getPacked()), getMemberIndex(member));
      else
        noteCopy(*out, op, ignore);
    } else if (mayOverwrite(*out, op, reads || out == input, ignore)) {
      join(result, classOf(out->get()));
    } else {
      noteCopy(*out, op, ignore);
      addClass(BufferClass::Alloc, result, op);
    }
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

/// What the next iteration begins with is made in the buffer that carries it,
/// if nobody wants its old content from then on.
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

//===----------------------------------------------------------------------===//
// Members
//===----------------------------------------------------------------------===//

LogicalResult BufferAssignment::visitInsert(InsertMemberOp op) {
  OpOperand &packed = op.getPackedMutable();
  // An updated member comes back to where it lies.
  auto ignore = [&](OpOperand &use) {
    if (use != op.getValueMutable() || isMadeAtUse(packed.get()))
      return false;
    BufferPlace place = getPlace(packed.get());
    place.path.push_back(getMemberIndex(op));
    return getPlace(use.get()) == place;
  };
  if (!isMadeAtUse(packed.get()) && !packed.get().getDefiningOp<MemberOp>() &&
      mayOverwrite(packed, op, /*reads=*/true, ignore))
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
  if (!inPlace && findClassUseAfter(id, op, ignoreNothing))
    restart |= buffered.insert(global);
}

void BufferAssignment::visitReturn(func::ReturnOp op) {
  for (OpOperand &use : op->getOpOperands()) {
    if (isMadeAtUse(use.get()) || use.get().getDefiningOp<MemberOp>())
      continue;
    unsigned id = classOf(use.get());
    if (!reuse || classes[id].kind != BufferClass::Alloc || classes[id].result)
      continue;
    classes[id].result = use.getOperandNumber();
    resultClasses[use.getOperandNumber()] = id;
  }
}

//===----------------------------------------------------------------------===//
// The whole function
//===----------------------------------------------------------------------===//

LogicalResult BufferAssignment::visit(Operation *op) {
  if (isa<MemberOp, tensor::EmptyOp>(op) ||
      op->hasTrait<OpTrait::ConstantLike>())
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

void BufferAssignment::reset() {
  classes.clear();
  ids.clear();
  globalClasses.clear();
  resultClasses.clear();
  restart = false;
  for (BlockArgument argument : function.getArguments()) {
    unsigned id = addClass(BufferClass::Argument, argument, nullptr);
    classes[id].number = argument.getArgNumber();
  }
}

/// A global is its memory itself if it is stored once, and at most one load, in
/// the same block, needs its content from before.
void BufferAssignment::findBuffered() {
  for (auto &[global, writers] : stores) {
    Operation *store = writers.front(), *before = nullptr;
    Operation *second = writers.size() > 1 ? writers[1] : nullptr;
    for (Operation *load : loads.lookup(global)) {
      if (order[load] > order[store])
        continue;
      if (before || load->getBlock() != store->getBlock())
        second = load;
      before = load;
    }
    if (!second)
      continue;
    buffered.insert(global);
    if (before)
      copied.insert({store, {global, second}});
  }
}

/// Where an update of a workspace that follows wants to be in place.
void BufferAssignment::noteCopy(OpOperand &destination, Operation *write,
                                Ignore ignore) {
  Value value = destination.get();
  if (auto member = value.getDefiningOp<MemberOp>())
    value = member.getPacked();
  auto load = value.getDefiningOp<ml_program::GlobalLoadOp>();
  if (!load || copied.contains(write))
    return;
  StringAttr global = load.getGlobal().getLeafReference();
  auto found = stores.find(global);
  if (found == stores.end() || order[write] > order[found->second.front()])
    return;
  auto ignoreToo = [&](OpOperand &use) {
    return &use == &destination || ignore(use);
  };
  if (Operation *reader =
          findUseAfter(destination.get(), value, write, ignoreToo))
    copied.insert({write, {global, reader}});
}

void BufferAssignment::explainCopies() {
  auto opts = remark::RemarkOpts::name("UpdateInPlace")
                  .category("te-convert-to-runtime")
                  .function(function.getName());
  for (auto &[op, its] : copied)
    remark::missed(op->getLoc(), opts)
        << remark::reason("@{0} is not updated in place: {1} at {2} may still "
                          "read or write what it holds",
                          its.global.getValue(), its.reader->getName(),
                          its.reader->getLoc());
}

LogicalResult BufferAssignment::compute() {
  function.walk([&](Operation *op) {
    if (auto load = dyn_cast<ml_program::GlobalLoadOp>(op))
      loads[load.getGlobal().getLeafReference()].push_back(op);
    else if (auto store = dyn_cast<ml_program::GlobalStoreOp>(op))
      stores[store.getGlobal().getLeafReference()].push_back(op);
  });
  findBuffered();
  do {
    reset();
    if (failed(visit(function.front())))
      return failure();
  } while (restart);
  explainCopies();
  return success();
}
