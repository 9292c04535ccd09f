//===- Compile.cpp - from a program's text to plans -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compile.h"

#include "te/InitAll.h"
#include "te/Support/Diagnostics.h"
#include "te/Target/Plan/Plan.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

/// Runs `passes`, to which lowering is added, with its options unless `naive`, and
/// translates.
static LogicalResult compileTo(ModuleOp module, PassManager &passes, bool naive,
                               std::string &plan) {
  te::LowerOptions options;
  options.overwriteZeros = !naive;
  te::buildLowerPipeline(passes, options);
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
  te::registerAllTEPasses();
  registerTransformsPasses();
  DialectRegistry registry;
  te::registerAllTEDialects(registry);
  MLIRContext context(registry);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(buffer), SMLoc());
  te::OneLineDiagnostics diagnostics(&context, "te-run");
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  if (!module)
    return false;
  if (plans.wantNaive) {
    OwningOpRef<ModuleOp> copy = module->clone();
    PassManager none(&context);
    if (failed(compileTo(*copy, none, /*naive=*/true, plans.naive)))
      return false;
  }
  for (Rewritten &rewritten : plans.rewritten) {
    OwningOpRef<ModuleOp> copy = module->clone();
    PassManager passes(&context);
    if (failed(parsePassPipeline(rewritten.passes, passes)))
      return false;
    if (failed(compileTo(*copy, passes, /*naive=*/false, rewritten.plan)))
      rewritten.plan.clear();
  }
  return true;
}
