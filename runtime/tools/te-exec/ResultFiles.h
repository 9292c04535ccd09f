//===- ResultFiles.h - the files that results go to -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_RESULTFILES_H
#define TE_EXEC_RESULTFILES_H

#include "Execution.h"
#include "Options.h"

namespace te::exec {

/// An array made of parts of arguments, one behind another.
struct ResultFile {
  struct Part {
    size_t argument;
    int64_t offset, bytes;
  };
  std::string name;
  ArrayType type;
  std::vector<Part> parts;
};

/// The results of `program`, in order: each packed one, and each group that
/// could be, in the form asked for.
std::vector<ResultFile> listResultFiles(const Program &program,
                                        Options::OutputForm form);

/// Writes DIRECTORY/NAME.npy. Throws Error.
void writeResultFile(const std::string &directory, const ResultFile &file,
                     const Execution &execution);

} // namespace te::exec

#endif // TE_EXEC_RESULTFILES_H
