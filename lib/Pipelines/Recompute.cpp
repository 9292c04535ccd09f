//===- Recompute.cpp - tensors made again, rather than kept ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Stands with the pipelines, since it lowers each form that it considers: the
// bytes that it compares are those of the plan.
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TE/Transforms/ProgramCost.h"
#include "te/Dialect/TE/Transforms/TrimUsages.h"
#include "te/Dialect/TERuntime/IR/TERuntime.h"
#include "te/Pipelines/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "te-recompute"
namespace mlir::te {
#define GEN_PASS_DEF_RECOMPUTEPASS
#include "te/Pipelines/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
/// An op that is made again in front of `late`, with operands made again as far
/// as `depth` ops in front of it.
struct Candidate {
  Operation *op, *late;
  unsigned depth;
  /// Nobody reads it before: it is not made twice, but later.
  bool isFirst;
};

/// A form of the program, and what it takes.
struct Form {
  OwningOpRef<ModuleOp> module;
  int64_t peak;
  double us;
};

constexpr unsigned kMaxDepth = 2;

struct RecomputePass : te::impl::RecomputePassBase<RecomputePass> {
  using Base::Base;
  void runOnOperation() override;

private:
  FailureOr<Form> measure(OwningOpRef<ModuleOp> module);
  FailureOr<std::optional<Form>> findBest(const Form &form, std::string &what,
                                          Location &where);
};
} // namespace

//===----------------------------------------------------------------------===//
// Candidates
//===----------------------------------------------------------------------===//

static int64_t getNumLaunches(Operation *op) {
  auto cost = dyn_cast<CostOpInterface>(op);
  return cost ? cost.getCost().launches : 0;
}

/// Whether another run of the op gives the same and does nothing else.
static bool isRecomputable(Operation *op) {
  if (op->getNumRegions() > 0 || !isMemoryEffectFree(op))
    return false;
  // All ranks would have to meet once more.
  if (auto cost = dyn_cast<CostOpInterface>(op))
    if (cost.getCost().costClass == CostClass::Communication)
      return false;
  auto dest = dyn_cast<DestinationOpInterface>(op);
  return !dest || llvm::all_of(dest.getDestinations(), [](OpOperand &out) {
    return out.get().getDefiningOp<tensor::EmptyOp>() ||
           matchPattern(out.get(), m_Constant());
  });
}

/// The ops of the block of `op` that read `values`, or hold such, in order.
static SmallVector<Operation *> getReaders(Operation *op, ValueRange values) {
  SmallVector<Operation *> readers;
  for (Value value : values)
    for (Operation *user : value.getUsers())
      readers.push_back(op->getBlock()->findAncestorOpInBlock(*user));
  llvm::sort(readers, [](Operation *a, Operation *b) {
    return a->isBeforeInBlock(b);
  });
  readers.erase(llvm::unique(readers), readers.end());
  return readers;
}

/// In the order of the program: the same for a clone.
static SmallVector<Candidate> collectCandidates(ModuleOp module) {
  SmallVector<Candidate> candidates;
  module.walk([&](Operation *op) {
    if (getNumLaunches(op) == 0 || !isRecomputable(op))
      return;
    Operation *before = op;
    for (Operation *late : getReaders(op, op->getResults())) {
      if (before->getNextNode() != late &&
          !late->hasTrait<OpTrait::IsTerminator>())
        for (unsigned depth = 0; depth <= kMaxDepth; ++depth)
          candidates.push_back({op, late, depth, before == op});
      before = late;
    }
  });
  return candidates;
}

/// Whether `value` is there in front of `late` in any case.
static bool isKeptUntil(Value value, Operation *late) {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != late->getBlock())
    return true;
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    return !late->getBlock()->findAncestorOpInBlock(*user)->isBeforeInBlock(
        late);
  });
}

static void makeAgain(Operation *op, Operation *late, unsigned depth,
                      OpBuilder &builder, IRMapping &mapping) {
  for (Value operand : op->getOperands()) {
    if (mapping.contains(operand) || isKeptUntil(operand, late))
      continue;
    Operation *def = operand.getDefiningOp();
    bool isView = getNumLaunches(def) == 0;
    if (isRecomputable(def) && (isView || depth > 0))
      makeAgain(def, late, isView ? depth : depth - 1, builder, mapping);
  }
  builder.clone(*op, mapping);
}

static void apply(const Candidate &candidate) {
  auto [op, late, depth, isFirst] = candidate;
  OpBuilder builder(late);
  IRMapping mapping;
  makeAgain(op, late, depth, builder, mapping);
  Block *block = op->getBlock();
  for (OpResult result : op->getResults())
    result.replaceUsesWithIf(mapping.lookup(result), [&](OpOperand &use) {
      return !block->findAncestorOpInBlock(*use.getOwner())
                  ->isBeforeInBlock(candidate.late);
    });
}

