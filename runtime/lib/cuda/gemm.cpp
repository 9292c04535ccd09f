//===- gemm.cpp - matrix products of experts ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which way a product goes is told by its arguments alone, never by what the
// device holds: on sm_90 to the kernel for all groups (grouped.cpp says what that
// takes), what it does not take to the library, group by group (gemm_library.cpp).
// Operands with scales of 8 bits go to a kernel of their own (emulated_gemm.cpp).
//
//===----------------------------------------------------------------------===//

#include "cuda/emulated_gemm.h"
#include "cuda/product.h"

using namespace te_rt;
using namespace te_rt::cuda;

namespace {

/// Member `index` of a packed tensor, or the tensor itself.
te_rt_tensor memberOf(const te_rt_tensor &packed, int32_t rank, int64_t index) {
  te_rt_tensor member = packed;
  if (packed.rank == rank)
    return member;
  int64_t bytes = elementSize(packed.dtype);
  for (int32_t i = 1; i < packed.rank; ++i)
    bytes *= member.shape[i - 1] = packed.shape[i];
  member.rank = packed.rank - 1;
  member.data = data<char>(&packed) + index * bytes;
  return member;
}

Ragged raggedSide(int64_t ragged, bool transposed) {
  return ragged == TE_RT_DENSE                         ? Ragged::No
         : (ragged == TE_RT_RAGGED_ROWS) != transposed ? Ragged::Rows
                                                       : Ragged::Cols;
}

te_rt_tensor_list listOf(const te_rt_tensor *tensor) {
  return {tensor, tensor ? 1 : 0};
}

Outcome run(te_rt_context *context, const ProductCall &call) {
  CudaDevice &device = deviceOf(context);
  bool took = false;
  TE_RT_TRY(multiplyGrouped(device, call, took));
  return took ? Outcome() : multiplyEach(device, call);
}
} // namespace

GroupProduct ProductCall::product(int64_t g) const {
  auto entry = [g](te_rt_tensor_list list) -> const te_rt_tensor & {
    return list.items[list.count == 1 ? 0 : g];
  };
  bool reduction = ragged == TE_RT_RAGGED_REDUCTION;
  GroupProduct p = {};
  p.lhs = {*lhs, {}, transposeLhs, raggedSide(ragged, transposeLhs)};
  p.rhs = {memberOf(entry(rhs), 2, g),
           {},
           transposeRhs,
           reduction ? raggedSide(ragged, transposeRhs) : Ragged::No};
  if (lhsScales)
    p.lhs.scales = *lhsScales;
  if (rhsScales.count) {
    bool packed = entry(rhs).rank == 3 && entry(rhsScales).rank;
    p.rhs.scales =
        packed ? memberOf(entry(rhsScales), -1, g) : entry(rhsScales);
  }
  if (bias.count) {
    te_rt_tensor added = memberOf(entry(bias), 1, g);
    p.bias = added.data;
    p.biasType = added.dtype;
  }
  te_rt_tensor result = memberOf(entry(results), 2, g);
  p.result = result.data;
  p.resultType = result.dtype;
  p.ragged = ragged;
  p.group = g;
  p.accumulate = accumulate;
  return p;
}

te_rt_status cuda::gemm(te_rt_context *context, const te_rt_tensor *lhs,
                        const te_rt_tensor *lhs_scales,
                        const te_rt_tensor *lhs_amax, const te_rt_tensor *rhs,
                        const te_rt_tensor *rhs_scales,
                        const te_rt_tensor *rhs_amax, const te_rt_tensor *bias,
                        const te_rt_tensor *offsets, const te_rt_tensor *result,
                        int64_t ragged, int64_t member, int64_t transpose_lhs,
                        int64_t transpose_rhs, int64_t accumulate) {
  if (hasByteScales(lhs_scales))
    return context->finish(multiplyEmulated(
        deviceOf(context),
        {lhs, lhs_scales, lhs_amax, listOf(rhs), listOf(rhs_scales),
         listOf(rhs_amax), listOf(bias), offsets, listOf(result), ragged,
         offsets ? member : -1, transpose_lhs != 0, transpose_rhs != 0,
         accumulate != 0}));
  int64_t first = offsets ? member : 0;
  return context->finish(run(
      context, {lhs, lhs_scales, listOf(rhs), listOf(rhs_scales), listOf(bias),
                offsets, listOf(result), ragged, transpose_lhs != 0,
                transpose_rhs != 0, accumulate != 0, first, first + 1}));
}

te_rt_status cuda::grouped_gemm(
    te_rt_context *context, const te_rt_tensor *lhs,
    const te_rt_tensor *lhs_scales, const te_rt_tensor *lhs_amax,
    te_rt_tensor_list rhs, te_rt_tensor_list rhs_scales,
    te_rt_tensor_list rhs_amax, te_rt_tensor_list bias,
    const te_rt_tensor *offsets, te_rt_tensor_list results, int64_t ragged,
    int64_t transpose_lhs, int64_t transpose_rhs, int64_t accumulate) {
  if (hasByteScales(lhs_scales))
    return context->finish(multiplyEmulated(
        deviceOf(context),
        {lhs, lhs_scales, lhs_amax, rhs, rhs_scales, rhs_amax, bias, offsets,
         results, ragged, /*member=*/-1, transpose_lhs != 0, transpose_rhs != 0,
         accumulate != 0}));
  return context->finish(
      run(context, {lhs, lhs_scales, rhs, rhs_scales, bias, offsets, results,
                    ragged, transpose_lhs != 0, transpose_rhs != 0,
                    accumulate != 0, 0, offsets->shape[0] - 1}));
}
