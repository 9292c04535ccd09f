//===- Remarks.h - what a pass did, and what it left ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_REMARKS_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_REMARKS_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

namespace mlir::te {

/// What a rewrite saves in a step: launches and bytes of the ops that it takes
/// away, less those of the ops that it puts in their place, each as often as it
/// runs. Only counted where somebody reads remarks.
class Saving {
public:
  /// To be told while the op is still where it was.
  Saving &removed(Operation *op) { return add(op, -1); }
  Saving &added(Operation *op) { return add(op, 1); }

  int64_t launches = 0, bytes = 0;
  /// By the times of the target's kernels; unknown unless all of them are known.
  double predictedUs = 0;
  bool isPredicted = true;

private:
  Saving &add(Operation *op, int sign);
};

/// The op and its place, for a reason: "te.gemm at layer.mlir:12:3"; of a load
/// or store, its global too.
std::string describe(Operation *op);

/// The remarks of one rewrite. Their category is the name of the pass, so that
/// `--remarks-filter=te-...` selects them; their text is made only when read.
/// All carry the op's name as `Op`. One of what was done carries what it saved
/// as `LaunchesSaved`, `BytesSaved` and, where it is known, `PredictedUsSaved`, one of what was not done what the op
/// that stays costs, and thus the rewrite can save at most, as `LaunchesLost`
/// and `BytesLost`.
///
///   Remarks remarks(DEBUG_TYPE, "HoistQuantize");
///   remarks.passed(op, Saving().removed(permute).removed(op).added(fused))
///       << remark::metric("Cols", cols);
///   remarks.missed(op, "scale {0} varies in the loop", type);
class Remarks {
public:
  Remarks(StringRef pass, StringRef rewrite) : pass(pass), rewrite(rewrite) {}

  remark::detail::InFlightRemark passed(Operation *op,
                                        const Saving &saving) const {
    return passedAt(op->getLoc(), op, saving);
  }

  /// The same at a location other than that of `op`, such as an argument's.
  remark::detail::InFlightRemark passedAt(Location loc, Operation *op,
                                          const Saving &saving) const;

  /// A rewrite that was worth having, but not legal: `reason` is formatted as
  /// by `llvm::formatv`. The same is said once in a context, however often a
  /// pipeline runs the pass on its way to a fixed point.
  template <typename... Args>
  void missed(Operation *op, const char *reason, Args &&...args) const {
    missedAt(op->getLoc(), op, reason, std::forward<Args>(args)...);
  }

  /// The same at a location other than that of `op`, such as an argument's.
  template <typename... Args>
  void missedAt(Location loc, Operation *op, const char *reason,
                Args &&...args) const {
    if (op->getContext()->getRemarkEngine())
      emitMissed(loc, op, llvm::formatv(reason, std::forward<Args>(args)...));
  }

private:
  /// Names the function around `op`.
  remark::RemarkOpts options(Operation *op) const;
  void emitMissed(Location loc, Operation *op, const std::string &reason) const;

  StringRef pass, rewrite;
};

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_REMARKS_H
