//===- GroupGemms.cpp - one op for all members of a group -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Knows no op: what members share, what each has for itself, and how they are
// formed into one is told by MemberOpInterface.
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "te/Dialect/TE/IR/TE.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

#include <map>

#define DEBUG_TYPE "te-group-gemms"
namespace mlir::te {
#define GEN_PASS_DEF_GROUPGEMMSPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
/// The attribute that tells the members of a group apart.
constexpr StringLiteral kMember = "member";

/// Ops on one ragged operand, each restricted to another member.
struct Group {
  explicit Group(MemberOpInterface op)
      : offsets(op.getGroupOffsets()),
        members(cast<RankedTensorType>(offsets.getType()).getDimSize(0) - 1) {}

  bool accepts(MemberOpInterface op) const {
    return op.getGroupOffsets() == offsets &&
           op->getName() == ops.front()->getName() &&
           !members[*op.getGroupMember()];
  }
  void add(MemberOpInterface op) {
    ops.push_back(op);
    members[*op.getGroupMember()] = op;
  }

  Value offsets;
  /// As they stand in the block, and by member; null where there is none.
  SmallVector<Operation *> ops, members;
};

/// The operands that are no destinations.
SmallVector<OpOperand *> getInputs(Operation *op) {
  llvm::SmallPtrSet<OpOperand *, 4> outs;
  if (auto dest = dyn_cast<DestinationOpInterface>(op))
    for (OpOperand &out : dest.getDestinations())
      outs.insert(&out);
  SmallVector<OpOperand *> inputs;
  for (OpOperand &operand : op->getOpOperands())
    if (!outs.contains(&operand))
      inputs.push_back(&operand);
  return inputs;
}

/// The destination of a result that all members write into; null if there is
/// none.
Value getSharedDestination(MemberOpInterface op) {
  auto dest = dyn_cast<DestinationOpInterface>(op.getOperation());
  if (!dest)
    return {};
  for (auto [out, result] : llvm::zip(dest.getDestinations(), op->getResults()))
    if (!op.isMemberResult(result))
      return out.get();
  return {};
}

/// Finds the groups of a block: members that write into one result are chained
/// through their destinations, others share their inputs. In linear time.
SmallVector<Group> collectGroups(Block &block) {
  SmallVector<Group> groups;
  DenseMap<Operation *, unsigned> chains;           // by their last op
  std::map<SmallVector<void *>, unsigned> parallel; // by what they share
  for (Operation &op : block) {
    auto member = dyn_cast<MemberOpInterface>(&op);
    if (!member || !member.getGroupMember() || !isPure(&op))
      continue;
    unsigned index = groups.size();
    if (Value dest = getSharedDestination(member)) {
      auto it = chains.find(dest.getDefiningOp());
      if (it != chains.end() && groups[it->second].accepts(member)) {
        index = it->second;
        chains.erase(it);
      }
      chains[&op] = index;
    } else {
      SmallVector<void *> key = {op.getName().getAsOpaquePointer()};
      for (OpOperand *input : getInputs(&op))
        if (member.getMemberOperandName(*input).empty())
          key.push_back(input->get().getAsOpaquePointer());
      auto it = parallel.find(key);
      if (it != parallel.end() && groups[it->second].accepts(member))
        index = it->second;
      parallel[key] = index;
    }
    if (index == groups.size())
      groups.emplace_back(member);
    groups[index].add(member);
  }
  return groups;
}

struct GroupGemmsPass : te::impl::GroupGemmsPassBase<GroupGemmsPass> {
  using Base::Base;
  void runOnOperation() override;

private:
  bool isLegal(const Group &group);
  bool fitsFirst(Operation *op, Operation *first);
  bool hasNoReaderBetween(const Group &group);
  void form(const Group &group);
  SmallVector<SlotwiseOpInterface> getSlotOps(PackOp pack);
  void mergeSlots(Operation *grouped);

  /// Leaves a remark at `op` and returns false.
  template <typename... Args>
  bool missed(Operation *op, const char *reason, Args &&...args) {
    remarks.missed(op, reason, std::forward<Args>(args)...);
    return false;
  }

  Remarks remarks{DEBUG_TYPE, "GroupMembers"};
  /// What erased ops read: dead now, perhaps.
  llvm::SetVector<Operation *> orphans;
};
} // namespace

