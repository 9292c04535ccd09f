//===- TEAttrs.cpp - attributes of the te dialect -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::te;

#include "te/Dialect/TE/IR/TEEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "te/Dialect/TE/IR/TEAttrs.cpp.inc"

void TEDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "te/Dialect/TE/IR/TEAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// ScalesAttr
//===----------------------------------------------------------------------===//

LogicalResult ScalesAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t rows, int64_t cols, ScaleLayout layout,
                                 int64_t groups) {
  if (groups < 0)
    return emitError() << "groups must be at least 0, but got " << groups;
  if (layout == ScaleLayout::Tensor) {
    if (rows != 0 || cols != 0)
      return emitError() << "scales of a whole tensor have no block, but got "
                         << rows << " x " << cols;
    return success();
  }
  if (rows < 1 || cols < 1)
    return emitError() << "a block must be at least 1 x 1, but got " << rows
                       << " x " << cols;
  int64_t extent = std::max(rows, cols);
  bool isByte = extent == 32 || extent == 16;
  if (isByte && rows != 1 && (extent == 16 || cols != 1))
    return emitError() << "blocks of 32 must be 1 x 32 or 32 x 1, and those of "
                          "16 1 x 16, but got "
                       << rows << " x " << cols;
  if (isByte != (layout == ScaleLayout::Swizzled) &&
      layout != ScaleLayout::Compact)
    return emitError() << "blocks of 32 and 16 must be compact or swizzled, "
                          "others compact or gemm_ready, but got "
                       << rows << " x " << cols << ", "
                       << stringifyScaleLayout(layout);
  if (layout == ScaleLayout::GemmReady && rows != 1 && rows != cols)
    return emitError() << "gemm_ready blocks must be one row high or square, "
                          "but got "
                       << rows << " x " << cols;
  return success();
}

Attribute ScalesAttr::parse(AsmParser &parser, Type) {
  int64_t rows = 0, cols = 0, groups = 0;
  ScaleLayout layout = ScaleLayout::Tensor;
  if (parser.parseLess())
    return {};
  if (failed(parser.parseOptionalKeyword("tensor"))) {
    // "1 x 128" and "1x128" are both three tokens, or a number and a word that
    // begins with x; a dimension list reads either.
    auto parseCols = [&]() -> ParseResult {
      if (succeeded(parser.parseOptionalKeyword("x")))
        return parser.parseInteger(cols);
      StringRef word;
      SMLoc loc = parser.getCurrentLocation();
      if (failed(parser.parseOptionalKeyword(&word)) ||
          !word.consume_front("x") || word.getAsInteger(10, cols))
        return parser.emitError(loc, "expected `x` and the block's columns");
      return success();
    };
    StringRef name;
    if (parser.parseInteger(rows) || parseCols() || parser.parseComma())
      return {};
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&name))
      return {};
    std::optional<ScaleLayout> found = symbolizeScaleLayout(name);
    if (!found || *found == ScaleLayout::Tensor)
      return parser.emitError(loc, "layout must be compact, gemm_ready or "
                                   "swizzled, but got ")
                 << name,
             Attribute();
    layout = *found;
  }
  if (succeeded(parser.parseOptionalComma()))
    if (parser.parseKeyword("groups") || parser.parseEqual() ||
        parser.parseInteger(groups))
      return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<ScalesAttr>(parser.getContext(), rows, cols, layout,
                                       groups);
}

void ScalesAttr::print(AsmPrinter &printer) const {
  printer << "<";
  if (!isTensor())
    printer << getRows() << " x " << getCols() << ", ";
  printer << stringifyScaleLayout(getLayout());
  if (getGroups())
    printer << ", groups = " << getGroups();
  printer << ">";
}

ScalesAttr ScalesAttr::withLayout(ScaleLayout layout) const {
  return get(getContext(), getRows(), getCols(), layout, getGroups());
}

ScalesAttr ScalesAttr::withGroups(int64_t groups) const {
  return get(getContext(), getRows(), getCols(), getLayout(), groups);
}

