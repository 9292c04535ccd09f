//===- te-gen.cpp - prints the naive program of an expert layer -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Builders/Layer.h"
#include "te/Builders/RandomProgram.h"
#include "te/Support/OutputFile.h"

#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::te;
namespace cl = llvm::cl;
using llvm::formatv;

namespace {
cl::OptionCategory category("te-gen options");

/// All values are read as text, so that each error is in our words.
struct TextOption : cl::opt<std::string> {
  TextOption(StringRef name, StringRef value, StringRef description,
             const std::string &initial = "")
      : cl::opt<std::string>(name, cl::value_desc(value), cl::desc(description),
                             cl::init(initial), cl::cat(category)) {
    all().push_back(this);
  }
  /// Those that exist, in order.
  static SmallVectorImpl<TextOption *> &all() {
    static SmallVector<TextOption *> options;
    return options;
  }
};

TextOption model("model", "name",
                 "Take the dimensions of this model: deepseek-v3, "
                 "deepseek-v2-lite, qwen3-30b-a3b, qwen3-235b-a22b, "
                 "mixtral-8x7b, gpt-oss-120b, llama4-scout, tiny",
                 "tiny");
TextOption recipe("recipe", "name",
                  "Cast to FP8 or FP4 as this recipe does: bf16 (not at all), "
                  "delayed, current, block, mxfp8, nvfp4",
                  "bf16");
TextOption direction("direction", "name",
                     "Build forward, or training: forward and backward",
                     "forward");
TextOption dispatch("dispatch", "name",
                    "Send tokens to the ranks of their experts: none, bf16, "
                    "fp8",
                    "none");
TextOption gradientDispatch("gradient-dispatch", "name",
                            "Send gradients of the output to those ranks: "
                            "bf16, fp8",
                            "bf16");
TextOption alignment("alignment", "A",
                     "Pad the rows of each expert to a multiple of A (that of "
                     "the recipe: 1 for bf16, else 16)");
TextOption tokens("tokens", "T", "Set the tokens of a micro-batch", "256");
TextOption hidden("hidden", "H", "Set the hidden width of the model");
TextOption ffn("ffn", "F", "Set the ffn width of one expert");
TextOption topK("top-k", "k", "Set the experts of a token");
TextOption localExperts("local-experts", "E",
                        "Set the experts on this rank (those of the model, "
                        "divided by the ranks)");
TextOption microbatches("microbatches", "N", "Set the micro-batches of a step",
                        "1");
TextOption epRanks("ep-ranks", "R",
                   "Set the ranks that the experts are spread over", "1");
TextOption cachedWeights("cached-weights", "bool",
                         "Cast weights into workspaces that outlive the "
                         "step, not anew in each micro-batch: false, true",
                         "false");
TextOption bias("bias", "bool",
                "Add a vector to the rows of each product of an expert: false, "
                "true",
                "false");
TextOption weightUpdate("weight-update", "when",
                        "Cast cached weights first, in front of the "
                        "micro-batches, or in each under a flag that the "
                        "device reads (argument skip_weight_update): first, "
                        "noop",
                        "first");
TextOption optimizerReads("optimizer-reads", "how",
                          "At the end of a step, let the optimizer read the "
                          "cached weights: none, or dequantize: cast back",
                          "none");
TextOption primaryWeights("primary-weights", "bool",
                          "Take weights that are cast already: false, true",
                          "false");
TextOption target("target", "chip", "Set the device: sm_90, sm_100", "sm_90");
TextOption forwardFormat("forward-format", "name",
                         "Cast activations to e4m3 or e5m2; weights are e4m3 "
                         "(all: e4m3)");
TextOption backwardFormat("backward-format", "name",
                          "Cast gradients to e4m3 or e5m2 (delayed, current: "
                          "e5m2; block, mxfp8: e4m3)");
TextOption pow2Scales("pow2-scales", "bool",
                      "Round scales down to powers of two: false, true "
                      "(current: false; block: true, and on sm_100 no other)");
TextOption amaxEpsilon("amax-epsilon", "value",
                       "Take an amax below this for this (current, block: 0)");
TextOption squareWeightBlocks(
    "square-weight-blocks", "bool",
    "Let squares of a weight's elements share a scale: false, true (mxfp8: "
    "false, nvfp4: true)");
TextOption squareActivationColumns(
    "square-activation-columns", "bool",
    "Scale what weight gradients read of activations in blocks of 128 x 128: "
    "false, true (block: false)");
TextOption
    hadamard("hadamard", "bool",
             "Transform what is cast columnwise, but for weights: false, "
             "true (nvfp4: true)");
TextOption stochasticRounding("stochastic-rounding", "bool",
                              "Round gradients at random: false, true (nvfp4: "
                              "true)");
TextOption amaxHistory("amax-history", "L",
                       "Set the steps in an amax history (delayed: 1024)");
TextOption amaxMargin("amax-margin", "bits",
                      "Leave this many powers of two above the amax (delayed: "
                      "0)");
TextOption amaxAlgorithm("amax-algorithm", "name",
                         "Read a history by max or most_recent (delayed: max)");
TextOption reduceAmax("reduce-amax", "bool",
                      "Take scales from amaxes over all ranks: false, true "
                      "(delayed, current: false)");
TextOption output("o", "file", "Write to this file (- is standard output)",
                  "-");
cl::opt<bool> randomProgram(
    "random",
    cl::desc("Print a small program of random recipe, shape and structure, for "
             "tests; takes no option but --seed, --o and --print-locations"),
    cl::cat(category));
TextOption seed("seed", "S", "Set what decides the program of --random", "0");
cl::opt<bool> printLocations("print-locations",
                             cl::desc("Print the stage that each op is of"),
                             cl::cat(category));

llvm::Error makeError(const Twine &message) {
  return llvm::createStringError(message);
}

llvm::Error unknown(const TextOption &option, ArrayRef<StringRef> wanted) {
  return makeError(formatv("--{0} must be one of {1}, but got '{2}'",
                           option.ArgStr, llvm::join(wanted, ", "),
                           option.getValue()));
}

/// The position of the option's value among `names`.
llvm::Expected<size_t> parseName(const TextOption &option,
                                 ArrayRef<StringRef> names) {
  const auto *it = llvm::find(names, option.getValue());
  if (it == names.end())
    return unknown(option, names);
  return it - names.begin();
}

/// Sets `value` if the option is given.
llvm::Error parseNumber(const TextOption &option, int64_t &value) {
  if (!option.getNumOccurrences() && option.getValue().empty())
    return llvm::Error::success();
  if (StringRef(option).getAsInteger(10, value))
    return makeError(formatv("--{0} must be a whole number, but got '{1}'",
                             option.ArgStr, option.getValue()));
  return llvm::Error::success();
}

/// Calls `set` with the position of the option's value among `names`.
llvm::Error parseChoice(const TextOption &option, ArrayRef<StringRef> names,
                        llvm::function_ref<void(size_t)> set) {
  auto index = parseName(option, names);
  if (!index)
    return index.takeError();
  set(*index);
  return llvm::Error::success();
}

template <typename Range> SmallVector<StringRef> namesOf(const Range &range) {
  SmallVector<StringRef> names;
  for (const auto &item : range)
    names.push_back(item.name);
  return names;
}

/// Changes what the options of recipes ask for.
llvm::Error parseRecipeOptions(Recipe &recipe) {
  for (const TextOption *option :
       {&forwardFormat, &backwardFormat, &pow2Scales, &amaxEpsilon,
        &squareWeightBlocks, &squareActivationColumns, &hadamard,
        &stochasticRounding, &amaxHistory, &amaxMargin, &amaxAlgorithm,
        &reduceAmax}) {
    if (!option->getNumOccurrences())
      continue;
    if (llvm::Error error =
            setRecipeOption(recipe, option->ArgStr, option->getValue()))
      return makeError("--" + llvm::toString(std::move(error)));
  }
  return llvm::Error::success();
}

llvm::Expected<LayerConfig> parseConfig() {
  LayerConfig config;
  auto modelIndex = parseName(model, namesOf(getModels()));
  if (!modelIndex)
    return modelIndex.takeError();
  const Model &dims = getModels()[*modelIndex];
  config.hidden = dims.hidden;
  config.ffn = dims.ffn;
  config.topK = dims.topK;

  if (recipe == "nvfp4-row-scaled" || recipe == "nvfp4-4over6")
    return makeError(formatv("--recipe={0} is a variant of nvfp4 that is not "
                             "supported; it must be one of {1}",
                             recipe.getValue(),
                             llvm::join(namesOf(getRecipes()), ", ")));
  auto recipeIndex = parseName(recipe, namesOf(getRecipes()));
  if (!recipeIndex)
    return recipeIndex.takeError();
  config.recipe = getRecipes()[*recipeIndex];
  if (llvm::Error error = parseRecipeOptions(config.recipe))
    return error;

  const struct {
    const TextOption &option;
    SmallVector<StringRef> names;
    std::function<void(size_t)> set;
  } choices[] = {
      {direction,
       {"forward", "training"},
       [&](size_t i) { config.direction = Direction(i); }},
      {dispatch,
       {"none", "bf16", "fp8"},
       [&](size_t i) { config.dispatch = Dispatch(i); }},
      {gradientDispatch,
       {"bf16", "fp8"},
       [&](size_t i) {
         config.gradientDispatch = i ? Dispatch::FP8 : Dispatch::BF16;
       }},
      {cachedWeights,
       {"false", "true"},
       [&](size_t i) { config.cachedWeights = i; }},
      {bias, {"false", "true"}, [&](size_t i) { config.bias = i; }},
      {weightUpdate,
       {"first", "noop"},
       [&](size_t i) { config.weightUpdate = WeightUpdate(i); }},
      {optimizerReads,
       {"none", "dequantize"},
       [&](size_t i) { config.optimizerReads = i; }},
      {primaryWeights,
       {"false", "true"},
       [&](size_t i) { config.primaryWeights = i; }},
  };
  for (const auto &choice : choices)
    if (llvm::Error error =
            parseChoice(choice.option, choice.names, choice.set))
      return error;
  config.target = target;

  const std::pair<const TextOption &, int64_t &> numbers[] = {
      {tokens, config.tokens},
      {hidden, config.hidden},
      {ffn, config.ffn},
      {topK, config.topK},
      {localExperts, config.localExperts},
      {microbatches, config.microbatches},
      {epRanks, config.ranks},
      {alignment, config.alignment},
  };
  for (auto [option, value] : numbers)
    if (llvm::Error error = parseNumber(option, value))
      return error;
  if (!localExperts.getNumOccurrences()) {
    if (config.ranks < 1 || dims.experts % config.ranks != 0)
      return makeError(formatv(
          "--ep-ranks must divide the {0} experts of {1} (or --local-experts "
          "be given), but got {2}",
          dims.experts, dims.name, config.ranks));
    config.localExperts = dims.experts / config.ranks;
  }
  if (llvm::Error error = config.verify())
    return makeError("--" + llvm::toString(std::move(error)));
  return config;
}

llvm::Error writeModule(ModuleOp module) {
  return te::writeOutput(output, [&](llvm::raw_ostream &os) {
    module.print(os, OpPrintingFlags().enableDebugInfo(printLocations));
    os << "\n";
  });
}

llvm::Expected<OwningOpRef<ModuleOp>> buildRandom(MLIRContext &context) {
  for (const TextOption *option : TextOption::all())
    if (option != &seed && option != &output && option->getNumOccurrences())
      return makeError(formatv("--random decides --{0}, but got {1}",
                               option->ArgStr, option->getValue()));
  uint64_t value;
  if (StringRef(seed).getAsInteger(10, value))
    return makeError(formatv("--seed must be a whole number of 64 bits, not "
                             "negative, but got '{0}'",
                             seed.getValue()));
  return buildRandomProgram(&context, value);
}

llvm::Expected<OwningOpRef<ModuleOp>> build(MLIRContext &context) {
  if (randomProgram)
    return buildRandom(context);
  if (seed.getNumOccurrences())
    return makeError(
        formatv("--seed needs --random, but got {0} alone", seed.getValue()));
  auto config = parseConfig();
  if (!config)
    return config.takeError();
  return buildLayer(&context, *config);
}

llvm::Error run() {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  loadLayerDialects(context);
  auto module = build(context);
  if (!module)
    return module.takeError();
  if (failed(verify(**module)))
    return makeError("the program that was built does not verify");
  return writeModule(**module);
}

int fail(StringRef message) {
  llvm::errs() << "te-gen: error: " << message << "\n";
  return 1;
}
} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  std::string errors;
  llvm::raw_string_ostream stream(errors);
  if (!cl::ParseCommandLineOptions(
          argc, argv, "prints the naive program of an expert layer\n",
          &stream)) {
    // The first line, without the name of the program and its advice. Empty
    // where the parser has written to the standard error itself.
    StringRef first = StringRef(errors).split('\n').first;
    if (first.empty())
      return 1;
    first.consume_front("te-gen: ");
    return fail(first.split(".  Try").first);
  }
  if (llvm::Error error = run())
    return fail(llvm::toString(std::move(error)));
  return 0;
}
