/*===- runtime_device.c - tensors on a GPU, on the caller's stream -*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "dlpack.h" /* before plan.h, as where a framework's is included */

#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int deleted;
static void delete (DLManagedTensor *self) {
  ++deleted;
  self->manager_ctx = NULL;
}

/* Of a plan whose arguments are F32 and whose results are what ref gives, bit for
 * bit: one that moves elements. */
void testDevice(const te_rt_plan *plan) {
  static DLManagedTensor managed[kMaxArguments];
  static Arguments host, wanted;
  char message[1024];
  te_rt_context *context, *ref = createContext(1);
  te_rt_session *session;
  createArguments(plan, 1, &host);
  createArguments(plan, 1, &wanted);
  checkOk(ref, te_rt_session_create(ref, plan, 0, &session), "session");
  bindArguments(ref, session, &wanted);
  checkOk(ref, te_rt_session_run(session), "run on ref");
  te_rt_session_destroy(session);
  te_rt_context_destroy(ref);

  if (te_rt_context_create_on_gpu(0, &context, message, sizeof message)) {
    fprintf(stderr, "%s\n", message);
    exit(1);
  }
  check(te_rt_has_device_memory(context), "memory of its own");
  check(te_rt_stream(context) != NULL, "a stream of its own");
  void *const stream = (void *)1; /* CUDA's default stream */
  checkOk(context, te_rt_use_stream(context, stream), "stream");
  check(te_rt_stream(context) == stream, "the caller's stream");
  checkOk(context, te_rt_session_create(context, plan, 0, &session), "session");
  for (int32_t i = 0; i < host.count; ++i) {
    te_rt_argument_info *info = &host.infos[i];
    void *data;
    checkOk(context, te_rt_allocate(context, info->bytes, &data), "memory");
    checkOk(context,
            te_rt_copy_memory(context, data, host.data[i], info->bytes), "in");
    managed[i].deleter = delete;
    managed[i].dl_tensor.data = data;
    managed[i].dl_tensor.ndim = info->tensor.rank;
    managed[i].dl_tensor.dtype = (DLDataType){2, 32, 1};
    managed[i].dl_tensor.shape = info->tensor.shape;
    for (int32_t wrong = 0; i == 0 && wrong < 2; ++wrong) {
      managed[i].dl_tensor.device = (DLDevice){wrong ? 2 : 1, wrong ? 7 : 0};
      check(te_rt_session_bind_dlpack(session, i, &managed[i]) ==
                TE_RT_INVALID_ARGUMENT,
            "memory elsewhere");
      printf("%s\n", te_rt_last_error(context));
    }
    managed[i].dl_tensor.device = (DLDevice){2, 0};
    checkOk(context, te_rt_session_bind_dlpack(session, i, &managed[i]),
            "DLManagedTensor");
  }
  checkOk(context, te_rt_session_prepare(session), "prepare");
  for (int graph = 0; graph < 2; ++graph) { /* enqueued, then captured */
    te_rt_session_use_graph(session, graph);
    for (int32_t i = 0; i < host.count; ++i)
      if (host.infos[i].direction != TE_RT_IN)
        checkOk(context,
                te_rt_fill_memory(context, managed[i].dl_tensor.data, 0xFF,
                                  host.infos[i].bytes),
                "poison");
    checkOk(context, te_rt_session_run(session), "run");
    checkOk(context, te_rt_synchronize(context), "wait");
    for (int32_t i = 0; i < host.count; ++i)
      checkOk(context,
              te_rt_copy_memory(context, host.data[i],
                                managed[i].dl_tensor.data, host.infos[i].bytes),
              "out");
    for (int32_t i = 0; i < host.count; ++i)
      check(!memcmp(host.data[i], wanted.data[i],
                    (size_t)host.infos[i].bytes),
            "in place, and the bits of ref");
  }
  check(deleted == 0, "nothing is deleted while it is bound");
  te_rt_session_destroy(session);
  check(deleted == host.count, "all with the session, each once");
  for (int32_t i = 0; i < host.count; ++i)
    te_rt_release(context, managed[i].dl_tensor.data);
  te_rt_context_destroy(context);
  destroyArguments(&host);
  destroyArguments(&wanted);
  printf("%d tensors of a GPU, enqueued and captured\n", deleted);
}
