//===- check_layout.cpp - contracts of layout.h and activation.h ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"

#include <cmath>

using namespace te_rt;

te_rt_status check::convert_scales(te_rt_context *context,
                                   const te_rt_tensor *scales,
                                   const te_rt_tensor *output, int64_t rows,
                                   int64_t cols) {
  Checker check(context);
  Arg from = check.required("scales", scales);
  Arg to = check.required("output", output);
  constexpr int64_t most = int64_t(1) << 40;
  check.attribute("rows", rows, 0, most);
  check.attribute("cols", cols, 0, most);
  from.rank(2, 3);
  to.typeOf(from);
  if (!check.ok())
    return check.status();
  auto blocks = [](const te_rt_tensor &t) {
    return "blocks of " + std::to_string(t.block_rows) + " x " +
           std::to_string(t.block_cols) + ", " + std::to_string(t.groups) +
           " groups";
  };
  if (blocks(*scales) != blocks(*output))
    check.finding("output", blocks(*output), blocks(*scales));
  if (scales->groups < 0)
    check.finding("scales.groups", scales->groups, "0 or more");
  if (scales->block_rows != 1 && scales->block_cols != 1 && scales->groups)
    check.finding("scales", blocks(*scales), "no groups", TE_RT_UNSUPPORTED);
  Ragged ragged = raggedOf(*scales);
  int64_t members = scales->rank == 3 ? scales->shape[0] : 0;
  for (const Arg *arg : {&from, &to}) {
    if (*arg && arg->get().layout == TE_RT_TENSOR)
      check.finding(arg->label(), "layout TENSOR",
                    "COMPACT, GEMM_READY or SWIZZLED");
    if (*arg && arg->get().layout == TE_RT_SWIZZLED && scales->groups)
      check.finding("scales.groups", scales->groups, "0 for SWIZZLED scales",
                    TE_RT_UNSUPPORTED);
    check.scales(*arg, rows, cols, members, ragged, scales->groups,
                 {TE_RT_F32, TE_RT_F8E8M0, TE_RT_F8E4M3});
  }
  return check.status();
}

te_rt_status check::transpose(te_rt_context *context, const te_rt_tensor *input,
                              const te_rt_tensor *output) {
  Checker check(context);
  Arg in = check.required("input", input).rank(2, 3);
  if (in && input->dtype == TE_RT_F4E2M1)
    check.finding("input", "F4E2M1", "elements of whole bytes",
                  TE_RT_UNSUPPORTED);
  if (in) {
    Shape wanted = shapeOf(*input);
    std::swap(wanted[wanted.size() - 1], wanted[wanted.size() - 2]);
    check.required("output", output).typeOf(in).shape(wanted);
  }
  return check.status();
}

te_rt_status check::pack(te_rt_context *context, te_rt_tensor_list inputs,
                         const te_rt_tensor *output) {
  Checker check(context);
  check.list("inputs", inputs, inputs.count);
  Arg out = check.required("output", output).rank(1, TE_RT_MAX_RANK);
  if (out && out.dim(0) != inputs.count)
    check.finding("output", "shape " + toString(shapeOf(*output)),
                  "a first extent of " + std::to_string(inputs.count));
  for (int64_t i = 0; check.ok() && i < inputs.count; ++i)
    check.element("inputs", inputs, i)
        .typeOf(out)
        .shape(Shape(output->shape + 1, output->shape + output->rank));
  return check.status();
}

te_rt_status check::copy(te_rt_context *context, const te_rt_tensor *input,
                         const te_rt_tensor *output) {
  Checker check(context);
  Arg in = check.required("input", input);
  if (in)
    check.required("output", output).typeOf(in).shape(shapeOf(*input));
  return check.status();
}

