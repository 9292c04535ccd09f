/* plan.h - loading, verifying and running plans.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef TE_RUNTIME_PLAN_H
#define TE_RUNTIME_PLAN_H

#include "te_runtime/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Threads. A plan does not change once it is loaded: any number of threads may
 * query it and make sessions of it at once, and many plans may be loaded at once.
 * A context, with its sessions, belongs to one thread at a time; contexts share
 * nothing, so that sessions on different contexts, of one plan or of several, run
 * at once. Each has its own arena and workspaces.
 *
 * Strings and lists that a query gives live as long as the plan. A function of a
 * plan alone returns TE_RT_INVALID_ARGUMENT where an index is out of range or a
 * pointer NULL; all others leave a message as well (te_rt_last_error). */

/* The version of plans that today's compiler writes. This library loads each
 * version from 1 to this one (docs/Compatibility.md). */
enum { TE_RT_PLAN_VERSION = 2 };

/* A verified plan. */
typedef struct te_rt_plan te_rt_plan;

/* Copies `size` bytes and verifies all of them: the FlatBuffer's structure, the
 * version, every index, type, extent and bound, that each call names a function
 * of this library and fits its slots and attributes, and that no two arguments
 * of a call of which one is written overlap in a way that the function does not
 * allow. TE_RT_INVALID_PLAN and a message (as in te_rt_context_create) if not:
 * bytes from anywhere give an error, never a crash. */
te_rt_status te_rt_plan_load(const void *bytes, int64_t size, te_rt_plan **plan,
                             char *message, int64_t capacity);
/* The same, of a file; TE_RT_IO_ERROR if it cannot be read. */
te_rt_status te_rt_plan_load_file(const char *path, te_rt_plan **plan,
                                  char *message, int64_t capacity);
/* NULL is allowed. Sessions of the plan end first. */
void te_rt_plan_destroy(te_rt_plan *plan);

/* The version that the plan was written as. */
int32_t te_rt_plan_version(const te_rt_plan *plan);
const char *te_rt_plan_target(const te_rt_plan *plan);
int32_t te_rt_plan_num_programs(const te_rt_plan *plan);

typedef struct te_rt_program_info {
  const char *name;
  int32_t num_arguments;
  int32_t ranks; /* ranks that its communication wants; 1 for none */
  int64_t arena_bytes;
  int64_t workspace_bytes; /* of the whole plan */
  int64_t constant_bytes;  /* of the whole plan */
  int64_t num_steps;       /* calls of one run, loops multiplied out; an
                              iteration without a call counts as one */
  uint32_t dtypes;         /* bit 1 << D for each te_rt_dtype D of its tensors */
} te_rt_program_info;
te_rt_status te_rt_plan_program(const te_rt_plan *plan, int32_t program,
                                te_rt_program_info *info);

typedef enum te_rt_direction {
  TE_RT_IN = 0,
  TE_RT_OUT = 1,
  TE_RT_INOUT = 2
} te_rt_direction;

/* How random data for an argument is made where the caller has none. */
typedef enum te_rt_init {
  TE_RT_INIT_NORMAL = 0,  /* normal, of deviation `deviation` */
  TE_RT_INIT_ROUTING = 1, /* distinct experts in [0, num_experts), -1 beyond */
  TE_RT_INIT_PROBS = 2,   /* positive, summing to one along the last dimension */
  TE_RT_INIT_ZERO = 3,
  TE_RT_INIT_ONE = 4,
  TE_RT_INIT_RNG = 5 /* seeds, each with an offset of 0 */
} te_rt_init;

typedef struct te_rt_argument_info {
  const char *name;
  te_rt_direction direction;
  te_rt_tensor tensor;   /* data is NULL */
  int64_t bytes;
  int32_t num_members;   /* of a packed argument; 0 if it is not packed */
  const char *const *members; /* their names, in order of the first dimension */
  te_rt_init init;
  float deviation;
  int64_t num_experts;
  const char *next; /* of a state: the OUT argument with its next value, or "" */
  const char *group; /* of a member of a group that is not packed, or "" */
  int64_t group_index; /* the member's position in it */
} te_rt_argument_info;
te_rt_status te_rt_plan_argument(const te_rt_plan *plan, int32_t program,
                                 int32_t argument, te_rt_argument_info *info);
/* The argument called `name` that is read (TE_RT_IN) or written (TE_RT_OUT): a state
 * has the name of its next value. One that is both is either; of TE_RT_INOUT, the
 * first that has the name. -1 if there is none. */
int32_t te_rt_plan_find_argument(const te_rt_plan *plan, int32_t program,
                                 const char *name, te_rt_direction direction);

/* What the plan's programs keep from one run to the next. Member i of n of a packed
 * workspace begins at i/n of its bytes. */
typedef struct te_rt_workspace_info {
  const char *name;
  int64_t bytes;
  int32_t num_members; /* 0 if it is not packed */
  const char *const *members;
} te_rt_workspace_info;
int32_t te_rt_plan_num_workspaces(const te_rt_plan *plan);
te_rt_status te_rt_plan_workspace(const te_rt_plan *plan, int32_t workspace,
                                  te_rt_workspace_info *info);

