//===- FuseMultiCastTranspose.cpp - all weights of a scheme at once -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CastGroups.h"
#include "DissolvePacks.h"
#include "Remarks.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/MapVector.h"

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
// Entries: what the op has for one cast, or for those of all members of a
// tensor
//===----------------------------------------------------------------------===//

/// The lists of results, from values to tensor_amax_t.
constexpr unsigned kNumResultLists = 7, kAmaxOut = 4;

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

SmallVector<Entry, 0> getEntries(OpBuilder &builder, const CastGroup &group) {
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
void fuse(const CastGroup &group, const Availability &availability) {
  Saving saving;
  for (Operation *op : group.casts)
    saving.removed(op);
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
  // All have destinations or none: what a cast has none for is new memory.
  bool haveOuts = llvm::any_of(group.casts, [](Operation *op) {
    return !cast<QuantizeOp>(op).getOuts().empty();
  });
  for (unsigned list = 0; list < kNumResultLists; ++list)
    for (const Entry &entry : entries) {
      if (!entry.types[list])
        continue;
      types[list].push_back(entry.types[list]);
      if (!haveOuts)
        continue;
      Value out = entry.outs[list];
      if (!out && list == kAmaxOut)
        out = entry.amax;
      if (!out)
        out = tensor::EmptyOp::create(builder, first.getLoc(),
                                      entry.types[list], ValueRange());
      outs.push_back(out);
    }
  auto multi = MultiCastTransposeOp::create(
      builder, first.getLoc(), types[0], types[1], types[2], types[3], types[4],
      types[5], types[6], inputs, scale, amax, first.getNoop(), outs,
      first.getPow2ScalesAttr(), first.getSquareBlocksAttr(),
      first.getEpsilonAttr());
  for (Value operand : multi->getOperands())
    availability.moveBefore(operand, multi);
  // What stood behind the insertion point may have moved.
  builder.setInsertionPointAfter(multi);

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
  void runOnOperation() override;

private:
  void fuseBlock(Block *block, ArrayRef<QuantizeOp> casts,
                 Workspaces &workspaces);
  void explainAlone(QuantizeOp op, const LaunchScheme &scheme);

  /// Of each scheme the first cast, for remarks.
  struct First {
    LaunchScheme scheme;
    Block *block;
    std::string description;
  };
  std::vector<First> schemes;
};

/// Whether `op` has to stay by itself, because somebody may still read what it
/// writes over.
bool isReadStill(QuantizeOp op, const Workspaces &workspaces) {
  for (Value out : op.getOuts())
    if (Workspace workspace = Workspaces::find(out))
      if (Operation *reader = workspaces.findPendingReader(workspace, op)) {
        getRemarks().missed(
            op, "{0} is not written in place: {1} may still read what it held",
            workspace.global, describe(reader));
        return true;
      }
  return false;
}

/// Nothing is left to do for weights that are given in FP8.
void explainPrimary(func::FuncOp function) {
  for (BlockArgument argument : function.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type || !isa<FloatType>(type.getElementType()) ||
        type.getElementTypeBitWidth() > 8 || getScalesEncoding(type) ||
        argument.use_empty() ||
        !function.getArgAttr(argument.getArgNumber(),
                             TEDialect::kParameterAttr))
      continue;
    getRemarks().missedAt(argument.getLoc(), function,
                          "the weight is already quantized: {0} is not cast",
                          type);
  }
}

void FuseMultiCastTransposePass::runOnOperation() {
  explainPrimary(getOperation());
  Workspaces workspaces(getOperation());
  schemes.clear();
  llvm::MapVector<Block *, SmallVector<QuantizeOp>> casts;
  getOperation().walk([&](QuantizeOp op) {
    if (op.getOffsets())
      return;
    if (op.getRng() || op.getHadamard())
      return getRemarks().missed(op, "{0} is for single casts only",
                                 op.getRng() ? "rng" : "hadamard");
    if (op.getOuts().empty())
      if (Operation *obstacle = workspaces.passDestinations(op))
        getRemarks().missed(op,
                            "its results are copied to where they are stored, "
                            "not written there: {0} stands in between",
                            describe(obstacle));
    if (!isReadStill(op, workspaces))
      casts[op->getBlock()].push_back(op);
  });
  for (auto &[block, its] : casts)
    fuseBlock(block, its, workspaces);
}

/// Another cast of its scheme that no launch can share with `op`.
void FuseMultiCastTransposePass::explainAlone(QuantizeOp op,
                                              const LaunchScheme &scheme) {
  if (scheme.getClass() != CostClass::WeightQuantize)
    return;
  auto same = llvm::find_if(
      schemes, [&](const First &first) { return first.scheme == scheme; });
  if (same == schemes.end())
    schemes.push_back({scheme, op->getBlock(), describe(op)});
  else if (same->block != op->getBlock())
    getRemarks().missed(op, "{0}, of the same scheme, stands in another block",
                        same->description);
}

void FuseMultiCastTransposePass::fuseBlock(Block *block,
                                           ArrayRef<QuantizeOp> casts,
                                           Workspaces &workspaces) {
  Availability availability(block, workspaces);
  SmallVector<CastGroup, 0> groups;
  for (QuantizeOp op : casts) {
    LaunchScheme scheme(op);
    explainAlone(op, scheme);
    // Later groups of a scheme were made where earlier ones took no more.
    auto same =
        llvm::find_if(llvm::reverse(groups), [&](const CastGroup &group) {
          return group.scheme == scheme;
        });
    if (same != groups.rend()) {
      std::string obstacle = same->add(op, availability);
      if (obstacle.empty())
        continue;
      getRemarks().missed(op, "{0}", obstacle);
    } else {
      auto other = llvm::find_if(groups, [&](const CastGroup &group) {
        return group.scheme.getClass() == scheme.getClass();
      });
      if (other != groups.end())
        getRemarks().missed(op,
                            "the scheme differs from that of other casts: {0}",
                            scheme.describeDifference(other->scheme));
    }
    groups.emplace_back(scheme);
    groups.back().add(op, availability);
  }
  for (const CastGroup &group : groups) {
    // Where casts read the amax of others, fusing an earlier group has replaced
    // what this one waits for.
    CastGroup current(group.scheme);
    for (Operation *op : group.casts)
      current.add(cast<QuantizeOp>(op), availability);
    if (current.casts.size() < 2)
      continue;
    numFused += current.casts.size();
    ++numLaunches;
    fuse(current, availability);
    workspaces.forgetReaders();
  }
}
} // namespace
