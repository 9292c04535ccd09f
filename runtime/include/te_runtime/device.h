/* device.h - memory of a backend, and waiting for it.
 *
 * The arguments of all functions lie in memory of the context's backend: for ref
 * that is host memory, for cuda memory of the context's GPU. What a descriptor
 * marks `on_host` lies in host memory on every backend.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef TE_RUNTIME_DEVICE_H
#define TE_RUNTIME_DEVICE_H

#include "te_runtime/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1 if memory of this context's backend is not host memory. */
int32_t te_rt_has_device_memory(const te_rt_context *context);

/* `bytes` of memory of the backend, 256-byte aligned (of host memory: 64), not
 * initialized. TE_RT_OUT_OF_MEMORY, *data NULL, if there is not as much. */
te_rt_status te_rt_allocate(te_rt_context *context, int64_t bytes, void **data);
/* Waits for the work that may use it, then gives it back; NULL is allowed. */
void te_rt_release(te_rt_context *context, void *data);

/* The most bytes of its GPU's memory that a cuda context has allocated at a time, for
 * sessions, for te_rt_allocate and for itself; 0 on ref. */
int64_t te_rt_peak_memory(const te_rt_context *context);

/* Copies between memory of the host and of the backend, either way, behind the
 * work enqueued so far; returns when it is done. */
te_rt_status te_rt_copy_memory(te_rt_context *context, void *to,
                               const void *from, int64_t bytes);
/* Sets every byte of memory of the backend, in order with its work. */
te_rt_status te_rt_fill_memory(te_rt_context *context, void *data,
                               int32_t byte, int64_t bytes);

/* What a device can do at most, as a measure for what ran on it; 0 is unknown. */
typedef struct te_rt_limits {
  double copy;       /* bytes read and written in a second, by a copy just timed */
  double fp8, bf16;  /* operations in a second of its tensor cores, sustained */
} te_rt_limits;
/* Times copies of memory that it allocates (2 GiB, or half of what is free) and
 * gives back. TE_RT_UNSUPPORTED on ref. */
te_rt_status te_rt_measure_limits(te_rt_context *context, te_rt_limits *limits);

/* Waits for all work that was enqueued on the context, and tells how it went:
 * functions of a device backend return when their work is enqueued. */
te_rt_status te_rt_synchronize(te_rt_context *context);

/* The stream of a cuda context (a CUstream or cudaStream_t); NULL for ref. */
void *te_rt_stream(te_rt_context *context);

/* From now on a cuda context enqueues its work on `stream`, a stream of its GPU that
 * the caller keeps alive as long as the context uses it; NULL is a stream of the context's
 * own, (void *)1 CUDA's default stream. Waits for the work enqueued so far, and so is
 * not for each step. TE_RT_UNSUPPORTED on ref, which has no streams, unless NULL. */
te_rt_status te_rt_use_stream(te_rt_context *context, void *stream);

/* How products of a cuda context go where several ways take them.
 *
 *   PLANNED  as the plan says; else, and for calls without a plan, as OWN
 *   OWN      the library's own kernels, which read offsets on the device. What they do
 *            not take: dense products, and those whose offsets lie on the host, through
 *            cuBLASLt; the rest, by a plain kernel, which is slow
 *   LIBRARY  cuBLASLt, a call for each group. The host waits for offsets that lie on
 *            the device, so that no graph holds such a product
 *
 * What cuBLASLt does not take goes as OWN. A product for the plain kernel alone is
 * refused in a graph (TE_RT_UNSUPPORTED), with the argument that keeps it from others. */
typedef enum te_rt_products {
  TE_RT_PRODUCTS_PLANNED = 0,
  TE_RT_PRODUCTS_OWN = 1,
  TE_RT_PRODUCTS_LIBRARY = 2
} te_rt_products;
/* Chooses that for the calls that follow. `streams`, 0 to 8, is how many streams the
 * calls of cuBLASLt for one product go to; 0 is 4. Ways
 * differ in the order in which they add, and so in the last bits. TE_RT_INVALID_ARGUMENT
 * where a value is none of these; ref, which has one way, takes note and no more. */
te_rt_status te_rt_use_products(te_rt_context *context, te_rt_products products,
                                int32_t streams);

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_DEVICE_H */
