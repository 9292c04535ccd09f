/*===- runtime_dlpack.c - tensors of other libraries --------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "dlpack.h" /* before plan.h, as where a framework's is included */

#include "runtime.h"

#include <stdio.h>
#include <string.h>

/* code and bits of each te_rt_dtype */
static const DLDataType kTypes[] = {
    {2, 32, 1}, {4, 16, 1}, {2, 16, 1}, {10, 8, 1}, {12, 8, 1},
    {14, 8, 1}, {0, 32, 1}, {0, 64, 1}, {1, 8, 1},  {17, 4, 1}};

static int deleted;
static void delete (DLManagedTensor *self) {
  ++deleted;
  self->manager_ctx = NULL;
}
static void deleteVersioned(DLManagedTensorVersioned *self) {
  ++deleted;
  self->manager_ctx = NULL;
}

/* The argument's tensor at `data`; the rows of strides lie in `strides`. */
static DLTensor makeTensor(const te_rt_argument_info *info, void *data,
                           int64_t *strides) {
  DLTensor tensor = {data, {1, 0}, info->tensor.rank, {0, 0, 0}, NULL, NULL, 0};
  int64_t stride = 1;
  tensor.dtype = kTypes[info->tensor.dtype];
  tensor.shape = (int64_t *)(uintptr_t)info->tensor.shape;
  for (int32_t i = info->tensor.rank - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= info->tensor.shape[i];
  }
  tensor.strides = strides;
  return tensor;
}

void testDlpack(const te_rt_plan *plan) {
  static DLManagedTensor plain[kMaxArguments];
  static DLManagedTensorVersioned versioned[kMaxArguments];
  static int64_t strides[kMaxArguments][TE_RT_MAX_RANK];
  static int64_t pairs[kMaxArguments][TE_RT_MAX_RANK];
  int fp4 = 0;
  Arguments wanted, found;
  createArguments(plan, 1, &wanted);
  createArguments(plan, 1, &found);
  te_rt_context *context = createContext(1);
  te_rt_session *session;
  checkOk(context, te_rt_session_create(context, plan, 0, &session), "session");
  bindArguments(context, session, &wanted);
  checkOk(context, te_rt_session_run(session), "run on pointers");
  te_rt_session_destroy(session);

  checkOk(context, te_rt_session_create(context, plan, 0, &session), "session");
  for (int32_t i = 0; i < found.count; ++i) {
    /* An offset in bytes counts; so does, for both, every other argument. */
    DLTensor tensor = makeTensor(&found.infos[i], found.data[i], strides[i]);
    tensor.data = (char *)tensor.data - 128;
    tensor.byte_offset = 128;
    fp4 += found.infos[i].tensor.dtype == TE_RT_F4E2M1;
    if (i % 2) {
      plain[i].dl_tensor = tensor;
      plain[i].dl_tensor.strides = NULL;
      if (found.infos[i].tensor.dtype == TE_RT_F4E2M1) { /* two in an element */
        memcpy(pairs[i], tensor.shape, sizeof pairs[i]);
        pairs[i][tensor.ndim - 1] /= 2;
        plain[i].dl_tensor.shape = pairs[i];
        plain[i].dl_tensor.dtype.lanes = 2;
      }
      plain[i].deleter = delete;
      checkOk(context, te_rt_session_bind_dlpack(session, i, &plain[i]),
              "DLManagedTensor");
    } else {
      versioned[i].version.major = 1;
      versioned[i].flags = found.infos[i].direction == TE_RT_IN; /* read only */
      versioned[i].dl_tensor = tensor;
      versioned[i].deleter = deleteVersioned;
      checkOk(context,
              te_rt_session_bind_dlpack_versioned(session, i, &versioned[i]),
              "DLManagedTensorVersioned");
    }
  }
  check(deleted == 0, "nothing is deleted while it is bound");
  checkOk(context, te_rt_session_prepare(session), "prepare");
  checkOk(context, te_rt_session_run(session), "run on tensors");
  check(haveSameResults(&found, &wanted), "in place, and the same bits");
  checkOk(context,
          te_rt_session_bind(session, 0, found.data[0], found.infos[0].bytes),
          "bind anew");
  check(deleted == 1, "what was bound before is deleted");
  te_rt_session_destroy(session);
  check(deleted == found.count, "the rest with the session, each once");
  te_rt_context_destroy(context);
  destroyArguments(&wanted);
  destroyArguments(&found);
  printf("%d tensors, %d of them FP4\n", deleted, fp4);
}

