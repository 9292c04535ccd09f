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
  if (config.getAlignment() == 1)
    return rows;
  int64_t capacity = config.getCapacity();
  Value from = buildOffsets(counts, 1);
  Value to = buildOffsets(counts, config.getAlignment());
  auto pad = PadOp::create(b, loc("pad"), withRows(rows.rows, capacity),
                           rows.probs ? withRows(rows.probs, capacity) : Type(),
                           rows.rows, rows.probs, from, to);
  return {pad.getOutput(), pad.getOutProbs()};
}

LayerBuilder::SentRows LayerBuilder::buildSend(StringRef suffix, Dispatch how,
                                               const Routing &routing,
                                               ExpertRows rows) {
  SentRows sent{rows.rows, Value(), rows.probs};
  if (how == Dispatch::None)
    return sent;
  auto name = [&](StringRef stage) { return (stage + suffix).str(); };
  SmallVector<Value> inputs = {rows.rows};
  if (how == Dispatch::FP8) {
    const CastScheme &scheme = getWireScheme();
    ScalingState none;
    Quantized cast = buildCast(
        loc(name("dispatch/quantize")), scheme, rows.rows,
        getCastTypes(scheme, typeOf(rows.rows), /*columnwise=*/false, 0), {},
        Value(), -1, none);
    inputs = {cast.values, buildConvert(name("dispatch/convert 1"), cast.scales,
                                        ScaleLayout::Compact, cast.values)};
  }
  if (rows.probs)
    inputs.push_back(rows.probs);
  SmallVector<Value> got =
      exchange<DispatchOp>(b, loc(name("dispatch")), routing.handle, inputs,
                           config.getReceivedTokens());
  sent.rows = got.front();
  if (rows.probs)
    sent.probs = got.back();
  if (how != Dispatch::FP8)
    return sent;
  // The tensor's class declares its scales ready for products, and permute
  // moves rows of them.
  Value ready = buildConvert(name("dispatch/convert 3"), got[1],
                             ScaleLayout::GemmReady, sent.rows);
  sent.scales = buildConvert(name("permute/convert 4a"), ready,
                             ScaleLayout::Compact, sent.rows);
  return sent;
}

ExpertRows LayerBuilder::buildPermute(StringRef suffix, StringRef reader,
                                      const Routing &routing, SentRows sent) {
  auto name = [&](StringRef stage) { return (stage + suffix).str(); };
  int64_t capacity = config.getDenseCapacity();
  RankedTensorType type = withRows(sent.rows, capacity);
  Type scalesType, probsType;
  if (sent.scales)
    scalesType = getScalesType(getScalesEncoding(sent.scales.getType()), type,
                               b.getF32Type());
  if (sent.probs)
    probsType = RankedTensorType::get({capacity}, b.getF32Type());
  auto permute = PermuteOp::create(b, loc(name("permute")), type, scalesType,
                                   probsType, sent.rows, sent.scales,
                                   sent.probs, routing.rowMap,
                                   /*counts=*/Value(), /*offsets=*/Value());
  Value rows = permute.getOutput();
  if (sent.scales) {
    // What permute returns is ready for products again, and the grouped layer
    // takes no FP8.
    Value scales =
        buildConvert(name("permute/convert 4b"), permute.getOutScales(),
                     ScaleLayout::GemmReady, rows);
    scales = buildConvert(name((reader + "/convert 5").str()), scales,
                          ScaleLayout::Compact, rows);
    Value offsets = buildOffsets(routing.counts, 1);
    rows = buildDequantize(name((reader + "/dequantize").str()),
                           {rows, scales, {}, {}}, offsets);
  }
  return buildPad({rows, permute.getOutProbs()}, routing.counts);
}

std::pair<Routing, ExpertRows>
LayerBuilder::buildRouting(Value tokens, Value indices, Value probs) {
  int64_t experts = config.localExperts;
  Type i32 = b.getI32Type();
  Routing routing;
  if (config.dispatch != Dispatch::None) {
    auto map = DispatchMapOp::create(
        b, loc("dispatch/map"),
        RankedTensorType::get({config.tokens, config.ranks}, i32),
        RankedTensorType::get({config.getReceivedTokens(), config.topK}, i32),
        indices, config.ranks, experts);
    routing.handle = map.getHandle();
    indices = map.getRecvIndices();
  }
  SentRows sent = buildSend("", config.dispatch, routing, {tokens, probs});
  auto map = RoutingMapOp::create(b, loc("routing_map"), indices.getType(),
                                  RankedTensorType::get({experts}, i32),
                                  RankedTensorType::get({experts + 1}, i32),
                                  indices, 1, config.getDenseCapacity());
  routing.rowMap = map.getRowMap();
  routing.counts = map.getCounts();
  return {routing, buildPermute("", "fc1", routing, sent)};
}

Value LayerBuilder::buildRouteGradient(const Routing &routing, Value rows) {
  Dispatch how =
      routing.handle ? config.gradientDispatch : Dispatch::None;
  SentRows sent = buildSend(" dy", how, routing, {rows, Value()});
  return buildPermute(" dy", "fc2", routing, sent).rows;
}

ExpertRows LayerBuilder::buildReturn(const Routing &routing, ExpertRows rows) {
  if (config.getAlignment() != 1) {
    int64_t capacity = config.getDenseCapacity();
    Value from = buildOffsets(routing.counts, config.getAlignment());
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
