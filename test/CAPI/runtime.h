/*===- runtime.h - what the C tests of the runtime share ----------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TE_TEST_CAPI_RUNTIME_H
#define TE_TEST_CAPI_RUNTIME_H

#include "te_runtime/device.h"
#include "te_runtime/plan.h"

#include <stdint.h>

enum { kMaxArguments = 256 };

/* Ends the process, and says what did not hold. */
void check(int holds, const char *what);
/* The same with the context's message. */
void checkOk(te_rt_context *context, te_rt_status status, const char *what);

te_rt_plan *loadPlan(const char *path);
te_rt_context *createContext(int32_t threads);

/* Memory for the arguments of a program, a function of `seed` where they are
 * read, zero elsewhere. */
typedef struct Arguments {
  int32_t count;
  te_rt_argument_info infos[kMaxArguments];
  void *data[kMaxArguments];
} Arguments;
void createArguments(const te_rt_plan *plan, uint32_t seed,
                     Arguments *arguments);
void destroyArguments(Arguments *arguments);
/* Binds all of it, as it is. */
void bindArguments(te_rt_context *context, te_rt_session *session,
                   const Arguments *arguments);
/* Whether all that is written has the same bytes. */
int haveSameResults(const Arguments *one, const Arguments *other);

/* Tests, each of main's first argument. */
void testInfo(const te_rt_plan *plan);
void testErrors(const te_rt_plan *plan, const char *path);
void testDlpack(const te_rt_plan *plan);
void testDlpackErrors(const te_rt_plan *plan);
void testDevice(const te_rt_plan *plan);
void testThreads(const te_rt_plan *const plans[2]);

#endif /* TE_TEST_CAPI_RUNTIME_H */
