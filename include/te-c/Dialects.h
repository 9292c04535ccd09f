/*===- te-c/Dialects.h - the dialects, from C ---------------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|* The headers of te-c go with those of MLIR's C API (mlir-c): programs are   *|
|* parsed, printed and destroyed there. What goes wrong is told to the        *|
|* diagnostic handlers of the context (mlirContextAttachDiagnosticHandler).   *|
|* Strings that a function is given are read before it returns; a null one    *|
|* is empty.                                                                  *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TE_C_DIALECTS_H
#define TE_C_DIALECTS_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(TE, te);
MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(TERuntime, te_rt);

/// Adds te, te_rt, and those dialects of upstream that their programs are made
/// of (arith, func, ml_program, scf, tensor).
MLIR_CAPI_EXPORTED void teRegisterAllDialects(MlirDialectRegistry registry);

#ifdef __cplusplus
}
#endif
#endif /* TE_C_DIALECTS_H */
