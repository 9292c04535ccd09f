//===- RoutingOps.cpp - which token goes where ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::te;
using Slot = RuntimeSlot;

//===----------------------------------------------------------------------===//
// Assembly: `%input scales(%s) probs(%p) rows(%map) {..} : (types) -> types`,
// where a result is there if the operand of its kind is
//===----------------------------------------------------------------------===//

namespace {
/// Operands behind one keyword: all of them are there or, if optional, none.
struct Keyword {
  StringRef name;
  bool optional = false;
  unsigned numOperands = 1;
};
} // namespace

/// Parses operands, each behind its keyword in parentheses. `present` tells
/// which are there.
static ParseResult parseKeywordOps(OpAsmParser &parser, OperationState &result,
                                   ArrayRef<Keyword> keywords,
                                   SmallVectorImpl<int32_t> &present) {
  SmallVector<OpAsmParser::UnresolvedOperand> operands(1);
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOperand(operands.back()))
    return failure();
  present.push_back(1);
  for (const Keyword &keyword : keywords) {
    if (keyword.optional && failed(parser.parseOptionalKeyword(keyword.name))) {
      present.append(keyword.numOperands, 0);
      continue;
    }
    if ((!keyword.optional && parser.parseKeyword(keyword.name)) ||
        parser.parseLParen())
      return failure();
    for (unsigned i = 0; i < keyword.numOperands; ++i)
      if ((i > 0 && parser.parseComma()) ||
          parser.parseOperand(operands.emplace_back()))
        return failure();
    if (parser.parseRParen())
      return failure();
    present.append(keyword.numOperands, 1);
  }
  FunctionType type;
  if (parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperands(operands, type.getInputs(), loc, result.operands))
    return failure();
  result.addTypes(type.getResults());
  return success();
}

/// Each keyword with its operands, null where they are absent.
using KeywordValues = std::pair<StringRef, SmallVector<Value, 2>>;

static void printKeywordOps(OpAsmPrinter &printer, Operation *op, Value input,
                            ArrayRef<KeywordValues> operands) {
  printer << " " << input;
  for (const auto &[keyword, values] : operands)
    if (values.front())
      printer << " " << keyword << "(" << values << ")";
  printer.printOptionalAttrDict(op->getAttrs(),
                                {"operandSegmentSizes", "resultSegmentSizes"});
  printer << " : ";
  printer.printFunctionalType(op);
}

/// Operand and result segments of an op whose results are `output` and then one
/// for each optional operand that is there.
template <typename OpTy>
static ParseResult setSegments(OpAsmParser &parser, OperationState &result,
                               ArrayRef<int32_t> operands,
                               ArrayRef<int32_t> results, SMLoc loc) {
  int64_t wanted = 0;
  for (int32_t size : results)
    wanted += size;
  if (int64_t(result.types.size()) != wanted)
    return parser.emitError(loc, "expected ")
           << wanted
           << " results, as many as follow from the operands, but got "
           << result.types.size();
  if constexpr (OpTy::template hasTrait<OpTrait::AttrSizedResultSegments>()) {
    auto &properties = result.getOrAddProperties<typename OpTy::Properties>();
    llvm::copy(operands, properties.operandSegmentSizes.begin());
    llvm::copy(results, properties.resultSegmentSizes.begin());
  }
  return success();
}

/// Rank 2, and the width and element type of `input`.
static LogicalResult verifyRows(Operation *op, StringRef label, Value input,
                                Value output) {
  RankedTensorType in = tensorType(input), out = tensorType(output);
  if (in.getRank() != 2 || out.getRank() != 2 ||
      in.getDimSize(1) != out.getDimSize(1) ||
      in.getElementType() != out.getElementType())
    return op->emitOpError()
           << "(" << label << ") output must have rank 2 and the width and "
           << "element type of " << in << ", but got " << out;
  return success();
}


//===----------------------------------------------------------------------===//
// RoutingMapOp, ComputeOffsetsOp, ToHostOp
//===----------------------------------------------------------------------===//

