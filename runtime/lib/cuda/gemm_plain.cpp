//===- gemm_plain.cpp - products of any operands, group by group ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What no other way takes: odd extents, mixed types, empty reductions. FP32
// arithmetic, right and slow.
//
//===----------------------------------------------------------------------===//

#include "cuda/product.h"

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
int32_t gemmType(te_rt_dtype dtype) {
  return dtype == TE_RT_F32      ? kGemmF32
         : dtype == TE_RT_BF16   ? kGemmBf16
         : dtype == TE_RT_F8E4M3 ? kGemmE4M3
                                 : kGemmE5M2;
}

GemmOperand describeAny(const Side &side) {
  GemmOperand operand = {};
  operand.data = side.values.data;
  operand.strideOuter = side.transposed ? 1 : side.ld();
  operand.strideInner = side.transposed ? side.ld() : 1;
  operand.type = gemmType(side.values.dtype);
  if (!side.isScaled())
    return operand;
  operand.scales = data<float>(&side.scales);
  operand.scalePerGroup = side.scales.rank != 0;
  if (side.isTensorwise())
    return operand;
  // FP8 is never transposed: rows are the outer dimension.
  ScaleGrid grid = side.grid();
  operand.scaleOuter = grid.strideRow;
  operand.scaleInner = grid.strideCol;
  operand.blockOuter = side.scales.block_rows;
  operand.blockInner = side.scales.block_cols;
  operand.raggedOuter = side.ragged == Ragged::Rows;
  operand.raggedInner = side.ragged == Ragged::Cols;
  return operand;
}

/// A group whose begin and end are at `offsets` on the device, or else in `p`.
Outcome multiplyOne(CudaDevice &device, const GroupProduct &p,
                    const int32_t *offsets) {
  constexpr int64_t kSide = 64;
  GemmArgs args = {};
  args.lhs = describeAny(p.lhs);
  args.rhs = describeAny(p.rhs);
  args.m = p.lhs.outer();
  args.n = p.rhs.outer();
  args.k = p.lhs.inner();
  args.offsets = offsets;
  args.begin = p.begin;
  args.end = p.end;
  args.group = p.group;
  args.bias = p.bias;
  args.result = p.result;
  args.ragged = static_cast<int32_t>(p.ragged);
  args.biasType = gemmType(p.biasType);
  args.resultType = gemmType(p.resultType);
  args.accumulate = p.accumulate;
  int64_t rows = offsets ? p.lhs.outer() : p.rows();
  return device.launch(
      "gemm_any", {ceilDiv(rows, kSide) * ceilDiv(args.n, kSide), 256}, args);
}
} // namespace

Outcome cuda::multiplyPlain(CudaDevice &device, const ProductCall &call) {
  const te_rt_tensor *offsets = call.offsets;
  std::vector<int32_t> host;
  if (offsets && offsets->on_host && !device.isPreparing())
    TE_RT_TRY(readOffsets(device, call, host));
  for (int64_t g = call.firstGroup; g < call.lastGroup; ++g) {
    GroupProduct product = call.product(g);
    if (!host.empty()) {
      product.begin = host[g];
      product.end = host[g + 1];
    }
    bool onDevice = offsets && !offsets->on_host;
    TE_RT_TRY(multiplyOne(device, product,
                          onDevice ? data<int32_t>(offsets) + g : nullptr));
  }
  return {};
}
