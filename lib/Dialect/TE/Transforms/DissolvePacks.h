//===- DissolvePacks.h - packs values at their source -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_DISSOLVEPACKS_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_DISSOLVEPACKS_H

#include "te/Dialect/TE/IR/TE.h"

namespace mlir::te {

/// `te.pack` of `values`, which have one type.
PackOp createPack(OpBuilder &builder, Location loc, ValueRange values);

/// The packed form of `values` where there is one at no cost: the tensor whose
/// members they all are, in order; one splat constant or `tensor.empty` of the
/// packed type for equal ones, made at `builder`. Else null.
Value getPacked(OpBuilder &builder, Location loc, ValueRange values);

/// Removes `packs` by making their inputs packed where they come from:
///
/// * members of one packed tensor: that tensor;
/// * equal splat constants, `tensor.empty`: one of the packed type;
/// * results of one scf.for: one packed iteration argument, its initial and
///   yielded values packed in turn;
/// * results of one te.update_scales: one packed slot.
///
/// Other readers of such inputs then read `te.member` of the packed value. A
/// pack of anything else stays. Linear in the number of values.
void dissolvePacks(ArrayRef<PackOp> packs);

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_DISSOLVEPACKS_H
