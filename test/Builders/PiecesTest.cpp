//===- PiecesTest.cpp - dimensions, recipes, and stages by themselves -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Builders/Layer.h"
#include "te/Builders/LayerBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::te;

static LayerConfig makeConfig(StringRef recipe) {
  LayerConfig config;
  config.tokens = 10;
  config.hidden = 32;
  config.ffn = 16;
  config.localExperts = 4;
  config.topK = 2;
  config.recipe = *findRecipe(recipe);
  return config;
}

static std::string errorOf(const LayerConfig &config) {
  return llvm::toString(config.verify());
}

TEST(LayerConfig, CapacityHoldsEveryRoutingAndItsPadding) {
  LayerConfig config = makeConfig("bf16");
  EXPECT_EQ(config.getDenseCapacity(), 20);
  EXPECT_EQ(config.getCapacity(), 20);
  config.recipe = *findRecipe("block");
  EXPECT_EQ(config.getCapacity(), 80); // 20 + 4 * 15
  config.localExperts = 1;             // a token has no two rows there
  EXPECT_EQ(config.getDenseCapacity(), 10);
  EXPECT_EQ(config.getCapacity(), 32); // 25, rounded up
  config.ranks = 3;
  EXPECT_EQ(config.getReceivedTokens(), 10);
  EXPECT_EQ(config.getRoutedExperts(), 1);
  config.dispatch = Dispatch::BF16;
  EXPECT_EQ(config.getReceivedTokens(), 30);
  EXPECT_EQ(config.getDenseCapacity(), 30);
  EXPECT_EQ(config.getRoutedExperts(), 3);
}

TEST(LayerConfig, RefusesWhatCannotBeBuilt) {
  LayerConfig config = makeConfig("block");
  EXPECT_EQ(errorOf(config), "");
  config.hidden = 40;
  EXPECT_EQ(errorOf(config),
            "hidden must be a multiple of 16 for block, but got 40");
  config = makeConfig("delayed");
  config.ffn = 24;
  EXPECT_EQ(errorOf(config),
            "ffn must be a multiple of 16 for delayed, but got 24");
  config = makeConfig("bf16");
  config.hidden = 40;
  config.ffn = 24;
  EXPECT_EQ(errorOf(config), "");
  config.dispatch = Dispatch::FP8;
  EXPECT_EQ(errorOf(config),
            "hidden must be a multiple of 16 for dispatch fp8, but got 40");
  config = makeConfig("bf16");
  config.microbatches = 0;
  EXPECT_EQ(errorOf(config), "microbatches must be from 1 to 4096, but got 0");
  config = makeConfig("bf16");
  config.target = "sm_80";
  EXPECT_EQ(errorOf(config), "target must be sm_90 or sm_100, but got sm_80");
  config = makeConfig("delayed");
  config.recipe.delayed->history = 0;
  EXPECT_EQ(errorOf(config),
            "amax-history must be from 1 to 1048576, but got 0");
  config = makeConfig("delayed");
  config.recipe.delayed->margin = 65;
  EXPECT_EQ(errorOf(config), "amax-margin must be from 0 to 64, but got 65");
  config = makeConfig("bf16");
  config.tokens = 1 << 26;
  config.topK = 1 << 10;
  config.localExperts = 1 << 16;
  EXPECT_EQ(errorOf(config),
            "tokens must be so few that at most 2147483647 rows reach the "
            "experts of a rank, but got 67108864, for 68719476736 rows");
}

TEST(LayerConfig, RefusesWeightsThatAreCastTwiceOrNever) {
  LayerConfig config = makeConfig("nvfp4");
  config.hidden = config.ffn = 32;
  EXPECT_EQ(errorOf(config), "");
  config.recipe.gradient->hadamard = false;
  EXPECT_EQ(errorOf(config),
            "hadamard must be one choice for activations and gradients, "
            "between which it cancels, but got two");
  config = makeConfig("mxfp8");
  EXPECT_EQ(errorOf(config),
            "ffn must be a multiple of 32 for mxfp8, but got 16");
  config.hidden = config.ffn = 32;
  config.primaryWeights = config.cachedWeights = true;
  EXPECT_EQ(errorOf(config),
            "cached-weights must be false for weights that are cast already "
            "(primary-weights), but got true");
  config = makeConfig("bf16");
  config.optimizerReads = true;
  EXPECT_EQ(errorOf(config),
            "optimizer-reads must be none but for cast and cached weights "
            "(cached-weights), but got dequantize");
}

TEST(LayerConfig, RefusesRecipesThatCannotBeMultiplied) {
  using Format = CastScheme::Format;
  LayerConfig config = makeConfig("block");
  config.recipe.weight->pow2Scales = false;
  EXPECT_EQ(errorOf(config), "");
  config.target = "sm_100";
  EXPECT_EQ(errorOf(config),
            "pow2-scales must be true for block on sm_100, whose products read "
            "scales that are powers of two, but got false");
  config = makeConfig("current");
  config.recipe.gradient->epsilon = -0.5;
  EXPECT_EQ(errorOf(config),
            "amax-epsilon must be finite and at least 0, but got -0.5");
  config.recipe.gradient->epsilon = -0.0f;
  EXPECT_EQ(errorOf(config), "");

  const struct {
    Format activation, weight, gradient;
    const char *forward, *training;
  } cases[] = {
      {Format::E5M2, Format::E4M3, Format::E4M3, "", ""},
      {Format::E4M3, Format::E5M2, Format::E4M3, "", ""},
      {Format::E5M2, Format::E5M2, Format::E4M3, "forward-format x * w",
       "forward-format x * w"},
      {Format::E4M3, Format::E5M2, Format::E5M2, "", "backward-format dy * w"},
      {Format::E5M2, Format::E4M3, Format::E5M2, "", "backward-format dy * x"},
  };
  for (const auto &item : cases)
    for (Direction direction : {Direction::Forward, Direction::Training}) {
      config = makeConfig("current");
      config.direction = direction;
      config.recipe.activation->format = item.activation;
      config.recipe.weight->format = item.weight;
      config.recipe.gradient->format = item.gradient;
      auto [option, product] =
          StringRef(config.isTraining() ? item.training : item.forward)
              .split(' ');
      std::string wanted =
          option.empty()
              ? ""
              : (option + " must be e4m3, since in " + product +
                 " the other operand is e5m2 and a product takes at most one "
                 "of e5m2, but got e5m2")
                    .str();
      EXPECT_EQ(errorOf(config), wanted);
    }
}

