//===- Dialects.cpp - the dialects, from C --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te-c/Dialects.h"
#include "te/InitAll.h"

#include "mlir/CAPI/Registration.h"

MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(TE, te, mlir::te::TEDialect)
MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(TERuntime, te_rt,
                                      mlir::te_rt::TERuntimeDialect)

void teRegisterAllDialects(MlirDialectRegistry registry) {
  mlir::te::registerAllTEDialects(*unwrap(registry));
}
