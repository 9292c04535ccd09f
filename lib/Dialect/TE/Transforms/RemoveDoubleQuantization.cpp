//===- RemoveDoubleQuantization.cpp - FP8 rows that are FP8 already -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FuseIntoCast.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#define DEBUG_TYPE "te-remove-double-quantization"
namespace mlir::te {
#define GEN_PASS_DEF_REMOVEDOUBLEQUANTIZATIONPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
struct RemoveDoubleQuantizationPass
    : te::impl::RemoveDoubleQuantizationPassBase<RemoveDoubleQuantizationPass> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<QuantizeOp> casts;
    getOperation().walk([&](QuantizeOp op) {
      if (op.getValues() && op.getInput().getDefiningOp<DequantizeOp>())
        casts.push_back(op);
    });
    for (QuantizeOp op : casts)
      if (isLegal(op, op.getInput().getDefiningOp<DequantizeOp>()))
        rewrite(op, op.getInput().getDefiningOp<DequantizeOp>());
  }

private:
  bool isLegal(QuantizeOp op, DequantizeOp from);
  void rewrite(QuantizeOp op, DequantizeOp from);

  /// Leaves a remark at `op` and returns false.
  template <typename... Args>
  bool missed(Operation *op, const char *reason, Args &&...args) {
    remarks.missed(op, reason, std::forward<Args>(args)...);
    return false;
  }

  Remarks remarks{DEBUG_TYPE, "RemoveDoubleQuantization"};
};

/// Whether the cast that made `scales`, before they were moved, is known to have
/// made powers of two.
bool arePowersOfTwo(Value scales) {
  if (isa<Float8E8M0FNUType>(getElementTypeOrSelf(scales.getType())))
    return true;
  while (Operation *def = scales.getDefiningOp()) {
    if (auto convert = dyn_cast<ConvertScalesOp>(def)) {
      scales = convert.getScales();
    } else if (auto mover = dyn_cast<RowMoveOpInterface>(def)) {
      OpOperand *source = mover.getMovedOperand(cast<OpResult>(scales));
      if (!source)
        return false;
      scales = source->get();
    } else {
      std::optional<Attribute> pow2 = def->getInherentAttr("pow2_scales");
      return pow2 && *pow2;
    }
  }
  return false;
}
} // namespace

bool RemoveDoubleQuantizationPass::isLegal(QuantizeOp op, DequantizeOp from) {
  if (op.getMember())
    return missed(op, "it casts member {0} alone", *op.getMember());
  if (std::string reason = getUnfusableReason(op); !reason.empty())
    return missed(op, "{0}", reason);
  if (Value destination = getKnownDestination(op))
    return missed(op, "it has a destination, of type {0}",
                  destination.getType());
  if (op.getScale() || op.getAmax())
    return missed(op, "it has {0} of its own",
                  op.getScale() ? "a scale" : "an amax");
  RankedTensorType found = from.getValues().getType();
  if (found != op.getValues().getType())
    return missed(op, "its values are {0}, and those dequantized {1}",
                  op.getValues().getType(), found);
  ScalesAttr encoding = getScalesEncoding(op.getScales().getType());
  ScalesAttr before = getScalesEncoding(from.getScales().getType());
  if (encoding.isTensor())
    return missed(op, "its scale is that of all rows, whichever are there");
  if (before.withLayout(encoding.getLayout()) != encoding)
    return missed(op, "its scales are {0}, and those dequantized {1}",
                  op.getScales().getType(), from.getScales().getType());
  // Rows that the dequantize leaves out hold nothing.
  if (from.getOffsets() && from.getOffsets() != op.getOffsets())
    return missed(op, "te.dequantize has other groups");
  bool writesPow2 = op.getPow2Scales() || encoding.isMXFP8();
  bool pow2 = writesPow2 && arePowersOfTwo(from.getScales());
  if (!pow2 && !fp32Scales)
    return missed(op, "scales {0} powers of two: other values, unless "
                      "fp32-scales asks for it",
                  writesPow2 ? "that come in are not known to be"
                             : "need not be");
  return true;
}

void RemoveDoubleQuantizationPass::rewrite(QuantizeOp op, DequantizeOp from) {
  OpBuilder builder(op);
  Value scales = from.getScales();
  if (scales.getType() != op.getScales().getType())
    scales = ConvertScalesOp::create(builder, op.getLoc(),
                                     op.getScales().getType(), scales,
                                     op.getValues().getType().getShape());
  Saving saving;
  saving.removed(op);
  op.getValues().replaceAllUsesWith(from.getValues());
  op.getScales().replaceAllUsesWith(scales);
  if (op.getValuesT() &&
      !(op.getValuesT().use_empty() && op.getScalesT().use_empty())) {
    QuantizeOp columnwise = createDirection(
        op, builder, op.getInput(), op.getValuesT().getType(),
        op.getScalesT().getType(), /*columnwise=*/true, op.getOffsets());
    op.getValuesT().replaceAllUsesWith(columnwise.getValuesT());
    op.getScalesT().replaceAllUsesWith(columnwise.getScalesT());
    saving.added(columnwise);
  }
  if (op.getInput().hasOneUse())
    saving.removed(from);
  if (scales != from.getScales())
    saving.added(scales.getDefiningOp());
  remarks.passed(op, saving);
  op.erase();
  if (from.use_empty())
    from.erase();
  ++numRemoved;
}
