//===- Types.h - types of values, for the builders --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_BUILDERS_TYPES_H
#define TE_LIB_BUILDERS_TYPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace mlir::te {

inline RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

} // namespace mlir::te

#endif // TE_LIB_BUILDERS_TYPES_H
