//===- CompileTime.cpp - how long te-compile takes ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// te-compile of a training step of 8 to 1024 experts with FP8 dispatch, block
// recipe, 1 to 16 micro-batches (a loop: they add no ops), and the fit of its
// time to the number of ops of the naive program:
//
//   te-bench-compile [--benchmark_filter=...]
//
//===----------------------------------------------------------------------===//

#include "te/Builders/Layer.h"
#include "te/Dialect/TERuntime/IR/TERuntime.h"
#include "te/Pipelines/Pipelines.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/ErrorHandling.h"

#include <benchmark/benchmark.h>

using namespace mlir;
using namespace mlir::te;

static int64_t countOps(ModuleOp module) {
  int64_t count = 0;
  module.walk([&](Operation *) { ++count; });
  return count;
}

static void compileLayer(benchmark::State &state) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  loadLayerDialects(context);
  context.loadDialect<te_rt::TERuntimeDialect>();
  LayerConfig config;
  config.localExperts = state.range(0);
  config.microbatches = state.range(1);
  config.hidden = 7168;
  config.ffn = 2048;
  config.topK = std::min<int64_t>(8, config.localExperts);
  config.tokens = 512;
  config.recipe = *findRecipe("block");
  config.direction = Direction::Training;
  config.dispatch = Dispatch::FP8;
  if (llvm::Error error = config.verify())
    llvm::report_fatal_error(std::move(error));
  OwningOpRef<ModuleOp> naive = buildLayer(&context, config);
  PassManager pm(&context);
  buildCompilePipeline(pm);
  for (auto _ : state) {
    state.PauseTiming();
    OwningOpRef<ModuleOp> module(naive->clone());
    state.ResumeTiming();
    if (failed(pm.run(*module)))
      llvm::report_fatal_error("te-compile failed");
    state.PauseTiming();
    module = {};
    state.ResumeTiming();
  }
  int64_t ops = countOps(*naive);
  state.counters["ops"] = double(ops);
  state.SetComplexityN(ops);
}

BENCHMARK(compileLayer)
    ->ArgNames({"experts", "microbatches"})
    ->ArgsProduct({{8, 16, 32, 64, 128, 256, 512, 1024}, {1, 8, 16}})
    ->Unit(benchmark::kMillisecond)
    ->Complexity(benchmark::oN);

BENCHMARK_MAIN();