SmallVector<int64_t> ScalesAttr::getScalesShape(ArrayRef<int64_t> data) const {
  SmallVector<int64_t> shape(data.drop_back(2));
  if (isTensor()) {
    if (getGroups())
      shape.push_back(getGroups());
    return shape;
  }
  int64_t m = data[data.size() - 2], k = data[data.size() - 1];
  // The grid starts anew at each group along the dimension of the blocks, that
  // of squares along columns; groups of swizzled scales begin at a tile.
  bool startsAnew = getGroups() && getLayout() != ScaleLayout::Swizzled;
  auto blocks = [&](int64_t extent, int64_t block, bool isRagged) {
    if (startsAnew && isRagged)
      return extent / block + getGroups();
    return llvm::divideCeilSigned(extent, block);
  };
  auto pad = [](int64_t extent, int64_t to) {
    return llvm::divideCeilSigned(extent, to) * to;
  };
  bool isAcross = getCols() > 1;
  int64_t mb = blocks(m, getRows(), !isAcross);
  int64_t kb = blocks(k, getCols(), isAcross);
  switch (getLayout()) {
  case ScaleLayout::Compact:
    if (!hasByteScales())
      shape.append({mb, kb});
    else if (getRows() == 1)
      shape.append({pad(m, 128), pad(kb, 4)});
    else
      shape.append({pad(mb, 4), pad(k, 128)});
    break;
  case ScaleLayout::GemmReady:
    if (getRows() == 1)
      shape.append({kb, pad(m, 4)});
    else
      shape.append({mb, pad(kb, 4)});
    break;
  case ScaleLayout::Swizzled:
    if (getRows() == 1)
      shape.append({pad(m, 128), pad(kb, 4)});
    else
      shape.append({pad(k, 128), pad(mb, 4)});
    break;
  case ScaleLayout::Tensor:
    break;
  }
  return shape;
}

LogicalResult
ScalesAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                           function_ref<InFlightDiagnostic()> emitError) const {
  Type wanted = Float32Type::get(getContext());
  if (isMXFP8())
    wanted = Float8E8M0FNUType::get(getContext());
  else if (isNVFP4())
    wanted = Float8E4M3FNType::get(getContext());
  if (elementType == wanted)
    return success();
  return emitError() << "scales of " << *this << " must be " << wanted
                     << ", but got " << elementType;
}

//===----------------------------------------------------------------------===//
// TargetAttr
//===----------------------------------------------------------------------===//

namespace {
/// Rates of a device: measured on an H200 with random data, sustained
/// (docs/Benchmarks.md); for sm_100 those of a B200's data sheet. FP4 is
/// emulated on sm_90, at best in bf16.
struct Rates {
  StringRef chip;
  double bytes, fp4, fp8, bf16, f32;
};
constexpr Rates kRates[] = {
    {"sm_90", 4.28e12, 6.9e14, 1.585e15, 6.9e14, 6.0e13},
    {"sm_100", 8.0e12, 9.0e15, 4.5e15, 2.25e15, 8.0e13},
};
const Rates *findRates(StringRef chip) {
  const Rates *it = llvm::find_if(
      kRates, [&](const Rates &rates) { return rates.chip == chip; });
  return it == std::end(kRates) ? nullptr : it;
}
} // namespace

LogicalResult TargetAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 StringRef chip) {
  if (!findRates(chip))
    return emitError() << "chip must be sm_90 or sm_100, but got " << chip;
  return success();
}

Attribute TargetAttr::parse(AsmParser &parser, Type) {
  StringRef chip;
  if (parser.parseLess() || parser.parseKeyword(&chip) || parser.parseGreater())
    return {};
  return parser.getChecked<TargetAttr>(parser.getContext(), chip);
}

void TargetAttr::print(AsmPrinter &printer) const {
  printer << "<" << getChip() << ">";
}

double TargetAttr::getBytesPerSecond() const {
  return findRates(getChip())->bytes;
}

double TargetAttr::getFlopsPerSecond(Type element) const {
  const Rates *rates = findRates(getChip());
  if (element.getIntOrFloatBitWidth() == 4)
    return rates->fp4;
  if (element.getIntOrFloatBitWidth() == 8)
    return rates->fp8;
  return element.getIntOrFloatBitWidth() == 16 ? rates->bf16 : rates->f32;
}

TargetAttr TargetAttr::lookup(Operation *op) {
  for (Operation *at = op; at; at = at->getParentOp())
    if (auto target = at->getAttrOfType<TargetAttr>(TEDialect::kTargetAttr))
      return target;
  return get(op->getContext(), "sm_90");
}