void testDlpackErrors(const te_rt_plan *plan) {
  Arguments arguments;
  createArguments(plan, 1, &arguments);
  te_rt_context *context = createContext(1);
  te_rt_session *session;
  checkOk(context, te_rt_session_create(context, plan, 0, &session), "session");
  int32_t tokens = te_rt_plan_find_argument(plan, 0, "tokens", TE_RT_IN);
  int32_t out = te_rt_plan_find_argument(plan, 0, "out", TE_RT_OUT);
  check(tokens >= 0 && out >= 0, "a layer");

  int64_t strides[TE_RT_MAX_RANK], shape[TE_RT_MAX_RANK];
  const te_rt_argument_info *info = &arguments.infos[tokens];
  const DLTensor right = makeTensor(info, arguments.data[tokens], strides);
  DLManagedTensorVersioned managed = {{1, 1}, NULL, deleteVersioned, 0, right};
#define REFUSE(argument, change)                                               \
  do {                                                                         \
    managed.dl_tensor = right;                                                 \
    managed.version.major = 1;                                                 \
    managed.flags = 0;                                                         \
    memcpy(shape, info->tensor.shape, sizeof shape);                           \
    change;                                                                    \
    check(te_rt_session_bind_dlpack_versioned(session, argument, &managed) ==  \
              TE_RT_INVALID_ARGUMENT,                                          \
          #change);                                                            \
    printf("%s\n", te_rt_last_error(context));                                 \
  } while (0)
  REFUSE(tokens, managed.dl_tensor.dtype = kTypes[TE_RT_F16]);
  REFUSE(tokens, managed.dl_tensor.dtype.lanes = 2);
  REFUSE(tokens, (shape[1] = 7, managed.dl_tensor.shape = shape));
  REFUSE(tokens, managed.dl_tensor.ndim = 1);
  REFUSE(tokens, managed.dl_tensor.ndim = -1);
  strides[1] = 1, strides[2] = info->tensor.shape[1];
  REFUSE(tokens, (void)0);
  makeTensor(info, NULL, strides);
  REFUSE(tokens, managed.dl_tensor.device.device_type = 2);
  REFUSE(tokens, managed.dl_tensor.device.device_type = 10);
  REFUSE(tokens, managed.dl_tensor.byte_offset = 2);
  REFUSE(tokens, managed.dl_tensor.data = NULL);
  REFUSE(tokens, managed.version.major = 2);
  REFUSE(out, managed.flags = 1);
  REFUSE(99, (void)0);
#undef REFUSE
  check(te_rt_session_bind_dlpack(session, tokens, NULL) ==
            TE_RT_INVALID_ARGUMENT,
        "no tensor");
  printf("%s\n", te_rt_last_error(context));
  check(te_rt_session_bind_dlpack_versioned(session, tokens, NULL) ==
            TE_RT_INVALID_ARGUMENT,
        "no tensor");
  check(deleted == 0, "who refuses a tensor does not delete it");

  /* What was refused is not bound: and pinned memory is host memory. */
  check(te_rt_session_run(session) == TE_RT_INVALID_ARGUMENT, "not bound");
  printf("%s\n", te_rt_last_error(context));
  managed.dl_tensor = right;
  managed.dl_tensor.device.device_type = 3;
  managed.version.major = 1;
  checkOk(context,
          te_rt_session_bind_dlpack_versioned(session, tokens, &managed),
          "pinned");
  te_rt_session_destroy(session);
  check(deleted == 1, "deleted with the session");
  te_rt_context_destroy(context);
  destroyArguments(&arguments);
}
