//===- embed.cpp - te inside of a compiler of its own ---------------------===//
//
// Optimizes a function of linalg, scf, tensor and te that has an op of mine,
// which te's passes know by its interfaces; then a function of mine around a
// layer of te's builders, which becomes a plan in memory, and runs.
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Mine.h"
#include "Run.h"

#include "te/Builders/LayerBuilder.h"
#include "te/Dialect/TE/Transforms/Passes.h"
#include "te/InitAll.h"
#include "te/Target/Plan/Plan.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;

/// Four matrices are cast and cast back; of the scales, as compact ones, there
/// is a snapshot in between.
static constexpr char kProgram[] = R"mlir(
!values = tensor<64x256xf8E4M3FN>
!compact = tensor<64x2xf32, #te.scales<1 x 128, compact>>
!ready = tensor<2x64xf32, #te.scales<1 x 128, gemm_ready>>
func.func @cast(%x: tensor<4x64x256xbf16>) -> tensor<4x64x256xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<4x64x256xf32>
  %init = linalg.fill ins(%zero : f32)
    outs(%empty : tensor<4x64x256xf32>) -> tensor<4x64x256xf32>
  %r = scf.for %i = %c0 to %c4 step %c1
      iter_args(%all = %init) -> tensor<4x64x256xf32> {
    %m = te.member %x[%i] : tensor<4x64x256xbf16> -> tensor<64x256xbf16>
    %q, %s = te.quantize %m : tensor<64x256xbf16> -> !values, !ready
    %a = te.convert_scales %s of [64, 256] : !ready -> !compact
    %b = mine.snapshot %a : !compact
    %c = te.convert_scales %b of [64, 256] : !compact -> !ready
    %d = te.dequantize %q, %c : (!values, !ready) -> tensor<64x256xf32>
    %n = te.insert_member %d into %all[%i]
      : tensor<64x256xf32> -> tensor<4x64x256xf32>
    scf.yield %n : tensor<4x64x256xf32>
  }
  return %r : tensor<4x64x256xf32>
}
)mlir";

static int fail(const char *what) {
  llvm::errs() << "embed: error: " << what << "\n";
  return 1;
}

/// My pipeline: a pass of mine, te-optimize, what it costs before and after.
static LogicalResult optimize(ModuleOp module) {
  PassManager pm(module.getContext());
  pm.addPass(te::createCostReportPass());
  pm.addNestedPass<func::FuncOp>(mine::createMergeSnapshotsPass());
  te::buildOptimizePipeline(pm);
  pm.addPass(te::createCostReportPass());
  return pm.run(module);
}

//===----------------------------------------------------------------------===//
// A function of mine
//===----------------------------------------------------------------------===//

static te::LayerConfig getConfig() {
  te::LayerConfig config;
  config.tokens = 64;
  config.hidden = 256;
  config.ffn = 128;
  config.localExperts = 4;
  config.topK = 2;
  config.recipe = *te::findRecipe("block");
  return config;
}

/// Names an argument, or makes it member `e` of a group of weights.
static void describe(func::FuncOp function, unsigned argument, StringRef name,
                     std::optional<int64_t> e = {}) {
  Builder b(function.getContext());
  auto set = [&](StringRef key, Attribute value) {
    function.setArgAttr(argument, key, value);
  };
  if (!e)
    return set(te::TEDialect::kNameAttr, b.getStringAttr(name));
  set(te::TEDialect::kNameAttr, b.getStringAttr(name + "." + Twine(*e)));
  set(te::TEDialect::kGroupAttr, b.getStringAttr(name));
  set(te::TEDialect::kMemberAttr, b.getI64IntegerAttr(*e));
  set(te::TEDialect::kParameterAttr, b.getUnitAttr());
}

