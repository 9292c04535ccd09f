//===- Run.h - what te-exec does with a plan --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_RUN_H
#define TE_EXEC_RUN_H

#include "Options.h"

#include <optional>
#include <string_view>

namespace te::exec {

/// Runs `plan` as `options` say, with tables on stdout. Given `naive`, runs
/// that on ref as well and compares all results. Returns the exit status: 0; or
/// 1 after a missed bound, or after one line on stderr. Throws nothing.
int run(const Options &options, std::string_view plan,
        std::optional<std::string_view> naive = std::nullopt);

} // namespace te::exec

#endif // TE_EXEC_RUN_H
