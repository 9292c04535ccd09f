//===- CallOp.cpp - te_rt.call --------------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TERuntime/IR/TERuntime.h"

using namespace mlir;
using namespace mlir::te_rt;

ParseResult CallOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &b = parser.getBuilder();
  StringAttr function;
  SmallVector<int32_t> sizes;
  SmallVector<bool> outputs;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  auto parseSlot = [&]() -> ParseResult {
    if (succeeded(parser.parseOptionalKeyword("out")))
      outputs.push_back(true);
    else if (succeeded(parser.parseOptionalKeyword("in")))
      outputs.push_back(false);
    else
      return parser.emitError(parser.getCurrentLocation(),
                              "expected a slot, `in(...)` or `out(...)`");
    size_t before = operands.size();
    if (parser.parseOperandList(operands, OpAsmParser::Delimiter::Paren))
      return failure();
    sizes.push_back(operands.size() - before);
    return success();
  };
  SmallVector<Attribute> scalars;
  auto parseScalar = [&]() -> ParseResult {
    return parser.parseAttribute(scalars.emplace_back());
  };
  CostAttr cost;
  SmallVector<Type> types;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseSymbolName(function) ||
      parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren,
                                     parseSlot) ||
      parser.parseKeyword("scalars") ||
      parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren,
                                     parseScalar) ||
      parser.parseKeyword("cost") || parser.parseLParen() ||
      parser.parseAttribute(cost) || parser.parseRParen() ||
      parser.parseOptionalAttrDict(result.attributes))
    return failure();
  if (!operands.empty() && parser.parseColonTypeList(types))
    return failure();
  auto &props = result.getOrAddProperties<Properties>();
  props.function = function;
  props.slot_sizes = b.getDenseI32ArrayAttr(sizes);
  props.slot_outputs = b.getDenseBoolArrayAttr(outputs);
  props.scalars = b.getArrayAttr(scalars);
  props.call_cost = cost;
  return parser.resolveOperands(operands, types, loc, result.operands);
}

void CallOp::print(OpAsmPrinter &printer) {
  printer << " ";
  printer.printSymbolName(getFunction());
  printer << "(";
  llvm::interleaveComma(llvm::zip(getSlots(), getSlotOutputs()), printer,
                        [&](auto slot) {
                          printer << (std::get<1>(slot) ? "out(" : "in(");
                          printer.printOperands(std::get<0>(slot));
                          printer << ")";
                        });
  printer << ") scalars(";
  llvm::interleaveComma(getScalars(), printer, [&](Attribute scalar) {
    if (auto integer = dyn_cast<IntegerAttr>(scalar))
      printer << integer.getValue();
    else
      printer << scalar;
  });
  printer << ") cost(" << getCallCost() << ")";
  printer.printOptionalAttrDict(
      (*this)->getAttrs(),
      {"function", "slot_sizes", "slot_outputs", "scalars", "call_cost"});
  if (!getBuffers().empty())
    printer << " : " << getBuffers().getTypes();
}

LogicalResult CallOp::verify() {
  if (getSlotSizes().size() != getSlotOutputs().size())
    return emitOpError("slot_outputs must have ")
           << getSlotSizes().size() << " entries, as slot_sizes, but got "
           << getSlotOutputs().size();
  int64_t total = 0;
  for (int32_t size : getSlotSizes()) {
    if (size < 0)
      return emitOpError("the size of a slot must be at least 0, but got ")
             << size;
    total += size;
  }
  if (total != getBuffers().size())
    return emitOpError("slots must have ")
           << getBuffers().size() << " buffers, as there are operands, but got "
           << total;
  for (Attribute scalar : getScalars()) {
    auto typed = dyn_cast<TypedAttr>(scalar);
    if (!typed || !isa<IntegerAttr, FloatAttr>(scalar) ||
        !(typed.getType().isInteger(64) || typed.getType().isF64()))
      return emitOpError("scalars must be i64 or f64, but got ") << scalar;
  }
  return success();
}

SmallVector<OperandRange> CallOp::getSlots() {
  SmallVector<OperandRange> slots;
  unsigned at = 0;
  for (int32_t size : getSlotSizes()) {
    slots.push_back(getBuffers().slice(at, size));
    at += size;
  }
  return slots;
}

void CallOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  unsigned at = 0;
  for (auto [size, output] : llvm::zip(getSlotSizes(), getSlotOutputs()))
    for (int32_t i = 0; i < size; ++i) {
      OpOperand *buffer = &getBuffersMutable()[at++];
      // An output may be read too: an accumulation, one member of many.
      effects.emplace_back(MemoryEffects::Read::get(), buffer);
      if (output)
        effects.emplace_back(MemoryEffects::Write::get(), buffer);
    }
}

te::OpCost CallOp::getCost() { return getCallCost().getCost(); }

/// Bytes, up to 256, that a buffer begins at a multiple of, as far as is known.
static int64_t getAlignment(Value buffer) {
  static constexpr int64_t ofArguments = 64, ofConstants = 32, atMost = 256;
  auto lowest = [](int64_t bytes) {
    return bytes ? std::min(bytes & -bytes, atMost) : atMost;
  };
  Operation *def = buffer.getDefiningOp();
  if (!def || isa<WorkspaceOp>(def))
    return ofArguments;
  if (isa<ConstantOp>(def))
    return ofConstants;
  if (auto alloc = dyn_cast<AllocOp>(def))
    return lowest(alloc.getOffset().value_or(0));
  auto member = dyn_cast<MemberOp>(def);
  if (!member)
    return 1;
  int64_t bytes = member.getType().getBytes();
  auto [start, step] = member.getStartAndStep();
  return std::min({getAlignment(member.getPacked()), lowest(start * bytes),
                   lowest(step * bytes)});
}

te::CallTypes te_rt::getCallTypes(CallOp call) {
  te::CallTypes types{call.getFunction(), {}, {}, {}};
  if (auto way = call->getAttrOfType<StringAttr>(TERuntimeDialect::kWayAttr))
    types.way = way.getValue();
  for (auto [buffers, isOutput] :
       llvm::zip(call.getSlots(), call.getSlotOutputs())) {
    te::CallTypes::Slot &slot = types.slots.emplace_back();
    slot.isOutput = isOutput;
    for (Value buffer : buffers) {
      slot.types.push_back(cast<BufferType>(buffer.getType()).getTensor());
      slot.alignment = std::min(slot.alignment, getAlignment(buffer));
    }
  }
  for (Attribute scalar : call.getScalars())
    if (auto integer = dyn_cast<IntegerAttr>(scalar))
      types.scalars.push_back(integer.getInt());
  return types;
}

CallOp te_rt::createCall(OpBuilder &builder, Location loc,
                         const te::RuntimeCall &call,
                         function_ref<Value(Value)> getBuffer,
                         const te::OpCost &cost) {
  SmallVector<Value> buffers;
  SmallVector<int32_t> sizes;
  SmallVector<bool> outputs;
  for (const te::RuntimeSlot &slot : call.slots) {
    for (Value value : slot.values)
      buffers.push_back(getBuffer(value));
    sizes.push_back(slot.values.size());
    outputs.push_back(slot.isOutput);
  }
  return CallOp::create(builder, loc, builder.getStringAttr(call.function),
                        buffers, builder.getDenseI32ArrayAttr(sizes),
                        builder.getDenseBoolArrayAttr(outputs),
                        builder.getArrayAttr(call.scalars),
                        CostAttr::get(builder.getContext(), cost));
}

static te::OpCost getCopyCost(int64_t bytes) {
  return {te::CostClass::Copy, 1, bytes, 0, 0, Type()};
}

CallOp te_rt::createCopy(OpBuilder &builder, Location loc, Value input,
                         Value output) {
  using Slot = te::RuntimeSlot;
  int64_t bytes = cast<BufferType>(output.getType()).getBytes();
  return createCall(
      builder, loc, {"copy", {Slot::in(input), Slot::out(output)}, {}},
      [](Value value) { return value; }, getCopyCost(2 * bytes));
}

CallOp te_rt::createFill(OpBuilder &builder, Location loc, Value output,
                         double value) {
  int64_t bytes = cast<BufferType>(output.getType()).getBytes();
  return createCall(
      builder, loc,
      {"fill",
       {te::RuntimeSlot::out(output)},
       {builder.getF64FloatAttr(value)}},
      [](Value value) { return value; }, getCopyCost(bytes));
}
