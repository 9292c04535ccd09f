//===- Error.h - errors of the driver ---------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_ERROR_H
#define TE_EXEC_ERROR_H

#include <sstream>
#include <stdexcept>

namespace te::exec {

/// A refusal in one line: what was found where, and what was wanted. Thrown
/// inside the driver only; run() turns it into a message and exit status 1.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws an Error whose text is `parts`, one behind another.
template <typename... Parts> [[noreturn]] void fail(const Parts &...parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error(text.str());
}

} // namespace te::exec

#endif // TE_EXEC_ERROR_H
