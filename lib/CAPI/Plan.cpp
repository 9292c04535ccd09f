//===- Plan.cpp - lowered programs as data, from C ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te-c/Plan.h"
#include "te/Support/OutputFile.h"
#include "te/Target/Plan/Plan.h"

#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"

using namespace mlir;

MlirLogicalResult teModuleWritePlan(MlirModule module,
                                    MlirStringCallback callback,
                                    void *userData) {
  std::string bytes;
  if (failed(te::translateToPlan(unwrap(module), bytes)))
    return mlirLogicalResultFailure();
  callback({bytes.data(), bytes.size()}, userData);
  return mlirLogicalResultSuccess();
}

MlirLogicalResult teModuleWritePlanFile(MlirModule module, MlirStringRef path) {
  ModuleOp op = unwrap(module);
  std::string bytes;
  if (failed(te::translateToPlan(op, bytes)))
    return mlirLogicalResultFailure();
  if (llvm::Error error = te::writeOutput(
          unwrap(path), [&](raw_ostream &os) { os << bytes; })) {
    emitError(op.getLoc()) << "teModuleWritePlanFile: "
                           << llvm::toString(std::move(error));
    return mlirLogicalResultFailure();
  }
  return mlirLogicalResultSuccess();
}
