//===- check_quantize.cpp - contracts of quantize.h -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"

using namespace te_rt;

namespace {
constexpr std::initializer_list<te_rt_dtype> kFloats = {TE_RT_BF16, TE_RT_F32};
constexpr std::initializer_list<te_rt_dtype> kFp8 = {TE_RT_F8E4M3,
                                                     TE_RT_F8E5M2};
constexpr std::initializer_list<te_rt_dtype> kQuantized = {
    TE_RT_F8E4M3, TE_RT_F8E5M2, TE_RT_F4E2M1};

/// How a matrix is divided: packed [members, rows, cols], or ragged.
struct Matrix {
  int64_t rows, cols, members, groups;
};

Matrix matrixOf(Checker &check, const Arg &input, const te_rt_tensor *offsets) {
  input.rank(2, 3);
  int32_t packed = input && input.get().rank == 3;
  if (packed && offsets)
    check.finding("offsets", "a tensor", "none for a packed input");
  return {input.dim(packed), input.dim(packed + 1), packed ? input.dim(0) : 0,
          check.offsets("offsets", offsets)};
}

/// Arguments of quantize for one tensor.
struct Cast {
  Arg input, scale, amax, noop;
  const te_rt_tensor *offsets;
  Arg rng, values, scales, valuesT, scalesT, amaxOut, tensorAmax, tensorAmaxT;
  int64_t member;
  bool pow2, squareBlocks, hadamard;
  double epsilon;
};

/// One direction: its values, its scales and the amax that these stand under.
struct Direction {
  const Arg &values, &scales, &tensorAmax;
  bool columnwise;

  bool isFp4() const { return values && values.get().dtype == TE_RT_F4E2M1; }
  bool isTransposed() const {
    return columnwise && !(scales && isUntransposed(scales.get()));
  }
};

void checkBlocks(Checker &check, const Direction &direction) {
  const Arg &arg = direction.scales;
  if (!arg || arg.get().layout == TE_RT_TENSOR)
    return;
  int32_t rows = arg.get().block_rows, cols = arg.get().block_cols;
  std::string found = "blocks of " + blockOf(arg.get());
  if ((rows != 1 && cols != 1 && rows != cols) || (rows == 1 && cols == 1))
    check.finding(arg.label(), found, "1 x n, n x 1 or n x n of n above 1");
  if (arg && arg.get().dtype == TE_RT_F8E8M0 &&
      (rows == 32) != direction.columnwise)
    check.finding(arg.label(), found,
                  direction.columnwise ? "32 x 1 columnwise"
                                       : "1 x 32 rowwise");
}

void checkDirection(Checker &check, const Cast &cast,
                    const Direction &direction, const Matrix &m) {
  const auto &[values, scales, tensorAmax, columnwise] = direction;
  check.pair(values, scales);
  values.type(kQuantized);
  bool transposed = direction.isTransposed();
  if (cast.input && values) {
    Shape wanted = shapeOf(cast.input.get());
    if (transposed)
      std::swap(wanted[wanted.size() - 1], wanted[wanted.size() - 2]);
    values.shape(wanted);
    check.scales(scales, transposed ? m.cols : m.rows,
                 transposed ? m.rows : m.cols, m.members,
                 transposed ? Ragged::Cols : Ragged::Rows, m.groups,
                 scaleTypesOf(values.get().dtype));
  }
  checkBlocks(check, direction);
  if (cast.scale && scales && scales.get().layout != TE_RT_TENSOR)
    check.finding(scales.label(), "scales of blocks",
                  "TENSOR scales, as a scale is given");

  if (values && direction.isFp4() != (tensorAmax.pointer() != nullptr))
    check.finding(tensorAmax.label(),
                  direction.isFp4() ? "no tensor" : "a tensor",
                  direction.isFp4() ? "one for F4E2M1 values"
                                    : "none but for F4E2M1 values");
  else if (!values && tensorAmax)
    check.finding(tensorAmax.label(), "a tensor",
                  "none, as there is no " + values.label());
  int64_t domains = m.members ? m.members : m.groups;
  tensorAmax.type({TE_RT_F32}).shape(domains ? Shape{domains} : Shape{});

  if (scales && isByteScale(scales.get().dtype)) {
    std::string none =
        std::string("0 for ") + dtypeName(scales.get().dtype) + " scales";
    if (cast.pow2)
      check.finding("pow2_scales", 1, none);
    if (cast.epsilon != 0)
      check.finding("epsilon", cast.epsilon, none);
  } else if (scales && cast.squareBlocks) {
    check.finding("square_blocks", 1, "0 for F32 scales");
  }
  if (cast.rng && values && !direction.isFp4())
    check.finding("rng", "a tensor",
                  std::string("none for ") + dtypeName(values.get().dtype) +
                      " " + values.label());
}

void checkCast(Checker &check, const Cast &cast) {
  cast.input.type(kFloats);
  Matrix m = matrixOf(check, cast.input, cast.offsets);
  int64_t domains = m.members ? m.members : m.groups;
  // One value for each member of a group: one for all of them is refused, as
  // each has its own history. A call for one member has that member's alone.
  for (const Arg *arg : {&cast.scale, &cast.amax, &cast.amaxOut}) {
    arg->type({TE_RT_F32});
    if (domains && cast.member < 0)
      arg->shape({domains});
    else
      arg->rank(0, 0);
  }
  cast.noop.type({TE_RT_F32}).rank(0, 0);
  cast.rng.type({TE_RT_I64}).shape({2});

  const Direction rowwise = {cast.values, cast.scales, cast.tensorAmax, false};
  const Direction columnwise = {cast.valuesT, cast.scalesT, cast.tensorAmaxT,
                                true};
  checkDirection(check, cast, rowwise, m);
  checkDirection(check, cast, columnwise, m);
  if (cast.scales && cast.scalesT && cast.scales.get().layout == TE_RT_TENSOR &&
      cast.scalesT.get().layout == TE_RT_TENSOR)
    cast.scalesT.shape(shapeOf(cast.scales.get()));
  if (cast.hadamard && check.ok()) {
    if (!columnwise.isFp4())
      check.finding("hadamard", 1, "0 without F4E2M1 values_t");
    if (cast.input.get().dtype != TE_RT_BF16)
      check.finding("input", dtypeName(cast.input.get().dtype),
                    "BF16 for hadamard");
  }
  if (domains == 0)
    check.attribute("member", cast.member, -1, -1);
  else
    check.attribute("member", cast.member, -1, domains - 1);
  if (!(cast.epsilon >= 0))
    check.finding("epsilon", cast.epsilon, "0 or more");
}
} // namespace

