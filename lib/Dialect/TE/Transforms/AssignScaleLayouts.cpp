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
#include "llvm/ADT/MapVector.h"

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
    for (ConvertScalesOp convert : flow.conversions)
      before.push_back(Saving().removed(convert));
  }

  /// Types change all at once, before any reader is moved.
  void retype() { Value(flow.value).setType(type); }
  void moveReaders(DominanceInfo &dominance);
  void leaveRemarks(const Remarks &remarks, ScaleLayoutCounts &counts);
  void eraseConversions();
  /// Moves the conversion that is still needed in front of loops.
  void hoistKept(const Remarks &remarks, ScaleLayoutCounts &counts);
  ConvertScalesOp getKept() const { return kept; }

private:
  unsigned labelOf(unsigned variable) const {
    return labels[analysis.getClass(variable)];
  }
  bool isFixed(unsigned variable) const {
    return analysis.getAllowed(variable) != LayoutGraph::kAny;
  }
  void explainKept(const Remarks &remarks, Operation *conversion);
  Operation *findFixedReader(const ScaleFlow &from, unsigned wanted) const;
  const ScaleFlow *findFixedGiver(const ScaleFlow &of) const;

  const ScaleFlowAnalysis &analysis;
  const LayoutLabels &labels;
  const ScaleFlow &flow;
  unsigned label;
  bool isRetyped;
  RankedTensorType type, otherType;
  /// Readers of the value itself, and those of its conversion.
  SmallVector<OpOperand *> direct, converted;
  /// What each conversion took, as the program was given.
  SmallVector<Saving> before;
  /// The conversion that stays or stands for those that were there, and what
  /// the one took that it is or replaces.
  ConvertScalesOp kept;
  Saving keptBefore;
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

/// Who has no choice but to read layout `wanted`, perhaps through ops that keep
/// the layout of what they read.
Operation *FlowRewrite::findFixedReader(const ScaleFlow &from,
                                        unsigned wanted) const {
  for (const ScaleFlow::Reader &reader : from.readers) {
    if (labelOf(reader.variable) != wanted)
      continue;
    Operation *owner = reader.operand->getOwner();
    if (isFixed(reader.variable))
      return owner;
    auto interface = dyn_cast<ScaleLayoutOpInterface>(owner);
    for (OpResult result : owner->getResults())
      if (const ScaleFlow *next = analysis.getFlow(result);
          next && interface &&
          llvm::is_contained(interface.getTiedLayoutOperands(result),
                             reader.operand))
        if (Operation *fixed = findFixedReader(*next, wanted))
          return fixed;
  }
  return nullptr;
}

/// The value that has no choice of another layout, perhaps one whose layout
/// `of` keeps; null if there is none.
const ScaleFlow *FlowRewrite::findFixedGiver(const ScaleFlow &of) const {
  if (isFixed(of.variable))
    return &of;
  auto result = dyn_cast<OpResult>(of.value);
  auto interface = result ? dyn_cast<ScaleLayoutOpInterface>(result.getOwner())
                          : ScaleLayoutOpInterface();
  if (!interface)
    return nullptr;
  for (OpOperand *operand : interface.getTiedLayoutOperands(result))
    if (const ScaleFlow *source = analysis.getFlow(operand->get()))
      if (const ScaleFlow *fixed = findFixedGiver(*source))
        return fixed;
  return nullptr;
}

/// Who binds the two layouts, if the one who gives and one who reads do.
void FlowRewrite::explainKept(const Remarks &remarks, Operation *conversion) {
  StringRef given = stringifyScaleLayout(flow.layouts[label]);
  StringRef other = stringifyScaleLayout(flow.layouts[1 - label]);
  Operation *reader = findFixedReader(flow, 1 - label);
  if (!reader)
    reader = converted.front()->getOwner();
  if (const ScaleFlow *giver = findFixedGiver(flow)) {
    Operation *def = Value(giver->value).getDefiningOp();
    return remarks.missed(conversion,
                          "{0} gives {1} scales and {2} reads {3}",
                          def ? describe(def) : "the function", given,
                          describe(reader), other);
  }
  if (Operation *second = findFixedReader(flow, label))
    return remarks.missed(conversion,
                          "{0} reads {1} scales and {2} reads {3}",
                          describe(second), given, describe(reader), other);
  remarks.missed(conversion,
                 "{0} reads {1} scales; to give it those would "
                 "cost other conversions more",
                 describe(reader), other);
}

void FlowRewrite::leaveRemarks(const Remarks &remarks,
                               ScaleLayoutCounts &counts) {
  // One of the conversions lives on in `kept`, at the place of its location.
  bool replaced = kept && !llvm::is_contained(flow.conversions, kept);
  for (auto [i, convert] : llvm::enumerate(flow.conversions)) {
    if (convert == kept || (replaced && i == 0)) {
      keptBefore = before[i];
      continue;
    }
    ++counts.removed;
    remarks.passed(convert, before[i]);
  }
  counts.kept += bool(kept);
}

