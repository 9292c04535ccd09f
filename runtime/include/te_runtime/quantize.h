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

/* Casts `input` to FP8 or FP4, rowwise and (or) columnwise.
 *
 *   input     in   [M, K], ragged [C, K] with offsets, or packed [E, M, K];
 *                  BF16 or F32
 *   scale     opt  F32 [] or, for all members of a group, [E]: the multiplier s to
 *                  use (delayed scaling). Absent: s comes from the amax of each
 *                  block
 *   amax      opt  F32 as scale: the largest magnitude so far. With `member` both are
 *                  [], while scales of TENSOR have all E
 *   noop      opt  F32 []: at 1.0 the call returns and writes nothing
 *   offsets   opt  I32 [E+1]
 *   rng       opt  I64 [2], seed and offset: stochastic rounding of FP4
 *   values    opt  FP8 or FP4, shape of input
 *   scales    opt  F32: 1/s; F8E8M0 or F8E4M3: the factor of the value. Block and
 *                  layout as its descriptor says
 *   values_t  opt  input quantized columnwise. [K, M] / [K, C] / [E, K, M],
 *                  physically transposed, or (blocks of r x 1) not transposed, in
 *                  the shape of input
 *   scales_t  opt  as scales, for values_t, block relative to values_t as stored
 *   amax_out  opt  F32 as amax: max(amax, max|input|) of each group; may be amax
 *   tensor_amax    opt  F32 [], or of a group [E] also with `member`: the amax that
 *                  the F8E4M3 scales stand under, which is that of the input
 *   tensor_amax_t  opt  the same of scales_t, with `hadamard` of what it gives
 *
 * values and scales come together, values_t and scales_t likewise; tensor_amax is
 * there where values are FP4, tensor_amax_t where values_t are. FP8 goes with F32
 * scales or F8E8M0, FP4 with F8E4M3. Under F32 scales, per block
 * (te-semantics 0 and 1.2): amax drops NaN; s = 1 if amax is 0 or not finite, else
 * fp8_max / amax (max(amax, epsilon)), the largest F32 (TENSOR) or the largest
 * value of the input's type (blocks) where that overflows; with pow2_scales
 * rounded down to a power of two. q = fp8(x * s), nearest even, saturating, NaN
 * stays NaN. With TENSOR scales both directions share s. Where the group (or
 * tensor) is empty, amax is 0.
 *
 * F8E8M0 (te-semantics 1.4): the scale is amax * (1 / fp8_max) rounded up to a
 * power of two, from 2^-127 to 2^127, and q = fp8(x * (1 / scale)). F8E4M3 (1.5):
 * with S = 2688 / tensor_amax (1 where that is 0 or tensor_amax is), the scale is
 * e4m3(amax * (S * (1/6))) and q = fp4(x * (1 / (scale * (1/S)))): to the nearest,
 * ties to the even code, saturating at 6, NaN to 6. Each product and quotient is
 * one rounding in F32, and infinity becomes the largest F32. Neither takes
 * pow2_scales or epsilon. Where no block has a place these scales are zero, also
 * after a call for one member; what lies between them, of rows that no group owns,
 * stays as it is.
 *
 *   square_blocks  the amax of a block is that of the square of blocks around it,
 *                  32 x 32 (F8E8M0) or 16 x 16 (F8E4M3), from the group's first
 *                  row on; the scales are stored as without
 *   hadamard       BF16 to FP4: what is cast columnwise is not x but, for blocks of
 *                  16 rows from the group's first on, rows that are missing being
 *                  0, y[k] = bf16(0.25 * sum over j of sign[j] x[j] H[j][k])
 *                  (te-semantics 1.5)
 *   rng_stream     with rng: |v| between neighbours lo < hi becomes hi if
 *                  w < 2^32 (|v| - lo) / (hi - lo), w being word i % 4 of
 *                  Philox4x32-10 with rng[0] as key, counter (i / 4,
 *                  rng[1] + rng_stream), plus 2^62 of i / 4 columnwise; i is the
 *                  index of the element in the tensor as stored */
