//===- AssignScaleLayouts.cpp - layouts for the fewest conversions --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "ScaleFlow.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

using namespace mlir;
using namespace mlir::te;

namespace {
/// The rewrite of one flow, its layouts chosen.
class FlowRewrite {
public:
  FlowRewrite(const ScaleFlowAnalysis &analysis, const LayoutLabels &labels,
              const ScaleFlow &flow)
      : analysis(analysis), labels(labels), flow(flow),
        label(labelOf(flow.variable)),
        isRetyped(label != flow.getLabel(flow.value.getType())) {
    type = flow.getType(label);
    otherType = flow.getType(1 - label);
    for (const ScaleFlow::Reader &reader : flow.readers)
      (labelOf(reader.variable) == label ? direct : converted)
          .push_back(reader.operand);
  }

  /// Types change all at once, before any reader is moved.
  void retype() { Value(flow.value).setType(type); }
  void moveReaders(DominanceInfo &dominance);
  void leaveRemarks(const Remarks &remarks, ScaleLayoutCounts &counts);
  void eraseConversions();
  /// The conversion that is still needed, or null.
  ConvertScalesOp getKept() const { return kept; }

private:
  unsigned labelOf(unsigned variable) const {
    return labels[analysis.getClass(variable)];
  }
  bool isFixed(unsigned variable) const {
    return analysis.getAllowed(variable) != LayoutGraph::kAny;
  }
  void explainKept(const Remarks &remarks, Operation *conversion);

  const ScaleFlowAnalysis &analysis;
  const LayoutLabels &labels;
  const ScaleFlow &flow;
  unsigned label;
  bool isRetyped;
  RankedTensorType type, otherType;
  /// Readers of the value itself, and those of its conversion.
  SmallVector<OpOperand *> direct, converted;
  /// The conversion that stays or stands for those that were there.
  ConvertScalesOp kept;
};
} // namespace

void FlowRewrite::moveReaders(DominanceInfo &dominance) {
  for (OpOperand *operand : direct)
    operand->set(flow.value);
  if (converted.empty())
    return;
  // One that is there serves, if it stands above all who need it.
  for (ConvertScalesOp convert : flow.conversions)
    if (!kept && !isRetyped && convert.getScales() == flow.value &&
        convert.getOutput().getType() == otherType)
      kept = convert;
  if (kept && !llvm::all_of(converted, [&](OpOperand *operand) {
        return dominance.properlyDominates(kept.getOperation(),
                                           operand->getOwner());
      }))
    kept = nullptr;
  if (!kept) {
    OpBuilder builder(flow.value.getContext());
    builder.setInsertionPointAfterValue(flow.value);
    Location loc = flow.value.getLoc();
    if (!flow.conversions.empty())
      loc = ConvertScalesOp(flow.conversions.front()).getLoc();
    kept =
        ConvertScalesOp::create(builder, loc, otherType, flow.value, flow.data);
  }
  for (OpOperand *operand : converted)
    operand->set(kept.getOutput());
}

/// Who binds the two layouts, if the one who gives and one who reads do.
void FlowRewrite::explainKept(const Remarks &remarks, Operation *conversion) {
  StringRef given = stringifyScaleLayout(flow.layouts[label]);
  StringRef other = stringifyScaleLayout(flow.layouts[1 - label]);
  auto nameOf = [](Operation *op) {
    return op ? op->getName().getStringRef() : StringRef("the function");
  };
  auto findFixed = [&](unsigned wanted) -> Operation * {
    for (const ScaleFlow::Reader &reader : flow.readers)
      if (labelOf(reader.variable) == wanted && isFixed(reader.variable))
        return reader.operand->getOwner();
    return nullptr;
  };
  Operation *reader = findFixed(1 - label);
  if (!reader)
    return remarks.missed(conversion,
                          "without it, other conversions would cost more");
  if (isFixed(flow.variable))
    return remarks.missed(conversion, "{0} gives {1} scales and {2} reads {3}",
                          nameOf(flow.value.getDefiningOp()), given,
                          nameOf(reader), other);
  if (Operation *second = findFixed(label))
    return remarks.missed(conversion, "{0} reads {1} scales and {2} reads {3}",
                          nameOf(second), given, nameOf(reader), other);
  remarks.missed(conversion,
                 "{0} reads {1} scales; to give it those would "
                 "cost other conversions more",
                 nameOf(reader), other);
}

void FlowRewrite::leaveRemarks(const Remarks &remarks,
                               ScaleLayoutCounts &counts) {
  if (kept) {
    ++counts.kept;
    explainKept(remarks, kept);
  }
  // One of the conversions lives on in `kept`, at the place of its location.
  bool replaced = kept && !llvm::is_contained(flow.conversions, kept);
  for (ConvertScalesOp convert :
       ArrayRef(flow.conversions)
           .drop_front(replaced && !flow.conversions.empty())) {
    if (convert == kept)
      continue;
    ++counts.removed;
    remarks.passed(convert, Saving().removed(convert));
  }
}

void FlowRewrite::eraseConversions() {
  for (ConvertScalesOp convert : llvm::reverse(flow.conversions))
    if (convert != kept)
      convert.erase();
}

/// Moves `op` in front of each loop that it does not vary in, unless the loop
/// may have no iteration, and the op then none to run in.
static bool hoist(ConvertScalesOp op, const Remarks &remarks) {
  bool hoisted = false;
  Saving saving;
  saving.removed(op);
  while (Operation *parent = op->getParentOp()) {
    auto loop = dyn_cast<LoopLikeOpInterface>(parent);
    if (!loop) {
      if (parent->getParentOfType<LoopLikeOpInterface>())
        remarks.missed(op, "{0} around it may not run it in each iteration",
                       parent->getName());
      break;
    }
    llvm::SetVector<Operation *> views;
    if (!isInvariant(op.getScales(), loop, &views)) {
      remarks.missed(op, "the scales vary in the loop");
      break;
    }
    std::optional<APInt> trips = loop.getStaticTripCount();
    if (!trips || trips->isZero()) {
      remarks.missed(op, "the loop may have no iteration");
      break;
    }
    for (Operation *view : views)
      loop.moveOutOfLoop(view);
    loop.moveOutOfLoop(op);
    hoisted = true;
  }
  if (hoisted)
    remarks.passed(op, saving.added(op));
  return hoisted;
}

ScaleLayoutCounts te::assignScaleLayouts(Operation *root, ScaleLayout layout,
                                         const Remarks &remarks) {
  ScaleFlowAnalysis analysis(root);
  LayoutLabels labels = analysis.assign();
  SmallVector<FlowRewrite> rewrites;
  for (const ScaleFlow &flow : analysis.getFlows())
    if (flow.layouts.back() == layout && !flow.data.empty())
      rewrites.emplace_back(analysis, labels, flow);
  DominanceInfo dominance(root);
  for (FlowRewrite &rewrite : rewrites)
    rewrite.retype();
  for (FlowRewrite &rewrite : rewrites)
    rewrite.moveReaders(dominance);
  ScaleLayoutCounts counts;
  for (FlowRewrite &rewrite : rewrites) {
    rewrite.leaveRemarks(remarks, counts);
    rewrite.eraseConversions();
  }
  // Only now, so that none is hoisted which need not be there at all.
  for (FlowRewrite &rewrite : rewrites)
    if (ConvertScalesOp kept = rewrite.getKept())
      counts.hoisted += hoist(kept, remarks);
  return counts;
}
