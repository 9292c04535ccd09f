//===- RandomLayer.cpp - one layer of a random program --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RandomLayer.h"
#include "Types.h"

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"

#include <cmath>

using namespace mlir;
using namespace mlir::te;

RandomLayer::RandomLayer(OpenStep &step, Choices &choices, StringRef name,
                         const LayerConfig &config, const RandomLayer *owner)
    : config(config), name(name), step(step), choices(choices), owner(owner),
      layer(step.b, this->config) {
  nameLinear(fc1, "fc1 x w1 b1 dh");
  nameLinear(fc2, "fc2 act w2 b2 dy");
  if (!config.recipe.weight)
    return;
  casts = choices.pick({WeightCasts::InLoop, WeightCasts::InLoop,
                        WeightCasts::InFront, WeightCasts::Mixed,
                        WeightCasts::Cached, WeightCasts::Flagged,
                        WeightCasts::Shared, WeightCasts::Given});
  // Casts are shared by readers that want the same of them.
  bool sharesCasts = owner && !owner->config.recipe.delayed &&
                     !config.recipe.delayed &&
                     owner->config.recipe.weight == config.recipe.weight &&
                     owner->config.direction == config.direction;
  if (casts == WeightCasts::Shared && !sharesCasts)
    casts = WeightCasts::InLoop;
  if (casts == WeightCasts::Given && (owner || config.recipe.delayed))
    casts = WeightCasts::InFront;
}

/// `fields` are the names of the linear layer, its input, weights, biases and
/// gradient.
void RandomLayer::nameLinear(GroupedLinear &linear, StringRef fields) {
  SmallVector<StringRef> parts;
  fields.split(parts, ' ');
  StringRef *of[] = {&linear.name, &linear.inputName, &linear.weightName,
                     &linear.biasName, &linear.gradientName};
  for (auto [field, part] : llvm::zip_equal(of, parts))
    *field = names.emplace_back(name + "." + part.str());
}

