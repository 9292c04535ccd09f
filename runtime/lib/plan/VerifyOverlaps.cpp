//===- VerifyOverlaps.cpp - what a call writes is nobody else's operand ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operands are compared where the bytes that they cover over all iterations
// meet. Two that move in step (equal strides) are then held apart exactly; two
// that do not are refused where their distance could become too small at any
// corner of the iteration space, which is exact but for interleaved tensors.
//
//===----------------------------------------------------------------------===//

#include "plan/Verify.h"

#include <algorithm>
#include <cstring>
#include <tuple>

using namespace te_rt::interp;

namespace {

struct Extent {
  const Use *use;
  uint64_t begin, end; // over all iterations
  bool written;
};

/// The stride of `tensor` at `loop`, 0 where the loop's counter stays 0.
int64_t strideAt(const Tensor &tensor, size_t loop,
                 const std::vector<uint64_t> &tripCounts) {
  bool moves = loop < tensor.strides.size() && tripCounts[loop] > 1;
  return moves ? int64_t(tensor.strides[loop]) : 0;
}

/// Least and largest distance from the start of `a` to the start of `b`. The
/// terms are at most limits::bytes each: no overflow.
std::pair<int64_t, int64_t> distance(const Tensor &a, const Tensor &b,
                                     const std::vector<uint64_t> &tripCounts) {
  int64_t least = int64_t(b.offset) - int64_t(a.offset), most = least;
  for (size_t i = 0; i < tripCounts.size(); ++i) {
    int64_t step = strideAt(b, i, tripCounts) - strideAt(a, i, tripCounts);
    if (step == 0)
      continue;
    int64_t span = step * int64_t(tripCounts[i] - 1);
    (span < 0 ? least : most) += span;
  }
  return {least, most};
}

class OverlapVerifier {
public:
  OverlapVerifier(Verification &v, const Program &program,
                  const Function &function,
                  const std::vector<uint64_t> &tripCounts)
      : v(v), program(program), function(function), tripCounts(tripCounts) {}

  void verify(std::vector<Extent> &extents);

private:
  void compareWith(std::vector<const Extent *> &active, const Extent &extent);
  void verifyPair(const Use &a, const Use &b);
  bool mayShare(const Use &written, const Use &read) const;

  Verification &v;
  const Program &program;
  const Function &function;
  const std::vector<uint64_t> &tripCounts;
};

} // namespace

void OverlapVerifier::verify(std::vector<Extent> &extents) {
  auto key = [](const Extent &extent) {
    const Tensor &tensor = *extent.use->tensor;
    return std::make_tuple(tensor.space, tensor.index, extent.begin);
  };
  std::sort(extents.begin(), extents.end(),
            [&](const Extent &a, const Extent &b) { return key(a) < key(b); });
  // In order of their begin: those that reach beyond the current one's.
  std::vector<const Extent *> reads, writes;
  const Tensor *previous = nullptr;
  for (const Extent &extent : extents) {
    const Tensor *tensor = extent.use->tensor;
    if (previous && (previous->space != tensor->space ||
                     previous->index != tensor->index)) {
      reads.clear();
      writes.clear();
    }
    previous = tensor;
    compareWith(writes, extent);
    if (extent.written)
      compareWith(reads, extent);
    (extent.written ? writes : reads).push_back(&extent);
  }
}

void OverlapVerifier::compareWith(std::vector<const Extent *> &active,
                                  const Extent &extent) {
  v.comparisons += active.size();
  if (v.comparisons > limits::comparisons)
    v.where.refuse("the operands of the plan's calls overlap too often to be "
                   "compared, wanted at most ",
                   limits::comparisons, " comparisons");
  active.erase(std::remove_if(active.begin(), active.end(),
                              [&](const Extent *other) {
                                return other->end <= extent.begin;
                              }),
               active.end());
  for (const Extent *other : active) {
    if (extent.written)
      verifyPair(*extent.use, *other->use);
    else
      verifyPair(*other->use, *extent.use);
  }
}

bool OverlapVerifier::mayShare(const Use &written, const Use &read) const {
  const char *inPlaceOf = function.parameters[written.slot].inPlaceOf;
  return inPlaceOf && written.element == read.element &&
         !std::strcmp(inPlaceOf, function.parameters[read.slot].name);
}

/// `written` is written, `other` is read or written.
void OverlapVerifier::verifyPair(const Use &written, const Use &other) {
  const Tensor &a = *written.tensor, &b = *other.tensor;
  auto [least, most] = distance(a, b, tripCounts);
  if (least >= int64_t(a.bytes) || most <= -int64_t(b.bytes))
    return;
  bool same = least == 0 && most == 0 && a.bytes == b.bytes;
  if (same && (mayShare(written, other) || mayShare(other, written)))
    return;
  auto name = [&](const Use &use) {
    return function.parameters[use.slot].name;
  };
  v.where.refuse(
      "slot ", written.slot, " '", name(written), "' tensor ",
      written.tensor - program.tensors.data(), " is written at byte ", a.offset,
      " to ", a.offset + a.bytes, " of ", spaceName(a.space), " ", a.index,
      ", where slot ", other.slot, " '", name(other), "' tensor ",
      other.tensor - program.tensors.data(), " has ", b.offset, " to ",
      b.offset + b.bytes, ", wanted no overlap",
      function.parameters[written.slot].inPlaceOf ? " or the same tensor as '"
                                                  : "",
      function.parameters[written.slot].inPlaceOf
          ? function.parameters[written.slot].inPlaceOf
          : "",
      function.parameters[written.slot].inPlaceOf ? "'" : "");
}

void te_rt::interp::verifyOverlaps(Verification &v, const Program &program,
                                   const Function &function,
                                   const std::vector<Use> &uses,
                                   const std::vector<uint64_t> &tripCounts) {
  std::vector<Extent> extents;
  extents.reserve(uses.size());
  for (const Use &use : uses) {
    const Tensor &tensor = *use.tensor;
    if (tensor.bytes == 0)
      continue;
    uint64_t end =
        tensor.offset + tensor.bytes + loopReach(v.where, tensor, tripCounts);
    extents.push_back(
        {&use, tensor.offset, end, function.parameters[use.slot].isWritten()});
  }
  OverlapVerifier(v, program, function, tripCounts).verify(extents);
}
