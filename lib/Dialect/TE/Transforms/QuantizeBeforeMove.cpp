//===- QuantizeBeforeMove.cpp - rows travel in FP8 ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Knows no op that moves rows: which rows an op moves, and the op that moves
// them quantized, is told by RowMoveOpInterface.
//
//===----------------------------------------------------------------------===//

#include "FuseIntoCast.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#define DEBUG_TYPE "te-quantize-before-move"
namespace mlir::te {
#define GEN_PASS_DEF_QUANTIZEBEFOREMOVEPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
/// The moves that `quantize` could stand in front of, the nearest first.
using Moves = SmallVector<OpResult>;

/// Bytes that cross ranks, which are the slower ones, then of memory, of all ops
/// of a program.
using Traffic = std::pair<int64_t, int64_t>;

struct QuantizeBeforeMovePass
    : te::impl::QuantizeBeforeMovePassBase<QuantizeBeforeMovePass> {
  using Base::Base;
  void runOnOperation() override {
    if (columnwise != "leave" && columnwise != "requantize") {
      emitError(getOperation().getLoc(),
                "te-quantize-before-move: columnwise must be leave or "
                "requantize, but got ")
          << columnwise;
      return signalPassFailure();
    }
    SmallVector<QuantizeOp> casts;
    getOperation().walk([&](QuantizeOp op) {
      if (getSource(op.getInput()))
        casts.push_back(op);
    });
    for (QuantizeOp op : casts)
      move(op);
  }

private:
  static OpOperand *getSource(Value rows);
  bool isLegal(QuantizeOp op);
  bool movesScales(QuantizeOp op);
  Moves collectMoves(QuantizeOp op);
  Traffic getTraffic(QuantizeOp op, ArrayRef<OpResult> moves, size_t passed);
  void move(QuantizeOp op);
  void rewrite(QuantizeOp op, ArrayRef<OpResult> moves, int64_t crossing);

  /// Leaves a remark at `op` and returns false.
  template <typename... Args>
  bool missed(Operation *op, const char *reason, Args &&...args) {
    remarks.missed(op, reason, std::forward<Args>(args)...);
    return false;
  }

  Remarks remarks{DEBUG_TYPE, "QuantizeBeforeMove"};
};

StringRef nameOf(Operation *op) { return op->getName().getStringRef(); }

RankedTensorType withRowsOf(RankedTensorType type, Value like) {
  SmallVector<int64_t> shape(type.getShape());
  shape[0] = cast<RankedTensorType>(like.getType()).getDimSize(0);
  return type.clone(shape);
}

/// The scales of `rows`, cast as `op` does it, as they travel.
RankedTensorType getCompactScales(QuantizeOp op, Value rows) {
  RankedTensorType scales = op.getScales().getType();
  return getScalesType(
      getScalesEncoding(scales).withLayout(ScaleLayout::Compact),
      withRowsOf(op.getValues().getType(), rows), scales.getElementType());
}

/// Whether scales of blocks travel with their rows; else one is given.
bool QuantizeBeforeMovePass::movesScales(QuantizeOp op) {
  return !getScalesEncoding(op.getScales().getType()).isTensor();
}

/// The operand of a move that `rows` are copies of, or null.
OpOperand *QuantizeBeforeMovePass::getSource(Value rows) {
  auto mover = rows.getDefiningOp<RowMoveOpInterface>();
  return mover ? mover.getMovedOperand(cast<OpResult>(rows)) : nullptr;
}

/// What depends on the cast alone.
bool QuantizeBeforeMovePass::isLegal(QuantizeOp op) {
  if (!canFuseIntoCast(op, remarks))
    return false;
  if (!op.getValues())
    return missed(op, "its blocks run along columns, over rows that come "
                      "together only there");
  if (op.getValuesT() && columnwise != "requantize")
    return missed(op, "it casts columnwise too, over rows that come together "
                      "only there; from FP8 rows those would be other values");
  // Of rows that are not moved, and of rows that are moved twice, too.
  if (op.getAmax())
    return missed(op, "the amax of the rows moved is not that of all rows");
  ScalesAttr encoding = getScalesEncoding(op.getScales().getType());
  if (encoding.isTensor()) {
    if (!op.getScale())
      return missed(op, "its scale is that of all rows moved");
    if (op.getOffsets())
      return missed(op, "each of the {0} groups has a scale of its own",
                    encoding.getGroups());
    return true;
  }
  if (encoding.getRows() != 1)
    return missed(op, "its blocks of {0} x {1} hold several rows",
                  encoding.getRows(), encoding.getCols());
  return true;
}

/// The moves that the cast may legally pass.
Moves QuantizeBeforeMovePass::collectMoves(QuantizeOp op) {
  Moves moves;
  Value rows = op.getInput();
  while (OpOperand *source = getSource(rows)) {
    auto mover = cast<RowMoveOpInterface>(source->getOwner());
    StringRef name = nameOf(mover);
    if (mover->getBlock() != op->getBlock()) {
      missed(op, "the {0} stands in another block", name);
      break;
    }
    if (!rows.hasOneUse()) {
      missed(op, "the rows of {0} have {1} readers, not 1", name,
             rows.getNumUses());
      break;
    }
    if (mover.crossesRanks() && !movesScales(op)) {
      missed(op, "the scale of another rank may differ, and {0} crosses ranks",
             name);
      break;
    }
    Operation *scale = op.getScale() ? op.getScale().getDefiningOp() : nullptr;
    if (scale && scale->getBlock() == mover->getBlock() &&
        mover->isBeforeInBlock(scale)) {
      missed(op, "its scale is not known in front of {0}", name);
      break;
    }
    for (Value moved : {source->get(), rows})
      if (movesScales(op)) {
        RankedTensorType scales = getCompactScales(op, moved);
        int64_t count = cast<RankedTensorType>(moved.getType()).getDimSize(0);
        if (scales.getDimSize(0) != count) {
          missed(op, "{0} rows do not each have a row of {1}", count, scales);
          return moves;
        }
      }
    // A zero row is cast with a scale of 1, and comes with one of 0. That is
    // the same to whoever multiplies the two.
    if (mover.zeroesRows() && movesScales(op)) {
      Operation *reader = nullptr;
      for (OpOperand &use : op.getScales().getUses()) {
        auto user = dyn_cast<ScaleLayoutOpInterface>(use.getOwner());
        if (!user || isa<RowMoveOpInterface>(use.getOwner()) ||
            user.getScaledData(use.get()) != op.getValues())
          reader = use.getOwner();
      }
      if (reader) {
        missed(op, "{0} reads the scales of rows that {1} adds", nameOf(reader),
               name);
        break;
      }
    }
    moves.push_back(cast<OpResult>(rows));
    rows = source->get();
  }
  return moves;
}

/// That of all moves and of the cast, where that passes the first `passed` of
/// them. Behind a move that can cast, the two count as the one launch that other
/// passes make of them.
Traffic QuantizeBeforeMovePass::getTraffic(QuantizeOp op,
                                           ArrayRef<OpResult> moves,
                                           size_t passed) {
  auto getQuantizedBytes = [&](Value rows) {
    int64_t scales = movesScales(op) ? getBytes(getCompactScales(op, rows)) : 0;
    return getBytes(withRowsOf(op.getValues().getType(), rows)) + scales;
  };
  auto [crossing, bytes] = Traffic();
  for (auto [i, result] : llvm::enumerate(moves)) {
    Value source = getSource(result)->get();
    int64_t moved = cast<CostOpInterface>(result.getOwner()).getCost().bytes;
    if (i < passed)
      moved += getQuantizedBytes(source) + getQuantizedBytes(result) -
               getBytes(source.getType()) - getBytes(result.getType());
    bytes += moved;
    if (cast<RowMoveOpInterface>(result.getOwner()).crossesRanks())
      crossing += moved;
  }
  if (passed == 0) {
    bytes += op.getCost().bytes;
    auto nearest = cast<RowMoveOpInterface>(moves.front().getOwner());
    if (op.getOffsets() && nearest.canCastRows())
      bytes -= 2 * getBytes(op.getInput().getType());
    return {crossing, bytes};
  }
  Value source = getSource(moves[passed - 1])->get();
  bytes += getBytes(source.getType()) + getQuantizedBytes(source);
  if (op.getValuesT())
    bytes += getQuantizedBytes(op.getInput()) +
             getBytes(op.getValuesT().getType()) +
             getBytes(op.getScalesT().getType());
  return {crossing, bytes};
}

void QuantizeBeforeMovePass::rewrite(QuantizeOp op, ArrayRef<OpResult> moves,
                                     int64_t crossing) {
  Saving saving;
  saving.removed(op);
  Operation *outermost = moves.back().getOwner();
  OpBuilder builder(outermost);
  Value source = getSource(moves.back())->get();
  RankedTensorType values = withRowsOf(op.getValues().getType(), source);
  RankedTensorType scales =
      movesScales(op) ? getCompactScales(op, source) : op.getScales().getType();
  QuantizeOp cast = createDirection(op, builder, source, values, scales,
                                    /*columnwise=*/false, /*groups=*/Value());
  saving.added(cast);

  Value movedValues = cast.getValues(), movedScales = cast.getScales();
  for (OpResult result : llvm::reverse(moves)) {
    Operation *mover = result.getOwner();
    builder.setInsertionPoint(mover);
    Operation *moved =
        llvm::cast<RowMoveOpInterface>(mover).formQuantizedMove(
            builder, result, movedValues,
            movesScales(op) ? movedScales : Value());
    moved->setDiscardableAttrs(mover->getDiscardableAttrDictionary());
    saving.removed(mover).added(moved);
    unsigned next = movesScales(op) ? 2 : 1;
    for (OpResult other : mover->getResults())
      if (other != result)
        other.replaceAllUsesWith(moved->getResult(next++));
    movedValues = moved->getResult(0);
    if (movesScales(op))
      movedScales = moved->getResult(1);
  }

  builder.setInsertionPoint(op);
  if (op.getValuesT()) {
    Value rows = DequantizeOp::create(
        builder, op.getLoc(), op.getInput().getType(), movedValues, movedScales,
        /*tensor_amax=*/Value(), op.getOffsets());
    QuantizeOp again = createDirection(
        op, builder, rows, op.getValuesT().getType(),
        op.getScalesT().getType(), /*columnwise=*/true, op.getOffsets());
    saving.added(rows.getDefiningOp()).added(again);
    op.getValuesT().replaceAllUsesWith(again.getValuesT());
    op.getScalesT().replaceAllUsesWith(again.getScalesT());
  }
  if (movesScales(op) && movedScales.getType() != op.getScales().getType()) {
    movedScales = ConvertScalesOp::create(builder, op.getLoc(),
                                          op.getScales().getType(), movedScales,
                                          op.getValues().getType().getShape());
    saving.added(movedScales.getDefiningOp());
  }
  remarks.passed(op, saving)
      << remark::add("in front of {0}", nameOf(outermost))
      << remark::metric("BytesBetweenRanks", crossing);
  op.getValues().replaceAllUsesWith(movedValues);
  op.getScales().replaceAllUsesWith(movedScales);
  op.erase();
  for (OpResult result : moves)
    result.getOwner()->erase();
}

void QuantizeBeforeMovePass::move(QuantizeOp op) {
  if (!isLegal(op))
    return;
  Moves moves = collectMoves(op);
  if (moves.empty())
    return;
  Traffic behind = getTraffic(op, moves, 0), least = behind;
  size_t passed = 0;
  for (size_t i = 1; i <= moves.size(); ++i)
    if (Traffic traffic = getTraffic(op, moves, i); traffic < least) {
      least = traffic;
      passed = i;
    }
  if (passed == 0) {
    missed(op,
           "in front of {0} it would take {1} bytes, and {2} behind, in one "
           "launch with it",
           nameOf(moves.back().getOwner()),
           getTraffic(op, moves, moves.size()).second, behind.second);
    return;
  }
  moves.truncate(passed);
  rewrite(op, moves, behind.first - least.first);
  ++numMoved;
}
} // namespace
