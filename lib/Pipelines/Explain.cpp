//===- Explain.cpp - what te-optimize leaves, and why ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TE/IR/TE.h"
#include "te/Pipelines/Pipelines.h"
#include "te/Support/OutputFile.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"

namespace mlir::te {
#define GEN_PASS_DEF_EXPLAINPASS
#include "te/Pipelines/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
/// What the passes said that they would have done, by the place and name of
/// the op: "te-...: reason".
using Missed = llvm::DenseMap<std::pair<Location, StringAttr>, std::string>;

/// Of the remarks on one op the last counts: later passes see the op as it is
/// left.
struct MissedCollector : remark::detail::MLIRRemarkStreamerBase {
  explicit MissedCollector(Missed &missed) : missed(missed) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    if (remark.getRemarkType() != llvm::remarks::Type::Missed)
      return;
    std::string op, reason;
    for (const auto &argument : remark.getArgs()) {
      if (argument.key == "Op")
        op = argument.val;
      else if (argument.key == "Reason")
        reason = argument.val;
    }
    Location loc = remark.getLocation();
    missed[{loc, StringAttr::get(loc.getContext(), op)}] =
        (remark.getCategoryName() + ": " + reason).str();
  }

  Missed &missed;
};

/// Ops of one name that are left for one reason.
struct Kind {
  int64_t launches = 0;
  Location first;
};

struct ClassReport {
  int64_t launchesBefore = 0, launches = 0, bytesBefore = 0, bytes = 0;
  /// By op and reason, in the order of the program.
  llvm::MapVector<std::pair<StringAttr, StringAttr>, Kind> kinds;
};

struct Report {
  StringRef chip;
  ClassReport classes[kNumCostClasses];
};
} // namespace

/// What ops of a class are for, once no rewrite has anything to say of them.
static StringRef getPurpose(CostClass costClass) {
  switch (costClass) {
  case CostClass::WeightQuantize:
    return "weights change with each step, and are cast in one launch for "
           "each scheme";
  case CostClass::ActivationQuantize:
    return "products read low precision, and no op before it writes that";
  case CostClass::Dequantize:
    return "somebody reads these values in high precision";
  case CostClass::ScaleConversion:
  case CostClass::Swizzle:
    return "the scales are written in one layout and read in another";
  case CostClass::Transpose:
    return "the values are written in one orientation and read in the other";
  case CostClass::UpdateScales:
    return "delayed scaling learns from each step";
  case CostClass::Offsets:
    return "these groups are padded as no other";
  case CostClass::RoutingMap:
    return "each micro-batch is routed anew";
  case CostClass::Permute:
    return "rows go to their experts, and sums of them back to their tokens";
  case CostClass::Pad:
    return "readers need rows that are padded and rows that are not";
  case CostClass::Activation:
    return "its result is read in high precision";
  case CostClass::Gemm:
    return "the products themselves, all experts in one launch";
  case CostClass::Communication:
    return "tokens and experts are on different ranks";
  case CostClass::Copy:
    return "a value is needed in a second place";
  case CostClass::Other:
    break;
  }
  return "no rewrite is known";
}

static std::string toString(Location loc) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (auto name = dyn_cast<NameLoc>(loc))
    os << name.getName().getValue();
  else if (auto file = loc->findInstanceOf<FileLineColLoc>())
    os << file.getFilename().getValue() << ":" << file.getLine() << ":"
       << file.getColumn();
  else
    os << loc;
  return text;
}

static void count(ModuleOp module,
                  function_ref<void(CostOpInterface, OpCost, int64_t)> visit) {
  module.walk([&](CostOpInterface op) {
    visit(op, op.getCost(), getNumExecutions(op).value_or(1));
  });
}

static void addRest(ModuleOp optimized, const Missed &missed, Report &report) {
  count(optimized, [&](CostOpInterface op, OpCost cost, int64_t times) {
    ClassReport &entry = report.classes[unsigned(cost.costClass)];
    entry.launches += cost.launches * times;
    entry.bytes += cost.bytes * times;
    if (cost.launches == 0)
      return;
    StringAttr name = op->getName().getIdentifier();
    auto said = missed.find({op->getLoc(), name});
    StringRef reason = said == missed.end() ? getPurpose(cost.costClass)
                                            : StringRef(said->second);
    auto key = std::pair(name, StringAttr::get(op->getContext(), reason));
    auto [it, isNew] = entry.kinds.try_emplace(key, Kind{0, op->getLoc()});
    it->second.launches += cost.launches * times;
  });
}

static void write(raw_ostream &os, const Report &report) {
  os << "target " << report.chip << ", a step before and after te-optimize\n";
  const char *row = "{0,-20} {1,9} {2,9} {3,12} {4,12}\n";
  os << llvm::formatv(row, "class", "launches", "after", "MB", "after");
  auto line = [&](StringRef name, const ClassReport &entry) {
    os << llvm::formatv(row, name, entry.launchesBefore, entry.launches,
                        llvm::formatv("{0:f3}", entry.bytesBefore / 1e6),
                        llvm::formatv("{0:f3}", entry.bytes / 1e6));
  };
  ClassReport total;
  for (unsigned i = 0; i < kNumCostClasses; ++i) {
    const ClassReport &entry = report.classes[i];
    if (entry.launchesBefore == 0 && entry.launches == 0)
      continue;
    line(stringifyCostClass(CostClass(i)), entry);
    total.launchesBefore += entry.launchesBefore;
    total.launches += entry.launches;
    total.bytesBefore += entry.bytesBefore;
    total.bytes += entry.bytes;
    for (const auto &[key, kind] : entry.kinds)
      os << llvm::formatv("  {0,5} {1}, at {2}\n        {3}\n", kind.launches,
                          key.first.getValue(), toString(kind.first),
                          key.second.getValue());
  }
  line("total", total);
}

namespace {
struct ExplainPass : te::impl::ExplainPassBase<ExplainPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    markAllAnalysesPreserved();
    Report report;
    report.chip = TargetAttr::lookup(module).getChip();
    count(module, [&](CostOpInterface, OpCost cost, int64_t times) {
      ClassReport &entry = report.classes[unsigned(cost.costClass)];
      entry.launchesBefore += cost.launches * times;
      entry.bytesBefore += cost.bytes * times;
    });

    // The copy lives in a context of its own, whose remarks are ours alone, and
    // which one thread works on: MLIR's engine of remarks has no lock.
    std::string bytes;
    llvm::raw_string_ostream os(bytes);
    if (failed(writeBytecodeToFile(module, os)))
      return signalPassFailure();
    Missed missed;
    MLIRContext context(getContext().getDialectRegistry(),
                        MLIRContext::Threading::DISABLED);
    remark::RemarkCategories categories;
    categories.missed = "te-.*";
    if (failed(remark::enableOptimizationRemarks(
            context, std::make_unique<MissedCollector>(missed),
            std::make_unique<remark::RemarkEmittingPolicyAll>(), categories)))
      return signalPassFailure();
    OwningOpRef<ModuleOp> copy = parseSourceString<ModuleOp>(bytes, &context);
    PassManager pm(&context);
    buildOptimizePipeline(pm);
    if (!copy || failed(pm.run(*copy)))
      return signalPassFailure();
    addRest(*copy, missed, report);

    if (file.empty())
      return write(llvm::errs(), report);
    llvm::Error error =
        writeOutput(file, [&](raw_ostream &os) { write(os, report); });
    if (error) {
      emitError(module.getLoc(), "te-explain: cannot write ")
          << llvm::toString(std::move(error));
      signalPassFailure();
    }
  }
};
} // namespace
