/* layer.c - from options to results, in C: builds an expert layer, optimizes
 * it, makes a plan in memory and runs that.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <te-c/Builders.h>
#include <te-c/Cost.h>
#include <te-c/Dialects.h>
#include <te-c/Passes.h>
#include <te-c/Plan.h>
#include <te_runtime/plan.h>

static void require(int holds, const char *what) {
  if (holds)
    return;
  fprintf(stderr, "layer: error: %s\n", what);
  exit(1);
}

static void countRemark(const TeRemark *remark, void *counts) {
  ++((int *)counts)[remark->kind == TeRemarkPassed];
}

/* The plan is loaded, and so copied, where its bytes are given. */
static void loadPlan(MlirStringRef bytes, void *plan) {
  char message[1024] = "";
  te_rt_plan_load(bytes.data, (int64_t)bytes.length, (te_rt_plan **)plan,
                  message, sizeof message);
  require(*(te_rt_plan **)plan != NULL, message);
}

static te_rt_plan *compile(void) {
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  teRegisterAllDialects(registry);
  MlirContext context = mlirContextCreateWithRegistry(registry, false);
  teRegisterAllPasses();

  TeLayerOptions options;
  teLayerOptionsInit(mlirStringRefCreateFromCString("tiny"), &options);
  options.tokens = 64;
  options.localExperts = 4;
  options.recipe = mlirStringRefCreateFromCString("block");
  MlirModule layer = teLayerBuild(context, &options);
  require(!mlirModuleIsNull(layer), "the layer is not built");

  int counts[2] = {0, 0};
  teContextSetRemarkHandler(context, mlirStringRefCreateFromCString("te-.*"),
                            countRemark, counts);
  TeCostReport before, after;
  te_rt_plan *plan = NULL;
  require(
      mlirLogicalResultIsSuccess(teModuleGetCost(layer, &before)) &&
          mlirLogicalResultIsSuccess(teRunPipeline(
              layer, mlirStringRefCreateFromCString("te-compile"))) &&
          mlirLogicalResultIsSuccess(teModuleGetCost(layer, &after)) &&
          mlirLogicalResultIsSuccess(teModuleWritePlan(layer, loadPlan, &plan)),
      "the layer is not compiled");
  printf("%d launches, then %d; %d rewrites, %d missed\n",
         (int)before.total.launches, (int)after.total.launches, counts[1],
         counts[0]);
  mlirModuleDestroy(layer);
  mlirContextDestroy(context);
  mlirDialectRegistryDestroy(registry);
  return plan;
}

int main(void) {
  te_rt_plan *plan = compile();
  te_rt_context *context = NULL;
  te_rt_session *session = NULL;
  te_rt_program_info program;
  char message[1024] = "";
  require(!te_rt_context_create(TE_RT_REF, 1, NULL, 0, &context, message,
                                sizeof message),
          message);
  require(!te_rt_session_create(context, plan, 0, &session) &&
              !te_rt_plan_program(plan, 0, &program),
          te_rt_last_error(context));

  void *memory[16];
  require(program.num_arguments <= 16, "the plan has many arguments");
  for (int i = 0; i < program.num_arguments; ++i) {
    te_rt_argument_info info;
    te_rt_plan_argument(plan, 0, i, &info);
    size_t bytes = ((size_t)info.bytes + 63) / 64 * 64;
    memory[i] = aligned_alloc(64, bytes);
    memset(memory[i], 0x3C, bytes); /* about 0.0115 in BF16 and in F32 */
    if (info.init == TE_RT_INIT_ROUTING)
      for (int64_t j = 0; j < info.bytes / 4; ++j)
        ((int32_t *)memory[i])[j] = (int32_t)(j % info.num_experts);
    require(!te_rt_session_bind(session, i, memory[i], info.bytes),
            te_rt_last_error(context));
  }
  require(!te_rt_session_run(session), te_rt_last_error(context));

  int out = te_rt_plan_find_argument(plan, 0, "out", TE_RT_OUT);
  require(out >= 0, "the plan has no result 'out'");
  unsigned bits = (unsigned)*(uint16_t *)memory[out] << 16;
  float first;
  memcpy(&first, &bits, sizeof first);
  printf("out[0] = %g\n", first);

  te_rt_session_destroy(session);
  te_rt_context_destroy(context);
  te_rt_plan_destroy(plan);
  for (int i = 0; i < program.num_arguments; ++i)
    free(memory[i]);
  return 0;
}
