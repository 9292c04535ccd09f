//===- Simplifications.cpp - single steps to a smaller program ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Simplifications.h"

#include "te/Dialect/TE/IR/TE.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::te;

namespace {
/// The ops of the function's body, each before those of its regions.
SmallVector<Operation *> getOps(FunctionOpInterface function) {
  SmallVector<Operation *> ops;
  function.getFunctionBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!op->hasTrait<OpTrait::IsTerminator>())
      ops.push_back(op);
  });
  return ops;
}

/// A result that the function returns need not be returned.
SmallVector<Edit> dropResults(FunctionOpInterface function) {
  SmallVector<Edit> edits;
  for (unsigned i = 0, e = function.getNumResults(); i < e; ++i)
    edits.push_back([=]() mutable {
      Operation *terminator = function.getFunctionBody().back().getTerminator();
      if (succeeded(function.eraseResult(i)))
        terminator->eraseOperand(i);
    });
  return edits;
}

/// A member at the counter of a loop becomes one at a constant.
template <typename Op> bool setIndex(Operation *user, int64_t index) {
  auto op = dyn_cast<Op>(user);
  if (!op)
    return false;
  op.getDynamicIndexMutable().clear();
  op.setIndex(index);
  return true;
}

/// A loop may run once: its body takes its place.
void runOnce(scf::ForOp loop) {
  if (std::optional<int64_t> first = getConstantIntValue(loop.getLowerBound()))
    for (Operation *user : llvm::to_vector(loop.getInductionVar().getUsers()))
      (void)(setIndex<MemberOp>(user, *first) ||
             setIndex<InsertMemberOp>(user, *first));
  IRRewriter rewriter(loop.getContext());
  Block *body = loop.getBody();
  Operation *yield = body->getTerminator();
  SmallVector<Value> arguments = {loop.getLowerBound()};
  llvm::append_range(arguments, loop.getInitArgs());
  rewriter.inlineBlockBefore(body, loop, arguments);
  rewriter.replaceOp(loop, yield->getOperands());
  rewriter.eraseOp(yield);
}

/// Lets the function return the results of `op`, and nothing else; loops around
/// it run once.
void returnOnly(FunctionOpInterface function, Operation *op) {
  while (auto loop = op->getParentOfType<scf::ForOp>())
    runOnce(loop);
  Operation *terminator = function.getFunctionBody().back().getTerminator();
  llvm::BitVector all(function.getNumResults(), true);
  if (failed(function.eraseResults(all)))
    return;
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    NamedAttribute name(
        StringAttr::get(op->getContext(), TEDialect::kNameAttr),
        StringAttr::get(op->getContext(), "result." + Twine(i)));
    if (failed(function.insertResult(
            i, result.getType(), DictionaryAttr::get(op->getContext(), name))))
      return;
  }
  terminator->setOperands(op->getResults());
}

/// The results of one op may be all that is returned: then what follows it is
/// of no use.
SmallVector<Edit> returnOps(FunctionOpInterface function) {
  SmallVector<Edit> edits;
  for (Operation *op : getOps(function))
    if (op->getNumRegions() == 0 && op->getNumOperands() != 0 &&
        op->getNumResults() != 0 &&
        llvm::all_of(op->getResultTypes(), llvm::IsaPred<RankedTensorType>))
      edits.push_back([=] { returnOnly(function, op); });
  return edits;
}

/// Data for a new argument: such that most ops can compute with it.
InitAttr getInit(RankedTensorType type) {
  InitKind kind = InitKind::Zero;
  if (getScalesEncoding(type))
    kind = InitKind::One;
  else if (isa<FloatType>(type.getElementType()))
    kind = InitKind::Normal;
  return InitAttr::get(type.getContext(), kind, FloatAttr(), 0);
}

/// The first of cut.0, cut.1, .. that no argument or result has.
StringAttr getNewName(FunctionOpInterface function) {
  llvm::StringSet<> taken;
  auto note = [&](Attribute name) {
    if (auto text = dyn_cast_or_null<StringAttr>(name))
      taken.insert(text);
  };
  for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i)
    note(function.getArgAttr(i, TEDialect::kNameAttr));
  for (unsigned i = 0, e = function.getNumResults(); i < e; ++i)
    note(function.getResultAttr(i, TEDialect::kNameAttr));
  unsigned i = 0;
  while (taken.contains(("cut." + Twine(i)).str()))
    ++i;
  return StringAttr::get(function.getContext(), "cut." + Twine(i));
}

/// Replaces the results that are used by new arguments.
void cut(FunctionOpInterface function, Operation *op) {
  for (Value result : op->getResults()) {
    if (result.use_empty())
      continue;
    auto type = cast<RankedTensorType>(result.getType());
    NamedAttrList attributes;
    attributes.set(TEDialect::kNameAttr, getNewName(function));
    attributes.set(TEDialect::kInitAttr, getInit(type));
    unsigned index = function.getNumArguments();
    if (failed(function.insertArgument(
            index, type, attributes.getDictionary(op->getContext()),
            op->getLoc())))
      return;
    result.replaceAllUsesWith(function.getArgument(index));
  }
  op->erase();
}

