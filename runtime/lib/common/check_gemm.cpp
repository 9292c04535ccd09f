//===- check_gemm.cpp - contracts of gemm.h -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"

using namespace te_rt;

namespace {
/// One operand, stored outer x reduction, or the other way round if transposed.
struct Operand {
  Arg values, scales, amax;
  bool transposed;
  Ragged ragged; // which of these two groups divide
  int64_t groups;
  bool packed = false;

  int64_t rows() const { return values.dim(packed); }
  int64_t cols() const { return values.dim(packed + 1); }
  int64_t outer() const { return transposed ? cols() : rows(); }
  int64_t reduction() const { return transposed ? rows() : cols(); }
  bool isFp4() const { return values && values.get().dtype == TE_RT_F4E2M1; }
};

void checkAmax(Checker &check, const Operand &operand) {
  bool wanted = operand.isFp4(), found = operand.amax.pointer() != nullptr;
  if (operand.values && wanted != found)
    check.finding(operand.amax.label(), found ? "a tensor" : "no tensor",
                  wanted ? "one for an F4E2M1 operand"
                         : "none but for an F4E2M1 operand");
  int64_t domains = operand.packed ? operand.values.dim(0) : operand.groups;
  operand.amax.type({TE_RT_F32}).shape(domains ? Shape{domains} : Shape{});
}

void checkScales(Checker &check, const Operand &operand) {
  const auto &[values, scales, amax, transposed, ragged, groups, packed] =
      operand;
  if (!scales.pointer())
    return check.finding(scales.label(), "no tensor",
                         std::string("scales of an operand of ") +
                             dtypeName(values.get().dtype));
  check.scales(scales, operand.rows(), operand.cols(),
               packed ? values.dim(0) : 0, ragged, groups,
               scaleTypesOf(values.get().dtype));
  if (!scales)
    return;
  bool bytes = isByteScale(scales.get().dtype);
  if (bytes && scales.get().layout != TE_RT_SWIZZLED)
    return check.finding(scales.label(), "layout COMPACT",
                         std::string("SWIZZLED for ") +
                             dtypeName(scales.get().dtype));
  // Columnwise MXFP8 alone is not transposed when it is made.
  bool untransposed = bytes && isUntransposed(scales.get());
  if (transposed && !untransposed)
    check.finding(values.label(),
                  "a transposed operand of " +
                      std::string(dtypeName(values.get().dtype)),
                  "the reduction in the last dimension");
  if (!transposed && untransposed)
    check.finding(values.label(), "an operand that is not transposed",
                  "the reduction in the first dimension, as its scales are of "
                  "blocks of 32 x 1");
}

void checkOperand(Checker &check, const Operand &operand) {
  const Arg &values = operand.values;
  values.type({TE_RT_BF16, TE_RT_F32, TE_RT_F8E4M3, TE_RT_F8E5M2, TE_RT_F4E2M1})
      .rank(2 + operand.packed, 2 + operand.packed);
  if (!values)
    return;
  if (isFp8(values.get().dtype) || operand.isFp4())
    checkScales(check, operand);
  else if (operand.scales.pointer())
    check.finding(operand.scales.label(), "a tensor",
                  std::string("none for ") + dtypeName(values.get().dtype));
  checkAmax(check, operand);
}

/// Rules for the two operands together.
void checkMeeting(Checker &check, const Operand &lhs, const Operand &rhs) {
  if (check.ok() && lhs.reduction() != rhs.reduction())
    check.finding(rhs.values.label(),
                  "a reduction of " + std::to_string(rhs.reduction()),
                  lhs.reduction());
  if (lhs.values && rhs.values && lhs.values.get().dtype == TE_RT_F8E5M2 &&
      rhs.values.get().dtype == TE_RT_F8E5M2)
    check.finding(rhs.values.label(), "F8E5M2 as lhs",
                  "at most one F8E5M2 operand");
  auto square = [](const Arg &scales) {
    return scales && scales.get().layout != TE_RT_TENSOR &&
           scales.get().block_rows > 1 && scales.get().block_cols > 1;
  };
  if (square(lhs.scales) && square(rhs.scales))
    check.finding(rhs.scales.label(), "square blocks as lhs_scales",
                  "blocks of 1 x n on one side");
  auto recipe = [](const Operand &operand) {
    const Arg &scales = operand.scales;
    return !scales || !isByteScale(scales.get().dtype)
               ? "none of 8 bits"
               : dtypeName(scales.get().dtype);
  };
  if (check.ok() && std::string(recipe(lhs)) != recipe(rhs))
    check.finding(rhs.scales.label(), recipe(rhs),
                  std::string(recipe(lhs)) + " as " + lhs.scales.label());
}

const Arg &checkResult(const Arg &result, int64_t rows, int64_t cols,
                       int64_t packed = 0) {
  result.type({TE_RT_BF16, TE_RT_F32});
  return packed ? result.shape({packed, rows, cols})
                : result.shape({rows, cols});
}
} // namespace