te_rt_status
check::quantize(te_rt_context *context, const te_rt_tensor *input,
                const te_rt_tensor *scale, const te_rt_tensor *amax,
                const te_rt_tensor *noop, const te_rt_tensor *offsets,
                const te_rt_tensor *rng, const te_rt_tensor *values,
                const te_rt_tensor *scales, const te_rt_tensor *values_t,
                const te_rt_tensor *scales_t, const te_rt_tensor *amax_out,
                const te_rt_tensor *tensor_amax,
                const te_rt_tensor *tensor_amax_t, int64_t member,
                int64_t pow2_scales, int64_t square_blocks, int64_t hadamard,
                int64_t, double epsilon) {
  Checker check(context);
  checkCast(check,
            {check.required("input", input), check.optional("scale", scale),
             check.optional("amax", amax), check.optional("noop", noop),
             offsets, check.optional("rng", rng),
             check.optional("values", values), check.optional("scales", scales),
             check.optional("values_t", values_t),
             check.optional("scales_t", scales_t),
             check.optional("amax_out", amax_out),
             check.optional("tensor_amax", tensor_amax),
             check.optional("tensor_amax_t", tensor_amax_t), member,
             pow2_scales != 0, square_blocks != 0, hadamard != 0, epsilon});
  return check.status();
}

