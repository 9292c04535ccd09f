//===- Cost.cpp - what a program costs, from C ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te-c/Cost.h"
#include "te/Dialect/TE/Transforms/ProgramCost.h"

#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"

using namespace mlir;

static_assert(unsigned(TeNumCostClasses) == te::kNumCostClasses,
              "a cost class without a row");

static TeCost toC(StringRef name, const te::CostTotal &cost) {
  return {wrap(name), cost.launches,  cost.bytes,
          cost.flops, cost.hostSyncs, cost.us};
}

MlirLogicalResult teModuleGetCost(MlirModule module, TeCostReport *report) {
  FailureOr<te::ProgramCost> cost =
      te::getProgramCost(unwrap(module), "teModuleGetCost");
  if (failed(cost))
    return mlirLogicalResultFailure();
  report->target = wrap(cost->target.getChip());
  report->total = toC("total", cost->total);
  for (unsigned i = 0; i < te::kNumCostClasses; ++i)
    report->classes[i] =
        toC(te::stringifyCostClass(te::CostClass(i)), cost->classes[i]);
  report->peakBytes = cost->peakBytes.value_or(-1);
  return mlirLogicalResultSuccess();
}
