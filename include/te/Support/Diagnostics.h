//===- Diagnostics.h - one line for each error ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_SUPPORT_DIAGNOSTICS_H
#define TE_SUPPORT_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"

namespace mlir::te {

/// While it lives, an error or warning in the context is one line on standard
/// error, `tool: error: file:line:column: message`: neither the line of the
/// source nor the op, which may be thousands of characters long. Notes are left
/// out.
class OneLineDiagnostics : public ScopedDiagnosticHandler {
public:
  OneLineDiagnostics(MLIRContext *context, StringRef tool);
};

} // namespace mlir::te

#endif // TE_SUPPORT_DIAGNOSTICS_H
