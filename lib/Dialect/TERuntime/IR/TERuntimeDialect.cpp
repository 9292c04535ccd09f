//===- TERuntimeDialect.cpp - types and attributes of te_rt ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TERuntime/IR/TERuntime.h"
#include "te/Support/BytecodeVersion.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::te_rt;

#include "te/Dialect/TERuntime/IR/TERuntimeDialect.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "te/Dialect/TERuntime/IR/TERuntimeAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "te/Dialect/TERuntime/IR/TERuntimeTypes.cpp.inc"

/// What is lowered is kept as a plan: bytecode of it serves one version.
static constexpr uint64_t kBytecodeVersion = 1;

namespace {
struct TERuntimeBytecode : te::BytecodeVersion {
  explicit TERuntimeBytecode(Dialect *dialect)
      : BytecodeVersion(dialect, kBytecodeVersion, kBytecodeVersion) {}
};
} // namespace

void TERuntimeDialect::initialize() {
  addInterfaces<TERuntimeBytecode>();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "te/Dialect/TERuntime/IR/TERuntimeAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "te/Dialect/TERuntime/IR/TERuntimeTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "te/Dialect/TERuntime/IR/TERuntimeOps.cpp.inc"
      >();
}

LogicalResult
TERuntimeDialect::verifyOperationAttribute(Operation *op,
                                           NamedAttribute attribute) {
  if (attribute.getName() == kWayAttr) {
    auto way = dyn_cast<StringAttr>(attribute.getValue());
    if (!way ||
        !llvm::is_contained({"own", "groups", "library", "emulated", "plain"},
                            way.getValue()))
      return op->emitOpError()
             << kWayAttr
             << " must be \"own\", \"groups\", \"library\", \"emulated\" or "
                "\"plain\", but got "
             << attribute.getValue();
    return success();
  }
  if (attribute.getName() != kArenaBytesAttr)
    return success();
  auto bytes = dyn_cast<IntegerAttr>(attribute.getValue());
  if (!bytes || !bytes.getType().isInteger(64) || bytes.getInt() < 0)
    return op->emitOpError()
           << kArenaBytesAttr << " must be a non-negative i64, but got "
           << attribute.getValue();
  return success();
}

LogicalResult TERuntimeDialect::verifyRegionArgAttribute(
    Operation *op, unsigned, unsigned arg, NamedAttribute attribute) {
  if (attribute.getName() != kDirectionAttr)
    return success();
  auto direction = dyn_cast<StringAttr>(attribute.getValue());
  if (!direction || (direction != "in" && direction != "out"))
    return op->emitOpError()
           << kDirectionAttr << " of argument " << arg
           << " must be \"in\" or \"out\", but got " << attribute.getValue();
  return success();
}

//===----------------------------------------------------------------------===//
// BufferType
//===----------------------------------------------------------------------===//

LogicalResult BufferType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 RankedTensorType tensor) {
  if (!tensor.hasStaticShape())
    return emitError() << "a buffer must have a static shape, but got "
                       << tensor;
  if (!tensor.getElementType().isIntOrFloat())
    return emitError()
           << "a buffer must have integer or float elements, but got "
           << tensor;
  return success();
}

Type BufferType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type element;
  Attribute encoding;
  if (parser.parseLess() || parser.parseDimensionList(shape) ||
      parser.parseType(element))
    return {};
  if (succeeded(parser.parseOptionalComma()) && parser.parseAttribute(encoding))
    return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseGreater())
    return {};
  auto emitError = [&] { return parser.emitError(loc); };
  auto tensor =
      RankedTensorType::getChecked(emitError, shape, element, encoding);
  return tensor ? getChecked(emitError, parser.getContext(), tensor) : Type();
}

void BufferType::print(AsmPrinter &printer) const {
  printer << "<";
  for (int64_t extent : getTensor().getShape()) {
    printer.printDimensionList({extent});
    printer << "x";
  }
  printer << getTensor().getElementType();
  if (Attribute encoding = getTensor().getEncoding())
    printer << ", " << encoding;
  printer << ">";
}

int64_t BufferType::getBytes() const { return te::getBytes(getTensor()); }

BufferType BufferType::getMemberType() const {
  return get(te::MemberOp::getMemberType(getTensor()));
}

//===----------------------------------------------------------------------===//
// CostAttr
//===----------------------------------------------------------------------===//

static std::optional<te::CostClass> symbolizeCostClass(StringRef name) {
  for (unsigned i = 0; i < te::kNumCostClasses; ++i)
    if (te::stringifyCostClass(te::CostClass(i)) == name)
      return te::CostClass(i);
  return std::nullopt;
}

Attribute CostAttr::parse(AsmParser &parser, Type) {
  te::OpCost cost;
  StringRef name;
  if (parser.parseLess())
    return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&name))
    return {};
  auto costClass = symbolizeCostClass(name);
  if (!costClass)
    return parser.emitError(loc, "not a class of costs: ") << name, Attribute();
  while (succeeded(parser.parseOptionalComma())) {
    loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&name) || parser.parseEqual())
      return {};
    if (name == "product") {
      if (parser.parseType(cost.product))
        return {};
      continue;
    }
    int64_t *field = llvm::StringSwitch<int64_t *>(name)
                         .Case("launches", &cost.launches)
                         .Case("bytes", &cost.bytes)
                         .Case("flops", &cost.flops)
                         .Case("host_syncs", &cost.hostSyncs)
                         .Default(nullptr);
    if (!field)
      return parser.emitError(loc, "a cost has launches, bytes, flops, "
                                   "host_syncs and product, but got ")
                 << name,
             Attribute();
    if (parser.parseInteger(*field))
      return {};
  }
  cost.costClass = *costClass;
  return parser.parseGreater() ? Attribute() : get(parser.getContext(), cost);
}

void CostAttr::print(AsmPrinter &printer) const {
  printer << "<" << te::stringifyCostClass(getCostClass());
  auto field = [&](StringRef name, int64_t value) {
    if (value)
      printer << ", " << name << " = " << value;
  };
  field("launches", getLaunches());
  field("bytes", getBytes());
  field("flops", getFlops());
  field("host_syncs", getHostSyncs());
  if (getProduct())
    printer << ", product = " << getProduct();
  printer << ">";
}

te::OpCost CostAttr::getCost() const {
  return {getCostClass(), getLaunches(),  getBytes(),
          getFlops(),     getHostSyncs(), getProduct()};
}