void FlowRewrite::eraseConversions() {
  for (ConvertScalesOp convert : llvm::reverse(flow.conversions))
    if (convert != kept)
      convert.erase();
}

/// Moves `op` in front of each loop that it does not vary in, unless the loop
/// may have no iteration, and the op then none to run in.
static bool hoist(ConvertScalesOp op, const Workspaces &workspaces,
                  const Remarks &remarks) {
  bool hoisted = false;
  while (Operation *parent = op->getParentOp()) {
    auto loop = dyn_cast<LoopLikeOpInterface>(parent);
    if (!loop) {
      if (parent->getParentOfType<LoopLikeOpInterface>())
        remarks.missed(op, "{0} around it may not run it in each iteration",
                       parent->getName());
      break;
    }
    llvm::SetVector<Operation *> views;
    if (!isInvariant(op.getScales(), loop, workspaces, &views)) {
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
  return hoisted;
}

void FlowRewrite::hoistKept(const Remarks &remarks, ScaleLayoutCounts &counts) {
  if (!kept)
    return;
  counts.hoisted += hoist(kept, analysis.getWorkspaces(), remarks);
  Saving saving = keptBefore.added(kept);
  if (saving.launches > 0)
    remarks.passed(kept, saving);
  explainKept(remarks, kept);
}

/// One conversion for all members of a packed tensor, where each has its own in
/// one block: as many bytes, fewer launches.
static void convertTogether(ArrayRef<FlowRewrite> rewrites,
                            const Remarks &remarks, ScaleLayoutCounts &counts) {
  using Key = std::pair<Value, Block *>;
  llvm::MapVector<Key, SmallVector<ConvertScalesOp>> byPacked;
  for (const FlowRewrite &rewrite : rewrites) {
    ConvertScalesOp convert = rewrite.getKept();
    auto member = convert ? convert.getScales().getDefiningOp<MemberOp>()
                          : MemberOp();
    if (!member || !member.getIndex())
      continue;
    auto packed = cast<RankedTensorType>(member.getPacked().getType());
    auto &members = byPacked[{member.getPacked(), convert->getBlock()}];
    members.resize(packed.getDimSize(0));
    members[*member.getIndex()] = convert;
  }
  for (auto &[key, members] : byPacked) {
    if (members.size() < 2 || llvm::is_contained(members, ConvertScalesOp()))
      continue;
    ConvertScalesOp first = members.front();
    for (ConvertScalesOp each : members)
      if (each->isBeforeInBlock(first))
        first = each;
    Saving saving;
    for (ConvertScalesOp each : members)
      saving.removed(each);
    OpBuilder builder(first);
    auto type = cast<RankedTensorType>(first.getOutput().getType());
    auto together = ConvertScalesOp::create(
        builder, first.getLoc(), MemberOp::getPackedType(type, members.size()),
        key.first, first.getDataShape());
    remarks.passed(together, saving.added(together));
    for (auto [e, each] : llvm::enumerate(members))
      each.getOutput().replaceAllUsesWith(
          MemberOp::create(builder, each.getLoc(), together, int64_t(e)));
    for (ConvertScalesOp each : members)
      each.erase();
    counts.kept -= members.size() - 1;
  }
}

ScaleLayoutCounts te::assignScaleLayouts(Operation *root, ScaleLayout layout,
                                         const Remarks &remarks) {
  ScaleFlowAnalysis analysis(root);
  LayoutLabels labels = analysis.assign();
  SmallVector<FlowRewrite, 0> rewrites;
  for (const ScaleFlow &flow : analysis.getFlows())
    if (flow.layouts.back() == layout && !flow.data.empty())
      rewrites.emplace_back(analysis, labels, flow);
  DominanceInfo dominance(root);
  for (FlowRewrite &rewrite : rewrites)
    rewrite.retype();
  for (FlowRewrite &rewrite : rewrites)
    rewrite.moveReaders(dominance);
  for (auto [global, store] : analysis.getGlobals())
    global.setTypeAttr(TypeAttr::get(store.getValue().getType()));
  ScaleLayoutCounts counts;
  for (FlowRewrite &rewrite : rewrites) {
    rewrite.leaveRemarks(remarks, counts);
    rewrite.eraseConversions();
  }
  // Only now, so that none is hoisted which need not be there at all.
  for (FlowRewrite &rewrite : rewrites)
    rewrite.hoistKept(remarks, counts);
  convertTogether(rewrites, remarks, counts);
  return counts;
}
