/* quantize.h - casts between high and low precision, and their scales.
 *
 * Conventions of all functions: docs of types.h. A tensor argument that may be
 * NULL is marked `opt`. A *ragged* matrix has a static capacity of C rows, of
 * which `offsets` ([E+1] I32, ascending, offsets[E] <= C) tell those in use:
 * group g owns rows offsets[g] to offsets[g+1]. Rows that no group owns are
 * neither read nor written. `member` >= 0 restricts a call to that group (the
 * rest of the outputs stays as it is); -1 means all of them.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef TE_RUNTIME_QUANTIZE_H
#define TE_RUNTIME_QUANTIZE_H

#include "te_runtime/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Casts `input` to FP8, rowwise and (or) columnwise.
 *
 *   input     in   [M, K], ragged [C, K] with offsets, or packed [E, M, K];
 *                  BF16 or F32
 *   scale     opt  F32 [] or, for all members of a group, [E]: the multiplier s
 * to use (delayed scaling). Absent: s comes from the amax of each block amax
 * opt  F32 as scale: the largest magnitude so far. With `member` both are
 *                  [], while scales of TENSOR have all E
 *   noop      opt  F32 []: at 1.0 the call returns and writes nothing
 *   offsets   opt  I32 [E+1]
 *   values    opt  FP8, shape of input
 *   scales    opt  F32: 1/s, block and layout as its descriptor says
 *   values_t  opt  FP8: input quantized columnwise. [K, M] / [K, C] / [E, K,
 * M], physically transposed, or (COMPACT blocks of r x 1) not transposed, in
 * the shape of input scales_t  opt  F32: 1/s for values_t, block relative to
 * values_t as stored amax_out  opt  F32 as amax: max(amax, max|input|) of each
 * group; may be amax
 *
 * values and scales come together, values_t and scales_t likewise. Per block
 * (te-semantics 0 and 1.2): amax drops NaN; s = 1 if amax is 0 or not finite,
 * else fp8_max / amax (max(amax, epsilon)), the largest F32 (TENSOR) or the
 * largest value of the input's type (blocks) where that overflows; with
 * pow2_scales rounded down to a power of two. q = fp8(x * s), nearest even,
 * saturating, NaN stays NaN. With TENSOR scales both directions share s. Where
 * the group (or tensor) is empty, amax is 0. */
te_rt_status
te_rt_quantize(te_rt_context *context, const te_rt_tensor *input,
               const te_rt_tensor *scale, const te_rt_tensor *amax,
               const te_rt_tensor *noop, const te_rt_tensor *offsets,
               const te_rt_tensor *values, const te_rt_tensor *scales,
               const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
               const te_rt_tensor *amax_out, int64_t member,
               int64_t pow2_scales, double epsilon);

/* The same for any number of tensors in one launch: element i of each list is
 * the argument of quantize for tensor i. A list is empty where no tensor has
 * that argument. No offsets: the inputs are weights, [M, K] or [E, M, K], of
 * any mix of shapes. */
te_rt_status te_rt_multi_cast_transpose(
    te_rt_context *context, te_rt_tensor_list inputs, te_rt_tensor_list scale,
    te_rt_tensor_list amax, const te_rt_tensor *noop, te_rt_tensor_list values,
    te_rt_tensor_list scales, te_rt_tensor_list values_t,
    te_rt_tensor_list scales_t, te_rt_tensor_list amax_out, int64_t pow2_scales,
    double epsilon);

/* output[i] = values[i] * scales[block of i], in F32, then rounded to the type
 * of output (BF16 or F32).
 *
 *   values   in   FP8 [M, K], ragged [C, K] with offsets, or packed [E, M, K]
 *   scales   in   as its descriptor says
 *   offsets  opt  I32 [E+1]; without it every row is taken
 *   output   out  shape of values */
te_rt_status te_rt_dequantize(te_rt_context *context,
                              const te_rt_tensor *values,
                              const te_rt_tensor *scales,
                              const te_rt_tensor *offsets,
                              const te_rt_tensor *output);

/* What quantize gives for what dequantize gives of `input`, bit for bit, in one
 * launch: FP8 rows cast to other blocks.
 *
 *   input         in   FP8 [M, K], ragged [C, K] with offsets
 *   input_scales  in   as its descriptor says
 *   via           the type of what dequantize would give, a te_rt_dtype:
 *                 TE_RT_BF16 or TE_RT_F32
 *
 * and, as of quantize, scale, amax, offsets, values, scales, values_t,
 * scales_t, amax_out, pow2_scales, epsilon. No output may be in the memory of
 * input. */
te_rt_status
te_rt_requantize(te_rt_context *context, const te_rt_tensor *input,
                 const te_rt_tensor *input_scales, const te_rt_tensor *scale,
                 const te_rt_tensor *amax, const te_rt_tensor *offsets,
                 const te_rt_tensor *values, const te_rt_tensor *scales,
                 const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
                 const te_rt_tensor *amax_out, int64_t via, int64_t pow2_scales,
                 double epsilon);

/* Delayed scaling, once per step and direction, all slots at once
 * (te-semantics 1.1). Element i of each list belongs to slot (or packed group
 * of slots) i:
 *
 *   amax         in   F32 [] or [E]: amaxes of the step just run
 *   history      in   F32 [L] or [E, L]
 *   scale        in   F32 [] or [E]
 *   history_out  out  as history; may be history
 *   scale_out    out  as scale; may be scale
 *
 * For each slot: amax 0 leaves both as they are. Else a = max(history[1..L-1],
 * amax) dropping NaN, or amax itself with most_recent; history rolls by one
 * (history[i] = history[i+1] for 1 <= i <= L-2, then history[L-1] = amax and
 * history[0] = 0); if a is finite and above 0, scale = fp8_max * 2^-margin / a,
 * or the largest F32 where that is infinite; else scale stays. */
te_rt_status te_rt_update_scales(te_rt_context *context, te_rt_tensor_list amax,
                                 te_rt_tensor_list history,
                                 te_rt_tensor_list scale,
                                 te_rt_tensor_list history_out,
                                 te_rt_tensor_list scale_out, double fp8_max,
                                 int64_t margin, int64_t most_recent);

/* amax = max |input|, NaN left out, of each group; 0 where it is empty.
 *
 *   input    in   [M, K], ragged [C, K] with offsets, or packed [E, M, K]; BF16
 *                 or F32
 *   offsets  opt  I32 [E+1]
 *   amax     out  F32 []; of all members of a group [E], with `member` [] */
te_rt_status te_rt_amax(te_rt_context *context, const te_rt_tensor *input,
                        const te_rt_tensor *offsets, const te_rt_tensor *amax,
                        int64_t member);

/* The multiplier that quantize takes for TENSOR scales of these amaxes, element
 * by element (te-semantics 1.2): 1 where amax is 0 or not finite, else fp8_max
 * / max(amax, epsilon), the largest F32 where that overflows; with pow2_scales
 * rounded down to a power of two.
 *
 *   amax   in   F32, any shape
 *   scale  out  as amax; may be amax */
te_rt_status te_rt_scale_from_amax(te_rt_context *context,
                                   te_rt_tensor_list amax,
                                   te_rt_tensor_list scale, double fp8_max,
                                   int64_t pow2_scales, double epsilon);

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_QUANTIZE_H */
