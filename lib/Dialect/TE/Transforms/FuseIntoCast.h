//===- FuseIntoCast.h - casts that make their input themselves --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_FUSEINTOCAST_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_FUSEINTOCAST_H

#include "Remarks.h"
#include "te/Dialect/TE/IR/TE.h"

namespace mlir::te {

/// The first destination of `op` that somebody else knows, so that its results
/// have to lie there; null if there is none.
Value getKnownDestination(QuantizeOp op);

/// Why no fused cast can do the work of `op`, whatever makes its input: an
/// empty string where one can.
std::string getUnfusableReason(QuantizeOp op);

/// Whether a fused cast, which has no member, flag or destinations and stands
/// where `op` does, can do the work of `op` and of what makes its input, and
/// nobody else wants that. Otherwise says why in a remark.
bool canFuseIntoCast(QuantizeOp op, const Remarks &remarks);

/// Replaces `op` and what makes its input by `fused`, whose first results are
/// those of `op`, and tells what that saves.
void replaceByFusedCast(QuantizeOp op, Operation *fused,
                        const Remarks &remarks);

/// A cast to FP8 of `input` as `op`, which a fused cast could replace, does it in
/// one direction, to these types; without amax, flag and destinations.
QuantizeOp createDirection(QuantizeOp op, OpBuilder &builder, Value input,
                           Type values, Type scales, bool columnwise,
                           Value groups);

/// The types of the results of `op` in the order of the op; null if absent.
struct CastTypes {
  explicit CastTypes(QuantizeOp op);
  Type values, scales, valuesT, scalesT, amaxOut;
};

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_FUSEINTOCAST_H
