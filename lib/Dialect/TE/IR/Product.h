//===- Product.h - one matrix product of te.gemm and its group --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_IR_PRODUCT_H
#define TE_LIB_DIALECT_TE_IR_PRODUCT_H

#include "te/Dialect/TE/IR/TE.h"

namespace mlir::te {

/// An operand of a product, of rank 2; null types where scales or amax are
/// absent.
struct ProductSide {
  RankedTensorType values, scales, amax;
  bool transpose;
};

/// One product.
struct Product {
  ProductSide lhs, rhs;
  RankedTensorType bias, result;
  int64_t groups;     // 0: dense
  bool overReduction; // of a ragged product
};

/// (G1) to (G7) and (G10) of te.gemm.
LogicalResult verifyProduct(Operation *op, const Product &product);

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_IR_PRODUCT_H
