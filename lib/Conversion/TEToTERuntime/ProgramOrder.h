//===- ProgramOrder.h - what may run after what -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_CONVERSION_TETOTERUNTIME_PROGRAMORDER_H
#define TE_LIB_CONVERSION_TETOTERUNTIME_PROGRAMORDER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::te {

/// The order of the ops of a function of nested loops.
class ProgramOrder {
public:
  explicit ProgramOrder(func::FuncOp function);

  /// The position of `op` in the text.
  unsigned operator[](Operation *op) const { return positions.lookup(op); }

  /// Whether `use` may run after `write` has, and there see the value `origin` as
  /// it was before: later in the text; or in the next iteration of a loop around
  /// both, into which `origin` comes from outside.
  bool runsAfter(Operation *use, Operation *write, Value origin) const;

private:
  llvm::DenseMap<Operation *, unsigned> positions;
};

} // namespace mlir::te

#endif // TE_LIB_CONVERSION_TETOTERUNTIME_PROGRAMORDER_H
