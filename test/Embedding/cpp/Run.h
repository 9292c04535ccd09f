//===- Run.h - a plan from memory, executed ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUN_H
#define RUN_H

#include <string>
#include <vector>

/// Runs the one program of the plan once, on arguments that are a function of
/// their names; the bytes of the result `name`, or none after a message.
std::vector<char> run(const std::string &plan, const char *name);

#endif // RUN_H