te_rt_status check::multi_cast_transpose(
    te_rt_context *context, te_rt_tensor_list inputs, te_rt_tensor_list scale,
    te_rt_tensor_list amax, const te_rt_tensor *noop, te_rt_tensor_list values,
    te_rt_tensor_list scales, te_rt_tensor_list values_t,
    te_rt_tensor_list scales_t, te_rt_tensor_list amax_out,
    te_rt_tensor_list tensor_amax, te_rt_tensor_list tensor_amax_t,
    int64_t pow2_scales, int64_t square_blocks, double epsilon) {
  Checker check(context);
  check.list("inputs", inputs, inputs.count);
  const std::pair<const char *, te_rt_tensor_list> lists[] = {
      {"scale", scale},
      {"amax", amax},
      {"values", values},
      {"scales", scales},
      {"values_t", values_t},
      {"scales_t", scales_t},
      {"amax_out", amax_out},
      {"tensor_amax", tensor_amax},
      {"tensor_amax_t", tensor_amax_t},
  };
  for (const auto &[name, list] : lists)
    check.list(name, list, inputs.count, /*mayBeEmpty=*/true);
  for (int64_t i = 0; check.ok() && i < inputs.count; ++i) {
    auto arg = [&](const char *name, te_rt_tensor_list list) {
      return list.count ? check.element(name, list, i)
                        : check.optional(name, nullptr);
    };
    checkCast(check,
              {check.element("inputs", inputs, i), arg("scale", scale),
               arg("amax", amax), check.optional("noop", noop),
               /*offsets=*/nullptr, check.optional("rng", nullptr),
               arg("values", values), arg("scales", scales),
               arg("values_t", values_t), arg("scales_t", scales_t),
               arg("amax_out", amax_out), arg("tensor_amax", tensor_amax),
               arg("tensor_amax_t", tensor_amax_t), /*member=*/-1,
               pow2_scales != 0, square_blocks != 0, /*hadamard=*/false,
               epsilon});
  }
  return check.status();
}

te_rt_status
check::dequantize(te_rt_context *context, const te_rt_tensor *values,
                  const te_rt_tensor *scales, const te_rt_tensor *tensor_amax,
                  const te_rt_tensor *offsets, const te_rt_tensor *output) {
  Checker check(context);
  Arg in = check.required("values", values);
  Arg out = check.required("output", output);
  in.type(kQuantized);
  Matrix m = matrixOf(check, in, offsets);
  if (in)
    check.scales(check.required("scales", scales), m.rows, m.cols, m.members,
                 Ragged::Rows, m.groups, scaleTypesOf(values->dtype));
  Arg amax = check.optional("tensor_amax", tensor_amax);
  int64_t domains = m.members ? m.members : m.groups;
  if (in && (values->dtype == TE_RT_F4E2M1) != (tensor_amax != nullptr))
    check.finding("tensor_amax", tensor_amax ? "a tensor" : "no tensor",
                  tensor_amax ? "none but for F4E2M1 values"
                              : "one for F4E2M1 values");
  amax.type({TE_RT_F32}).shape(domains ? Shape{domains} : Shape{});
  out.type(kFloats);
  if (in)
    out.shape(shapeOf(*values));
  return check.status();
}

te_rt_status
check::requantize(te_rt_context *context, const te_rt_tensor *input,
                  const te_rt_tensor *input_scales, const te_rt_tensor *scale,
                  const te_rt_tensor *amax, const te_rt_tensor *offsets,
                  const te_rt_tensor *values, const te_rt_tensor *scales,
                  const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
                  const te_rt_tensor *amax_out, int64_t via,
                  int64_t pow2_scales, double epsilon) {
  Checker check(context);
  Arg in = check.required("input", input).type(kFp8).rank(2, 2);
  Matrix m = matrixOf(check, in, offsets);
  check.scales(check.required("input_scales", input_scales), m.rows, m.cols,
               m.members, Ragged::Rows, m.groups, scaleTypesOf(TE_RT_F8E4M3));
  check.attribute("via", via, TE_RT_F32, TE_RT_BF16);
  if (!check.ok())
    return check.status();
  te_rt_tensor rows = *input;
  rows.dtype = static_cast<te_rt_dtype>(via);
  return checkFusedCast(context, rows, scale, amax, offsets, values, scales,
                        values_t, scales_t, amax_out, pow2_scales, epsilon);
}

