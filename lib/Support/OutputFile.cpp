//===- OutputFile.cpp - files that are written whole or not at all --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Support/OutputFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

/// Writes, and says what the stream met: it would end the process otherwise.
static llvm::Error
writeTo(llvm::raw_fd_ostream &os, llvm::StringRef path,
        llvm::function_ref<void(llvm::raw_ostream &)> write) {
  write(os);
  os.flush();
  if (std::error_code code = os.error()) {
    os.clear_error();
    return llvm::createFileError(path, code);
  }
  return llvm::Error::success();
}

llvm::Error
te::writeOutput(llvm::StringRef path,
                llvm::function_ref<void(llvm::raw_ostream &)> write) {
  if (path == "-")
    return writeTo(llvm::outs(), "standard output", write);
  llvm::sys::fs::file_status status;
  std::error_code code = llvm::sys::fs::status(path, status);
  if (!code && !llvm::sys::fs::is_regular_file(status)) {
    llvm::raw_fd_ostream os(path, code);
    return code ? llvm::createFileError(path, code) : writeTo(os, path, write);
  }
  llvm::SmallString<128> target(path);
  if (!code && (code = llvm::sys::fs::real_path(path, target)))
    return llvm::createFileError(path, code);
  auto temporary =
      llvm::sys::fs::TempFile::create(llvm::Twine(target) + ".tmp-%%%%%%%%");
  if (!temporary)
    return llvm::createFileError(path, temporary.takeError());
  llvm::raw_fd_ostream os(temporary->FD, /*shouldClose=*/false);
  if (llvm::Error error = writeTo(os, path, write)) {
    llvm::consumeError(temporary->discard());
    return error;
  }
  if (llvm::Error error = temporary->keep(target))
    return llvm::createFileError(path, std::move(error));
  return llvm::Error::success();
}
