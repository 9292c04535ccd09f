//===- TERuntimeOps.cpp - buffers and views -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TERuntime/IR/TERuntime.h"

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::te_rt;

#define GET_OP_CLASSES
#include "te/Dialect/TERuntime/IR/TERuntimeOps.cpp.inc"

LogicalResult AllocOp::verify() {
  if (getOffset() && int64_t(*getOffset()) < 0)
    return emitOpError("the offset must be at least 0, but got ")
           << int64_t(*getOffset());
  return success();
}

LogicalResult
WorkspaceOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto global = symbolTable.lookupNearestSymbolFrom<ml_program::GlobalOp>(
      *this, getGlobalAttr());
  if (!global)
    return emitOpError("must name an ml_program.global, but got ")
           << getGlobalAttr();
  if (global.getType() != getBuffer().getType().getTensor())
    return emitOpError("must be of ")
           << global.getType() << ", the type of " << getGlobalAttr()
           << ", but got " << getBuffer().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// ConstantOp
//===----------------------------------------------------------------------===//

void ConstantOp::build(OpBuilder &, OperationState &state,
                       ElementsAttr value) {
  state.getOrAddProperties<Properties>().value = value;
  state.addTypes(BufferType::get(cast<RankedTensorType>(value.getType())));
}

ParseResult ConstantOp::parse(OpAsmParser &parser, OperationState &result) {
  SMLoc loc = parser.getCurrentLocation();
  ElementsAttr value;
  if (parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseAttribute(value))
    return failure();
  auto tensor = dyn_cast<RankedTensorType>(value.getType());
  if (!tensor)
    return parser.emitError(loc, "the value must be a tensor, but got ")
           << value.getType();
  result.getOrAddProperties<Properties>().value = value;
  result.addTypes(BufferType::get(tensor));
  return success();
}

void ConstantOp::print(OpAsmPrinter &printer) {
  printer.printOptionalAttrDict((*this)->getAttrs(), {"value"});
  printer << " " << getValue();
}

LogicalResult ConstantOp::verify() {
  if (getValue().getType() != getBuffer().getType().getTensor())
    return emitOpError("the value must be a ")
           << getBuffer().getType().getTensor() << ", but got "
           << getValue().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// MemberOp
//===----------------------------------------------------------------------===//

void MemberOp::build(OpBuilder &builder, OperationState &state, Value packed,
                     int64_t index) {
  build(builder, state, packed, Value(), builder.getI64IntegerAttr(index));
}

void MemberOp::build(OpBuilder &builder, OperationState &state, Value packed,
                     Value index) {
  build(builder, state, packed, index, IntegerAttr());
}

LogicalResult
MemberOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                           Adaptor adaptor, SmallVectorImpl<Type> &types) {
  auto packed = dyn_cast<BufferType>(adaptor.getPacked().getType());
  if (!packed || packed.getTensor().getRank() < 1)
    return emitOptionalError(
        location, "packed must be a buffer with a first dimension, but got ",
        adaptor.getPacked().getType());
  types.push_back(packed.getMemberType());
  return success();
}

ParseResult MemberOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand packed, dynamic;
  Type type;
  if (parser.parseOperand(packed) || parser.parseLSquare())
    return failure();
  OptionalParseResult parsed = parser.parseOptionalOperand(dynamic);
  if (parsed.has_value()) {
    if (failed(*parsed))
      return failure();
  } else {
    int64_t index;
    if (parser.parseInteger(index))
      return failure();
    result.getOrAddProperties<Properties>().index =
        parser.getBuilder().getI64IntegerAttr(index);
  }
  if (parser.parseRSquare() || parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperand(packed, type, result.operands))
    return failure();
  if (parsed.has_value() &&
      parser.resolveOperand(dynamic, parser.getBuilder().getIndexType(),
                            result.operands))
    return failure();
  auto buffer = dyn_cast<BufferType>(type);
  if (!buffer || buffer.getTensor().getRank() < 1)
    return parser.emitError(parser.getNameLoc(),
                            "packed must be a buffer with a first dimension, "
                            "but got ")
           << type;
  result.addTypes(buffer.getMemberType());
  return success();
}

void MemberOp::print(OpAsmPrinter &printer) {
  printer << " " << getPacked() << "[";
  if (getDynamicIndex())
    printer << getDynamicIndex();
  else
    printer << int64_t(*getIndex());
  printer << "]";
  printer.printOptionalAttrDict((*this)->getAttrs(), {"index"});
  printer << " : " << getPacked().getType();
}

/// The loop whose counter `index` is, if its bounds and step are constants.
static scf::ForOp getCountingLoop(Value index) {
  auto argument = dyn_cast<BlockArgument>(index);
  auto loop = argument ? dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp())
                       : scf::ForOp();
  if (!loop || loop.getInductionVar() != index ||
      !getConstantIntValue(loop.getLowerBound()) ||
      !loop.getConstantStep() || !loop.getStaticTripCount())
    return {};
  return loop;
}

std::pair<int64_t, int64_t> MemberOp::getStartAndStep() {
  if (getIndex())
    return {*getIndex(), 0};
  scf::ForOp loop = getCountingLoop(getDynamicIndex());
  return {*getConstantIntValue(loop.getLowerBound()),
          loop.getConstantStep()->getSExtValue()};
}

LogicalResult MemberOp::verify() {
  if (bool(getDynamicIndex()) == getIndex().has_value())
    return emitOpError("the index must be either a constant or a loop's "
                       "counter, but got ")
           << (getIndex() ? "both" : "neither");
  int64_t extent = getPacked().getType().getTensor().getDimSize(0);
  int64_t last = 0, trips = 1;
  if (getDynamicIndex()) {
    scf::ForOp loop = getCountingLoop(getDynamicIndex());
    if (!loop)
      return emitOpError("the index must be a constant or the counter of an "
                         "scf.for with constant bounds and step");
    trips = loop.getStaticTripCount()->getSExtValue();
  }
  auto [first, step] = getStartAndStep();
  last = first + step * (trips - 1);
  if (trips > 0 && (first < 0 || last >= extent))
    return emitOpError("the index must be in [0, ")
           << extent << "), but got " << (first < 0 ? first : last);
  return success();
}