/// @mine: a layer, and what its first product reads of the tokens by the
/// snapshot of their scales, taken twice.
static OwningOpRef<ModuleOp> buildMine(MLIRContext *context,
                                       const te::LayerConfig &config) {
  OpBuilder b(context);
  Location loc = b.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  module.get()->setAttr(te::TEDialect::kTargetAttr,
                        te::TargetAttr::get(context, config.target));
  auto tensor = [](ArrayRef<int64_t> shape, Type element) -> Type {
    return RankedTensorType::get(shape, element);
  };
  int64_t experts = config.localExperts;
  Type rows = tensor({config.tokens, config.hidden}, b.getBF16Type());
  SmallVector<Type> types = {
      rows, tensor({config.tokens, config.topK}, b.getI32Type()),
      tensor({config.tokens, config.topK}, b.getF32Type())};
  types.append(experts,
               tensor({2 * config.ffn, config.hidden}, b.getBF16Type()));
  types.append(experts, tensor({config.hidden, config.ffn}, b.getBF16Type()));
  Type seenType =
      tensor({config.getCapacity(), config.hidden}, b.getBF16Type());

  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(
      b, loc, "mine", b.getFunctionType(types, {rows, seenType}));
  for (auto [i, name] : llvm::enumerate(ArrayRef{"tokens", "indices", "probs"}))
    describe(function, i, name);
  for (int64_t e = 0; e < experts; ++e) {
    describe(function, 3 + e, "w1", e);
    describe(function, 3 + experts + e, "w2", e);
  }
  for (auto [i, name] : llvm::enumerate(ArrayRef{"out", "seen"}))
    function.setResultAttr(i, te::TEDialect::kNameAttr, b.getStringAttr(name));

  // The stages of te's builder go where my builder is.
  b.setInsertionPointToEnd(function.addEntryBlock());
  ValueRange arguments = function.getArguments();
  te::GroupedLinear fc1, fc2;
  fc1.name = "fc1", fc1.inputName = "x", fc1.weightName = "w1";
  fc2.name = "fc2", fc2.inputName = "act", fc2.weightName = "w2";
  fc1.weights = llvm::to_vector(arguments.slice(3, experts));
  fc2.weights = llvm::to_vector(arguments.slice(3 + experts, experts));
  te::LayerBuilder layer(b, config);
  te::LayerBuilder::Saved saved;
  Value out = layer.buildForward(fc1, fc2, arguments[0], arguments[1],
                                 arguments[2], saved);

  te::Quantized input = fc1.input;
  auto dataType = cast<RankedTensorType>(input.values.getType());
  auto convert = [&](Value scales, te::ScaleLayout layout) -> Value {
    auto encoding = te::getScalesEncoding(scales.getType()).withLayout(layout);
    return te::ConvertScalesOp::create(
        b, loc, te::getScalesType(encoding, dataType, b.getF32Type()), scales,
        dataType.getShape());
  };
  Value compact = convert(input.scales, te::ScaleLayout::Compact);
  Value once = mine::SnapshotOp::create(b, loc, compact.getType(), compact);
  Value twice = mine::SnapshotOp::create(b, loc, once.getType(), once);
  input.scales = convert(twice, te::ScaleLayout::GemmReady);
  Value offsets =
      layer.buildOffsets(saved.routing.counts, config.getAlignment());
  Value seen = layer.buildDequantize("seen", input, offsets);
  func::ReturnOp::create(b, loc, {out, seen});
  return module;
}

/// Lowers a copy of the module to the bytes of a plan.
static LogicalResult makePlan(ModuleOp module, std::string &plan) {
  OwningOpRef<ModuleOp> copy = module.clone();
  PassManager pm(module.getContext());
  te::buildLowerPipeline(pm);
  return success(succeeded(pm.run(*copy)) &&
                 succeeded(te::translateToPlan(*copy, plan)));
}

int main() {
  DialectRegistry registry;
  te::registerAllTEDialects(registry);
  registry.insert<linalg::LinalgDialect, scf::SCFDialect, tensor::TensorDialect,
                  mine::MineDialect>();
  MLIRContext context(registry);
  context.loadAllAvailableDialects();

  auto program = parseSourceString<ModuleOp>(std::string(kProgram), &context);
  if (!program || failed(optimize(*program)))
    return fail("cannot optimize the function of linalg, scf and tensor");
  program->print(llvm::errs());

  te::LayerConfig config = getConfig();
  if (llvm::Error error = config.verify())
    return fail(llvm::toString(std::move(error)).c_str());
  OwningOpRef<ModuleOp> layer = buildMine(&context, config);
  std::string naive, optimized;
  if (failed(makePlan(*layer, naive)) || failed(optimize(*layer)) ||
      failed(makePlan(*layer, optimized)))
    return fail("cannot compile the function of mine");
  layer->print(llvm::errs());
  std::vector<char> wanted = run(naive, "out"), found = run(optimized, "out");
  if (llvm::all_of(wanted, [](char byte) { return byte == 0; }))
    return fail("the plan gives nothing");
  if (wanted != found)
    return fail("the optimized plan gives other bits");
  llvm::errs() << "ran: " << found.size() << " bytes, equal\n";
  return 0;
}
