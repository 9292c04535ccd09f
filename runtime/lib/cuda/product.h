//===- product.h - a call for products of experts ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_PRODUCT_H
#define TE_RUNTIME_CUDA_PRODUCT_H

#include "cuda/cast.h"
#include "cuda/kernels/grouped_params.h"
#include "product_ways.h"

namespace te_rt {
namespace cuda {

namespace products = te::products;
using products::Way;

/// One operand of one group: a matrix and its scales, both of rank 2 (scales of
/// a tensor: rank 0 or, of groups, 1).
struct Side {
  te_rt_tensor values;
  te_rt_tensor scales; // data is nullptr but for FP8 and FP4
  bool transposed;
  Ragged ragged;

  int64_t ld() const { return values.shape[1]; }
  int64_t outer() const { return values.shape[transposed]; }
  int64_t inner() const { return values.shape[!transposed]; }
  bool isScaled() const { return scales.data != nullptr; }
  bool isTensorwise() const { return scales.layout == TE_RT_TENSOR; }
  bool hasBlocks(int32_t down, int32_t across) const {
    return isScaled() && !isTensorwise() && scales.block_rows == down &&
           scales.block_cols == across;
  }
  ScaleGrid grid() const {
    return ScaleGrid(scales, values.shape[0], values.shape[1], ragged);
  }
};

/// The product of one group.
struct GroupProduct {
  Side lhs, rhs;
  const void *bias;
  te_rt_dtype biasType;
  void *result;
  te_rt_dtype resultType;
  int64_t ragged, group, begin, end;
  bool accumulate;

  int64_t rows() const {
    return ragged == TE_RT_RAGGED_ROWS ? end - begin : lhs.outer();
  }
  int64_t reduction() const {
    return ragged == TE_RT_RAGGED_REDUCTION ? end - begin : lhs.inner();
  }
};

/// The arguments of te_rt_grouped_gemm; te_rt_gemm is one with lists of one
/// entry and one group, or none.
struct ProductCall {
  const te_rt_tensor *lhs, *lhsScales;
  te_rt_tensor_list rhs, rhsScales, bias;
  const te_rt_tensor *offsets;
  te_rt_tensor_list results;
  int64_t ragged;
  bool transposeLhs, transposeRhs, accumulate;
  int64_t firstGroup, lastGroup;
  const te_rt_tensor *lhsAmax = nullptr; // of FP4
  te_rt_tensor_list rhsAmax = {};
  const void *written = nullptr; // besides or instead of results

  /// That of group `g`, but for begin and end.
  GroupProduct product(int64_t g) const;
  /// Whether the host has the extents of groups.
  bool hostKnows() const { return !offsets || offsets->on_host; }
};

/// A call for one group of another, with its members of what is packed.
struct GroupCall {
  GroupCall(const ProductCall &all, int64_t g);
  te_rt_tensor rhs, rhsScales, rhsAmax, bias, result;
  ProductCall call;
};

/// How a call went: the way, and the kernel, or the groups that the library made, its
/// streams, and who made other groups.
struct Went {
  Way way = Way::Unset;
  std::string detail;
};

/// Copies offsets to the host, waiting for those of the device, and checks them
/// against the ragged extent of `call`.
Outcome readOffsets(CudaDevice &device, const ProductCall &call,
                    std::vector<int32_t> &host);

/// The call as product_ways.h sees it.
products::Form formOf(const CudaDevice &device, const ProductCall &call);

/// The call, by a way that takes it (products::whyNot). Library: on `streams` streams,
/// 0 for 4.
Outcome multiply(CudaDevice &device, const ProductCall &call, Way way,
                 int streams, Went &went);

// The ways:

/// All groups in one launch of a kernel that reads offsets on the device.
Outcome multiplyGrouped(CudaDevice &device, const ProductCall &call,
                        std::string &kernel);
/// What the kernels for all groups read, in device memory where they want it
/// there; boxes of an rhs that is not transposed have `rhsRows` rows.
Outcome describeGrouped(CudaDevice &device, const ProductCall &call,
                        GroupedScale scale, int64_t rhsRows,
                        GroupedArgs &args);
/// One group after the other through cuBLASLt, with extents of the host: those of
/// the device are waited for. Groups that the library refuses for their extents, or
/// has no algorithm for, go to `rest`, and are not made.
Outcome multiplyByLibrary(CudaDevice &device, const ProductCall &call,
                          int streams, std::vector<int64_t> &rest, Went &went);
/// All groups of a reduction by cuBLASLt's grouped matmul, which reads their
/// extents on the device. `ran`: whether it has an algorithm.
Outcome multiplyByGroups(CudaDevice &device, const ProductCall &call,
                         bool &ran);
/// One group after the other through a kernel for any product, which reads offsets on
/// the device.
Outcome multiplyPlain(CudaDevice &device, const ProductCall &call);

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_PRODUCT_H
