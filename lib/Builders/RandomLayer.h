//===- RandomLayer.h - one layer of a random program ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_BUILDERS_RANDOMLAYER_H
#define TE_LIB_BUILDERS_RANDOMLAYER_H

#include "Choices.h"
#include "OpenStep.h"

namespace mlir::te {

/// Where a layer casts its weights.
enum class WeightCasts {
  InLoop,  ///< in each micro-batch
  InFront, ///< once, in front of the loop
  Mixed,   ///< some experts so, some so
  Cached,  ///< in front of the loop, into workspaces that outlive the step
  Flagged, ///< in each micro-batch, into such workspaces, under a flag
  Shared,  ///< they are those of the layer whose weights it shares
  Given,   ///< the arguments are cast already
};

/// What the layers of a program have in common, drawn first.
struct RandomDims {
  int64_t tokens, hidden, ranks, microbatches;
  std::string target;
};

class RandomLayer {
public:
  /// Draws a layer. It may share the weights of `owner`, and then has its
  /// dimensions.
  RandomLayer(OpenStep &step, Choices &choices, StringRef name,
              const LayerConfig &config, const RandomLayer *owner);

  /// Makes arguments, and the casts in front of the loop.
  void prepare(ModuleOp module);
  /// In the loop, before forward.
  void enterLoop();
  /// In the loop: T x H to T x H.
  Value buildForward(Value input);
  Value buildBackward(Value gradient);
  /// Whether there are weights that another layer may cast its own way.
  bool hasWeights() const { return casts != WeightCasts::Given; }
  /// Behind the loop: the new states, and what else there is to return.
  void leaveLoop();

  const LayerConfig config;
  const std::string name;

private:
  /// How the arguments of a group of weights are made.
  enum class Grouping { InOrder, OutOfOrder, OneDiffers, OneMissing, None };

  bool isCastInLoop(int64_t expert) const {
    return casts == WeightCasts::InLoop || casts == WeightCasts::Flagged ||
           (casts == WeightCasts::Mixed && expert % 2 == 1);
  }
  void nameLinear(GroupedLinear &linear, StringRef fields);
  RankedTensorType weightType(const GroupedLinear &linear, Type element);
  SmallVector<NamedAttribute> member(StringRef group, int64_t index,
                                     int64_t count, Grouping grouping);
  void addWeights(GroupedLinear &linear);
  void addBiases(GroupedLinear &linear);
  void addCastWeights(GroupedLinear &linear);
  void addStates(Slot &slot);
  void castInFront(GroupedLinear &linear);
  void castCached(GroupedLinear &linear, int64_t expert, Value noop = {});
  void castInLoop(GroupedLinear &linear);
  void updateScales(MutableArrayRef<Slot> slots);
  /// Further readers of what forward made.
  void readRows(const LayerBuilder::Saved &saved);
  void readWeightCast(GroupedLinear &linear);
  /// Behind the loop: casts back what was cast in front of it.
  void readAsOptimizer(GroupedLinear &linear);

  OpenStep &step;
  ModuleOp module;
  Choices &choices;
  const RandomLayer *owner;
  WeightCasts casts = WeightCasts::InLoop;
  LayerBuilder layer;
  std::deque<std::string> names;
  GroupedLinear fc1, fc2;
  SmallVector<Slot> forwardSlots, backwardSlots;
  LayerBuilder::Saved saved;
};

} // namespace mlir::te

#endif // TE_LIB_BUILDERS_RANDOMLAYER_H