LogicalResult RoutingMapOp::verify() {
  if (!isMatrix(getIndices()))
    return emitOpError("(R1) indices must have rank 2, but got ")
           << getIndices().getType();
  if (failed(wantType(*this, "R1", "row_map", getRowMap().getType(),
                      getIndices().getType())))
    return failure();
  if (!isVector(getCounts()) || tensorType(getCounts()).getDimSize(0) < 1)
    return emitOpError("(R2) counts must have one value for each of at least "
                       "one expert, but got ")
           << getCounts().getType();
  if (failed(wantShape(*this, "R2", "offsets", tensorType(getOffsets()),
                       {tensorType(getCounts()).getDimSize(0) + 1})) ||
      failed(want(*this, "R3", "alignment", int64_t(getAlignment()) > 0,
                  "above 0", int64_t(getAlignment()))))
    return failure();
  return want(*this, "R3", "capacity", int64_t(getCapacity()) > 0, "above 0",
              int64_t(getCapacity()));
}

int64_t RoutingMapOp::getMostRows(int64_t alignment) {
  int64_t pairs = tensorType(getIndices()).getNumElements();
  int64_t experts = tensorType(getCounts()).getDimSize(0);
  int64_t most = pairs + std::min(experts, pairs) * (alignment - 1);
  return most - most % alignment;
}

OpCost RoutingMapOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::RoutingMap);
}

RuntimeCall RoutingMapOp::getRuntimeCall() {
  Builder b(getContext());
  return {"routing_map",
          {Slot::in(getIndices()), Slot::out(getRowMap()),
           Slot::out(getCounts()), Slot::out(getOffsets())},
          {b.getI64IntegerAttr(getAlignment()),
           b.getI64IntegerAttr(getCapacity())}};
}

LogicalResult ComputeOffsetsOp::verify() {
  if (!isVector(getCounts()))
    return emitOpError("(O1) counts must have rank 1, but got ")
           << getCounts().getType();
  if (failed(wantShape(*this, "O1", "offsets", tensorType(getOffsets()),
                       {tensorType(getCounts()).getDimSize(0) + 1})))
    return failure();
  return want(*this, "O2", "alignment", int64_t(getAlignment()) > 0, "above 0",
              int64_t(getAlignment()));
}

OpFoldResult ComputeOffsetsOp::fold(FoldAdaptor adaptor) {
  auto counts = dyn_cast_or_null<DenseIntElementsAttr>(adaptor.getCounts());
  if (!counts)
    return {};
  int64_t alignment = getAlignment(), next = 0;
  SmallVector<int32_t> offsets = {0};
  for (const APInt &count : counts.getValues<APInt>()) {
    // What is no count, or does not fit, is left to the runtime to refuse.
    if (count.isNegative())
      return {};
    next += llvm::alignTo(count.getZExtValue(), alignment);
    if (next > std::numeric_limits<int32_t>::max())
      return {};
    offsets.push_back(next);
  }
  return DenseIntElementsAttr::get(getType(), offsets);
}

OpCost ComputeOffsetsOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Offsets);
}

RuntimeCall ComputeOffsetsOp::getRuntimeCall() {
  Builder b(getContext());
  return {"compute_offsets",
          {Slot::in(getCounts()), Slot::out(getOffsets())},
          {b.getI64IntegerAttr(getAlignment())}};
}

LogicalResult ToHostOp::verify() {
  RankedTensorType offsets = tensorType(getOffsets());
  if (isOnHost(offsets))
    return emitOpError("(H1) offsets must be on the device, but got ")
           << offsets;
  return wantType(*this, "H2", "output", getOutput().getType(),
                  RankedTensorType::get(offsets.getShape(),
                                        offsets.getElementType(),
                                        HostAttr::get(getContext())));
}

Value te::getDeviceOffsets(Value hostOffsets) {
  auto read = hostOffsets.getDefiningOp<ToHostOp>();
  return read ? read.getOffsets() : Value();
}

OpCost ToHostOp::getCost() {
  OpCost cost = getMemoryBoundCost(*this, CostClass::Offsets);
  cost.launches = 0;
  cost.hostSyncs = 1;
  return cost;
}

RuntimeCall ToHostOp::getRuntimeCall() {
  return {"to_host", {Slot::in(getOffsets()), Slot::out(getOutput())}, {}};
}

//===----------------------------------------------------------------------===//
// PermuteOp
//===----------------------------------------------------------------------===//

