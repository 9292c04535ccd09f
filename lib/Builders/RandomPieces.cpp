//===- RandomPieces.cpp - what a random program has beside layers ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RandomPieces.h"
#include "Types.h"

using namespace mlir;
using namespace mlir::te;

//===----------------------------------------------------------------------===//
// Casts and products of their own
//===----------------------------------------------------------------------===//

RankedTensorType RandomPieces::scalesType(RankedTensorType values, int64_t rows,
                                          int64_t cols, ScaleLayout layout) {
  if (rows == 0)
    layout = ScaleLayout::Tensor;
  return getScalesType(
      ScalesAttr::get(step.b.getContext(), rows, cols, layout, /*groups=*/0),
      values, step.b.getF32Type());
}

std::pair<Value, Value> RandomPieces::quantize(const Twine &name, Value input,
                                               int64_t rows, int64_t cols,
                                               ScaleLayout layout) {
  RankedTensorType values =
      typeOf(input).clone(Float8E4M3FNType::get(step.b.getContext()));
  bool pow2 = choices.chance(50);
  float epsilon = choices.pick({0.0f, 0.0f, 0.5f});
  auto op = QuantizeOp::create(
      step.b, step.loc(name), values, scalesType(values, rows, cols, layout),
      Type(), Type(), Type(), Type(), Type(), input, /*scale=*/Value(),
      /*amax=*/Value(), /*noop=*/Value(), /*offsets=*/Value(), /*rng=*/Value(),
      /*outs=*/ValueRange(), /*member=*/IntegerAttr(),
      pow2 ? step.b.getUnitAttr() : UnitAttr(), /*square_blocks=*/UnitAttr(),
      /*hadamard=*/UnitAttr(), step.b.getI64IntegerAttr(0),
      step.b.getF32FloatAttr(epsilon), /*variant=*/StringAttr());
  return {op.getValues(), op.getScales()};
}

/// A packed parameter, cast whole, a member of which is read.
void RandomPieces::buildPackedCast() {
  int64_t members = choices.range(1, 3);
  int64_t rows = 16 * choices.range(1, 9);
  int64_t cols = 16 * choices.range(1, 9);
  int64_t block = choices.pick({0, 1, 128});
  ScaleLayout layout =
      choices.pick({ScaleLayout::Compact, ScaleLayout::GemmReady});
  int64_t index = choices.range(0, members - 1);
  Value input = step.addArgument(
      "packed",
      RankedTensorType::get({members, rows, cols}, step.b.getBF16Type()),
      step.init(InitKind::Normal));
  auto [values, scales] =
      quantize("packed", input, block, block ? 128 : 0, layout);
  Value one = MemberOp::create(step.b, step.loc("packed"), values, index);
  Value itsScales = MemberOp::create(step.b, step.loc("packed"), scales, index);
  step.addResult("packed.member",
                 DequantizeOp::create(step.b, step.loc("packed"),
                                      typeOf(one).clone(step.b.getBF16Type()),
                                      one, itsScales, /*tensor_amax=*/Value(),
                                      /*offsets=*/Value()));
}

/// A product outside of any group, its operand cast compact and then converted.
void RandomPieces::buildDenseProduct() {
  int64_t m = choices.range(1, 20), n = 16 * choices.range(1, 9),
          k = 16 * choices.range(1, 9);
  Type bf16 = step.b.getBF16Type();
  Value x = step.addArgument("dense.x", RankedTensorType::get({m, k}, bf16),
                             step.init(InitKind::Normal));
  Value w = step.addArgument("dense.w", RankedTensorType::get({n, k}, bf16),
                             step.init(InitKind::Normal));
  Value bias;
  if (choices.chance(50))
    bias = step.addArgument("dense.bias", RankedTensorType::get({n}, bf16),
                            step.init(InitKind::Normal));
  bool compact = choices.chance(50);
  auto [values, scales] =
      quantize("dense.x", x, 1, 128,
               compact ? ScaleLayout::Compact : ScaleLayout::GemmReady);
  auto [weight, weightScales] =
      quantize("dense.w", w, 128, 128, ScaleLayout::GemmReady);
  if (choices.chance(30))
    step.addResult("dense.reread",
                   DequantizeOp::create(step.b, step.loc("dense"),
                                        typeOf(values).clone(bf16), values,
                                        scales, /*tensor_amax=*/Value(),
                                        /*offsets=*/Value()));
  if (compact) {
    if (choices.chance(50))
      step.addResult("dense.scales", scales);
    scales = ConvertScalesOp::create(
        step.b, step.loc("dense"),
        scalesType(typeOf(values), 1, 128, ScaleLayout::GemmReady), scales,
        typeOf(values).getShape());
  }
  step.addResult(
      "dense.y",
      GemmOp::create(step.b, step.loc("dense"),
                     RankedTensorType::get({m, n}, bf16), values, scales,
                     /*lhs_amax=*/Value(), weight, weightScales,
                     /*rhs_amax=*/Value(), bias, /*offsets=*/Value(),
                     /*outs=*/Value(), IntegerAttr(), RaggedAttr(),
                     /*transpose_lhs=*/false, /*transpose_rhs=*/false,
                     /*accumulate=*/false));
}

