/* deploy.c - ten steps of a plan, by the runtime alone.
 *
 * deploy PLAN INPUTS OUTPUTS: each input is read from INPUTS/NAME, each result
 * is written to OUTPUTS/NAME after the last step, as bare elements. The first
 * step casts the weights into the cache, the others are told not to, and find
 * no weights.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <te_runtime/plan.h>

static void fail(const char *what, const char *why) {
  fprintf(stderr, "deploy: error: %s: %s\n", what, why);
  exit(1);
}

/* Moves `bytes` between memory and DIRECTORY/NAME. */
static void transfer(const char *directory, const te_rt_argument_info *info,
                     void *data, int write) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, info->name);
  FILE *file = fopen(path, write ? "wb" : "rb");
  size_t bytes = (size_t)info->bytes;
  if (!file ||
      (write ? fwrite(data, 1, bytes, file) : fread(data, 1, bytes, file)) !=
          bytes ||
      fclose(file))
    fail(path,
         write ? "cannot write it" : "cannot read all bytes of the argument");
}

int main(int argc, char **argv) {
  static char bytes[1 << 20];
  char message[1024];
  if (argc != 4)
    fail("arguments", "wanted PLAN INPUTS OUTPUTS");
  FILE *file = fopen(argv[1], "rb");
  if (!file)
    fail(argv[1], "cannot open it");
  te_rt_plan *plan;
  if (te_rt_plan_load(bytes, (int64_t)fread(bytes, 1, sizeof bytes, file),
                      &plan, message, sizeof message))
    fail(argv[1], message);
  fclose(file);
  te_rt_context *context;
  if (te_rt_context_create(TE_RT_REF, 1, NULL, 0, &context, message,
                           sizeof message))
    fail("context", message);
  te_rt_session *session;
  te_rt_program_info program;
  if (te_rt_session_create(context, plan, 0, &session) ||
      te_rt_plan_program(plan, 0, &program))
    fail("session", te_rt_last_error(context));

  void **memory = calloc((size_t)program.num_arguments, sizeof *memory);
  te_rt_argument_info *infos =
      calloc((size_t)program.num_arguments, sizeof *infos);
  for (int i = 0; i < program.num_arguments; ++i) {
    te_rt_plan_argument(plan, 0, i, &infos[i]);
    if (infos[i].next[0])
      fail(infos[i].name, "found a state, wanted a plan without");
    memory[i] = aligned_alloc(64, ((size_t)infos[i].bytes + 63) / 64 * 64);
    if (infos[i].direction != TE_RT_OUT)
      transfer(argv[2], &infos[i], memory[i], 0);
    if (te_rt_session_bind(session, i, memory[i], infos[i].bytes))
      fail(infos[i].name, te_rt_last_error(context));
  }
  for (int step = 0; step < 10; ++step) {
    if (te_rt_session_run(session))
      fail("step", te_rt_last_error(context));
    for (int i = 0; i < program.num_arguments; ++i) {
      if (!strcmp(infos[i].name, "skip_weight_update"))
        for (int64_t j = 0; j < infos[i].tensor.shape[0]; ++j)
          ((float *)memory[i])[j] = 1;
      else if (infos[i].name[0] == 'w') /* w1, w2: from now on NaN */
        memset(memory[i], 0xFF, (size_t)infos[i].bytes);
    }
  }
  for (int i = 0; i < program.num_arguments; ++i) {
    if (infos[i].direction != TE_RT_IN)
      transfer(argv[3], &infos[i], memory[i], 1);
    free(memory[i]);
  }
  free(memory), free(infos);
  te_rt_session_destroy(session);
  te_rt_context_destroy(context);
  te_rt_plan_destroy(plan);
  return 0;
}