ParseResult PermuteOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<int32_t> present;
  SMLoc loc = parser.getCurrentLocation();
  if (parseKeywordOps(
          parser, result,
          {{"scales", true}, {"probs", true}, {"rows"}, {"pads", true, 2}},
          present))
    return failure();
  return setSegments<PermuteOp>(parser, result, present,
                                {1, present[1], present[2]}, loc);
}

void PermuteOp::print(OpAsmPrinter &printer) {
  printKeywordOps(printer, *this, getInput(),
                  {{"scales", {getScales()}},
                   {"probs", {getProbs()}},
                   {"rows", {getRowMap()}},
                   {"pads", {getCounts(), getOffsets()}}});
}

LogicalResult PermuteOp::verify() {
  if (failed(verifyRows(*this, "V2", getInput(), getOutput())))
    return failure();
  RankedTensorType input = tensorType(getInput()),
                   output = tensorType(getOutput());
  RankedTensorType map = tensorType(getRowMap());
  if (map.getRank() != 2 || map.getDimSize(0) != input.getDimSize(0))
    return emitOpError("(V1) row_map must have rank 2 and the ")
           << input.getDimSize(0) << " rows of input, but got " << map;
  if (bool(getScales()) != bool(getOutScales()))
    return emitOpError("(V3) scales and out_scales must come together, but "
                       "got one of them alone");
  if (getScales()) {
    if (failed(wantScales(*this, "V3", "V3", "scales", tensorType(getScales()),
                          input)) ||
        failed(wantScales(*this, "V3", "V3", "out_scales",
                          tensorType(getOutScales()), output)))
      return failure();
    ScalesAttr in = getScalesEncoding(getScales().getType());
    ScalesAttr out = getScalesEncoding(getOutScales().getType());
    if (in.getRows() != 1 || in.withLayout(out.getLayout()) != out)
      return emitOpError("(V3) scales and out_scales must have one block one "
                         "row high, but got ")
             << in << " and " << out;
  }
  if (failed(verifyProbs(*this, "V4", getProbs(), map.getShape(), getOutProbs(),
                         {output.getDimSize(0)})))
    return failure();
  if (bool(getCounts()) != bool(getOffsets()))
    return emitOpError("(V5) counts and offsets must come together, but got ")
           << (getCounts() ? "counts" : "offsets") << " alone";
  if (!getCounts())
    return success();
  if (!isVector(getCounts()) || tensorType(getCounts()).getDimSize(0) < 1)
    return emitOpError("(V5) counts must have one value for each of at least "
                       "one expert, but got ")
           << getCounts().getType();
  return wantShape(*this, "V5", "offsets", tensorType(getOffsets()),
                   {tensorType(getCounts()).getDimSize(0) + 1});
}

SmallVector<ScaleLayout> PermuteOp::getOperandLayouts(OpOperand &operand,
                                                      TargetAttr) {
  if (operand.get().getType().isInteger() ||
      !getScalesEncoding(operand.get().getType()))
    return {};
  if (!tensorType(operand.get()).getElementType().isF32())
    return {ScaleLayout::Compact};
  return {ScaleLayout::Compact, ScaleLayout::GemmReady};
}

SmallVector<ScaleLayout> PermuteOp::getResultLayouts(OpResult result,
                                                     TargetAttr) {
  if (!getScalesEncoding(result.getType()))
    return {};
  if (!tensorType(result).getElementType().isF32())
    return {ScaleLayout::Compact};
  return {ScaleLayout::Compact, ScaleLayout::GemmReady};
}

Value PermuteOp::getScaledData(Value scales) {
  return scales == getOutScales() ? getOutput() : getInput();
}

OpCost PermuteOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Permute);
}

RuntimeCall PermuteOp::getRuntimeCall() {
  return {"permute",
          {Slot::in(getInput()), Slot::in(getScales()), Slot::in(getProbs()),
           Slot::in(getRowMap()), Slot::in(getCounts()), Slot::in(getOffsets()),
           Slot::out(getOutput()), Slot::out(getOutScales()),
           Slot::out(getOutProbs())},
          {}};
}

//===----------------------------------------------------------------------===//
// UnpermuteOp
//===----------------------------------------------------------------------===//

ParseResult UnpermuteOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<int32_t> present;
  SMLoc loc = parser.getCurrentLocation();
  if (parseKeywordOps(parser, result, {{"probs", true}, {"rows"}}, present))
    return failure();
  return setSegments<UnpermuteOp>(parser, result, present, {1, present[1]},
                                  loc);
}

