//===- TrimUsages.h - no direction that nobody reads ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_TRIMUSAGES_H
#define TE_DIALECT_TE_TRANSFORMS_TRIMUSAGES_H

#include "te/Dialect/TE/IR/TE.h"

namespace mlir::te {

/// What te-trim-usages does to the ops in `root`. `trimmed` is told each op, before
/// it goes, the one with fewer results that takes its place, and the usages that
/// are gone.
void trimUsages(Operation *root,
                llvm::function_ref<void(Operation *from, Operation *to,
                                        ArrayRef<Usage> usages)>
                    trimmed);

} // namespace mlir::te

#endif // TE_DIALECT_TE_TRANSFORMS_TRIMUSAGES_H
