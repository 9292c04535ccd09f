/*===- runtime.c - the C API of the runtime -----------------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*   info PLAN           what a plan says of itself                           *|
|*   errors PLAN         what is refused, and how it is said                  *|
|*   dlpack PLAN         tensors of DLPack in place of pointers               *|
|*   dlpack-errors PLAN  those that are not the argument                      *|
|*   device PLAN         tensors of a GPU, its streams and graphs             *|
|*   threads PLAN PLAN   several plans on several threads                     *|
|*   allocations PLAN... what steps allocate, once they are prepared          *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void check(int holds, const char *what) {
  if (holds)
    return;
  fprintf(stderr, "check failed: %s\n", what);
  exit(1);
}

void checkOk(te_rt_context *context, te_rt_status status, const char *what) {
  if (status == TE_RT_OK)
    return;
  fprintf(stderr, "%s: status %d: %s\n", what, (int)status,
          te_rt_last_error(context));
  exit(1);
}

te_rt_plan *loadPlan(const char *path) {
  char message[1024];
  te_rt_plan *plan = NULL;
  if (te_rt_plan_load_file(path, &plan, message, sizeof message)) {
    fprintf(stderr, "%s\n", message);
    exit(1);
  }
  return plan;
}

te_rt_context *createContext(int32_t threads) {
  char message[1024];
  te_rt_context *context = NULL;
  if (te_rt_context_create(TE_RT_REF, threads, NULL, 0, &context, message,
                           sizeof message)) {
    fprintf(stderr, "%s\n", message);
    exit(1);
  }
  return context;
}

/*===----------------------------------------------------------------------===*/

/* Numbers of an ordinary size in the element type; experts, probabilities. */
static void fill(const te_rt_argument_info *info, void *data, uint32_t seed) {
  int64_t size = 1, last = 1;
  for (int32_t i = 0; i < info->tensor.rank; ++i)
    size *= last = info->tensor.shape[i];
  for (int64_t i = 0; i < size; ++i) {
    seed = seed * 1664525u + 1013904223u;
    float value = ((float)(seed >> 8) / 8388608.0f - 1.0f) * info->deviation;
    uint32_t bits;
    if (info->init == TE_RT_INIT_PROBS)
      value = 1.0f / (float)last;
    else if (info->init == TE_RT_INIT_ONE)
      value = 1.0f;
    else if (info->init == TE_RT_INIT_ZERO)
      value = 0.0f;
    memcpy(&bits, &value, sizeof bits);
    if (info->init == TE_RT_INIT_ROUTING)
      ((int32_t *)data)[i] =
          (int32_t)((i / last + i % last) % info->num_experts);
    else if (info->init == TE_RT_INIT_RNG)
      ((int64_t *)data)[i] = i % 2 ? 0 : (int64_t)seed; /* seed, offset */
    else if (info->tensor.dtype == TE_RT_BF16)
      ((uint16_t *)data)[i] = (uint16_t)(bits >> 16);
    else if (info->tensor.dtype == TE_RT_F32)
      memcpy((char *)data + 4 * i, &bits, sizeof bits);
    else if (info->tensor.dtype == TE_RT_F4E2M1)
      ((uint8_t *)data)[i / 2] = (uint8_t)(seed >> 24);
    else /* of one byte: no NaN, and scales of about 1 */
      ((uint8_t *)data)[i] = (uint8_t)(0x70 + (seed >> 28));
  }
}

void createArguments(const te_rt_plan *plan, uint32_t seed,
                     Arguments *arguments) {
  te_rt_program_info program;
  check(!te_rt_plan_program(plan, 0, &program), "there is a program");
  check(program.num_arguments <= kMaxArguments, "few arguments");
  arguments->count = program.num_arguments;
  for (int32_t i = 0; i < arguments->count; ++i) {
    te_rt_argument_info *info = &arguments->infos[i];
    check(!te_rt_plan_argument(plan, 0, i, info), "there is an argument");
    size_t bytes = ((size_t)info->bytes + 63) / 64 * 64;
    arguments->data[i] = aligned_alloc(64, bytes ? bytes : 64);
    check(arguments->data[i] != NULL, "there is memory");
    memset(arguments->data[i], 0, bytes);
    if (info->direction != TE_RT_OUT)
      fill(info, arguments->data[i], seed + (uint32_t)i);
  }
}

void destroyArguments(Arguments *arguments) {
  for (int32_t i = 0; i < arguments->count; ++i)
    free(arguments->data[i]);
}

void bindArguments(te_rt_context *context, te_rt_session *session,
                   const Arguments *arguments) {
  for (int32_t i = 0; i < arguments->count; ++i)
    checkOk(context,
            te_rt_session_bind(session, i, arguments->data[i],
                               arguments->infos[i].bytes),
            "bind");
}

int haveSameResults(const Arguments *one, const Arguments *other) {
  int compared = 0;
  for (int32_t i = 0; i < one->count; ++i) {
    if (one->infos[i].direction == TE_RT_IN)
      continue;
    if (memcmp(one->data[i], other->data[i], (size_t)one->infos[i].bytes))
      return 0;
    ++compared;
  }
  return compared > 0;
}

/*===----------------------------------------------------------------------===*/

