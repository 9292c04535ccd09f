//===- Routing.cpp - tokens to the rows of their experts, and back --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Types.h"
#include "te/Builders/LayerBuilder.h"

using namespace mlir;
using namespace mlir::te;

/// The type of `value` with another number of rows.
static RankedTensorType withRows(Value value, int64_t rows) {
  SmallVector<int64_t> shape(typeOf(value).getShape());
  shape[0] = rows;
  return typeOf(value).clone(shape);
}

/// A dispatch or combine of all inputs together, to results of `rows` rows.
template <typename OpTy>
static SmallVector<Value> exchange(OpBuilder &b, Location loc, Value handle,
                                   ArrayRef<Value> inputs, int64_t rows) {
  SmallVector<Type> types;
  for (Value input : inputs)
    types.push_back(withRows(input, rows));
  return OpTy::create(b, loc, types, handle, inputs).getOutputs();
}

Location LayerBuilder::loc(const Twine &name) {
  return NameLoc::get(b.getStringAttr(name));
}

Value LayerBuilder::buildConvert(const Twine &name, Value scales,
                                 ScaleLayout layout, Value data) {
  ScalesAttr encoding = getScalesEncoding(scales.getType());
  RankedTensorType type =
      getScalesType(encoding.withLayout(layout), typeOf(data),
                    typeOf(scales).getElementType());
  return ConvertScalesOp::create(b, loc(name), type, scales,
                                 typeOf(data).getShape());
}

Value LayerBuilder::buildOffsets(Value counts, int64_t alignment) {
  int64_t experts = typeOf(counts).getDimSize(0);
  return ComputeOffsetsOp::create(
      b, loc("offsets"), RankedTensorType::get({experts + 1}, b.getI32Type()),
      counts, alignment);
}

ExpertRows LayerBuilder::buildPad(ExpertRows rows, Value counts) {
  if (config.recipe.alignment == 1)
    return rows;
  int64_t capacity = config.getCapacity();
  Value from = buildOffsets(counts, 1);
  Value to = buildOffsets(counts, config.recipe.alignment);
  auto pad = PadOp::create(b, loc("pad"), withRows(rows.rows, capacity),
                           rows.probs ? withRows(rows.probs, capacity) : Type(),
                           rows.rows, rows.probs, from, to);
  return {pad.getOutput(), pad.getOutProbs()};
}

