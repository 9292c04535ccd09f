//===- Compile.h - from a program's text to plans ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_TOOLS_TE_RUN_COMPILE_H
#define TE_TOOLS_TE_RUN_COMPILE_H

#include <optional>
#include <string>

namespace te_run {

/// What of a program is wanted.
struct Plans {
  bool wantOptimized = false, wantNaive = false;
  std::string optimized, naive;
};

/// Reads the program at `path` ("-" is standard input) and fills in the plans that
/// are wanted. Diagnostics go to stderr. Returns false after one.
bool compile(const std::string &path, Plans &plans);

} // namespace te_run

#endif // TE_TOOLS_TE_RUN_COMPILE_H
