//===- ScaleFlow.cpp - where the scales of a function go ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScaleFlow.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/Support/MathExtras.h"

#include <map>

using namespace mlir;
using namespace mlir::te;

//===----------------------------------------------------------------------===//
// ScaleFlow
//===----------------------------------------------------------------------===//

unsigned ScaleFlow::getLabel(Type type) const {
  return llvm::find(layouts, getScalesEncoding(type).getLayout()) -
         layouts.begin();
}

/// The shape of scales of type `type` in a layout, for data of these rows and
/// columns in each member.
static SmallVector<int64_t> getShapeIn(RankedTensorType type, ScalesAttr as,
                                       ArrayRef<int64_t> data) {
  SmallVector<int64_t> shape(type.getShape().drop_back(2));
  llvm::append_range(shape, data);
  return as.getScalesShape(shape);
}

RankedTensorType ScaleFlow::getType(unsigned label) const {
  auto type = cast<RankedTensorType>(value.getType());
  if (label == getLabel(type))
    return type;
  ScalesAttr as = getScalesEncoding(type).withLayout(layouts[label]);
  return RankedTensorType::get(getShapeIn(type, as, data),
                               type.getElementType(), as);
}

//===----------------------------------------------------------------------===//
// Flows and their readers
//===----------------------------------------------------------------------===//

ScaleFlowAnalysis::ScaleFlowAnalysis(Operation *root)
    : target(TargetAttr::lookup(root)), workspaces(root) {
  root->walk([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Value argument : block.getArguments())
          addFlow(argument);
    if (!isa<ConvertScalesOp>(op))
      for (Value result : op->getResults())
        addFlow(result);
  });
  classes.grow(current.size());
  sharing.grow(current.size());
  for (const ScaleFlow &flow : flows) {
    bindResult(flow);
    for (const ScaleFlow::Reader &reader : flow.readers)
      bindReader(flow, reader);
  }
  root->walk([&](LoopLikeOpInterface loop) { bindLoop(loop); });
  if (root->hasTrait<OpTrait::SymbolTable>()) {
    SymbolTableCollection tables;
    SymbolUserMap users(tables, root);
    root->walk([&](ml_program::GlobalOp global) {
      bindGlobal(global, users.getUsers(global));
    });
  }
  closeClasses();
  findData();
}

unsigned ScaleFlowAnalysis::addVariable(unsigned label) {
  current.push_back(label);
  allowed.push_back(1 << label);
  return current.size() - 1;
}

void ScaleFlowAnalysis::addFlow(Value value) {
  SmallVector<ScaleLayout> layouts =
      te::detail::convertibleLayouts(value.getType());
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (layouts.size() != 2 || type.getRank() < 2 || !type.hasStaticShape() ||
      !llvm::is_contained(layouts, getScalesEncoding(type).getLayout()))
    return;
  flowOf[value] = flows.size();
  ScaleFlow &flow = flows.emplace_back();
  flow.value = value;
  flow.layouts.assign(layouts.begin(), layouts.end());
  flow.variable = addVariable(flow.getLabel(type));
  addReaders(flow, value);
}

void ScaleFlowAnalysis::addReaders(ScaleFlow &flow, Value from) {
  SmallVector<Value> open = {from};
  while (!open.empty()) {
    Value value = open.pop_back_val();
    unsigned label = flow.getLabel(value.getType());
    // Uses are listed last first.
    auto uses = llvm::to_vector(llvm::make_pointer_range(value.getUses()));
    for (OpOperand *use : llvm::reverse(uses)) {
      if (auto convert = dyn_cast<ConvertScalesOp>(use->getOwner())) {
        flow.conversions.push_back(convert);
        open.push_back(convert.getOutput());
        continue;
      }
      unsigned variable = addVariable(label);
      variableOf[use] = variable;
      flow.readers.push_back({use, variable});
    }
  }
}

//===----------------------------------------------------------------------===//
// What layouts a variable may have, and which are equal
//===----------------------------------------------------------------------===//