/* One program of a plan on one context: its arena, and the plan's workspaces. The
 * plan and the context must outlive it. */
typedef struct te_rt_session te_rt_session;
te_rt_status te_rt_session_create(te_rt_context *context, const te_rt_plan *plan,
                                  int32_t program, te_rt_session **session);
void te_rt_session_destroy(te_rt_session *session);

/* The session reads or writes argument `argument` at `data` from now on: `bytes`
 * (as in the argument's info) of memory of the context's backend (of the host for
 * one that is on_host), 64-byte aligned. The caller keeps it alive. Arguments of which
 * one is written must lie apart; a run tells where they do not. */
te_rt_status te_rt_session_bind(te_rt_session *session, int32_t argument,
                                void *data, int64_t bytes);

/* The same for a tensor of DLPack (1.0 or later; DLManagedTensor also of earlier
 * ones), in place. Its element type, shape and device must be the argument's, its
 * elements compact in row-major order, at a multiple of 64 bytes; one that is marked
 * read only is bound to no argument that is written. F4E2M1 is packed, two to a byte:
 * of one lane with the shape in elements, or of two lanes.
 *
 * On TE_RT_OK the session owns the tensor, and calls its deleter once the argument is
 * bound anew or the session destroyed, when the context's work is done. Otherwise the
 * caller keeps it. The types are those of dlpack.h; this header needs their names
 * alone. */
struct DLManagedTensor;
struct DLManagedTensorVersioned;
te_rt_status te_rt_session_bind_dlpack(te_rt_session *session, int32_t argument,
                                       struct DLManagedTensor *tensor);
te_rt_status
te_rt_session_bind_dlpack_versioned(te_rt_session *session, int32_t argument,
                                    struct DLManagedTensorVersioned *tensor);

/* Where workspace `workspace` of the plan lies, in memory of the context's backend:
 * for an optimizer or a checkpoint that reads or writes it between runs. It stays
 * there as long as the session lives. */
te_rt_status te_rt_session_workspace(te_rt_session *session, int32_t workspace,
                                     void **data);

/* What ran: told to the observer after each call, by a device backend at the end
 * of the run, with the device's times. */
typedef struct te_rt_call_info {
  const char *function;   /* without the te_rt_ */
  const char *cost_class;
  const char *location;
  int64_t step;           /* position of the call in the plan, loops counted once */
  uint64_t launches, bytes, flops, host_syncs; /* as the compiler foresaw */
  int64_t begin_ns, end_ns;                    /* since the run began */
  double limit_ns; /* the least that the rates of the plan's target allow; 0 where
                      the plan does not say, as in version 1 */
  te_rt_dtype dtype; /* of the call's first tensor: of a product, its lhs */
  double predicted_ns; /* what the compiler expects of the kernels of the plan's
                          target; 0 where the plan does not say, and of a product
                          that goes another way than was chosen (device.h) */
  const char *variant; /* how a cuda context made a product, else "": WAY:DETAIL, as
                          own:KERNEL, groups, library:GROUPS,streams:N, emulated, plain;
                          groups that the library did not take follow, as ,own:GROUPS, and
                          a machine without the grouped matmul that was chosen, as ,no
                          groups. It lives as long as the observer's call */
} te_rt_call_info;
typedef void (*te_rt_observer)(void *user, const te_rt_call_info *call);
void te_rt_session_observe(te_rt_session *session, te_rt_observer observer,
                           void *user);

/* Fills the arena with `byte` before each run (0xFF reads as NaN), so that a read
 * of something not written shows; -1 leaves it as it is, the default. */
void te_rt_session_poison(te_rt_session *session, int32_t byte);

/* Checks each call of the program and allocates what it needs, and does nothing else:
 * runs on the present bindings then allocate nothing (on cuda: no memory of the device)
 * and may be captured in a graph of the caller's stream. Every argument must be bound. A run that finds bindings which have changed
 * does this first. */
te_rt_status te_rt_session_prepare(te_rt_session *session);

/* Runs the program once. Every argument must be bound. A failing call ends the
 * run; te_rt_last_error(context) then begins with the op's source location. On a
 * device backend the run is enqueued, unless there is an observer:
 * te_rt_synchronize (device.h) waits for it. */
te_rt_status te_rt_session_run(te_rt_session *session);

/* With 1 or 2 the next run captures the program's work in one graph of the device, and
 * runs launch that, until an argument is bound anew. With 1 calls of the graph wait for
 * those alone whose memory they use, so that independent ones may run at a time; with 2,
 * and of a program of several ranks, each waits for the one before. Needs a cuda context and a
 * program without host synchronizations. A run of a graph tells the observer
 * nothing. 0 is the default. */
void te_rt_session_use_graph(te_rt_session *session, int32_t enable);

/* The functions of this library that a plan may call: name i, or NULL at the end. */
const char *te_rt_function_name(int32_t index);

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_PLAN_H */
