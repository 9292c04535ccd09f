//===- gemm.cpp - matrix products of experts ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which way a product goes is told by its arguments and by what was chosen for
// it, never by what the device holds (product_ways.h). The host waits for
// offsets only where the library was asked for, and a graph holds neither that
// nor the plain kernel.
//
//===----------------------------------------------------------------------===//

#include "common/context.h"
#include "cuda/blas.h"
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
  int64_t elements = 1;
  for (int32_t i = 1; i < packed.rank; ++i)
    elements *= member.shape[i - 1] = packed.shape[i];
  member.rank = packed.rank - 1;
  member.data = data<char>(&packed) + index * bytesOf(packed.dtype, elements);
  return member;
}

te_rt_tensor_list listOf(const te_rt_tensor *tensor) {
  return {tensor, tensor ? 1 : 0};
}

products::Scaling scalingOf(const te_rt_tensor *scales) {
  using products::Scaling;
  if (!scales)
    return Scaling::None;
  if (scales->dtype == TE_RT_F8E8M0)
    return Scaling::MXFP8;
  if (scales->dtype == TE_RT_F8E4M3)
    return Scaling::NVFP4;
  if (scales->layout == TE_RT_TENSOR)
    return Scaling::Tensor;
  if (scales->block_cols != kTile ||
      (scales->block_rows != 1 && scales->block_rows != kTile))
    return Scaling::Other;
  return scales->block_rows == 1 ? Scaling::Rows : Scaling::Squares;
}

/// That all entries, and members of packed ones of which one has `rank`, have.
int64_t alignmentOfAll(te_rt_tensor_list list, int32_t rank) {
  uintptr_t bits = 0;
  for (int64_t i = 0; i < list.count; ++i)
    bits |= reinterpret_cast<uintptr_t>(list.items[i].data);
  if (list.count && list.items[0].rank > rank && list.items[0].shape[0] > 1)
    bits |= reinterpret_cast<uintptr_t>(memberOf(list.items[0], rank, 1).data);
  return alignmentOf(reinterpret_cast<const void *>(bits));
}

products::Side sideOf(te_rt_tensor_list values, const te_rt_tensor *scales,
                      bool transposed) {
  const te_rt_tensor &first = values.items[0];
  products::Side side = {};
  side.element = elementOf(first.dtype);
  side.scaling = scalingOf(scales);
  side.transposed = transposed;
  side.rows = first.shape[first.rank - 2];
  side.cols = first.shape[first.rank - 1];
  side.alignment = alignmentOfAll(values, 2);
  side.scaleAlignment = 16; // those that are not are copied for the library
  return side;
}

/// What was chosen for the call that runs.
Way preferredBy(const te_rt_context &context) {
  return context.products == TE_RT_PRODUCTS_OWN       ? Way::Own
         : context.products == TE_RT_PRODUCTS_LIBRARY ? Way::Library
                                                      : context.planned;
}

Outcome run(te_rt_context *context, const ProductCall &call) {
  CudaDevice &device = deviceOf(context);
  products::Form form = formOf(device, call);
  Way preferred = preferredBy(*context);
  Blas *blas = nullptr; // a library that is not there is none
  if (preferred == Way::Groups && device.blas(&blas).status == TE_RT_OK)
    form.libraryVersion = blas->groupsVersion();
  Way way = products::chooseWay(form, preferred);
  bool isEmpty = form.m == 0 || form.n == 0 || form.k == 0;
  if (way == Way::Plain && device.isCapturing() && !isEmpty)
    return {TE_RT_UNSUPPORTED,
            "graph: found a product for the plain kernel alone (" +
                products::whyNot(Way::Own, form) +
                "), wanted one for the kernel of all groups"};
  Went went;
  Outcome outcome = multiply(device, call, way, context->libraryStreams, went);
  context->variant = nameOf(went.way);
  if (!went.detail.empty())
    context->variant += ":" + went.detail;
  if (preferred == Way::Groups && went.way != preferred)
    context->variant += ",no-groups";
  context->went = went.way;
  context->wentAsPlanned =
      went.way == products::chooseWay(form, context->planned);
  return outcome;
}
} // namespace

products::Form cuda::formOf(const CudaDevice &device, const ProductCall &call) {
  products::Form form = {};
  form.major = device.major();
  form.lhs = sideOf(listOf(call.lhs), call.lhsScales, call.transposeLhs);
  form.rhs =
      sideOf(call.rhs, call.rhsScales.count ? call.rhsScales.items : nullptr,
             call.transposeRhs);
  form.m = call.transposeLhs ? form.lhs.cols : form.lhs.rows;
  form.k = call.transposeLhs ? form.lhs.rows : form.lhs.cols;
  form.n = call.transposeRhs ? form.rhs.cols : form.rhs.rows;
  if (call.ragged == TE_RT_RAGGED_ROWS && form.m)
    form.m = products::kUnknown;
  if (call.ragged == TE_RT_RAGGED_REDUCTION && form.k)
    form.k = products::kUnknown;
  form.bias = call.bias.count ? elementOf(call.bias.items[0].dtype)
                              : products::Element::None;
  form.result = elementOf(call.results.items[0].dtype);
  form.biasAlignment = alignmentOfAll(call.bias, 1);
  form.resultAlignment = alignmentOfAll(call.results, 2);
  form.hostKnows = call.hostKnows();
  form.groups = call.lastGroup - call.firstGroup;
  return form;
}

