//===- Passes.h - from te to te_rt ------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_CONVERSION_TETOTERUNTIME_PASSES_H
#define TE_CONVERSION_TETOTERUNTIME_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::te {

#define GEN_PASS_DECL
#include "te/Conversion/TEToTERuntime/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "te/Conversion/TEToTERuntime/Passes.h.inc"

} // namespace mlir::te

#endif // TE_CONVERSION_TETOTERUNTIME_PASSES_H
