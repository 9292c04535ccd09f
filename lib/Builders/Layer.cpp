//===- Layer.cpp - a step of an expert layer as a module ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Builders/Layer.h"
#include "Step.h"

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::te;

void te::loadLayerDialects(MLIRContext &context) {
  context.loadDialect<TEDialect, arith::ArithDialect, func::FuncDialect,
                      ml_program::MLProgramDialect, scf::SCFDialect,
                      tensor::TensorDialect>();
}

void StepBuilder::cacheWeights(GroupedLinear &linear, Value noop) {
  for (auto [e, weight] : llvm::enumerate(linear.weights)) {
    SmallVector<Value> outs;
    SmallVector<FlatSymbolRefAttr> names;
    std::string prefix = (linear.weightName + "." + Twine(e)).str();
    auto types =
        layer.getWeightCastTypes(cast<RankedTensorType>(weight.getType()));
    for (auto [part, type] : llvm::zip_equal(Quantized::kParts, types)) {
      if (!type)
        continue;
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(module.lookupSymbol("step"));
      auto global = ml_program::GlobalOp::create(
          b, loc(prefix + part), prefix + part.str(), type,
          /*is_mutable=*/true, /*value=*/Attribute(),
          b.getStringAttr("private"));
      global->setAttr(TEDialect::kGroupAttr,
                      b.getStringAttr(linear.weightName + part));
      global->setAttr(TEDialect::kMemberAttr, b.getI64IntegerAttr(e));
      names.push_back(FlatSymbolRefAttr::get(global.getSymNameAttr()));
    }
    llvm::erase(types, Type());
    for (auto [name, type] : llvm::zip_equal(names, types))
      outs.push_back(ml_program::GlobalLoadOp::create(b, loc(name.getValue()),
                                                      type, name));
    Quantized quantized = layer.buildWeightCast(linear, e, outs, noop);
    SmallVector<Value> results = quantized.getParts();
    llvm::erase(results, Value());
    for (auto [name, value] : llvm::zip_equal(names, results))
      ml_program::GlobalStoreOp::create(b, loc(name.getValue()), name, value);
    linear.castWeights.push_back(quantized);
  }
}

void StepBuilder::loadWeights(GroupedLinear &linear) {
  for (auto [e, cast] : llvm::enumerate(linear.castWeights)) {
    SmallVector<Value> parts = cast.getParts();
    for (auto [part, value] : llvm::zip_equal(Quantized::kParts, parts)) {
      if (!value)
        continue;
      std::string name = (linear.weightName + "." + Twine(e) + part).str();
      value = ml_program::GlobalLoadOp::create(
          b, loc(name), value.getType(), FlatSymbolRefAttr::get(context, name));
    }
    cast = Quantized::ofParts(parts);
  }
}

void StepBuilder::buildMicrobatch(Value index) {
  auto member = [&](StringRef name, Value all) -> Value {
    return MemberOp::create(b, loc(name), all, index);
  };
  auto insert = [&](StringRef name, Value &all, Value value) {
    all = InsertMemberOp::create(b, loc(name), value, all, index);
  };
  if (rng) {
    // Casts of one micro-batch share its state, and draw other streams of it.
    fc1.gradientState.rng = fc2.gradientState.rng = member("rng", rng);
    fc1.gradientState.rngStream = kNumRngStreams - 1;
  }
  if (config.hasWeightFlag()) {
    Value noop = member("skip_weight_update", skipWeightUpdate);
    for (GroupedLinear *linear : {&fc1, &fc2})
      cacheWeights(*linear, noop);
  }
  LayerBuilder::Saved saved;
  Value y = layer.buildForward(fc1, fc2, member("tokens", tokens),
                               member("indices", indices),
                               member("probs", probs), saved);
  insert("out", out, y);
  if (!config.isTraining())
    return;
  ExpertRows gradients =
      layer.buildBackward(fc1, fc2, member("grad_out", gradOut), saved);
  insert("grad_tokens", gradTokens, gradients.rows);
  insert("grad_probs", gradProbs, gradients.probs);
}

