//===- embed.cpp - te inside of a compiler of its own ---------------------===//
//
// Optimizes a function of mine, whose op te's passes learn of by its
// interfaces, and a layer of the builders; then makes a plan of the layer in
// memory, and runs it.
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Builders/Layer.h"
#include "te/Dialect/TE/Transforms/ProgramCost.h"
#include "te/InitAll.h"
#include "te/Target/Plan/Plan.h"
#include "te_runtime/plan.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <cstdlib>
#include <cstring>
#include <memory>

#include "MineDialect.h.inc"
#define GET_OP_CLASSES
#include "Mine.h.inc"

#include "MineDialect.cpp.inc"
#define GET_OP_CLASSES
#include "Mine.cpp.inc"

using namespace mlir;

void mine::MineDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "Mine.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// What te's passes ask of the op
//===----------------------------------------------------------------------===//

te::OpCost mine::ClampOp::getCost() {
  return te::getMemoryBoundCost(*this, te::CostClass::ScaleConversion);
}
SmallVector<te::ScaleLayout> mine::ClampOp::getOperandLayouts(OpOperand &,
                                                              te::TargetAttr) {
  return {te::ScaleLayout::Compact, te::ScaleLayout::GemmReady};
}
SmallVector<te::ScaleLayout> mine::ClampOp::getResultLayouts(OpResult,
                                                             te::TargetAttr) {
  return {te::ScaleLayout::Compact, te::ScaleLayout::GemmReady};
}
SmallVector<OpOperand *> mine::ClampOp::getTiedLayoutOperands(OpResult) {
  return {&getScalesMutable()};
}

//===----------------------------------------------------------------------===//
// The compiler
//===----------------------------------------------------------------------===//

/// Four matrices are cast and cast back, with scales that are clamped as
/// compact ones in between.
static constexpr char kProgram[] = R"mlir(
!values = tensor<64x256xf8E4M3FN>
!compact = tensor<64x2xf32, #te.scales<1 x 128, compact>>
!ready = tensor<2x64xf32, #te.scales<1 x 128, gemm_ready>>
func.func @clamped(%x: tensor<4x64x256xbf16>) -> tensor<4x64x256xf32> {
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
    %b = mine.clamp %a at 1.0 : !compact
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

/// Runs `build`'s pipeline and prints the launches before and after.
static LogicalResult optimize(ModuleOp module, const char *name,
                              void (*build)(OpPassManager &)) {
  FailureOr<te::ProgramCost> before = te::getProgramCost(module, name);
  PassManager pm(module.getContext());
  build(pm);
  if (failed(before) || failed(pm.run(module)))
    return failure();
  FailureOr<te::ProgramCost> after = te::getProgramCost(module, name);
  if (failed(after))
    return failure();
  llvm::outs() << name << ": " << before->total.launches << " launches, then "
               << after->total.launches << "\n";
  return success();
}

/// Runs the one program of the plan once, on arguments that are all zero.
static bool execute(const std::string &bytes) {
  using Plan = std::unique_ptr<te_rt_plan, decltype(&te_rt_plan_destroy)>;
  char message[1024] = "";
  te_rt_plan *loaded = nullptr;
  if (te_rt_plan_load(bytes.data(), int64_t(bytes.size()), &loaded, message,
                      sizeof(message))) {
    llvm::errs() << message << "\n";
    return false;
  }
  Plan plan(loaded, te_rt_plan_destroy);
  te_rt_context *context = nullptr;
  te_rt_session *session = nullptr;
  te_rt_program_info program;
  if (te_rt_plan_program(plan.get(), 0, &program) ||
      te_rt_context_create(TE_RT_REF, 1, nullptr, 0, &context, message,
                           sizeof(message)))
    return false;
  bool ok = !te_rt_session_create(context, plan.get(), 0, &session);
  std::vector<void *> memory;
  for (int32_t i = 0; ok && i < program.num_arguments; ++i) {
    te_rt_argument_info info;
    ok = !te_rt_plan_argument(plan.get(), 0, i, &info);
    size_t size = (size_t(info.bytes) + 63) / 64 * 64;
    memory.push_back(std::memset(std::aligned_alloc(64, size), 0, size));
    ok = ok && !te_rt_session_bind(session, i, memory.back(), info.bytes);
  }
  ok = ok && !te_rt_session_run(session);
  if (ok)
    llvm::outs() << "plan: ran " << program.name << " with "
                 << program.num_arguments << " arguments\n";
  else
    llvm::errs() << te_rt_last_error(context) << "\n";
  te_rt_session_destroy(session);
  te_rt_context_destroy(context);
  for (void *data : memory)
    std::free(data);
  return ok;
}

int main() {
  DialectRegistry registry;
  te::registerAllTEDialects(registry);
  registry.insert<linalg::LinalgDialect, scf::SCFDialect, tensor::TensorDialect,
                  mine::MineDialect>();
  MLIRContext context(registry);
  context.loadAllAvailableDialects();

  auto program = parseSourceString<ModuleOp>(std::string(kProgram), &context);
  if (!program || failed(optimize(*program, "mine", [](OpPassManager &pm) {
        te::buildOptimizePipeline(pm);
      })))
    return fail("cannot optimize the function of mine");
  program->print(llvm::outs());

  te::LayerConfig config;
  config.tokens = 64;
  config.hidden = 256;
  config.ffn = 128;
  config.localExperts = 4;
  config.topK = 2;
  config.recipe = *te::findRecipe("block");
  if (llvm::Error error = config.verify())
    return fail(llvm::toString(std::move(error)).c_str());
  OwningOpRef<ModuleOp> layer = te::buildLayer(&context, config);
  if (failed(optimize(*layer, "layer", [](OpPassManager &pm) {
        te::buildOptimizePipeline(pm);
      })))
    return fail("cannot optimize the layer");

  PassManager lower(&context);
  te::buildLowerPipeline(lower);
  std::string plan;
  if (failed(lower.run(*layer)) || failed(te::translateToPlan(*layer, plan)) ||
      !execute(plan))
    return fail("cannot run the layer");
  return 0;
}
