/* types.h - status, tensors and contexts of the te-opt runtime.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef TE_RUNTIME_TYPES_H
#define TE_RUNTIME_TYPES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a function of this library says of its outcome. Everything but
 * TE_RT_OK comes with a message (te_rt_last_error) that tells the argument,
 * the value found and the value wanted. */
typedef enum te_rt_status {
  TE_RT_OK = 0,
  TE_RT_INVALID_ARGUMENT = 1, /* a line of the function's contract is broken */
  TE_RT_INVALID_PLAN = 2,     /* a plan that does not verify */
  TE_RT_UNSUPPORTED = 3,      /* right, but not offered by this backend */
  TE_RT_UNAVAILABLE = 4,      /* a library or a device is not there */
  TE_RT_OUT_OF_MEMORY = 5,
  TE_RT_DEVICE_ERROR = 6, /* CUDA, cuBLASLt or NCCL refused a call */
  TE_RT_IO_ERROR = 7,     /* a file could not be read or written */
  TE_RT_INTERNAL = 8
} te_rt_status;

/* Element types; the numbers are those of the plan's schema. */
typedef enum te_rt_dtype {
  TE_RT_F32 = 0,
  TE_RT_BF16 = 1,
  TE_RT_F16 = 2,
  TE_RT_F8E4M3 = 3, /* E4M3FN: largest 448, no infinity */
  TE_RT_F8E5M2 = 4, /* largest finite 57344 */
  TE_RT_F8E8M0 = 5, /* 2^(e-127), 255 is NaN */
  TE_RT_I32 = 6,
  TE_RT_I64 = 7,
  TE_RT_U8 = 8,
  TE_RT_F4E2M1 = 9 /* 0, .5, 1, 1.5, 2, 3, 4, 6 and their negatives */
} te_rt_dtype;

/* Where the scale of a block lies in its matrix (`#te.scales`). For data of
 * M x K in blocks of r x c:
 *
 *   TENSOR      one scale for the whole tensor: rank 0, or [E] for a group
 *   COMPACT     [M/r, K/c] (rounded up), no padding
 *               8-bit scales: padded, 1 x n to multiples of 128 x 4, n x 1 of 4 x 128
 *   GEMM_READY  r = 1: [K/c, M padded to a multiple of 4]
 *               r > 1: [M/r, (K/c) padded to a multiple of 4]
 *   SWIZZLED    128 x 4 tiles of a cuBLASLt MXFP8 or NVFP4 operand: 1 x n as
 *               COMPACT, n x 1 [K padded to 128, (M/n) padded to 4]
 *
 * 8-bit scales, which are the only ones to be SWIZZLED, are F8E8M0 of blocks of 32
 * (MXFP8) or F8E4M3 of blocks of 16 (NVFP4, 1 x 16 alone); their padding is zero.
 * Other blocks have F32 scales, whose padding is not initialized and not read. */
typedef enum te_rt_scale_layout {
  TE_RT_NOT_SCALES = 0,
  TE_RT_TENSOR = 1,
  TE_RT_COMPACT = 2,
  TE_RT_GEMM_READY = 3,
  TE_RT_SWIZZLED = 4
} te_rt_scale_layout;

enum { TE_RT_MAX_RANK = 4 };

/* A dense row-major tensor. The memory belongs to whoever made it; a function
 * keeps no pointer beyond its return (CUDA: beyond its work on the stream).
 *
 * Shapes count elements. Of F4E2M1 the last extent is even, and a byte holds two
 * elements, the even one in the low nibble.
 *
 * `groups` is 0 but for scales of a ragged matrix whose blocks run along the
 * ragged dimension (columnwise data, values_t of K x C): the grid of blocks
 * starts anew at each group. With offsets o, block b of group g is number
 * floor(o[g]/B) + g + b along that dimension, B being the block's extent, of which
 * there are therefore floor(C/B) + groups. SWIZZLED scales have no such slack: all
 * offsets are multiples of 128, and group g's tiles begin at element
 * (the other extent, padded to 128) * o[g]/B. */
typedef struct te_rt_tensor {
  void *data; /* may be NULL where an extent is 0 */
  te_rt_dtype dtype;
  int32_t rank;
  int64_t shape[TE_RT_MAX_RANK];
  te_rt_scale_layout layout; /* TE_RT_NOT_SCALES for data */
  int32_t block_rows;        /* 0 for data and for TE_RT_TENSOR */
  int32_t block_cols;
  int32_t groups;
  int32_t on_host; /* 1: host memory, also where the backend is a device */
} te_rt_tensor;

/* Any number of tensors. */
typedef struct te_rt_tensor_list {
  const te_rt_tensor *items;
  int64_t count;
} te_rt_tensor_list;

/* A context runs functions of one backend for one rank. It is not shared by
 * threads. Its error message lives until the next call on it. */
typedef struct te_rt_context te_rt_context;

/* Ranks that meet in dispatch_map, dispatch and combine. */
typedef struct te_rt_communicator te_rt_communicator;

typedef enum te_rt_backend { TE_RT_REF = 0, TE_RT_CUDA = 1 } te_rt_backend;

/* Makes a context. `threads` counts the host threads that the ref backend may
 * use, 0 for as many as there are cores. `communicator` may be NULL: then the
 * world is this rank alone. The cuda backend runs on a stream of its own on GPU
 * `rank` modulo their number; its functions return when their work is enqueued
 * (te_rt_synchronize of device.h waits). On failure *context is NULL, and `message` (if not
 * NULL, `capacity` bytes) receives the reason. */
te_rt_status te_rt_context_create(te_rt_backend backend, int32_t threads,
                                  te_rt_communicator *communicator,
                                  int32_t rank, te_rt_context **context,
                                  char *message, int64_t capacity);
/* Makes a cuda context on GPU `gpu`, in CUDA's order, whose world is itself alone: for a
 * process that has several GPUs at work. */
te_rt_status te_rt_context_create_on_gpu(int32_t gpu, te_rt_context **context,
                                         char *message, int64_t capacity);
void te_rt_context_destroy(te_rt_context *context);

/* The message of the last call on `context` that did not return TE_RT_OK. */
const char *te_rt_last_error(const te_rt_context *context);

/* 1 if a routing_map had more rows than its capacity since the context was
 * made or this was last called; clears the flag. Waits for the context's work. */
int32_t te_rt_take_overflow(te_rt_context *context);

/* Ranks that are threads of this process. Each rank makes its own context with
 * the same communicator, which outlives it, and runs and destroys it on a thread of
 * its own. If a rank fails it calls te_rt_communicator_abort, and the others return
 * TE_RT_INTERNAL from their next meeting rather than wait for ever.
 *
 * Ranks of cuda that each have a GPU of their own send rows through NCCL
 * (libnccl.so.2, opened at their first meeting), or, with TE_RT_LINK=direct in the
 * environment, read each other's memory; ranks that share a GPU, which NCCL refuses,
 * always do that, and fit in no graph. At most 32 ranks. */
te_rt_status te_rt_communicator_create(int32_t ranks,
                                       te_rt_communicator **communicator);
void te_rt_communicator_abort(te_rt_communicator *communicator);
void te_rt_communicator_destroy(te_rt_communicator *communicator);

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_TYPES_H */
