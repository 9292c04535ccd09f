//===- LayerTest.cpp - every layer verifies and has the counts it should --===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Builders/Layer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Verifier.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::te;

namespace {
/// Recipe, direction, dispatch, cached weights, ranks.
using Combination = std::tuple<std::string, Direction, Dispatch, bool, int64_t>;

LayerConfig makeConfig(StringRef recipe, Direction direction, Dispatch dispatch,
                       bool cachedWeights, int64_t ranks) {
  LayerConfig config;
  config.tokens = 20;
  config.hidden = 160; // a block and a part
  config.ffn = 32;
  config.localExperts = 3;
  config.topK = 2;
  config.microbatches = 2;
  config.ranks = ranks;
  config.recipe = *findRecipe(recipe);
  config.direction = direction;
  config.dispatch = dispatch;
  config.cachedWeights = cachedWeights;
  if (config.recipe.delayed)
    config.recipe.delayed->history = 4;
  return config;
}

class LayerTest : public testing::TestWithParam<Combination> {
protected:
  void SetUp() override {
    auto [recipe, direction, dispatch, cached, ranks] = GetParam();
    config = makeConfig(recipe, direction, dispatch, cached, ranks);
    ASSERT_FALSE(bool(config.verify()));
    context.disableMultithreading();
    loadLayerDialects(context);
    module = buildLayer(&context, config);
    function = module->lookupSymbol<func::FuncOp>("step");
    ASSERT_TRUE(function);
    for (Operation &op : function.getBody().front())
      if (auto found = dyn_cast<scf::ForOp>(op))
        loop = found;
    ASSERT_TRUE(loop);
  }

  /// The ops of this kind in the loop, or around it.
  template <typename OpTy> int64_t count(bool inLoop = true) {
    int64_t number = 0;
    for (Operation &op : inLoop ? *loop.getBody() : function.getBody().front())
      number += isa<OpTy>(op);
    return number;
  }

  MLIRContext context;
  LayerConfig config;
  OwningOpRef<ModuleOp> module;
  func::FuncOp function;
  scf::ForOp loop;
};

std::string nameOf(const testing::TestParamInfo<Combination> &info) {
  auto [recipe, direction, dispatch, cached, ranks] = info.param;
  const char *dispatches[] = {"None", "BF16", "FP8"};
  return recipe + (direction == Direction::Training ? "Training" : "Forward") +
         dispatches[int(dispatch)] + (cached ? "Cached" : "") +
         std::to_string(ranks);
}
} // namespace

INSTANTIATE_TEST_SUITE_P(
    All, LayerTest,
    testing::Combine(testing::Values("bf16", "delayed", "current", "block",
                                     "mxfp8", "nvfp4"),
                     testing::Values(Direction::Forward, Direction::Training),
                     testing::Values(Dispatch::None, Dispatch::BF16,
                                     Dispatch::FP8),
                     testing::Bool(), testing::Values(1, 3)),
    nameOf);

TEST_P(LayerTest, Verifies) { EXPECT_TRUE(succeeded(verify(*module))); }

TEST_P(LayerTest, CastsEachTensorForEachExpert) {
  int64_t experts = config.localExperts;
  bool casts = config.recipe.isLowPrecision(), training = config.isTraining();
  // x and act, and in training dy and dh; and the tokens before they travel.
  int64_t activations = casts ? (training ? 4 : 2) * experts : 0;
  int64_t wire = config.dispatch == Dispatch::FP8;
  int64_t weights = casts ? 2 * experts : 0;
  bool hoisted = config.cachedWeights;
  EXPECT_EQ(count<QuantizeOp>(), activations + wire + (hoisted ? 0 : weights));
  EXPECT_EQ(count<QuantizeOp>(/*inLoop=*/false), hoisted ? weights : 0);

  int64_t weightClass = 0;
  function.walk([&](QuantizeOp op) {
    weightClass += op.getCost().costClass == CostClass::WeightQuantize;
  });
  EXPECT_EQ(weightClass, weights);

  // Values, scales and the amax of FP4 of each direction have a workspace of
  // their own.
  int64_t parts =
      (training ? 2 : 1) * (casts && !config.recipe.isFP8() ? 3 : 2);
  int64_t globals = 0;
  for (Operation &op : *module->getBody())
    globals += isa<ml_program::GlobalOp>(op);
  EXPECT_EQ(globals, hoisted ? weights * parts : 0);
  EXPECT_EQ(count<ml_program::GlobalStoreOp>(false), globals);
}

TEST_P(LayerTest, MultipliesForEachExpert) {
  int64_t rows = 0, reductions = 0;
  function.walk([&](GemmOp op) {
    ASSERT_TRUE(op.getMember().has_value());
    (op.getRagged() == Ragged::Rows ? rows : reductions) += 1;
  });
  int64_t experts = config.localExperts;
  EXPECT_EQ(rows, (config.isTraining() ? 4 : 2) * experts);
  EXPECT_EQ(reductions, config.isTraining() ? 2 * experts : 0);
}

TEST_P(LayerTest, ComputesOffsetsForEachConsumer) {
  bool pads = config.recipe.isLowPrecision();
  // Two products and swiglu; two for each pad and unpad; one to dequantize.
  int64_t forward =
      3 + (pads ? 4 : 0) + (config.dispatch == Dispatch::FP8 ? 1 : 0);
  // swiglu's backward; pad and unpad.
  int64_t backward = 1 + (pads ? 4 : 0);
  EXPECT_EQ(count<ComputeOffsetsOp>(),
            forward + (config.isTraining() ? backward : 0));
  EXPECT_EQ(count<ToHostOp>(), 2);
}

