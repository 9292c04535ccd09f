//===- Emitter.cpp - writes the lowered function --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::te;
using te_rt::BufferType;
using te_rt::TERuntimeDialect;

static BufferType getBufferType(Type tensor) {
  return BufferType::get(cast<RankedTensorType>(tensor));
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

/// Arguments, then what were results; each with its name and direction.
func::FuncOp Emitter::emitSignature() {
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  auto add = [&](Type type, DictionaryAttr given, const Twine &name,
                 StringRef direction) {
    types.push_back(getBufferType(type));
    NamedAttrList list(given);
    if (!list.get(TEDialect::kNameAttr))
      list.set(TEDialect::kNameAttr, builder.getStringAttr(name));
    list.set(TERuntimeDialect::kDirectionAttr, builder.getStringAttr(direction));
    attributes.push_back(list.getDictionary(builder.getContext()));
  };
  for (auto [i, type] : llvm::enumerate(from.getArgumentTypes()))
    add(type, from.getArgAttrDict(i), "arg" + Twine(i), "in");
  for (auto [i, type] : llvm::enumerate(from.getResultTypes()))
    add(type, from.getResultAttrDict(i), "result" + Twine(i), "out");
  auto lowered = func::FuncOp::create(
      builder, from.getLoc(), from.getName(),
      builder.getFunctionType(types, {}));
  lowered.setVisibility(from.getVisibility());
  for (NamedAttribute attribute : from->getDiscardableAttrs())
    lowered->setAttr(attribute.getName(), attribute.getValue());
  lowered.setAllArgAttrs(attributes);
  lowered.addEntryBlock();
  return lowered;
}

func::FuncOp Emitter::emit() {
  to = emitSignature();
  blocks[&from.front()] = &to.front();
  builder.setInsertionPointToStart(&to.front());
  emitBody(from.front());
  return to;
}

void Emitter::emitBody(Block &block) {
  for (Operation &op : block)
    emit(&op);
}

void Emitter::emit(Operation *op) {
  if (isa<MemberOp, tensor::EmptyOp>(op))
    return;
  if (op->hasTrait<OpTrait::ConstantLike>()) {
    if (op->getResult(0).getType().isIndex())
      builder.clone(*op, scalars);
    return;
  }
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return emitLoop(loop);
  if (auto yield = dyn_cast<scf::YieldOp>(op))
    return emitYield(yield);
  if (auto insert = dyn_cast<InsertMemberOp>(op))
    return emitInsert(insert);
  if (auto load = dyn_cast<ml_program::GlobalLoadOp>(op)) {
    // The place of the load is the global's, or a copy of it.
    BufferPlace place = assignment.getPlace(load.getResult());
    unsigned global =
        assignment.getGlobalClass(load.getGlobal().getLeafReference());
    if (place.root != global)
      te_rt::createCopy(builder, op->getLoc(), getRoot(global),
                        getBuffer(place));
    return;
  }
  if (auto store = dyn_cast<ml_program::GlobalStoreOp>(op))
    return move(op->getLoc(), store.getValue(),
                {assignment.getGlobalClass(store.getGlobal().getLeafReference()),
                 {}});
  if (auto ret = dyn_cast<func::ReturnOp>(op))
    return emitReturn(ret);
  emitCall(cast<RuntimeCallOpInterface>(op));
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

void Emitter::emitCall(RuntimeCallOpInterface op) {
  Location loc = op.getLoc();
  auto dest = dyn_cast<DestinationOpInterface>(op.getOperation());
  if (dest && dest.readsDestinations())
    for (auto [out, result] : llvm::zip(dest.getDestinations(), op->getResults()))
      move(loc, out.get(), assignment.getPlace(result));
  te_rt::createCall(
      builder, loc, op.getRuntimeCall(),
      [&](Value value) { return getBuffer(value); },
      cast<CostOpInterface>(op.getOperation()).getCost());
}

void Emitter::emitLoop(scf::ForOp loop) {
  Location loc = loop.getLoc();
  for (auto [init, carried] :
       llvm::zip(loop.getInitArgs(), loop.getRegionIterArgs()))
    move(loc, init, assignment.getPlace(carried));
  auto lowered = scf::ForOp::create(
      builder, loc, scalars.lookup(loop.getLowerBound()),
      scalars.lookup(loop.getUpperBound()), scalars.lookup(loop.getStep()));
  scalars.map(loop.getInductionVar(), lowered.getInductionVar());
  blocks[loop.getBody()] = lowered.getBody();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(lowered.getBody()->getTerminator());
  emitBody(*loop.getBody());
}

void Emitter::emitYield(scf::YieldOp yield) {
  Location loc = yield.getLoc();
  auto loop = cast<scf::ForOp>(yield->getParentOp());
  struct Pending {
    Value value;
    BufferPlace place;
  };
  SmallVector<Pending> pending;
  for (auto [yielded, carried] :
       llvm::zip(yield.getOperands(), loop.getRegionIterArgs())) {
    BufferPlace place = assignment.getPlace(carried);
    if (isMadeAtUse(yielded) || !(assignment.getPlace(yielded) == place))
      pending.push_back({yielded, place});
  }
  // What another move overwrites is moved aside first: loops may swap.
  auto isOverwritten = [&](Value value) {
    if (isMadeAtUse(value))
      return false;
    unsigned root = assignment.getPlace(value).root;
    return llvm::any_of(
        pending, [&](const Pending &other) { return other.place.root == root; });
  };
  SmallVector<Value> aside(pending.size());
  for (auto [entry, buffer] : llvm::zip(pending, aside))
    if (isOverwritten(entry.value)) {
      buffer = makeAlloc(loop.getBody(),
                         cast<RankedTensorType>(entry.value.getType()));
      te_rt::createCopy(builder, loc, getBuffer(entry.value), buffer);
    }
  for (auto [entry, buffer] : llvm::zip(pending, aside)) {
    if (buffer)
      te_rt::createCopy(builder, loc, buffer, getBuffer(entry.place));
    else
      move(loc, entry.value, entry.place);
  }
}

void Emitter::emitInsert(InsertMemberOp op) {
  BufferPlace place = assignment.getPlace(op.getOutput());
  move(op.getLoc(), op.getPacked(), place);
  place.path.push_back(getMemberIndex(op));
  move(op.getLoc(), op.getValue(), place);
}

void Emitter::emitReturn(func::ReturnOp op) {
  for (OpOperand &use : op->getOpOperands()) {
    unsigned number = use.getOperandNumber();
    Value result = to.getArgument(from.getNumArguments() + number);
    if (std::optional<unsigned> id = assignment.getResultClass(number)) {
      move(op.getLoc(), use.get(), {*id, {}});
      continue;
    }
    if (use.get().getDefiningOp<tensor::EmptyOp>())
      continue;
    te_rt::createCopy(builder, op.getLoc(), getBuffer(use.get()), result);
  }
  func::ReturnOp::create(builder, op.getLoc());
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

static double getSplatAsDouble(DenseElementsAttr value) {
  if (isa<FloatType>(value.getElementType())) {
    APFloat element = value.getSplatValue<APFloat>();
    bool losesInfo = false;
    element.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                    &losesInfo);
    return element.convertToDouble();
  }
  return double(value.getSplatValue<APInt>().getSExtValue());
}

void Emitter::move(Location loc, Value value, const BufferPlace &place) {
  if (value.getDefiningOp<tensor::EmptyOp>())
    return;
  DenseElementsAttr constant;
  if (matchPattern(value, m_Constant(&constant))) {
    if (constant.isSplat())
      te_rt::createFill(builder, loc, getBuffer(place),
                        getSplatAsDouble(constant));
    else
      te_rt::createCopy(builder, loc, getConstant(value), getBuffer(place));
    return;
  }
  Value base = value;
  while (auto member = base.getDefiningOp<MemberOp>())
    base = member.getPacked();
  if (!isMadeAtUse(base) && assignment.getPlace(value) == place)
    return;
  te_rt::createCopy(builder, loc, getBuffer(value), getBuffer(place));
}

Value Emitter::getBuffer(Value value) {
  if (isMadeAtUse(value))
    return getConstant(value);
  if (auto member = value.getDefiningOp<MemberOp>())
    return getMember(getBuffer(member.getPacked()), getMemberIndex(member));
  return getBuffer(assignment.getPlace(value));
}

Value Emitter::getBuffer(const BufferPlace &place) {
  Value buffer = getRoot(place.root);
  for (MemberIndex index : place.path)
    buffer = getMember(buffer, index);
  return buffer;
}

/// A buffer in the new block for `scope`, before the op that is being written.
Value Emitter::makeAlloc(Block *scope, RankedTensorType type) {
  OpBuilder::InsertionGuard guard(builder);
  Block *block = blocks.lookup(scope);
  if (block != builder.getInsertionBlock())
    builder.setInsertionPoint(
        block->findAncestorOpInBlock(*builder.getInsertionBlock()->getParentOp()));
  return te_rt::AllocOp::create(builder, from.getLoc(), BufferType::get(type),
                                IntegerAttr());
}

Value Emitter::getRoot(unsigned id) {
  Value &root = roots[id];
  if (root)
    return root;
  const BufferClass &entry = assignment[id];
  if (entry.result)
    return root = to.getArgument(from.getNumArguments() + *entry.result);
  if (entry.kind == BufferClass::Argument)
    return root = to.getArgument(entry.number);
  if (entry.kind == BufferClass::Alloc)
    return root = makeAlloc(entry.scope, entry.type);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&to.front());
  return root = te_rt::WorkspaceOp::create(
             builder, from.getLoc(), BufferType::get(entry.type),
             FlatSymbolRefAttr::get(entry.global));
}

Value Emitter::getMember(Value packed, MemberIndex index) {
  auto &known = members[{builder.getInsertionBlock(), packed}];
  for (auto &[at, buffer] : known)
    if (at == index)
      return buffer;
  Value buffer;
  if (auto constant = getConstantIntValue(index))
    buffer = te_rt::MemberOp::create(builder, packed.getLoc(), packed, *constant);
  else
    buffer = te_rt::MemberOp::create(builder, packed.getLoc(), packed,
                                     scalars.lookup(cast<Value>(index)));
  known.emplace_back(index, buffer);
  return buffer;
}

/// A constant, or undefined content, in a buffer of its own.
Value Emitter::getConstant(Value value) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&to.front());
  ElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)))
    return te_rt::AllocOp::create(builder, value.getLoc(),
                                  getBufferType(value.getType()), IntegerAttr());
  Value &buffer = constants[elements];
  if (!buffer)
    buffer = te_rt::ConstantOp::create(builder, value.getLoc(), elements);
  return buffer;
}
