//===- GroupedLinear.cpp - linear layers, one expert at a time ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Types.h"
#include "te/Builders/LayerBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::te;

ProductOperand Quantized::getColumnwise() const {
  if (!valuesT)
    return {values, Value(), true, Value()};
  // Blocks one column wide: the data is stored as the input is.
  ScalesAttr encoding = getScalesEncoding(scalesT.getType());
  return {valuesT, scalesT, encoding.getCols() == 1, amaxT};
}

static int64_t getNumRows(const ProductOperand &operand) {
  return typeOf(operand.values).getDimSize(operand.transpose ? 1 : 0);
}

//===----------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------===//

/// The types of values, scales and, if `columnwise` is asked for too, values_t
/// and scales_t. Ragged input has `groups`.
SmallVector<Type> LayerBuilder::getCastTypes(const CastScheme &scheme,
                                             RankedTensorType input,
                                             bool columnwise, int64_t groups) {
  MLIRContext *context = b.getContext();
  SmallVector<Type> types(std::size(Quantized::kParts));
  SmallVector<int64_t> perGroup;
  if (groups)
    perGroup.push_back(groups);
  auto set = [&](int64_t rows, int64_t cols, bool columnwise) {
    auto values =
        RankedTensorType::get({rows, cols}, scheme.getElementType(context));
    types[columnwise ? 2 : 0] = values;
    types[columnwise ? 3 : 1] =
        getScalesType(scheme.getEncoding(context, columnwise, groups), values,
                      scheme.getScaleType(context));
    if (scheme.isFP4())
      types[columnwise ? 5 : 4] =
          RankedTensorType::get(perGroup, b.getF32Type());
  };
  int64_t rows = input.getDimSize(0), cols = input.getDimSize(1);
  set(rows, cols, /*columnwise=*/false);
  if (columnwise && scheme.isUntransposed())
    set(rows, cols, /*columnwise=*/true);
  else if (columnwise)
    set(cols, rows, /*columnwise=*/true);
  return types;
}

/// One te.quantize, of member `member` of the state (none where that is empty).
/// `types` are those of the data; the amax, which the cast replaces, comes
/// last.
Quantized LayerBuilder::buildCast(Location loc, const CastScheme &scheme,
                                  Value input, ArrayRef<Type> types,
                                  ValueRange outs, Value hostOffsets,
                                  int64_t member, ScalingState &state,
                                  Value noop) {
  Value scale, amax;
  SmallVector<Value> destinations(outs);
  if (!state.scale.empty()) {
    scale = state.scale[member];
    if (!state.amax.empty())
      amax = state.amax[member];
    if (amax && !outs.empty())
      destinations.push_back(amax);
  }
  Value rng = scheme.stochasticRounding ? state.rng : Value();
  auto flag = [&](bool value) { return value ? b.getUnitAttr() : UnitAttr(); };
  auto op = QuantizeOp::create(
      b, loc, types[0], types[1], types[2], types[3],
      amax ? amax.getType() : Type(), types[4], types[5], input, scale, amax,
      noop, hostOffsets, rng, destinations,
      hostOffsets ? b.getI64IntegerAttr(member) : IntegerAttr(),
      flag(scheme.pow2Scales && !scale), flag(scheme.squareBlocks),
      flag(scheme.hadamard && types[2]),
      b.getI64IntegerAttr(rng ? state.rngStream : 0),
      b.getF32FloatAttr(scale ? 0 : scheme.epsilon), /*variant=*/StringAttr());
  if (amax)
    state.amax[member] = op.getAmaxOut();
  return {op.getValues(),  op.getScales(),     op.getValuesT(),
          op.getScalesT(), op.getTensorAmax(), op.getTensorAmaxT()};
}

/// For each expert, the scale that the largest amax of all ranks gives.
SmallVector<Value> LayerBuilder::buildSharedScales(const CastScheme &scheme,
                                                   StringRef name, Value input,
                                                   Value hostOffsets,
                                                   int64_t experts) {
  auto where = [&](StringRef step, int64_t e) {
    return loc(name + "/" + step + "[" + Twine(e) + "]");
  };
  auto type = RankedTensorType::get({}, b.getF32Type());
  SmallVector<Value> values;
  for (int64_t e = 0; e < experts; ++e)
    values.push_back(AmaxOp::create(b, where("amax", e), type, input,
                                    hostOffsets, b.getI64IntegerAttr(e)));
  for (auto [e, value] : llvm::enumerate(values))
    value =
        AllReduceOp::create(b, where("reduce_amax", e), TypeRange(type), value)
            .getOutputs()
            .front();
  for (auto [e, value] : llvm::enumerate(values))
    value = ScaleFromAmaxOp::create(
                b, where("scale", e), TypeRange(type), value,
                llvm::APFloat(float(scheme.getMax())), scheme.pow2Scales,
                llvm::APFloat(scheme.epsilon))
                .getScale()
                .front();
  return values;
}