Outcome cuda::multiply(CudaDevice &device, const ProductCall &call, Way way,
                       int streams, Went &went) {
  went.way = way;
  switch (way) {
  case Way::Own:
    return multiplyGrouped(device, call, went.detail);
  case Way::Emulated: {
    bool isPart = call.offsets &&
                  call.lastGroup - call.firstGroup < call.offsets->shape[0] - 1;
    return multiplyEmulated(
        device, {call.lhs, call.lhsScales, call.lhsAmax, call.rhs,
                 call.rhsScales, call.rhsAmax, call.bias, call.offsets,
                 call.results, call.ragged, isPart ? call.firstGroup : -1,
                 call.transposeLhs, call.transposeRhs, call.accumulate});
  }
  case Way::Plain:
    return multiplyPlain(device, call);
  case Way::Groups: {
    bool ran = false;
    TE_RT_TRY(multiplyByGroups(device, call, ran));
    return ran ? Outcome() : multiply(device, call, Way::Own, streams, went);
  }
  default:
    break;
  }
  std::vector<int64_t> rest;
  TE_RT_TRY(multiplyByLibrary(device, call, streams, rest, went));
  if (rest.empty())
    return {};
  // Extents that the library does not take.
  products::Form form = formOf(device, call);
  Way other = Way::Plain;
  for (Way each : {Way::Own, Way::Emulated})
    if (products::whyNot(each, form).empty())
      other = each;
  Went ignored;
  for (int64_t g : rest)
    TE_RT_TRY(multiply(device, GroupCall(call, g).call, other, 1, ignored));
  went.detail +=
      std::string(",") + nameOf(other) + ":" + std::to_string(rest.size());
  return {};
}

GroupCall::GroupCall(const ProductCall &all, int64_t g) : call(all) {
  bool packed = all.rhs.items[0].rank == 3;
  auto take = [g](te_rt_tensor_list &list, te_rt_tensor &one, bool isPacked) {
    if (!list.count)
      return;
    one = list.items[list.count == 1 ? 0 : g];
    if (isPacked)
      one = memberOf(one, -1, g);
    list = {&one, 1};
  };
  auto hasRank = [](te_rt_tensor_list list) {
    return list.count && list.items[0].rank > 0;
  };
  take(call.rhs, rhs, packed);
  take(call.rhsScales, rhsScales, packed && hasRank(all.rhsScales));
  take(call.rhsAmax, rhsAmax, packed && hasRank(all.rhsAmax));
  take(call.bias, bias, all.bias.count && all.bias.items[0].rank == 2);
  take(call.results, result, all.results.items[0].rank == 3);
  call.firstGroup = g;
  call.lastGroup = g + 1;
}

GroupProduct ProductCall::product(int64_t g) const {
  auto entry = [g](te_rt_tensor_list list) -> const te_rt_tensor & {
    return list.items[list.count == 1 ? 0 : g];
  };
  bool reduction = ragged == TE_RT_RAGGED_REDUCTION;
  GroupProduct p = {};
  p.lhs = {*lhs, {}, transposeLhs, raggedOperand(ragged, transposeLhs)};
  p.rhs = {memberOf(entry(rhs), 2, g),
           {},
           transposeRhs,
           reduction ? raggedOperand(ragged, transposeRhs) : Ragged::No};
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
  int64_t first = offsets ? member : 0;
  return context->finish(
      run(context, {lhs, lhs_scales, listOf(rhs), listOf(rhs_scales),
                    listOf(bias), offsets, listOf(result), ragged,
                    transpose_lhs != 0, transpose_rhs != 0, accumulate != 0,
                    first, first + 1, lhs_amax, listOf(rhs_amax)}));
}

te_rt_status
cuda::grouped_gemm(te_rt_context *context, const te_rt_tensor *lhs,
                   const te_rt_tensor *lhs_scales, const te_rt_tensor *lhs_amax,
                   te_rt_tensor_list rhs, te_rt_tensor_list rhs_scales,
                   te_rt_tensor_list rhs_amax, te_rt_tensor_list bias,
                   const te_rt_tensor *offsets, te_rt_tensor_list results,
                   int64_t ragged, int64_t transpose_lhs, int64_t transpose_rhs,
                   int64_t accumulate) {
  return context->finish(run(
      context, {lhs, lhs_scales, rhs, rhs_scales, bias, offsets, results,
                ragged, transpose_lhs != 0, transpose_rhs != 0, accumulate != 0,
                0, offsets->shape[0] - 1, lhs_amax, rhs_amax}));
}