void ScaleFlowAnalysis::allow(const ScaleFlow &flow, unsigned variable,
                              ArrayRef<ScaleLayout> layouts) {
  for (auto [label, layout] : llvm::enumerate(flow.layouts))
    if (llvm::is_contained(layouts, layout))
      allowed[variable] |= 1 << label;
}

void ScaleFlowAnalysis::bindResult(const ScaleFlow &flow) {
  auto result = dyn_cast<OpResult>(flow.value);
  if (!result)
    return;
  Operation *op = result.getOwner();
  if (isa<tensor::EmptyOp>(op))
    return allow(flow, flow.variable, flow.layouts);
  auto interface = dyn_cast<ScaleLayoutOpInterface>(op);
  if (!interface)
    return;
  SmallVector<OpOperand *> tied = interface.getTiedLayoutOperands(result);
  if (auto dest = dyn_cast<DestinationOpInterface>(op)) {
    MutableOperandRange outs = dest.getDestinations();
    if (!outs.empty())
      tied.push_back(&outs[result.getResultNumber()]);
  }
  OpResult other = interface.getTiedLayoutResult(result);
  // What is tied to scales without a choice has none either.
  if (other && !flowOf.contains(other))
    return;
  if (!llvm::all_of(tied, [&](OpOperand *operand) {
        return variableOf.contains(operand);
      }))
    return;
  allow(flow, flow.variable, interface.getResultLayouts(result, target));
  if (other)
    classes.join(flow.variable, flows[flowOf[other]].variable);
  for (OpOperand *operand : tied)
    tie(flow.variable, variableOf[operand]);
}

void ScaleFlowAnalysis::bindReader(const ScaleFlow &flow,
                                   const ScaleFlow::Reader &reader) {
  OpOperand *operand = reader.operand;
  Operation *op = operand->getOwner();
  if (auto dest = dyn_cast<DestinationOpInterface>(op))
    for (OpOperand &out : dest.getDestinations())
      if (&out == operand)
        return allow(flow, reader.variable, flow.layouts);
  auto interface = dyn_cast<ScaleLayoutOpInterface>(op);
  if (!interface)
    return;
  for (OpResult result : op->getResults())
    if (!flowOf.contains(result) &&
        llvm::is_contained(interface.getTiedLayoutOperands(result), operand))
      return;
  allow(flow, reader.variable, interface.getOperandLayouts(*operand, target));
}

/// What `value` is a conversion of, if it is one.
static Value getSource(Value value) {
  while (auto convert = value.getDefiningOp<ConvertScalesOp>())
    value = convert.getScales();
  return value;
}

/// What a loop carries has one type all the way round.
void ScaleFlowAnalysis::bindLoop(Operation *op) {
  auto loop = cast<LoopLikeOpInterface>(op);
  MutableArrayRef<OpOperand> inits = loop.getInitsMutable();
  Block::BlockArgListType carried = loop.getRegionIterArgs();
  std::optional<MutableArrayRef<OpOperand>> yielded =
      loop.getYieldedValuesMutable();
  std::optional<ResultRange> results = loop.getLoopResults();
  if (loop.getLoopRegions().size() != 1 || !yielded || !results ||
      inits.size() != carried.size() || yielded->size() != carried.size() ||
      results->size() != carried.size())
    return;
  for (auto [init, argument, next, result] :
       llvm::zip(inits, carried, *yielded, *results)) {
    auto flow = flowOf.find(argument);
    if (flow == flowOf.end())
      continue;
    unsigned first = flows[flow->second].variable;
    for (unsigned variable : {first, variableOf.at(&init), variableOf.at(&next),
                              flows[flowOf.at(result)].variable}) {
      allow(flows[flow->second], variable, flows[flow->second].layouts);
      tie(first, variable);
    }
  }
}

