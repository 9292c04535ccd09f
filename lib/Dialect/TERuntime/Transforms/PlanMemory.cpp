//===- PlanMemory.cpp - assigns places in the arena -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Liveness.h"
#include "te/Dialect/TERuntime/Transforms/Passes.h"
#include "te/Support/Assert.h"

#include "llvm/Support/MathExtras.h"

namespace mlir::te_rt {
#define GEN_PASS_DEF_PLANMEMORYPASS
#include "te/Dialect/TERuntime/Transforms/Passes.h.inc"
} // namespace mlir::te_rt

using namespace mlir;
using namespace mlir::te_rt;

namespace {
/// A buffer in the arena, its bytes rounded up to the alignment.
struct PlacedBuffer {
  int64_t offset, bytes;
  unsigned begin, end;
};

/// The buffers placed so far, by offset.
class Arena {
public:
  /// Places a buffer in the smallest hole that fits; returns its offset.
  int64_t place(int64_t bytes, unsigned begin, unsigned end) {
    int64_t best = -1, bestBytes = std::numeric_limits<int64_t>::max();
    int64_t free = 0; // up to here all is taken while the buffer lives
    for (const PlacedBuffer &other : placed) {
      if (other.end < begin || end < other.begin)
        continue;
      int64_t hole = other.offset - free;
      if (hole >= bytes && hole < bestBytes) {
        best = free;
        bestBytes = hole;
      }
      free = std::max(free, other.offset + other.bytes);
    }
    if (best < 0)
      best = free;
    TE_ASSERT(llvm::none_of(placed,
                            [&](const PlacedBuffer &other) {
                              return other.end >= begin && end >= other.begin &&
                                     other.offset < best + bytes &&
                                     best < other.offset + other.bytes;
                            }),
              "no two buffers that live at once share a byte");
    PlacedBuffer added{best, bytes, begin, end};
    placed.insert(llvm::upper_bound(placed, added,
                                    [](const auto &a, const auto &b) {
                                      return a.offset < b.offset;
                                    }),
                  added);
    return best;
  }

private:
  std::vector<PlacedBuffer> placed;
};

struct PlanMemoryPass : te_rt::impl::PlanMemoryPassBase<PlanMemoryPass> {
  using Base::Base;
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (alignment < 1) {
      function.emitError(
          "te-plan-memory: alignment must be at least 1, but got ")
          << alignment;
      return signalPassFailure();
    }
    SmallVector<LiveBuffer> buffers = getLiveBuffers(function);
    // Buffers that nobody uses need no memory.
    function.walk([](AllocOp alloc) { alloc.setOffset(0); });
    llvm::stable_sort(buffers, [](const LiveBuffer &a, const LiveBuffer &b) {
      return a.bytes > b.bytes;
    });
    Arena arena;
    int64_t peak = 0;
    for (const LiveBuffer &buffer : buffers) {
      int64_t bytes = llvm::divideCeil(buffer.bytes, alignment) * alignment;
      int64_t offset = arena.place(bytes, buffer.begin, buffer.end);
      AllocOp(buffer.alloc).setOffset(offset);
      peak = std::max(peak, offset + bytes);
    }
    function->setAttr(TERuntimeDialect::kArenaBytesAttr,
                      Builder(function).getI64IntegerAttr(peak));
  }
};
} // namespace