//===----------------------------------------------------------------------===//
// The choice
//===----------------------------------------------------------------------===//

FailureOr<Form> RecomputePass::measure(OwningOpRef<ModuleOp> module) {
  trimUsages(*module, [](Operation *, Operation *, ArrayRef<Usage>) {});
  FailureOr<ProgramCost> cost = getProgramCost(*module, getArgument());
  if (failed(cost))
    return failure();
  OwningOpRef<ModuleOp> lowered = module->clone();
  PassManager lower(&getContext());
  lower.enableVerifier(false);
  buildLowerPipeline(lower);
  if (failed(lower.run(*lowered)))
    return failure();
  int64_t peak = 0;
  for (auto function : lowered->getOps<func::FuncOp>())
    if (auto bytes = function->getAttrOfType<IntegerAttr>(
            te_rt::TERuntimeDialect::kArenaBytesAttr))
      peak = std::max(peak, bytes.getInt());
  return Form{std::move(module), peak, cost->total.us};
}

/// The best step from `form` towards the budget, or nothing if none saves a
/// byte. `what` then says which op is made again, or later, `where`.
FailureOr<std::optional<Form>>
RecomputePass::findBest(const Form &form, std::string &what, Location &where) {
  std::optional<Form> best;
  // Those that fit by their time, others by the time that each byte takes.
  auto getRank = [&](const Form &next) {
    // An op that is made later costs nothing, whatever sums round to.
    double us = std::max(0.0, next.us - form.us);
    return next.peak <= memoryBudget
               ? std::tuple(0, us, next.peak)
               : std::tuple(1, us / double(form.peak - next.peak), next.peak);
  };
  ModuleOp given = form.module.get();
  size_t count = collectCandidates(given).size();
  for (size_t i = 0; i < count; ++i) {
    OwningOpRef<ModuleOp> module = given.clone();
    Candidate candidate = collectCandidates(*module)[i];
    Location loc = candidate.op->getLoc();
    StringRef how = candidate.isFirst ? "later" : "again";
    std::string name =
        llvm::formatv("{0} {1}", candidate.op->getName().getStringRef(), how);
    apply(candidate);
    FailureOr<Form> next = measure(std::move(module));
    if (failed(next))
      return failure();
    if (next->peak >= form.peak || (best && getRank(*best) <= getRank(*next)))
      continue;
    best = std::move(*next);
    what = name;
    where = loc;
  }
  return best;
}

void RecomputePass::runOnOperation() {
  ModuleOp module = getOperation();
  if (memoryBudget < 0) {
    module.emitError("te-recompute: memory-budget must be 0 or more bytes, but "
                     "got ")
        << int64_t(memoryBudget);
    return signalPassFailure();
  }
  if (memoryBudget == 0)
    return;
  auto opts = remark::RemarkOpts::name("Recompute").category(DEBUG_TYPE);
  FailureOr<Form> form = measure(module.clone());
  if (failed(form))
    return signalPassFailure();
  const int64_t given = form->peak;
  if (given <= memoryBudget) {
    remark::missed(module.getLoc(), opts)
        << remark::reason("{0} bytes are within the budget of {1}", given,
                          int64_t(memoryBudget));
    return;
  }

  struct Step {
    std::string what;
    Location where;
    int64_t bytes;
    double us;
  };
  SmallVector<Step> steps;
  while (form->peak > memoryBudget) {
    std::string what;
    Location where = module.getLoc();
    FailureOr<std::optional<Form>> next = findBest(*form, what, where);
    if (failed(next))
      return signalPassFailure();
    if (!*next) {
      remark::missed(module.getLoc(), opts)
          << remark::reason("the budget of {0} bytes cannot be met: of {1} "
                            "bytes, {2} are the least found",
                            int64_t(memoryBudget), given, form->peak);
      module.emitWarning("te-recompute: the memory budget of ")
          << int64_t(memoryBudget) << " bytes cannot be met: of " << given
          << " bytes, " << form->peak
          << " are the least found; nothing is computed again";
      return;
    }
    steps.push_back(
        {what, where, form->peak - (*next)->peak, std::max(0.0, (*next)->us - form->us)});
    *form = std::move(**next);
  }
  for (const Step &step : steps)
    remark::passed(step.where, opts)
        << remark::add("{0}, for {1:f3} us", step.what, step.us)
        << remark::metric("Bytes", step.bytes);
  numRecomputed += steps.size();
  module.getBodyRegion().takeBody(form->module->getBodyRegion());
}