RankedTensorType RandomLayer::weightType(const GroupedLinear &linear,
                                         Type element) {
  if (&linear == &fc1)
    return RankedTensorType::get({2 * config.ffn, config.hidden}, element);
  return RankedTensorType::get({config.hidden, config.ffn}, element);
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

SmallVector<NamedAttribute> RandomLayer::member(StringRef group, int64_t index,
                                                int64_t count,
                                                Grouping grouping) {
  bool isLast = index + 1 == count;
  if (grouping == Grouping::None ||
      (grouping == Grouping::OneMissing && isLast))
    return {};
  return {
      step.b.getNamedAttr(TEDialect::kGroupAttr, step.b.getStringAttr(group)),
      step.b.getNamedAttr(TEDialect::kMemberAttr,
                          step.b.getI64IntegerAttr(index))};
}

void RandomLayer::addWeights(GroupedLinear &linear) {
  if (owner) {
    linear.weights = &linear == &fc1 ? owner->fc1.weights : owner->fc2.weights;
    return;
  }
  RankedTensorType type = weightType(linear, step.b.getBF16Type());
  double deviation = 1 / std::sqrt(double(type.getDimSize(1)));
  Grouping grouping =
      choices.pick({Grouping::InOrder, Grouping::InOrder, Grouping::InOrder,
                    Grouping::OutOfOrder, Grouping::OneDiffers,
                    Grouping::OneMissing, Grouping::None});
  linear.weights.resize(config.localExperts);
  for (int64_t e :
       choices.order(config.localExperts, grouping == Grouping::OutOfOrder)) {
    bool differs =
        grouping == Grouping::OneDiffers && e + 1 == config.localExperts;
    SmallVector<NamedAttribute> attributes =
        member(linear.weightName, e, config.localExperts, grouping);
    attributes.push_back(
        step.init(InitKind::Normal,
                  step.b.getF64FloatAttr(differs ? 2 * deviation : deviation)));
    attributes.push_back(
        step.b.getNamedAttr(TEDialect::kParameterAttr, step.b.getUnitAttr()));
    linear.weights[e] =
        step.addArgument(linear.weightName + "." + Twine(e), type, attributes);
  }
}

/// A layer has its own, also where it shares weights.
void RandomLayer::addBiases(GroupedLinear &linear) {
  int64_t cols = weightType(linear, step.b.getBF16Type()).getDimSize(0);
  Grouping grouping =
      choices.pick({Grouping::InOrder, Grouping::OneMissing, Grouping::None});
  for (int64_t e = 0; e < config.localExperts; ++e) {
    SmallVector<NamedAttribute> attributes =
        member(linear.biasName, e, config.localExperts, grouping);
    attributes.push_back(step.init(InitKind::Normal));
    linear.biases.push_back(step.addArgument(
        linear.biasName + "." + Twine(e),
        RankedTensorType::get(cols, step.b.getBF16Type()), attributes));
  }
  if (config.isTraining())
    linear.biasGradients.assign(
        config.localExperts,
        step.zeros(RankedTensorType::get({1, cols}, step.b.getF32Type())));
}

void RandomLayer::addCastWeights(GroupedLinear &linear) {
  RankedTensorType weight = weightType(linear, step.b.getBF16Type());
  MLIRContext *context = step.b.getContext();
  SmallVector<Type> types = layer.getWeightCastTypes(weight);
  bool ordered = choices.chance(70);
  linear.castWeights.resize(config.localExperts);
  for (int64_t e : choices.order(config.localExperts, !ordered)) {
    SmallVector<Value> parts;
    for (auto [part, type] : llvm::zip_equal(Quantized::kParts, types)) {
      parts.emplace_back();
      if (!type)
        continue;
      StringRef ending = part;
      SmallVector<NamedAttribute> attributes =
          member((linear.weightName + ending).str(), e, config.localExperts,
                 Grouping::InOrder);
      attributes.push_back(step.b.getNamedAttr(
          TEDialect::kInitAttr, getCastInit(context, *config.recipe.weight,
                                            ending, weight.getDimSize(1))));
      attributes.push_back(
          step.b.getNamedAttr(TEDialect::kParameterAttr, step.b.getUnitAttr()));
      parts.back() = step.addArgument(
          linear.weightName + "." + Twine(e) + ending, type, attributes);
    }
    linear.castWeights[e] = Quantized::ofParts(parts);
  }
}

void RandomLayer::addStates(Slot &slot) {
  auto add = [&](int64_t e, StringRef part, ArrayRef<int64_t> shape,
                 InitKind kind) {
    std::string stateName = (slot.name + "." + Twine(e) + part).str();
    SmallVector<NamedAttribute> attributes = member(
        (slot.name + part).str(), e, config.localExperts, Grouping::InOrder);
    attributes.push_back(step.init(kind));
    attributes.push_back(step.b.getNamedAttr(TEDialect::kNextAttr,
                                             step.b.getStringAttr(stateName)));
    return step.addArgument(stateName,
                            RankedTensorType::get(shape, step.b.getF32Type()),
                            attributes);
  };
  Value zero = step.zeros(RankedTensorType::get({}, step.b.getF32Type()));
  slot.state->amax.assign(config.localExperts, zero);
  for (int64_t e = 0; e < config.localExperts; ++e) {
    slot.state->scale.push_back(add(e, ".scale", {}, InitKind::One));
    slot.history.push_back(
        add(e, ".history", {config.recipe.delayed->history}, InitKind::Zero));
  }
}

void RandomLayer::prepare(ModuleOp module) {
  this->module = module;
  forwardSlots = makeForwardSlots(config, fc1, fc2);
  backwardSlots = makeBackwardSlots(config, fc1, fc2);
  // A layer that shares weights has states of its own for them.
  if (owner)
    for (Slot &slot : forwardSlots)
      slot.name = names.emplace_back(name + ".own." + slot.name.str());
  for (GroupedLinear *linear : {&fc1, &fc2}) {
    if (casts == WeightCasts::Given)
      addCastWeights(*linear);
    else
      addWeights(*linear);
    if (config.bias)
      addBiases(*linear);
  }
  for (Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots))
    addStates(slot);
  for (GroupedLinear *linear : {&fc1, &fc2}) {
    castInFront(*linear);
    if (config.isTraining())
      linear->weightGradients.assign(
          config.localExperts,
          step.zeros(weightType(*linear, step.b.getF32Type())));
  }
}

