//===- Diagnostics.cpp - one line for each error --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Support/Diagnostics.h"

#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

/// "file:line:column", or what else is known of a place.
static std::string describe(Location location) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (auto file = location->findInstanceOf<FileLineColLoc>())
    os << file.getFilename().getValue() << ":" << file.getLine() << ":"
       << file.getColumn();
  else if (auto name = location->findInstanceOf<NameLoc>())
    os << name.getName().getValue();
  return text;
}

te::OneLineDiagnostics::OneLineDiagnostics(MLIRContext *context, StringRef tool)
    : ScopedDiagnosticHandler(context) {
  context->printOpOnDiagnostic(false);
  setHandler([tool = tool.str()](Diagnostic &diagnostic) {
    bool isError = diagnostic.getSeverity() == DiagnosticSeverity::Error;
    if (!isError && diagnostic.getSeverity() != DiagnosticSeverity::Warning)
      return success();
    std::string place = describe(diagnostic.getLocation());
    std::string message = diagnostic.str();
    std::replace(message.begin(), message.end(), '\n', ' ');
    llvm::errs() << tool << (isError ? ": error: " : ": warning: ") << place
                 << (place.empty() ? "" : ": ") << message << "\n";
    return success();
  });
}
