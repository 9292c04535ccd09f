//===- te-plugin.cpp - dialects and passes for the packaged mlir-opt ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/InitAll.h"

#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

extern "C" mlir::DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "te", TE_VERSION,
          [](mlir::DialectRegistry *registry) {
            mlir::te::registerAllTEDialects(*registry);
          }};
}

extern "C" mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "te", TE_VERSION,
          [] { mlir::te::registerAllTEPasses(); }};
}