void testInfo(const te_rt_plan *plan) {
  static const char *const directions[] = {"in", "out", "inout"};
  te_rt_program_info program;
  check(!te_rt_plan_program(plan, 0, &program), "there is a program");
  printf("version %d for %s: %d programs, %d workspaces\n",
         (int)te_rt_plan_version(plan), te_rt_plan_target(plan),
         (int)te_rt_plan_num_programs(plan),
         (int)te_rt_plan_num_workspaces(plan));
  printf("%s: %lld bytes of arena, %lld of workspaces\n", program.name,
         (long long)program.arena_bytes, (long long)program.workspace_bytes);
  for (int32_t i = 0; i < program.num_arguments; ++i) {
    te_rt_argument_info info;
    check(!te_rt_plan_argument(plan, 0, i, &info), "there is an argument");
    printf("argument %s: %s, type %d, layout %d, [", info.name,
           directions[info.direction], (int)info.tensor.dtype,
           (int)info.tensor.layout);
    for (int32_t d = 0; d < info.tensor.rank; ++d)
      printf("%s%lld", d ? ", " : "", (long long)info.tensor.shape[d]);
    printf("], %lld bytes%s\n", (long long)info.bytes,
           info.tensor.on_host ? ", on the host" : "");
    check(te_rt_plan_find_argument(plan, 0, info.name, info.direction) == i,
          "an argument is found by its name");
  }
  check(te_rt_plan_find_argument(plan, 0, "nobody", TE_RT_IN) == -1 &&
            te_rt_plan_find_argument(plan, 7, "tokens", TE_RT_IN) == -1 &&
            te_rt_plan_find_argument(plan, 0, "tokens", TE_RT_OUT) == -1 &&
            te_rt_plan_find_argument(NULL, 0, "tokens", TE_RT_IN) == -1,
        "what is not there is not found");
}

void testErrors(const te_rt_plan *plan, const char *path) {
  char message[1024];
  te_rt_plan *other = NULL;
  printf("%d %s\n",
         te_rt_plan_load_file("/nowhere", &other, message, sizeof message),
         message);
  printf("%d %s\n", te_rt_plan_load_file(NULL, &other, message, sizeof message),
         message);
  printf("%d %s\n", te_rt_plan_load_file(path, NULL, message, sizeof message),
         message);
  check(other == NULL, "no plan");

  te_rt_context *context = NULL;
  printf("%d %s\n",
         te_rt_context_create_on_gpu(-1, &context, message, sizeof message),
         message);
  /* No machine has as many. */
  check(te_rt_context_create_on_gpu(4096, &context, message, sizeof message) !=
                TE_RT_OK &&
            context == NULL && message[0],
        "no such GPU");
  context = createContext(1);
  te_rt_session *session;
  printf("%d %s\n", te_rt_session_create(context, plan, 5, &session),
         te_rt_last_error(context));
  checkOk(context, te_rt_session_create(context, plan, 0, &session), "session");
  printf("%d %s\n", te_rt_session_prepare(session), te_rt_last_error(context));
  printf("%d %s\n", te_rt_use_stream(context, &message),
         te_rt_last_error(context));
  checkOk(context, te_rt_use_stream(context, NULL), "no stream");
  check(te_rt_stream(context) == NULL, "ref has none");
  te_rt_session_use_graph(session, 1);
  Arguments arguments;
  createArguments(plan, 1, &arguments);
  bindArguments(context, session, &arguments);
  printf("%d %s\n", te_rt_session_run(session), te_rt_last_error(context));
  te_rt_session_use_graph(session, 0);
  checkOk(context, te_rt_session_run(session), "run without a graph");
  check(te_rt_session_prepare(NULL) == TE_RT_INVALID_ARGUMENT &&
            te_rt_session_bind_dlpack(NULL, 0, NULL) == TE_RT_INVALID_ARGUMENT,
        "no session");
  te_rt_session_destroy(session);
  te_rt_context_destroy(context);
  destroyArguments(&arguments);
}

#ifdef TE_COUNT_ALLOCATIONS
long count_allocations(void);

static void testAllocations(const te_rt_plan *plan) {
  te_rt_context *context = createContext(3);
  te_rt_session *session;
  Arguments arguments;
  createArguments(plan, 1, &arguments);
  checkOk(context, te_rt_session_create(context, plan, 0, &session), "session");
  bindArguments(context, session, &arguments);
  checkOk(context, te_rt_session_prepare(session), "prepare");
  long before = count_allocations();
  for (int step = 0; step < 3; ++step)
    checkOk(context, te_rt_session_run(session), "step");
  printf("%ld allocations in three steps\n", count_allocations() - before);
  te_rt_session_destroy(session);
  te_rt_context_destroy(context);
  destroyArguments(&arguments);
}

#endif

int main(int argc, char **argv) {
  check(argc >= 3, "wanted TEST PLAN...");
  te_rt_plan *plan = loadPlan(argv[2]);
  if (!strcmp(argv[1], "info"))
    testInfo(plan);
  else if (!strcmp(argv[1], "errors"))
    testErrors(plan, argv[2]);
  else if (!strcmp(argv[1], "dlpack"))
    testDlpack(plan);
  else if (!strcmp(argv[1], "dlpack-errors"))
    testDlpackErrors(plan);
  else if (!strcmp(argv[1], "device"))
    testDevice(plan);
#ifdef TE_COUNT_ALLOCATIONS
  else if (!strcmp(argv[1], "allocations")) {
    testAllocations(plan);
    for (int i = 3; i < argc; ++i) {
      te_rt_plan *other = loadPlan(argv[i]);
      testAllocations(other);
      te_rt_plan_destroy(other);
    }
  }
#endif
  else if (!strcmp(argv[1], "threads")) {
    check(argc == 4, "wanted threads PLAN PLAN");
    te_rt_plan *other = loadPlan(argv[3]);
    const te_rt_plan *plans[] = {plan, other};
    testThreads(plans);
    te_rt_plan_destroy(other);
  } else {
    check(0, "wanted info, errors, dlpack, dlpack-errors, device, threads or "
             "allocations");
  }
  te_rt_plan_destroy(plan);
  return 0;
}
