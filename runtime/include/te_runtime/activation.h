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

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_ACTIVATION_H */
