//===- Assert.h - the project's own assertions ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// NDEBUG is always defined, since the packaged LLVM is built with it and some
// of its classes differ in size without; so `assert` checks nothing, ever.
// These are checked where CMake is given TE_ENABLE_ASSERTIONS=ON (preset
// `assert`).
//
//===----------------------------------------------------------------------===//

#ifndef TE_SUPPORT_ASSERT_H
#define TE_SUPPORT_ASSERT_H

#include "llvm/Support/ErrorHandling.h"

#ifdef TE_ENABLE_ASSERTIONS
/// Ends the process with `message` unless `condition` holds: for what no input
/// can break, however wrong it is.
#define TE_ASSERT(condition, message)                                          \
  ((condition) ? (void)0                                                       \
               : ::llvm::report_fatal_error("assertion failed: " #condition    \
                                            ": " message))
#else
#define TE_ASSERT(condition, message) ((void)(true || (condition)))
#endif

#endif // TE_SUPPORT_ASSERT_H
