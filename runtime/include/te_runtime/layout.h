/* layout.h - conversions and moves that change no value.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef TE_RUNTIME_LAYOUT_H
#define TE_RUNTIME_LAYOUT_H

#include "te_runtime/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The scales of a matrix of rows x cols in another layout: a transpose between
 * COMPACT and GEMM_READY, the permutation of te-semantics 2.1 between COMPACT
 * and SWIZZLED (whose padding is written as zero).
 *
 *   scales   in   F32, F8E8M0 or F8E4M3, layout in its descriptor; packed [E, ..]
 *   output   out  the same type, block and groups, another layout
 *   rows, cols    shape of the data that the scales belong to (of one member) */
te_rt_status te_rt_convert_scales(te_rt_context *context,
                                  const te_rt_tensor *scales,
                                  const te_rt_tensor *output, int64_t rows,
                                  int64_t cols);

/* output[..., j, i] = input[..., i, j]; any type but F4E2M1, rank 2 or 3. */
te_rt_status te_rt_transpose(te_rt_context *context, const te_rt_tensor *input,
                             const te_rt_tensor *output);

/* output[e] = inputs[e]: any number of equal tensors, laid one behind another. */
te_rt_status te_rt_pack(te_rt_context *context, te_rt_tensor_list inputs,
                        const te_rt_tensor *output);

/* output = input; same type and shape. */
te_rt_status te_rt_copy(te_rt_context *context, const te_rt_tensor *input,
                        const te_rt_tensor *output);

/* Every element of output becomes `value`, rounded to its type. */
te_rt_status te_rt_fill(te_rt_context *context, const te_rt_tensor *output,
                        double value);

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_LAYOUT_H */
