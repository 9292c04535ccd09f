//===- LayerBuilder.h - the stages of an expert layer -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The naive expert layer, as frameworks execute it: a cast and a product for
// each expert, offsets computed by each consumer, conversions of scales between
// any two steps that assume another layout. For front ends: the stages build at
// the insertion point of the caller's builder.
//
// Below, T is the tokens of a micro-batch, H the hidden width, F the ffn width,
// k the top-k, E the experts of this rank, R the ranks; Td the received rows,
// Cd and C the capacities before and after padding (LayerConfig.h).
//
//===----------------------------------------------------------------------===//

#ifndef TE_BUILDERS_LAYERBUILDER_H
#define TE_BUILDERS_LAYERBUILDER_H

#include "te/Builders/LayerConfig.h"

#include "mlir/IR/Builders.h"

namespace mlir::te {

/// One operand of a product.
struct ProductOperand {
  Value values, scales;
  /// Stored with the reduction along its columns.
  bool transpose = false;
  /// Of FP4.
  Value amax = {};
};

/// A tensor in the directions that products read it in. Without scales it is
/// bf16 and serves both. What is absent is null.
struct Quantized {
  Value values, scales, valuesT, scalesT;
  /// Of FP4: the amax of each direction.
  Value amax = {}, amaxT = {};

  /// The names of its parts, as they are appended to that of the tensor, and
  /// the parts, in the order of the results of a cast.
  static constexpr StringLiteral kParts[] = {".values",      ".scales",
                                             ".values_t",    ".scales_t",
                                             ".tensor_amax", ".tensor_amax_t"};
  SmallVector<Value> getParts() const {
    return {values, scales, valuesT, scalesT, amax, amaxT};
  }
  static Quantized ofParts(ArrayRef<Value> parts) {
    return {parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]};
  }

  ProductOperand getRowwise() const { return {values, scales, false, amax}; }
  ProductOperand getColumnwise() const;
};

/// What casts of a tensor are given: for each member of a group the scale
/// (tensor<f32>) to cast it with, and of delayed scaling the amax (tensor<f32>)
/// seen so far, which casts replace; empty lists where a cast finds its scale
/// itself, and where amaxes are not kept. Stochastic rounding: the state, and
/// the stream of its numbers.
struct ScalingState {
  SmallVector<Value> scale, amax;
  Value rng = {};
  int64_t rngStream = 0;
};

/// How many streams the casts of one layer draw from.
constexpr int64_t kNumRngStreams = 2;

/// A linear layer of E experts: result = input * weights[e]^T + biases[e] on
/// the rows of each expert.
struct GroupedLinear {
  /// Names in locations: of the layer, its input, weights, result's gradient.
  StringRef name, inputName, weightName, biasName, gradientName;
  /// E tensors of N x K, bf16.
  SmallVector<Value> weights;
  /// E vectors of N, bf16, or none.
  SmallVector<Value> biases;
  ScalingState inputState, weightState, gradientState;
  /// Training: E accumulators of N x K, f32, which backward replaces.
  SmallVector<Value> weightGradients;
  /// Where there are biases: E accumulators of 1 x N, f32, likewise.
  SmallVector<Value> biasGradients;
  /// The cast weights; empty where forward is to cast them. Their scales are
  /// swizzled in front of each product that reads them so.
  SmallVector<Quantized> castWeights;

  /// Left by forward for backward.
  Quantized input;
  Value hostOffsets;
};

/// Where the tokens of a micro-batch went.
struct Routing {
  Value handle; ///< of dispatch; null without
  Value rowMap; ///< Td x k
  Value counts; ///< E
};

/// The rows of the experts on this rank, and the probability of each.
struct ExpertRows {
  Value rows;  ///< C x width
  Value probs; ///< C; null where none travel
};

class LayerBuilder {
public:
  /// Both must outlive the builder; `config` must verify.
  LayerBuilder(OpBuilder &builder, const LayerConfig &config)
      : b(builder), config(config) {}

  //===--- Routing
  //---------------------------------------------------------===//

