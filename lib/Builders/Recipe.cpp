//===- Recipe.cpp - how the tensors of a layer are cast to FP8 ------------===//
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

// FP8 products want rows of 16 bytes; in columnwise data these are 16 tokens.
static const Recipe kRecipes[] = {
    {"bf16", std::nullopt, std::nullopt, std::nullopt, std::nullopt, false, 1},
    {"delayed", kTensorE4M3, kTensorE4M3, kTensorE5M2, DelayedScaling(), false,
     16},
    {"current", kTensorE4M3, kTensorE4M3, kTensorE5M2, std::nullopt, false, 16},
    {"block", kRowBlocks, kSquareBlocks, kRowBlocks, std::nullopt, false, 16},
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
  if (format == Format::E4M3)
    return Float8E4M3FNType::get(context);
  return Float8E5M2Type::get(context);
}

ScalesAttr CastScheme::getEncoding(MLIRContext *context, bool columnwise,
                                   int64_t groups) const {
  if (isTensor())
    return ScalesAttr::get(context, 0, 0, ScaleLayout::Tensor, groups);
  // Blocks of rows never cross from one group into the next by themselves.
  return ScalesAttr::get(context, blockRows, blockCols, ScaleLayout::GemmReady,
                         columnwise ? groups : 0);
}
