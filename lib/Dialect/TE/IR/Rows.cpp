//===- Rows.cpp - ops that move rows, and ops on rows of groups -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the ops of each family answer to RowMoveOpInterface and
// GroupedRowsOpInterface.
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

using namespace mlir;
using namespace mlir::te;

/// Those of `values` that are there.
static SmallVector<Value> present(ValueRange values) {
  return llvm::to_vector(llvm::make_filter_range(
      values, [](Value value) { return bool(value); }));
}

//===----------------------------------------------------------------------===//
// RowMoveOpInterface
//===----------------------------------------------------------------------===//

/// The type of `value` with as many rows as `like` has.
static RankedTensorType withRowsOf(Value value, Value like) {
  SmallVector<int64_t> shape(tensorType(value).getShape());
  shape[0] = tensorType(like).getDimSize(0);
  return tensorType(value).clone(shape);
}

OpOperand *PermuteOp::getMovedOperand(OpResult result) {
  if (result == getOutput())
    return &getInputMutable();
  if (result == getOutScales())
    return &*getScalesMutable().begin();
  return nullptr;
}

bool PermuteOp::zeroesRows() { return bool(getCounts()); }
bool PermuteOp::canCastRows() { return true; }

Operation *PermuteOp::formQuantizedMove(OpBuilder &builder, OpResult result,
                                        Value values, Value scales) {
  assert(result == getOutput() && !getScales() && "rows without scales");
  return PermuteOp::create(builder, getLoc(), withRowsOf(values, result),
                           scales ? withRowsOf(scales, result) : Type(),
                           getOutProbs() ? getOutProbs().getType() : Type(),
                           values, scales, getProbs(), getRowMap(), getCounts(),
                           getOffsets());
}

OpOperand *DispatchOp::getMovedOperand(OpResult result) {
  return &getInputsMutable()[result.getResultNumber()];
}

bool DispatchOp::crossesRanks() { return true; }

Operation *DispatchOp::formQuantizedMove(OpBuilder &builder, OpResult result,
                                         Value values, Value scales) {
  SmallVector<Value> inputs = {values};
  SmallVector<Type> outputs = {withRowsOf(values, result)};
  if (scales) {
    inputs.push_back(scales);
    outputs.push_back(withRowsOf(scales, result));
  }
  for (auto [input, output] : llvm::zip(getInputs(), getOutputs()))
    if (output != result) {
      inputs.push_back(input);
      outputs.push_back(output.getType());
    }
  return DispatchOp::create(builder, getLoc(), outputs, getHandle(), inputs);
}

//===----------------------------------------------------------------------===//
// GroupedRowsOpInterface: routing
//===----------------------------------------------------------------------===//

/// The same offsets, in another place.
SmallVector<Value> ToHostOp::getRowOperands() { return {}; }

/// Tokens belong to no group yet.
SmallVector<Value> PermuteOp::getRowOperands() { return {}; }
SmallVector<Value> PermuteQuantizeOp::getRowOperands() { return {}; }

SmallVector<Value> UnpermuteOp::getRowOperands() {
  return present({getInput(), getProbs()});
}
bool UnpermuteOp::isRowResult(OpResult) { return false; }

//===----------------------------------------------------------------------===//
// GroupedRowsOpInterface: casts
//===----------------------------------------------------------------------===//

/// A scale or an amax of a whole group has no row.
template <typename CastOp> static bool isRowOfCast(CastOp op, OpResult result) {
  ScalesAttr encoding = getScalesEncoding(result.getType());
  return result != op.getAmaxOut() && !(encoding && encoding.isTensor());
}
static bool isRowOfCast(QuantizeOp op, OpResult result) {
  return result != op.getTensorAmax() && result != op.getTensorAmaxT() &&
         isRowOfCast<QuantizeOp>(op, result);
}

/// Likewise of scales that are read.
static SmallVector<Value> getQuantizedRows(Value values, Value scales) {
  if (getScalesEncoding(scales.getType()).isTensor())
    return {values};
  return {values, scales};
}

