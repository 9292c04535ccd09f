//===- MemberGroups.h - members that te.group marks -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_MEMBERGROUPS_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_MEMBERGROUPS_H

#include "Remarks.h"

#include "mlir/IR/BuiltinAttributes.h"

namespace mlir::te {

/// An argument, a result or a global that may be a member of a group.
struct Candidate {
  Location loc;
  Type type;
  DictionaryAttr attributes;
};

/// The members 0 to E-1 of a group, as positions in a list of candidates.
struct MemberGroup {
  StringAttr name;
  SmallVector<unsigned> members;
};

/// The groups of `candidates` whose members are all there and equal in type and
/// in all attributes but `te.name`, `te.member` and the name in `te.next`, in
/// order of their first members. For each other group a remark at `op` tells
/// the member that is missing or differs.
SmallVector<MemberGroup> findMemberGroups(ArrayRef<Candidate> candidates,
                                          Operation *op,
                                          const Remarks &remarks);

/// The attributes of what `group` becomes: those of its first member, its own
/// name, and the names of all members.
DictionaryAttr getPackedAttributes(ArrayRef<Candidate> candidates,
                                   const MemberGroup &group);

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_MEMBERGROUPS_H
