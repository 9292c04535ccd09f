//===- Cast.h - what the ops that write FP8 share ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_IR_CAST_H
#define TE_LIB_DIALECT_TE_IR_CAST_H

#include "Verify.h"

namespace mlir::te {

/// One tensor of a cast: its type in high precision, its operands and results;
/// absent ones are null.
struct Cast {
  RankedTensorType input;
  Value scale, amax, offsets;
  bool isMember;
  Value values, scales, valuesT, scalesT, amaxOut;
};

/// Labels of the constraints, which the ops number differently.
struct CastLabels {
  StringRef encoding, values, scales, valuesT, scalesT, scale, amax, groups;
};

/// At least one direction is asked for, and data and scales come together.
LogicalResult verifyDirections(Operation *op, StringRef label,
                               const Cast &cast);

/// The types of a cast's results, scale and amax, as (Q2) to (Q9) of
/// te.quantize say.
LogicalResult verifyCast(Operation *op, const CastLabels &labels,
                         const Cast &cast);

/// The layouts in which a cast can write `result`, scales.
SmallVector<ScaleLayout> getWritableLayouts(OpResult result);

/// Without a given scale, a scale for a whole tensor needs its amax first, in a
/// kernel of its own.
int64_t getNumLaunches(bool hasScale, ValueRange scales, ValueRange scalesT);

/// The cost of a cast in `launches` launches, each of which reads `inputs`.
OpCost getCastCost(Operation *op, ValueRange inputs, int64_t launches);

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_IR_CAST_H
