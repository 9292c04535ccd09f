//===- MemberGroups.h - members that te.group marks -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_MEMBERGROUPS_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_MEMBERGROUPS_H

#include "Remarks.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"

namespace mlir::te {

/// What te-pack-parameters tells: a group that is left is a remark, or an error
/// with the same text where `strict`.
class PackRemarks {
public:
  PackRemarks(StringRef rewrite, bool strict)
      : remarks("te-pack-parameters", rewrite), strict(strict) {}

  /// `count` entries became the one that is called `what`.
  void passed(Location loc, Operation *op, StringRef what, StringRef name,
              size_t count) const {
    remarks.passedAt(loc, op, Saving())
        << remark::add("{0} {1}", what, name)
        << remark::metric("Members", count)
        << remark::metric("EntriesSaved", count - 1);
  }
  template <typename... Args>
  void missed(Location loc, Operation *op, const char *reason, Args &&...args) {
    if (strict) {
      emitError(loc, "te-pack-parameters: ")
          << llvm::formatv(reason, std::forward<Args>(args)...).str();
      errors = true;
    } else {
      remarks.missedAt(loc, op, reason, std::forward<Args>(args)...);
    }
  }
  bool hasErrors() const { return errors; }

private:
  Remarks remarks;
  bool strict, errors = false;
};

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
                                          Operation *op, PackRemarks &remarks);

/// The attributes of what `group` becomes: those of its first member, its own
/// name, and the names of all members; one without a name is called GROUP.e.
DictionaryAttr getPackedAttributes(ArrayRef<Candidate> candidates,
                                   const MemberGroup &group);

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_MEMBERGROUPS_H
