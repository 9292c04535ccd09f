//===- ProgramOrder.cpp - what may run after what -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramOrder.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::te;

ProgramOrder::ProgramOrder(func::FuncOp function) {
  unsigned next = 0;
  function->walk<WalkOrder::PreOrder>(
      [&](Operation *op) { positions[op] = next++; });
}

bool ProgramOrder::runsAfter(Operation *use, Operation *write,
                             Value origin) const {
  if (positions.lookup(use) > positions.lookup(write))
    return true;
  for (auto loop = write->getParentOfType<scf::ForOp>(); loop;
       loop = loop->getParentOfType<scf::ForOp>())
    // The innermost loop around both: if `origin` is new in each of its
    // iterations, so it is in those of the loops around it.
    if (loop->isProperAncestor(use))
      return !loop.getRegion().isAncestor(origin.getParentRegion());
  return false;
}