te_rt_status check::fill(te_rt_context *context, const te_rt_tensor *output,
                         double value) {
  Checker check(context);
  Arg out = check.required("output", output);
  if (!out)
    return check.status();
  int exponent;
  switch (output->dtype) {
  case TE_RT_F8E8M0:
    if (!std::isnan(value) &&
        !(value > 0 && std::frexp(value, &exponent) == 0.5 &&
          exponent >= -126 && exponent <= 128))
      check.finding("value", value, "a power of two or NaN for F8E8M0");
    break;
  case TE_RT_U8:
  case TE_RT_I32:
  case TE_RT_I64: {
    double most = output->dtype == TE_RT_U8    ? 256
                  : output->dtype == TE_RT_I32 ? 0x1p31
                                               : 0x1p63;
    double least = output->dtype == TE_RT_U8 ? 0 : -most;
    if (!(value >= least && value < most) || value != std::floor(value))
      check.finding("value", value,
                    std::string("an integer of ") + dtypeName(output->dtype));
    break;
  }
  default:
    break;
  }
  return check.status();
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

namespace {
/// input [C, 2F] and half [C, F] of one type, with the optional arguments that
/// both directions have.
void checkGated(Checker &check, const te_rt_tensor *input, const char *halfName,
                const te_rt_tensor *half, const te_rt_tensor *probs,
                const te_rt_tensor *offsets) {
  Arg in = check.required("input", input);
  in.type({TE_RT_BF16, TE_RT_F32}).rank(2, 2);
  if (in && in.dim(1) % 2 != 0)
    check.finding("input", "shape " + toString(shapeOf(*input)),
                  "an even number of columns");
  check.required(halfName, half).typeOf(in).shape({in.dim(0), in.dim(1) / 2});
  check.optional("probs", probs).type({TE_RT_F32}).shape({in.dim(0)});
  check.offsets("offsets", offsets);
}
} // namespace

te_rt_status check::swiglu(te_rt_context *context, const te_rt_tensor *input,
                           const te_rt_tensor *probs,
                           const te_rt_tensor *offsets,
                           const te_rt_tensor *output) {
  Checker check(context);
  checkGated(check, input, "output", output, probs, offsets);
  return check.status();
}

te_rt_status check::swiglu_backward(
    te_rt_context *context, const te_rt_tensor *grad, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *grad_input, const te_rt_tensor *grad_probs) {
  Checker check(context);
  checkGated(check, input, "grad", grad, probs, offsets);
  Arg in = check.required("input", input);
  if (in)
    check.required("grad_input", grad_input).typeOf(in).shape(shapeOf(*input));
  check.optional("grad_probs", grad_probs).type({TE_RT_F32}).shape({in.dim(0)});
  return check.status();
}

te_rt_tensor te_rt::swigluOutput(const te_rt_tensor &input, void *memory) {
  te_rt_tensor output = input;
  output.data = memory;
  output.shape[1] = input.shape[1] / 2;
  return output;
}

// What lies between the activation and the cast is checked as if it were
// written over the input, which it fits into.

te_rt_status check::swiglu_quantize(
    te_rt_context *context, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, int64_t pow2_scales, double epsilon) {
  Checker check(context);
  check.required("input", input).rank(2, 2);
  if (!check.ok())
    return check.status();
  te_rt_tensor output = swigluOutput(*input, input->data);
  if (te_rt_status status =
          check::swiglu(context, input, probs, offsets, &output))
    return status;
  return checkFusedCast(context, output, scale, amax, offsets, values, scales,
                        values_t, scales_t, amax_out, pow2_scales, epsilon);
}

te_rt_status check::swiglu_backward_quantize(
    te_rt_context *context, const te_rt_tensor *grad, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *offsets,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, const te_rt_tensor *grad_probs,
    int64_t pow2_scales, double epsilon) {
  if (te_rt_status status =
          check::swiglu_backward(context, grad, input, probs, offsets,
                                 /*grad_input=*/input, grad_probs))
    return status;
  return checkFusedCast(context, *input, scale, amax, offsets, values, scales,
                        values_t, scales_t, amax_out, pow2_scales, epsilon);
}
