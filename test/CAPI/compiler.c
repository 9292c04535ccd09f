/*===- compiler.c - the C API of the compiler ---------------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*   build                          prints a layer, as te-gen does            *|
|*   optimize FILE PIPELINE [PLAN]  runs passes: prints costs and remarks to  *|
|*                                  standard error, the program to standard   *|
|*                                  output; writes it as a plan               *|
|*   errors                         what is refused, and how it is said       *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "te-c/Builders.h"
#include "te-c/Cost.h"
#include "te-c/Dialects.h"
#include "te-c/Passes.h"
#include "te-c/Plan.h"

#include "mlir-c/BuiltinAttributes.h"
#include "mlir-c/Diagnostics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static MlirStringRef str(const char *text) {
  return mlirStringRefCreateFromCString(text);
}

static void print(MlirStringRef text, void *file) {
  fwrite(text.data, 1, text.length, (FILE *)file);
}

static void check(int holds, const char *what) {
  if (holds)
    return;
  fprintf(stderr, "check failed: %s\n", what);
  exit(1);
}

static MlirLogicalResult printDiagnostic(MlirDiagnostic diagnostic,
                                         void *userData) {
  (void)userData;
  printf("diagnostic: ");
  mlirDiagnosticPrint(diagnostic, print, stdout);
  printf("\n");
  return mlirLogicalResultSuccess();
}

static MlirContext createContext(void) {
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  teRegisterAllDialects(registry);
  MlirContext context =
      mlirContextCreateWithRegistry(registry, /*threadingEnabled=*/false);
  mlirDialectRegistryDestroy(registry);
  mlirContextAttachDiagnosticHandler(context, printDiagnostic, NULL, NULL);
  teRegisterAllPasses();
  teRegisterAllPasses(); /* may be called again */
  return context;
}

/*===----------------------------------------------------------------------===*/

static TeLayerOptions getOptions(void) {
  TeLayerOptions options;
  check(mlirLogicalResultIsSuccess(teLayerOptionsInit(str("tiny"), &options)),
        "tiny is a model");
  options.tokens = 32;
  options.localExperts = 3;
  options.microbatches = 2;
  options.ranks = 2;
  options.recipe = str("block");
  options.direction = TeTraining;
  options.dispatch = TeDispatchFP8;
  options.cachedWeights = true;
  options.weightUpdate = TeWeightUpdateNoop;
  options.bias = true;
  options.target = str("sm_100");
  return options;
}

static int build(MlirContext context) {
  const TeRecipeOption recipeOptions[] = {
      {str("backward-format"), str("e5m2")},
      {str("amax-epsilon"), str("0.5")},
  };
  TeLayerOptions options = getOptions();
  options.numRecipeOptions = 2;
  options.recipeOptions = recipeOptions;
  MlirModule module = teLayerBuild(context, &options);
  check(!mlirModuleIsNull(module), "the layer is built");
  check(mlirOperationVerify(mlirModuleGetOperation(module)), "it verifies");
  mlirOperationPrint(mlirModuleGetOperation(module), print, stdout);
  printf("\n");
  mlirModuleDestroy(module);
  return 0;
}

/*===----------------------------------------------------------------------===*/

static void printRemark(const TeRemark *remark, void *count) {
  static const char *const kinds[] = {"passed", "missed", "failed", "analysis"};
  ++*(int *)count;
  fprintf(stderr, "remark: %s %.*s %.*s in @%.*s: %.*s at ",
          kinds[remark->kind], (int)remark->pass.length, remark->pass.data,
          (int)remark->rewrite.length, remark->rewrite.data,
          (int)remark->function.length, remark->function.data,
          (int)remark->op.length, remark->op.data);
  mlirLocationPrint(remark->location, print, stderr);
  fprintf(stderr, ": %lld launches, %lld bytes: %.*s [",
          (long long)remark->launches, (long long)remark->bytes,
          (int)remark->reason.length, remark->reason.data);
  for (intptr_t i = 0; i < remark->numArguments; ++i)
    fprintf(stderr, "%s%.*s=%.*s", i ? ", " : "", (int)remark->keys[i].length,
            remark->keys[i].data, (int)remark->values[i].length,
            remark->values[i].data);
  fprintf(stderr, "]\n");
}

/* The rows that te-cost-report prints as JSON. */
static void printCost(const char *when, MlirModule module) {
  TeCostReport report;
  check(mlirLogicalResultIsSuccess(teModuleGetCost(module, &report)),
        "the program is counted");
  fprintf(stderr, "cost %s: %.*s, peak %lld\n", when, (int)report.target.length,
          report.target.data, (long long)report.peakBytes);
  for (int i = -1; i < TeNumCostClasses; ++i) {
    const TeCost *cost = i < 0 ? &report.total : &report.classes[i];
    fprintf(stderr,
            "cost %s: %.*s: %lld launches, %lld bytes, %lld flops, "
            "%lld syncs, %.3f us\n",
            when, (int)cost->name.length, cost->name.data,
            (long long)cost->launches, (long long)cost->bytes,
            (long long)cost->flops, (long long)cost->hostSyncs, cost->us);
  }
}

struct Bytes {
  char *data;
  size_t size;
  int calls;
};

