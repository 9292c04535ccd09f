//===- FuseMultiCastTranspose.cpp - all weights of a scheme at once -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DissolvePacks.h"
#include "Remarks.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

#define DEBUG_TYPE "te-fuse-multi-cast-transpose"
namespace mlir::te {
#define GEN_PASS_DEF_FUSEMULTICASTTRANSPOSEPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
const Remarks &getRemarks() {
  static const Remarks remarks(DEBUG_TYPE, "FuseMultiCastTranspose");
  return remarks;
}

//===----------------------------------------------------------------------===//
// Scheme: what one launch must share
//===----------------------------------------------------------------------===//

struct Scheme {
  CostClass costClass;
  Value noop;
  /// Name and value; null where absent.
  SmallVector<std::pair<const char *, Attribute>, 13> fields;

  explicit Scheme(QuantizeOp op)
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
    fields = {{"the element type of the input", element(op.getInput())},
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
              {"having an amax", flag(bool(op.getAmax()))},
              {"having destinations", flag(!op.getOuts().empty())}};
  }

  bool operator==(const Scheme &other) const {
    return costClass == other.costClass && noop == other.noop &&
           fields == other.fields;
  }

  /// "pow2_scales is true, not false", told of this scheme.
  std::string describeDifference(const Scheme &other) const {
    for (auto [mine, its] : llvm::zip(fields, other.fields))
      if (mine.second != its.second)
        return llvm::formatv("{0} is {1}, not {2}", mine.first,
                             describe(mine.second), describe(its.second));
    return "its noop flag is another value";
  }

private:
  static std::string describe(Attribute attribute) {
    if (!attribute)
      return "absent";
    std::string text;
    llvm::raw_string_ostream(text) << attribute;
    return text;
  }
};

//===----------------------------------------------------------------------===//
// Where operands are known
//===----------------------------------------------------------------------===//

/// The order of a block, in which views and loads of globals may move up.
class Availability {
public:
  explicit Availability(Block *block);

  /// Calls `visit` for each op of the block after which `value` can be made
  /// known at the earliest.
  void forEachRoot(Value value, function_ref<void(Operation *)> visit) const;

  /// Moves up what defines `value`, so that it stands in front of `point`.
  void moveBefore(Value value, Operation *point) const;

private:
  bool isMovable(Operation *op) const {
    return isa<MemberOp, PackOp, arith::ConstantOp, tensor::EmptyOp,
               ml_program::GlobalLoadOp>(op);
  }

  Block *block;
  /// The last op in front of a load that may write what it loads.
  llvm::DenseMap<Operation *, Operation *> lastWriter;
};

Availability::Availability(Block *block) : block(block) {
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

void Availability::moveBefore(Value value, Operation *point) const {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != block || def->isBeforeInBlock(point))
    return;
  for (Value operand : def->getOperands())
    moveBefore(operand, point);
  def->moveBefore(point);
}

//===----------------------------------------------------------------------===//
// Group: casts that become one op
//===----------------------------------------------------------------------===//

struct Group {
  Scheme scheme;
  llvm::SetVector<Operation *> casts;
  /// The last op that an operand waits for, and the first that reads a result.
  Operation *after = nullptr, *firstReader = nullptr;

  explicit Group(const Scheme &scheme) : scheme(scheme) {}

  /// Takes `op`, unless the op for all would then stand behind a reader.
  bool add(QuantizeOp op, const Availability &availability);
};

bool Group::add(QuantizeOp op, const Availability &availability) {
  Operation *newAfter = after, *newReader = firstReader;
  bool dependent = false;
  for (Value operand : op->getOperands())
    availability.forEachRoot(operand, [&](Operation *root) {
      dependent |= casts.contains(root);
      if (!newAfter || newAfter->isBeforeInBlock(root))
        newAfter = root;
    });
  for (Operation *user : op->getUsers()) {
    Operation *reader = op->getBlock()->findAncestorOpInBlock(*user);
    if (!newReader || reader->isBeforeInBlock(newReader))
      newReader = reader;
  }
  if (dependent ||
      (newAfter && newReader && !newAfter->isBeforeInBlock(newReader)))
    return false;
  casts.insert(op);
  after = newAfter;
  firstReader = newReader;
  return true;
}

//===----------------------------------------------------------------------===//
// Entries: what the op has for one cast, or for those of all members of a
// tensor
//===----------------------------------------------------------------------===//

