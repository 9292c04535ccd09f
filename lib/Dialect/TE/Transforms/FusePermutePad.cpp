//===- FusePermutePad.cpp - rows moved to padded places at once -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "te/Dialect/TE/IR/TE.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#define DEBUG_TYPE "te-fuse-permute-pad"
namespace mlir::te {
#define GEN_PASS_DEF_FUSEPERMUTEPADPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
/// Rows moved to dense places, dequantized there (or not: null), then padded.
struct PaddedMove {
  PermuteOp permute;
  DequantizeOp dequantize;
  PadOp pad;
};

/// Padded rows made dense, then summed.
struct UnpaddedSum {
  UnpadOp unpad;
  UnpermuteOp unpermute;
};

/// A dense row map, and how its readers would read one of padded rows. One row
/// map serves all of them, or none.
class DenseRowMap {
public:
  DenseRowMap(RoutingMapOp map, const Remarks &remarks)
      : map(map), remarks(remarks) {}

  /// Whether rows are padded or unpadded at all.
  bool isPadded();
  /// Fails, with a remark that names the obstacle, unless all readers of the
  /// map and of dense rows can go over.
  LogicalResult collect();
  void rewrite();

  ArrayRef<PaddedMove> getMoves() const { return moves; }
  ArrayRef<UnpaddedSum> getSums() const { return sums; }

private:
  template <typename... Args>
  LogicalResult refuse(Operation *op, const char *reason, Args &&...args) {
    remarks.missed(op, reason, std::forward<Args>(args)...);
    return failure();
  }
  LogicalResult needsDense(Operation *reader) {
    return refuse(reader, "{0} needs dense rows",
                  reader->getName().getStringRef());
  }

  LogicalResult addMove(PermuteOp permute);
  LogicalResult addSum(UnpermuteOp unpermute);
  LogicalResult checkOnlyReader(Value rows);
  LogicalResult checkPadding(Operation *op, Value dense, Value aligned,
                             Value alignedRows);
  LogicalResult checkDenseReaders();
  LogicalResult checkCapacity();
  uint64_t getAlignmentOf(Value offsets);

  RoutingMapOp map;
  const Remarks &remarks;
  SmallVector<PaddedMove> moves;
  SmallVector<UnpaddedSum> sums;
  /// Of the padded rows; 0 before the first is seen.
  int64_t alignment = 0, capacity = 0;
};

struct FusePermutePadPass
    : te::impl::FusePermutePadPassBase<FusePermutePadPass> {
  using Base::Base;
  void runOnOperation() override;
};
} // namespace

static bool isReadByPad(Value rows) {
  return llvm::any_of(rows.getUsers(),
                      [](Operation *user) { return isa<PadOp>(user); });
}

