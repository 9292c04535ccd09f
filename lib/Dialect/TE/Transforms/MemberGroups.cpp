//===- MemberGroups.cpp - members that te.group marks ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MemberGroups.h"

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::te;

/// What must be equal among the members of a group.
static DictionaryAttr getCommonAttributes(const Candidate &candidate) {
  NamedAttrList attributes(candidate.attributes);
  attributes.erase(TEDialect::kNameAttr);
  attributes.erase(TEDialect::kMemberAttr);
  if (attributes.get(TEDialect::kNextAttr))
    attributes.set(TEDialect::kNextAttr,
                   UnitAttr::get(candidate.attributes.getContext()));
  return attributes.getDictionary(candidate.attributes.getContext());
}

/// "te.init = #te.init<zero>", or "no te.init".
static std::string describe(DictionaryAttr attributes, StringAttr name) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (Attribute value = attributes.get(name))
    os << name.getValue() << " = " << value;
  else
    os << "no " << name.getValue();
  return text;
}

/// The first attribute that one has and the other has not, or has otherwise.
static StringAttr findDifference(DictionaryAttr a, DictionaryAttr b) {
  for (auto [from, to] : {std::pair(a, b), std::pair(b, a)})
    for (NamedAttribute attribute : from)
      if (to.get(attribute.getName()) != attribute.getValue())
        return attribute.getName();
  return {};
}

/// The group of the candidates at `positions`, or nothing, with a remark.
static FailureOr<MemberGroup> makeGroup(StringAttr name,
                                        ArrayRef<Candidate> candidates,
                                        ArrayRef<unsigned> positions,
                                        Operation *op, PackRemarks &remarks) {
  constexpr unsigned kMissing = ~0u;
  unsigned count = positions.size();
  StringRef text = name.getValue();
  MemberGroup group{name, SmallVector<unsigned>(count, kMissing)};
  for (unsigned position : positions) {
    const Candidate &candidate = candidates[position];
    auto member =
        candidate.attributes.getAs<IntegerAttr>(TEDialect::kMemberAttr);
    int64_t index = member ? member.getInt() : -1;
    if (index < 0 || index >= count || group.members[index] != kMissing) {
      remarks.missed(candidate.loc, op,
                     "a member of group {0} has te.member = {1}, but each of "
                     "0 to {2} is needed once",
                     text, index, count - 1);
      return failure();
    }
    group.members[index] = position;
  }

  const Candidate &first = candidates[group.members.front()];
  if (!isa<RankedTensorType>(first.type)) {
    remarks.missed(first.loc, op, "group {0} is of {1}, not of tensors", text,
                   first.type);
    return failure();
  }
  DictionaryAttr common = getCommonAttributes(first);
  for (auto [e, position] : llvm::enumerate(group.members)) {
    const Candidate &candidate = candidates[position];
    if (candidate.type != first.type) {
      remarks.missed(candidate.loc, op,
                     "member {0} of group {1} is {2}, but member 0 is {3}", e,
                     text, candidate.type, first.type);
      return failure();
    }
    DictionaryAttr attributes = getCommonAttributes(candidate);
    if (attributes != common) {
      StringAttr differs = findDifference(attributes, common);
      remarks.missed(candidate.loc, op,
                     "member {0} of group {1} has {2}, but member 0 has {3}", e,
                     text, describe(attributes, differs),
                     describe(common, differs));
      return failure();
    }
  }
  return group;
}

SmallVector<MemberGroup> te::findMemberGroups(ArrayRef<Candidate> candidates,
                                              Operation *op,
                                              PackRemarks &remarks) {
  llvm::MapVector<StringAttr, SmallVector<unsigned>> byName;
  for (auto [i, candidate] : llvm::enumerate(candidates))
    if (candidate.attributes)
      if (auto name =
              candidate.attributes.getAs<StringAttr>(TEDialect::kGroupAttr))
        byName[name].push_back(i);

  SmallVector<MemberGroup> groups;
  for (auto &[name, positions] : byName) {
    FailureOr<MemberGroup> group =
        makeGroup(name, candidates, positions, op, remarks);
    if (succeeded(group))
      groups.push_back(std::move(*group));
  }
  return groups;
}

DictionaryAttr te::getPackedAttributes(ArrayRef<Candidate> candidates,
                                       const MemberGroup &group) {
  const Candidate &first = candidates[group.members.front()];
  MLIRContext *context = first.attributes.getContext();
  SmallVector<Attribute> names;
  for (auto [e, i] : llvm::enumerate(group.members)) {
    Attribute name = candidates[i].attributes.get(TEDialect::kNameAttr);
    names.push_back(name ? name
                         : StringAttr::get(context, group.name.getValue() +
                                                        "." + Twine(e)));
  }
  NamedAttrList attributes(first.attributes);
  attributes.erase(TEDialect::kGroupAttr);
  attributes.erase(TEDialect::kMemberAttr);
  attributes.set(TEDialect::kNameAttr, group.name);
  attributes.set(TEDialect::kMembersAttr, ArrayAttr::get(context, names));
  return attributes.getDictionary(context);
}