/// The five lists of results, from values to amax_out.
constexpr unsigned kNumResultLists = 7;

struct Entry {
  SmallVector<QuantizeOp> casts;
  bool isPacked = false;
  Value input, scale, amax;
  /// The type of the result in each list, and its destination; null where
  /// absent.
  Type types[kNumResultLists];
  Value outs[kNumResultLists];
};

/// The value of one cast, or the packed one of all; null if there is none.
Value getOperand(OpBuilder &builder, const Entry &entry,
                 function_ref<Value(QuantizeOp)> get) {
  if (!entry.isPacked)
    return get(entry.casts.front());
  return getPacked(builder, entry.casts.front()->getLoc(),
                   llvm::map_to_vector(entry.casts, get));
}

/// The entry for `casts`, or nothing if one of their operands is not packed.
FailureOr<Entry> makeEntry(OpBuilder &builder, ArrayRef<QuantizeOp> casts,
                           bool isPacked) {
  Entry entry;
  entry.casts.assign(casts.begin(), casts.end());
  entry.isPacked = isPacked;
  QuantizeOp first = entry.casts.front();
  bool known = true;
  auto get = [&](function_ref<Value(QuantizeOp)> get) -> Value {
    if (!get(first))
      return {};
    Value value = getOperand(builder, entry, get);
    known &= bool(value);
    return value;
  };
  entry.input = get([](QuantizeOp op) { return op.getInput(); });
  entry.scale = get([](QuantizeOp op) { return op.getScale(); });
  entry.amax = get([](QuantizeOp op) { return op.getAmax(); });
  for (unsigned list = 0; list < kNumResultLists; ++list) {
    if (first.getODSResults(list).empty())
      continue;
    OpResult result = *first.getODSResults(list).begin();
    auto type = cast<RankedTensorType>(result.getType());
    entry.types[list] =
        isPacked ? MemberOp::getPackedType(type, casts.size()) : type;
    unsigned number = result.getResultNumber();
    if (!first.getOuts().empty())
      entry.outs[list] =
          get([=](QuantizeOp op) { return op.getOuts()[number]; });
  }
  if (!known)
    return failure();
  return entry;
}

SmallVector<Entry, 0> getEntries(OpBuilder &builder, const Group &group) {
  // The casts of the members of each packed tensor, and those of others.
  llvm::MapVector<Value, SmallVector<QuantizeOp>> byTensor;
  SmallVector<QuantizeOp> single;
  for (Operation *op : group.casts) {
    auto quantize = cast<QuantizeOp>(op);
    auto member = quantize.getInput().getDefiningOp<MemberOp>();
    if (!member || !member.getIndex()) {
      single.push_back(quantize);
      continue;
    }
    auto &members = byTensor[member.getPacked()];
    auto type = cast<RankedTensorType>(member.getPacked().getType());
    members.resize(type.getDimSize(0));
    QuantizeOp &slot = members[*member.getIndex()];
    if (slot)
      single.push_back(quantize);
    else
      slot = quantize;
  }
  SmallVector<Entry, 0> entries;
  for (auto &[packed, members] : byTensor) {
    FailureOr<Entry> entry = failure();
    if (llvm::all_of(members, [](QuantizeOp op) { return bool(op); }))
      entry = makeEntry(builder, members, /*isPacked=*/true);
    if (succeeded(entry))
      entries.push_back(std::move(*entry));
    else
      llvm::copy_if(members, std::back_inserter(single),
                    [](QuantizeOp op) { return bool(op); });
  }
  for (QuantizeOp op : single)
    entries.push_back(*makeEntry(builder, op, /*isPacked=*/false));
  return entries;
}

