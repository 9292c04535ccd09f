//===- CostReport.cpp - what a program costs, by op class -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TE/IR/TE.h"
#include "te/Dialect/TE/Transforms/Passes.h"
#include "te/Dialect/TE/Transforms/ProgramCost.h"
#include "te/Support/OutputFile.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::te {
#define GEN_PASS_DEF_COSTREPORTPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
void writeTable(raw_ostream &os, const ProgramCost &report) {
  const char *row = "{0,-20} {1,9} {2,12} {3,12} {4,11} {5,12}\n";
  auto line = [&](StringRef name, const CostTotal &cost) {
    os << llvm::formatv(row, name, cost.launches,
                        llvm::formatv("{0:f3}", cost.bytes / 1e6),
                        llvm::formatv("{0:f3}", cost.flops / 1e9),
                        cost.hostSyncs, llvm::formatv("{0:f1}", cost.us));
  };
  os << "target " << report.target.getChip() << "\n"
     << llvm::formatv(row, "class", "launches", "MB", "GFLOP", "host syncs",
                      "roofline us");
  for (unsigned i = 0; i < kNumCostClasses; ++i)
    if (!report.classes[i].empty())
      line(stringifyCostClass(CostClass(i)), report.classes[i]);
  line("total", report.total);
  if (report.peakBytes)
    os << llvm::formatv("peak of the arena: {0:f3} MB\n",
                        *report.peakBytes / 1e6);
}

void writeJSON(raw_ostream &os, const ProgramCost &report) {
  llvm::json::OStream json(os, 2);
  auto cost = [&](const CostTotal &cost) {
    json.object([&] {
      json.attribute("launches", cost.launches);
      json.attribute("bytes", cost.bytes);
      json.attribute("flops", cost.flops);
      json.attribute("host_syncs", cost.hostSyncs);
      json.attribute("us", cost.us);
    });
  };
  json.object([&] {
    json.attribute("target", report.target.getChip());
    json.attributeBegin("total");
    cost(report.total);
    json.attributeEnd();
    json.attributeObject("classes", [&] {
      for (unsigned i = 0; i < kNumCostClasses; ++i) {
        json.attributeBegin(stringifyCostClass(CostClass(i)));
        cost(report.classes[i]);
        json.attributeEnd();
      }
    });
    if (report.peakBytes)
      json.attribute("peak_bytes", *report.peakBytes);
    else
      json.attribute("peak_bytes", nullptr);
  });
  os << "\n";
}

struct CostReportPass : te::impl::CostReportPassBase<CostReportPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (format != "table" && format != "json") {
      emitError(module.getLoc(),
                "te-cost-report: format must be table or json, but got ")
          << format;
      return signalPassFailure();
    }
    FailureOr<ProgramCost> cost = getProgramCost(module, "te-cost-report");
    if (failed(cost))
      return signalPassFailure();
    markAllAnalysesPreserved();

    auto write = format == "json" ? writeJSON : writeTable;
    if (file.empty())
      return write(llvm::errs(), *cost);
    llvm::Error error =
        writeOutput(file, [&](raw_ostream &os) { write(os, *cost); });
    if (error) {
      emitError(module.getLoc(), "te-cost-report: cannot write ")
          << llvm::toString(std::move(error));
      signalPassFailure();
    }
  }
};
} // namespace
