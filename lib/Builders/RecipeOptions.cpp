//===- RecipeOptions.cpp - options of a recipe, by name -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Builders/Recipe.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;
using namespace mlir::te;
using llvm::formatv;

namespace {
/// An option, which recipes it concerns, and how its value changes one.
struct RecipeOption {
  StringRef name;
  bool (*concerns)(const Recipe &);
  llvm::Error (*set)(Recipe &, StringRef name, StringRef value);
};

llvm::Error makeError(const Twine &message) {
  return llvm::createStringError(message);
}

/// Sets `position` to that of `value` among `names`.
llvm::Error parseChoice(StringRef name, StringRef value,
                        ArrayRef<StringRef> names, size_t &position) {
  const auto *it = llvm::find(names, value);
  if (it == names.end())
    return makeError(formatv("{0} must be one of {1}, but got '{2}'", name,
                             llvm::join(names, ", "), value));
  position = it - names.begin();
  return llvm::Error::success();
}

llvm::Error parseFlag(StringRef name, StringRef value,
                      llvm::function_ref<void(bool)> set) {
  size_t position = 0;
  if (llvm::Error error = parseChoice(name, value, {"false", "true"}, position))
    return error;
  set(position != 0);
  return llvm::Error::success();
}

llvm::Error parseNumber(StringRef name, StringRef value, int64_t &number) {
  if (value.getAsInteger(10, number))
    return makeError(
        formatv("{0} must be a whole number, but got '{1}'", name, value));
  return llvm::Error::success();
}

llvm::Error parseFormat(StringRef name, StringRef value, CastScheme &cast) {
  size_t position = 0;
  if (llvm::Error error = parseChoice(name, value, {"e4m3", "e5m2"}, position))
    return error;
  cast.format = CastScheme::Format(position);
  return llvm::Error::success();
}

llvm::Error setEpsilon(Recipe &recipe, StringRef name, StringRef value) {
  double epsilon;
  // Neither does a number become infinite in F32, nor zero.
  if (value.getAsDouble(epsilon) || !std::isfinite(float(epsilon)) ||
      (epsilon != 0 && float(epsilon) == 0))
    return makeError(formatv(
        "{0} must be a number that F32 holds, but got '{1}'", name, value));
  for (CastScheme *cast : recipe.getCasts())
    cast->epsilon = float(epsilon);
  return llvm::Error::success();
}

bool isFP8(const Recipe &recipe) { return recipe.isFP8(); }
bool isFP4(const Recipe &recipe) {
  return recipe.isLowPrecision() && !recipe.isFP8();
}
bool scalesFromData(const Recipe &recipe) { return recipe.scalesFromData(); }
bool isTensor(const Recipe &recipe) { return recipe.isTensor(); }
bool isDelayed(const Recipe &recipe) { return recipe.delayed.has_value(); }
bool hasRowBlocks(const Recipe &recipe) {
  return recipe.isFP8() && !recipe.isTensor() && !recipe.hasByteScales();
}
bool hasByteScales(const Recipe &recipe) { return recipe.hasByteScales(); }

const RecipeOption kOptions[] = {
    {"forward-format", isFP8,
     [](Recipe &recipe, StringRef name, StringRef value) {
       return parseFormat(name, value, *recipe.activation);
     }},
    {"backward-format", isFP8,
     [](Recipe &recipe, StringRef name, StringRef value) {
       return parseFormat(name, value, *recipe.gradient);
     }},
    {"pow2-scales", scalesFromData,
     [](Recipe &recipe, StringRef name, StringRef value) {
       return parseFlag(name, value, [&](bool flag) {
         for (CastScheme *cast : recipe.getCasts())
           cast->pow2Scales = flag;
       });
     }},
    {"amax-epsilon", scalesFromData, setEpsilon},
    {"square-weight-blocks", hasByteScales,
     [](Recipe &recipe, StringRef name, StringRef value) {
       return parseFlag(name, value,
                        [&](bool flag) { recipe.weight->squareBlocks = flag; });
     }},
    {"square-activation-columns", hasRowBlocks,
     [](Recipe &recipe, StringRef name, StringRef value) {
       return parseFlag(name, value, [&](bool flag) {
         recipe.activation->squareColumns = flag;
       });
     }},
    {"hadamard", isFP4,
     [](Recipe &recipe, StringRef name, StringRef value) {
       return parseFlag(name, value, [&](bool flag) {
         recipe.activation->hadamard = recipe.gradient->hadamard = flag;
       });
     }},
    {"stochastic-rounding", isFP4,
     [](Recipe &recipe, StringRef name, StringRef value) {
       return parseFlag(name, value, [&](bool flag) {
         recipe.gradient->stochasticRounding = flag;
       });
     }},
    {"amax-history", isDelayed,
     [](Recipe &recipe, StringRef name, StringRef value) {
       return parseNumber(name, value, recipe.delayed->history);
     }},
    {"amax-margin", isDelayed,
     [](Recipe &recipe, StringRef name, StringRef value) {
       return parseNumber(name, value, recipe.delayed->margin);
     }},
    {"amax-algorithm", isDelayed,
     [](Recipe &recipe, StringRef name, StringRef value) -> llvm::Error {
       size_t position = 0;
       if (llvm::Error error =
               parseChoice(name, value, {"max", "most_recent"}, position))
         return error;
       recipe.delayed->algorithm = AmaxAlgorithm(position);
       return llvm::Error::success();
     }},
    {"reduce-amax", isTensor,
     [](Recipe &recipe, StringRef name, StringRef value) {
       return parseFlag(name, value,
                        [&](bool flag) { recipe.reduceAmax = flag; });
     }},
};
} // namespace

llvm::Error te::setRecipeOption(Recipe &recipe, StringRef name,
                                StringRef value) {
  const auto *option = llvm::find_if(
      kOptions, [&](const RecipeOption &each) { return each.name == name; });
  if (option == std::end(kOptions))
    return makeError(formatv(
        "{0} is no option of a recipe; wanted one of {1}", name,
        llvm::join(
            llvm::map_range(kOptions,
                            [](const RecipeOption &each) { return each.name; }),
            ", ")));
  if (option->concerns(recipe))
    return option->set(recipe, name, value);
  SmallVector<StringRef> wanted;
  for (const Recipe &other : getRecipes())
    if (option->concerns(other))
      wanted.push_back(other.name);
  return makeError(formatv("{0}={1} needs recipe to be one of {2}, but got {3}",
                           name, value, llvm::join(wanted, ", "), recipe.name));
}