static RankedTensorType withRows(Value rows, int64_t count) {
  auto type = cast<RankedTensorType>(rows.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[0] = count;
  return type.clone(shape);
}

bool DenseRowMap::isPadded() {
  return llvm::any_of(map.getRowMap().getUsers(), [](Operation *user) {
    if (auto unpermute = dyn_cast<UnpermuteOp>(user))
      return bool(unpermute.getInput().getDefiningOp<UnpadOp>());
    auto permute = dyn_cast<PermuteOp>(user);
    return permute &&
           (isReadByPad(permute.getOutput()) ||
            llvm::any_of(permute.getOutput().getUsers(), [](Operation *reader) {
              auto dequantize = dyn_cast<DequantizeOp>(reader);
              return dequantize && isReadByPad(dequantize.getOutput());
            }));
  });
}

/// The alignment of these offsets of the counts of the map; 0 for offsets of
/// anything else.
uint64_t DenseRowMap::getAlignmentOf(Value offsets) {
  if (offsets == map.getOffsets())
    return map.getAlignment();
  auto op = offsets.getDefiningOp<ComputeOffsetsOp>();
  return op && op.getCounts() == map.getCounts() ? op.getAlignment() : 0;
}

LogicalResult DenseRowMap::checkOnlyReader(Value rows) {
  if (rows.hasOneUse())
    return success();
  for (Operation *reader : rows.getUsers())
    if (!isa<PadOp, DequantizeOp>(reader))
      return needsDense(reader);
  return refuse(rows.getDefiningOp(), "its dense rows have {0} readers, not 1",
                rows.getNumUses());
}

/// `op` moves rows between these dense and aligned offsets: those of the counts
/// of the map, and with one alignment and capacity everywhere.
LogicalResult DenseRowMap::checkPadding(Operation *op, Value dense,
                                        Value aligned, Value alignedRows) {
  if (getAlignmentOf(dense) != 1)
    return refuse(op, "its dense offsets are not those of the routing map");
  int64_t thisAlignment = getAlignmentOf(aligned);
  if (thisAlignment <= 1)
    return refuse(op, "its padded offsets are not those of the counts of the "
                      "routing map with an alignment above 1");
  int64_t rows = cast<RankedTensorType>(alignedRows.getType()).getDimSize(0);
  if (capacity == 0) {
    alignment = thisAlignment;
    capacity = rows;
  }
  if (thisAlignment != alignment || rows != capacity)
    return refuse(op,
                  "{0} rows with alignment {1}, where another reader of the "
                  "routing map has {2} with {3}",
                  rows, thisAlignment, capacity, alignment);
  return success();
}

LogicalResult DenseRowMap::addMove(PermuteOp permute) {
  if (permute.getCounts())
    return refuse(permute, "its rows are padded already");
  PaddedMove move{permute, {}, {}};
  Value rows = permute.getOutput();
  if (failed(checkOnlyReader(rows)))
    return failure();
  if (auto dequantize = dyn_cast<DequantizeOp>(*rows.user_begin())) {
    // Zero rows with zero scales are zero rows, as `te.pad` would have made
    // them; with scales from elsewhere, which may be infinite, they need not.
    if (!permute.getOutScales() ||
        dequantize.getScales() != permute.getOutScales())
      return refuse(dequantize, "its scales do not come from the te.permute");
    if (dequantize.getOffsets() && getAlignmentOf(dequantize.getOffsets()) != 1)
      return refuse(dequantize, "its groups are not those of the routing map");
    move.dequantize = dequantize;
    rows = dequantize.getOutput();
    if (failed(checkOnlyReader(rows)))
      return failure();
  }
  if (Value scales = permute.getOutScales())
    for (Operation *reader : scales.getUsers())
      if (!move.dequantize || reader != move.dequantize)
        return needsDense(reader);
  move.pad = dyn_cast<PadOp>(*rows.user_begin());
  if (!move.pad)
    return needsDense(*rows.user_begin());
  if (move.pad.getProbs() && move.pad.getProbs() != permute.getOutProbs())
    return refuse(move.pad, "its probs do not come from the te.permute");
  if (Value probs = permute.getOutProbs())
    for (Operation *reader : probs.getUsers())
      if (reader != move.pad)
        return needsDense(reader);
  moves.push_back(move);
  return checkPadding(move.pad, move.pad.getFrom(), move.pad.getTo(),
                      move.pad.getOutput());
}

LogicalResult DenseRowMap::addSum(UnpermuteOp unpermute) {
  auto unpad = unpermute.getInput().getDefiningOp<UnpadOp>();
  if (!unpad)
    return needsDense(unpermute);
  if (unpermute.getProbs() && unpermute.getProbs() != unpad.getOutProbs())
    return refuse(unpermute, "its probs do not come from the te.unpad");
  for (Operation *reader : unpad->getUsers())
    if (reader != unpermute)
      return needsDense(reader);
  sums.push_back({unpad, unpermute});
  return checkPadding(unpad, unpad.getTo(), unpad.getFrom(), unpad.getInput());
}

/// Of what reads dense offsets, all goes over.
LogicalResult DenseRowMap::checkDenseReaders() {
  llvm::SmallPtrSet<Operation *, 8> known;
  for (const PaddedMove &move : moves) {
    known.insert(move.pad);
    if (move.dequantize)
      known.insert(move.dequantize);
  }
  for (const UnpaddedSum &sum : sums)
    known.insert(sum.unpad);
  SmallVector<Value> dense = {map.getOffsets()};
  for (Operation *user : map.getCounts().getUsers())
    if (auto op = dyn_cast<ComputeOffsetsOp>(user))
      if (op.getAlignment() == 1)
        dense.push_back(op.getOffsets());
  for (Value offsets : dense)
    for (Operation *reader : offsets.getUsers())
      if (!known.contains(reader))
        return needsDense(reader);
  return success();
}

/// What one form drops for want of room, the other might not: so nothing may be
/// dropped in either, wherever tokens are routed to.
LogicalResult DenseRowMap::checkCapacity() {
  int64_t pairs = map.getMostRows(1);
  if (int64_t(map.getCapacity()) < pairs)
    return refuse(map,
                  "its capacity of {0} rows may overflow, as {1} pairs may be "
                  "routed",
                  map.getCapacity(), pairs);
  int64_t most = map.getMostRows(alignment);
  if (capacity < most)
    return refuse(map,
                  "the {0} padded rows may overflow, as {1} may be needed with "
                  "alignment {2}",
                  capacity, most, alignment);
  return success();
}

LogicalResult DenseRowMap::collect() {
  for (OpOperand &use : map.getRowMap().getUses()) {
    Operation *reader = use.getOwner();
    LogicalResult added = failure();
    if (auto permute = dyn_cast<PermuteOp>(reader))
      added = addMove(permute);
    else if (auto unpermute = dyn_cast<UnpermuteOp>(reader))
      added = addSum(unpermute);
    else
      added = needsDense(reader);
    if (failed(added))
      return failure();
  }
  if (failed(checkDenseReaders()))
    return failure();
  return checkCapacity();
}

void DenseRowMap::rewrite() {
  // From here on the offsets of the map are the aligned ones.
  map.setAlignment(alignment);
  map.setCapacity(capacity);
  for (auto [permute, dequantize, pad] : moves) {
    remarks.passed(pad, Saving().removed(pad));
    permute.getCountsMutable().assign(map.getCounts());
    permute.getOffsetsMutable().assign(map.getOffsets());
    Value rows = permute.getOutput();
    rows.setType(withRows(rows, capacity));
    if (Value scales = permute.getOutScales())
      scales.setType(getScalesType(
          getScalesEncoding(scales.getType()),
          cast<RankedTensorType>(rows.getType()),
          cast<RankedTensorType>(scales.getType()).getElementType()));
    if (Value probs = permute.getOutProbs())
      probs.setType(withRows(probs, capacity));
    if (dequantize) {
      if (dequantize.getOffsets())
        dequantize.getOffsetsMutable().assign(map.getOffsets());
      rows = dequantize.getOutput();
      rows.setType(withRows(rows, capacity));
    }
    pad.getOutput().replaceAllUsesWith(rows);
    if (Value probs = pad.getOutProbs())
      probs.replaceAllUsesWith(permute.getOutProbs());
    pad.erase();
  }
  for (auto [unpad, unpermute] : sums) {
    remarks.passed(unpad, Saving().removed(unpad));
    unpermute.getInputMutable().assign(unpad.getInput());
    if (unpermute.getProbs())
      unpermute.getProbsMutable().assign(unpad.getProbs());
    unpad.erase();
  }
  for (Operation *user :
       llvm::make_early_inc_range(map.getCounts().getUsers())) {
    auto op = dyn_cast<ComputeOffsetsOp>(user);
    if (!op ||
        (op.getAlignment() != 1 && int64_t(op.getAlignment()) != alignment))
      continue;
    op.getOffsets().replaceAllUsesWith(map.getOffsets());
    op.erase();
  }
}

void FusePermutePadPass::runOnOperation() {
  Remarks remarks{DEBUG_TYPE, "FusePermutePad"};
  SmallVector<RoutingMapOp> maps;
  getOperation().walk([&](RoutingMapOp map) {
    if (map.getAlignment() == 1)
      maps.push_back(map);
  });
  for (RoutingMapOp map : maps) {
    DenseRowMap dense(map, remarks);
    if (!dense.isPadded() || failed(dense.collect()))
      continue;
    numPads += dense.getMoves().size();
    numUnpads += dense.getSums().size();
    dense.rewrite();
  }
}
