//===- Passes.cpp - passes, pipelines and what they say, from C -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te-c/Passes.h"
#include "te/InitAll.h"

#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/Regex.h"

#include <mutex>

using namespace mlir;

void teRegisterAllPasses() {
  static std::once_flag once;
  std::call_once(once, [] {
    te::registerAllTEPasses();
    registerTransformsPasses();
  });
}

MlirLogicalResult teRunPipeline(MlirModule module, MlirStringRef pipeline) {
  ModuleOp op = unwrap(module);
  PassManager pm(op.getContext());
  std::string errors;
  llvm::raw_string_ostream stream(errors);
  if (failed(parsePassPipeline(unwrap(pipeline), pm, stream))) {
    // One line, without the place in the text and the text once more.
    StringRef line = StringRef(errors).split('\n').first;
    auto [place, what] = line.split("error: ");
    emitError(op.getLoc()) << "teRunPipeline: " << (what.empty() ? line : what);
    return mlirLogicalResultFailure();
  }
  return wrap(pm.run(op));
}

//===----------------------------------------------------------------------===//
// Remarks
//===----------------------------------------------------------------------===//

static TeRemarkKind toC(llvm::remarks::Type type) {
  switch (type) {
  case llvm::remarks::Type::Passed:
    return TeRemarkPassed;
  case llvm::remarks::Type::Missed:
    return TeRemarkMissed;
  case llvm::remarks::Type::Failure:
    return TeRemarkFailed;
  default:
    return TeRemarkAnalysis;
  }
}

namespace {
/// Tells a C function of each remark.
struct HandlerStreamer : remark::detail::MLIRRemarkStreamerBase {
  HandlerStreamer(TeRemarkHandler handler, void *userData)
      : handler(handler), userData(userData) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    TeRemark told = {};
    told.kind = toC(remark.getRemarkType());
    told.pass = wrap(remark.getCategoryName());
    told.rewrite = wrap(remark.getRemarkName());
    told.location = wrap(remark.getLocation());
    // The engine's words for none.
    if (remark.getFunction() != "<unknown function>")
      told.function = wrap(remark.getFunction());
    SmallVector<MlirStringRef> keys, values;
    for (const remark::detail::Remark::Arg &argument : remark.getArgs()) {
      StringRef key = argument.key, value = argument.val;
      keys.push_back(wrap(key));
      values.push_back(wrap(value));
      if (key == "Op")
        told.op = wrap(value);
      else if (key == "Reason")
        told.reason = wrap(value);
      else if (key == "LaunchesSaved" || key == "LaunchesLost")
        value.getAsInteger(10, told.launches);
      else if (key == "BytesSaved" || key == "BytesLost")
        value.getAsInteger(10, told.bytes);
    }
    told.numArguments = intptr_t(keys.size());
    told.keys = keys.data();
    told.values = values.data();
    handler(&told, userData);
  }

  TeRemarkHandler handler;
  void *userData;
};
} // namespace

MlirLogicalResult teContextSetRemarkHandler(MlirContext context,
                                            MlirStringRef passes,
                                            TeRemarkHandler handler,
                                            void *userData) {
  MLIRContext *ctx = unwrap(context);
  if (!handler) {
    ctx->setRemarkEngine(nullptr);
    return mlirLogicalResultSuccess();
  }
  std::string why;
  if (!llvm::Regex(unwrap(passes)).isValid(why)) {
    emitError(UnknownLoc::get(ctx))
        << "teContextSetRemarkHandler: passes must be a regular expression, "
           "but got '"
        << unwrap(passes) << "': " << why;
    return mlirLogicalResultFailure();
  }
  ctx->disableMultithreading();
  std::string filter = unwrap(passes).str();
  remark::RemarkCategories categories;
  categories.passed = categories.missed = filter;
  categories.failed = categories.analysis = filter;
  return wrap(remark::enableOptimizationRemarks(
      *ctx, std::make_unique<HandlerStreamer>(handler, userData),
      std::make_unique<remark::RemarkEmittingPolicyAll>(), categories));
}
