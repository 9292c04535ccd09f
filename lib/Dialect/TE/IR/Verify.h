//===- Verify.h - what the te ops share -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An error names its constraint, the value found and the value wanted.
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_IR_VERIFY_H
#define TE_LIB_DIALECT_TE_IR_VERIFY_H

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/IR/Builders.h"

namespace mlir::te {

inline RankedTensorType tensorType(Value value) {
  return value ? cast<RankedTensorType>(value.getType()) : RankedTensorType();
}

/// "(label) name must be <wanted>, but got <found>", if the two differ.
inline LogicalResult wantType(Operation *op, StringRef label, StringRef name,
                              Type found, Type wanted) {
  if (found == wanted)
    return success();
  return op->emitOpError() << "(" << label << ") " << name << " must be "
                           << wanted << ", but got " << found;
}

/// The same for the shape alone.
inline LogicalResult wantShape(Operation *op, StringRef label, StringRef name,
                               RankedTensorType found,
                               ArrayRef<int64_t> wanted) {
  if (found.getShape() == wanted)
    return success();
  return op->emitOpError() << "(" << label << ") " << name << " must be "
                           << found.clone(wanted) << ", but got " << found;
}

/// "(label) name must be <wanted>, but got <found>", unless `holds`.
template <typename Found>
LogicalResult want(Operation *op, StringRef label, StringRef name, bool holds,
                   StringRef wanted, const Found &found) {
  if (holds)
    return success();
  return op->emitOpError() << "(" << label << ") " << name << " must be "
                           << wanted << ", but got " << found;
}

/// `scales` carries an encoding (labelled `encodingLabel`) and has the shape
/// which it gives for `data` (labelled `shapeLabel`).
inline LogicalResult wantScales(Operation *op, StringRef encodingLabel,
                                StringRef shapeLabel, StringRef name,
                                RankedTensorType scales,
                                RankedTensorType data) {
  ScalesAttr encoding = getScalesEncoding(scales);
  if (!encoding)
    return op->emitOpError()
           << "(" << encodingLabel << ") " << name
           << " must carry a #te.scales encoding, but got " << scales;
  return wantShape(op, shapeLabel, name, scales,
                   encoding.getScalesShape(data.getShape()));
}

/// `probs` and its result come together and have these shapes.
inline LogicalResult verifyProbs(Operation *op, StringRef label, Value probs,
                                 ArrayRef<int64_t> shape, Value outProbs,
                                 ArrayRef<int64_t> outShape) {
  if (bool(probs) != bool(outProbs))
    return op->emitOpError()
           << "(" << label << ") probs and out_probs must come together, but "
           << "got " << (probs ? "probs" : "out_probs") << " alone";
  if (!probs)
    return success();
  if (failed(wantShape(op, label, "probs", tensorType(probs), shape)))
    return failure();
  return wantShape(op, label, "out_probs", tensorType(outProbs), outShape);
}

/// The number of groups of `offsets`.
inline int64_t getNumGroups(Value offsets) {
  return tensorType(offsets).getDimSize(0) - 1;
}

/// Whether `operand` is one of `range`: a value may be in several.
inline bool isAmong(MutableOperandRange range, OpOperand &operand) {
  return llvm::any_of(range,
                      [&](OpOperand &each) { return &each == &operand; });
}

/// Nanoseconds of each launch, on an H200.
constexpr double kLaunchNs = 2500;

inline bool isMatrix(Value value) { return tensorType(value).getRank() == 2; }
inline bool isVector(Value value) { return tensorType(value).getRank() == 1; }

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_IR_VERIFY_H
