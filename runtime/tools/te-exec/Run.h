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

/// Runs both plans on the same backend, each for a step that nobody times and then
/// for the options' steps, and prints for each class of calls the launches and the
/// time of one step of either, and the time of the whole step. Returns the exit
/// status.
int runAgainst(const Options &options, std::string_view plan,
               std::string_view naive);

} // namespace te::exec

#endif // TE_EXEC_RUN_H
