//===- Reducer.h - how programs are made smaller ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_REDUCER_REDUCER_H
#define TE_REDUCER_REDUCER_H

#include "mlir/IR/DialectRegistry.h"

namespace mlir::te {

/// Gives the te dialect its reduction pattern, which upstream's
/// `reduction-tree` then applies: one that makes a function as small as it can
/// be while the tester still finds the module interesting. A module without
/// the te dialect is left to upstream.
void registerReductionPatterns(DialectRegistry &registry);

} // namespace mlir::te

#endif // TE_REDUCER_REDUCER_H
