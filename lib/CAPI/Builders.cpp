//===- Builders.cpp - expert layers as modules, from C --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te-c/Builders.h"
#include "te/Builders/Layer.h"

#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::te;

/// An error where `value` is not below `count`: C has no closed enumerations.
static llvm::Error checkEnum(StringRef name, int value, int count) {
  if (value >= 0 && value < count)
    return llvm::Error::success();
  return llvm::createStringError(name + Twine(" must be 0 to ") +
                                 Twine(count - 1) + ", but got " +
                                 Twine(value));
}

static llvm::Expected<LayerConfig> toConfig(const TeLayerOptions &options) {
  const Recipe *recipe = findRecipe(unwrap(options.recipe));
  if (!recipe)
    return llvm::createStringError(llvm::formatv(
        "recipe must be one of {0}, but got '{1}'",
        llvm::join(
            llvm::map_range(getRecipes(),
                            [](const Recipe &each) { return each.name; }),
            ", "),
        unwrap(options.recipe)));
  if (llvm::Error error = checkEnum("direction", options.direction, 2))
    return error;
  if (llvm::Error error = checkEnum("dispatch", options.dispatch, 3))
    return error;
  if (options.gradientDispatch == TeDispatchNone)
    return llvm::createStringError(
        "gradient-dispatch must be TeDispatchBF16 or TeDispatchFP8, but got "
        "TeDispatchNone");
  if (llvm::Error error =
          checkEnum("gradient-dispatch", options.gradientDispatch, 3))
    return error;
  if (llvm::Error error = checkEnum("weight-update", options.weightUpdate, 2))
    return error;

  LayerConfig config;
  config.tokens = options.tokens;
  config.hidden = options.hidden;
  config.ffn = options.ffn;
  config.localExperts = options.localExperts;
  config.topK = options.topK;
  config.microbatches = options.microbatches;
  config.ranks = options.ranks;
  config.alignment = options.alignment;
  config.recipe = *recipe;
  for (const TeRecipeOption &option :
       ArrayRef(options.recipeOptions, options.numRecipeOptions))
    if (llvm::Error error = setRecipeOption(config.recipe, unwrap(option.name),
                                            unwrap(option.value)))
      return error;
  config.direction = Direction(options.direction);
  config.dispatch = Dispatch(options.dispatch);
  config.gradientDispatch = Dispatch(options.gradientDispatch);
  config.cachedWeights = options.cachedWeights;
  config.weightUpdate = WeightUpdate(options.weightUpdate);
  config.optimizerReads = options.optimizerReads;
  config.primaryWeights = options.primaryWeights;
  config.bias = options.bias;
  config.target = unwrap(options.target).str();
  if (llvm::Error error = config.verify())
    return error;
  return config;
}

MlirLogicalResult teLayerOptionsInit(MlirStringRef model,
                                     TeLayerOptions *options) {
  const Model *dims = findModel(unwrap(model));
  if (!dims)
    return mlirLogicalResultFailure();
  LayerConfig defaults;
  *options = {};
  options->tokens = defaults.tokens;
  options->hidden = dims->hidden;
  options->ffn = dims->ffn;
  options->localExperts = dims->experts;
  options->topK = dims->topK;
  options->microbatches = defaults.microbatches;
  options->ranks = defaults.ranks;
  options->recipe = wrap(defaults.recipe.name);
  options->direction = TeDirection(defaults.direction);
  options->dispatch = TeDispatch(defaults.dispatch);
  options->gradientDispatch = TeDispatch(defaults.gradientDispatch);
  options->weightUpdate = TeWeightUpdate(defaults.weightUpdate);
  options->target = mlirStringRefCreateFromCString("sm_90");
  return mlirLogicalResultSuccess();
}

MlirModule teLayerBuild(MlirContext context, const TeLayerOptions *options) {
  MLIRContext *ctx = unwrap(context);
  llvm::Expected<LayerConfig> config = toConfig(*options);
  if (!config) {
    emitError(UnknownLoc::get(ctx))
        << "teLayerBuild: " << llvm::toString(config.takeError());
    return {nullptr};
  }
  loadLayerDialects(*ctx);
  return wrap(buildLayer(ctx, *config).release());
}
