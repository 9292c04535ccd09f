//===- ReduceFunction.cpp - the reduction pattern of the te dialect -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Simplifications.h"

#include "te/Dialect/TE/IR/TE.h"
#include "te/Reducer/Reducer.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Reducer/ReductionPatternInterface.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace mlir::te;

namespace {
std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module.print(os);
  return text;
}

/// Upstream's tester, asked once for each text. So a sweep that finds nothing
/// new costs next to nothing, and a test that depends on time cannot answer
/// the same question in two ways.
class Memory {
public:
  explicit Memory(const Tester &tester) : tester(tester) {}

  bool isInteresting(ModuleOp module, StringRef text) {
    auto [entry, isNew] = answers.insert({llvm::xxh3_64bits(text), false});
    if (isNew)
      entry->second =
          tester.isInteresting(module).first == Tester::Interestingness::True;
    return entry->second;
  }

private:
  const Tester &tester;
  llvm::DenseMap<uint64_t, bool> answers;
};

/// A module, and the function in it that is being reduced.
struct Program {
  Program(ModuleOp other, StringAttr name)
      : module(other.clone()),
        function(cast<FunctionOpInterface>(
            SymbolTable::lookupSymbolIn(*module, name))) {}

  OwningOpRef<ModuleOp> module;
  FunctionOpInterface function;
};

/// What is to become less, the most important first. The text is what
/// attributes count in: one that has its default is not in it.
struct Size {
  size_t ops = 0, values = 0, argumentsRead = 0, arguments = 0, text = 0;

  Size(FunctionOpInterface function, StringRef text)
      : arguments(function.getNumArguments()), text(text.size()) {
    function.walk([&](Operation *op) {
      ++ops;
      values += op->getNumOperands() + op->getNumResults();
    });
    for (BlockArgument argument : function.getArguments())
      argumentsRead += !argument.use_empty();
  }

  bool operator<(const Size &other) const {
    auto all = [](const Size &size) {
      return std::tie(size.ops, size.values, size.argumentsRead, size.arguments,
                      size.text);
    };
    return all(*this) < all(other);
  }
};

/// Delta debugging over the edits of one kind after another, until none of
/// them is of use.
class Reduction {
public:
  Reduction(Memory &memory, ModuleOp module, StringAttr name)
      : memory(memory), name(name), program(module, name),
        size(program.function, print(module)) {}

  /// Whether the program became smaller.
  bool run() {
    bool changed = false, again = true;
    while (again) {
      again = false;
      for (Simplification simplification : getSimplifications())
        again |= reduceBy(simplification);
      changed |= again;
    }
    return changed;
  }

  FunctionOpInterface getFunction() { return program.function; }

private:
  /// Makes runs of edits, first all at once, then ever shorter ones.
  bool reduceBy(Simplification simplification) {
    bool changed = false;
    size_t count = simplification(program.function).size();
    for (size_t length = count; length > 0; length /= 2)
      // From the end, where what is not needed by what follows is; so what is
      // before a place stays where it is.
      for (size_t end = count; end > 0;) {
        size_t begin = end > length ? end - length : 0;
        if (tryEdits(simplification, begin, end)) {
          changed = true;
          count = simplification(program.function).size();
        }
        end = std::min(begin, count);
      }
    return changed;
  }

  bool tryEdits(Simplification simplification, size_t begin, size_t end) {
    Program trial(*program.module, name);
    // An edit may leave what no verifier accepts; its complaint is no news.
    ScopedDiagnosticHandler silent(trial.module->getContext(),
                                   [](Diagnostic &) { return success(); });
    SmallVector<Edit> edits = simplification(trial.function);
    for (size_t i = end; i > begin; --i)
      edits[i - 1]();
    if (failed(verify(*trial.module)))
      return false;
    removeDead(trial.function);
    std::string text = print(*trial.module);
    Size smaller(trial.function, text);
    if (!(smaller < size) || !memory.isInteresting(*trial.module, text))
      return false;
    program = std::move(trial);
    size = smaller;
    return true;
  }

  Memory &memory;
  StringAttr name;
  Program program;
  Size size;
};

/// Reduces a function as a whole, in place of op by op: upstream applies the
/// patterns to all ops of a region at once, and then to all but a few, which
/// finds nothing where several ops far apart have to stay.
struct ReduceFunction : OpInterfaceRewritePattern<FunctionOpInterface> {
  ReduceFunction(MLIRContext *context, const Tester &tester)
      : OpInterfaceRewritePattern(context),
        memory(std::make_shared<Memory>(tester)) {}

  LogicalResult matchAndRewrite(FunctionOpInterface op,
                                PatternRewriter &rewriter) const override {
    auto module = dyn_cast_or_null<ModuleOp>(op->getParentOp());
    if (!module || module->getParentOp())
      return rewriter.notifyMatchFailure(op, "not in the outermost module");
    if (op.isExternal())
      return rewriter.notifyMatchFailure(op, "has no body");
    Reduction reduction(*memory, module,
                        cast<SymbolOpInterface>(*op).getNameAttr());
    if (!reduction.run())
      return rewriter.notifyMatchFailure(op, "cannot be made smaller");
    FunctionOpInterface reduced = reduction.getFunction();
    rewriter.modifyOpInPlace(op, [&] {
      op->setAttrs(reduced->getAttrDictionary());
      op.getFunctionBody().takeBody(reduced.getFunctionBody());
    });
    return success();
  }

  std::shared_ptr<Memory> memory;
};

struct TEReductionPatterns : DialectReductionPatternInterface {
  explicit TEReductionPatterns(Dialect *dialect)
      : DialectReductionPatternInterface(dialect) {}

  void populateReductionPatterns(RewritePatternSet &) const override {}
  void populateReductionPatternsWithTester(RewritePatternSet &patterns,
                                           Tester &tester) const override {
    patterns.add<ReduceFunction>(patterns.getContext(), tester);
  }
};
} // namespace

void te::registerReductionPatterns(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *, TEDialect *dialect) {
    dialect->addInterfaces<TEReductionPatterns>();
  });
}
