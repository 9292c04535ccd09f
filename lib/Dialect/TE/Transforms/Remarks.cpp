//===- Remarks.cpp - what a pass did, and what it left --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

using namespace mlir;
using namespace mlir::te;

void Traffic::add(Operation *op) {
  auto interface = dyn_cast_or_null<CostOpInterface>(op);
  if (!interface)
    return;
  int64_t times = 1;
  for (Operation *at = op->getParentOp(); at; at = at->getParentOp())
    if (auto loop = dyn_cast<LoopLikeOpInterface>(at))
      if (std::optional<APInt> trips = loop.getStaticTripCount())
        times *= int64_t(trips->getLimitedValue(1 << 30));
  OpCost cost = interface.getCost();
  launches += cost.launches * times;
  bytes += cost.bytes * times;
}

using remark::detail::Remark;

Remark &te::operator<<(Remark &remark, const Saved &saved) {
  return remark << Remark::Arg("LaunchesSaved",
                                  saved.before.launches - saved.after.launches)
                << Remark::Arg("BytesSaved",
                                  saved.before.bytes - saved.after.bytes);
}

Remark &te::operator<<(Remark &remark, const Lost &lost) {
  return remark << Remark::Arg("LaunchesLost", lost.traffic.launches)
                << Remark::Arg("BytesLost", lost.traffic.bytes);
}

std::string te::describe(Operation *op) {
  std::string text = op->getName().getStringRef().str();
  llvm::raw_string_ostream os(text);
  if (auto load = dyn_cast<ml_program::GlobalLoadOp>(op))
    os << " of " << load.getGlobal();
  else if (auto store = dyn_cast<ml_program::GlobalStoreOp>(op))
    os << " of " << store.getGlobal();
  Location loc = op->getLoc();
  if (auto file = loc->findInstanceOf<FileLineColRange>())
    os << " at " << file.getFilename().getValue() << ":" << file.getStartLine()
       << ":" << file.getStartColumn();
  else if (auto name = dyn_cast<NameLoc>(loc))
    os << " at " << name.getName().getValue();
  return text;
}

remark::RemarkOpts Remarks::options(Operation *op) const {
  auto opts = remark::RemarkOpts::name(rewrite).category(pass);
  if (!op->getContext()->getRemarkEngine())
    return opts;
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    function = op->getParentOfType<FunctionOpInterface>();
  return function ? opts.function(function.getName()) : opts;
}
