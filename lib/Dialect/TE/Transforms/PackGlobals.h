//===- PackGlobals.h - one packed workspace for E members -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_PACKGLOBALS_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_PACKGLOBALS_H

#include "MemberGroups.h"

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/IR/SymbolTable.h"

namespace mlir::te {

/// The part of te-pack-parameters for the globals of `module`. Appends the
/// packs that it makes for stores to `packs`; returns the number of packed
/// globals.
unsigned packGlobals(ModuleOp module, SymbolTable &symbols,
                     const SymbolUserMap &users, PackRemarks &remarks,
                     SmallVectorImpl<PackOp> &packs);

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_PACKGLOBALS_H
