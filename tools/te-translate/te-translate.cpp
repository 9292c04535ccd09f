//===- te-translate.cpp - lowered programs to plans -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/InitAll.h"
#include "te/Support/Diagnostics.h"
#include "te/Support/OutputFile.h"
#include "te/Target/Plan/Plan.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
namespace cl = llvm::cl;

static cl::OptionCategory category("te-translate options");
static cl::opt<std::string> input(cl::Positional, cl::desc("<input>"),
                                  cl::init("-"), cl::cat(category));
static cl::opt<std::string> output("o", cl::value_desc("file"),
                                   cl::desc("Write here; - is standard output"),
                                   cl::init("-"), cl::cat(category));
static cl::opt<bool> toPlan("te-to-plan",
                            cl::desc("Write what te-lower made as a plan"),
                            cl::cat(category));
static cl::opt<bool> toText("plan-to-text", cl::desc("Print a plan for people"),
                            cl::cat(category));

static int fail(const Twine &message) {
  llvm::errs() << "te-translate: error: " << message << "\n";
  return 1;
}

static int write(StringRef bytes) {
  if (llvm::Error error =
          te::writeOutput(output, [&](raw_ostream &os) { os << bytes; }))
    return fail(llvm::toString(std::move(error)));
  return 0;
}

static int translateToPlan(std::unique_ptr<llvm::MemoryBuffer> buffer) {
  DialectRegistry registry;
  te::registerAllTEDialects(registry);
  MLIRContext context(registry);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(buffer), SMLoc());
  te::OneLineDiagnostics diagnostics(&context, "te-translate");
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  std::string bytes;
  if (!module || failed(te::translateToPlan(*module, bytes)))
    return 1;
  return write(bytes);
}

static int printPlan(StringRef bytes) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (llvm::Error error = te::printPlan(bytes, stream))
    return fail(input + ": " + llvm::toString(std::move(error)));
  return write(text);
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "te-translate: plans\n");
  if (toPlan == toText)
    return fail("give one of --te-to-plan and --plan-to-text");
  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(input, &message);
  if (!buffer)
    return fail(message);
  return toText ? printPlan(buffer->getBuffer())
                : translateToPlan(std::move(buffer));
}
