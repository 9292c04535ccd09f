//===- ScalingStates.h - the states of delayed scaling ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_BUILDERS_SCALINGSTATES_H
#define TE_LIB_BUILDERS_SCALINGSTATES_H

#include "te/Builders/LayerBuilder.h"

namespace mlir::te {

/// The states of one tensor that delayed scaling casts: E of each.
struct Slot {
  StringRef name;
  ScalingState *state;
  const CastScheme *scheme;
  SmallVector<Value> history;
};

/// The slots of forward, x, w1, act and w2, and of backward, dy and dh, in
/// these orders and named as the linear layers name them. None where scales do
/// not come from earlier steps, and in backward none without training. They
/// refer to the arguments.
SmallVector<Slot> makeForwardSlots(const LayerConfig &config,
                                   GroupedLinear &fc1, GroupedLinear &fc2);
SmallVector<Slot> makeBackwardSlots(const LayerConfig &config,
                                    GroupedLinear &fc1, GroupedLinear &fc2);

/// At the end of the step: the next history and scale of the slots of one
/// direction, in place of the present ones. One te.update_scales for each FP8
/// format among them, after one te.all_reduce where the recipe asks for it.
void buildScaleUpdates(OpBuilder &b, const LayerConfig &config,
                       MutableArrayRef<Slot> slots);

} // namespace mlir::te

#endif // TE_LIB_BUILDERS_SCALINGSTATES_H
