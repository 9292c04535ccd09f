//===- DissolvePacks.cpp - makes packed values packed at their source -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DissolvePacks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::te;

PackOp te::createPack(OpBuilder &builder, Location loc, ValueRange values) {
  auto member = cast<RankedTensorType>(values.front().getType());
  return PackOp::create(builder, loc,
                        MemberOp::getPackedType(member, values.size()), values);
}

/// The tensor whose members `values` are, all of them in order, or null.
static Value getTensorOfMembers(ValueRange values, RankedTensorType type) {
  Value packed;
  for (auto [e, value] : llvm::enumerate(values)) {
    auto member = value.getDefiningOp<MemberOp>();
    if (!member || member.getIndex() != std::optional<uint64_t>(e) ||
        (packed && packed != member.getPacked()))
      return {};
    packed = member.getPacked();
  }
  return packed.getType() == type ? packed : Value();
}

/// The splat constant that `values` all are, or null.
static DenseElementsAttr getCommonSplat(ValueRange values) {
  DenseElementsAttr splat;
  for (Value value : values) {
    auto constant = value.getDefiningOp<arith::ConstantOp>();
    auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                             : DenseElementsAttr();
    if (!elements || !elements.isSplat() || (splat && splat != elements))
      return {};
    splat = elements;
  }
  return splat;
}

Value te::getPacked(OpBuilder &builder, Location loc, ValueRange values) {
  auto type = MemberOp::getPackedType(
      cast<RankedTensorType>(values.front().getType()), values.size());
  if (Value packed = getTensorOfMembers(values, type))
    return packed;
  if (DenseElementsAttr splat = getCommonSplat(values))
    return arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(type, splat.getSplatValue<Attribute>()));
  if (llvm::all_of(values, [](Value value) {
        auto empty = value.getDefiningOp<tensor::EmptyOp>();
        return empty && empty.getDynamicSizes().empty();
      }))
    return tensor::EmptyOp::create(builder, loc, type, ValueRange());
  return {};
}

namespace {
/// Positions (of iteration arguments, of slots) that become one packed
/// position.
class Positions {
public:
  explicit Positions(size_t count) : group(count, -1) {}

  /// Takes `members` as one packed position, unless one of them already belongs
  /// to another.
  bool add(ArrayRef<unsigned> members) {
    int first = group[members.front()];
    if (first >= 0)
      return groups[first] == members;
    SmallVector<unsigned> sorted(members);
    llvm::sort(sorted);
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end() ||
        llvm::any_of(members, [&](unsigned i) { return group[i] >= 0; }))
      return false;
    for (unsigned i : members)
      group[i] = groups.size();
    groups.emplace_back(members);
    return true;
  }

  bool empty() const { return groups.empty(); }

  /// Calls `single(i)` for each position that stays and `packed(members)` for
  /// each packed one, where the lowest of its members stands.
  void forEach(function_ref<void(unsigned)> single,
               function_ref<void(ArrayRef<unsigned>)> packed) const {
    llvm::BitVector done(groups.size());
    for (unsigned i = 0; i < group.size(); ++i) {
      if (group[i] < 0) {
        single(i);
      } else if (!done.test(group[i])) {
        done.set(group[i]);
        packed(groups[group[i]]);
      }
    }
  }

private:
  SmallVector<int> group;
  SmallVector<SmallVector<unsigned>> groups;
};

/// Replaces `values[members[e]]` by member `e` of `packed`.
void replaceByMembers(OpBuilder &builder, Value packed, ValueRange values,
                      ArrayRef<unsigned> members) {
  for (auto [e, i] : llvm::enumerate(members))
    if (!values[i].use_empty())
      values[i].replaceAllUsesWith(
          MemberOp::create(builder, values[i].getLoc(), packed, int64_t(e)));
}

SmallVector<Value> select(ValueRange values, ArrayRef<unsigned> indices) {
  return llvm::map_to_vector(indices, [&](unsigned i) { return values[i]; });
}

/// The op that makes all inputs of `pack`, or null.
Operation *getProducer(PackOp pack) {
  Operation *producer = pack.getInputs().front().getDefiningOp();
  for (Value input : pack.getInputs())
    if (input.getDefiningOp() != producer)
      return nullptr;
  return producer;
}

SmallVector<unsigned> getResultNumbers(PackOp pack) {
  return llvm::map_to_vector(pack.getInputs(), [](Value input) {
    return cast<OpResult>(input).getResultNumber();
  });
}

class Dissolver {
public:
  explicit Dissolver(ArrayRef<PackOp> packs) : queue(packs) {}

  void run() {
    while (!queue.empty()) {
      llvm::MapVector<SlotwiseOpInterface, SmallVector<PackOp>> slotwise;
      llvm::MapVector<scf::ForOp, SmallVector<PackOp>> loops;
      SmallVector<PackOp> packs;
      std::swap(packs, queue);
      for (PackOp pack : packs) {
        if (succeeded(simplify(pack)))
          continue;
        Operation *producer = getProducer(pack);
        if (auto slots = dyn_cast_or_null<SlotwiseOpInterface>(producer))
          slotwise[slots].push_back(pack);
        else if (auto loop = dyn_cast_or_null<scf::ForOp>(producer))
          loops[loop].push_back(pack);
      }
      for (auto &[op, its] : slotwise)
        packSlots(op, its);
      // What reads the results of a loop comes first, so that the loop is made
      // anew once.
      for (auto &[loop, its] : loops) {
        if (slotwise.empty())
          packIterArgs(loop, its);
        else
          llvm::append_range(queue, its);
      }
    }
  }

private:
  PackOp enqueue(OpBuilder &builder, Location loc, ValueRange values) {
    return queue.emplace_back(createPack(builder, loc, values));
  }

