//===- Layer.cpp - a step of an expert layer as a module ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Builders/Layer.h"
#include "te/Builders/LayerBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>

using namespace mlir;
using namespace mlir::te;

void te::loadLayerDialects(MLIRContext &context) {
  context.loadDialect<TEDialect, arith::ArithDialect, func::FuncDialect,
                      ml_program::MLProgramDialect, scf::SCFDialect,
                      tensor::TensorDialect>();
}

namespace {
/// Arguments or results of the function, in order.
struct Ports {
  MLIRContext *context;
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;

  /// Adds one and returns its number.
  unsigned add(const Twine &name, Type type,
               ArrayRef<NamedAttribute> extra = {}) {
    Builder b(context);
    SmallVector<NamedAttribute> list(extra);
    list.push_back(b.getNamedAttr(TEDialect::kNameAttr, b.getStringAttr(name)));
    types.push_back(type);
    attributes.push_back(b.getDictionaryAttr(list));
    return types.size() - 1;
  }

  /// Adds the member of a group.
  unsigned addMember(const Twine &name, const Twine &group, int64_t member,
                     Type type, ArrayRef<NamedAttribute> extra = {}) {
    Builder b(context);
    SmallVector<NamedAttribute> list(extra);
    list.push_back(
        b.getNamedAttr(TEDialect::kGroupAttr, b.getStringAttr(group)));
    list.push_back(
        b.getNamedAttr(TEDialect::kMemberAttr, b.getI64IntegerAttr(member)));
    return add(name, type, list);
  }
};

/// The states of one tensor that delayed scaling casts: E of each.
struct Slot {
  StringRef name;
  ScalingState *state;
  SmallVector<Value> history;
};

class StepBuilder {
public:
  StepBuilder(ModuleOp module, const LayerConfig &config)
      : config(config), module(module), context(module.getContext()),
        b(context), layer(b, config) {
    fc1.name = "fc1", fc1.inputName = "x", fc1.weightName = "w1",
    fc1.gradientName = "dh";
    fc2.name = "fc2", fc2.inputName = "act", fc2.weightName = "w2",
    fc2.gradientName = "dy";
  }
  void build();

private:
  RankedTensorType tensor(ArrayRef<int64_t> shape, Type element) {
    return RankedTensorType::get(shape, element);
  }
  Location loc(const Twine &name) {
    return NameLoc::get(b.getStringAttr(name));
  }
  NamedAttribute init(InitKind kind, FloatAttr deviation = {},
                      int64_t experts = 0) {
    return b.getNamedAttr(TEDialect::kInitAttr,
                          InitAttr::get(context, kind, deviation, experts));
  }
  Value zeros(RankedTensorType type) {
    return arith::ConstantOp::create(b, loc("zeros"), b.getZeroAttr(type));
  }
  RankedTensorType weightType(const GroupedLinear &linear, Type element) {
    return &linear == &fc1 ? tensor({2 * config.ffn, config.hidden}, element)
                           : tensor({config.hidden, config.ffn}, element);
  }

  void addArguments(Ports &ports);
  void addWeights(Ports &ports, const GroupedLinear &linear);
  void addStates(Ports &ports, const Slot &slot, bool arguments);
  void addResults(Ports &ports);
  void takeArguments(func::FuncOp function);
  void cacheWeights(GroupedLinear &linear);
  void buildMicrobatch(Value index);
  void buildLoop();
  /// The next history and scale of these slots, in place of the present ones.
  void updateScales(MutableArrayRef<Slot> slots, const CastScheme &scheme);

  const LayerConfig &config;
  ModuleOp module;
  MLIRContext *context;
  OpBuilder b;
  LayerBuilder layer;
  GroupedLinear fc1, fc2;
  /// Delayed scaling: of forward, of backward.
  SmallVector<Slot> forwardSlots, backwardSlots;
  /// Of all micro-batches.
  Value tokens, indices, probs, gradOut;
  Value out, gradTokens, gradProbs;
};
} // namespace

