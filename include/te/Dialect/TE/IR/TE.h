//===- TE.h - the te dialect ------------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_TE_H
#define TE_DIALECT_TE_IR_TE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "te/Dialect/TE/IR/Cost.h"
#include "te/Dialect/TE/IR/TEDialect.h.inc"
#include "te/Dialect/TE/IR/TEEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "te/Dialect/TE/IR/TEAttrs.h.inc"

namespace mlir::te {

class GroupedGemmOp;
class QuantizeOp;

/// The encoding of a tensor of scales, or null.
ScalesAttr getScalesEncoding(Type type);

/// Whether `type` is a tensor in memory of the host.
bool isOnHost(Type type);

/// The type of the scales of data of type `data` with this encoding.
RankedTensorType getScalesType(ScalesAttr encoding, RankedTensorType data,
                               Type element);

/// The packed tensor of which `values` are all members, in order, as
/// `te.member` at constants; or null.
Value getPackedOfMembers(ValueRange values);

/// That tensor, or else a new `te.pack` of `values`.
Value packMembers(OpBuilder &builder, Location loc, ValueRange values);

/// Where offsets that the host has read lie on the device, or null.
Value getDeviceOffsets(Value hostOffsets);

/// Results of an op that stand or go together: `lists` of them.
struct Usage {
  StringRef name;
  SmallVector<unsigned, 3> lists;
  bool isDirection; // of those, at least one stays
};

namespace detail {
/// The layout that scales of this type have; empty for another type.
SmallVector<ScaleLayout> currentLayout(Type type);
/// The layouts between which `te.convert_scales` moves scales of this type.
SmallVector<ScaleLayout> convertibleLayouts(Type type);
LogicalResult verifyDestinations(Operation *op);
LogicalResult verifyMember(Operation *op);
} // namespace detail

} // namespace mlir::te

#include "te/Dialect/TE/IR/TEInterfaces.h.inc"

#define GET_OP_CLASSES
#include "te/Dialect/TE/IR/TEOps.h.inc"

#endif // TE_DIALECT_TE_IR_TE_H
