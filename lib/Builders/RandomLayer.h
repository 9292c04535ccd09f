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
  Shared,  ///< they are those of the layer whose weights it shares
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
  /// Behind the loop: the new states, and what else there is to return.
  void leaveLoop();

  const LayerConfig config;
  const std::string name;

private:
  /// How the arguments of a group of weights are made.
  enum class Grouping { InOrder, OutOfOrder, OneDiffers, OneMissing, None };

  bool isCastInLoop(int64_t expert) const {
    return casts == WeightCasts::InLoop ||
           (casts == WeightCasts::Mixed && expert % 2 == 1);
  }
  void nameLinear(GroupedLinear &linear, StringRef fields);
  RankedTensorType weightType(const GroupedLinear &linear, Type element);
  SmallVector<NamedAttribute> member(StringRef group, int64_t index,
                                     int64_t count, Grouping grouping);
  void addWeights(GroupedLinear &linear);
  void addStates(Slot &slot);
  void castInFront(GroupedLinear &linear, ModuleOp module);
  void castCached(GroupedLinear &linear, int64_t expert, ModuleOp module);
  void castInLoop(GroupedLinear &linear);
  void updateScales(MutableArrayRef<Slot> slots);
  /// Further readers of what forward made.
  void readRows(const LayerBuilder::Saved &saved);
  void readWeightCast(GroupedLinear &linear);

  OpenStep &step;
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
