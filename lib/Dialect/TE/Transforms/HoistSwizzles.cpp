//===- HoistSwizzles.cpp - swizzles once, or none -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "ScaleFlow.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#define DEBUG_TYPE "te-hoist-swizzles"
namespace mlir::te {
#define GEN_PASS_DEF_HOISTSWIZZLESPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
struct HoistSwizzlesPass : te::impl::HoistSwizzlesPassBase<HoistSwizzlesPass> {
  using Base::Base;
  void runOnOperation() override {
    // The whole module, so that it is known who reads a workspace.
    ScaleLayoutCounts counts =
        assignScaleLayouts(getOperation(), ScaleLayout::Swizzled,
                           Remarks(DEBUG_TYPE, "HoistSwizzles"));
    numRemoved += counts.removed;
    numKept += counts.kept;
    numHoisted += counts.hoisted;
  }
};
} // namespace
