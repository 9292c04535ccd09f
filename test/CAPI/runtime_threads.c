/*===- runtime_threads.c - several plans on several threads -------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "runtime.h"

#include <pthread.h>
#include <stdio.h>

enum { kThreads = 6, kRounds = 3, kSteps = 2 };

/* What all threads share, and none of them changes. */
struct Shared {
  const te_rt_plan *const *plans;
  const Arguments *wanted; /* of each plan, after kSteps */
};

static void runSteps(const te_rt_plan *plan, int32_t threads,
                     Arguments *arguments) {
  te_rt_context *context = createContext(threads);
  te_rt_session *session;
  checkOk(context, te_rt_session_create(context, plan, 0, &session), "session");
  bindArguments(context, session, arguments);
  for (int step = 0; step < kSteps; ++step)
    checkOk(context, te_rt_session_run(session), "step");
  te_rt_session_destroy(session);
  te_rt_context_destroy(context);
}

/* Queries, sessions, steps and destruction, while others do the same. */
static void *work(void *argument) {
  const struct Shared *shared = argument;
  for (int round = 0; round < kRounds; ++round)
    for (int p = 0; p < 2; ++p) {
      Arguments found;
      createArguments(shared->plans[p], 1, &found);
      runSteps(shared->plans[p], 1 + round % 2, &found);
      check(haveSameResults(&found, &shared->wanted[p]), "the same bits");
      destroyArguments(&found);
    }
  return NULL;
}

void testThreads(const te_rt_plan *const plans[2]) {
  Arguments wanted[2];
  for (int p = 0; p < 2; ++p) {
    createArguments(plans[p], 1, &wanted[p]);
    runSteps(plans[p], 1, &wanted[p]);
  }
  struct Shared shared = {plans, wanted};
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i)
    check(!pthread_create(&threads[i], NULL, work, &shared), "a thread");
  for (int i = 0; i < kThreads; ++i)
    check(!pthread_join(threads[i], NULL), "its end");
  for (int p = 0; p < 2; ++p)
    destroyArguments(&wanted[p]);
  printf("%d runs on %d threads: the same bits\n", kThreads * kRounds * 2,
         kThreads);
}