te_rt_status te_rt::checkFusedCast(
    te_rt_context *context, const te_rt_tensor &rows, const te_rt_tensor *scale,
    const te_rt_tensor *amax, const te_rt_tensor *offsets,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, int64_t pow2_scales, double epsilon) {
  // Whose scales need the amax of the whole tensor first.
  Checker check(context);
  for (const Arg &arg :
       {check.optional("values", values), check.optional("values_t", values_t)})
    if (arg && arg.get().dtype == TE_RT_F4E2M1)
      check.finding(arg.label(), "F4E2M1", "F8E4M3 or F8E5M2",
                    TE_RT_UNSUPPORTED);
  if (!check.ok())
    return check.status();
  return check::quantize(
      context, &rows, scale, amax, /*noop=*/nullptr, offsets, /*rng=*/nullptr,
      values, scales, values_t, scales_t, amax_out, /*tensor_amax=*/nullptr,
      /*tensor_amax_t=*/nullptr, /*member=*/-1, pow2_scales,
      /*square_blocks=*/0, /*hadamard=*/0, /*rng_stream=*/0, epsilon);
}

te_rt_status check::advance_rng(te_rt_context *context, const te_rt_tensor *rng,
                                const te_rt_tensor *output, int64_t) {
  Checker check(context);
  Arg state = check.required("rng", rng).type({TE_RT_I64}).rank(1, 2);
  if (state && lastDim(*rng) != 2)
    check.finding("rng", "shape " + toString(shapeOf(*rng)), "[2] or [N, 2]");
  Arg next = check.required("output", output).typeOf(state);
  if (state)
    next.shape(shapeOf(*rng));
  return check.status();
}

te_rt_status
check::update_scales(te_rt_context *context, te_rt_tensor_list amax,
                     te_rt_tensor_list history, te_rt_tensor_list scale,
                     te_rt_tensor_list history_out, te_rt_tensor_list scale_out,
                     double fp8_max, int64_t margin, int64_t) {
  Checker check(context);
  check.list("amax", amax, amax.count);
  check.list("history", history, amax.count);
  check.list("scale", scale, amax.count);
  check.list("history_out", history_out, amax.count);
  check.list("scale_out", scale_out, amax.count);
  for (int64_t i = 0; check.ok() && i < amax.count; ++i) {
    Arg last = check.element("amax", amax, i);
    Arg past = check.element("history", history, i);
    last.type({TE_RT_F32}).rank(0, 1);
    if (!last)
      break;
    past.type({TE_RT_F32}).rank(last.get().rank + 1, last.get().rank + 1);
    if (past && last.get().rank == 1 && past.dim(0) != last.dim(0))
      check.finding(past.label(), "shape " + toString(shapeOf(past.get())),
                    "[" + std::to_string(last.dim(0)) + ", L]");
    if (past && past.dim(last.get().rank) < 1)
      check.finding(past.label(), "length 0", "1 or more");
    for (const Arg &arg : {check.element("scale", scale, i),
                           check.element("scale_out", scale_out, i)})
      arg.type({TE_RT_F32}).shape(shapeOf(last.get()));
    if (past)
      check.element("history_out", history_out, i)
          .type({TE_RT_F32})
          .shape(shapeOf(past.get()));
  }
  if (!(fp8_max > 0))
    check.finding("fp8_max", fp8_max, "above 0");
  check.attribute("margin", margin, -64, 64);
  return check.status();
}

te_rt_status check::amax(te_rt_context *context, const te_rt_tensor *input,
                         const te_rt_tensor *offsets, const te_rt_tensor *amax,
                         int64_t member) {
  Checker check(context);
  Arg in = check.required("input", input);
  in.type(kFloats);
  Matrix m = matrixOf(check, in, offsets);
  check.attribute("member", member, -1, m.groups - 1);
  Arg out = check.required("amax", amax);
  out.type({TE_RT_F32});
  if (m.members || (m.groups && member < 0))
    out.shape({m.members ? m.members : m.groups});
  else
    out.rank(0, 0);
  return check.status();
}

te_rt_status check::scale_from_amax(te_rt_context *context,
                                    te_rt_tensor_list amax,
                                    te_rt_tensor_list scale, double fp8_max,
                                    int64_t, double epsilon) {
  Checker check(context);
  check.sameLists("amax", amax, "scale", scale, {TE_RT_F32});
  if (!(fp8_max > 0))
    check.finding("fp8_max", fp8_max, "above 0");
  if (!(epsilon >= 0))
    check.finding("epsilon", epsilon, "0 or more");
  return check.status();
}
