//===- Recipe.cpp - how the tensors of a layer are cast -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Builders/Recipe.h"

using namespace mlir;
using namespace mlir::te;

using Format = CastScheme::Format;

static constexpr CastScheme kTensorE4M3 = {Format::E4M3, 0, 0, false};
static constexpr CastScheme kTensorE5M2 = {Format::E5M2, 0, 0, false};
static constexpr CastScheme kRowBlocks = {Format::E4M3, 1, 128, true};
static constexpr CastScheme kSquareBlocks = {Format::E4M3, 128, 128, true};

/// Scales of 8 bits: weights keep them compact, for an optimizer, gathers and
/// checkpoints; what is cast for products alone has them swizzled at once.
static constexpr CastScheme makeByteScheme(Format format, bool swizzled) {
  CastScheme scheme = {format, 1, format == Format::E2M1 ? 16 : 32, false};
  scheme.swizzled = swizzled;
  return scheme;
}
static constexpr CastScheme kMXWeight = makeByteScheme(Format::E4M3, false);
static constexpr CastScheme kMXRows = makeByteScheme(Format::E4M3, true);

enum class Role { Activation, Weight, Gradient };
static constexpr CastScheme makeNVFP4(Role role) {
  CastScheme scheme = makeByteScheme(Format::E2M1, role != Role::Weight);
  scheme.squareBlocks = role == Role::Weight;
  // Both operands of the weight gradients, so that it cancels.
  scheme.hadamard = role != Role::Weight;
  scheme.stochasticRounding = role == Role::Gradient;
  return scheme;
}

// FP8 products want rows of 16 bytes; in columnwise data these are 16 tokens.
// Groups of swizzled scales begin at a tile, of 128 rows.
static const Recipe kRecipes[] = {
    {"bf16", std::nullopt, std::nullopt, std::nullopt, std::nullopt, 1, 1},
    {"delayed", kTensorE4M3, kTensorE4M3, kTensorE5M2, DelayedScaling(), 16,
     16},
    {"current", kTensorE4M3, kTensorE4M3, kTensorE5M2, std::nullopt, 16, 16},
    {"block", kRowBlocks, kSquareBlocks, kRowBlocks, std::nullopt, 16, 16},
    {"mxfp8", kMXRows, kMXWeight, kMXRows, std::nullopt, 128, 32},
    {"nvfp4", makeNVFP4(Role::Activation), makeNVFP4(Role::Weight),
     makeNVFP4(Role::Gradient), std::nullopt, 128, 32},
};

ArrayRef<Recipe> te::getRecipes() { return kRecipes; }

const Recipe *te::findRecipe(StringRef name) {
  const Recipe *it = llvm::find_if(
      kRecipes, [&](const Recipe &recipe) { return recipe.name == name; });
  return it == std::end(kRecipes) ? nullptr : it;
}

SmallVector<CastScheme *> Recipe::getCasts() {
  SmallVector<CastScheme *> casts;
  for (std::optional<CastScheme> *role : {&activation, &weight, &gradient})
    if (*role)
      casts.push_back(&**role);
  return casts;
}

const CastScheme &te::getWireScheme() { return kRowBlocks; }

Type CastScheme::getElementType(MLIRContext *context) const {
  switch (format) {
  case Format::E4M3:
    return Float8E4M3FNType::get(context);
  case Format::E5M2:
    return Float8E5M2Type::get(context);
  case Format::E2M1:
    return Float4E2M1FNType::get(context);
  }
  llvm_unreachable("unknown format");
}

double CastScheme::getMax() const {
  switch (format) {
  case Format::E4M3:
    return 448;
  case Format::E5M2:
    return 57344;
  case Format::E2M1:
    return 6;
  }
  llvm_unreachable("unknown format");
}

Type CastScheme::getScaleType(MLIRContext *context) const {
  if (!hasByteScales())
    return Float32Type::get(context);
  if (isFP4())
    return Float8E4M3FNType::get(context);
  return Float8E8M0FNUType::get(context);
}

ScalesAttr CastScheme::getEncoding(MLIRContext *context, bool columnwise,
                                   int64_t groups) const {
  if (isTensor())
    return ScalesAttr::get(context, 0, 0, ScaleLayout::Tensor, groups);
  // Blocks of rows never cross from one group into the next by themselves.
  int64_t columnGroups = columnwise ? groups : 0;
  if (!hasByteScales())
    return ScalesAttr::get(context,
                           columnwise && squareColumns ? blockCols : blockRows,
                           blockCols, ScaleLayout::GemmReady, columnGroups);
  int64_t rows = blockRows, cols = blockCols;
  if (columnwise && isUntransposed())
    std::swap(rows, cols);
  return ScalesAttr::get(
      context, rows, cols,
      swizzled ? ScaleLayout::Swizzled : ScaleLayout::Compact, columnGroups);
}
