//===- te-opt.cpp - runs passes on programs -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/InitAll.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  mlir::te::registerAllTEDialects(registry);
  mlir::te::registerAllTEPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "te-opt: rewrites of expert layers\n", registry));
}
