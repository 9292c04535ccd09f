//===- VerifyMemoryPlan.cpp - no two live buffers overlap -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Liveness.h"
#include "te/Dialect/TERuntime/Transforms/Passes.h"

#include <map>

namespace mlir::te_rt {
#define GEN_PASS_DEF_VERIFYMEMORYPLANPASS
#include "te/Dialect/TERuntime/Transforms/Passes.h.inc"
} // namespace mlir::te_rt

using namespace mlir;
using namespace mlir::te_rt;

static int64_t getOffset(const LiveBuffer &buffer) {
  return *AllocOp(buffer.alloc).getOffset();
}

static LogicalResult verifyBounds(func::FuncOp function) {
  auto arena =
      function->getAttrOfType<IntegerAttr>(TERuntimeDialect::kArenaBytesAttr);
  WalkResult result = function.walk([&](AllocOp alloc) {
    if (!alloc.getOffset())
      return alloc.emitOpError("has no place in the arena: run te-plan-memory"),
             WalkResult::interrupt();
    if (!arena)
      return function.emitOpError("has no ")
                 << TERuntimeDialect::kArenaBytesAttr
                 << ": run te-plan-memory",
             WalkResult::interrupt();
    int64_t end = *alloc.getOffset() + alloc.getBuffer().getType().getBytes();
    if (!alloc.getBuffer().use_empty() && end > arena.getInt())
      return alloc.emitOpError("ends at byte ")
                 << end << " of the arena, which has " << arena.getInt(),
             WalkResult::interrupt();
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

/// In order of time, with those alive by offset: each is compared with its
/// neighbours alone.
static LogicalResult verifyOverlaps(ArrayRef<LiveBuffer> buffers) {
  SmallVector<std::pair<unsigned, const LiveBuffer *>> begins, ends;
  for (const LiveBuffer &buffer : buffers) {
    begins.push_back({buffer.begin, &buffer});
    ends.push_back({buffer.end, &buffer});
  }
  llvm::sort(begins);
  llvm::sort(ends);
  std::map<int64_t, const LiveBuffer *> alive;
  auto refuse = [](const LiveBuffer &a, const LiveBuffer &b) {
    auto bytes = [](const LiveBuffer &buffer) {
      return std::to_string(getOffset(buffer)) + " to " +
             std::to_string(getOffset(buffer) + buffer.bytes);
    };
    InFlightDiagnostic error =
        AllocOp(a.alloc).emitOpError("lies in bytes ")
        << bytes(a) << " of the arena while another buffer lives in "
        << bytes(b);
    error.attachNote(AllocOp(b.alloc).getLoc()) << "the other buffer";
    return error;
  };
  size_t ended = 0;
  for (auto [begin, buffer] : begins) {
    for (; ended < ends.size() && ends[ended].first < begin; ++ended)
      alive.erase(getOffset(*ends[ended].second));
    auto next = alive.lower_bound(getOffset(*buffer));
    if (next != alive.end() &&
        next->first < getOffset(*buffer) + buffer->bytes)
      return refuse(*buffer, *next->second);
    if (next != alive.begin()) {
      const LiveBuffer *before = std::prev(next)->second;
      if (getOffset(*before) + before->bytes > getOffset(*buffer))
        return refuse(*buffer, *before);
    }
    alive.emplace(getOffset(*buffer), buffer);
  }
  return success();
}

namespace {
struct VerifyMemoryPlanPass
    : te_rt::impl::VerifyMemoryPlanPassBase<VerifyMemoryPlanPass> {
  using Base::Base;
  void runOnOperation() override {
    if (failed(verifyBounds(getOperation())) ||
        failed(verifyOverlaps(getLiveBuffers(getOperation()))))
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