/// A global that the module alone reads and writes has the layout that suits
/// them all, for good: its memory is what it was. One that others may see, or
/// that nobody here writes, keeps the layout it has.
void ScaleFlowAnalysis::bindGlobal(ml_program::GlobalOp op,
                                   ArrayRef<Operation *> users) {
  if (!op.isPrivate() || op.getValue())
    return;
  SmallVector<std::pair<const ScaleFlow *, unsigned>> bound;
  ml_program::GlobalStoreOp store;
  for (Operation *user : users) {
    Value value;
    if (auto load = dyn_cast<ml_program::GlobalLoadOp>(user))
      value = load.getResult();
    else if (auto its = dyn_cast<ml_program::GlobalStoreOp>(user))
      value = (store = its).getValue();
    if (!value || value.getType() != op.getType())
      return;
    auto flow = flowOf.find(getSource(value));
    if (flow == flowOf.end())
      return;
    const ScaleFlow &from = flows[flow->second];
    bound.push_back({&from, isa<ml_program::GlobalLoadOp>(user)
                                ? from.variable
                                : variableOf.at(&user->getOpOperand(0))});
  }
  if (!store)
    return;
  for (auto [flow, variable] : bound) {
    allow(*flow, variable, flow->layouts);
    tie(variable, bound.front().second);
  }
  globals.push_back({op, store});
}

void ScaleFlowAnalysis::tie(unsigned a, unsigned b) {
  classes.join(a, b);
  sharing.join(a, b);
}

void ScaleFlowAnalysis::closeClasses() {
  classes.compress();
  sharing.compress();
  std::vector<uint8_t> byClass(classes.getNumClasses(), LayoutGraph::kAny);
  for (auto [variable, layouts] : llvm::enumerate(allowed))
    byClass[classes[variable]] &= layouts;
  allowed = std::move(byClass);
}

//===----------------------------------------------------------------------===//
// The data that scales belong to
//===----------------------------------------------------------------------===//

/// The rows and columns of the data, as the op tells them.
static ArrayRef<int64_t> getDataOf(Operation *op, Value scales) {
  auto interface = dyn_cast_or_null<ScaleLayoutOpInterface>(op);
  Value data = interface ? interface.getScaledData(scales) : Value();
  if (!data)
    return {};
  return cast<RankedTensorType>(data.getType()).getShape().take_back(2);
}

/// Scales tell the shape of their data only in part. It is told by who makes,
/// reads or converts them; or by scales of the same shape which theirs are tied
/// to; or, as far as a conversion needs it, by compact scales themselves. Where
/// it is not known, or told in two ways, layouts stay.
void ScaleFlowAnalysis::findData() {
  using Shape = SmallVector<int64_t, 2>;
  constexpr int64_t kConflict = -1;
  auto tell = [](Shape &known, ArrayRef<int64_t> data) {
    if (known.empty())
      known.assign(data.begin(), data.end());
    else if (!data.empty() && ArrayRef<int64_t>(known) != data)
      known.assign(2, kConflict);
  };

  // Flows that meet where data is shared, with one shape, have one data.
  llvm::IntEqClasses alike(flows.size());
  std::map<std::tuple<unsigned, int64_t, int64_t>, unsigned> meeting;
  auto meet = [&](unsigned flow, unsigned variable, Type type) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(type).getShape();
    auto key = std::make_tuple(sharing[variable], shape[shape.size() - 2],
                               shape.back());
    alike.join(flow, meeting.try_emplace(key, flow).first->second);
  };
  for (auto [i, flow] : llvm::enumerate(flows)) {
    meet(i, flow.variable, flow.value.getType());
    for (const ScaleFlow::Reader &reader : flow.readers)
      meet(i, reader.variable, reader.operand->get().getType());
  }
  alike.compress();

  std::vector<Shape> told(alike.getNumClasses());
  for (auto [i, flow] : llvm::enumerate(flows)) {
    Shape &data = told[alike[i]];
    tell(data, getDataOf(flow.value.getDefiningOp(), flow.value));
    for (const ScaleFlow::Reader &reader : flow.readers)
      tell(data, getDataOf(reader.operand->getOwner(), reader.operand->get()));
    for (ConvertScalesOp convert : flow.conversions)
      tell(data, convert.getDataShape());
  }
  for (auto [i, flow] : llvm::enumerate(flows)) {
    auto type = cast<RankedTensorType>(flow.value.getType());
    ScalesAttr encoding = getScalesEncoding(type);
    flow.data = told[alike[i]];
    if (flow.data.empty() && encoding.getLayout() == ScaleLayout::Compact &&
        encoding.getGroups() == 0) {
      ArrayRef<int64_t> shape = type.getShape().take_back(2);
      flow.data = {shape[0] * encoding.getRows(),
                   shape[1] * encoding.getCols()};
    }
    if (!flow.data.empty() && flow.data.front() != kConflict &&
        ArrayRef<int64_t>(getShapeIn(type, encoding, flow.data)) ==
            type.getShape())
      continue;
    flow.data.clear();
    allowed[getClass(flow.variable)] = 1 << current[flow.variable];
    for (const ScaleFlow::Reader &reader : flow.readers)
      allowed[getClass(reader.variable)] = 1 << current[reader.variable];
  }
}