/// An op, with all that it needs, may be replaced by arguments of the types of
/// its results: any type is a type of data from outside.
SmallVector<Edit> cutOps(FunctionOpInterface function) {
  SmallVector<Edit> edits;
  for (Operation *op : getOps(function)) {
    // Nothing is gained where nothing is needed.
    if (op->getNumOperands() == 0 && isMemoryEffectFree(op))
      continue;
    if (llvm::all_of(op->getResults(), [](Value result) {
          return result.use_empty() || isa<RankedTensorType>(result.getType());
        }))
      edits.push_back([=] { cut(function, op); });
  }
  return edits;
}

SmallVector<Edit> runLoopsOnce(FunctionOpInterface function) {
  SmallVector<Edit> edits;
  function.walk(
      [&](scf::ForOp loop) { edits.push_back([=] { runOnce(loop); }); });
  return edits;
}

/// A value that a loop carries may stay what it is in front of the loop.
SmallVector<Edit> dropCarried(FunctionOpInterface function) {
  SmallVector<Edit> edits;
  function.walk<WalkOrder::PreOrder>([&](scf::ForOp loop) {
    for (unsigned i = 0, e = loop.getNumRegionIterArgs(); i < e; ++i)
      edits.push_back([=]() mutable {
        Value init = loop.getInitArgs()[i];
        loop.getRegionIterArg(i).replaceAllUsesWith(init);
        loop.getResult(i).replaceAllUsesWith(init);
        loop.getBody()->getTerminator()->setOperand(i, init);
      });
  });
  return edits;
}

/// The results of an op may be those of the first op of its name and types.
SmallVector<Edit> mergeOps(FunctionOpInterface function) {
  SmallVector<Edit> edits;
  SmallVector<std::pair<Block *, Operation *>> firsts;
  for (Operation *op : getOps(function)) {
    if (op->use_empty() || op->getNumRegions() != 0)
      continue;
    auto *first = llvm::find_if(firsts, [&](auto &entry) {
      return entry.second->getName() == op->getName() &&
             entry.second->getResultTypes() == op->getResultTypes() &&
             entry.first->findAncestorOpInBlock(*op);
    });
    if (first == firsts.end()) {
      firsts.emplace_back(op->getBlock(), op);
      continue;
    }
    Operation *like = first->second;
    edits.push_back([=] { op->replaceAllUsesWith(like->getResults()); });
  }
  return edits;
}

/// An argument may be the first one of its type.
SmallVector<Edit> mergeArguments(FunctionOpInterface function) {
  SmallVector<Edit> edits;
  llvm::DenseMap<Type, BlockArgument> firsts;
  for (BlockArgument argument : function.getArguments()) {
    auto [first, isNew] = firsts.insert({argument.getType(), argument});
    if (!isNew && !argument.use_empty())
      edits.push_back([argument, like = first->second]() mutable {
        argument.replaceAllUsesWith(like);
      });
  }
  return edits;
}

SmallVector<Edit> dropArguments(FunctionOpInterface function) {
  SmallVector<Edit> edits;
  for (BlockArgument argument : function.getArguments())
    if (argument.use_empty())
      edits.push_back([function, i = argument.getArgNumber()]() mutable {
        (void)function.eraseArgument(i);
      });
  return edits;
}

/// An op may make its results where it likes.
SmallVector<Edit> dropDestinations(FunctionOpInterface function) {
  SmallVector<Edit> edits;
  function.walk([&](DestinationOpInterface op) {
    if (!op.getDestinations().empty())
      edits.push_back([=]() mutable { op.getDestinations().clear(); });
  });
  return edits;
}

/// An attribute may be absent, or have its default.
SmallVector<Edit> dropAttributes(FunctionOpInterface function) {
  SmallVector<Edit> edits;
  for (Operation *op : getOps(function)) {
    if (op->hasTrait<OpTrait::ConstantLike>())
      continue;
    for (NamedAttribute attribute : op->getAttrDictionary())
      if (!attribute.getName().getValue().ends_with("SegmentSizes"))
        edits.push_back([op, name = attribute.getName()] {
          op->removeAttr(name);
          op->getName().populateDefaultProperties(op->getPropertiesStorage());
        });
  }
  return edits;
}
} // namespace

ArrayRef<Simplification> te::getSimplifications() {
  static const Simplification simplifications[] = {
      dropResults,    runLoopsOnce, returnOps,      cutOps,
      dropCarried,    mergeOps,     mergeArguments, dropDestinations,
      dropAttributes, dropArguments};
  return simplifications;
}

void te::removeDead(FunctionOpInterface function) {
  // Of canonicalization only what concerns loops: the rest could take away
  // what is looked for.
  RewritePatternSet patterns(function.getContext());
  scf::ForOp::getCanonicalizationPatterns(patterns, function.getContext());
  (void)applyPatternsGreedily(
      function, std::move(patterns),
      GreedyRewriteConfig().enableFolding(false).enableConstantCSE(false));
}
