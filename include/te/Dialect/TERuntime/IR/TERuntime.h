//===- TERuntime.h - the te_rt dialect --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TERUNTIME_IR_TERUNTIME_H
#define TE_DIALECT_TERUNTIME_IR_TERUNTIME_H

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

#include "te/Dialect/TERuntime/IR/TERuntimeDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "te/Dialect/TERuntime/IR/TERuntimeAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "te/Dialect/TERuntime/IR/TERuntimeTypes.h.inc"

#define GET_OP_CLASSES
#include "te/Dialect/TERuntime/IR/TERuntimeOps.h.inc"

namespace mlir::te_rt {

/// Calls this function of the runtime, at the cost `cost`.
CallOp createCall(OpBuilder &builder, Location loc, const te::RuntimeCall &call,
                  function_ref<Value(Value)> getBuffer, const te::OpCost &cost);
/// output = input.
CallOp createCopy(OpBuilder &builder, Location loc, Value input, Value output);
/// Every element of output becomes `value`.
CallOp createFill(OpBuilder &builder, Location loc, Value output, double value);

/// What the time of a call depends on.
te::CallTypes getCallTypes(CallOp call);

} // namespace mlir::te_rt

#endif // TE_DIALECT_TERUNTIME_IR_TERUNTIME_H
