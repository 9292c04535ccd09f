//===- entry.cpp - the C functions: check, then the backend ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"

#include <new>

using namespace te_rt;

namespace {
/// No exception leaves the library.
template <typename Check, typename Run, typename... Args>
te_rt_status call(const char *name, Check check, Run run,
                  te_rt_context *context, Args... args) {
  if (!context)
    return TE_RT_INVALID_ARGUMENT;
  try {
    context->function = name;
    context->message.clear();
    te_rt_status status = TE_RT_OK;
    if (context->checks != te_rt_context::Checks::Done)
      status = check(context, args...);
    TempStack::Scope temporaries(context->pool.temporaries(0));
    if (status == TE_RT_OK && context->checks != te_rt_context::Checks::Alone)
      status = (context->backend->*run)(context, args...);
    return status;
  } catch (const std::bad_alloc &) {
    return context->fail(TE_RT_OUT_OF_MEMORY, "host memory: found too little, "
                                              "wanted scratch for this call");
  } catch (const std::exception &error) {
    return context->fail(TE_RT_INTERNAL, error.what());
  }
}
} // namespace

#define TE_RT_CALL(name, ...)                                                  \
  call(#name, check::name, &BackendTable::name, __VA_ARGS__)

extern "C" {

te_rt_status
te_rt_quantize(te_rt_context *context, const te_rt_tensor *input,
               const te_rt_tensor *scale, const te_rt_tensor *amax,
               const te_rt_tensor *noop, const te_rt_tensor *offsets,
               const te_rt_tensor *rng, const te_rt_tensor *values,
               const te_rt_tensor *scales, const te_rt_tensor *values_t,
               const te_rt_tensor *scales_t, const te_rt_tensor *amax_out,
               const te_rt_tensor *tensor_amax,
               const te_rt_tensor *tensor_amax_t, int64_t member,
               int64_t pow2_scales, int64_t square_blocks, int64_t hadamard,
               int64_t rng_stream, double epsilon) {
  return TE_RT_CALL(quantize, context, input, scale, amax, noop, offsets, rng,
                    values, scales, values_t, scales_t, amax_out, tensor_amax,
                    tensor_amax_t, member, pow2_scales, square_blocks, hadamard,
                    rng_stream, epsilon);
}

te_rt_status te_rt_multi_cast_transpose(
    te_rt_context *context, te_rt_tensor_list inputs, te_rt_tensor_list scale,
    te_rt_tensor_list amax, const te_rt_tensor *noop, te_rt_tensor_list values,
    te_rt_tensor_list scales, te_rt_tensor_list values_t,
    te_rt_tensor_list scales_t, te_rt_tensor_list amax_out,
    te_rt_tensor_list tensor_amax, te_rt_tensor_list tensor_amax_t,
    int64_t pow2_scales, int64_t square_blocks, double epsilon) {
  return TE_RT_CALL(multi_cast_transpose, context, inputs, scale, amax, noop,
                    values, scales, values_t, scales_t, amax_out, tensor_amax,
                    tensor_amax_t, pow2_scales, square_blocks, epsilon);
}

te_rt_status
te_rt_dequantize(te_rt_context *context, const te_rt_tensor *values,
                 const te_rt_tensor *scales, const te_rt_tensor *tensor_amax,
                 const te_rt_tensor *offsets, const te_rt_tensor *output) {
  return TE_RT_CALL(dequantize, context, values, scales, tensor_amax, offsets,
                    output);
}

te_rt_status
te_rt_requantize(te_rt_context *context, const te_rt_tensor *input,
                 const te_rt_tensor *input_scales, const te_rt_tensor *scale,
                 const te_rt_tensor *amax, const te_rt_tensor *offsets,
                 const te_rt_tensor *values, const te_rt_tensor *scales,
                 const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
                 const te_rt_tensor *amax_out, int64_t via, int64_t pow2_scales,
                 double epsilon) {
  return TE_RT_CALL(requantize, context, input, input_scales, scale, amax,
                    offsets, values, scales, values_t, scales_t, amax_out, via,
                    pow2_scales, epsilon);
}

te_rt_status te_rt_update_scales(te_rt_context *context, te_rt_tensor_list amax,
                                 te_rt_tensor_list history,
                                 te_rt_tensor_list scale,
                                 te_rt_tensor_list history_out,
                                 te_rt_tensor_list scale_out, double fp8_max,
                                 int64_t margin, int64_t most_recent) {
  return TE_RT_CALL(update_scales, context, amax, history, scale, history_out,
                    scale_out, fp8_max, margin, most_recent);
}

te_rt_status te_rt_amax(te_rt_context *context, const te_rt_tensor *input,
                        const te_rt_tensor *offsets, const te_rt_tensor *amax,
                        int64_t member) {
  return TE_RT_CALL(amax, context, input, offsets, amax, member);
}

te_rt_status te_rt_scale_from_amax(te_rt_context *context,
                                   te_rt_tensor_list amax,
                                   te_rt_tensor_list scale, double fp8_max,
                                   int64_t pow2_scales, double epsilon) {
  return TE_RT_CALL(scale_from_amax, context, amax, scale, fp8_max, pow2_scales,
                    epsilon);
}

te_rt_status te_rt_advance_rng(te_rt_context *context, const te_rt_tensor *rng,
                               const te_rt_tensor *output, int64_t by) {
  return TE_RT_CALL(advance_rng, context, rng, output, by);
}

te_rt_status te_rt_convert_scales(te_rt_context *context,
                                  const te_rt_tensor *scales,
                                  const te_rt_tensor *output, int64_t rows,
                                  int64_t cols) {
  return TE_RT_CALL(convert_scales, context, scales, output, rows, cols);
}

te_rt_status te_rt_transpose(te_rt_context *context, const te_rt_tensor *input,
                             const te_rt_tensor *output) {
  return TE_RT_CALL(transpose, context, input, output);
}

te_rt_status te_rt_pack(te_rt_context *context, te_rt_tensor_list inputs,
                        const te_rt_tensor *output) {
  return TE_RT_CALL(pack, context, inputs, output);
}

te_rt_status te_rt_copy(te_rt_context *context, const te_rt_tensor *input,
                        const te_rt_tensor *output) {
  return TE_RT_CALL(copy, context, input, output);
}

te_rt_status te_rt_fill(te_rt_context *context, const te_rt_tensor *output,
                        double value) {
  return TE_RT_CALL(fill, context, output, value);
}

te_rt_status te_rt_routing_map(te_rt_context *context,
                               const te_rt_tensor *indices,
                               const te_rt_tensor *row_map,
                               const te_rt_tensor *counts,
                               const te_rt_tensor *offsets, int64_t alignment,
                               int64_t capacity) {
  return TE_RT_CALL(routing_map, context, indices, row_map, counts, offsets,
                    alignment, capacity);
}

te_rt_status te_rt_compute_offsets(te_rt_context *context,
                                   const te_rt_tensor *counts,
                                   const te_rt_tensor *offsets,
                                   int64_t alignment) {
  return TE_RT_CALL(compute_offsets, context, counts, offsets, alignment);
}

te_rt_status te_rt_to_host(te_rt_context *context, const te_rt_tensor *offsets,
                           const te_rt_tensor *output) {
  return TE_RT_CALL(to_host, context, offsets, output);
}

te_rt_status
te_rt_permute(te_rt_context *context, const te_rt_tensor *input,
              const te_rt_tensor *scales, const te_rt_tensor *probs,
              const te_rt_tensor *row_map, const te_rt_tensor *counts,
              const te_rt_tensor *offsets, const te_rt_tensor *output,
              const te_rt_tensor *out_scales, const te_rt_tensor *out_probs) {
  return TE_RT_CALL(permute, context, input, scales, probs, row_map, counts,
                    offsets, output, out_scales, out_probs);
}

te_rt_status te_rt_permute_quantize(
    te_rt_context *context, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *row_map,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *offsets, const te_rt_tensor *counts,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, const te_rt_tensor *out_probs,
    int64_t pow2_scales, double epsilon) {
  return TE_RT_CALL(permute_quantize, context, input, probs, row_map, scale,
                    amax, offsets, counts, values, scales, values_t, scales_t,
                    amax_out, out_probs, pow2_scales, epsilon);
}

te_rt_status te_rt_unpermute(te_rt_context *context, const te_rt_tensor *input,
                             const te_rt_tensor *probs,
                             const te_rt_tensor *row_map,
                             const te_rt_tensor *output,
                             const te_rt_tensor *out_probs) {
  return TE_RT_CALL(unpermute, context, input, probs, row_map, output,
                    out_probs);
}

te_rt_status te_rt_pad(te_rt_context *context, const te_rt_tensor *input,
                       const te_rt_tensor *probs, const te_rt_tensor *from,
                       const te_rt_tensor *to, const te_rt_tensor *output,
                       const te_rt_tensor *out_probs) {
  return TE_RT_CALL(pad, context, input, probs, from, to, output, out_probs);
}

te_rt_status te_rt_unpad(te_rt_context *context, const te_rt_tensor *input,
                         const te_rt_tensor *probs, const te_rt_tensor *from,
                         const te_rt_tensor *to, const te_rt_tensor *output,
                         const te_rt_tensor *out_probs) {
  return TE_RT_CALL(unpad, context, input, probs, from, to, output, out_probs);
}

te_rt_status te_rt_dispatch_map(te_rt_context *context,
                                const te_rt_tensor *indices,
                                const te_rt_tensor *handle,
                                const te_rt_tensor *recv_indices, int64_t ranks,
                                int64_t num_experts) {
  return TE_RT_CALL(dispatch_map, context, indices, handle, recv_indices, ranks,
                    num_experts);
}

te_rt_status te_rt_dispatch(te_rt_context *context, const te_rt_tensor *handle,
                            te_rt_tensor_list inputs,
                            te_rt_tensor_list outputs) {
  return TE_RT_CALL(dispatch, context, handle, inputs, outputs);
}

te_rt_status te_rt_combine(te_rt_context *context, const te_rt_tensor *handle,
                           te_rt_tensor_list inputs,
                           te_rt_tensor_list outputs) {
  return TE_RT_CALL(combine, context, handle, inputs, outputs);
}

te_rt_status te_rt_all_reduce(te_rt_context *context, te_rt_tensor_list inputs,
                              te_rt_tensor_list outputs) {
  return TE_RT_CALL(all_reduce, context, inputs, outputs);
}

te_rt_status te_rt_gemm(te_rt_context *context, const te_rt_tensor *lhs,
                        const te_rt_tensor *lhs_scales,
                        const te_rt_tensor *lhs_amax, const te_rt_tensor *rhs,
                        const te_rt_tensor *rhs_scales,
                        const te_rt_tensor *rhs_amax, const te_rt_tensor *bias,
                        const te_rt_tensor *offsets, const te_rt_tensor *result,
                        int64_t ragged, int64_t member, int64_t transpose_lhs,
                        int64_t transpose_rhs, int64_t accumulate) {
  return TE_RT_CALL(gemm, context, lhs, lhs_scales, lhs_amax, rhs, rhs_scales,
                    rhs_amax, bias, offsets, result, ragged, member,
                    transpose_lhs, transpose_rhs, accumulate);
}

te_rt_status
te_rt_grouped_gemm(te_rt_context *context, const te_rt_tensor *lhs,
                   const te_rt_tensor *lhs_scales, const te_rt_tensor *lhs_amax,
                   te_rt_tensor_list rhs, te_rt_tensor_list rhs_scales,
                   te_rt_tensor_list rhs_amax, te_rt_tensor_list bias,
                   const te_rt_tensor *offsets, te_rt_tensor_list results,
                   int64_t ragged, int64_t transpose_lhs, int64_t transpose_rhs,
                   int64_t accumulate) {
  return TE_RT_CALL(grouped_gemm, context, lhs, lhs_scales, lhs_amax, rhs,
                    rhs_scales, rhs_amax, bias, offsets, results, ragged,
                    transpose_lhs, transpose_rhs, accumulate);
}

te_rt_status te_rt_grouped_gemm_swiglu_quantize(
    te_rt_context *context, const te_rt_tensor *lhs,
    const te_rt_tensor *lhs_scales, te_rt_tensor_list rhs,
    te_rt_tensor_list rhs_scales, const te_rt_tensor *probs,
    const te_rt_tensor *offsets, const te_rt_tensor *result,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    int64_t pow2_scales, double epsilon) {
  return TE_RT_CALL(grouped_gemm_swiglu_quantize, context, lhs, lhs_scales, rhs,
                    rhs_scales, probs, offsets, result, values, scales,
                    values_t, scales_t, pow2_scales, epsilon);
}

te_rt_status te_rt_swiglu(te_rt_context *context, const te_rt_tensor *input,
                          const te_rt_tensor *probs,
                          const te_rt_tensor *offsets,
                          const te_rt_tensor *output) {
  return TE_RT_CALL(swiglu, context, input, probs, offsets, output);
}

te_rt_status te_rt_swiglu_backward(
    te_rt_context *context, const te_rt_tensor *grad, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *grad_input, const te_rt_tensor *grad_probs) {
  return TE_RT_CALL(swiglu_backward, context, grad, input, probs, offsets,
                    grad_input, grad_probs);
}

te_rt_status te_rt_swiglu_quantize(
    te_rt_context *context, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, int64_t pow2_scales, double epsilon) {
  return TE_RT_CALL(swiglu_quantize, context, input, probs, offsets, scale,
                    amax, values, scales, values_t, scales_t, amax_out,
                    pow2_scales, epsilon);
}

te_rt_status te_rt_swiglu_backward_quantize(
    te_rt_context *context, const te_rt_tensor *grad, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, const te_rt_tensor *grad_probs,
    int64_t pow2_scales, double epsilon) {
  return TE_RT_CALL(swiglu_backward_quantize, context, grad, input, probs,
                    offsets, scale, amax, values, scales, values_t, scales_t,
                    amax_out, grad_probs, pow2_scales, epsilon);
}

} // extern "C"
