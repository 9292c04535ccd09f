//===- CastGroups.cpp - casts that one launch can do ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CastGroups.h"

#include "Remarks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::te;

//===----------------------------------------------------------------------===//
// LaunchScheme
//===----------------------------------------------------------------------===//

LaunchScheme::LaunchScheme(QuantizeOp op)
    : costClass(getQuantizeClass(op.getInput())), noop(op.getNoop()) {
  auto element = [](Value value) -> Attribute {
    if (!value)
      return {};
    auto type = cast<RankedTensorType>(value.getType());
    return TypeAttr::get(type.getElementType());
  };
  auto encoding = [](Value value) -> Attribute {
    return value ? getScalesEncoding(value.getType()) : ScalesAttr();
  };
  auto flag = [&](bool value) -> Attribute {
    return BoolAttr::get(op.getContext(), value);
  };
  StringRef usage = !op.getValuesT()  ? "rowwise only"
                    : !op.getValues() ? "columnwise only"
                                      : "rowwise and columnwise";
  fields = {{"the usage", StringAttr::get(op.getContext(), usage)},
            {"the element type of the input", element(op.getInput())},
            {"the element type of values", element(op.getValues())},
            {"the encoding of scales", encoding(op.getScales())},
            {"the element type of scales", element(op.getScales())},
            {"the element type of values_t", element(op.getValuesT())},
            {"the encoding of scales_t", encoding(op.getScalesT())},
            {"the element type of scales_t", element(op.getScalesT())},
            {"pow2_scales", flag(op.getPow2Scales())},
            {"square_blocks", flag(op.getSquareBlocks())},
            {"epsilon", op.getEpsilonAttr()},
            {"having a scale", flag(bool(op.getScale()))},
            {"having an amax", flag(bool(op.getAmax()))}};
}

static std::string describe(Attribute attribute) {
  if (!attribute)
    return "absent";
  if (auto text = dyn_cast<StringAttr>(attribute))
    return text.str();
  std::string text;
  llvm::raw_string_ostream(text) << attribute;
  return text;
}

std::string LaunchScheme::describeDifference(const LaunchScheme &other) const {
  for (auto [mine, its] : llvm::zip(fields, other.fields))
    if (mine.second != its.second)
      return llvm::formatv("{0} is {1}, not {2}", mine.first,
                           ::describe(mine.second), ::describe(its.second));
  return "its noop flag is another value";
}

//===----------------------------------------------------------------------===//
// Availability
//===----------------------------------------------------------------------===//

static bool isMovable(Operation *op) {
  return isa<MemberOp, PackOp, arith::ConstantOp, tensor::EmptyOp,
             ml_program::GlobalLoadOp>(op);
}

Availability::Availability(Block *block, const Workspaces &workspaces)
    : block(block), workspaces(workspaces) {
  llvm::DenseMap<Attribute, Operation *> lastStore;
  Operation *lastUnknown = nullptr;
  for (Operation &op : *block) {
    if (auto store = dyn_cast<ml_program::GlobalStoreOp>(op)) {
      lastStore[store.getGlobal()] = &op;
    } else if (auto load = dyn_cast<ml_program::GlobalLoadOp>(op)) {
      Operation *store = lastStore.lookup(load.getGlobal());
      if (store && (!lastUnknown || lastUnknown->isBeforeInBlock(store)))
        lastWriter[&op] = store;
      else if (lastUnknown)
        lastWriter[&op] = lastUnknown;
    } else if (!isMemoryEffectFree(&op)) {
      lastUnknown = &op;
    }
  }
}

/// The ops of the block after which `value` can be made known at the earliest.
void Availability::forEachRoot(Value value,
                               function_ref<void(Operation *)> visit) const {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != block)
    return;
  if (!isMovable(def))
    return visit(def);
  if (Operation *writer = lastWriter.lookup(def))
    visit(writer);
  for (Value operand : def->getOperands())
    forEachRoot(operand, visit);
}

void Availability::forEachPredecessor(
    QuantizeOp cast, function_ref<void(Operation *)> visit) const {
  for (Value operand : cast->getOperands())
    forEachRoot(operand, visit);
  for (Value out : cast.getOuts())
    if (Workspace workspace = Workspaces::find(out))
      workspaces.forEachReader(
          workspace, cast, [&](Operation *reader, Value) {
            Operation *ancestor = block->findAncestorOpInBlock(*reader);
            if (ancestor && ancestor->isBeforeInBlock(cast))
              visit(ancestor);
          });
}

void Availability::moveBefore(Value value, Operation *point) const {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != block || def->isBeforeInBlock(point))
    return;
  for (Value operand : def->getOperands())
    moveBefore(operand, point);
  def->moveBefore(point);
}

//===----------------------------------------------------------------------===//
// CastGroup
//===----------------------------------------------------------------------===//

std::string CastGroup::add(QuantizeOp op, const Availability &availability) {
  Operation *newAfter = after, *newReader = firstReader;
  Operation *dependence = nullptr;
  availability.forEachPredecessor(op, [&](Operation *root) {
    if (casts.contains(root))
      dependence = root;
    if (!newAfter || newAfter->isBeforeInBlock(root))
      newAfter = root;
  });
  if (dependence)
    return "it reads a result of " + te::describe(dependence) +
           ", with which it could be fused";
  for (Operation *user : op->getUsers()) {
    Operation *reader = op->getBlock()->findAncestorOpInBlock(*user);
    if (!newReader || reader->isBeforeInBlock(newReader))
      newReader = reader;
  }
  if (newAfter && newReader && !newAfter->isBeforeInBlock(newReader)) {
    std::string reader = te::describe(newReader) +
                         ", which reads a cast that it could be fused with, ";
    return newAfter == newReader
               ? reader + "has to come before it"
               : reader + "stands in front of " + te::describe(newAfter) +
                     ", which has to come before it";
  }
  casts.insert(op);
  after = newAfter;
  firstReader = newReader;
  return "";
}
