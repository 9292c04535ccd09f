//===- FuseProductActivation.cpp - products that go on at once ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Knows no activation: what a product can go through, and the op that does
// both, is told by EpilogueOpInterface.
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "te/Dialect/TE/IR/TE.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#define DEBUG_TYPE "te-fuse-product-activation"
namespace mlir::te {
#define GEN_PASS_DEF_FUSEPRODUCTACTIVATIONPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
struct FuseProductActivationPass
    : te::impl::FuseProductActivationPassBase<FuseProductActivationPass> {
  using Base::Base;
  void runOnOperation() override;

private:
  bool isLegal(GroupedGemmOp product, EpilogueOpInterface epilogue);
  bool pays(GroupedGemmOp product, EpilogueOpInterface epilogue,
            Operation *fused);
  void fuse(GroupedGemmOp product, EpilogueOpInterface epilogue);

  Remarks remarks{DEBUG_TYPE, "FuseProductActivation"};
};
} // namespace

bool FuseProductActivationPass::isLegal(GroupedGemmOp product,
                                        EpilogueOpInterface epilogue) {
  auto missed = [&](const char *reason, auto &&...args) {
    remarks.missed(epilogue, reason, args...);
    return false;
  };
  if (std::string why = epilogue.getEpilogueObstacle(product); !why.empty())
    return missed("{0}", why);
  for (Value out : product.getOuts())
    if (!out.getDefiningOp<tensor::EmptyOp>())
      return missed("the product has a destination, of type {0}",
                    out.getType());
  if (product->getBlock() != epilogue->getBlock())
    return missed("{0} stands in another block", product->getName());
  // The fused op stands where the epilogue does.
  for (Operation *user : product->getUsers()) {
    Operation *reader = product->getBlock()->findAncestorOpInBlock(*user);
    if (!reader || (reader != epilogue && reader->isBeforeInBlock(epilogue)))
      return missed("the product is read before, by {0}", user->getName());
  }
  return true;
}

/// By the measured times of the target's kernels.
bool FuseProductActivationPass::pays(GroupedGemmOp product,
                                     EpilogueOpInterface epilogue,
                                     Operation *fused) {
  if (always)
    return true;
  double one = getPredictedSeconds(fused);
  double first = getPredictedSeconds(product);
  double second = getPredictedSeconds(epilogue);
  if (one && first && second && one < first + second)
    return true;
  if (!one || !first || !second)
    remarks.missed(epilogue, "what it takes on {0} was not measured",
                   TargetAttr::lookup(product).getChip());
  else
    remarks.missed(
        epilogue,
        "in one op it is predicted to take {0:F1} us, and apart {1:F1}",
        one * 1e6, (first + second) * 1e6);
  return false;
}

void FuseProductActivationPass::fuse(GroupedGemmOp product,
                                     EpilogueOpInterface epilogue) {
  Value result = product.getResults().front();
  OpBuilder builder(epilogue);
  bool isKept = !result.hasOneUse();
  Operation *fused = epilogue.formWithProduct(builder, product, isKept);
  if (!pays(product, epilogue, fused))
    return fused->erase();
  fused->setDiscardableAttrs(epilogue->getDiscardableAttrDictionary());
  remarks.passed(fused,
                 Saving().removed(product).removed(epilogue).added(fused));
  epilogue->replaceAllUsesWith(
      fused->getResults().take_front(epilogue->getNumResults()));
  epilogue->erase();
  if (isKept)
    result.replaceAllUsesWith(fused->getResults().back());
  Operation *empty = product.getOuts().empty()
                         ? nullptr
                         : product.getOuts()[0].getDefiningOp();
  product->erase();
  if (empty && empty->use_empty())
    empty->erase();
  ++numFused;
}

void FuseProductActivationPass::runOnOperation() {
  SmallVector<EpilogueOpInterface> epilogues;
  getOperation().walk([&](EpilogueOpInterface op) { epilogues.push_back(op); });
  for (EpilogueOpInterface epilogue : epilogues) {
    auto product =
        epilogue.getProductOperand().get().getDefiningOp<GroupedGemmOp>();
    if (product && isLegal(product, epilogue))
      fuse(product, epilogue);
  }
}