TEST(LayerConfig, ReducesAmaxesOfWholeTensorsAlone) {
  for (const Recipe &recipe : getRecipes()) {
    LayerConfig config = makeConfig(recipe.name);
    config.recipe.reduceAmax = true;
    bool isTensor = recipe.name == "delayed" || recipe.name == "current";
    EXPECT_EQ(errorOf(config),
              isTensor ? ""
                       : "reduce-amax must be false for " + recipe.name.str() +
                             ", which has no scales of whole tensors, but got "
                             "true");
  }
}

TEST(Model, NamesAreFound) {
  ASSERT_TRUE(findModel("deepseek-v3"));
  EXPECT_EQ(findModel("deepseek-v3")->hidden, 7168);
  EXPECT_EQ(findModel("gpt-oss-120b")->topK, 4);
  EXPECT_EQ(findModel("gpt"), nullptr);
  EXPECT_EQ(findRecipe("mxfp4"), nullptr);
}

TEST(Model, EveryOneBuildsWithEveryRecipe) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  loadLayerDialects(context);
  for (const Model &model : getModels())
    for (const Recipe &recipe : getRecipes()) {
      LayerConfig config;
      config.hidden = model.hidden;
      config.ffn = model.ffn;
      config.localExperts = 2;
      config.topK = model.topK;
      config.recipe = recipe;
      config.direction = Direction::Training;
      ASSERT_EQ(errorOf(config), "");
      EXPECT_TRUE(succeeded(verify(*buildLayer(&context, config))))
          << model.name.str() << " " << recipe.name.str();
    }
}

TEST(CastScheme, GroupsFollowTheRaggedDimension) {
  MLIRContext context;
  loadLayerDialects(context);
  const Recipe &block = *findRecipe("block"), &current = *findRecipe("current");
  auto groups = [&](const CastScheme &scheme, bool columnwise) {
    return scheme.getEncoding(&context, columnwise, 4).getGroups();
  };
  // Rows of a block scheme have scales of their own; down its columns the
  // blocks of one expert end where the next begins.
  EXPECT_EQ(groups(*block.activation, false), 0);
  EXPECT_EQ(groups(*block.activation, true), 4);
  EXPECT_EQ(groups(*current.activation, false), 4);
  EXPECT_EQ(groups(*current.activation, true), 4);
}

// A front end's own function around one linear layer.
TEST(LayerBuilder, BuildsAGroupedLinearWhereTheCallerIs) {
  MLIRContext context;
  loadLayerDialects(context);
  LayerConfig config = makeConfig("block");
  config.direction = Direction::Training;

  OpBuilder b(&context);
  Location loc = b.getUnknownLoc();
  Type bf16 = b.getBF16Type(), f32 = b.getF32Type();
  auto tensor = [](ArrayRef<int64_t> shape, Type element) -> Type {
    return RankedTensorType::get(shape, element);
  };
  SmallVector<Type> types = {tensor({80, 32}, bf16), tensor({80, 48}, bf16),
                             tensor({4}, b.getI32Type())};
  types.append(4, tensor({48, 32}, bf16));
  types.append(4, tensor({48, 32}, f32));
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  b.setInsertionPointToEnd(module->getBody());
  auto function =
      func::FuncOp::create(b, loc, "mine", b.getFunctionType(types, types[0]));
  b.setInsertionPointToEnd(function.addEntryBlock());

  GroupedLinear linear;
  linear.name = "proj";
  linear.inputName = "x";
  linear.weightName = "w";
  linear.gradientName = "dy";
  auto arguments = function.getArguments();
  linear.weights.assign(arguments.begin() + 3, arguments.begin() + 7);
  linear.weightGradients.assign(arguments.begin() + 7, arguments.end());
  LayerBuilder layer(b, config);
  Value y = layer.buildForward(linear, arguments[0], arguments[2]);
  EXPECT_EQ(y.getType(), types[1]);
  Value dx = layer.buildBackward(linear, arguments[1]);
  EXPECT_EQ(dx.getType(), types[0]);
  for (Value gradient : linear.weightGradients)
    EXPECT_TRUE(gradient.getDefiningOp<GemmOp>());
  func::ReturnOp::create(b, loc, dx);
  EXPECT_TRUE(succeeded(verify(*module)));

  // Each op tells the stage it is of.
  auto name = dyn_cast<NameLoc>(dx.getDefiningOp()->getLoc());
  ASSERT_TRUE(name);
  EXPECT_EQ(name.getName().str(), "proj/dgrad[3]");
}
