//===- Bytecode.cpp - versions of the te dialect --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TE/IR/TE.h"
#include "te/Support/BytecodeVersion.h"

using namespace mlir;
using namespace mlir::te;

namespace {
struct TEBytecode : BytecodeVersion {
  static constexpr uint64_t kOldest = 1, kCurrent = 1;

  explicit TEBytecode(Dialect *dialect)
      : BytecodeVersion(dialect, kOldest, kCurrent) {}
};
} // namespace

void TEDialect::registerBytecode() { addInterfaces<TEBytecode>(); }
