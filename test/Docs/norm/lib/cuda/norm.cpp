//===- norm.cpp - rows scaled to one length -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/norm.h"
#include "common/numeric.h"
#include "cuda/cast.h"

using namespace te_rt;
using namespace te_rt::cuda;

te_rt_status cuda::rms_norm(te_rt_context *context, const te_rt_tensor *input,
                            const te_rt_tensor *output, double epsilon) {
  NormArgs args = {input->data, output->data, input->shape[0], input->shape[1],
                   static_cast<float>(epsilon)};
  return context->finish(deviceOf(context).launch(
      byType(input->dtype, "rms_norm_bf16", "rms_norm_f32"),
      {ceilDiv(args.rows, kNormRows), kNormRows * 32}, args));
}