Quantized
LayerBuilder::buildExpertCasts(const std::optional<CastScheme> &scheme,
                               StringRef name, Value input, Value hostOffsets,
                               ScalingState &state) {
  if (!scheme)
    return {input, {}, {}, {}};
  int64_t experts = typeOf(hostOffsets).getDimSize(0) - 1;
  SmallVector<Type> types =
      getCastTypes(*scheme, typeOf(input), config.isTraining(), experts);
  ScalingState shared;
  if (config.recipe.reduceAmax && config.recipe.scalesFromData())
    shared.scale =
        buildSharedScales(*scheme, name, input, hostOffsets, experts);
  SmallVector<Value> outs;
  for (Type type : types)
    if (type)
      outs.push_back(tensor::EmptyOp::create(b, loc(name), type, ValueRange()));
  Quantized result;
  for (int64_t e = 0; e < experts; ++e) {
    result =
        buildCast(loc(name + "[" + Twine(e) + "]"), *scheme, input, types, outs,
                  hostOffsets, e, shared.scale.empty() ? state : shared);
    outs = result.getParts();
    llvm::erase(outs, Value());
  }
  return result;
}

SmallVector<Type> LayerBuilder::getWeightCastTypes(RankedTensorType weight) {
  if (!config.recipe.weight)
    return {};
  return getCastTypes(*config.recipe.weight, weight, config.isTraining(), 0);
}