te_rt_status check::gemm(te_rt_context *context, const te_rt_tensor *lhs,
                         const te_rt_tensor *lhs_scales,
                         const te_rt_tensor *lhs_amax, const te_rt_tensor *rhs,
                         const te_rt_tensor *rhs_scales,
                         const te_rt_tensor *rhs_amax, const te_rt_tensor *bias,
                         const te_rt_tensor *offsets,
                         const te_rt_tensor *result, int64_t ragged,
                         int64_t member, int64_t transpose_lhs,
                         int64_t transpose_rhs, int64_t) {
  Checker check(context);
  check.attribute("ragged", ragged, TE_RT_DENSE, TE_RT_RAGGED_REDUCTION);
  int64_t groups = check.offsets("offsets", offsets);
  if (check.ok() && (ragged != TE_RT_DENSE) != (groups > 0))
    check.finding("offsets", groups ? "a tensor" : "no tensor",
                  groups ? "none for a dense product"
                         : "one for a ragged product");
  if (groups)
    check.attribute("member", member, 0, groups - 1);

  bool reduction = ragged == TE_RT_RAGGED_REDUCTION;
  const Operand a = {check.required("lhs", lhs),
                     check.optional("lhs_scales", lhs_scales),
                     check.optional("lhs_amax", lhs_amax),
                     transpose_lhs != 0,
                     raggedOperand(ragged, transpose_lhs),
                     groups};
  const Operand b = {check.required("rhs", rhs),
                     check.optional("rhs_scales", rhs_scales),
                     check.optional("rhs_amax", rhs_amax),
                     transpose_rhs != 0,
                     reduction ? raggedOperand(ragged, transpose_rhs)
                               : Ragged::No,
                     reduction ? groups : 0};
  checkOperand(check, a);
  checkOperand(check, b);
  checkMeeting(check, a, b);
  Arg added = check.optional("bias", bias);
  added.type({TE_RT_BF16, TE_RT_F32}).shape({b.outer()});
  if (added && reduction)
    check.finding("bias", "a tensor", "none for a ragged reduction");
  checkResult(check.required("result", result), a.outer(), b.outer());
  return check.status();
}

te_rt_status
check::grouped_gemm(te_rt_context *context, const te_rt_tensor *lhs,
                    const te_rt_tensor *lhs_scales,
                    const te_rt_tensor *lhs_amax, te_rt_tensor_list rhs,
                    te_rt_tensor_list rhs_scales, te_rt_tensor_list rhs_amax,
                    te_rt_tensor_list bias, const te_rt_tensor *offsets,
                    te_rt_tensor_list results, int64_t ragged,
                    int64_t transpose_lhs, int64_t transpose_rhs, int64_t) {
  Checker check(context);
  check.attribute("ragged", ragged, TE_RT_RAGGED_ROWS, TE_RT_RAGGED_REDUCTION);
  check.required("offsets", offsets);
  int64_t groups = check.offsets("offsets", offsets);
  const Operand a = {check.required("lhs", lhs),
                     check.optional("lhs_scales", lhs_scales),
                     check.optional("lhs_amax", lhs_amax),
                     transpose_lhs != 0,
                     raggedOperand(ragged, transpose_lhs),
                     groups};
  checkOperand(check, a);

  bool reduction = ragged == TE_RT_RAGGED_REDUCTION;
  auto isPacked = [](te_rt_tensor_list list, int32_t rank) {
    return list.count == 1 && list.items && list.items[0].rank == rank;
  };
  bool packed = !reduction && isPacked(rhs, 3);
  check.list("rhs", rhs, reduction || packed ? 1 : groups);
  check.list("rhs_scales", rhs_scales, rhs.count, /*mayBeEmpty=*/true);
  check.list("rhs_amax", rhs_amax, rhs.count, /*mayBeEmpty=*/true);
  int64_t outer = 0; // of the rhs
  for (int64_t i = 0; check.ok() && i < rhs.count; ++i) {
    auto arg = [&](const char *name, te_rt_tensor_list list) {
      return list.count ? check.element(name, list, i)
                        : check.optional(name, nullptr);
    };
    const Operand b = {check.element("rhs", rhs, i),
                       arg("rhs_scales", rhs_scales),
                       arg("rhs_amax", rhs_amax),
                       transpose_rhs != 0,
                       reduction ? raggedOperand(ragged, transpose_rhs)
                                 : Ragged::No,
                       reduction ? groups : 0,
                       packed};
    if (packed && b.values && b.values.dim(0) != groups)
      check.finding("rhs", toString(shapeOf(b.values.get())),
                    std::to_string(groups) + " members");
    checkOperand(check, b);
    if (i > 0 && b.values)
      b.values.type({rhs.items[0].dtype}).shape(shapeOf(rhs.items[0]));
    checkMeeting(check, a, b);
    outer = b.outer();
  }

  if (reduction) {
    check.list("bias", bias, 0);
    bool packedResult = isPacked(results, 3);
    check.list("results", results, packedResult ? 1 : groups);
    for (int64_t i = 0; check.ok() && i < results.count; ++i)
      checkResult(check.element("results", results, i), a.outer(), outer,
                  packedResult ? groups : 0);
    return check.status();
  }
  bool packedBias = isPacked(bias, 2);
  check.list("bias", bias, packedBias ? 1 : groups, /*mayBeEmpty=*/true);
  for (int64_t i = 0; check.ok() && i < bias.count; ++i)
    check.element("bias", bias, i)
        .type({TE_RT_BF16, TE_RT_F32})
        .shape(packedBias ? Shape{groups, outer} : Shape{outer});
  check.list("results", results, 1);
  checkResult(check.element("results", results, 0), a.outer(), outer);
  return check.status();
}

