//===- PackParameters.cpp - one packed parameter for E members ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DissolvePacks.h"
#include "MemberGroups.h"
#include "PackGlobals.h"
#include "PackManifest.h"
#include "te/Dialect/TE/Transforms/Passes.h"
#include "te/Support/OutputFile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/StringMap.h"

#define DEBUG_TYPE "te-pack-parameters"
namespace mlir::te {
#define GEN_PASS_DEF_PACKPARAMETERSPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
struct PackParametersPass
    : te::impl::PackParametersPassBase<PackParametersPass> {
  using Base::Base;
  void runOnOperation() override;

private:
  struct AllRemarks {
    PackRemarks arguments, results, globals;
  };

  void packFunction(func::FuncOp function, const SymbolUserMap &users,
                    AllRemarks &remarks);
  void packArguments(func::FuncOp function, ArrayRef<Candidate> candidates,
                     ArrayRef<MemberGroup> groups, const PackRemarks &remarks);
  void packResults(func::FuncOp function, ArrayRef<Candidate> candidates,
                   ArrayRef<MemberGroup> groups, const PackRemarks &remarks);

  /// Packs that were made on the way.
  SmallVector<PackOp> packs;
};

RankedTensorType getPackedType(ArrayRef<Candidate> candidates,
                               const MemberGroup &group) {
  return MemberOp::getPackedType(
      cast<RankedTensorType>(candidates[group.members.front()].type),
      group.members.size());
}

StringRef getName(const Candidate &candidate, StringRef attribute) {
  if (candidate.attributes)
    if (auto name = candidate.attributes.getAs<StringAttr>(attribute))
      return name.getValue();
  return "";
}

//===----------------------------------------------------------------------===//
// States: an argument and the result with its next value
//===----------------------------------------------------------------------===//

/// Keeps, of the groups of arguments with `te.next` and of the groups of
/// results, those that go together member by member, and names the packed
/// result in the `te.next` of the arguments.
void matchStates(func::FuncOp function, MutableArrayRef<Candidate> arguments,
                 SmallVector<MemberGroup> &argumentGroups,
                 ArrayRef<Candidate> results,
                 SmallVector<MemberGroup> &resultGroups, PackRemarks &remarks) {
  auto missed = [&](const Candidate &at, StringAttr group) {
    remarks.missed(at.loc, function,
                   "group {0} is a state, but the next values of its "
                   "members are not the members of one group",
                   group.getValue());
  };
  // The group and member that each result is; then drop to a fixed point.
  for (bool changed = true; changed;) {
    changed = false;
    llvm::StringMap<std::pair<unsigned, unsigned>> byName;
    for (auto [g, group] : llvm::enumerate(resultGroups))
      for (auto [e, i] : llvm::enumerate(group.members))
        byName[getName(results[i], TEDialect::kNameAttr)] = {g, e};

    llvm::BitVector inGroup(arguments.size());
    llvm::erase_if(argumentGroups, [&](const MemberGroup &group) {
      const Candidate &first = arguments[group.members.front()];
      StringRef next = getName(first, TEDialect::kNextAttr);
      auto it = byName.find(next);
      bool matches =
          next.empty() || (it != byName.end() &&
                           resultGroups[it->second.first].members.size() ==
                               group.members.size());
      for (auto [e, i] : llvm::enumerate(group.members)) {
        StringRef name = getName(arguments[i], TEDialect::kNextAttr);
        auto member = byName.find(name);
        if (matches && !next.empty())
          matches = member != byName.end() &&
                    member->second == std::pair(it->second.first, unsigned(e));
      }
      if (matches)
        for (unsigned i : group.members)
          inGroup.set(i);
      else
        missed(first, group.name);
      changed |= !matches;
      return !matches;
    });

    // A result that an unpacked argument names keeps its name.
    llvm::BitVector keeps(resultGroups.size());
    for (auto [i, argument] : llvm::enumerate(arguments))
      if (!inGroup.test(i))
        if (auto it = byName.find(getName(argument, TEDialect::kNextAttr));
            it != byName.end())
          keeps.set(it->second.first);
    for (unsigned g = resultGroups.size(); g-- > 0;)
      if (keeps.test(g)) {
        missed(results[resultGroups[g].members.front()], resultGroups[g].name);
        resultGroups.erase(resultGroups.begin() + g);
        changed = true;
      }
    if (changed)
      continue;
    for (const MemberGroup &group : argumentGroups) {
      Candidate &first = arguments[group.members.front()];
      auto it = byName.find(getName(first, TEDialect::kNextAttr));
      if (it == byName.end())
        continue;
      NamedAttrList attributes(first.attributes);
      attributes.set(TEDialect::kNextAttr, resultGroups[it->second.first].name);
      first.attributes = attributes.getDictionary(function.getContext());
    }
  }
}
} // namespace

//===----------------------------------------------------------------------===//
// Arguments and results
//===----------------------------------------------------------------------===//

