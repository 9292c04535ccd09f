//===- product.h - a call for products of experts ----------------*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_PRODUCT_H
#define TE_RUNTIME_CUDA_PRODUCT_H

#include "cuda/cast.h"
#include "cuda/kernels/grouped_params.h"

namespace te_rt {
namespace cuda {

/// One operand of one group: a matrix and its scales, both of rank 2 (scales of
/// a tensor: rank 0 or, of groups, 1).
struct Side {
  te_rt_tensor values;
  te_rt_tensor scales; // data is nullptr but for FP8
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

  /// That of group `g`, but for begin and end.
  GroupProduct product(int64_t g) const;
};

/// What is wrong with the offsets of a group.
Outcome badOffsets(int64_t group, int32_t begin, int32_t end, int64_t capacity);

/// All groups in one launch of a kernel that reads offsets on the device:
/// sm_90, and what that kernel takes. `took` is false, and nothing done, for
/// the rest.
Outcome multiplyGrouped(CudaDevice &device, const ProductCall &call,
                        bool &took);
/// Whether the copy engine can read an operand.
bool isMapped(const Side &side);
/// What the kernels for all groups read, in device memory where they want it
/// there; boxes of an rhs that is not transposed have `rhsRows` rows.
Outcome describeGrouped(CudaDevice &device, const ProductCall &call,
                        GroupedScale scale, int64_t rhsRows,
                        GroupedArgs &args);
/// One group after the other: through cuBLASLt, with extents that the host
/// reads and waits for; or, while a graph is captured and for what that library
/// refuses, through a kernel for any product.
Outcome multiplyEach(CudaDevice &device, const ProductCall &call);

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_PRODUCT_H
