//===- Remarks.cpp - what a pass did, and what it left --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::te;

namespace {
/// The missed rewrites that a context has heard of. One thread uses it, as one
/// alone may use the engine of remarks.
class SaidRemarks : public DialectInterface::Base<SaidRemarks> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SaidRemarks)
  explicit SaidRemarks(Dialect *dialect) : Base(dialect) {}

  static SaidRemarks &of(MLIRContext *context) {
    Dialect *dialect = context->getOrLoadDialect<TEDialect>();
    if (auto *said = dialect->getRegisteredInterface<SaidRemarks>())
      return *said;
    return dialect->addInterface<SaidRemarks>();
  }
  /// Whether it is new.
  bool add(size_t hash) { return hashes.insert(hash).second; }

private:
  llvm::DenseSet<size_t> hashes;
};
} // namespace

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

Saving &Saving::add(Operation *op, int sign) {
  auto costly = dyn_cast<CostOpInterface>(op);
  if (!costly || !op->getContext()->getRemarkEngine())
    return *this;
  OpCost cost = costly.getCost();
  int64_t times = sign * getNumExecutions(op).value_or(1);
  launches -= times * cost.launches;
  bytes -= times * cost.bytes;
  double seconds = cost.launches ? getPredictedSeconds(op) : 0;
  predictedUs -= times * seconds * 1e6;
  isPredicted &= seconds > 0 || cost.launches == 0;
  return *this;
}

remark::detail::InFlightRemark Remarks::passedAt(Location loc, Operation *op,
                                                 const Saving &saving) const {
  auto remark = remark::passed(loc, options(op));
  if (remark)
    remark << remark::metric("Op", op->getName().getStringRef())
           << remark::metric("LaunchesSaved", saving.launches)
           << remark::metric("BytesSaved", saving.bytes);
  if (remark && saving.isPredicted)
    remark << remark::metric(
        "PredictedUsSaved",
        llvm::formatv("{0:F1}", saving.predictedUs).str());
  return remark;
}

void Remarks::emitMissed(Location loc, Operation *op,
                         const std::string &reason) const {
  StringRef name = op->getName().getStringRef();
  if (!SaidRemarks::of(op->getContext())
           .add(llvm::hash_combine(loc, pass, rewrite, name, reason)))
    return;
  auto remark = remark::missed(loc, options(op));
  remark << remark::metric("Op", name)
         << remark::detail::Remark::Arg("Reason", reason);
  if (isa<CostOpInterface>(op)) {
    Saving lost = Saving().removed(op);
    remark << remark::metric("LaunchesLost", lost.launches)
           << remark::metric("BytesLost", lost.bytes);
  }
}