void PackParametersPass::packFunction(func::FuncOp function,
                                      const SymbolUserMap &users,
                                      AllRemarks &remarks) {
  SmallVector<Candidate> arguments, results;
  for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i)
    arguments.push_back(
        {function.isExternal() ? function.getLoc()
                               : function.getArgument(i).getLoc(),
         function.getArgumentTypes()[i], function.getArgAttrDict(i)});
  for (unsigned i = 0, e = function.getNumResults(); i < e; ++i)
    results.push_back({function.getLoc(), function.getResultTypes()[i],
                       function.getResultAttrDict(i)});
  SmallVector<MemberGroup> argumentGroups =
      findMemberGroups(arguments, function, remarks.arguments);
  SmallVector<MemberGroup> resultGroups =
      findMemberGroups(results, function, remarks.results);
  if (argumentGroups.empty() && resultGroups.empty())
    return;
  if (!function.getBody().hasOneBlock())
    return remarks.arguments.missed(
        function.getLoc(), function,
        "the function has {0} blocks, but only the body of one block is "
        "rewritten",
        function.getBody().getBlocks().size());
  if (!users.useEmpty(function))
    return remarks.arguments.missed(
        function.getLoc(), function,
        "the function is called, and packing would change its signature");
  matchStates(function, arguments, argumentGroups, results, resultGroups,
              remarks.arguments);
  packResults(function, results, resultGroups, remarks.results);
  packArguments(function, arguments, argumentGroups, remarks.arguments);
}

void PackParametersPass::packArguments(func::FuncOp function,
                                       ArrayRef<Candidate> candidates,
                                       ArrayRef<MemberGroup> groups,
                                       const PackRemarks &remarks) {
  if (groups.empty())
    return;
  // In the order of the positions, as insertArguments wants it.
  SmallVector<const MemberGroup *> sorted;
  for (const MemberGroup &group : groups)
    sorted.push_back(&group);
  auto position = [](const MemberGroup *group) {
    return *llvm::min_element(group->members);
  };
  llvm::sort(sorted, [&](const MemberGroup *a, const MemberGroup *b) {
    return position(a) < position(b);
  });

  SmallVector<Value> members(function.getArguments());
  SmallVector<unsigned> indices;
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  SmallVector<Location> locs;
  for (const MemberGroup *group : sorted) {
    indices.push_back(position(group));
    types.push_back(getPackedType(candidates, *group));
    attributes.push_back(getPackedAttributes(candidates, *group));
    locs.push_back(candidates[group->members.front()].loc);
  }
  (void)function.insertArguments(indices, types, attributes, locs);

  OpBuilder builder = OpBuilder::atBlockBegin(&function.getBody().front());
  llvm::BitVector packed(function.getNumArguments());
  for (auto [g, group] : llvm::enumerate(sorted)) {
    Value argument = function.getArgument(indices[g] + g);
    for (auto [e, i] : llvm::enumerate(group->members)) {
      Value member = members[i];
      packed.set(cast<BlockArgument>(member).getArgNumber());
      if (!member.use_empty())
        member.replaceAllUsesWith(
            MemberOp::create(builder, member.getLoc(), argument, int64_t(e)));
    }
    remarks.passed(locs[g], function, "argument", group->name.getValue(),
                   group->members.size());
    ++numArguments;
  }
  (void)function.eraseArguments(packed);
}

void PackParametersPass::packResults(func::FuncOp function,
                                     ArrayRef<Candidate> candidates,
                                     ArrayRef<MemberGroup> groups,
                                     const PackRemarks &remarks) {
  if (groups.empty())
    return;
  SmallVector<const MemberGroup *> groupOf(candidates.size());
  for (const MemberGroup &group : groups)
    for (unsigned i : group.members)
      groupOf[i] = &group;

  Operation *terminator = function.getBody().front().getTerminator();
  OpBuilder builder(terminator);
  SmallVector<Value> operands;
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  llvm::SmallPtrSet<const MemberGroup *, 8> done;
  for (auto [i, candidate] : llvm::enumerate(candidates)) {
    const MemberGroup *group = groupOf[i];
    if (!group) {
      operands.push_back(terminator->getOperand(i));
      types.push_back(candidate.type);
      attributes.push_back(candidate.attributes);
    } else if (done.insert(group).second) {
      auto values = llvm::map_to_vector(group->members, [&](unsigned member) {
        return terminator->getOperand(member);
      });
      packs.push_back(createPack(builder, terminator->getLoc(), values));
      operands.push_back(packs.back());
      types.push_back(getPackedType(candidates, *group));
      attributes.push_back(getPackedAttributes(candidates, *group));
      remarks.passed(values.front().getLoc(), function, "result",
                     group->name.getValue(), group->members.size());
      ++numResults;
    }
  }
  terminator->setOperands(operands);
  function.setType(builder.getFunctionType(function.getArgumentTypes(), types));
  function.setAllResultAttrs(attributes);
}

void PackParametersPass::runOnOperation() {
  SymbolTableCollection tables;
  SymbolUserMap users(tables, getOperation());
  // A result may stand at the location of an argument: a name of their own
  // keeps one remark from taking the place of the other.
  AllRemarks remarks{{"PackParameters", strict},
                     {"PackResults", strict},
                     {"PackGlobals", strict}};
  for (auto function :
       llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
    packFunction(function, users, remarks);
  numGlobals +=
      packGlobals(getOperation(), tables.getSymbolTable(getOperation()), users,
                  remarks.globals, packs);
  dissolvePacks(packs);
  packs.clear();
  if (remarks.arguments.hasErrors() || remarks.results.hasErrors() ||
      remarks.globals.hasErrors())
    return signalPassFailure();

  if (manifest.empty())
    return;
  llvm::Error error = writeOutput(manifest, [&](raw_ostream &os) {
    writePackManifest(getOperation(), os);
  });
  if (error) {
    emitError(getOperation().getLoc(), "te-pack-parameters: cannot write ")
        << llvm::toString(std::move(error));
    signalPassFailure();
  }
}
