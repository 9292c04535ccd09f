/* gemm.h - matrix products of experts.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef TE_RUNTIME_GEMM_H
#define TE_RUNTIME_GEMM_H

#include "te_runtime/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which dimension of a product is ragged. */
typedef enum te_rt_ragged {
  TE_RT_DENSE = 0,
  TE_RT_RAGGED_ROWS = 1,     /* rows of lhs and of the result: fprop, dgrad */
  TE_RT_RAGGED_REDUCTION = 2 /* the reduction: wgrad */
} te_rt_ragged;

/* result[m, n] = sum over k of lhs[m, k] * rhs[n, k] (+ bias[n]) (+ result[m, n]).
 *
 *   lhs         in      [M, K], with transpose_lhs [K, M]; BF16, F32, FP8 or FP4
 *   lhs_scales  opt     scales of lhs as stored; needed for FP8 and FP4
 *   lhs_amax    opt     F32 tensor_amax of lhs, [] or [E]; needed for FP4
 *   rhs         in      [N, K], with transpose_rhs [K, N]
 *   rhs_scales  opt     likewise
 *   rhs_amax    opt     likewise; of a packed rhs [E], over REDUCTION [E]
 *   bias        opt     [N] BF16 or F32; not with REDUCTION
 *   offsets     opt     I32 [E+1], for a ragged product
 *   result      in/out  [M, N] BF16 or F32; read only with accumulate
 *
 * ROWS: lhs is ragged [C, K] and result [C, N]; only the rows of group `member`
 * take part. REDUCTION: lhs is [M, C] ([C, M] with transpose_lhs), rhs [N, C]
 * ([C, N]); only the columns of group `member` do; an empty group writes zeros, or
 * with accumulate leaves result. FP8 operands are not both E5M2; blocks of
 * 128 x 128 do not meet blocks of 128 x 128. F8E8M0 and F8E4M3 scales are SWIZZLED
 * and meet their like. FP8 operands are not transposed, but for F8E8M0 scales of
 * 32 x 1, which are of a transposed operand alone. Ragged operands of SWIZZLED
 * scales have offsets that are multiples of 128.
 *
 * Operands are dequantized to F32 (values * scale, one rounding), products are
 * summed in F32 in an order that is the backend's own, the same for the same
 * shapes; then, of FP4, the sum times lhs_amax * rhs_amax / 7225344;
 * then bias, then one rounding to the type of result; with accumulate that rounded
 * product is added to result and rounded. */
te_rt_status te_rt_gemm(te_rt_context *context, const te_rt_tensor *lhs,
                        const te_rt_tensor *lhs_scales,
                        const te_rt_tensor *lhs_amax, const te_rt_tensor *rhs,
                        const te_rt_tensor *rhs_scales,
                        const te_rt_tensor *rhs_amax, const te_rt_tensor *bias,
                        const te_rt_tensor *offsets,
                        const te_rt_tensor *result, int64_t ragged,
                        int64_t member, int64_t transpose_lhs,
                        int64_t transpose_rhs, int64_t accumulate);

/* All groups in one call, offsets read on the device; the same bits as te_rt_gemm
 * for each member.
 *
 *   rhs         in      ROWS: one packed [E, N, K], or E tensors [N, K].
 *                       REDUCTION: one tensor
 *   rhs_scales  opt     one for each rhs
 *   rhs_amax    opt     one for each rhs
 *   bias        opt     ROWS: one packed [E, N], or E tensors [N]
 *   results     in/out  ROWS: one [C, N].
 *                       REDUCTION: one packed [E, M, N], or E tensors [M, N] */
te_rt_status te_rt_grouped_gemm(
    te_rt_context *context, const te_rt_tensor *lhs,
    const te_rt_tensor *lhs_scales, const te_rt_tensor *lhs_amax,
    te_rt_tensor_list rhs, te_rt_tensor_list rhs_scales,
    te_rt_tensor_list rhs_amax, te_rt_tensor_list bias,
    const te_rt_tensor *offsets, te_rt_tensor_list results, int64_t ragged,
    int64_t transpose_lhs, int64_t transpose_rhs, int64_t accumulate);

/* grouped_gemm over ROWS of [a | b], then swiglu_quantize of that: the results are, bit
 * for bit, those of the two calls. On a GPU of sm_90 it is one kernel, which does not
 * write the product unless it is asked for, and reads it from nowhere.
 *
 *   lhs         in   [C, K] F8E4M3
 *   lhs_scales  in   of blocks of 1 x 128
 *   rhs         in   one packed [E, 2F, K], or E tensors [2F, K], F8E4M3; F is a
 *                    multiple of 128
 *   rhs_scales  in   of blocks of 128 x 128, one for each rhs
 *   probs       opt  F32 [C]; 1 where absent
 *   offsets     in   I32 [E+1]
 *   result      opt  [C, 2F] BF16: the product
 *   values, scales, values_t, scales_t  opt  as in swiglu_quantize, F8E4M3 or F8E5M2,
 *                    of blocks of 1 x 128 (of values_t as it is stored)
 *
 * pow2_scales and epsilon are those of quantize. */
te_rt_status te_rt_grouped_gemm_swiglu_quantize(
    te_rt_context *context, const te_rt_tensor *lhs,
    const te_rt_tensor *lhs_scales, te_rt_tensor_list rhs,
    te_rt_tensor_list rhs_scales, const te_rt_tensor *probs,
    const te_rt_tensor *offsets, const te_rt_tensor *result,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    int64_t pow2_scales, double epsilon);

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_GEMM_H */
