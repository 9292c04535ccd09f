//===- RemoveScaleTransposes.cpp - layouts for the fewest conversions -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "ScaleFlow.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#define DEBUG_TYPE "te-remove-scale-transposes"
namespace mlir::te {
#define GEN_PASS_DEF_REMOVESCALETRANSPOSESPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
struct RemoveScaleTransposesPass
    : te::impl::RemoveScaleTransposesPassBase<RemoveScaleTransposesPass> {
  using Base::Base;
  void runOnOperation() override {
    ScaleLayoutCounts counts =
        assignScaleLayouts(getOperation(), ScaleLayout::GemmReady,
                           Remarks(DEBUG_TYPE, "RemoveScaleTransposes"));
    numRemoved += counts.removed;
    numKept += counts.kept;
    numHoisted += counts.hoisted;
  }
};
} // namespace
