//===- InitAll.h - what every tool registers --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_INITALL_H
#define TE_INITALL_H

#include "te/Conversion/TEToTERuntime/Passes.h"
#include "te/Dialect/TE/IR/TE.h"
#include "te/Dialect/TE/Transforms/Passes.h"
#include "te/Dialect/TERuntime/IR/TERuntime.h"
#include "te/Dialect/TERuntime/Transforms/Passes.h"
#include "te/Pipelines/Pipelines.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::te {

/// The project's dialects, and those of upstream that its programs are made of.
inline void registerAllTEDialects(DialectRegistry &registry) {
  registry.insert<TEDialect, te_rt::TERuntimeDialect, arith::ArithDialect,
                  func::FuncDialect, ml_program::MLProgramDialect,
                  scf::SCFDialect, tensor::TensorDialect>();
}

/// The project's passes and pipelines.
inline void registerAllTEPasses() {
  registerTETransformsPasses();
  registerTEConversionPasses();
  te_rt::registerTERuntimeTransformsPasses();
  registerTEPipelines();
}

} // namespace mlir::te

#endif // TE_INITALL_H
