//===- Step.h - the function of a step, while it is built -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_BUILDERS_STEP_H
#define TE_LIB_BUILDERS_STEP_H

#include "ScalingStates.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::te {

/// How random data for a part (Quantized::kParts) of a weight of K columns that
/// is cast already is made: products of it are about as large as those of a
/// weight that the step casts, but for FP4 and its amax.
InitAttr getCastInit(MLIRContext *context, const CastScheme &scheme,
                     StringRef part, int64_t cols);

/// Arguments or results of the function, in order.
struct Ports {
  MLIRContext *context;
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;

  /// Adds one.
  void add(const Twine &name, Type type, ArrayRef<NamedAttribute> extra = {}) {
    Builder b(context);
    SmallVector<NamedAttribute> list(extra);
    list.push_back(b.getNamedAttr(TEDialect::kNameAttr, b.getStringAttr(name)));
    types.push_back(type);
    attributes.push_back(b.getDictionaryAttr(list));
  }

  /// Adds the member of a group.
  void addMember(const Twine &name, const Twine &group, int64_t member,
                 Type type, ArrayRef<NamedAttribute> extra = {}) {
    Builder b(context);
    SmallVector<NamedAttribute> list(extra);
    list.push_back(
        b.getNamedAttr(TEDialect::kGroupAttr, b.getStringAttr(group)));
    list.push_back(
        b.getNamedAttr(TEDialect::kMemberAttr, b.getI64IntegerAttr(member)));
    add(name, type, list);
  }
};

/// What a function says of the ranks that meet in it: nothing if there is one.
inline SmallVector<NamedAttribute> getRanksAttribute(Builder &b,
                                                     int64_t ranks) {
  if (ranks == 1)
    return {};
  return {b.getNamedAttr(TEDialect::kRanksAttr, b.getI64IntegerAttr(ranks))};
}

class StepBuilder {
public:
  StepBuilder(ModuleOp module, const LayerConfig &config)
      : config(config), module(module), context(module.getContext()),
        b(context), layer(b, config) {
    fc1.name = "fc1", fc1.inputName = "x", fc1.weightName = "w1",
    fc1.biasName = "b1", fc1.gradientName = "dh";
    fc2.name = "fc2", fc2.inputName = "act", fc2.weightName = "w2",
    fc2.biasName = "b2", fc2.gradientName = "dy";
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

  RankedTensorType biasType(const GroupedLinear &linear) {
    return tensor(weightType(linear, b.getBF16Type()).getShape().front(),
                  b.getBF16Type());
  }
  RankedTensorType biasGradientType(const GroupedLinear &linear) {
    return tensor({1, biasType(linear).getDimSize(0)}, b.getF32Type());
  }
  /// Whether gradients are rounded at random.
  bool drawsRandom() const {
    return config.isTraining() && config.recipe.gradient &&
           config.recipe.gradient->stochasticRounding;
  }
  RankedTensorType rngType() {
    return tensor({config.microbatches, 2}, b.getI64Type());
  }

  void addArguments(Ports &ports);
  void addWeights(Ports &ports, const GroupedLinear &linear);
  void addCastWeights(Ports &ports, const GroupedLinear &linear);
  void addBiases(Ports &ports, const GroupedLinear &linear);
  void addStates(Ports &ports, const Slot &slot, bool arguments);
  void addResults(Ports &ports);
  void takeArguments(func::FuncOp function);
  /// Casts each weight into its own workspaces, which outlive the step; unless
  /// `noop` is given and 1.0.
  void cacheWeights(GroupedLinear &linear, Value noop = {});
  /// What the workspaces hold.
  void loadWeights(GroupedLinear &linear);
  void buildMicrobatch(Value index);
  void buildLoop();

  const LayerConfig &config;
  ModuleOp module;
  MLIRContext *context;
  OpBuilder b;
  LayerBuilder layer;
  GroupedLinear fc1, fc2;
  /// Delayed scaling: of forward, of backward.
  SmallVector<Slot> forwardSlots, backwardSlots;
  /// Of all micro-batches.
  Value tokens, indices, probs, gradOut, skipWeightUpdate;
  /// The states of stochastic rounding of all micro-batches, or null.
  Value rng;
  Value out, gradTokens, gradProbs;
};

} // namespace mlir::te

#endif // TE_LIB_BUILDERS_STEP_H
