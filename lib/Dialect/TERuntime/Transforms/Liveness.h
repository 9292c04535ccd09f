//===- Liveness.h - when buffers of the arena live --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TERUNTIME_TRANSFORMS_LIVENESS_H
#define TE_LIB_DIALECT_TERUNTIME_TRANSFORMS_LIVENESS_H

#include "te/Dialect/TERuntime/IR/TERuntime.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::te_rt {

/// A buffer lives while ops of positions `begin` to `end` (both included) run.
struct LiveBuffer {
  AllocOp alloc;
  int64_t bytes;
  unsigned begin, end;
};

/// Those of a function that are used and not empty, in order of their te_rt.alloc.
SmallVector<LiveBuffer> getLiveBuffers(func::FuncOp function);

} // namespace mlir::te_rt

#endif // TE_LIB_DIALECT_TERUNTIME_TRANSFORMS_LIVENESS_H