/// A transpose of a transpose, one of which is read twice.
void RandomPieces::buildTransposes() {
  int64_t rows = choices.range(1, 30), cols = choices.range(1, 30);
  auto type = RankedTensorType::get({rows, cols}, step.b.getBF16Type());
  Value x = step.addArgument("transposed.x", type, step.init(InitKind::Normal));
  Value once = TransposeOp::create(step.b, step.loc("transposed"),
                                   type.clone({cols, rows}), x);
  Value twice = TransposeOp::create(step.b, step.loc("transposed"), type, once);
  step.addResult("transposed.once", once);
  step.addResult("transposed.twice", twice);
}

void RandomPieces::build() {
  if (choices.chance(25))
    buildPackedCast();
  if (choices.chance(25))
    buildDenseProduct();
  if (choices.chance(10))
    buildTransposes();
}

//===----------------------------------------------------------------------===//
// Variations of what was built
//===----------------------------------------------------------------------===//

/// The cast writes another layout, and a conversion makes of it what was there.
void RandomPieces::varyLayout(QuantizeOp op) {
  for (auto [values, scales] : {std::pair(op.getValues(), op.getScales()),
                                std::pair(op.getValuesT(), op.getScalesT())}) {
    if (!scales)
      continue;
    ScalesAttr encoding = getScalesEncoding(scales.getType());
    if (encoding.getLayout() != ScaleLayout::GemmReady ||
        encoding.getGroups() != 0 || !choices.chance(60))
      continue;
    Type type = scales.getType();
    scales.setType(getScalesType(encoding.withLayout(ScaleLayout::Compact),
                                 typeOf(values),
                                 typeOf(scales).getElementType()));
    OpBuilder b(op->getContext());
    b.setInsertionPointAfter(op);
    auto convert = ConvertScalesOp::create(
        b, op.getLoc(), type, scales, typeOf(values).getShape().take_back(2));
    scales.replaceAllUsesExcept(convert.getOutput(), convert);
  }
}

/// Exchanges members of chained products: each writes rows of its own, so that
/// their order does not matter.
void RandomPieces::varyOrder(Block &block) {
  SmallVector<GemmOp> products;
  for (GemmOp op : block.getOps<GemmOp>())
    if (op.getRagged() == Ragged::Rows)
      products.push_back(op);
  for (GemmOp op : products) {
    auto previous = op.getOuts().getDefiningOp<GemmOp>();
    if (!previous || !choices.chance(30))
      continue;
    // What a product reads must be there at the earlier one.
    auto isBefore = [&](Value value) {
      Operation *def = value ? value.getDefiningOp() : nullptr;
      return !def || def->getBlock() != &block ||
             def->isBeforeInBlock(previous);
    };
    if (!isBefore(op.getRhs()) || !isBefore(op.getRhsScales()) ||
        !isBefore(op.getRhsAmax()))
      continue;
    auto exchange = [](OpOperand &a, OpOperand &b) {
      Value value = a.get();
      a.set(b.get());
      b.set(value);
    };
    exchange(op.getRhsMutable(), previous.getRhsMutable());
    if (op.getRhsScales())
      exchange(op.getRhsScalesMutable()[0], previous.getRhsScalesMutable()[0]);
    if (op.getRhsAmax())
      exchange(op.getRhsAmaxMutable()[0], previous.getRhsAmaxMutable()[0]);
    IntegerAttr member = op.getMemberAttr();
    op.setMemberAttr(previous.getMemberAttr());
    previous.setMemberAttr(member);
  }
}

void RandomPieces::vary(ModuleOp module) {
  SmallVector<QuantizeOp> casts;
  SmallVector<Block *> blocks;
  module.walk([&](Operation *op) {
    if (auto cast = dyn_cast<QuantizeOp>(op); cast && cast.getOuts().empty())
      casts.push_back(cast);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        blocks.push_back(&block);
  });
  bool layouts = choices.chance(30), order = choices.chance(30);
  for (QuantizeOp cast : casts)
    if (layouts && choices.chance(50))
      varyLayout(cast);
  for (Block *block : blocks)
    if (order)
      varyOrder(*block);
}
