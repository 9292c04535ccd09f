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

/// The arguments, and where remarks are asked for one more: MLIR's engine of
/// remarks may not be called by two threads, as passes on functions would.
static llvm::SmallVector<char *> getArguments(int argc, char **argv) {
  static char disableThreading[] = "--mlir-disable-threading";
  llvm::SmallVector<char *> arguments(argv, argv + argc);
  if (llvm::any_of(arguments, [](llvm::StringRef argument) {
        return argument.ltrim('-').starts_with("remark") &&
               argument.starts_with("-");
      }))
    arguments.push_back(disableThreading);
  return arguments;
}

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  mlir::te::registerAllTEDialects(registry);
  mlir::te::registerAllTEPasses();
  llvm::SmallVector<char *> arguments = getArguments(argc, argv);
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(arguments.size(), arguments.data(),
                        "te-opt: rewrites of expert layers\n", registry));
}
