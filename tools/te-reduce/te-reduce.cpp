//===- te-reduce.cpp - makes a program that fails small -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/InitAll.h"
#include "te/Reducer/Reducer.h"
#include "te/Support/Diagnostics.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  mlir::te::registerAllTEDialects(registry);
  mlir::te::registerReductionPatterns(registry);
  mlir::te::registerAllTEPasses();
  mlir::MLIRContext context(registry);
  // Upstream's own says no warnings, such as that nothing will be reduced.
  mlir::te::OneLineDiagnostics diagnostics(&context, "te-reduce");
  return mlir::failed(mlir::mlirReduceMain(argc, argv, context));
}
