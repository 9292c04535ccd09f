//===- Signature.cpp - arguments and results of a step --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Step.h"

#include <cmath>

using namespace mlir;
using namespace mlir::te;

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

void StepBuilder::addBiases(Ports &ports, const GroupedLinear &linear) {
  NamedAttribute attributes[] = {
      init(InitKind::Normal),
      b.getNamedAttr(TEDialect::kParameterAttr, b.getUnitAttr())};
  for (int64_t e = 0; e < config.localExperts; ++e)
    ports.addMember(linear.biasName + "." + Twine(e), linear.biasName, e,
                    biasType(linear), attributes);
}

InitAttr te::getCastInit(MLIRContext *context, const CastScheme &scheme,
                         StringRef part, int64_t cols) {
  if (part != ".values" && part != ".values_t")
    return InitAttr::get(context, InitKind::One, FloatAttr(), 0);
  // FP4 has no finer steps than a half.
  double deviation = scheme.isFP4() ? 2 : 1 / std::sqrt(double(cols));
  return InitAttr::get(context, InitKind::Normal,
                       Builder(context).getF64FloatAttr(deviation), 0);
}

/// The parts of each weight, cast already.
void StepBuilder::addCastWeights(Ports &ports, const GroupedLinear &linear) {
  RankedTensorType weight = weightType(linear, b.getBF16Type());
  NamedAttribute parameter =
      b.getNamedAttr(TEDialect::kParameterAttr, b.getUnitAttr());
  for (int64_t e = 0; e < config.localExperts; ++e)
    for (auto [i, type] : llvm::enumerate(layer.getWeightCastTypes(weight))) {
      if (!type)
        continue;
      StringRef part = Quantized::kParts[i];
      InitAttr init = getCastInit(context, *config.recipe.weight, part,
                                  weight.getDimSize(1));
      ports.addMember(linear.weightName + "." + Twine(e) + part,
                      linear.weightName + part, e, type,
                      {b.getNamedAttr(TEDialect::kInitAttr, init), parameter});
    }
}

void StepBuilder::addStates(Ports &ports, const Slot &slot, bool arguments) {
  const struct {
    StringRef name;
    RankedTensorType type;
    InitKind kind;
  } kinds[] = {{".scale", tensor({}, b.getF32Type()), InitKind::One},
               {".history",
                tensor({config.recipe.delayed->history}, b.getF32Type()),
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
  if (config.hasWeightFlag())
    ports.add("skip_weight_update", tensor({n}, b.getF32Type()),
              init(InitKind::Zero));
  for (const GroupedLinear *linear : {&fc1, &fc2}) {
    if (config.primaryWeights)
      addCastWeights(ports, *linear);
    else
      addWeights(ports, *linear);
    if (config.bias)
      addBiases(ports, *linear);
  }
  for (const Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots))
    addStates(ports, slot, /*arguments=*/true);
  if (drawsRandom())
    ports.add("rng", rngType(),
              {init(InitKind::Rng),
               b.getNamedAttr(TEDialect::kNextAttr, b.getStringAttr("rng"))});
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
      group = ("grad_" + linear->biasName).str();
      for (int64_t e = 0; config.bias && e < config.localExperts; ++e)
        ports.addMember(group + "." + Twine(e), group, e,
                        biasGradientType(*linear));
    }
  }
  if (config.optimizerReads)
    for (const GroupedLinear *linear : {&fc1, &fc2}) {
      std::string group = ("dequantized_" + linear->weightName).str();
      for (int64_t e = 0; e < config.localExperts; ++e)
        ports.addMember(group + "." + Twine(e), group, e,
                        weightType(*linear, b.getBF16Type()));
    }
  if (drawsRandom())
    ports.add("rng", rngType());
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
  if (config.hasWeightFlag())
    skipWeightUpdate = *next++;
  for (GroupedLinear *linear : {&fc1, &fc2}) {
    for (int64_t e = 0; e < config.localExperts; ++e) {
      if (!config.primaryWeights) {
        linear->weights.push_back(*next++);
        continue;
      }
      SmallVector<Value> parts;
      for (Type type :
           layer.getWeightCastTypes(weightType(*linear, b.getBF16Type())))
        parts.push_back(type ? Value(*next++) : Value());
      linear->castWeights.push_back(Quantized::ofParts(parts));
    }
    for (int64_t e = 0; config.bias && e < config.localExperts; ++e)
      linear->biases.push_back(*next++);
  }
  for (Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots))
    for (int64_t e = 0; e < config.localExperts; ++e) {
      slot.state->scale.push_back(*next++);
      slot.history.push_back(*next++);
    }
  if (drawsRandom())
    rng = *next++;
}
