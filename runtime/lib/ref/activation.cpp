//===- activation.cpp - gated activations ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"
#include "common/numeric.h"
#include "ref/cast.h"

#include <cmath>

using namespace te_rt;
using namespace te_rt::ref;

namespace {
/// Calls body(row) for each row that a group owns.
template <typename Body>
te_rt_status forOwnedRows(te_rt_context *context, const te_rt_tensor *offsets,
                          int64_t rows, Body &&body) {
  constexpr int64_t grain = 8;
  TempVector<Group> groups;
  if (te_rt_status status =
          readGroups(context, "offsets", offsets, rows, -1, groups))
    return status;
  for (const Group &group : groups)
    parallelRanges(context, group.size(), grain,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                       body(group.begin + i);
                   });
  return TE_RT_OK;
}

template <typename T>
void swigluRow(const T *input, int64_t width, float prob, T *output) {
  for (int64_t j = 0; j < width; ++j) {
    float a = toFloat(input[j]), b = toFloat(input[width + j]);
    float silu = a / (1.0f + std::exp(-a));
    fromFloat(silu * b * prob, output[j]);
  }
}

/// Returns the gradient of the probability.
template <typename T>
float swigluBackwardRow(const T *grad, const T *input, int64_t width, float p,
                        T *gradInput) {
  float gradProb = 0.0f;
  for (int64_t j = 0; j < width; ++j) {
    float g = toFloat(grad[j]);
    float a = toFloat(input[j]), b = toFloat(input[width + j]);
    float s = 1.0f / (1.0f + std::exp(-a));
    fromFloat(g * p * (s + a * s * (1.0f - s)) * b, gradInput[j]);
    fromFloat(g * p * a * s, gradInput[width + j]);
    gradProb += g * a * s * b;
  }
  return gradProb;
}

float probOf(const te_rt_tensor *probs, int64_t row) {
  return probs ? data<float>(probs)[row] : 1.0f;
}

void *scratchFor(te_rt_context *context, ScratchUse use,
                 const te_rt_tensor &tensor) {
  return context->scratch<char>(use,
                                bytesOf(tensor.dtype, numElements(tensor)));
}
} // namespace

te_rt_status ref::swiglu(te_rt_context *context, const te_rt_tensor *input,
                         const te_rt_tensor *probs, const te_rt_tensor *offsets,
                         const te_rt_tensor *output) {
  int64_t width = output->shape[1];
  te_rt_status status = TE_RT_OK;
  withFloatType(input->dtype, [&](auto element) {
    using T = decltype(element);
    status = forOwnedRows(context, offsets, input->shape[0], [&](int64_t row) {
      swigluRow(data<T>(*input) + row * 2 * width, width, probOf(probs, row),
                data<T>(*output) + row * width);
    });
  });
  return status;
}

te_rt_status ref::swiglu_backward(
    te_rt_context *context, const te_rt_tensor *grad, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *grad_input, const te_rt_tensor *grad_probs) {
  int64_t width = grad->shape[1];
  te_rt_status status = TE_RT_OK;
  withFloatType(input->dtype, [&](auto element) {
    using T = decltype(element);
    status = forOwnedRows(context, offsets, input->shape[0], [&](int64_t row) {
      float gradProb = swigluBackwardRow(
          data<T>(*grad) + row * width, data<T>(*input) + row * 2 * width,
          width, probOf(probs, row), data<T>(*grad_input) + row * 2 * width);
      if (grad_probs)
        data<float>(grad_probs)[row] = gradProb;
    });
  });
  return status;
}

// The activation is rounded into memory of the context, of which the cast reads
// the rows that were written.

te_rt_status
ref::swiglu_quantize(te_rt_context *context, const te_rt_tensor *input,
                     const te_rt_tensor *probs, const te_rt_tensor *offsets,
                     const te_rt_tensor *scale, const te_rt_tensor *amax,
                     const te_rt_tensor *values, const te_rt_tensor *scales,
                     const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
                     const te_rt_tensor *amax_out, int64_t pow2_scales,
                     double epsilon) {
  te_rt_tensor output = swigluOutput(*input, nullptr);
  output.data = scratchFor(context, kScratchRows, output);
  if (te_rt_status status = swiglu(context, input, probs, offsets, &output))
    return status;
  return castRows(context, output, scale, amax, offsets, values, scales,
                  values_t, scales_t, amax_out, pow2_scales, epsilon);
}

te_rt_status ref::swiglu_backward_quantize(
    te_rt_context *context, const te_rt_tensor *grad, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, const te_rt_tensor *grad_probs,
    int64_t pow2_scales, double epsilon) {
  te_rt_tensor gradInput = *input;
  gradInput.data = scratchFor(context, kScratchRows, gradInput);
  if (te_rt_status status = swiglu_backward(context, grad, input, probs,
                                            offsets, &gradInput, grad_probs))
    return status;
  return castRows(context, gradInput, scale, amax, offsets, values, scales,
                  values_t, scales_t, amax_out, pow2_scales, epsilon);
}

// The product lies in memory of the context where nobody else wants it.
te_rt_status ref::grouped_gemm_swiglu_quantize(
    te_rt_context *context, const te_rt_tensor *lhs,
    const te_rt_tensor *lhs_scales, te_rt_tensor_list rhs,
    te_rt_tensor_list rhs_scales, const te_rt_tensor *probs,
    const te_rt_tensor *offsets, const te_rt_tensor *result,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    int64_t pow2_scales, double epsilon) {
  te_rt_tensor product = productOutput(*lhs, rhs.items[0], nullptr);
  product.data = result ? result->data
                        : scratchFor(context, kScratchProduct, product);
  if (te_rt_status status =
          grouped_gemm(context, lhs, lhs_scales, nullptr, rhs, rhs_scales, {},
                       {}, offsets, {&product, 1}, TE_RT_RAGGED_ROWS, 0, 0, 0))
    return status;
  if (!values && !values_t)
    return TE_RT_OK;
  return swiglu_quantize(context, &product, probs, offsets, nullptr, nullptr,
                         values, scales, values_t, scales_t, nullptr,
                         pow2_scales, epsilon);
}
