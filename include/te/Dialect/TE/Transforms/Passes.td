//===- Passes.td - rewrites of the te dialect ------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_PASSES
#define TE_DIALECT_TE_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

#endif // TE_DIALECT_TE_TRANSFORMS_PASSES