TEST_P(LayerTest, ConvertsScalesOnTheWayOfFP8Tokens) {
  bool fp8 = config.dispatch == Dispatch::FP8;
  bool exchanges = config.dispatch != Dispatch::None;
  // Compact scales of weights are swizzled for each product that reads one.
  int64_t swizzles = config.recipe.hasByteScales()
                         ? (config.isTraining() ? 4 : 2) * config.localExperts
                         : 0;
  EXPECT_EQ(count<ConvertScalesOp>(), (fp8 ? 5 : 0) + swizzles);
  EXPECT_EQ(count<DequantizeOp>(), fp8 ? 1 : 0);
  EXPECT_EQ(count<DispatchMapOp>(), exchanges ? 1 : 0);
  EXPECT_EQ(count<DispatchOp>(), exchanges ? (config.isTraining() ? 2 : 1) : 0);
  EXPECT_EQ(count<CombineOp>(), exchanges ? (config.isTraining() ? 2 : 1) : 0);
}

TEST_P(LayerTest, UpdatesEveryState) {
  bool delayed = config.recipe.delayed.has_value(),
       training = config.isTraining();
  int64_t slots = 0;
  SmallVector<double> maxima;
  function.walk([&](UpdateScalesOp op) {
    slots += op.getScale().size();
    maxima.push_back(op.getFp8Max().convertToDouble());
  });
  EXPECT_EQ(slots, delayed ? (training ? 6 : 4) * config.localExperts : 0);
  if (delayed) {
    EXPECT_EQ(maxima, (training ? SmallVector<double>{448, 57344}
                                : SmallVector<double>{448}));
  }

  // The next value of a state is a result of the same name, not the argument.
  llvm::StringMap<Value> results;
  auto returned = function.getBody().front().getTerminator();
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    results[function.getResultAttrOfType<StringAttr>(i, TEDialect::kNameAttr)] =
        returned->getOperand(i);
  int64_t states = 0;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto next = function.getArgAttrOfType<StringAttr>(i, TEDialect::kNextAttr);
    if (!next)
      continue;
    ++states;
    Value value = results.lookup(next);
    ASSERT_TRUE(value) << next.str();
    EXPECT_EQ(value.getType(), function.getArgument(i).getType());
    bool isRng = next.getValue() == "rng";
    EXPECT_TRUE(isRng ? bool(value.getDefiningOp<AdvanceRngOp>())
                      : bool(value.getDefiningOp<UpdateScalesOp>()))
        << next.str();
  }
  bool draws = training && config.recipe.gradient &&
               config.recipe.gradient->stochasticRounding;
  EXPECT_EQ(states, 2 * slots + draws);
}

TEST_P(LayerTest, ReturnsAGradientForEachParameter) {
  int64_t parameters = 0, gradients = 0;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    parameters += bool(function.getArgAttr(i, TEDialect::kParameterAttr));
  EXPECT_EQ(parameters, 2 * config.localExperts);

  // Each comes from the loop, and from a product of its own.
  llvm::DenseSet<Value> seen;
  auto returned = function.getBody().front().getTerminator();
  auto yield = loop.getBody()->getTerminator();
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    StringRef name =
        function.getResultAttrOfType<StringAttr>(i, TEDialect::kNameAttr);
    if (!name.starts_with("grad_w"))
      continue;
    ++gradients;
    auto result = dyn_cast<OpResult>(returned->getOperand(i));
    ASSERT_TRUE(result && result.getOwner() == loop);
    Value sum = yield->getOperand(result.getResultNumber());
    auto product = sum.getDefiningOp<GemmOp>();
    ASSERT_TRUE(product) << name.str();
    EXPECT_TRUE(product.getAccumulate());
    EXPECT_EQ(product.getOuts(),
              loop.getRegionIterArg(result.getResultNumber()));
    EXPECT_EQ(
        *product.getMember(),
        uint64_t(
            function.getResultAttrOfType<IntegerAttr>(i, TEDialect::kMemberAttr)
                .getInt()));
    EXPECT_TRUE(seen.insert(sum).second) << name.str();
  }
  EXPECT_EQ(gradients, config.isTraining() ? parameters : 0);
}

TEST(LayerCounts, OfFourHundredExpertsAreLinear) {
  // In a step 2E casts of weights; in a micro-batch 4E casts and 6E products.
  LayerConfig config = makeConfig("block", Direction::Training, Dispatch::None,
                                  /*cachedWeights=*/true, 1);
  config.localExperts = 400;
  MLIRContext context(MLIRContext::Threading::DISABLED);
  loadLayerDialects(context);
  OwningOpRef<ModuleOp> module = buildLayer(&context, config);
  int64_t weights = 0, activations = 0, products = 0;
  module->walk([&](QuantizeOp op) {
    (op.getCost().costClass == CostClass::WeightQuantize ? weights
                                                         : activations) += 1;
  });
  module->walk([&](GemmOp) { ++products; });
  EXPECT_EQ(weights, 800);
  EXPECT_EQ(activations, 1600);
  EXPECT_EQ(products, 2400);
}
