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

static RandomDims drawDims(Choices &choices, bool castsHidden) {
  RandomDims dims;
  dims.tokens = choices.range(1, 24);
  // A little beyond a block of 128 at most.
  dims.hidden = castsHidden ? 16 * choices.range(1, 10) : choices.range(1, 40);
  dims.ranks = choices.pick({1, 1, 1, 2, 3});
  dims.microbatches = choices.range(1, 3);
  dims.target = choices.chance(20) ? "sm_100" : "sm_90";
  return dims;
}

/// A recipe, a dispatch and a direction: what decides which dimensions are
/// valid.
static LayerConfig drawKind(Choices &choices) {
  LayerConfig config;
  config.recipe = &getRecipes()[choices.range(0, getRecipes().size() - 1)];
  config.dispatch = choices.pick(
      {Dispatch::None, Dispatch::None, Dispatch::BF16, Dispatch::FP8});
  config.direction = choices.pick({Direction::Forward, Direction::Training});
  if (config.dispatch != Dispatch::None && choices.chance(40))
    config.gradientDispatch = Dispatch::FP8;
  if (choices.chance(25))
    config.alignment = choices.pick({16, 48, 128});
  return config;
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
  config.ffn =
      config.recipe->isFP8() ? 16 * choices.range(1, 9) : choices.range(1, 33);
  config.amaxHistory = choices.range(1, 4);
  config.margin = choices.range(0, 2);
  config.amaxAlgorithm =
      choices.pick({AmaxAlgorithm::Max, AmaxAlgorithm::MostRecent});
}

OwningOpRef<ModuleOp> te::buildRandomProgram(MLIRContext *context,
                                             uint64_t seed) {
  Choices choices(seed);
  int64_t numLayers = choices.pick({1, 1, 1, 2, 2, 3});
  SmallVector<LayerConfig> configs;
  bool castsHidden = false;
  for (int64_t i = 0; i < numLayers; ++i) {
    configs.push_back(drawKind(choices));
    castsHidden |= configs.back().recipe->isFP8() ||
                   configs.back().dispatch == Dispatch::FP8 ||
                   configs.back().gradientDispatch == Dispatch::FP8;
  }
  RandomDims dims = drawDims(choices, castsHidden);

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
    if (i > 0 && choices.chance(40) &&
        (!config.recipe->isFP8() || layers.front().config.ffn % 16 == 0)) {
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
