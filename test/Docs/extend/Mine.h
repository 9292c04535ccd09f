//===- Mine.h - the dialect and the rewrites of mine ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MINE_H
#define MINE_H

#include "te/InitAll.h"

#include "MineDialect.h.inc"
#define GET_OP_CLASSES
#include "Mine.h.inc"

namespace mine {
/// Registers mine-norm-before-move.
void registerPasses();
} // namespace mine

#endif // MINE_H
