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

llvm::Error LayerConfig::verify() const {
  auto error = [](auto &&...parts) {
    return llvm::createStringError(
        llvm::formatv(std::forward<decltype(parts)>(parts)...).str());
  };
  // The upper limits keep every count of bytes in 64 bits.
  const struct {
    StringRef name;
    int64_t value, min, max;
  } ranges[] = {
      {"hidden", hidden, 1, 1 << 18},
      {"ffn", ffn, 1, 1 << 18},
      {"local-experts", localExperts, 1, 1 << 16},
      {"top-k", topK, 1, 1 << 10},
      {"tokens", tokens, 1, 1 << 26},
      {"microbatches", microbatches, 1, 1 << 12},
      {"ep-ranks", ranks, 1, 1 << 16},
      {"amax-history", amaxHistory, 1, 1 << 20},
      {"amax-margin", margin, 0, 126},
      {"alignment", alignment, 0, 1 << 12},
  };
  for (const auto &range : ranges)
    if (range.value < range.min || range.value > range.max)
      return error("{0} must be from {1} to {2}, but got {3}", range.name,
                   range.min, range.max, range.value);
  if (target != "sm_90" && target != "sm_100")
    return error("target must be sm_90 or sm_100, but got {0}", target);
  if (!recipe)
    return error("recipe must be given, but got none");
  if (getAlignment() % recipe->alignment != 0)
    return error("alignment must be a multiple of {0} for {1}, but got {2}",
                 recipe->alignment, recipe->name, alignment);
  if (gradientDispatch == Dispatch::FP8 && dispatch == Dispatch::None)
    return error("gradient-dispatch must be bf16 without a dispatch of tokens, "
                 "but got fp8");
  // Rows of FP8 are read and sent in pieces of 16 bytes.
  bool castsFfn = recipe->isFP8();
  bool castsHidden = castsFfn || dispatch == Dispatch::FP8 ||
                     gradientDispatch == Dispatch::FP8;
  StringRef why = castsFfn ? recipe->name : "dispatch fp8";
  if (castsHidden && hidden % 16 != 0)
    return error("hidden must be a multiple of 16 for {0}, but got {1}", why,
                 hidden);
  if (castsFfn && ffn % 16 != 0)
    return error("ffn must be a multiple of 16 for {0}, but got {1}", why, ffn);
  // Rows are numbered in 32 bits.
  int64_t maxRows = std::numeric_limits<int32_t>::max();
  if (getCapacity() > maxRows)
    return error("tokens must be so few that at most {0} rows reach the "
                 "experts of a rank, but got {1}, for {2} rows",
                 maxRows, tokens, getCapacity());
  return llvm::Error::success();
}
