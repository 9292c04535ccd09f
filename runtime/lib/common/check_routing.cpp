//===- check_routing.cpp - contracts of routing.h -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"

using namespace te_rt;

namespace {
constexpr std::initializer_list<te_rt_dtype> kFloats = {TE_RT_BF16, TE_RT_F32};

/// counts I32 [E] beside offsets I32 [E+1], one of which is required.
void checkCounts(Checker &check, const te_rt_tensor *counts,
                 const te_rt_tensor *offsets, int64_t alignment) {
  Arg numbers = check.required("counts", counts);
  numbers.type({TE_RT_I32}).rank(1, 1);
  check.optional("offsets", offsets)
      .type({TE_RT_I32})
      .shape({numbers.dim(0) + 1});
  check.attribute("alignment", alignment, 1, 1 << 20);
}
} // namespace

te_rt_status check::routing_map(te_rt_context *context,
                                const te_rt_tensor *indices,
                                const te_rt_tensor *row_map,
                                const te_rt_tensor *counts,
                                const te_rt_tensor *offsets, int64_t alignment,
                                int64_t capacity) {
  Checker check(context);
  Arg chosen = check.required("indices", indices);
  chosen.type({TE_RT_I32}).rank(2, 2);
  check.required("row_map", row_map)
      .type({TE_RT_I32})
      .shape({chosen.dim(0), chosen.dim(1)});
  checkCounts(check, counts, offsets, alignment);
  check.attribute("capacity", capacity, 0, INT32_MAX);
  return check.status();
}

te_rt_status check::compute_offsets(te_rt_context *context,
                                    const te_rt_tensor *counts,
                                    const te_rt_tensor *offsets,
                                    int64_t alignment) {
  Checker check(context);
  check.required("offsets", offsets);
  checkCounts(check, counts, offsets, alignment);
  return check.status();
}

te_rt_status check::to_host(te_rt_context *context, const te_rt_tensor *offsets,
                            const te_rt_tensor *output) {
  Checker check(context);
  Arg in = check.required("offsets", offsets).type({TE_RT_I32}).rank(1, 1);
  Arg out = check.required("output", output);
  out.typeOf(in).shape({in.dim(0)});
  if (out && !output->on_host)
    check.finding("output", "device memory", "host memory");
  return check.status();
}

te_rt_status
check::permute(te_rt_context *context, const te_rt_tensor *input,
               const te_rt_tensor *scales, const te_rt_tensor *probs,
               const te_rt_tensor *row_map, const te_rt_tensor *counts,
               const te_rt_tensor *offsets, const te_rt_tensor *output,
               const te_rt_tensor *out_scales, const te_rt_tensor *out_probs) {
  Checker check(context);
  Arg in = check.required("input", input).rank(2, 2);
  Arg map = check.required("row_map", row_map);
  Arg out = check.required("output", output);
  map.type({TE_RT_I32}).rank(2, 2).shape({in.dim(0), map.dim(1)});
  out.typeOf(in).rank(2, 2).shape({out.dim(0), in.dim(1)});

  Arg from = check.optional("scales", scales);
  Arg to = check.optional("out_scales", out_scales);
  check.pair(from, to);
  to.typeOf(from);
  for (const Arg *arg : {&from, &to}) {
    if (*arg && (arg->get().block_rows != 1 || arg->get().groups != 0))
      check.finding(arg->label(),
                    "blocks of " + std::to_string(arg->get().block_rows) +
                        " rows, " + std::to_string(arg->get().groups) +
                        " groups",
                    "blocks of 1 row, 0 groups");
    check.scales(*arg, arg == &from ? in.dim(0) : out.dim(0), in.dim(1), 0,
                 Ragged::No, 0, {TE_RT_F32, TE_RT_F8E8M0, TE_RT_F8E4M3});
  }
  if (from && to && scales->block_cols != out_scales->block_cols)
    check.finding("out_scales",
                  "blocks of " + std::to_string(out_scales->block_cols) +
                      " columns",
                  scales->block_cols);

  Arg given = check.optional("probs", probs);
  Arg moved = check.optional("out_probs", out_probs);
  check.pair(given, moved);
  given.type({TE_RT_F32}).shape({map.dim(0), map.dim(1)});
  moved.type({TE_RT_F32}).shape({out.dim(0)});

  int64_t groups = check.offsets("offsets", offsets);
  Arg numbers = check.optional("counts", counts);
  check.pair(numbers, check.optional("offsets", offsets));
  numbers.type({TE_RT_I32}).shape({groups});
  return check.status();
}