//===----------------------------------------------------------------------===//
// Casts of weights
//===----------------------------------------------------------------------===//

void RandomLayer::castInFront(GroupedLinear &linear) {
  if (casts == WeightCasts::InLoop || casts == WeightCasts::Given)
    return;
  if (casts == WeightCasts::Shared) {
    // Of the owner's casts those in front of the loop are there by now.
    const GroupedLinear &other = &linear == &fc1 ? owner->fc1 : owner->fc2;
    if (owner->casts == WeightCasts::InFront ||
        owner->casts == WeightCasts::Cached)
      linear.castWeights = other.castWeights;
    else
      casts = WeightCasts::InLoop;
    return;
  }
  linear.castWeights.resize(config.localExperts);
  bool shuffled = choices.chance(30);
  for (int64_t e : choices.order(config.localExperts, shuffled)) {
    if (isCastInLoop(e))
      continue;
    if (casts == WeightCasts::Cached)
      castCached(linear, e);
    else
      linear.castWeights[e] = layer.buildWeightCast(linear, e);
  }
}

/// Casts into workspaces that outlive the step.
void RandomLayer::castCached(GroupedLinear &linear, int64_t expert,
                             Value noop) {
  SmallVector<Type> types =
      layer.getWeightCastTypes(typeOf(linear.weights[expert]));
  SmallVector<Value> outs;
  SmallVector<FlatSymbolRefAttr> symbols;
  for (auto [part, type] : llvm::zip_equal(Quantized::kParts, types)) {
    if (!type)
      continue;
    OpBuilder outer = OpBuilder::atBlockBegin(module.getBody());
    std::string group =
        (name + "." + linear.weightName + StringRef(part)).str();
    auto global = ml_program::GlobalOp::create(
        outer, step.loc(group), group + "." + std::to_string(expert), type,
        /*is_mutable=*/true, /*value=*/Attribute(),
        outer.getStringAttr("private"));
    for (NamedAttribute attribute :
         member(group, expert, config.localExperts, Grouping::InOrder))
      global->setAttr(attribute.getName(), attribute.getValue());
    symbols.push_back(FlatSymbolRefAttr::get(global.getSymNameAttr()));
    outs.push_back(ml_program::GlobalLoadOp::create(step.b, step.loc(group),
                                                    type, symbols.back()));
  }
  Quantized cast = layer.buildWeightCast(linear, expert, outs, noop);
  SmallVector<Value> results = cast.getParts();
  llvm::erase(results, Value());
  for (auto [symbol, value] : llvm::zip_equal(symbols, results))
    ml_program::GlobalStoreOp::create(step.b, step.loc(symbol.getValue()),
                                      symbol, value);
  linear.castWeights[expert] = cast;
}

void RandomLayer::castInLoop(GroupedLinear &linear) {
  linear.castWeights.resize(config.localExperts);
  Value noop;
  if (casts == WeightCasts::Flagged)
    noop = step.addMicrobatchArgument(
        name + "." + linear.weightName + ".skip",
        RankedTensorType::get({}, step.b.getF32Type()),
        step.init(choices.pick({InitKind::Zero, InitKind::One})));
  for (int64_t e = 0; e < config.localExperts; ++e)
    if (noop)
      castCached(linear, e, noop);
    else if (isCastInLoop(e))
      linear.castWeights[e] = layer.buildWeightCast(linear, e);
}

