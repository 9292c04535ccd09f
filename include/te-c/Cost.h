/*===- te-c/Cost.h - what a program costs, from C -----------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TE_C_COST_H
#define TE_C_COST_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A row of the table that te-cost-report prints.
typedef struct TeCost {
  MlirStringRef name; ///< of the class of ops, "weight_quantize"; or "total"
  int64_t launches, bytes, flops, hostSyncs;
  double us; ///< roofline time on the target, in microseconds
} TeCost;

enum { TeNumCostClasses = 16 };

typedef struct TeCostReport {
  MlirStringRef target; ///< "sm_90"; lives as long as the context
  TeCost total;
  TeCost classes[TeNumCostClasses]; ///< in te-cost-report's order
  int64_t peakBytes;                ///< of the arena; -1 before te-lower
} TeCostReport;

/// Counts one run of all functions of `module`: the body of a loop as often as
/// it runs, any op that implements CostOpInterface. Fails, with a diagnostic,
/// where a trip count is no constant.
MLIR_CAPI_EXPORTED MlirLogicalResult teModuleGetCost(MlirModule module,
                                                     TeCostReport *report);

#ifdef __cplusplus
}
#endif
#endif /* TE_C_COST_H */
