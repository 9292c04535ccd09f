//===- Liveness.cpp - when buffers of the arena live ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Liveness.h"

using namespace mlir;
using namespace mlir::te_rt;

namespace {
/// The positions of the first op in an op, itself, and of the last.
struct Span {
  unsigned begin, end;
};
} // namespace

static void number(Operation *op, unsigned &next,
                   DenseMap<Operation *, Span> &spans) {
  unsigned begin = next++;
  for (Region &region : op->getRegions())
    for (Block &block : region)
      for (Operation &inner : block)
        number(&inner, next, spans);
  spans[op] = {begin, next - 1};
}

/// Extends [begin, end] by all uses of `value` and of views of it, each as it is
/// seen from `block`: a use in a loop below counts as the whole loop.
static void addUses(Value value, Block *block,
                    const DenseMap<Operation *, Span> &spans, Span &live) {
  for (Operation *user : value.getUsers()) {
    if (auto member = dyn_cast<MemberOp>(user)) {
      addUses(member.getBuffer(), block, spans, live);
      continue;
    }
    Span at = spans.lookup(block->findAncestorOpInBlock(*user));
    live.begin = std::min(live.begin, at.begin);
    live.end = std::max(live.end, at.end);
  }
}

SmallVector<LiveBuffer> te_rt::getLiveBuffers(func::FuncOp function) {
  DenseMap<Operation *, Span> spans;
  unsigned next = 0;
  number(function, next, spans);
  SmallVector<LiveBuffer> buffers;
  function->walk<WalkOrder::PreOrder>([&](AllocOp alloc) {
    Span live{~0u, 0};
    addUses(alloc.getBuffer(), alloc->getBlock(), spans, live);
    int64_t bytes = alloc.getBuffer().getType().getBytes();
    if (live.begin <= live.end && bytes > 0)
      buffers.push_back({alloc, bytes, live.begin, live.end});
  });
  return buffers;
}