//===----------------------------------------------------------------------===//
// The signature
//===----------------------------------------------------------------------===//

void StepBuilder::addWeights(Ports &ports, const GroupedLinear &linear) {
  RankedTensorType type = weightType(linear, b.getBF16Type());
  // So that the result of a normal input is about as large as the input.
  double deviation = 1 / std::sqrt(double(type.getDimSize(1)));
  NamedAttribute attributes[] = {
      init(InitKind::Normal, b.getF64FloatAttr(deviation)),
      b.getNamedAttr(TEDialect::kParameterAttr, b.getUnitAttr())};
  for (int64_t e = 0; e < config.localExperts; ++e)
    ports.addMember(linear.weightName + "." + Twine(e), linear.weightName, e,
                    type, attributes);
}

void StepBuilder::addStates(Ports &ports, const Slot &slot, bool arguments) {
  const struct {
    StringRef name;
    RankedTensorType type;
    InitKind kind;
  } kinds[] = {{".scale", tensor({}, b.getF32Type()), InitKind::One},
               {".history", tensor({config.amaxHistory}, b.getF32Type()),
                InitKind::Zero}};
  for (int64_t e = 0; e < config.localExperts; ++e)
    for (const auto &kind : kinds) {
      std::string name = (slot.name + "." + Twine(e) + kind.name).str();
      SmallVector<NamedAttribute> attributes;
      if (arguments)
        attributes = {init(kind.kind), b.getNamedAttr(TEDialect::kNextAttr,
                                                      b.getStringAttr(name))};
      ports.addMember(name, slot.name + kind.name, e, kind.type, attributes);
    }
}

void StepBuilder::addArguments(Ports &ports) {
  int64_t n = config.microbatches, t = config.tokens;
  auto rows = tensor({n, t, config.hidden}, b.getBF16Type());
  NamedAttribute normal = init(InitKind::Normal);
  ports.add("tokens", rows, normal);
  ports.add("indices", tensor({n, t, config.topK}, b.getI32Type()),
            init(InitKind::Routing, {}, config.getRoutedExperts()));
  ports.add("probs", tensor({n, t, config.topK}, b.getF32Type()),
            init(InitKind::Probs));
  if (config.isTraining())
    ports.add("grad_out", rows, normal);
  addWeights(ports, fc1);
  addWeights(ports, fc2);
  for (const Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots))
    addStates(ports, slot, /*arguments=*/true);
}

void StepBuilder::addResults(Ports &ports) {
  int64_t n = config.microbatches, t = config.tokens;
  auto rows = tensor({n, t, config.hidden}, b.getBF16Type());
  ports.add("out", rows);
  if (config.isTraining()) {
    ports.add("grad_tokens", rows);
    ports.add("grad_probs", tensor({n, t, config.topK}, b.getF32Type()));
    for (const GroupedLinear *linear : {&fc1, &fc2}) {
      std::string group = ("grad_" + linear->weightName).str();
      for (int64_t e = 0; e < config.localExperts; ++e)
        ports.addMember(group + "." + Twine(e), group, e,
                        weightType(*linear, b.getF32Type()));
    }
  }
  for (const Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots))
    addStates(ports, slot, /*arguments=*/false);
}

/// The function's arguments, in the order of addArguments.
void StepBuilder::takeArguments(func::FuncOp function) {
  auto next = function.getArguments().begin();
  tokens = *next++;
  indices = *next++;
  probs = *next++;
  if (config.isTraining())
    gradOut = *next++;
  for (GroupedLinear *linear : {&fc1, &fc2})
    for (int64_t e = 0; e < config.localExperts; ++e)
      linear->weights.push_back(*next++);
  for (Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots))
    for (int64_t e = 0; e < config.localExperts; ++e) {
      slot.state->scale.push_back(*next++);
      slot.history.push_back(*next++);
    }
}

