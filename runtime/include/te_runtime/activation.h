/* activation.h - gated activations with the routing probability.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef TE_RUNTIME_ACTIVATION_H
#define TE_RUNTIME_ACTIVATION_H

#include "te_runtime/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* output[r, j] = silu(a) * b * probs[r] with a = input[r, j], b = input[r, F + j] and
 * silu(a) = a / (1 + exp(-a)): F32 throughout, rounded once (te-semantics 5.5).
 *
 *   input    in   [C, 2F] BF16 or F32
 *   probs    opt  F32 [C]; 1 where absent
 *   offsets  opt  I32 [E+1]: only rows that a group owns
 *   output   out  [C, F], type of input */
te_rt_status te_rt_swiglu(te_rt_context *context, const te_rt_tensor *input,
                          const te_rt_tensor *probs,
                          const te_rt_tensor *offsets,
                          const te_rt_tensor *output);

/* With s = 1 / (1 + exp(-a)) and g = grad[r, j] (p = probs[r]):
 *   da = g * p * (s + a * s * (1 - s)) * b,  db = g * p * a * s,
 *   grad_probs[r] = sum over j of g * a * s * b (F32, j ascending in a fixed order).
 *
 *   grad        in   [C, F]
 *   input       in   [C, 2F], the input of swiglu
 *   probs       opt  F32 [C]
 *   offsets     opt  I32 [E+1]
 *   grad_input  out  [C, 2F]: da, then db
 *   grad_probs  opt  F32 [C] */
te_rt_status te_rt_swiglu_backward(te_rt_context *context,
                                   const te_rt_tensor *grad,
                                   const te_rt_tensor *input,
                                   const te_rt_tensor *probs,
                                   const te_rt_tensor *offsets,
                                   const te_rt_tensor *grad_input,
                                   const te_rt_tensor *grad_probs);

/* swiglu, then quantize of its output, without writing that output: it is
 * rounded to the type of input before its amax is taken and before it is cast,
 * so that the results are, bit for bit, those of the two calls
 * (te-semantics 5.5).
 *
 *   input     in   [C, 2F] BF16 or F32
 *   probs     opt  F32 [C]; 1 where absent
 *   offsets   opt  I32 [E+1]: only rows that a group owns
 *   scale, amax                                   opt  as in quantize of [C, F]
 *   values, scales, values_t, scales_t, amax_out  opt  likewise
 *
 * pow2_scales and epsilon are those of quantize. */
te_rt_status te_rt_swiglu_quantize(
    te_rt_context *context, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, int64_t pow2_scales, double epsilon);

/* swiglu_backward, then quantize of grad_input, in the same way.
 *
 *   grad        in   [C, F]
 *   input       in   [C, 2F], the input of swiglu
 *   probs       opt  F32 [C]
 *   offsets     opt  I32 [E+1]
 *   scale, amax                                   opt  as in quantize of [C, 2F]
 *   values, scales, values_t, scales_t, amax_out  opt  likewise
 *   grad_probs  opt  F32 [C] */
te_rt_status te_rt_swiglu_backward_quantize(
    te_rt_context *context, const te_rt_tensor *grad, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, const te_rt_tensor *grad_probs,
    int64_t pow2_scales, double epsilon);

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_ACTIVATION_H */
