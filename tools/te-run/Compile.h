//===- Compile.h - from a program's text to plans ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_TOOLS_TE_RUN_COMPILE_H
#define TE_TOOLS_TE_RUN_COMPILE_H

#include <string>
#include <vector>

namespace te_run {

/// A program rewritten in one way.
struct Rewritten {
  std::string passes; ///< in the syntax of te-opt --pass-pipeline, within
                      ///< builtin.module(...)
  std::string plan;   ///< empty where a pass, or lowering, failed
};

/// What of a program is wanted.
struct Plans {
  std::vector<Rewritten> rewritten;
  bool wantNaive = false;
  std::string naive;
};

/// Reads the program at `path` ("-" is standard input) and fills in the plans
/// that are wanted. Diagnostics go to stderr. Returns false where there is none
/// to run: no program, no naive plan, or no such passes.
bool compile(const std::string &path, Plans &plans);

} // namespace te_run

#endif // TE_TOOLS_TE_RUN_COMPILE_H
