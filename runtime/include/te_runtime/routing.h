/* routing.h - which token goes where, and the moves of tokens.
 *
 * T tokens, k choices (slots) each, E local experts, C rows of capacity.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */
#ifndef TE_RUNTIME_ROUTING_H
#define TE_RUNTIME_ROUTING_H

#include "te_runtime/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* From chosen experts to rows, on the device. Rows are ordered by expert, then
 * by token, then by slot; expert e begins at offsets[e] = sum over e' < e of
 * counts[e'] rounded up to a multiple of `alignment`.
 *
 *   indices  in   I32 [T, k]: an expert in [0, E), or -1 for none
 *   row_map  out  I32 [T, k]: the row of (token, slot), or -1
 *   counts   out  I32 [E]: routed pairs of each expert
 *   offsets  opt  I32 [E+1]
 *
 * A pair whose row would be `capacity` or more gets -1 and is not counted, and
 * the context's overflow flag is set; no offset passes `capacity`. An index
 * outside [-1, E) is an error on the ref backend. */
te_rt_status te_rt_routing_map(te_rt_context *context,
                               const te_rt_tensor *indices,
                               const te_rt_tensor *row_map,
                               const te_rt_tensor *counts,
                               const te_rt_tensor *offsets, int64_t alignment,
                               int64_t capacity);

/* offsets[0] = 0; offsets[e+1] = offsets[e] + counts[e] rounded up to a multiple
 * of `alignment`.
 *
 *   counts   in   I32 [E]
 *   offsets  out  I32 [E+1] */
te_rt_status te_rt_compute_offsets(te_rt_context *context,
                                   const te_rt_tensor *counts,
                                   const te_rt_tensor *offsets,
                                   int64_t alignment);

/* Copies offsets to host memory and waits for it: a host synchronization.
 *
 *   offsets  in   I32 [E+1]
 *   output   out  I32 [E+1], on_host */
te_rt_status te_rt_to_host(te_rt_context *context, const te_rt_tensor *offsets,
                           const te_rt_tensor *output);

/* output[row_map[t, j]] = input[t] for each routed (t, j); scales and probs
 * travel along. With counts and offsets, rows offsets[e] + counts[e] to
 * offsets[e+1] - 1 of the outputs become zero (of out_scales all bytes); row_map
 * names none of them. Other rows of the outputs are left alone; the padding of
 * out_scales of 8 bits becomes zero.
 *
 *   input       in   [T, H], any type
 *   scales      opt  scales of input with blocks one row high
 *   probs       opt  F32 [T, k]
 *   row_map     in   I32 [T, k]
 *   counts      opt  I32 [E], with offsets: 0 <= counts[e] <= offsets[e+1] -
 *                    offsets[e]
 *   offsets     opt  I32 [E+1], with counts: ascending from 0 to at most C
 *   output      out  [C, H]
 *   out_scales  opt  scales of output; its layout may differ from that of scales
 *   out_probs   opt  F32 [C]: out_probs[row_map[t, j]] = probs[t, j] */
te_rt_status te_rt_permute(te_rt_context *context, const te_rt_tensor *input,
                           const te_rt_tensor *scales,
                           const te_rt_tensor *probs,
                           const te_rt_tensor *row_map,
                           const te_rt_tensor *counts,
                           const te_rt_tensor *offsets,
                           const te_rt_tensor *output,
                           const te_rt_tensor *out_scales,
                           const te_rt_tensor *out_probs);

/* What quantize gives for the rows that permute gives, bit for bit, in one launch:
 * tokens go to the rows of their experts in FP8. C is what values (values_t) has
 * rows (columns) for.
 *
 *   input      in   [T, H] BF16 or F32
 *   probs      opt  F32 [T, k]
 *   row_map    in   I32 [T, k]
 *   offsets    in   I32 [E+1]: the groups of quantize
 *   counts     opt  I32 [E]: as of permute, rows (and out_probs) of group e from
 *                   offsets[e] + counts[e] on are zero. Absent: rows that nothing
 *                   is routed to hold nothing
 *   out_probs  opt  F32 [C]
 *
 * and, as of quantize, scale, amax, values, scales, values_t, scales_t, amax_out,
 * pow2_scales, epsilon. */
te_rt_status te_rt_permute_quantize(
    te_rt_context *context, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *row_map,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *offsets, const te_rt_tensor *counts,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, const te_rt_tensor *out_probs,
    int64_t pow2_scales, double epsilon);

/* output[t] = sum over the routed slots of t of input[row_map[t, j]], added in
 * F32 in descending order of row, rounded once. A token without a slot gets 0.
 *
 *   input      in   [C, H] BF16 or F32
 *   probs      opt  F32 [C]: gathered, not multiplied
 *   row_map    in   I32 [T, k]
 *   output     out  [T, H], type of input
 *   out_probs  opt  F32 [T, k]: probs[row_map[t, j]], 0 where row_map is -1 */
te_rt_status te_rt_unpermute(te_rt_context *context, const te_rt_tensor *input,
                             const te_rt_tensor *probs,
                             const te_rt_tensor *row_map,
                             const te_rt_tensor *output,
                             const te_rt_tensor *out_probs);

/* Moves each group from where `from` has it to where `to` has it, and fills the
 * rows (probs) that this adds to it with zero. COMPACT scales of 8 bits of rows
 * move like rows, and those that no group of `to` owns become zero.
 *
 *   input      in   [C, H], any type
 *   probs      opt  F32 [C]
 *   from, to   in   I32 [E+1]; each group at least as long in `to`
 *   output     out  [C', H]
 *   out_probs  opt  F32 [C'] */
te_rt_status te_rt_pad(te_rt_context *context, const te_rt_tensor *input,
                       const te_rt_tensor *probs, const te_rt_tensor *from,
                       const te_rt_tensor *to, const te_rt_tensor *output,
                       const te_rt_tensor *out_probs);

/* The inverse: drops the rows that pad added. `from` is the padded one. */
te_rt_status te_rt_unpad(te_rt_context *context, const te_rt_tensor *input,
                         const te_rt_tensor *probs, const te_rt_tensor *from,
                         const te_rt_tensor *to, const te_rt_tensor *output,
                         const te_rt_tensor *out_probs);

/* Where each token goes among R = `ranks` ranks with E = `num_experts` experts
 * each: expert x of all lives on rank x / E. A token is sent once to each rank
 * that holds one of its experts. All ranks of the communicator meet here.
 *
 *   indices       in   I32 [T, k]: an expert in [0, R*E), or -1
 *   handle        out  I32 [T, R]: the row of token t among those that rank r
 *                      receives, or -1. Rank r receives by source rank, then by
 *                      token
 *   recv_indices  out  I32 [R*T, k]: the experts of each received token, counted
 *                      from 0 on this rank, -1 where the expert is elsewhere or
 *                      where nothing was received
 *
 * Errors: the communicator has not `ranks` ranks. */
te_rt_status te_rt_dispatch_map(te_rt_context *context,
                                const te_rt_tensor *indices,
                                const te_rt_tensor *handle,
                                const te_rt_tensor *recv_indices, int64_t ranks,
                                int64_t num_experts);

/* Sends rows: outputs[i] on rank r, row handle[t, r] = inputs[i], row t. Any
 * number of tensors travel together; all ranks meet here.
 *
 *   handle   in   I32 [T, R]
 *   inputs   in   [T, ...]; scales with blocks one row high must be COMPACT (of 8
 *                 bits: T padded to 128)
 *   outputs  out  [R*T, ...], padded likewise; rows that nobody sends are left
 *                 alone, padding becomes zero */
te_rt_status te_rt_dispatch(te_rt_context *context, const te_rt_tensor *handle,
                            te_rt_tensor_list inputs,
                            te_rt_tensor_list outputs);

/* Brings rows back: outputs[i][t] = sum over the ranks r with handle[t, r] >= 0 of
 * row handle[t, r] of inputs[i] on rank r, added in F32 by ascending rank, rounded
 * once; 0 where there is none. All ranks meet here.
 *
 *   handle   in   I32 [T, R]
 *   inputs   in   [R*T, ...] BF16 or F32
 *   outputs  out  [T, ...] */
te_rt_status te_rt_combine(te_rt_context *context, const te_rt_tensor *handle,
                           te_rt_tensor_list inputs, te_rt_tensor_list outputs);

/* Amaxes of all ranks: with m the maximum over the ranks of inputs[i][j], NaN
 * left out, outputs[i][j] = m, or inputs[i][j] of this rank where m is 0 or all
 * are NaN (te-semantics 1.1). All ranks meet here, with equal shapes.
 *
 *   inputs   in   F32, any shape
 *   outputs  out  as inputs; may be inputs */
te_rt_status te_rt_all_reduce(te_rt_context *context, te_rt_tensor_list inputs,
                              te_rt_tensor_list outputs);

#ifdef __cplusplus
}
#endif
#endif /* TE_RUNTIME_ROUTING_H */
