//===- Cast.h - what the ops that cast to FP8 share -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_IR_CAST_H
#define TE_LIB_DIALECT_TE_IR_CAST_H

#include "te/Dialect/TE/IR/TE.h"

namespace mlir::te {

/// One tensor of a cast: the type of what is cast, whether or not that is an
/// operand, then operands, results and options; absent ones are null.
struct Cast {
  RankedTensorType input;
  Value scale, amax, offsets;
  bool isMember;
  Value values, scales, valuesT, scalesT, amaxOut;
  bool pow2Scales;
  double epsilon;
  Value tensorAmax = {}, tensorAmaxT = {};
  bool squareBlocks = false;
};

/// The cast that an op does of all groups of rows of type `rows`, which are
/// written nowhere but in FP8.
template <typename OpTy> Cast castOf(OpTy op, RankedTensorType rows) {
  return {rows,
          op.getScale(),
          op.getAmax(),
          op.getOffsets(),
          /*isMember=*/false,
          op.getValues(),
          op.getScales(),
          op.getValuesT(),
          op.getScalesT(),
          op.getAmaxOut(),
          op.getPow2Scales(),
          op.getEpsilon().convertToDouble()};
}

/// Labels of the constraints, which each op numbers its own way.
struct CastLabels {
  StringRef encoding, values, scales, valuesT, scalesT, scale, amax, groups,
      blocks, options, tensorAmax, squareBlocks;

  /// Of a fused cast: those of its results, and of its scale and amax.
  static constexpr CastLabels of(StringRef results, StringRef scale) {
    return {results, results, results, results, results, scale,
            scale,   results, results, results, results, results};
  }
};

/// Whether the elements of `type` are FP4.
inline bool isFP4(RankedTensorType type) {
  return isa<Float4E2M1FNType>(type.getElementType());
}

LogicalResult verifyCast(Operation *op, const CastLabels &labels,
                         const Cast &cast);

/// At least one direction is there, and none in part: `label` says so.
LogicalResult verifyDirections(Operation *op, StringRef label, Value values,
                               Value scales, Value valuesT, Value scalesT);

/// Whether columnwise data with these scales is stored as the input is, not
/// transposed.
bool isUntransposed(ScalesAttr encoding);

/// Blocks of FP8 data: products take gemm_ready, moves compact, and the kernel
/// writes either. Scales of 8 bits are written compact or swizzled, those of a
/// grid with groups as the op says.
SmallVector<ScaleLayout> getWritableLayouts(OpResult result);

/// The layouts in which scales of this type can be multiplied back. Those of 8
/// bits are read in either, but a reader of compact ones keeps them: it stands
/// for an optimizer, whose master copy and gathers know no other form.
SmallVector<ScaleLayout> getDequantizableLayouts(Type type);

/// Without a given scale, a scale for a whole tensor needs its amax first, in a
/// kernel of its own, and so do the scales of NVFP4.
int64_t getNumLaunches(bool hasScale, ValueRange scales, ValueRange scalesT);

/// The cost of a cast that reads `inputs` once in each of its launches.
OpCost getCastCost(Operation *op, ValueRange inputs, int64_t launches);

/// No value, if it is null, or this one.
inline ValueRange asRange(const Value &value) {
  return value ? ValueRange(value) : ValueRange();
}

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_IR_CAST_H
