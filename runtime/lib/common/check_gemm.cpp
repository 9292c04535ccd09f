//===- check_gemm.cpp - contracts of gemm.h -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/check.h"

using namespace te_rt;

namespace {
/// One operand, stored outer x reduction, or the other way round if transposed.
/// `ragged` tells which of these two groups divide.
struct Operand {
  int64_t outer = 0, reduction = 0;
};

Operand checkOperand(Checker &check, const Arg &values, const Arg &scales,
                     bool transposed, Ragged ragged, int64_t groups,
                     bool packed = false) {
  values.type({TE_RT_BF16, TE_RT_F32, TE_RT_F8E4M3, TE_RT_F8E5M2})
      .rank(2 + packed, 2 + packed);
  if (!values)
    return {};
  int64_t rows = values.dim(packed), cols = values.dim(packed + 1);
  if (isFp8(values.get().dtype)) {
    if (transposed)
      check.finding(values.label(), "a transposed FP8 operand",
                    "FP8 with the reduction in the last dimension");
    if (!scales.pointer())
      check.finding(scales.label(), "no tensor", "scales of an FP8 operand");
    check.scales(scales, rows, cols, packed ? values.dim(0) : 0, ragged,
                 groups);
    if (scales && scales.get().layout == TE_RT_SWIZZLED)
      check.finding(scales.label(), "layout SWIZZLED",
                    "TENSOR, COMPACT or GEMM_READY");
  } else if (scales.pointer()) {
    check.finding(scales.label(), "a tensor",
                  std::string("none for ") + dtypeName(values.get().dtype));
  }
  return transposed ? Operand{cols, rows} : Operand{rows, cols};
}

/// Rules for the two operands together.
void checkMeeting(Checker &check, const Arg &lhs, const Arg &lhsScales,
                  const Arg &rhs, const Arg &rhsScales, Operand left,
                  Operand right) {
  if (check.ok() && left.reduction != right.reduction)
    check.finding(rhs.label(),
                  "a reduction of " + std::to_string(right.reduction),
                  left.reduction);
  if (lhs && rhs && lhs.get().dtype == TE_RT_F8E5M2 &&
      rhs.get().dtype == TE_RT_F8E5M2)
    check.finding(rhs.label(), "F8E5M2 as lhs", "at most one F8E5M2 operand");
  auto square = [](const Arg &scales) {
    return scales && scales.get().layout != TE_RT_TENSOR &&
           scales.get().block_rows > 1 && scales.get().block_cols > 1;
  };
  if (square(lhsScales) && square(rhsScales))
    check.finding(rhsScales.label(), "square blocks as lhs_scales",
                  "blocks of 1 x n on one side");
}

Ragged raggedDimension(int64_t ragged, bool transposed) {
  if (ragged == TE_RT_DENSE)
    return Ragged::No;
  return (ragged == TE_RT_RAGGED_ROWS) != transposed ? Ragged::Rows
                                                     : Ragged::Cols;
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

  Arg left = check.required("lhs", lhs), right = check.required("rhs", rhs);
  Arg leftScales = check.optional("lhs_scales", lhs_scales);
  Arg rightScales = check.optional("rhs_scales", rhs_scales);
  Operand a = checkOperand(check, left, leftScales, transpose_lhs,
                           raggedDimension(ragged, transpose_lhs), groups);
  bool reduction = ragged == TE_RT_RAGGED_REDUCTION;
  Operand b = checkOperand(check, right, rightScales, transpose_rhs,
                           reduction ? raggedDimension(ragged, transpose_rhs)
                                     : Ragged::No,
                           reduction ? groups : 0);
  checkMeeting(check, left, leftScales, right, rightScales, a, b);
  Arg added = check.optional("bias", bias);
  added.type({TE_RT_BF16, TE_RT_F32}).shape({b.outer});
  if (added && reduction)
    check.finding("bias", "a tensor", "none for a ragged reduction");
  checkResult(check.required("result", result), a.outer, b.outer);
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
  Arg left = check.required("lhs", lhs);
  Arg leftScales = check.optional("lhs_scales", lhs_scales);
  Operand a = checkOperand(check, left, leftScales, transpose_lhs,
                           raggedDimension(ragged, transpose_lhs), groups);

  bool reduction = ragged == TE_RT_RAGGED_REDUCTION;
  auto isPacked = [](te_rt_tensor_list list, int32_t rank) {
    return list.count == 1 && list.items && list.items[0].rank == rank;
  };
  bool packed = !reduction && isPacked(rhs, 3);
  check.list("rhs", rhs, reduction || packed ? 1 : groups);
  check.list("rhs_scales", rhs_scales, rhs.count, /*mayBeEmpty=*/true);
  Operand b;
  for (int64_t i = 0; check.ok() && i < rhs.count; ++i) {
    Arg right = check.element("rhs", rhs, i);
    Arg rightScales = rhs_scales.count
                          ? check.element("rhs_scales", rhs_scales, i)
                          : check.optional("rhs_scales", nullptr);
    if (packed && right && right.dim(0) != groups)
      check.finding("rhs", toString(shapeOf(right.get())),
                    std::to_string(groups) + " members");
    Operand each = checkOperand(
        check, right, rightScales, transpose_rhs,
        reduction ? raggedDimension(ragged, transpose_rhs) : Ragged::No,
        reduction ? groups : 0, packed);
    if (i > 0 && right)
      right.type({rhs.items[0].dtype}).shape(shapeOf(rhs.items[0]));
    checkMeeting(check, left, leftScales, right, rightScales, a, each);
    b = each;
  }

  if (reduction) {
    check.list("bias", bias, 0);
    bool packedResult = isPacked(results, 3);
    check.list("results", results, packedResult ? 1 : groups);
    for (int64_t i = 0; check.ok() && i < results.count; ++i)
      checkResult(check.element("results", results, i), a.outer, b.outer,
                  packedResult ? groups : 0);
    return check.status();
  }
  bool packedBias = isPacked(bias, 2);
  check.list("bias", bias, packedBias ? 1 : groups, /*mayBeEmpty=*/true);
  for (int64_t i = 0; check.ok() && i < bias.count; ++i)
    check.element("bias", bias, i)
        .type({TE_RT_BF16, TE_RT_F32})
        .shape(packedBias ? Shape{groups, b.outer} : Shape{b.outer});
  check.list("results", results, 1);
  checkResult(check.element("results", results, 0), a.outer, b.outer);
  return check.status();
}
