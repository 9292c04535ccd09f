//===- CastGroups.h - casts that one launch can do --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_CASTGROUPS_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_CASTGROUPS_H

#include "Workspaces.h"

#include "llvm/ADT/SetVector.h"

namespace mlir::te {

/// What the casts of one launch must share.
class LaunchScheme {
public:
  explicit LaunchScheme(QuantizeOp op);

  bool operator==(const LaunchScheme &other) const {
    return costClass == other.costClass && noop == other.noop &&
           fields == other.fields;
  }
  /// Of a weight, or of another tensor.
  CostClass getClass() const { return costClass; }
  /// "pow2_scales is true, not false", told of this scheme.
  std::string describeDifference(const LaunchScheme &other) const;

private:
  CostClass costClass;
  Value noop;
  /// Name and value; null where absent.
  SmallVector<std::pair<const char *, Attribute>, 13> fields;
};

/// The order of a block, in which views and loads of globals may move up.
class Availability {
public:
  Availability(Block *block, const Workspaces &workspaces);

  /// Calls `visit` for each op of the block that has to come before `cast`,
  /// wherever that stands: what makes its operands, and who reads what the
  /// workspaces that it writes over held.
  void forEachPredecessor(QuantizeOp cast,
                          function_ref<void(Operation *)> visit) const;

  /// Moves up what defines `value`, so that it stands in front of `point`.
  void moveBefore(Value value, Operation *point) const;

private:
  void forEachRoot(Value value, function_ref<void(Operation *)> visit) const;

  Block *block;
  const Workspaces &workspaces;
  /// The last op in front of a load that may write what it loads.
  llvm::DenseMap<Operation *, Operation *> lastWriter;
};

/// Casts of one scheme that become one op.
struct CastGroup {
  LaunchScheme scheme;
  llvm::SetVector<Operation *> casts;
  /// The last op that has to come before the op for all, and the first that
  /// reads one of its results.
  Operation *after = nullptr, *firstReader = nullptr;

  explicit CastGroup(const LaunchScheme &scheme) : scheme(scheme) {}

  /// Takes `op` and returns an empty text; or tells why the op for all would
  /// stand behind one of its readers.
  std::string add(QuantizeOp op, const Availability &availability);
};

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_CASTGROUPS_H
