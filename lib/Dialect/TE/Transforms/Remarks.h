//===- Remarks.h - what a pass did, and what it left ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_REMARKS_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_REMARKS_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Remarks.h"

namespace mlir::te {

/// What ops do on the device, as CostOpInterface tells it; each as often as the
/// loops around it are known to run.
struct Traffic {
  int64_t launches = 0, bytes = 0;

  Traffic() = default;
  explicit Traffic(Operation *op) { add(op); }
  /// Nothing for null, and for an op that tells no cost.
  void add(Operation *op);
};

/// For a remark: `LaunchesSaved` and `BytesSaved`, negative where they are
/// lost.
///
///   Traffic before(op);
///   ...
///   remarks.passed(better) << Saved{before, Traffic(better)};
struct Saved {
  Traffic before, after;
};
remark::detail::Remark &operator<<(remark::detail::Remark &remark,
                                   const Saved &saved);

/// For a remark: `LaunchesLost` and `BytesLost`, what a rewrite would save.
struct Lost {
  Traffic traffic;
};
remark::detail::Remark &operator<<(remark::detail::Remark &remark,
                                   const Lost &lost);

/// The op and its place, for a reason: "te.gemm at layer.mlir:12:3"; of a
/// global, its name too.
std::string describe(Operation *op);

/// The remarks of one rewrite. Their category is the name of the pass, so that
/// `--remarks-filter=te-...` selects them; their text is made only when read.
///
///   Remarks remarks(DEBUG_TYPE, "HoistQuantize");
///   remarks.passed(op) << remark::metric("Cols", cols);
///   remarks.missed(op, "scale {0} varies in the loop", type);
class Remarks {
public:
  Remarks(StringRef pass, StringRef rewrite) : pass(pass), rewrite(rewrite) {}

  remark::detail::InFlightRemark passed(Operation *op) const {
    return passedAt(op->getLoc(), op);
  }

  /// The same at a location other than that of `op`, such as an argument's.
  remark::detail::InFlightRemark passedAt(Location loc, Operation *op) const {
    return remark::passed(loc, options(op));
  }

  /// A rewrite that was worth having, but not legal: `reason` is formatted as
  /// by `llvm::formatv`.
  template <typename... Args>
  void missed(Operation *op, const char *reason, Args &&...args) const {
    missedAt(op->getLoc(), op, reason, std::forward<Args>(args)...);
  }

  /// The same, with what it would have saved.
  template <typename... Args>
  void missed(Operation *op, const Lost &lost, const char *reason,
              Args &&...args) const {
    if (auto remark = remark::missed(op->getLoc(), options(op)))
      remark << remark::reason(reason, std::forward<Args>(args)...) << lost;
  }

  /// The same at a location other than that of `op`, such as an argument's.
  template <typename... Args>
  void missedAt(Location loc, Operation *op, const char *reason,
                Args &&...args) const {
    if (auto remark = remark::missed(loc, options(op)))
      remark << remark::reason(reason, std::forward<Args>(args)...);
  }

private:
  /// Names the function around `op`.
  remark::RemarkOpts options(Operation *op) const;

  StringRef pass, rewrite;
};

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_REMARKS_H
