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

long count_allocations(void); /* allocations.c */

static void require(int holds, const char *what, const char *why) {
  if (holds)
    return;
  fprintf(stderr, "deploy: error: %s: %s\n", what, why);
  exit(1);
}

/* Moves the argument between memory and DIRECTORY/NAME. */
static void transfer(const char *directory, const te_rt_argument_info *info,
                     void *data, const char *mode) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, info->name);
  FILE *file = fopen(path, mode);
  size_t bytes = (size_t)info->bytes;
  require(file && (*mode == 'w' ? fwrite(data, 1, bytes, file)
                                : fread(data, 1, bytes, file)) == bytes,
          path, "cannot move all bytes of the argument");
  fclose(file);
}

int main(int argc, char **argv) {
  char message[1024] = "wanted PLAN INPUTS OUTPUTS";
  require(argc == 4, "arguments", message);
  te_rt_plan *plan = NULL;
  te_rt_context *context = NULL;
  te_rt_session *session = NULL;
  te_rt_program_info program;
  require(!te_rt_plan_load_file(argv[1], &plan, message, sizeof message) &&
              !te_rt_context_create(TE_RT_REF, 2, NULL, 0, &context, message,
                                    sizeof message),
          argv[1], message);
  require(!te_rt_session_create(context, plan, 0, &session) &&
              !te_rt_plan_program(plan, 0, &program),
          "session", te_rt_last_error(context));

  te_rt_argument_info infos[16];
  void *memory[16];
  require(program.num_arguments <= 16, program.name, "has many arguments");
  for (int i = 0; i < program.num_arguments; ++i) {
    te_rt_plan_argument(plan, 0, i, &infos[i]);
    memory[i] = aligned_alloc(64, ((size_t)infos[i].bytes + 63) / 64 * 64);
    if (infos[i].direction != TE_RT_OUT)
      transfer(argv[2], &infos[i], memory[i], "rb");
    require(!te_rt_session_bind(session, i, memory[i], infos[i].bytes),
            infos[i].name, te_rt_last_error(context));
  }
  require(!te_rt_session_prepare(session), "memory", te_rt_last_error(context));
  int w1 = te_rt_plan_find_argument(plan, 0, "w1", TE_RT_IN);
  int w2 = te_rt_plan_find_argument(plan, 0, "w2", TE_RT_IN);
  int skip = te_rt_plan_find_argument(plan, 0, "skip_weight_update", TE_RT_IN);
  require(w1 >= 0 && w2 >= 0 && skip >= 0, argv[1], "has no cached weights");

  long before = count_allocations();
  for (int step = 0; step < 10; ++step) {
    require(!te_rt_session_run(session), "step", te_rt_last_error(context));
    for (int i = 0; i < infos[skip].tensor.shape[0]; ++i)
      ((float *)memory[skip])[i] = 1;                  /* of each micro-batch */
    memset(memory[w1], 0xFF, (size_t)infos[w1].bytes); /* NaN from now on */
    memset(memory[w2], 0xFF, (size_t)infos[w2].bytes);
  }
  printf("%ld allocations before the first step, %ld in ten steps\n", before,
         count_allocations() - before);

  for (int i = 0; i < program.num_arguments; ++i) {
    if (infos[i].direction != TE_RT_IN)
      transfer(argv[3], &infos[i], memory[i], "wb");
    free(memory[i]);
  }
  te_rt_session_destroy(session);
  te_rt_context_destroy(context);
  te_rt_plan_destroy(plan);
  return 0;
}
