//===- ConvertTEToTERuntime.cpp - from te to te_rt ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "te/Conversion/TEToTERuntime/Passes.h"

#include "Emitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace mlir::te {
#define GEN_PASS_DEF_CONVERTTETOTERUNTIMEPASS
#include "te/Conversion/TEToTERuntime/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

/// `describe` names the value in the error.
static LogicalResult
verifyTensor(Type type, function_ref<InFlightDiagnostic()> describe) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (tensor && tensor.hasStaticShape() &&
      tensor.getElementType().isIntOrFloat())
    return success();
  return describe() << " must be a tensor of static shape of integers or "
                       "floats to be lowered, but got "
                    << type;
}

/// What the lowering of a function rests on, for all of its ops.
static LogicalResult verifyInput(func::FuncOp function) {
  if (!function.getBody().hasOneBlock())
    return function.emitOpError("must have one block to be lowered, but got ")
           << function.getBody().getBlocks().size();
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
    if (failed(verifyTensor(type, [&, i = i] {
          return function.emitOpError("argument ") << i;
        })))
      return failure();
  WalkResult result = function.getBody().walk([&](Operation *op) {
    bool isConstant = op->hasTrait<OpTrait::ConstantLike>();
    for (OpResult value : op->getResults())
      if (!(isConstant && value.getType().isIndex()) &&
          failed(verifyTensor(value.getType(), [&] {
            return op->emitOpError("result ") << value.getResultNumber();
          })))
        return WalkResult::interrupt();
    // A view moves with the loop that counts it, and with nothing else.
    Value index;
    if (auto member = dyn_cast<MemberOp>(op))
      index = member.getDynamicIndex();
    else if (auto insert = dyn_cast<InsertMemberOp>(op))
      index = insert.getDynamicIndex();
    if (!index || getConstantIntValue(index))
      return WalkResult::advance();
    auto argument = dyn_cast<BlockArgument>(index);
    auto loop = argument ? dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp())
                         : scf::ForOp();
    if (loop && loop.getInductionVar() == index)
      return WalkResult::advance();
    op->emitOpError("the index must be a constant or the counter of an scf.for "
                    "to be lowered");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

namespace {
struct ConvertTEToTERuntimePass
    : te::impl::ConvertTEToTERuntimePassBase<ConvertTEToTERuntimePass> {
  using Base::Base;
  void runOnOperation() override {
    for (auto function :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      if (function.isExternal())
        continue;
      BufferAssignment assignment(function);
      if (failed(verifyInput(function)) || failed(assignment.compute()))
        return signalPassFailure();
      Emitter(function, assignment).emit();
      function.erase();
    }
  }
};
} // namespace