/// Whether `op` differs from `first` in the member and its own operands alone.
bool GroupGemmsPass::fitsFirst(Operation *op, Operation *first) {
  auto member = cast<MemberOpInterface>(op);
  int64_t index = *member.getGroupMember();
  int64_t firstIndex = *cast<MemberOpInterface>(first).getGroupMember();

  DictionaryAttr attrs = op->getAttrDictionary();
  DictionaryAttr firstAttrs = first->getAttrDictionary();
  for (auto [a, b] : {std::pair(attrs, firstAttrs), {firstAttrs, attrs}})
    for (NamedAttribute attr : a)
      if (attr.getName() != kMember && b.get(attr.getName()) != attr.getValue())
        return missed(op, "member {0} and member {1} differ in {2}", index,
                      firstIndex, attr.getName().getValue());

  SmallVector<OpOperand *> inputs = getInputs(op);
  SmallVector<OpOperand *> firstInputs = getInputs(first);
  if (inputs.size() != firstInputs.size() ||
      op->getNumResults() != first->getNumResults())
    return missed(op,
                  "member {0} and member {1} differ in their number of "
                  "operands or results",
                  index, firstIndex);
  for (auto [operand, wanted] : llvm::zip(inputs, firstInputs)) {
    StringRef name = member.getMemberOperandName(*operand);
    Type type = operand->get().getType(), firstType = wanted->get().getType();
    if (name.empty() && operand->get() != wanted->get())
      return missed(op,
                    "member {0} reads another operand {1}, of {2}, than "
                    "member {3}",
                    index, operand->getOperandNumber(), type, firstIndex);
    if (type != firstType)
      return missed(op, "member {0} has {1} of {2}, but member {3} of {4}",
                    index, name, type, firstIndex, firstType);
  }
  for (auto [result, wanted] : llvm::zip(op->getResults(), first->getResults()))
    if (result.getType() != wanted.getType())
      return missed(op,
                    "member {0} has result {1} of {2}, but member {3} of "
                    "{4}",
                    index, result.getResultNumber(), result.getType(),
                    firstIndex, wanted.getType());
  return true;
}

/// Whether nothing reads what only some of the members have written, and
/// nothing reads a member's own result up to the last member.
bool GroupGemmsPass::hasNoReaderBetween(const Group &group) {
  Operation *last = group.ops.back();
  for (auto [i, op] : llvm::enumerate(group.ops)) {
    auto member = cast<MemberOpInterface>(op);
    int64_t index = *member.getGroupMember();
    for (OpResult result : op->getResults()) {
      if (member.isMemberResult(result)) {
        for (Operation *user : result.getUsers()) {
          Operation *at = last->getBlock()->findAncestorOpInBlock(*user);
          if (at && !last->isBeforeInBlock(at))
            return missed(op,
                          "result {0} of member {1} is read before the "
                          "last member is done",
                          result.getResultNumber(), index);
        }
        continue;
      }
      if (op == last)
        continue;
      auto next = cast<DestinationOpInterface>(group.ops[i + 1]);
      OpOperand &out = next.getDestinations()[result.getResultNumber()];
      if (out.get() != result)
        return missed(next,
                      "destination {0} is not what member {1} has "
                      "written",
                      result.getResultNumber(), index);
      if (!result.hasOneUse())
        return missed(op,
                      "result {0} of member {1} has another reader than "
                      "the next member",
                      result.getResultNumber(), index);
    }
  }
  return true;
}

bool GroupGemmsPass::isLegal(const Group &group) {
  Operation *first = group.ops.front();
  if (group.ops.size() != group.members.size()) {
    auto *missing = llvm::find(group.members, nullptr);
    return missed(first, "{0} of {1} members are there: member {2} is missing",
                  group.ops.size(), group.members.size(),
                  missing - group.members.begin());
  }
  if (!getDeviceOffsets(group.offsets))
    return missed(first, "the offsets are not known on the device");
  return llvm::all_of(ArrayRef(group.ops).drop_front(),
                      [&](Operation *op) { return fitsFirst(op, first); }) &&
         hasNoReaderBetween(group);
}

void GroupGemmsPass::form(const Group &group) {
  auto first = cast<MemberOpInterface>(group.ops.front());
  Operation *last = group.ops.back();
  SmallVector<Value> destinations;
  if (auto dest = dyn_cast<DestinationOpInterface>(first.getOperation()))
    for (OpOperand &out : dest.getDestinations())
      destinations.push_back(out.get());

  OpBuilder builder(last);
  Operation *grouped = first.formGroup(builder, group.members, destinations);
  if (!grouped) {
    missed(first, "{0} has no form for all members", first->getName());
    return;
  }
  grouped->setDiscardableAttrs(first->getDiscardableAttrDictionary());

  // A destination that holds nothing is not worth naming.
  auto dest = dyn_cast<DestinationOpInterface>(grouped);
  if (dest && !dest.readsDestinations() &&
      llvm::all_of(dest.getDestinations(), [](OpOperand &out) {
        return out.get().getDefiningOp<tensor::EmptyOp>();
      }))
    dest.getDestinations().clear();

  builder.setInsertionPointAfter(grouped);
  bool isList = grouped->getNumResults() != first->getNumResults();
  for (OpResult result : first->getResults()) {
    unsigned number = result.getResultNumber();
    if (!first.isMemberResult(result)) {
      last->getResult(number).replaceAllUsesWith(grouped->getResult(number));
      continue;
    }
    for (auto [e, op] : llvm::enumerate(group.members)) {
      Value own = op->getResult(number);
      if (own.use_empty())
        continue;
      Value from = grouped->getResult(isList ? e : number);
      if (from.getType() != own.getType())
        from = MemberOp::create(builder, op->getLoc(), from, int64_t(e));
      own.replaceAllUsesWith(from);
    }
  }
  Saving saving;
  saving.added(grouped);
  for (Operation *op : llvm::reverse(group.ops)) {
    saving.removed(op);
    for (Value operand : op->getOperands())
      if (Operation *def = operand.getDefiningOp())
        orphans.insert(def);
    orphans.remove(op);
    op->erase();
  }
  ++numGroups;
  numMembers += group.members.size();
  remarks.passed(grouped, saving)
      << remark::metric("Members", group.members.size());
  mergeSlots(grouped);
}

