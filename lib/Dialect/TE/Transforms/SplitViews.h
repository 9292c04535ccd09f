//===- SplitViews.h - a view for each layout wanted of scales ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_SPLITVIEWS_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_SPLITVIEWS_H

#include "mlir/IR/Operation.h"

namespace mlir::te {

/// Where some readers of a view of scales read them as they are, and others
/// converted, gives the latter a view of their own. The tensor viewed may then
/// be converted once, in place of each of its views.
class SplitViews {
public:
  explicit SplitViews(Operation *root);
  /// Makes one of those that have one type still.
  void merge();

private:
  SmallVector<std::pair<Operation *, Operation *>> pairs;
};

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_SPLITVIEWS_H
