//===- LayerConfig.cpp - what an expert layer is built from ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Builders/LayerConfig.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::te;

static constexpr Model kModels[] = {
    {"deepseek-v3", 7168, 2048, 256, 8},
    {"deepseek-v2-lite", 2048, 1408, 64, 6},
    {"qwen3-30b-a3b", 2048, 768, 128, 8},
    {"qwen3-235b-a22b", 4096, 1536, 128, 8},
    {"mixtral-8x7b", 4096, 14336, 8, 2},
    {"gpt-oss-120b", 2880, 2880, 128, 4},
    {"llama4-scout", 5120, 8192, 16, 1},
    {"tiny", 256, 128, 4, 2},
};

ArrayRef<Model> te::getModels() { return kModels; }

const Model *te::findModel(StringRef name) {
  const Model *it = llvm::find_if(
      kModels, [&](const Model &model) { return model.name == name; });
  return it == std::end(kModels) ? nullptr : it;
}

int64_t LayerConfig::getDenseCapacity() const {
  return getReceivedTokens() * std::min(topK, localExperts);
}

int64_t LayerConfig::getCapacity() const {
  int64_t multiple = getAlignment();
  return llvm::divideCeilSigned(
             getDenseCapacity() + localExperts * (multiple - 1), multiple) *
         multiple;
}

template <typename... Parts>
static llvm::Error error(const char *format, Parts &&...parts) {
  return llvm::createStringError(
      llvm::formatv(format, std::forward<Parts>(parts)...).str());
}

namespace {
struct Limits {
  StringRef name;
  int64_t value, min, max;
};
} // namespace

static llvm::Error verifyRanges(ArrayRef<Limits> ranges) {
  for (const Limits &range : ranges)
    if (range.value < range.min || range.value > range.max)
      return error("{0} must be from {1} to {2}, but got {3}", range.name,
                   range.min, range.max, range.value);
  return llvm::Error::success();
}

llvm::Error LayerConfig::verifyRecipe() const {
  if (recipe.delayed)
    if (llvm::Error found =
            verifyRanges({{"amax-history", recipe.delayed->history, 1, 1 << 20},
                          {"amax-margin", recipe.delayed->margin, 0, 64}}))
      return found;
  if (recipe.reduceAmax && !recipe.isTensor())
    return error("reduce-amax must be false for {0}, which has no scales of "
                 "whole tensors, but got true",
                 recipe.name);
  for (const std::optional<CastScheme> *cast :
       {&recipe.activation, &recipe.weight, &recipe.gradient}) {
    if (!*cast)
      continue;
    llvm::APFloat epsilon((*cast)->epsilon);
    if (!epsilon.isFinite() || (epsilon.isNegative() && !epsilon.isZero())) {
      SmallString<16> text;
      epsilon.toString(text);
      return error("amax-epsilon must be finite and at least 0, but got {0}",
                   text);
    }
    if (target == "sm_100" && !(*cast)->isTensor() &&
        !(*cast)->hasByteScales() && !(*cast)->pow2Scales)
      return error("pow2-scales must be true for {0} on sm_100, whose products "
                   "read scales that are powers of two, but got false",
                   recipe.name);
  }
  if (recipe.hasByteScales() &&
      recipe.activation->hadamard != recipe.gradient->hadamard)
    return error("hadamard must be one choice for activations and gradients, "
                 "between which it cancels, but got two");
  if (primaryWeights && (!recipe.weight || recipe.delayed))
    return error("primary-weights must be false for {0}, {1}, but got true",
                 recipe.name,
                 recipe.weight ? "whose scales are states of the step"
                               : "which casts no weights");
  if (primaryWeights && cachedWeights)
    return error("cached-weights must be false for weights that are cast "
                 "already (primary-weights), but got true");
  if (weightUpdate == WeightUpdate::Noop && !cachedWeights)
    return error("weight-update must be first unless weights are cached, but "
                 "got noop");
  if (optimizerReads && !(cachedWeights && recipe.weight))
    return error("optimizer-reads must be none but for cast and cached weights "
                 "(cached-weights), but got dequantize");
  const struct {
    StringRef name, option;
    const std::optional<CastScheme> &lhs, &rhs;
    bool isBuilt;
  } products[] = {
      {"x * w", "forward-format", recipe.activation, recipe.weight, true},
      {"dy * w", "backward-format", recipe.gradient, recipe.weight,
       isTraining()},
      {"dy * x", "backward-format", recipe.gradient, recipe.activation,
       isTraining()},
  };
  using Format = CastScheme::Format;
  for (const auto &product : products)
    if (product.isBuilt && product.lhs && product.rhs &&
        product.lhs->format == Format::E5M2 &&
        product.rhs->format == Format::E5M2)
      return error("{0} must be e4m3, since in {1} the other operand is e5m2 "
                   "and a product takes at most one of e5m2, but got e5m2",
                   product.option, product.name);
  return llvm::Error::success();
}

llvm::Error LayerConfig::verify() const {
  // The upper limits keep every count of bytes in 64 bits.
  const Limits ranges[] = {
      {"hidden", hidden, 1, 1 << 18},
      {"ffn", ffn, 1, 1 << 18},
      {"local-experts", localExperts, 1, 1 << 16},
      {"top-k", topK, 1, 1 << 10},
      {"tokens", tokens, 1, 1 << 26},
      {"microbatches", microbatches, 1, 1 << 12},
      {"ep-ranks", ranks, 1, 1 << 16},
      {"alignment", alignment, 0, 1 << 12},
  };
  if (llvm::Error found = verifyRanges(ranges))
    return found;
  if (target != "sm_90" && target != "sm_100")
    return error("target must be sm_90 or sm_100, but got {0}", target);
  if (llvm::Error found = verifyRecipe())
    return found;
  if (getAlignment() % recipe.alignment != 0)
    return error("alignment must be a multiple of {0} for {1}, but got {2}",
                 recipe.alignment, recipe.name, alignment);
  if (gradientDispatch == Dispatch::FP8 && dispatch == Dispatch::None)
    return error("gradient-dispatch must be bf16 without a dispatch of tokens, "
                 "but got fp8");
  // Rows of FP8 are sent in pieces of 16 bytes.
  int64_t multiple = recipe.widthMultiple, sent = 16;
  if (hidden % multiple != 0)
    return error("hidden must be a multiple of {0} for {1}, but got {2}",
                 multiple, recipe.name, hidden);
  if (sendsFP8() && hidden % sent != 0)
    return error("hidden must be a multiple of {0} for dispatch fp8, but got "
                 "{1}",
                 sent, hidden);
  if (ffn % multiple != 0)
    return error("ffn must be a multiple of {0} for {1}, but got {2}", multiple,
                 recipe.name, ffn);
  // Rows are numbered in 32 bits.
  int64_t maxRows = std::numeric_limits<int32_t>::max();
  if (getCapacity() > maxRows)
    return error("tokens must be so few that at most {0} rows reach the "
                 "experts of a rank, but got {1}, for {2} rows",
                 maxRows, tokens, getCapacity());
  return llvm::Error::success();
}
