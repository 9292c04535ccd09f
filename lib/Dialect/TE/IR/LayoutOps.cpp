//===- LayoutOps.cpp - conversions that change no value -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

using namespace mlir;
using namespace mlir::te;

//===----------------------------------------------------------------------===//
// Assembly: types that follow from others, and indices
//===----------------------------------------------------------------------===//

static ParseResult
parseSameTypes(OpAsmParser &parser, SmallVectorImpl<Type> &types,
               ArrayRef<OpAsmParser::UnresolvedOperand> operands) {
  Type type;
  if (parser.parseType(type))
    return failure();
  types.append(operands.size(), type);
  return success();
}

static void printSameTypes(OpAsmPrinter &printer, Operation *, TypeRange types,
                           OperandRange) {
  printer << types.front();
}

static ParseResult parseSameType(OpAsmParser &parser, Type &type, Type &other) {
  if (parser.parseType(type))
    return failure();
  other = type;
  return success();
}

static void printSameType(OpAsmPrinter &printer, Operation *, Type type, Type) {
  printer << type;
}

static ParseResult
parseIndex(OpAsmParser &parser,
           std::optional<OpAsmParser::UnresolvedOperand> &dynamic,
           IntegerAttr &index) {
  OpAsmParser::UnresolvedOperand operand;
  OptionalParseResult parsed = parser.parseOptionalOperand(operand);
  if (parsed.has_value()) {
    dynamic = operand;
    return *parsed;
  }
  int64_t value;
  if (parser.parseInteger(value))
    return failure();
  index = parser.getBuilder().getI64IntegerAttr(value);
  return success();
}

static void printIndex(OpAsmPrinter &printer, Operation *, Value dynamic,
                       IntegerAttr index) {
  if (dynamic)
    printer << dynamic;
  else
    printer << index.getInt();
}

#define GET_OP_CLASSES
#include "te/Dialect/TE/IR/TEOps.cpp.inc"

//===----------------------------------------------------------------------===//
// ConvertScalesOp
//===----------------------------------------------------------------------===//

/// The layouts between which a conversion exists.
static bool isConvertible(ScalesAttr in, ScalesAttr out) {
  ScaleLayout from = in.getLayout(), to = out.getLayout();
  auto is = [&](ScaleLayout a, ScaleLayout b) {
    return (from == a && to == b) || (from == b && to == a);
  };
  if (from == to)
    return from != ScaleLayout::Tensor;
  if (is(ScaleLayout::Compact, ScaleLayout::GemmReady))
    return true;
  return is(ScaleLayout::Compact, ScaleLayout::Swizzled) && !in.getGroups();
}

LogicalResult ConvertScalesOp::verify() {
  RankedTensorType from = tensorType(getScales()), to = tensorType(getOutput());
  ScalesAttr in = getScalesEncoding(from), out = getScalesEncoding(to);
  if (!in || !out)
    return emitOpError("(C1) scales and output must carry #te.scales "
                       "encodings, but got ")
           << from << " and " << to;
  if (in.withLayout(out.getLayout()) != out)
    return emitOpError("(C1) output must have the block and groups of ")
           << in << ", but got " << out;
  if (!isConvertible(in, out))
    return emitOpError("(C2) layouts must be compact and gemm_ready, or "
                       "compact and swizzled without groups, but got ")
           << in << " and " << out;
  if (getDataShape().size() != 2)
    return emitOpError("(C3) of must have two extents, but got ")
           << getDataShape().size();
  SmallVector<int64_t> data(from.getShape().drop_back(2));
  data.append(getDataShape().begin(), getDataShape().end());
  if (failed(wantShape(*this, "C3", "scales", from, in.getScalesShape(data))))
    return failure();
  return wantType(*this, "C4", "output", to,
                  RankedTensorType::get(out.getScalesShape(data),
                                        from.getElementType(), out));
}

OpFoldResult ConvertScalesOp::fold(FoldAdaptor) {
  if (getScales().getType() == getOutput().getType())
    return getScales();
  if (auto source = getScales().getDefiningOp<ConvertScalesOp>())
    if (source.getScales().getType() == getOutput().getType() &&
        source.getDataShape() == getDataShape())
      return source.getScales();
  return {};
}

SmallVector<ScaleLayout> ConvertScalesOp::getOperandLayouts(OpOperand &operand,
                                                            TargetAttr) {
  return te::detail::convertibleLayouts(operand.get().getType());
}

SmallVector<ScaleLayout> ConvertScalesOp::getResultLayouts(OpResult result,
                                                           TargetAttr) {
  return te::detail::convertibleLayouts(result.getType());
}

OpCost ConvertScalesOp::getCost() {
  auto layout = getScalesEncoding(getOutput().getType()).getLayout();
  auto from = getScalesEncoding(getScales().getType()).getLayout();
  bool swizzle =
      layout == ScaleLayout::Swizzled || from == ScaleLayout::Swizzled;
  return getMemoryBoundCost(*this, swizzle ? CostClass::Swizzle
                                           : CostClass::ScaleConversion);
}

RuntimeCall ConvertScalesOp::getRuntimeCall() {
  Builder b(getContext());
  return {"convert_scales",
          {RuntimeSlot::in(getScales()), RuntimeSlot::out(getOutput())},
          {b.getI64IntegerAttr(getDataShape()[0]),
           b.getI64IntegerAttr(getDataShape()[1])}};
}

//===----------------------------------------------------------------------===//
// TransposeOp
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::verify() {
  RankedTensorType input = tensorType(getInput());
  if (failed(want(*this, "T1", "the rank of input",
                  input.getRank() == 2 || input.getRank() == 3, "2 or 3",
                  input.getRank())))
    return failure();
  SmallVector<int64_t> shape(input.getShape());
  std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return wantType(*this, "T2", "output", getOutput().getType(),
                  input.clone(shape));
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  if (auto source = getInput().getDefiningOp<TransposeOp>())
    return source.getInput();
  return {};
}

OpCost TransposeOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Transpose);
}

RuntimeCall TransposeOp::getRuntimeCall() {
  return {"transpose",
          {RuntimeSlot::in(getInput()), RuntimeSlot::out(getOutput())},
          {}};
}