  /// Sends tokens (T x H), indices and probs (T x k) to the ranks and rows of
  /// their experts, padded as the recipe wants.
  std::pair<Routing, ExpertRows> buildRouting(Value tokens, Value indices,
                                              Value probs);
  /// Sends rows T x H the same way; of their experts' rows, C x H.
  Value buildRouteGradient(const Routing &routing, Value rows);
  /// The way back: C x H (and the probs of C) summed to T x H (and T x k).
  ExpertRows buildReturn(const Routing &routing, ExpertRows rows);

  //===--- Grouped linear layers
  //-------------------------------------------===//

  /// One consumer's offsets, from the counts.
  Value buildOffsets(Value counts, int64_t alignment);
  /// A cast for each expert of `input` (C x K), chained.
  Quantized buildExpertCasts(const std::optional<CastScheme> &scheme,
                             StringRef name, Value input, Value hostOffsets,
                             ScalingState &state);
  /// The types of the parts of a cast of `weight` (Quantized), null where they
  /// are absent: without training, columnwise ones.
  SmallVector<Type> getWeightCastTypes(RankedTensorType weight);
  /// A cast of weights[expert], into `outs`, those parts that there are, if it
  /// is not empty, and unless `noop` (tensor<f32>) is given and 1.0.
  Quantized buildWeightCast(GroupedLinear &linear, int64_t expert,
                            ValueRange outs = {}, Value noop = {});
  /// A cast back of what is rowwise; `offsets` of a ragged tensor, or null.
  Value buildDequantize(const Twine &name, const Quantized &cast,
                        Value offsets);
  /// `input` is C x K, the result C x N.
  Value buildForward(GroupedLinear &linear, Value input, Value counts);
  /// `gradient` is C x N, the result C x K; adds to linear.weightGradients and
  /// linear.biasGradients.
  Value buildBackward(GroupedLinear &linear, Value gradient);

  //===--- The layer on one micro-batch
  //------------------------------------===//

  /// What backward reads of forward.
  struct Saved {
    Routing routing;
    Value hidden; ///< C x 2F
    Value probs;  ///< C
  };
  /// Returns T x H.
  Value buildForward(GroupedLinear &fc1, GroupedLinear &fc2, Value tokens,
                     Value indices, Value probs, Saved &saved);
  /// `gradient` is T x H; returns the gradients of tokens and probs.
  ExpertRows buildBackward(GroupedLinear &fc1, GroupedLinear &fc2,
                           Value gradient, const Saved &saved);

private:
  /// Rows as they arrive at a rank: FP8 rows with compact scales, or without.
  struct SentRows {
    Value rows, scales, probs;
  };
  /// Sends rows (T x H), and probs if there are any. Names of ops end in
  /// `suffix`.
  SentRows buildSend(StringRef suffix, Dispatch how, const Routing &routing,
                     ExpertRows rows);
  /// Brings them to their experts, padded, in bf16 for the layer `reader`.
  ExpertRows buildPermute(StringRef suffix, StringRef reader,
                          const Routing &routing, SentRows sent);

  Location loc(const Twine &name);
  Value buildConvert(const Twine &name, Value scales, ScaleLayout layout,
                     Value data);
  ExpertRows buildPad(ExpertRows rows, Value counts);
  SmallVector<Type> getCastTypes(const CastScheme &scheme,
                                 RankedTensorType input, bool columnwise,
                                 int64_t groups);
  Quantized buildCast(Location loc, const CastScheme &scheme, Value input,
                      ArrayRef<Type> types, ValueRange outs, Value hostOffsets,
                      int64_t member, ScalingState &state, Value noop = {});
  SmallVector<Value> buildSharedScales(const CastScheme &scheme, StringRef name,
                                       Value input, Value hostOffsets,
                                       int64_t experts);
  /// In the layout that products read.
  ProductOperand buildSwizzled(const Twine &name, ProductOperand operand);
  Value buildRowProducts(const Twine &name, ProductOperand lhs,
                         ArrayRef<ProductOperand> rhs, ArrayRef<Value> biases,
                         Value hostOffsets);
  void buildWeightGradients(const Twine &name, ProductOperand lhs,
                            ProductOperand rhs, Value hostOffsets,
                            MutableArrayRef<Value> accumulators);

  OpBuilder &b;
  const LayerConfig &config;
};

} // namespace mlir::te

#endif // TE_BUILDERS_LAYERBUILDER_H