//===----------------------------------------------------------------------===//
// A micro-batch
//===----------------------------------------------------------------------===//

void RandomLayer::enterLoop() {
  for (GroupedLinear *linear : {&fc1, &fc2})
    for (Value &gradient :
         llvm::concat<Value>(linear->weightGradients, linear->biasGradients))
      step.carry(gradient);
  for (Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots)) {
    bool isWeight =
        slot.state == &fc1.weightState || slot.state == &fc2.weightState;
    for (auto [e, amax] : llvm::enumerate(slot.state->amax))
      if (!isWeight || isCastInLoop(e))
        step.carry(amax);
  }
}

Value RandomLayer::buildForward(Value input) {
  RankedTensorType slots =
      RankedTensorType::get({config.tokens, config.topK}, step.b.getI32Type());
  Value indices = step.addMicrobatchArgument(
      name + ".indices", slots,
      step.init(InitKind::Routing, {}, config.getRoutedExperts()));
  Value probs = step.addMicrobatchArgument(name + ".probs",
                                           slots.clone(step.b.getF32Type()),
                                           step.init(InitKind::Probs));
  for (GroupedLinear *linear : {&fc1, &fc2})
    castInLoop(*linear);
  Value out = layer.buildForward(fc1, fc2, input, indices, probs, saved);
  readRows(saved);
  for (GroupedLinear *linear : {&fc1, &fc2})
    if (config.recipe.weight)
      readWeightCast(*linear);
  return out;
}

Value RandomLayer::buildBackward(Value gradient) {
  if (config.recipe.isLowPrecision() &&
      config.recipe.gradient->stochasticRounding) {
    Value rng = step.addMicrobatchArgument(
        name + ".rng", RankedTensorType::get({2}, step.b.getI64Type()),
        step.init(InitKind::Rng));
    // Sometimes both casts draw the same stream.
    fc1.gradientState.rng = fc2.gradientState.rng = rng;
    fc1.gradientState.rngStream = choices.range(0, kNumRngStreams - 1);
    if (choices.chance(30))
      step.addMicrobatchResult(
          name + ".next_rng",
          AdvanceRngOp::create(step.b, step.loc(name + ".rng"), rng.getType(),
                               rng, kNumRngStreams));
  }
  ExpertRows gradients = layer.buildBackward(fc1, fc2, gradient, saved);
  step.addMicrobatchResult(name + ".grad_probs", gradients.probs);
  return gradients.rows;
}

void RandomLayer::readRows(const LayerBuilder::Saved &saved) {
  if (choices.chance(15))
    step.addMicrobatchResult(name + ".row_map", saved.routing.rowMap);
  if (choices.chance(15)) {
    int64_t alignment = choices.pick({1, 16, 128});
    step.addMicrobatchResult(
        name + ".offsets", layer.buildOffsets(saved.routing.counts, alignment));
  }
  // Rows that nothing is routed to hold nothing, so rows are returned as the
  // sums of each token.
  if (choices.chance(20)) {
    ExpertRows sums =
        layer.buildReturn(saved.routing, {saved.hidden, saved.probs});
    step.addMicrobatchResult(name + ".hidden", sums.rows);
    step.addMicrobatchResult(name + ".sent_probs", sums.probs);
  }
  if (config.recipe.isLowPrecision() && choices.chance(25)) {
    GroupedLinear &linear = choices.chance(50) ? fc1 : fc2;
    Value offsets =
        layer.buildOffsets(saved.routing.counts, config.getAlignment());
    Value rows = layer.buildDequantize(name + ".reread", linear.input, offsets);
    step.addMicrobatchResult(
        name + ".reread",
        layer.buildReturn(saved.routing, {rows, Value()}).rows);
  }
}

