//===- RandomProgram.cpp - valid programs of random structure -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Builders/RandomProgram.h"
#include "RandomLayer.h"
#include "RandomPieces.h"

#include "llvm/Support/ErrorHandling.h"

using namespace mlir;
using namespace mlir::te;

/// A multiple of `multiple`: a little beyond a block of 128 at most, but for 1.
static int64_t drawWidth(Choices &choices, int64_t multiple, int64_t limit) {
  return multiple == 1 ? choices.range(1, 40)
                       : multiple * choices.range(1, limit / multiple);
}

static RandomDims drawDims(Choices &choices, int64_t multiple) {
  RandomDims dims;
  dims.tokens = choices.range(1, 24);
  dims.hidden = drawWidth(choices, multiple, 160);
  dims.ranks = choices.pick({1, 1, 1, 2, 3});
  dims.microbatches = choices.range(1, 3);
  dims.target = choices.chance(20) ? "sm_100" : "sm_90";
  return dims;
}

/// A recipe, a dispatch and a direction: what decides which dimensions are
/// valid.
static LayerConfig drawKind(Choices &choices) {
  LayerConfig config;
  config.recipe = getRecipes()[choices.range(0, getRecipes().size() - 1)];
  config.dispatch = choices.pick(
      {Dispatch::None, Dispatch::None, Dispatch::BF16, Dispatch::FP8});
  config.direction = choices.pick({Direction::Forward, Direction::Training});
  if (config.dispatch != Dispatch::None && choices.chance(40))
    config.gradientDispatch = Dispatch::FP8;
  if (choices.chance(25))
    config.alignment = config.recipe.alignment * choices.range(2, 3);
  return config;
}

/// Mostly what the recipe says, and sometimes another choice.
static void drawOptions(Choices &choices, const RandomDims &dims,
                        Recipe &recipe) {
  if (!recipe.isLowPrecision())
    return;
  if (recipe.hasByteScales() && choices.chance(50)) {
    recipe.weight->squareBlocks = choices.chance(50);
    if (recipe.weight->isFP4()) {
      recipe.activation->hadamard = recipe.gradient->hadamard =
          choices.chance(50);
      recipe.gradient->stochasticRounding = choices.chance(50);
    }
  }
  if (recipe.delayed) {
    recipe.delayed->history = choices.range(1, 4);
    recipe.delayed->margin = choices.range(0, 2);
    recipe.delayed->algorithm =
        choices.pick({AmaxAlgorithm::Max, AmaxAlgorithm::MostRecent});
  }
  recipe.reduceAmax = recipe.isTensor() && choices.chance(40);
  if (recipe.isFP8() && choices.chance(40)) {
    using Format = CastScheme::Format;
    auto [forward, backward] =
        choices.pick({std::pair(Format::E4M3, Format::E4M3),
                      {Format::E4M3, Format::E5M2},
                      {Format::E5M2, Format::E4M3}});
    recipe.activation->format = forward;
    recipe.gradient->format = backward;
  }
  if (recipe.scalesFromData() && choices.chance(50)) {
    // Products of blocks read powers of two alone on sm_100.
    bool pow2 = choices.chance(50);
    if (dims.target == "sm_100" && !recipe.weight->isTensor())
      pow2 = true;
    float epsilon = choices.pick({0.0f, 1e-4f, 0.5f});
    for (CastScheme *cast : recipe.getCasts()) {
      cast->pow2Scales = pow2;
      cast->epsilon = epsilon;
    }
  }
}

static void drawLayer(Choices &choices, const RandomDims &dims,
                      LayerConfig &config) {
  config.tokens = dims.tokens;
  config.hidden = dims.hidden;
  config.ranks = dims.ranks;
  config.microbatches = dims.microbatches;
  config.target = dims.target;
  config.localExperts = choices.range(1, 4);
  config.topK = choices.range(1, 3);
  config.ffn = drawWidth(choices, config.recipe.widthMultiple, 144);
  drawOptions(choices, dims, config.recipe);
  config.bias = choices.chance(25);
}

OwningOpRef<ModuleOp> te::buildRandomProgram(MLIRContext *context,
                                             uint64_t seed) {
  Choices choices(seed);
  int64_t numLayers = choices.pick({1, 1, 1, 2, 2, 3});
  std::vector<LayerConfig> configs;
  int64_t multiple = 1;
  for (int64_t i = 0; i < numLayers; ++i) {
    configs.push_back(drawKind(choices));
    // Powers of two: the largest is a multiple of all.
    multiple = std::max(multiple, configs.back().recipe.widthMultiple);
    if (configs.back().sendsFP8())
      multiple = std::max(multiple, int64_t(16));
  }
  RandomDims dims = drawDims(choices, multiple);

  OwningOpRef<ModuleOp> module = ModuleOp::create(
      NameLoc::get(StringAttr::get(context, "random " + Twine(seed))));
  module.get()->setAttr(TEDialect::kTargetAttr,
                        TargetAttr::get(context, dims.target));
  OpenStep step(*module, dims.ranks, dims.microbatches);
  std::deque<RandomLayer> layers;
  for (int64_t i = 0; i < numLayers; ++i) {
    LayerConfig &config = configs[i];
    drawLayer(choices, dims, config);
    const RandomLayer *owner = nullptr;
    // Weights have the dimensions of their owner, which may suit no FP8.
    if (i > 0 && choices.chance(40) && layers.front().hasWeights() &&
        layers.front().config.ffn % config.recipe.widthMultiple == 0) {
      owner = &layers.front();
      config.localExperts = owner->config.localExperts;
      config.ffn = owner->config.ffn;
    }
    if (llvm::Error error = config.verify())
      llvm::report_fatal_error(std::move(error));
    layers.emplace_back(step, choices, "l" + std::to_string(i), config, owner);
  }
  for (RandomLayer &layer : layers)
    layer.prepare(*module);
  RandomPieces pieces(step, choices);
  pieces.build();

  step.beginLoop();
  for (RandomLayer &layer : layers)
    layer.enterLoop();
  auto rows =
      RankedTensorType::get({dims.tokens, dims.hidden}, step.b.getBF16Type());
  SmallVector<Value> values = {
      step.addMicrobatchArgument("tokens", rows, step.init(InitKind::Normal))};
  // Mostly one after the other, sometimes two on one input.
  auto pickInput = [&](SmallVector<Value> &from) {
    return choices.chance(60) ? from.back()
                              : from[choices.range(0, from.size() - 1)];
  };
  for (RandomLayer &layer : layers) {
    Value input = pickInput(values);
    values.push_back(layer.buildForward(input));
    if (&layer == &layers.back() || choices.chance(50))
      step.addMicrobatchResult(layer.name + ".out", values.back());
  }
  SmallVector<Value> gradients;
  for (RandomLayer &layer : llvm::reverse(layers)) {
    if (!layer.config.isTraining())
      continue;
    if (gradients.empty() || choices.chance(30))
      gradients.push_back(step.addMicrobatchArgument(
          layer.name + ".grad_out", rows, step.init(InitKind::Normal)));
    Value gradient = pickInput(gradients);
    gradients.push_back(layer.buildBackward(gradient));
    step.addMicrobatchResult(layer.name + ".grad_tokens", gradients.back());
  }
  bool unrolled = choices.chance(25);
  step.endLoop(unrolled);
  for (RandomLayer &layer : layers)
    layer.leaveLoop();
  step.finish();
  pieces.vary(*module);
  return module;
}