Quantized LayerBuilder::buildWeightCast(GroupedLinear &linear, int64_t expert,
                                        ValueRange outs, Value noop) {
  Value weight = linear.weights[expert];
  if (!config.recipe.weight)
    return {weight, {}, {}, {}};
  Location where = loc(linear.name + "/quantize " + linear.weightName + "[" +
                       Twine(expert) + "]");
  return buildCast(where, *config.recipe.weight, weight,
                   getWeightCastTypes(typeOf(weight)), outs, Value(), expert,
                   linear.weightState, noop);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Value LayerBuilder::buildDequantize(const Twine &name, const Quantized &cast,
                                    Value offsets) {
  return DequantizeOp::create(b, loc(name),
                              typeOf(cast.values).clone(b.getBF16Type()),
                              cast.values, cast.scales, cast.amax, offsets);
}

ProductOperand LayerBuilder::buildSwizzled(const Twine &name,
                                           ProductOperand operand) {
  if (!operand.scales)
    return operand;
  ScalesAttr encoding = getScalesEncoding(operand.scales.getType());
  if (encoding.hasByteScales() && encoding.getLayout() == ScaleLayout::Compact)
    operand.scales = buildConvert(name, operand.scales, ScaleLayout::Swizzled,
                                  operand.values);
  return operand;
}

/// Rows of each expert times that expert's rhs, plus its bias where there are
/// biases: C x N, chained.
Value LayerBuilder::buildRowProducts(const Twine &name, ProductOperand lhs,
                                     ArrayRef<ProductOperand> rhs,
                                     ArrayRef<Value> biases,
                                     Value hostOffsets) {
  auto type = RankedTensorType::get({getNumRows(lhs), getNumRows(rhs.front())},
                                    b.getBF16Type());
  std::string prefix = name.str();
  Value result = tensor::EmptyOp::create(b, loc(prefix), type, ValueRange());
  for (auto [e, weight] : llvm::enumerate(rhs)) {
    ProductOperand operand =
        buildSwizzled(prefix + "/swizzle[" + Twine(e) + "]", weight);
    result = GemmOp::create(
        b, loc(prefix + "[" + Twine(e) + "]"), type, lhs.values, lhs.scales,
        lhs.amax, operand.values, operand.scales, operand.amax,
        biases.empty() ? Value() : biases[e], hostOffsets, result,
        b.getI64IntegerAttr(e), RaggedAttr::get(b.getContext(), Ragged::Rows),
        lhs.transpose, operand.transpose, /*accumulate=*/false);
  }
  return result;
}

/// Adds to each accumulator the product over the rows of its expert.
void LayerBuilder::buildWeightGradients(const Twine &name, ProductOperand lhs,
                                        ProductOperand rhs, Value hostOffsets,
                                        MutableArrayRef<Value> accumulators) {
  std::string prefix = name.str();
  for (auto [e, sum] : llvm::enumerate(accumulators))
    sum = GemmOp::create(b, loc(prefix + "[" + Twine(e) + "]"), sum.getType(),
                         lhs.values, lhs.scales, lhs.amax, rhs.values,
                         rhs.scales, rhs.amax, /*bias=*/Value(), hostOffsets,
                         sum, b.getI64IntegerAttr(e),
                         RaggedAttr::get(b.getContext(), Ragged::Reduction),
                         lhs.transpose, rhs.transpose, /*accumulate=*/true);
}

//===----------------------------------------------------------------------===//
// The layer
//===----------------------------------------------------------------------===//

Value LayerBuilder::buildForward(GroupedLinear &linear, Value input,
                                 Value counts) {
  // The host launches the experts one by one, and so must know their rows.
  Value offsets = buildOffsets(counts, config.getAlignment());
  RankedTensorType type = typeOf(offsets);
  linear.hostOffsets = ToHostOp::create(
      b, loc(linear.name + "/to_host"),
      RankedTensorType::get(type.getShape(), type.getElementType(),
                            HostAttr::get(b.getContext())),
      offsets);
  linear.input =
      buildExpertCasts(config.recipe.activation,
                       (linear.name + "/quantize " + linear.inputName).str(),
                       input, linear.hostOffsets, linear.inputState);
  if (linear.castWeights.empty())
    for (size_t e = 0; e < linear.weights.size(); ++e)
      linear.castWeights.push_back(buildWeightCast(linear, e));
  SmallVector<ProductOperand> weights;
  for (const Quantized &weight : linear.castWeights)
    weights.push_back(weight.getRowwise());
  return buildRowProducts(linear.name + "/fprop", linear.input.getRowwise(),
                          weights, linear.biases, linear.hostOffsets);
}

Value LayerBuilder::buildBackward(GroupedLinear &linear, Value gradient) {
  Quantized dy =
      buildExpertCasts(config.recipe.gradient,
                       (linear.name + "/quantize " + linear.gradientName).str(),
                       gradient, linear.hostOffsets, linear.gradientState);
  SmallVector<ProductOperand> weights;
  for (const Quantized &weight : linear.castWeights)
    weights.push_back(weight.getColumnwise());
  Value dx = buildRowProducts(linear.name + "/dgrad", dy.getRowwise(), weights,
                              /*biases=*/{}, linear.hostOffsets);
  buildWeightGradients(linear.name + "/wgrad", dy.getColumnwise(),
                       linear.input.getColumnwise(), linear.hostOffsets,
                       linear.weightGradients);
  if (!linear.biases.empty()) {
    // The sum of the rows is their product with ones; of what is not cast.
    auto type = RankedTensorType::get({1, typeOf(gradient).getDimSize(0)},
                                      b.getBF16Type());
    Value ones = arith::ConstantOp::create(
        b, loc(linear.name + "/ones"),
        DenseElementsAttr::get(type, b.getFloatAttr(b.getBF16Type(), 1)));
    buildWeightGradients(linear.name + "/bgrad", {ones, {}},
                         {gradient, {}, /*transpose=*/true}, linear.hostOffsets,
                         linear.biasGradients);
  }
  return dx;
}

Value LayerBuilder::buildForward(GroupedLinear &fc1, GroupedLinear &fc2,
                                 Value tokens, Value indices, Value probs,
                                 Saved &saved) {
  auto [routing, rows] = buildRouting(tokens, indices, probs);
  saved.routing = routing;
  saved.probs = rows.probs;
  saved.hidden = buildForward(fc1, rows.rows, routing.counts);
  RankedTensorType type = typeOf(saved.hidden);
  Value offsets = buildOffsets(routing.counts, config.getAlignment());
  Value act =
      SwigluOp::create(b, loc("swiglu"),
                       type.clone({type.getDimSize(0), type.getDimSize(1) / 2}),
                       saved.hidden, saved.probs, offsets);
  Value result = buildForward(fc2, act, routing.counts);
  return buildReturn(routing, {result, Value()}).rows;
}

ExpertRows LayerBuilder::buildBackward(GroupedLinear &fc1, GroupedLinear &fc2,
                                       Value gradient, const Saved &saved) {
  Value dy = buildRouteGradient(saved.routing, gradient);
  Value dact = buildBackward(fc2, dy);
  Value offsets = buildOffsets(saved.routing.counts, config.getAlignment());
  auto swiglu = SwigluBackwardOp::create(
      b, loc("swiglu_backward"), saved.hidden.getType(), saved.probs.getType(),
      dact, saved.hidden, saved.probs, offsets);
  Value dx = buildBackward(fc1, swiglu.getGradInput());
  return buildReturn(saved.routing, {dx, swiglu.getGradProbs()});
}
