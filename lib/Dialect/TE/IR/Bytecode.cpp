//===- Bytecode.cpp - versions of the te dialect --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TE/IR/TE.h"
#include "te/Support/BytecodeVersion.h"

using namespace mlir;
using namespace mlir::te;

/// Version 1 wrote the ranks of each function, also of those without
/// communication.
static void dropSingleRanks(Operation *program) {
  program->walk([](Operation *op) {
    auto ranks = op->getAttrOfType<IntegerAttr>(TEDialect::kRanksAttr);
    if (ranks && ranks.getInt() == 1)
      op->removeAttr(TEDialect::kRanksAttr);
  });
}

namespace {
struct TEBytecode : BytecodeVersion {
  static constexpr uint64_t kOldest = 1, kCurrent = 2;

  explicit TEBytecode(Dialect *dialect)
      : BytecodeVersion(dialect, kOldest, kCurrent) {}

  LogicalResult upgrade(Operation *program, uint64_t version) const final {
    if (version < 2)
      dropSingleRanks(program);
    return success();
  }
};
} // namespace

void TEDialect::registerBytecode() { addInterfaces<TEBytecode>(); }