//===----------------------------------------------------------------------===//
// The body
//===----------------------------------------------------------------------===//

/// Casts each weight into its own workspaces, which outlive the step.
void StepBuilder::cacheWeights(GroupedLinear &linear) {
  static constexpr StringLiteral parts[] = {".values", ".scales", ".values_t",
                                            ".scales_t"};
  for (auto [e, weight] : llvm::enumerate(linear.weights)) {
    SmallVector<Value> outs;
    SmallVector<FlatSymbolRefAttr> names;
    std::string prefix = (linear.weightName + "." + Twine(e)).str();
    auto types =
        layer.getWeightCastTypes(cast<RankedTensorType>(weight.getType()));
    for (auto [part, type] : llvm::zip(parts, types)) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(module.lookupSymbol("step"));
      auto global = ml_program::GlobalOp::create(
          b, loc(prefix + part), prefix + part.str(), type,
          /*is_mutable=*/true, /*value=*/Attribute(),
          b.getStringAttr("private"));
      global->setAttr(TEDialect::kGroupAttr,
                      b.getStringAttr(linear.weightName + part));
      global->setAttr(TEDialect::kMemberAttr, b.getI64IntegerAttr(e));
      names.push_back(FlatSymbolRefAttr::get(global.getSymNameAttr()));
    }
    for (auto [name, type] : llvm::zip(names, types))
      outs.push_back(ml_program::GlobalLoadOp::create(b, loc(name.getValue()),
                                                      type, name));
    Quantized quantized = layer.buildWeightCast(linear, e, outs);
    Value results[] = {quantized.values, quantized.scales, quantized.valuesT,
                       quantized.scalesT};
    for (auto [name, value] : llvm::zip(names, results))
      ml_program::GlobalStoreOp::create(b, loc(name.getValue()), name, value);
    linear.castWeights.push_back(quantized);
  }
}

void StepBuilder::buildMicrobatch(Value index) {
  auto member = [&](StringRef name, Value all) -> Value {
    return MemberOp::create(b, loc(name), all, index);
  };
  auto insert = [&](StringRef name, Value &all, Value value) {
    all = InsertMemberOp::create(b, loc(name), value, all, index);
  };
  LayerBuilder::Saved saved;
  Value y = layer.buildForward(fc1, fc2, member("tokens", tokens),
                               member("indices", indices),
                               member("probs", probs), saved);
  insert("out", out, y);
  if (!config.isTraining())
    return;
  ExpertRows gradients =
      layer.buildBackward(fc1, fc2, member("grad_out", gradOut), saved);
  insert("grad_tokens", gradTokens, gradients.rows);
  insert("grad_probs", gradProbs, gradients.probs);
}

/// The micro-batches. What they leave is carried around the loop.
void StepBuilder::buildLoop() {
  SmallVector<Value *> carried;
  auto carryAll = [&](SmallVectorImpl<Value> &values) {
    for (Value &value : values)
      carried.push_back(&value);
  };
  auto carryNew = [&](Value &value, Value like) {
    value =
        tensor::EmptyOp::create(b, loc("empty"), like.getType(), ValueRange());
    carried.push_back(&value);
  };
  carryNew(out, tokens);
  if (config.isTraining()) {
    carryNew(gradTokens, tokens);
    carryNew(gradProbs, probs);
    for (GroupedLinear *linear : {&fc1, &fc2}) {
      linear->weightGradients.assign(
          config.localExperts, zeros(weightType(*linear, b.getF32Type())));
      carryAll(linear->weightGradients);
    }
  }
  for (Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots)) {
    bool isWeight =
        slot.state == &fc1.weightState || slot.state == &fc2.weightState;
    if (!isWeight || !config.cachedWeights)
      carryAll(slot.state->amax);
  }

  SmallVector<Value> inits;
  for (Value *value : carried)
    inits.push_back(*value);
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc("microbatches"), value);
  };
  Value lower = index(0), upper = index(config.microbatches), step = index(1);
  auto loop =
      scf::ForOp::create(b, loc("microbatches"), lower, upper, step, inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  for (auto [value, argument] :
       llvm::zip_equal(carried, loop.getRegionIterArgs()))
    *value = argument;
  buildMicrobatch(loop.getInductionVar());
  SmallVector<Value> yields;
  for (Value *value : carried)
    yields.push_back(*value);
  scf::YieldOp::create(b, loc("microbatches"), yields);
  for (auto [value, result] : llvm::zip_equal(carried, loop.getResults()))
    *value = result;
}