//===----------------------------------------------------------------------===//
// The assignment
//===----------------------------------------------------------------------===//

bool te::isInvariant(Value value, LoopLikeOpInterface loop,
                     const Workspaces &workspaces,
                     llvm::SetVector<Operation *> *views) {
  if (loop.isDefinedOutsideOfLoop(value))
    return true;
  Operation *def = value.getDefiningOp();
  if (auto load = dyn_cast_or_null<ml_program::GlobalLoadOp>(def)) {
    if (workspaces.isWrittenIn(load.getGlobal(), loop))
      return false;
    if (views)
      views->insert(def);
    return true;
  }
  auto cost = dyn_cast_or_null<CostOpInterface>(def);
  if (!cost || cost.getCost().launches != 0 || !isPure(def) ||
      !llvm::all_of(def->getOperands(), [&](Value operand) {
        return isInvariant(operand, loop, workspaces, views);
      }))
    return false;
  if (views)
    views->insert(def);
  return true;
}

/// Bytes, then launches, each as often as the loops that the value varies in.
int64_t ScaleFlowAnalysis::getConversionCost(const ScaleFlow &flow) const {
  uint64_t trips = 1;
  for (Operation *op = Value(flow.value).getParentBlock()->getParentOp(); op;
       op = op->getParentOp()) {
    auto loop = dyn_cast<LoopLikeOpInterface>(op);
    if (!loop || isInvariant(flow.value, loop, workspaces))
      continue;
    if (std::optional<APInt> count = loop.getStaticTripCount())
      trips = llvm::SaturatingMultiply(
          trips, std::max<uint64_t>(count->getLimitedValue(), 1));
  }
  constexpr uint64_t kLaunchesPerByte = 1 << 16;
  uint64_t cost = (getBytes(flow.getType(0)) + getBytes(flow.getType(1))) *
                      kLaunchesPerByte +
                  1;
  // All flows together fit the solver's 63 bits.
  uint64_t limit = (uint64_t(1) << 62) / flows.size();
  return std::min(llvm::SaturatingMultiply(cost, trips), limit);
}

LayoutLabels ScaleFlowAnalysis::assign() const {
  LayoutGraph graph;
  graph.allowed = allowed;
  LayoutLabels labels(allowed.size(), 0);
  for (auto [variable, label] : llvm::enumerate(current))
    labels[getClass(variable)] = label;
  for (const ScaleFlow &flow : flows) {
    if (flow.data.empty())
      continue;
    std::vector<unsigned> readers;
    for (const ScaleFlow::Reader &reader : flow.readers)
      readers.push_back(getClass(reader.variable));
    graph.flows.push_back(
        {getClass(flow.variable), std::move(readers), getConversionCost(flow)});
  }
  return assignLayouts(graph, labels);
}
