//===- PackManifest.h - where packed members lie ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_PACKMANIFEST_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_PACKMANIFEST_H

#include "mlir/IR/BuiltinOps.h"

namespace mlir::te {

/// Writes as JSON what `te.members` says of the arguments, results and globals
/// of `module`: which member lies where in which packed tensor. The form is in
/// the description of te-pack-parameters.
void writePackManifest(ModuleOp module, raw_ostream &os);

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_PACKMANIFEST_H