void StepBuilder::updateScales(MutableArrayRef<Slot> slots,
                               const CastScheme &scheme) {
  if (slots.empty())
    return;
  SmallVector<Value> amax, history, scale;
  for (Slot &slot : slots) {
    llvm::append_range(amax, slot.state->amax);
    llvm::append_range(history, slot.history);
    llvm::append_range(scale, slot.state->scale);
  }
  auto update = UpdateScalesOp::create(
      b, loc("update_scales"), ValueRange(history).getTypes(),
      ValueRange(scale).getTypes(), amax, history, scale,
      llvm::APFloat(float(scheme.getMax())), config.margin,
      config.amaxAlgorithm);
  auto nextHistory = update.getHistoryOut().begin();
  auto nextScale = update.getScaleOut().begin();
  for (Slot &slot : slots)
    for (int64_t e = 0; e < config.localExperts; ++e) {
      slot.history[e] = *nextHistory++;
      slot.state->scale[e] = *nextScale++;
    }
}

void StepBuilder::build() {
  if (config.recipe->delayed) {
    forwardSlots = {{"x", &fc1.inputState, {}},
                    {"w1", &fc1.weightState, {}},
                    {"act", &fc2.inputState, {}},
                    {"w2", &fc2.weightState, {}}};
    if (config.isTraining())
      backwardSlots = {{"dy", &fc2.gradientState, {}},
                       {"dh", &fc1.gradientState, {}}};
  }
  Ports arguments{context, {}, {}}, results{context, {}, {}};
  addArguments(arguments);
  addResults(results);

  b.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(
      b, loc("step"), "step", b.getFunctionType(arguments.types, results.types),
      b.getNamedAttr(TEDialect::kRanksAttr, b.getI64IntegerAttr(config.ranks)),
      arguments.attributes);
  function.setAllResultAttrs(results.attributes);
  b.setInsertionPointToEnd(function.addEntryBlock());
  takeArguments(function);

  if (config.recipe->delayed) {
    Value zero = zeros(tensor({}, b.getF32Type()));
    for (Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots))
      slot.state->amax.assign(config.localExperts, zero);
  }
  if (config.cachedWeights && config.recipe->weight)
    for (GroupedLinear *linear : {&fc1, &fc2})
      cacheWeights(*linear);
  buildLoop();
  if (config.recipe->delayed) {
    updateScales(forwardSlots, *config.recipe->activation);
    updateScales(backwardSlots, *config.recipe->gradient);
  }

  SmallVector<Value> returned = {out};
  if (config.isTraining()) {
    returned.append({gradTokens, gradProbs});
    llvm::append_range(returned, fc1.weightGradients);
    llvm::append_range(returned, fc2.weightGradients);
  }
  for (Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots))
    for (int64_t e = 0; e < config.localExperts; ++e)
      returned.append({slot.state->scale[e], slot.history[e]});
  func::ReturnOp::create(b, loc("step"), returned);
}

OwningOpRef<ModuleOp> te::buildLayer(MLIRContext *context,
                                     const LayerConfig &config) {
  OwningOpRef<ModuleOp> module =
      ModuleOp::create(NameLoc::get(StringAttr::get(context, "layer")));
  module.get()->setAttr(TEDialect::kTargetAttr,
                        TargetAttr::get(context, config.target));
  StepBuilder(*module, config).build();
  return module;
}