/// The micro-batches. What they leave is carried around the loop.
void StepBuilder::buildLoop() {
  SmallVector<Value *> carried;
  auto carryAll = [&](SmallVectorImpl<Value> &values) {
    for (Value &value : values)
      carried.push_back(&value);
  };
  auto carryNew = [&](Value &value, Value like) {
    value =
        tensor::EmptyOp::create(b, loc("empty"), like.getType(), ValueRange());
    carried.push_back(&value);
  };
  carryNew(out, tokens);
  if (config.isTraining()) {
    carryNew(gradTokens, tokens);
    carryNew(gradProbs, probs);
    for (GroupedLinear *linear : {&fc1, &fc2}) {
      linear->weightGradients.assign(
          config.localExperts, zeros(weightType(*linear, b.getF32Type())));
      carryAll(linear->weightGradients);
      if (config.bias)
        linear->biasGradients.assign(config.localExperts,
                                     zeros(biasGradientType(*linear)));
      carryAll(linear->biasGradients);
    }
  }
  for (Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots)) {
    bool isWeight =
        slot.state == &fc1.weightState || slot.state == &fc2.weightState;
    if (!isWeight || !config.cachedWeights || config.hasWeightFlag())
      carryAll(slot.state->amax);
  }

  SmallVector<Value> inits;
  for (Value *value : carried)
    inits.push_back(*value);
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc("microbatches"), value);
  };
  Value lower = index(0), upper = index(config.microbatches), step = index(1);
  auto loop =
      scf::ForOp::create(b, loc("microbatches"), lower, upper, step, inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  for (auto [value, argument] :
       llvm::zip_equal(carried, loop.getRegionIterArgs()))
    *value = argument;
  buildMicrobatch(loop.getInductionVar());
  SmallVector<Value> yields;
  for (Value *value : carried)
    yields.push_back(*value);
  scf::YieldOp::create(b, loc("microbatches"), yields);
  for (auto [value, result] : llvm::zip_equal(carried, loop.getResults()))
    *value = result;
}

void StepBuilder::build() {
  forwardSlots = makeForwardSlots(config, fc1, fc2);
  backwardSlots = makeBackwardSlots(config, fc1, fc2);
  Ports arguments{context, {}, {}}, results{context, {}, {}};
  addArguments(arguments);
  addResults(results);

  b.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(
      b, loc("step"), "step", b.getFunctionType(arguments.types, results.types),
      getRanksAttribute(b, config.ranks), arguments.attributes);
  function.setAllResultAttrs(results.attributes);
  b.setInsertionPointToEnd(function.addEntryBlock());
  takeArguments(function);

  if (config.recipe.delayed) {
    Value zero = zeros(tensor({}, b.getF32Type()));
    for (Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots))
      slot.state->amax.assign(config.localExperts, zero);
  }
  if (config.cachedWeights && config.recipe.weight && !config.hasWeightFlag())
    for (GroupedLinear *linear : {&fc1, &fc2})
      cacheWeights(*linear);
  buildLoop();
  buildScaleUpdates(b, config, forwardSlots);
  buildScaleUpdates(b, config, backwardSlots);
  if (rng)
    rng = AdvanceRngOp::create(b, loc("advance_rng"), rng.getType(), rng,
                               kNumRngStreams);

  SmallVector<Value> returned = {out};
  if (config.isTraining()) {
    returned.append({gradTokens, gradProbs});
    for (const GroupedLinear *linear : {&fc1, &fc2}) {
      llvm::append_range(returned, linear->weightGradients);
      llvm::append_range(returned, linear->biasGradients);
    }
  }
  if (config.optimizerReads)
    for (GroupedLinear *linear : {&fc1, &fc2}) {
      if (config.hasWeightFlag())
        loadWeights(*linear);
      for (auto [e, weight] : llvm::enumerate(linear->castWeights))
        returned.push_back(layer.buildDequantize(
            "optimizer/dequantize " + linear->weightName + "[" + Twine(e) + "]",
            weight, Value()));
    }
  if (rng)
    returned.push_back(rng);
  for (Slot &slot : llvm::concat<Slot>(forwardSlots, backwardSlots))
    for (int64_t e = 0; e < config.localExperts; ++e)
      returned.append({slot.state->scale[e], slot.history[e]});
  func::ReturnOp::create(b, loc("step"), returned);
}

OwningOpRef<ModuleOp> te::buildLayer(MLIRContext *context,
                                     const LayerConfig &config) {
  OwningOpRef<ModuleOp> module =
      ModuleOp::create(NameLoc::get(StringAttr::get(context, "layer")));
  module.get()->setAttr(TEDialect::kTargetAttr,
                        TargetAttr::get(context, config.target));
  StepBuilder(*module, config).build();
  return module;
}