te_rt_tensor te_rt::productOutput(const te_rt_tensor &lhs,
                                  const te_rt_tensor &rhs, void *memory) {
  te_rt_tensor output = {};
  output.data = memory;
  output.dtype = TE_RT_BF16;
  output.rank = 2;
  output.shape[0] = lhs.shape[0];
  output.shape[1] = rhs.shape[rhs.rank - 2];
  return output;
}

// The product and the activation are checked as if they were written over `lhs`,
// which nobody looks into.
te_rt_status check::grouped_gemm_swiglu_quantize(
    te_rt_context *context, const te_rt_tensor *lhs,
    const te_rt_tensor *lhs_scales, te_rt_tensor_list rhs,
    te_rt_tensor_list rhs_scales, const te_rt_tensor *probs,
    const te_rt_tensor *offsets, const te_rt_tensor *result,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    int64_t pow2_scales, double epsilon) {
  Checker check(context);
  check.required("lhs", lhs).type({TE_RT_F8E4M3}).rank(2, 2);
  check.list("rhs", rhs, std::max<int64_t>(rhs.count, 1));
  for (int64_t i = 0; check.ok() && i < rhs.count; ++i)
    check.element("rhs", rhs, i).type({TE_RT_F8E4M3}).rank(2, 3);
  if (!check.ok())
    return check.status();

  te_rt_tensor product = productOutput(*lhs, rhs.items[0], lhs->data);
  if (te_rt_status status = check::grouped_gemm(
          context, lhs, lhs_scales, nullptr, rhs, rhs_scales, {}, {}, offsets,
          {&product, 1}, TE_RT_RAGGED_ROWS, 0, 0, 0))
    return status;
  auto blocks = [&](const Arg &arg, int32_t rows) {
    if (arg && (arg.get().layout == TE_RT_TENSOR ||
                arg.get().block_rows != rows || arg.get().block_cols != 128))
      check.finding(arg.label(),
                    arg.get().layout == TE_RT_TENSOR
                        ? "layout TENSOR"
                        : "blocks of " + blockOf(arg.get()),
                    "blocks of " + std::to_string(rows) + " x 128");
  };
  blocks(check.required("lhs_scales", lhs_scales), 1);
  for (int64_t i = 0; check.ok() && i < rhs_scales.count; ++i)
    blocks(check.element("rhs_scales", rhs_scales, i), 128);
  if (check.ok() && product.shape[1] % 256 != 0)
    check.finding("rhs", std::to_string(product.shape[1]) + " rows",
                  "a multiple of 256");
  check.optional("result", result)
      .type({TE_RT_BF16})
      .shape(shapeOf(product));
  check.optional("probs", probs).type({TE_RT_F32}).shape({product.shape[0]});
  if (!check.ok() || (!values && !scales && !values_t && !scales_t))
    return check.status();
  if (te_rt_status status = checkFusedCast(
          context, swigluOutput(product, lhs->data), nullptr, nullptr, offsets,
          values, scales, values_t, scales_t, nullptr, pow2_scales, epsilon))
    return status;
  blocks(check.optional("scales", scales), 1);
  blocks(check.optional("scales_t", scales_t), 1);
  return check.status();
}
