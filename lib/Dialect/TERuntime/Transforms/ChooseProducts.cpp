//===- ChooseProducts.cpp - how a GPU makes products ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TERuntime/IR/TERuntime.h"
#include "te/Dialect/TERuntime/Transforms/Passes.h"

#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "te-choose-products"

namespace mlir::te_rt {
#define GEN_PASS_DEF_CHOOSEPRODUCTSPASS
#include "te/Dialect/TERuntime/Transforms/Passes.h.inc"
} // namespace mlir::te_rt

using namespace mlir;
using namespace mlir::te_rt;
using te::ProductWay;

namespace {
enum class Prefer { Own, Library, Cost };

struct Choice {
  const ProductWay *way;
  std::string why;
};

/// `ways` has one that takes the product and reads nothing on the host.
Choice choose(ArrayRef<ProductWay> ways, Prefer prefer) {
  auto find = [&](StringRef name) {
    return llvm::find_if(
        ways, [&](const ProductWay &way) { return way.name == name; });
  };
  SmallVector<const ProductWay *> open;
  for (const ProductWay &way : ways)
    if (way.whyNot.empty() && !way.readsOnHost)
      open.push_back(&way);
  const ProductWay *library = find("library");
  if (prefer == Prefer::Library)
    return library->whyNot.empty()
               ? Choice{library, "asked for"}
               : Choice{open.front(), "library: " + library->whyNot};
  // The plain kernel is no match for another.
  bool isAlone = open.size() == 1 || open[1]->name == "plain";
  if (isAlone && !find("own")->whyNot.empty())
    return {open.front(), "own: " + find("own")->whyNot};
  if (isAlone)
    return {open.front(), library->whyNot.empty()
                              ? "library: the host would wait for offsets"
                              : "library: " + library->whyNot};
  if (prefer == Prefer::Own)
    return {open.front(), "asked for"};
  llvm::erase_if(open,
                 [](const ProductWay *way) { return way->name == "plain"; });
  if (llvm::any_of(open, [](const ProductWay *way) { return !way->seconds; }))
    return {open.front(), "the others were not measured"};
  return {*llvm::min_element(open,
                             [](const ProductWay *a, const ProductWay *b) {
                               return a->seconds < b->seconds;
                             }),
          "takes least"};
}

void remarkOn(CallOp call, ArrayRef<ProductWay> ways, const Choice &choice) {
  auto opts = remark::RemarkOpts::name("ChooseProduct")
                  .category(DEBUG_TYPE)
                  .function(call->getParentOfType<func::FuncOp>().getName());
  auto remark = choice.way->name == "plain"
                    ? remark::missed(call.getLoc(), opts)
                    : remark::passed(call.getLoc(), opts);
  if (!remark)
    return;
  remark << remark::metric("Op", call.getFunction())
         << remark::metric("Way", choice.way->name);
  // The others are not measured.
  for (const ProductWay &way : ways)
    if (way.seconds)
      remark << remark::metric(
          way.name == "own"      ? "OwnUs"
          : way.name == "groups" ? "GroupsUs"
                                 : "LibraryUs",
          llvm::formatv("{0:F1}", way.seconds * 1e6).str());
  if (choice.way->readsOnHost)
    remark << remark::metric("HostSyncs", 1);
  remark << remark::reason("{0}", choice.why);
}

struct ChooseProductsPass
    : te_rt::impl::ChooseProductsPassBase<ChooseProductsPass> {
  using Base::Base;
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    std::optional<Prefer> wanted =
        llvm::StringSwitch<std::optional<Prefer>>(prefer)
            .Case("own", Prefer::Own)
            .Case("library", Prefer::Library)
            .Case("cost", Prefer::Cost)
            .Default(std::nullopt);
    if (!wanted) {
      function.emitError("te-choose-products: prefer must be own, library or "
                         "cost, but got ")
          << prefer;
      return signalPassFailure();
    }
    te::TargetAttr target = te::TargetAttr::lookup(function);
    function.walk([&](CallOp call) {
      te::OpCost cost = call.getCost();
      SmallVector<ProductWay> ways =
          te::getProductWays(cost, getCallTypes(call), target);
      if (ways.empty())
        return;
      Choice choice = choose(ways, *wanted);
      call->setAttr(TERuntimeDialect::kWayAttr,
                    StringAttr::get(call.getContext(), choice.way->name));
      cost.launches = choice.way->launches;
      cost.hostSyncs = choice.way->readsOnHost;
      call.setCallCostAttr(CostAttr::get(call.getContext(), cost));
      ++numChosen;
      remarkOn(call, ways, choice);
    });
  }
};
} // namespace
