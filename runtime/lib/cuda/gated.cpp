//===- gated.cpp - products of which the activation is cast ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One kernel on sm_90, for operands that its copy engine can read; grouped_gemm
// and swiglu_quantize for the rest. Which way is told by the arguments alone.
//
//===----------------------------------------------------------------------===//

#include "common/numeric.h"
#include "cuda/kernels/wide_params.h"
#include "cuda/product.h"

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
/// Whether words of 16 bytes of it can be written.
bool isAligned(const te_rt_tensor *tensor) {
  return reinterpret_cast<uintptr_t>(data<void>(tensor)) % 16 == 0;
}
} // namespace

te_rt_status cuda::grouped_gemm_swiglu_quantize(
    te_rt_context *context, const te_rt_tensor *lhs,
    const te_rt_tensor *lhs_scales, te_rt_tensor_list rhs,
    te_rt_tensor_list rhs_scales, const te_rt_tensor *probs,
    const te_rt_tensor *offsets, const te_rt_tensor *result,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    int64_t pow2_scales, double epsilon) {
  CudaDevice &device = deviceOf(context);
  te_rt_tensor product =
      result ? *result : productOutput(*lhs, rhs.items[0], nullptr);
  ProductCall call = {lhs,
                      lhs_scales,
                      rhs,
                      rhs_scales,
                      /*bias=*/{},
                      offsets,
                      {&product, 1},
                      TE_RT_RAGGED_ROWS,
                      /*transposeLhs=*/false,
                      /*transposeRhs=*/false,
                      /*accumulate=*/false,
                      /*firstGroup=*/0,
                      offsets->shape[0] - 1};
  call.written = values ? values->data : values_t ? values_t->data : nullptr;
  auto runFused = [&]() -> Outcome {
    GatedArgs args = {};
    TE_RT_TRY(describeGrouped(device, call, GroupedScale::RowSquare, kTile,
                              args.product));
    args.probs = data<float>(probs);
    int64_t rows = product.shape[0], cols = product.shape[1] / 2;
    if (values)
      TE_RT_TRY(describeOutput(*values, *scales, rows, cols, /*ragged=*/true,
                               /*columnwise=*/false, args.out[0]));
    if (values_t)
      TE_RT_TRY(describeOutput(*values_t, *scales_t, rows, cols,
                               /*ragged=*/true, /*columnwise=*/true,
                               args.out[1]));
    args.epsilon = static_cast<float>(epsilon);
    args.overflow = largestValue(TE_RT_BF16);
    args.pow2 = pow2_scales != 0;
    int64_t clusters = device.numSms() / kGroupedCluster;
    return device.launch(
        "grouped_swiglu_quantize",
        {clusters * kGroupedCluster, kWideThreads, kWideSharedBytes,
         /*cooperative=*/false, /*overlaps=*/true},
        args);
  };
  if (products::whyNot(Way::Own, formOf(device, call)).empty() &&
      isAligned(result)) {
    context->variant = "own:grouped_swiglu_quantize";
    return context->finish(runFused());
  }

  if (!result)
    if (te_rt_status status = context->finish(device.scratch(
            Use::Product,
            static_cast<size_t>(product.shape[0] * product.shape[1]) *
                elementSize(product.dtype),
            &product.data)))
      return status;
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