void RandomLayer::readWeightCast(GroupedLinear &linear) {
  int64_t expert = choices.range(0, config.localExperts - 1);
  const Quantized &cast = linear.castWeights[expert];
  std::string prefix =
      (name + ".read." + linear.weightName + "." + Twine(expert)).str();
  bool columnwise = cast.valuesT && choices.chance(50);
  Value values = columnwise ? cast.valuesT : cast.values;
  Value scales = columnwise ? cast.scalesT : cast.scales;
  Value amax = columnwise ? cast.amaxT : cast.amax;
  if (choices.chance(20))
    step.addMicrobatchResult(
        prefix,
        layer.buildDequantize(prefix, {values, scales, {}, {}, amax}, Value()));
  if (choices.chance(15))
    step.addMicrobatchResult(prefix + ".values", values);
  if (amax && choices.chance(15))
    step.addMicrobatchResult(prefix + ".tensor_amax", amax);
  if (!choices.chance(25))
    return;
  ScalesAttr encoding = getScalesEncoding(scales.getType());
  // Random data for an argument fills the padding of its scales too.
  if (casts == WeightCasts::Given && encoding.hasByteScales())
    return;
  // What lies between rows that are ready for products is not defined, so
  // blocks are returned compact.
  if (!encoding.isTensor())
    scales = ConvertScalesOp::create(
        step.b, step.loc(prefix),
        getScalesType(encoding.withLayout(ScaleLayout::Compact), typeOf(values),
                      typeOf(scales).getElementType()),
        scales, typeOf(values).getShape());
  step.addMicrobatchResult(prefix + ".scales", scales);
}

//===----------------------------------------------------------------------===//
// Behind the loop
//===----------------------------------------------------------------------===//

void RandomLayer::updateScales(MutableArrayRef<Slot> slots) {
  buildScaleUpdates(step.b, config, slots);
  for (Slot &slot : slots)
    for (int64_t e = 0; e < config.localExperts; ++e)
      for (auto [part, value] :
           {std::pair<StringRef, Value>{".scale", slot.state->scale[e]},
            {".history", slot.history[e]}})
        step.addResult(slot.name + "." + Twine(e) + part, value,
                       member((slot.name + part).str(), e, config.localExperts,
                              Grouping::InOrder));
}

void RandomLayer::readAsOptimizer(GroupedLinear &linear) {
  if (!choices.chance(25))
    return;
  std::string group = (name + ".dequantized." + linear.weightName).str();
  for (int64_t e = 0; e < config.localExperts; ++e)
    if (!isCastInLoop(e)) {
      std::string result = group + "." + std::to_string(e);
      step.addResult(
          result, layer.buildDequantize(result, linear.castWeights[e], Value()),
          member(group, e, config.localExperts,
                 casts == WeightCasts::Mixed ? Grouping::None
                                             : Grouping::InOrder));
    }
}

void RandomLayer::leaveLoop() {
  for (GroupedLinear *linear : {&fc1, &fc2})
    if (config.recipe.weight)
      readAsOptimizer(*linear);
  auto addGradients = [&](StringRef of, ArrayRef<Value> gradients) {
    if (gradients.empty())
      return;
    Grouping grouping = choices.pick({Grouping::InOrder, Grouping::InOrder,
                                      Grouping::OutOfOrder,
                                      Grouping::OneMissing, Grouping::None});
    std::string group = (name + ".grad." + of).str();
    for (int64_t e :
         choices.order(config.localExperts, grouping == Grouping::OutOfOrder))
      step.addResult(group + "." + Twine(e), gradients[e],
                     member(group, e, config.localExperts, grouping));
  };
  for (GroupedLinear *linear : {&fc1, &fc2}) {
    addGradients(linear->weightName, linear->weightGradients);
    addGradients(linear->biasName, linear->biasGradients);
  }
  updateScales(forwardSlots);
  updateScales(backwardSlots);
}