/// Replaces the casts of `group` by one op.
void fuse(const Group &group, const Availability &availability) {
  auto first = cast<QuantizeOp>(group.casts.front());
  OpBuilder builder(first);
  if (group.after && first->isBeforeInBlock(group.after))
    builder.setInsertionPointAfter(group.after);
  SmallVector<Entry, 0> entries = getEntries(builder, group);

  SmallVector<Value> inputs, scale, amax, outs;
  SmallVector<Type> types[kNumResultLists];
  for (const Entry &entry : entries) {
    inputs.push_back(entry.input);
    if (entry.scale)
      scale.push_back(entry.scale);
    if (entry.amax)
      amax.push_back(entry.amax);
  }
  for (unsigned list = 0; list < kNumResultLists; ++list)
    for (const Entry &entry : entries) {
      if (entry.types[list])
        types[list].push_back(entry.types[list]);
      if (entry.outs[list])
        outs.push_back(entry.outs[list]);
    }
  auto multi = MultiCastTransposeOp::create(
      builder, first.getLoc(), types[0], types[1], types[2], types[3], types[4],
      types[5], types[6], inputs, scale, amax, first.getNoop(), outs,
      first.getPow2ScalesAttr(), first.getSquareBlocksAttr(),
      first.getEpsilonAttr());
  for (Value operand : multi->getOperands())
    availability.moveBefore(operand, multi);

  llvm::SetVector<Operation *> packs;
  for (auto [i, entry] : llvm::enumerate(entries))
    for (unsigned list = 0; list < kNumResultLists; ++list) {
      if (!entry.types[list])
        continue;
      Value packed = *std::next(multi.getODSResults(list).begin(), i);
      for (auto [e, op] : llvm::enumerate(entry.casts)) {
        Value result = *op.getODSResults(list).begin();
        for (Operation *user : result.getUsers())
          if (isa<PackOp>(user))
            packs.insert(user);
        if (!entry.isPacked)
          result.replaceAllUsesWith(packed);
        else if (!result.use_empty())
          result.replaceAllUsesWith(
              MemberOp::create(builder, op.getLoc(), packed, int64_t(e)));
      }
    }
  Saving saving;
  for (Operation *op : group.casts)
    saving.removed(op);
  getRemarks().passed(multi, saving.added(multi))
      << remark::metric("Casts", group.casts.size())
      << remark::metric("Entries", entries.size());
  for (Operation *op : group.casts) {
    llvm::SetVector<Operation *> views;
    for (Value operand : op->getOperands())
      if (auto view = operand.getDefiningOp<MemberOp>())
        views.insert(view);
    op->erase();
    for (Operation *view : views)
      if (view->use_empty())
        view->erase();
  }
  dissolvePacks(llvm::map_to_vector(
      packs, [](Operation *op) { return cast<PackOp>(op); }));
}

struct FuseMultiCastTransposePass
    : te::impl::FuseMultiCastTransposePassBase<FuseMultiCastTransposePass> {
  using Base::Base;

  void runOnOperation() override {
    llvm::MapVector<Block *, SmallVector<QuantizeOp>> casts;
    getOperation().walk([&](QuantizeOp op) {
      if (op.getOffsets())
        return;
      if (op.getRng() || op.getHadamard())
        getRemarks().missed(op, "{0} is for single casts only",
                            op.getRng() ? "rng" : "hadamard");
      else
        casts[op->getBlock()].push_back(op);
    });
    for (auto &[block, its] : casts)
      if (its.size() > 1)
        fuseBlock(block, its);
  }

private:
  void fuseBlock(Block *block, ArrayRef<QuantizeOp> casts);
};

void FuseMultiCastTransposePass::fuseBlock(Block *block,
                                           ArrayRef<QuantizeOp> casts) {
  Availability availability(block);
  SmallVector<Group, 0> groups;
  for (QuantizeOp op : casts) {
    Scheme scheme(op);
    // Later groups of a scheme were made where earlier ones took no more.
    auto same = llvm::find_if(llvm::reverse(groups), [&](const Group &group) {
      return group.scheme == scheme;
    });
    if (same != groups.rend()) {
      if (same->add(op, availability))
        continue;
      getRemarks().missed(op, "an operand is known only behind a reader of a "
                              "cast that it could be fused with");
    } else {
      auto other = llvm::find_if(groups, [&](const Group &group) {
        return group.scheme.costClass == scheme.costClass;
      });
      if (other != groups.end())
        getRemarks().missed(op,
                            "the scheme differs from that of other casts: "
                            "{0}",
                            scheme.describeDifference(other->scheme));
    }
    groups.emplace_back(scheme);
    groups.back().add(op, availability);
  }
  for (const Group &group : groups) {
    // Where casts read the amax of others, fusing an earlier group has replaced
    // what this one waits for.
    Group current(group.scheme);
    for (Operation *op : group.casts)
      current.add(cast<QuantizeOp>(op), availability);
    if (current.casts.size() < 2)
      continue;
    numFused += current.casts.size();
    ++numLaunches;
    fuse(current, availability);
  }
}
} // namespace
