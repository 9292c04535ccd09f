//===- Mine.h - a dialect and a rewrite unknown to te -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MINE_H
#define MINE_H

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/Pass/Pass.h"

#include "MineDialect.h.inc"
#define GET_OP_CLASSES
#include "Mine.h.inc"

namespace mine {

/// A snapshot of a snapshot is that of the first.
std::unique_ptr<mlir::Pass> createMergeSnapshotsPass();

} // namespace mine

#endif // MINE_H
