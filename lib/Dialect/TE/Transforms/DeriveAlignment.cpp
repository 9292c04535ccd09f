//===- DeriveAlignment.cpp - no more padding than readers need ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "te/Dialect/TE/IR/TE.h"
#include "te/Dialect/TE/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

#include <numeric>

#define DEBUG_TYPE "te-derive-alignment"
namespace mlir::te {
#define GEN_PASS_DEF_DERIVEALIGNMENTPASS
#include "te/Dialect/TE/Transforms/Passes.h.inc"
} // namespace mlir::te

using namespace mlir;
using namespace mlir::te;

namespace {
/// The padded rows of a routing map, all their readers, and what these need.
class PaddedRows {
public:
  PaddedRows(RoutingMapOp map, const Remarks &remarks)
      : map(map), remarks(remarks), target(TargetAttr::lookup(map)) {}

  /// Fails, with a remark that names the obstacle, unless all readers of the
  /// rows, and of the places where these lie, work as well on other places.
  LogicalResult collect();
  /// The least common multiple of what readers need, and who needs most.
  int64_t getNeeded() const { return needed; }
  Operation *getNeediest() const { return neediest; }
  void align(int64_t alignment);

private:
  template <typename... Args>
  LogicalResult refuse(Operation *op, const char *reason, Args &&...args) {
    remarks.missed(op, reason, std::forward<Args>(args)...);
    return failure();
  }
  LogicalResult addReader(Operation *op);
  LogicalResult checkOperands(GroupedRowsOpInterface op);

  RoutingMapOp map;
  const Remarks &remarks;
  TargetAttr target;
  /// Offsets of the same counts and alignment.
  SmallVector<ComputeOffsetsOp> equals;
  /// What tells the places of rows, and rows themselves: each with its readers.
  llvm::SetVector<Value> values;
  int64_t needed = 1;
  Operation *neediest = nullptr;
};

struct DeriveAlignmentPass
    : te::impl::DeriveAlignmentPassBase<DeriveAlignmentPass> {
  using Base::Base;
  void runOnOperation() override;
};
} // namespace

static StringRef nameOf(Operation *op) { return op->getName().getStringRef(); }

/// Rows and places that the op reads are those of the map, or nothing yet.
LogicalResult PaddedRows::checkOperands(GroupedRowsOpInterface op) {
  bool knowsPlaces = false;
  for (Value operand : op->getOperands()) {
    if (!getElementTypeOrSelf(operand.getType()).isInteger(32) ||
        operand == map.getCounts())
      continue;
    if (!values.contains(operand))
      return refuse(op, "{0} reads other groups as well", nameOf(op));
    knowsPlaces = true;
  }
  if (!knowsPlaces)
    return refuse(op, "{0} reads all rows, whichever belong to a group",
                  nameOf(op));
  for (Value rows : op.getRowOperands())
    if (!values.contains(rows) && !rows.getDefiningOp<tensor::EmptyOp>() &&
        !matchPattern(rows, m_Constant()))
      return refuse(op, "{0} reads rows that were not moved by the routing map",
                    nameOf(op));
  return success();
}

LogicalResult PaddedRows::addReader(Operation *reader) {
  auto op = dyn_cast<GroupedRowsOpInterface>(reader);
  if (!op)
    return refuse(reader, "{0} needs rows where they are", nameOf(reader));
  int64_t alignment = op.getRowAlignment(target);
  if (alignment > 1 && (!neediest || alignment > needed))
    neediest = op;
  needed = std::lcm(needed, alignment);
  for (OpResult result : op->getResults())
    if (op.isRowResult(result))
      values.insert(result);
  return success();
}

LogicalResult PaddedRows::collect() {
  int64_t most = map.getMostRows(map.getAlignment());
  if (int64_t(map.getCapacity()) < most)
    return refuse(map, "its capacity of {0} rows may overflow, as {1} may be needed",
                  map.getCapacity(), most);
  values.insert(map.getRowMap());
  values.insert(map.getOffsets());
  for (Operation *user : map.getCounts().getUsers())
    if (auto op = dyn_cast<ComputeOffsetsOp>(user))
      if (op.getAlignment() == map.getAlignment()) {
        equals.push_back(op);
        values.insert(op.getOffsets());
      }
  llvm::SetVector<Operation *> readers;
  for (size_t i = 0; i < values.size(); ++i)
    for (Operation *user : values[i].getUsers())
      if (readers.insert(user) && failed(addReader(user)))
        return failure();
  // Once all rows are known.
  for (Operation *reader : readers)
    if (failed(checkOperands(cast<GroupedRowsOpInterface>(reader))))
      return failure();
  return success();
}

void PaddedRows::align(int64_t alignment) {
  map.setAlignment(alignment);
  for (ComputeOffsetsOp op : equals)
    op.setAlignment(alignment);
}

void DeriveAlignmentPass::runOnOperation() {
  Remarks remarks{DEBUG_TYPE, "DeriveAlignment"};
  getOperation().walk([&](RoutingMapOp map) {
    int64_t alignment = map.getAlignment();
    if (alignment == 1)
      return;
    PaddedRows rows(map, remarks);
    if (failed(rows.collect()))
      return;
    if (rows.getNeeded() >= alignment) {
      remarks.missed(map, "{0} needs a multiple of {1}",
                     nameOf(rows.getNeediest()), rows.getNeeded());
      return;
    }
    auto passed = remarks.passed(map, Saving());
    passed << remark::metric("From", alignment)
           << remark::metric("To", rows.getNeeded())
           << remark::metric("Rows", map.getMostRows(alignment) -
                                         map.getMostRows(rows.getNeeded()));
    if (rows.getNeediest())
      passed << remark::add("what {0} needs", nameOf(rows.getNeediest()));
    rows.align(rows.getNeeded());
    ++numLowered;
  });
}