te_rt_status check::permute_quantize(
    te_rt_context *context, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *row_map,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *offsets, const te_rt_tensor *counts,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, const te_rt_tensor *out_probs,
    int64_t pow2_scales, double epsilon) {
  Checker check(context);
  Arg in = check.required("input", input).type(kFloats).rank(2, 2);
  check.required("offsets", offsets);
  if (!values && !values_t)
    check.finding("values, values_t", "no tensor", "at least one");
  check.optional("values", values).rank(2, 2);
  check.optional("values_t", values_t).rank(2, 2);
  if (!check.ok())
    return check.status();
  te_rt_tensor rows = *input;
  rows.shape[0] = rowsOfCast(values, values_t, scales_t);
  rows.data = (values ? values : values_t)->data; // there, even of no tokens
  if (te_rt_status status = check::permute(
          context, input, /*scales=*/nullptr, probs, row_map, counts,
          counts ? offsets : nullptr, &rows, /*out_scales=*/nullptr, out_probs))
    return status;
  return checkFusedCast(context, rows, scale, amax, offsets, values, scales,
                        values_t, scales_t, amax_out, pow2_scales, epsilon);
}

te_rt_status check::unpermute(te_rt_context *context, const te_rt_tensor *input,
                              const te_rt_tensor *probs,
                              const te_rt_tensor *row_map,
                              const te_rt_tensor *output,
                              const te_rt_tensor *out_probs) {
  Checker check(context);
  Arg in = check.required("input", input);
  Arg map = check.required("row_map", row_map);
  in.type(kFloats).rank(2, 2);
  map.type({TE_RT_I32}).rank(2, 2);
  check.required("output", output).typeOf(in).shape({map.dim(0), in.dim(1)});
  Arg given = check.optional("probs", probs);
  Arg moved = check.optional("out_probs", out_probs);
  check.pair(given, moved);
  given.type({TE_RT_F32}).shape({in.dim(0)});
  moved.type({TE_RT_F32}).shape({map.dim(0), map.dim(1)});
  return check.status();
}

te_rt_status check::pad(te_rt_context *context, const te_rt_tensor *input,
                        const te_rt_tensor *probs, const te_rt_tensor *from,
                        const te_rt_tensor *to, const te_rt_tensor *output,
                        const te_rt_tensor *out_probs) {
  Checker check(context);
  Arg in = check.required("input", input).rank(2, 2);
  Arg out = check.required("output", output);
  out.typeOf(in).rank(2, 2).shape({out.dim(0), in.dim(1)});
  check.required("from", from);
  Arg after = check.required("to", to);
  int64_t groups = check.offsets("from", from);
  after.type({TE_RT_I32}).shape({groups + 1});
  Arg given = check.optional("probs", probs);
  Arg moved = check.optional("out_probs", out_probs);
  check.pair(given, moved);
  given.type({TE_RT_F32}).shape({in.dim(0)});
  moved.type({TE_RT_F32}).shape({out.dim(0)});
  return check.status();
}

te_rt_status check::unpad(te_rt_context *context, const te_rt_tensor *input,
                          const te_rt_tensor *probs, const te_rt_tensor *from,
                          const te_rt_tensor *to, const te_rt_tensor *output,
                          const te_rt_tensor *out_probs) {
  return check::pad(context, input, probs, from, to, output, out_probs);
}

