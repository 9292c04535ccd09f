//===- fused_cast.cpp - casts of rows that another function makes ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rows lie in scratch memory between the two functions that such a cast is
// defined by: the same bits by construction.
//
//===----------------------------------------------------------------------===//

#include "common/check.h"
#include "common/numeric.h"
#include "ref/cast.h"

using namespace te_rt;

namespace {
te_rt_tensor scratchRows(te_rt_context *context, te_rt_dtype dtype,
                         int64_t rows, int64_t cols) {
  te_rt_tensor tensor = {};
  tensor.dtype = dtype;
  tensor.rank = 2;
  tensor.shape[0] = rows;
  tensor.shape[1] = cols;
  tensor.data = context->scratch<char>(
      kScratchRows, static_cast<size_t>(bytesOf(dtype, rows * cols)));
  return tensor;
}
} // namespace

te_rt_status
ref::castRows(te_rt_context *context, const te_rt_tensor &rows,
              const te_rt_tensor *scale, const te_rt_tensor *amax,
              const te_rt_tensor *offsets, const te_rt_tensor *values,
              const te_rt_tensor *scales, const te_rt_tensor *values_t,
              const te_rt_tensor *scales_t, const te_rt_tensor *amax_out,
              int64_t pow2_scales, double epsilon) {
  return ref::quantize(context, &rows, scale, amax, /*noop=*/nullptr, offsets,
                       /*rng=*/nullptr, values, scales, values_t, scales_t,
                       amax_out, /*tensor_amax=*/nullptr,
                       /*tensor_amax_t=*/nullptr, /*member=*/-1, pow2_scales,
                       /*square_blocks=*/0, /*hadamard=*/0, /*rng_stream=*/0,
                       epsilon);
}

te_rt_status
ref::requantize(te_rt_context *context, const te_rt_tensor *input,
                const te_rt_tensor *input_scales, const te_rt_tensor *scale,
                const te_rt_tensor *amax, const te_rt_tensor *offsets,
                const te_rt_tensor *values, const te_rt_tensor *scales,
                const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
                const te_rt_tensor *amax_out, int64_t via, int64_t pow2_scales,
                double epsilon) {
  te_rt_tensor rows = scratchRows(context, static_cast<te_rt_dtype>(via),
                                  input->shape[0], input->shape[1]);
  if (te_rt_status status =
          ref::dequantize(context, input, input_scales,
                          /*tensor_amax=*/nullptr, offsets, &rows))
    return status;
  return castRows(context, rows, scale, amax, offsets, values, scales, values_t,
                  scales_t, amax_out, pow2_scales, epsilon);
}

te_rt_status ref::permute_quantize(
    te_rt_context *context, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *row_map,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *offsets, const te_rt_tensor *counts,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, const te_rt_tensor *out_probs,
    int64_t pow2_scales, double epsilon) {
  te_rt_tensor rows =
      scratchRows(context, input->dtype, rowsOfCast(values, values_t, scales_t),
                  input->shape[1]);
  if (te_rt_status status = ref::permute(
          context, input, /*scales=*/nullptr, probs, row_map, counts,
          counts ? offsets : nullptr, &rows, /*out_scales=*/nullptr, out_probs))
    return status;
  return castRows(context, rows, scale, amax, offsets, values, scales, values_t,
                  scales_t, amax_out, pow2_scales, epsilon);
}