  LogicalResult simplify(PackOp pack);
  void packSlots(SlotwiseOpInterface op, ArrayRef<PackOp> packs);
  void packIterArgs(scf::ForOp loop, ArrayRef<PackOp> packs);

  SmallVector<PackOp> queue;
};

LogicalResult Dissolver::simplify(PackOp pack) {
  OpBuilder builder(pack);
  Value packed = getPacked(builder, pack.getLoc(), pack.getInputs());
  if (!packed)
    return failure();
  llvm::SetVector<Operation *> producers;
  for (Value input : pack.getInputs())
    if (Operation *def = input.getDefiningOp())
      producers.insert(def);
  pack.getOutput().replaceAllUsesWith(packed);
  pack.erase();
  for (Operation *def : producers)
    if (isOpTriviallyDead(def))
      def->erase();
  return success();
}

void Dissolver::packSlots(SlotwiseOpInterface op, ArrayRef<PackOp> packs) {
  unsigned count = op.getNumSlots();
  unsigned numLists = op->getNumOperands() / count;
  unsigned numResultLists = op->getNumResults() / count;
  Positions slots(count);
  for (PackOp pack : packs) {
    SmallVector<unsigned> members = getResultNumbers(pack);
    unsigned list = members.front() / count;
    if (llvm::any_of(members, [&](unsigned i) { return i / count != list; }))
      continue;
    for (unsigned &member : members)
      member %= count;
    // An entry of another list may have another type, as a history its length.
    auto isLike = [&](auto values, unsigned i) {
      return values[i].getType() ==
             values[i / count * count + members.front()].getType();
    };
    bool fits = true;
    for (unsigned member : members) {
      for (unsigned k = 0; k < numLists; ++k)
        fits &= isLike(op->getOperands(), k * count + member);
      for (unsigned k = 0; k < numResultLists; ++k)
        fits &= isLike(op->getResults(), k * count + member);
    }
    if (fits)
      slots.add(members);
  }
  if (slots.empty())
    return;

  OpBuilder builder(op);
  OperationState state(op->getLoc(), op->getName());
  for (unsigned k = 0; k < numLists; ++k) {
    OperandRange list = op->getOperands().slice(k * count, count);
    slots.forEach([&](unsigned i) { state.operands.push_back(list[i]); },
                  [&](ArrayRef<unsigned> members) {
                    state.operands.push_back(
                        enqueue(builder, op->getLoc(), select(list, members)));
                  });
  }
  for (unsigned k = 0; k < numResultLists; ++k) {
    ResultRange list = op->getResults().slice(k * count, count);
    slots.forEach([&](unsigned i) { state.types.push_back(list[i].getType()); },
                  [&](ArrayRef<unsigned> members) {
                    state.types.push_back(MemberOp::getPackedType(
                        cast<RankedTensorType>(list[members.front()].getType()),
                        members.size()));
                  });
  }
  state.propertiesAttr = op->getPropertiesAsAttribute();
  state.addAttributes(op->getDiscardableAttrDictionary().getValue());
  Operation *packed = builder.create(state);
  unsigned next = 0;
  for (unsigned k = 0; k < numResultLists; ++k) {
    ResultRange list = op->getResults().slice(k * count, count);
    slots.forEach(
        [&](unsigned i) {
          list[i].replaceAllUsesWith(packed->getResult(next++));
        },
        [&](ArrayRef<unsigned> members) {
          replaceByMembers(builder, packed->getResult(next++), list, members);
        });
  }
  op->erase();
  llvm::append_range(queue, packs);
}

void Dissolver::packIterArgs(scf::ForOp loop, ArrayRef<PackOp> packs) {
  Positions args(loop.getNumResults());
  bool any = false;
  for (PackOp pack : packs)
    if (args.add(getResultNumbers(pack))) {
      queue.push_back(pack);
      any = true;
    }
  if (!any)
    return;

  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  SmallVector<Value> inits;
  args.forEach([&](unsigned i) { inits.push_back(loop.getInitArgs()[i]); },
               [&](ArrayRef<unsigned> members) {
                 inits.push_back(enqueue(builder, loc,
                                         select(loop.getInitArgs(), members)));
               });
  auto packed = scf::ForOp::create(builder, loc, loop.getLowerBound(),
                                   loop.getUpperBound(), loop.getStep(), inits);
  packed->setAttrs(loop->getAttrs());
  Block *body = packed.getBody();
  body->getOperations().splice(body->end(), loop.getBody()->getOperations());
  loop.getInductionVar().replaceAllUsesWith(packed.getInductionVar());

  OpBuilder atStart = OpBuilder::atBlockBegin(body);
  unsigned next = 0;
  args.forEach(
      [&](unsigned i) {
        loop.getRegionIterArg(i).replaceAllUsesWith(
            packed.getRegionIterArg(next));
        loop.getResult(i).replaceAllUsesWith(packed.getResult(next++));
      },
      [&](ArrayRef<unsigned> members) {
        replaceByMembers(atStart, packed.getRegionIterArg(next),
                         loop.getRegionIterArgs(), members);
        replaceByMembers(builder, packed.getResult(next++), loop.getResults(),
                         members);
      });

  Operation *yield = body->getTerminator();
  builder.setInsertionPoint(yield);
  SmallVector<Value> yielded;
  args.forEach([&](unsigned i) { yielded.push_back(yield->getOperand(i)); },
               [&](ArrayRef<unsigned> members) {
                 yielded.push_back(
                     enqueue(builder, yield->getLoc(),
                             select(yield->getOperands(), members)));
               });
  yield->setOperands(yielded);
  loop.erase();
}
} // namespace

void te::dissolvePacks(ArrayRef<PackOp> packs) { Dissolver(packs).run(); }
