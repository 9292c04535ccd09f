/*===- te-c/Plan.h - lowered programs as data, from C -------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TE_C_PLAN_H
#define TE_C_PLAN_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Makes a plan of a module that te-lower (or te-compile) has lowered, and
/// gives its bytes to `callback`, in one call; they live as long as that. What
/// runs them is te_rt_plan_load of te_runtime/plan.h. Fails, with a diagnostic,
/// at what is not lowered.
MLIR_CAPI_EXPORTED MlirLogicalResult teModuleWritePlan(
    MlirModule module, MlirStringCallback callback, void *userData);

/// The same, to the file `path`, which is written whole or not at all.
MLIR_CAPI_EXPORTED MlirLogicalResult teModuleWritePlanFile(MlirModule module,
                                                           MlirStringRef path);

#ifdef __cplusplus
}
#endif
#endif /* TE_C_PLAN_H */