static void keep(MlirStringRef bytes, void *userData) {
  struct Bytes *kept = (struct Bytes *)userData;
  kept->data = malloc(bytes.length);
  check(kept->data != NULL, "there is memory");
  memcpy(kept->data, bytes.data, bytes.length);
  kept->size = bytes.length;
  ++kept->calls;
}

/* The plan in memory is the plan in the file. */
static void writePlan(MlirModule module, const char *path) {
  struct Bytes memory = {NULL, 0, 0};
  check(mlirLogicalResultIsSuccess(teModuleWritePlan(module, keep, &memory)),
        "a plan in memory");
  check(memory.calls == 1, "in one call");
  check(mlirLogicalResultIsSuccess(teModuleWritePlanFile(module, str(path))),
        "a plan in a file");
  FILE *file = fopen(path, "rb");
  char *bytes = malloc(memory.size + 1);
  check(file && bytes &&
            fread(bytes, 1, memory.size + 1, file) == memory.size &&
            !memcmp(bytes, memory.data, memory.size),
        "both are the same");
  fclose(file);
  free(bytes);
  free(memory.data);
}

static int optimize(MlirContext context, const char *path, const char *pipeline,
                    const char *plan) {
  MlirModule module = mlirModuleCreateParseFromFile(context, str(path));
  if (mlirModuleIsNull(module))
    return 1;
  printCost("before", module);
  int remarks = 0;
  check(mlirLogicalResultIsSuccess(teContextSetRemarkHandler(
            context, str("te-.*"), printRemark, &remarks)),
        "a handler of remarks");
  if (mlirLogicalResultIsFailure(teRunPipeline(module, str(pipeline))))
    return 1;
  check(remarks > 0, "passes say what they do");
  int told = remarks;
  check(mlirLogicalResultIsSuccess(
            teContextSetRemarkHandler(context, str(""), NULL, NULL)),
        "no handler");
  check(mlirLogicalResultIsSuccess(teRunPipeline(module, str("cse"))),
        "another pipeline");
  check(remarks == told, "nobody is told");
  printCost("after", module);
  mlirOperationPrint(mlirModuleGetOperation(module), print, stdout);
  printf("\n");
  if (plan)
    writePlan(module, plan);
  mlirModuleDestroy(module);
  return 0;
}

/*===----------------------------------------------------------------------===*/

static void refuse(MlirContext context, const TeLayerOptions *options) {
  check(mlirModuleIsNull(teLayerBuild(context, options)), "it is refused");
}

static int showErrors(MlirContext context) {
  TeLayerOptions options = getOptions(), wrong = options;
  check(mlirLogicalResultIsFailure(teLayerOptionsInit(str("gpt-0"), &wrong)),
        "there is no such model");
  check(wrong.tokens == options.tokens, "the options stay");

  wrong.hidden = -1;
  refuse(context, &wrong);
  wrong = options, wrong.recipe = str("fp3");
  refuse(context, &wrong);
  wrong = options, wrong.gradientDispatch = TeDispatchNone;
  refuse(context, &wrong);
  wrong = options, wrong.direction = (TeDirection)7;
  refuse(context, &wrong);
  TeRecipeOption option = {str("hadamard"), str("true")};
  wrong = options, wrong.numRecipeOptions = 1, wrong.recipeOptions = &option;
  refuse(context, &wrong);
  option.name = str("softness");
  refuse(context, &wrong);

  MlirModule module = teLayerBuild(context, &options);
  check(mlirLogicalResultIsFailure(teRunPipeline(module, str("te-improve"))),
        "no such pass");
  check(mlirLogicalResultIsFailure(
            teRunPipeline(module, str("te-optimize{speed=1}"))),
        "no such option");
  struct Bytes memory = {NULL, 0, 0};
  check(mlirLogicalResultIsFailure(teModuleWritePlan(module, keep, &memory)),
        "not lowered");
  check(memory.calls == 0, "no bytes of what fails");
  check(mlirLogicalResultIsFailure(
            teContextSetRemarkHandler(context, str("te-("), printRemark, NULL)),
        "no regular expression");
  check(mlirLogicalResultIsSuccess(teRunPipeline(module, str("te-compile"))),
        "compiles");
  check(mlirLogicalResultIsFailure(
            teModuleWritePlanFile(module, str("/nowhere/plan"))),
        "no such folder");
  mlirModuleDestroy(module);
  check(mlirModuleIsNull(mlirModuleCreateParse(
            context, str("func.func @f(%x: tensor<16x256xbf16>) {\n"
                         "  te.quantize %x : tensor<16x256xbf16>\n"
                         "  return\n}\n"))),
        "it does not verify");
  return 0;
}

int main(int argc, char **argv) {
  MlirContext context = createContext();
  int status = 2;
  if (argc == 2 && !strcmp(argv[1], "build"))
    status = build(context);
  else if (argc >= 4 && !strcmp(argv[1], "optimize"))
    status = optimize(context, argv[2], argv[3], argc > 4 ? argv[4] : NULL);
  else if (argc == 2 && !strcmp(argv[1], "errors"))
    status = showErrors(context);
  mlirContextDestroy(context);
  return status;
}
