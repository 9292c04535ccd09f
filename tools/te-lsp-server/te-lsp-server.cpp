//===- te-lsp-server.cpp - tells editors about programs -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HoverDocs.h"

#include "te/InitAll.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  return mlir::te::runWithHoverDocs([&]() -> int {
    mlir::DialectRegistry registry;
    mlir::registerAllDialects(registry);
    mlir::registerAllExtensions(registry);
    mlir::te::registerAllTEDialects(registry);
    return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
  });
}