void UnpermuteOp::print(OpAsmPrinter &printer) {
  printKeywordOps(printer, *this, getInput(),
                  {{"probs", {getProbs()}}, {"rows", {getRowMap()}}});
}

LogicalResult UnpermuteOp::verify() {
  if (failed(verifyRows(*this, "N1", getInput(), getOutput())))
    return failure();
  RankedTensorType map = tensorType(getRowMap());
  if (map.getRank() != 2 ||
      map.getDimSize(0) != tensorType(getOutput()).getDimSize(0))
    return emitOpError("(N1) row_map must have rank 2 and the ")
           << tensorType(getOutput()).getDimSize(0)
           << " rows of output, but got " << map;
  return verifyProbs(*this, "N2", getProbs(),
                     {tensorType(getInput()).getDimSize(0)}, getOutProbs(),
                     map.getShape());
}

OpCost UnpermuteOp::getCost() {
  return getMemoryBoundCost(*this, CostClass::Permute);
}

RuntimeCall UnpermuteOp::getRuntimeCall() {
  return {"unpermute",
          {Slot::in(getInput()), Slot::in(getProbs()), Slot::in(getRowMap()),
           Slot::out(getOutput()), Slot::out(getOutProbs())},
          {}};
}

//===----------------------------------------------------------------------===//
// PadOp and UnpadOp
//===----------------------------------------------------------------------===//

template <typename OpTy>
static ParseResult parsePad(OpAsmParser &parser, OperationState &result) {
  SmallVector<int32_t> present;
  SMLoc loc = parser.getCurrentLocation();
  if (parseKeywordOps(parser, result, {{"probs", true}, {"from"}, {"to"}},
                      present))
    return failure();
  return setSegments<OpTy>(parser, result, present, {1, present[1]}, loc);
}

template <typename OpTy> static LogicalResult verifyPad(OpTy op) {
  if (!isVector(op.getFrom()) || tensorType(op.getFrom()).getDimSize(0) < 2)
    return op.emitOpError("(A1) from must be a vector of at least two offsets, "
                          "but got ")
           << op.getFrom().getType();
  if (failed(wantShape(op, "A1", "to", tensorType(op.getTo()),
                       tensorType(op.getFrom()).getShape())) ||
      failed(verifyRows(op, "A2", op.getInput(), op.getOutput())))
    return failure();
  return verifyProbs(
      op, "A3", op.getProbs(), {tensorType(op.getInput()).getDimSize(0)},
      op.getOutProbs(), {tensorType(op.getOutput()).getDimSize(0)});
}

template <typename OpTy>
static RuntimeCall getPadCall(OpTy op, StringRef function) {
  return {function,
          {Slot::in(op.getInput()), Slot::in(op.getProbs()),
           Slot::in(op.getFrom()), Slot::in(op.getTo()),
           Slot::out(op.getOutput()), Slot::out(op.getOutProbs())},
          {}};
}

template <typename OpTy> static void printPad(OpAsmPrinter &printer, OpTy op) {
  printKeywordOps(printer, op, op.getInput(),
                  {{"probs", {op.getProbs()}},
                   {"from", {op.getFrom()}},
                   {"to", {op.getTo()}}});
}

ParseResult PadOp::parse(OpAsmParser &parser, OperationState &result) {
  return parsePad<PadOp>(parser, result);
}
void PadOp::print(OpAsmPrinter &printer) { printPad(printer, *this); }
LogicalResult PadOp::verify() { return verifyPad(*this); }
OpCost PadOp::getCost() { return getMemoryBoundCost(*this, CostClass::Pad); }
RuntimeCall PadOp::getRuntimeCall() { return getPadCall(*this, "pad"); }

ParseResult UnpadOp::parse(OpAsmParser &parser, OperationState &result) {
  return parsePad<UnpadOp>(parser, result);
}
void UnpadOp::print(OpAsmPrinter &printer) { printPad(printer, *this); }
LogicalResult UnpadOp::verify() { return verifyPad(*this); }
OpCost UnpadOp::getCost() { return getMemoryBoundCost(*this, CostClass::Pad); }
RuntimeCall UnpadOp::getRuntimeCall() { return getPadCall(*this, "unpad"); }
