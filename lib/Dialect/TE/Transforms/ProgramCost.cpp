//===- ProgramCost.cpp - what a program costs -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TE/Transforms/ProgramCost.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::te;

void CostTotal::add(const OpCost &cost, int64_t times, TargetAttr target) {
  launches += cost.launches * times;
  bytes += cost.bytes * times;
  flops += cost.flops * times;
  hostSyncs += cost.hostSyncs * times;
  us += getRooflineSeconds(cost, target) * times * 1e6;
}

FailureOr<ProgramCost> te::getProgramCost(ModuleOp module, StringRef pass) {
  ProgramCost result;
  result.target = TargetAttr::lookup(module);
  // All ops of a block run equally often.
  llvm::DenseMap<Block *, int64_t> executions;
  WalkResult walk = module.walk([&](CostOpInterface op) {
    auto [it, isNew] = executions.try_emplace(op->getBlock(), 0);
    if (isNew) {
      std::optional<int64_t> times = getNumExecutions(op);
      if (!times) {
        op.emitError() << pass << ": the trip count of each loop around this op "
                       << "must be a constant, so that it can be counted";
        return WalkResult::interrupt();
      }
      it->second = *times;
    }
    OpCost cost = op.getCost();
    result.classes[unsigned(cost.costClass)].add(cost, it->second,
                                                 result.target);
    result.total.add(cost, it->second, result.target);
    return WalkResult::advance();
  });
  if (walk.wasInterrupted())
    return failure();
  module.walk([&](FunctionOpInterface function) {
    if (auto bytes = function->getAttrOfType<IntegerAttr>("te_rt.arena_bytes"))
      result.peakBytes =
          std::max(result.peakBytes.value_or(0), bytes.getInt());
  });
  return result;
}
