//===- Simplifications.h - single steps to a smaller program ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_REDUCER_SIMPLIFICATIONS_H
#define TE_LIB_REDUCER_SIMPLIFICATIONS_H

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace mlir::te {

/// One change. It may leave dead ops behind, or IR that does not verify, and
/// need not keep what the program computes.
using Edit = std::function<void()>;

/// Finds the places of a function where a kind of change is possible, in the
/// order of the text. Equal functions give equal lists. Any subset of the
/// edits may be made, from the last to the first.
using Simplification = SmallVector<Edit> (*)(FunctionOpInterface);

/// All kinds of changes, those that remove most first.
ArrayRef<Simplification> getSimplifications();

/// Removes what is dead: ops, and values that a loop carries for nobody.
void removeDead(FunctionOpInterface function);

} // namespace mlir::te

#endif // TE_LIB_REDUCER_SIMPLIFICATIONS_H
