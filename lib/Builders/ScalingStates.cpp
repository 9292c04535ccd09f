//===- ScalingStates.cpp - the states of delayed scaling ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScalingStates.h"

using namespace mlir;
using namespace mlir::te;

SmallVector<Slot> te::makeForwardSlots(const LayerConfig &config,
                                       GroupedLinear &fc1, GroupedLinear &fc2) {
  const Recipe &recipe = config.recipe;
  if (!recipe.delayed)
    return {};
  return {{fc1.inputName, &fc1.inputState, &*recipe.activation, {}},
          {fc1.weightName, &fc1.weightState, &*recipe.weight, {}},
          {fc2.inputName, &fc2.inputState, &*recipe.activation, {}},
          {fc2.weightName, &fc2.weightState, &*recipe.weight, {}}};
}

SmallVector<Slot> te::makeBackwardSlots(const LayerConfig &config,
                                        GroupedLinear &fc1,
                                        GroupedLinear &fc2) {
  const Recipe &recipe = config.recipe;
  if (!recipe.delayed || !config.isTraining())
    return {};
  return {{fc2.gradientName, &fc2.gradientState, &*recipe.gradient, {}},
          {fc1.gradientName, &fc1.gradientState, &*recipe.gradient, {}}};
}

/// One launch for all of these, which have one format.
static void buildScaleUpdate(OpBuilder &b, const DelayedScaling &scaling,
                             ArrayRef<Slot *> slots) {
  SmallVector<Value> amax, history, scale;
  for (Slot *slot : slots) {
    llvm::append_range(amax, slot->state->amax);
    llvm::append_range(history, slot->history);
    llvm::append_range(scale, slot->state->scale);
  }
  auto update = UpdateScalesOp::create(
      b, NameLoc::get(b.getStringAttr("update_scales")),
      ValueRange(history).getTypes(), ValueRange(scale).getTypes(), amax,
      history, scale, llvm::APFloat(float(slots.front()->scheme->getMax())),
      scaling.margin, scaling.algorithm);
  auto nextHistory = update.getHistoryOut().begin();
  auto nextScale = update.getScaleOut().begin();
  for (Slot *slot : slots) {
    for (Value &value : slot->history)
      value = *nextHistory++;
    for (Value &value : slot->state->scale)
      value = *nextScale++;
  }
}

/// In one launch: the amaxes of all ranks, in place of those of this one.
static void buildReduction(OpBuilder &b, MutableArrayRef<Slot> slots) {
  SmallVector<Value> amax;
  for (Slot &slot : slots)
    llvm::append_range(amax, slot.state->amax);
  auto reduce =
      AllReduceOp::create(b, NameLoc::get(b.getStringAttr("reduce_amax")),
                          ValueRange(amax).getTypes(), amax);
  auto next = reduce.getOutputs().begin();
  for (Slot &slot : slots)
    for (Value &value : slot.state->amax)
      value = *next++;
}

void te::buildScaleUpdates(OpBuilder &b, const LayerConfig &config,
                           MutableArrayRef<Slot> slots) {
  if (config.recipe.reduceAmax && !slots.empty())
    buildReduction(b, slots);
  using Format = CastScheme::Format;
  for (Format format : {Format::E4M3, Format::E5M2}) {
    SmallVector<Slot *> some;
    for (Slot &slot : slots)
      if (slot.scheme->format == format)
        some.push_back(&slot);
    if (!some.empty())
      buildScaleUpdate(b, *config.recipe.delayed, some);
  }
}
