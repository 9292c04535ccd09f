//===- HoverDocs.h - documentation of ops under the cursor ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_TOOLS_LSPSERVER_HOVERDOCS_H
#define TE_TOOLS_LSPSERVER_HOVERDOCS_H

#include "mlir/Support/LLVM.h"

namespace mlir::te {

/// Runs `server`, which speaks the language server protocol over standard input
/// and output, in a process of its own, and adds to what it shows over an op of
/// this project the op's documentation. Returns the exit status: that of
/// `server`, 1 where it crashed or could not start. To be called before there
/// are threads.
int runWithHoverDocs(llvm::function_ref<int()> server);

} // namespace mlir::te

#endif // TE_TOOLS_LSPSERVER_HOVERDOCS_H