te_rt_status te_rt_quantize(te_rt_context *context, const te_rt_tensor *input,
                            const te_rt_tensor *scale, const te_rt_tensor *amax,
                            const te_rt_tensor *noop,
                            const te_rt_tensor *offsets,
                            const te_rt_tensor *rng, const te_rt_tensor *values,
                            const te_rt_tensor *scales,
                            const te_rt_tensor *values_t,
                            const te_rt_tensor *scales_t,
                            const te_rt_tensor *amax_out,
                            const te_rt_tensor *tensor_amax,
                            const te_rt_tensor *tensor_amax_t, int64_t member,
                            int64_t pow2_scales, int64_t square_blocks,
                            int64_t hadamard, int64_t rng_stream,
                            double epsilon);

/* The same for any number of tensors in one launch: element i of each list is
 * the argument of quantize for tensor i. A list is empty where no tensor has
 * that argument. No offsets: the inputs are weights, [M, K] or [E, M, K], of
 * any mix of shapes. */
te_rt_status te_rt_multi_cast_transpose(
    te_rt_context *context, te_rt_tensor_list inputs, te_rt_tensor_list scale,
    te_rt_tensor_list amax, const te_rt_tensor *noop, te_rt_tensor_list values,
    te_rt_tensor_list scales, te_rt_tensor_list values_t,
    te_rt_tensor_list scales_t, te_rt_tensor_list amax_out,
    te_rt_tensor_list tensor_amax, te_rt_tensor_list tensor_amax_t,
    int64_t pow2_scales, int64_t square_blocks, double epsilon);

/* output[i] = values[i] * scales[block of i], of FP4 that times tensor_amax / 2688,
 * in F32, then rounded to the type of output (BF16 or F32).
 *
 *   values       in   FP8 or FP4 [M, K], ragged [C, K] with offsets, or packed
 *                     [E, M, K]
 *   scales       in   as its descriptor says
 *   tensor_amax  opt  F32 [] or [E], as of quantize: there where values are FP4
 *   offsets      opt  I32 [E+1]; without it every row is taken
 *   output       out  shape of values */
te_rt_status te_rt_dequantize(te_rt_context *context,
                              const te_rt_tensor *values,
                              const te_rt_tensor *scales,
                              const te_rt_tensor *tensor_amax,
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
 * and, as of quantize, scale, amax, offsets, values, scales, values_t, scales_t,
 * amax_out, pow2_scales, epsilon. FP4 is refused. No output may be in the memory of
 * input. */
te_rt_status te_rt_requantize(
    te_rt_context *context, const te_rt_tensor *input,
    const te_rt_tensor *input_scales, const te_rt_tensor *scale,
    const te_rt_tensor *amax, const te_rt_tensor *offsets,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, int64_t via, int64_t pow2_scales,
    double epsilon);

/* Delayed scaling, once per step and direction, all slots at once
 * (te-semantics 1.1). Element i of each list belongs to slot (or packed group of
 * slots) i:
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

/* The multiplier that quantize takes for TENSOR scales of these amaxes, element by
 * element (te-semantics 1.2): 1 where amax is 0 or not finite, else fp8_max /
 * max(amax, epsilon), the largest F32 where that overflows; with pow2_scales
 * rounded down to a power of two.
 *
 *   amax   in   F32, any shape
 *   scale  out  as amax; may be amax */
te_rt_status te_rt_scale_from_amax(te_rt_context *context,
                                   te_rt_tensor_list amax,
                                   te_rt_tensor_list scale, double fp8_max,
                                   int64_t pow2_scales, double epsilon);

/* output = {rng[0], rng[1] + by}: states of stochastic rounding, so that the next
 * casts draw other numbers.
 *
 *   rng     in   I64 [2] or [N, 2]
 *   output  out  as rng; may be rng */
te_rt_status te_rt_advance_rng(te_rt_context *context, const te_rt_tensor *rng,
                               const te_rt_tensor *output, int64_t by);

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_QUANTIZE_H */
