//===- ProgramCost.h - what a program costs ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_PROGRAMCOST_H
#define TE_DIALECT_TE_TRANSFORMS_PROGRAMCOST_H

#include "te/Dialect/TE/IR/TE.h"

namespace mlir::te {

/// The sum of costs, and their roofline time.
struct CostTotal {
  int64_t launches = 0, bytes = 0, flops = 0, hostSyncs = 0;
  double us = 0;

  void add(const OpCost &cost, int64_t times, TargetAttr target);
  bool empty() const { return !launches && !bytes && !flops && !hostSyncs; }
};

struct ProgramCost {
  TargetAttr target;
  CostTotal classes[kNumCostClasses];
  CostTotal total;
  /// Of the function that needs the largest arena; none before te-lower.
  std::optional<int64_t> peakBytes;
};

/// One run of all functions of `module`; the body of a loop counts times its
/// trip count. Fails, with an error of `pass`, where that is no constant.
FailureOr<ProgramCost> getProgramCost(ModuleOp module, StringRef pass);

} // namespace mlir::te

#endif // TE_DIALECT_TE_TRANSFORMS_PROGRAMCOST_H
