//===- Compile.cpp - from a program's text to plans -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compile.h"

#include "te/InitAll.h"
#include "te/Target/Plan/Plan.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

static LogicalResult compileTo(ModuleOp module,
                               void (*buildPipeline)(OpPassManager &),
                               std::string &plan) {
  PassManager passes(module.getContext());
  buildPipeline(passes);
  if (failed(passes.run(module)))
    return failure();
  return te::translateToPlan(module, plan);
}

bool te_run::compile(const std::string &path, Plans &plans) {
  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(path, &message);
  if (!buffer) {
    llvm::errs() << "te-run: error: " << message << "\n";
    return false;
  }
  DialectRegistry registry;
  te::registerAllTEDialects(registry);
  MLIRContext context(registry);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(buffer), SMLoc());
  SourceMgrDiagnosticHandler diagnostics(sources, &context);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  if (!module)
    return false;
  if (plans.wantNaive) {
    OwningOpRef<ModuleOp> copy = module->clone();
    if (failed(compileTo(*copy, te::buildLowerPipeline, plans.naive)))
      return false;
  }
  return !plans.wantOptimized ||
         succeeded(
             compileTo(*module, te::buildCompilePipeline, plans.optimized));
}