std::pair<Routing, ExpertRows>
LayerBuilder::buildRouting(Value tokens, Value indices, Value probs) {
  int64_t experts = config.localExperts, topK = config.topK;
  int64_t received = config.getReceivedTokens();
  int64_t capacity = config.getDenseCapacity();
  Type i32 = b.getI32Type();
  Routing routing;

  // Received rows: as they are, or cast, with compact scales.
  bool exchanges = config.dispatch != Dispatch::None;
  bool casts = config.dispatch == Dispatch::FP8;
  Value rows = tokens, scales;
  if (exchanges) {
    auto map = DispatchMapOp::create(
        b, loc("dispatch/map"),
        RankedTensorType::get({config.tokens, config.ranks}, i32),
        RankedTensorType::get({received, topK}, i32), indices, config.ranks,
        experts);
    routing.handle = map.getHandle();
    indices = map.getRecvIndices();
  }
  if (casts) {
    const CastScheme &scheme = getWireScheme();
    ScalingState none;
    Quantized sent =
        buildCast(loc("dispatch/quantize"), scheme, tokens,
                  getCastTypes(scheme, typeOf(tokens), /*columnwise=*/false, 0),
                  {}, Value(), -1, none);
    Value compact = buildConvert("dispatch/convert 1", sent.scales,
                                 ScaleLayout::Compact, sent.values);
    SmallVector<Value> got =
        exchange<DispatchOp>(b, loc("dispatch"), routing.handle,
                             {sent.values, compact, probs}, received);
    rows = got[0];
    probs = got[2];
    // The tensor's class declares its scales ready for products, and permute
    // moves rows of them.
    scales = buildConvert("dispatch/convert 3", got[1], ScaleLayout::GemmReady,
                          rows);
    scales =
        buildConvert("permute/convert 4a", scales, ScaleLayout::Compact, rows);
  } else if (exchanges) {
    SmallVector<Value> got = exchange<DispatchOp>(
        b, loc("dispatch"), routing.handle, {tokens, probs}, received);
    rows = got[0];
    probs = got[1];
  }

  auto map = RoutingMapOp::create(b, loc("routing_map"), indices.getType(),
                                  RankedTensorType::get({experts}, i32),
                                  RankedTensorType::get({experts + 1}, i32),
                                  indices, 1, capacity);
  routing.rowMap = map.getRowMap();
  routing.counts = map.getCounts();

  RankedTensorType permuted = withRows(rows, capacity);
  Type permutedScales = scales
                            ? getScalesType(getScalesEncoding(scales.getType()),
                                            permuted, b.getF32Type())
                            : Type();
  auto permute =
      PermuteOp::create(b, loc("permute"), permuted, permutedScales,
                        RankedTensorType::get({capacity}, b.getF32Type()), rows,
                        scales, probs, routing.rowMap, /*counts=*/Value(),
                        /*offsets=*/Value());
  rows = permute.getOutput();
  if (casts) {
    // What permute returns is ready for products again, and the grouped layer
    // takes no FP8.
    scales = buildConvert("permute/convert 4b", permute.getOutScales(),
                          ScaleLayout::GemmReady, rows);
    scales = buildConvert("fc1/convert 5", scales, ScaleLayout::Compact, rows);
    Value offsets = buildOffsets(routing.counts, 1);
    rows = buildDequantize("fc1/dequantize", {rows, scales, {}, {}}, offsets);
  }
  return {routing, buildPad({rows, permute.getOutProbs()}, routing.counts)};
}

Value LayerBuilder::buildRouteGradient(const Routing &routing, Value rows) {
  if (routing.handle)
    rows = exchange<DispatchOp>(b, loc("dispatch dy"), routing.handle, rows,
                                config.getReceivedTokens())[0];
  rows = PermuteOp::create(b, loc("permute dy"),
                           withRows(rows, config.getDenseCapacity()), Type(),
                           Type(), rows, Value(), Value(), routing.rowMap,
                           /*counts=*/Value(), /*offsets=*/Value())
             .getOutput();
  return buildPad({rows, Value()}, routing.counts).rows;
}

ExpertRows LayerBuilder::buildReturn(const Routing &routing, ExpertRows rows) {
  if (config.recipe.alignment != 1) {
    int64_t capacity = config.getDenseCapacity();
    Value from = buildOffsets(routing.counts, config.recipe.alignment);
    Value to = buildOffsets(routing.counts, 1);
    auto unpad =
        UnpadOp::create(b, loc("unpad"), withRows(rows.rows, capacity),
                        rows.probs ? withRows(rows.probs, capacity) : Type(),
                        rows.rows, rows.probs, from, to);
    rows = {unpad.getOutput(), unpad.getOutProbs()};
  }
  int64_t received = config.getReceivedTokens();
  Type probs = rows.probs
                   ? RankedTensorType::get({received, config.topK},
                                           typeOf(rows.probs).getElementType())
                   : Type();
  auto unpermute =
      UnpermuteOp::create(b, loc("unpermute"), withRows(rows.rows, received),
                          probs, rows.rows, rows.probs, routing.rowMap);
  rows = {unpermute.getOutput(), unpermute.getOutProbs()};
  if (!routing.handle)
    return rows;

  SmallVector<Value> inputs = {rows.rows};
  if (rows.probs)
    inputs.push_back(rows.probs);
  SmallVector<Value> sums = exchange<CombineOp>(
      b, loc("combine"), routing.handle, inputs, config.tokens);
  return {sums[0], rows.probs ? sums[1] : Value()};
}
