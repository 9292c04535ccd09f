/* norm.h - rows scaled to one length.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef TE_RUNTIME_NORM_H
#define TE_RUNTIME_NORM_H

#include "te_runtime/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* output[r, j] = input[r, j] / sqrt(sum / C + epsilon), sum that of input[r, j]^2 over
 * all j: F32 throughout, rounded once. The sum is of 32 sums, of which number l has
 * the columns l, l + 32, ... in this order; then the upper half of the sums is added
 * to the lower one, 16, 8, 4, 2 and 1 at a time. So it is the same on any backend.
 *
 *   input    in   [R, C] BF16 or F32
 *   output   out  [R, C], type of input
 *   epsilon  above 0 */
te_rt_status te_rt_rms_norm(te_rt_context *context, const te_rt_tensor *input,
                            const te_rt_tensor *output, double epsilon);

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_NORM_H */