SmallVector<Value> QuantizeOp::getRowOperands() {
  SmallVector<Value> rows = {getInput()};
  for (auto [result, out] : llvm::zip(getResults(), getOuts()))
    if (isRowResult(result))
      rows.push_back(out);
  return rows;
}
bool QuantizeOp::isRowResult(OpResult result) {
  return isRowOfCast(*this, result);
}

SmallVector<Value> DequantizeOp::getRowOperands() {
  return getQuantizedRows(getValues(), getScales());
}

SmallVector<Value> RequantizeOp::getRowOperands() {
  return getQuantizedRows(getInput(), getInputScales());
}
bool RequantizeOp::isRowResult(OpResult result) {
  return isRowOfCast(*this, result);
}

bool PermuteQuantizeOp::isRowResult(OpResult result) {
  return isRowOfCast(*this, result);
}

//===----------------------------------------------------------------------===//
// GroupedRowsOpInterface: activations
//===----------------------------------------------------------------------===//

SmallVector<Value> SwigluOp::getRowOperands() {
  return present({getInput(), getProbs()});
}

SmallVector<Value> SwigluBackwardOp::getRowOperands() {
  return present({getGrad(), getInput(), getProbs()});
}

SmallVector<Value> SwigluQuantizeOp::getRowOperands() {
  return present({getInput(), getProbs()});
}
bool SwigluQuantizeOp::isRowResult(OpResult result) {
  return isRowOfCast(*this, result);
}

SmallVector<Value> SwigluBackwardQuantizeOp::getRowOperands() {
  return present({getGrad(), getInput(), getProbs()});
}
bool SwigluBackwardQuantizeOp::isRowResult(OpResult result) {
  return isRowOfCast(*this, result);
}

//===----------------------------------------------------------------------===//
// GroupedRowsOpInterface: products
//===----------------------------------------------------------------------===//

/// Rows of FP8 that run along tokens are read in pieces of 16 bytes, and scales
/// of groups in pieces of 16 bytes or, swizzled, in tiles of 128 tokens.
static int64_t getProductAlignment(Value lhs, Value lhsScales) {
  if (tensorType(lhs).getElementTypeBitWidth() > 8)
    return 1;
  ScalesAttr encoding = getScalesEncoding(lhsScales.getType());
  return encoding.getLayout() == ScaleLayout::Swizzled ? 128 : 16;
}

template <typename ProductOp>
static SmallVector<Value> getRowsOfProduct(ProductOp op, ValueRange rhs,
                                           ValueRange rhsScales,
                                           ValueRange outs) {
  SmallVector<Value> rows = {op.getLhs()};
  auto addScales = [&](Value scales) {
    if (scales && !getScalesEncoding(scales.getType()).isTensor())
      rows.push_back(scales);
  };
  addScales(op.getLhsScales());
  if (op.getRagged() == Ragged::Rows) {
    llvm::append_range(rows, outs);
    return rows;
  }
  llvm::append_range(rows, rhs);
  llvm::for_each(rhsScales, addScales);
  return rows;
}

SmallVector<Value> GemmOp::getRowOperands() {
  return getRowsOfProduct(*this, getRhs(), present(getRhsScales()),
                          present(getOuts()));
}
bool GemmOp::isRowResult(OpResult) { return getRagged() == Ragged::Rows; }
int64_t GemmOp::getRowAlignment(TargetAttr) {
  return getProductAlignment(getLhs(), getLhsScales());
}

SmallVector<Value> GroupedGemmOp::getRowOperands() {
  return getRowsOfProduct(*this, getRhs(), getRhsScales(), getOuts());
}
bool GroupedGemmOp::isRowResult(OpResult) {
  return getRagged() == Ragged::Rows;
}
int64_t GroupedGemmOp::getRowAlignment(TargetAttr) {
  return getProductAlignment(getLhs(), getLhsScales());
}

SmallVector<Value> GroupedGemmSwigluQuantizeOp::getRowOperands() {
  return present({getLhs(), getLhsScales(), getProbs()});
}
int64_t GroupedGemmSwigluQuantizeOp::getRowAlignment(TargetAttr) {
  return getProductAlignment(getLhs(), getLhsScales());
}