//===----------------------------------------------------------------------===//
// Communication
//===----------------------------------------------------------------------===//

te_rt_status check::dispatch_map(te_rt_context *context,
                                 const te_rt_tensor *indices,
                                 const te_rt_tensor *handle,
                                 const te_rt_tensor *recv_indices,
                                 int64_t ranks, int64_t num_experts) {
  Checker check(context);
  int64_t world = check.ranks();
  check.attribute("ranks", ranks, world, world);
  check.attribute("num_experts", num_experts, 1, INT32_MAX / world);
  Arg chosen = check.required("indices", indices);
  chosen.type({TE_RT_I32}).rank(2, 2);
  check.required("handle", handle)
      .type({TE_RT_I32})
      .shape({chosen.dim(0), world});
  check.required("recv_indices", recv_indices)
      .type({TE_RT_I32})
      .shape({world * chosen.dim(0), chosen.dim(1)});
  return check.status();
}

namespace {
/// `sent` [T, ...] and `received` [R*T, ...] of one type for each i.
te_rt_status checkExchange(te_rt_context *context, const te_rt_tensor *handle,
                           const char *sentName, te_rt_tensor_list sent,
                           const char *receivedName, te_rt_tensor_list received,
                           bool sums) {
  Checker check(context);
  Arg map = check.required("handle", handle);
  map.type({TE_RT_I32}).rank(2, 2).shape({map.dim(0), check.ranks()});
  check.list(sentName, sent, sent.count);
  check.list(receivedName, received, sent.count);
  for (int64_t i = 0; check.ok() && i < sent.count; ++i) {
    Arg here = check.element(sentName, sent, i);
    Arg there = check.element(receivedName, received, i);
    here.rank(1, TE_RT_MAX_RANK);
    if (sums)
      here.type(kFloats);
    if (!here || !there)
      break;
    Shape wanted = shapeOf(here.get());
    auto rows = [&](int64_t count) {
      return here.get().layout == TE_RT_COMPACT
                 ? scaleRows(here.get().dtype, count)
                 : count;
    };
    wanted[0] = rows(map.dim(0));
    here.shape(wanted);
    wanted[0] = rows(map.dim(0) * check.ranks());
    there.typeOf(here).shape(wanted);
    if (there && there.get().layout != here.get().layout)
      check.finding(there.label(),
                    "layout " + std::to_string(there.get().layout),
                    std::to_string(here.get().layout));
    for (const Arg *arg : {&here, &there})
      if (*arg && arg->get().layout != TE_RT_NOT_SCALES &&
          (arg->get().layout != TE_RT_COMPACT || arg->get().block_rows != 1))
        check.finding(arg->label(),
                      "scales of layout " + std::to_string(arg->get().layout) +
                          " with blocks of " +
                          std::to_string(arg->get().block_rows) + " rows",
                      "COMPACT with blocks of 1 row");
  }
  return check.status();
}
} // namespace

te_rt_status check::dispatch(te_rt_context *context, const te_rt_tensor *handle,
                             te_rt_tensor_list inputs,
                             te_rt_tensor_list outputs) {
  return checkExchange(context, handle, "inputs", inputs, "outputs", outputs,
                       /*sums=*/false);
}

te_rt_status check::combine(te_rt_context *context, const te_rt_tensor *handle,
                            te_rt_tensor_list inputs,
                            te_rt_tensor_list outputs) {
  return checkExchange(context, handle, "outputs", outputs, "inputs", inputs,
                       /*sums=*/true);
}

te_rt_status check::all_reduce(te_rt_context *context, te_rt_tensor_list inputs,
                               te_rt_tensor_list outputs) {
  Checker check(context);
  check.sameLists("inputs", inputs, "outputs", outputs, {TE_RT_F32});
  return check.status();
}