/// The ops of one slot each, alike but for their operands, that make the inputs
/// of `pack` and nothing else; none if any is another op.
SmallVector<SlotwiseOpInterface> GroupGemmsPass::getSlotOps(PackOp pack) {
  auto getSlotOp = [](Value input) {
    auto op = input.getDefiningOp<SlotwiseOpInterface>();
    return op && op.getNumSlots() == 1 && isPure(op) ? op
                                                     : SlotwiseOpInterface();
  };
  SlotwiseOpInterface first = getSlotOp(pack.getInputs().front());
  if (!first)
    return {};
  SmallVector<SlotwiseOpInterface> ops;
  for (auto [e, input] : llvm::enumerate(pack.getInputs())) {
    SlotwiseOpInterface op = getSlotOp(input);
    if (!op || op->getName() != first->getName()) {
      missed(first, "member 0 is made by {0}, but member {1} is not",
             first->getName(), e);
      return {};
    }
    if (op->getAttrDictionary() != first->getAttrDictionary()) {
      missed(op, "member {0} is made with {1}, but member 0 with {2}", e,
             Attribute(op->getAttrDictionary()),
             Attribute(first->getAttrDictionary()));
      return {};
    }
    if (op->getNumResults() != 1 || !input.hasOneUse()) {
      missed(op, "what makes member {0} has other readers", e);
      return {};
    }
    ops.push_back(op);
  }
  return ops;
}

/// What the members of the group were packed for: where each came from an op of
/// its own that works on slots, one such op on all of them packed, and so on
/// through the operands of that op.
void GroupGemmsPass::mergeSlots(Operation *grouped) {
  SmallVector<Operation *> readers = {grouped};
  while (!readers.empty()) {
    Operation *reader = readers.pop_back_val();
    for (OpOperand &operand : reader->getOpOperands()) {
      auto pack = operand.get().getDefiningOp<PackOp>();
      if (!pack || !pack->hasOneUse())
        continue;
      SmallVector<SlotwiseOpInterface> ops = getSlotOps(pack);
      if (ops.empty())
        continue;
      OpBuilder builder(pack);
      Operation *first = ops.front();
      OperationState state(first->getLoc(), first->getName());
      for (unsigned i = 0; i < first->getNumOperands(); ++i) {
        SmallVector<Value> values;
        for (Operation *op : ops)
          values.push_back(op->getOperand(i));
        state.operands.push_back(packMembers(builder, first->getLoc(), values));
      }
      state.types = {pack.getType()};
      state.propertiesAttr = first->getPropertiesAsAttribute();
      state.addAttributes(first->getDiscardableAttrDictionary().getValue());
      Operation *merged = builder.create(state);
      operand.set(merged->getResult(0));
      Saving saving;
      saving.added(merged);
      orphans.remove(pack);
      pack->erase();
      for (Operation *op : ops) {
        saving.removed(op);
        SmallVector<Value> operands(op->getOperands());
        orphans.remove(op);
        op->erase();
        for (Value value : operands)
          if (Operation *def = value.getDefiningOp();
              def && isOpTriviallyDead(def)) {
            orphans.remove(def);
            def->erase();
          }
      }
      remarks.passed(merged, saving) << remark::metric("Members", ops.size());
      readers.push_back(merged);
    }
  }
}

void GroupGemmsPass::runOnOperation() {
  orphans.clear();
  SmallVector<Block *> blocks;
  getOperation().walk([&](Block *block) { blocks.push_back(block); });
  for (Block *block : blocks)
    for (const Group &group : collectGroups(*block))
      if (isLegal(group))
        form(group);
  // The host reads the offsets no longer.
  for (Operation *op : llvm::reverse(orphans.getArrayRef()))
    if (isOpTriviallyDead(op))
      op->erase();
}
