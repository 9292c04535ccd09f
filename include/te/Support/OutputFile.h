//===- OutputFile.h - files written whole or not at all ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_SUPPORT_OUTPUTFILE_H
#define TE_SUPPORT_OUTPUTFILE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace llvm {
class raw_ostream;
} // namespace llvm

namespace mlir::te {

/// Lets `write` write to `path`, "-" being standard output. A file, or the
/// target of a symbolic link, is replaced once all of it is written, so that
/// none is half-written; a device or a pipe is written to, never replaced. The
/// error names the path, and is that of `write` or of the file.
llvm::Error writeOutput(llvm::StringRef path,
                        llvm::function_ref<void(llvm::raw_ostream &)> write);

} // namespace mlir::te

#endif // TE_SUPPORT_OUTPUTFILE_H
