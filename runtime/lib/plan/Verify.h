//===- Verify.h - the parts of a plan's verification ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// They run after flatbuffers::Verifier has found the structure sound, and turn
// the buffer into the model of Plan.h. All throw InvalidPlan.
//
//===----------------------------------------------------------------------===//
#ifndef TE_RT_PLAN_VERIFY_H
#define TE_RT_PLAN_VERIFY_H

#include "plan/Plan.h"
#include "plan/Where.h"

namespace te_rt::interp {

/// What a plan may ask for at most: far above any real one, and low enough that
/// no sum or product of two of them overflows 64 bits, and that verifying a
/// hostile plan takes seconds at most.
namespace limits {
inline constexpr uint64_t bytes = uint64_t(1) << 46; // of one tensor, of all
inline constexpr uint64_t tripCount = uint64_t(1) << 31;
inline constexpr uint64_t steps = uint64_t(1) << 40; // of one run
inline constexpr uint64_t depth = 8;                 // of nested loops
inline constexpr uint64_t uses = uint64_t(1) << 22;  // of tensors, in all calls
inline constexpr uint64_t comparisons = uint64_t(1) << 26; // of uses
inline constexpr uint64_t ranks = 1 << 16;
} // namespace limits

struct Verification {
  const plan::Plan &root;
  te_rt_plan &plan;
  Where where;
  std::vector<const Function *> functions; // as Plan.functions lists them
  uint64_t uses = 0;
  uint64_t comparisons = 0;
};

/// Everything; fills verification.plan.
void verifyPlan(Verification &verification);

/// The table of tensors: descriptors without overflow.
void verifyTensors(Verification &verification, const plan::Program &source,
                   Program &program);
/// The arguments; needs the tensors.
void verifyArguments(Verification &verification, const plan::Program &source,
                     Program &program);
/// That the tensors lie in their space; needs the arguments.
void verifyBounds(Verification &verification, const Program &program);
/// Calls and loops; needs all of the above.
void verifySteps(Verification &verification, const plan::Program &source,
                 Program &program);

/// A tensor as an operand of a call.
struct Use {
  const Tensor *tensor;
  uint32_t slot;
  uint32_t element; // of the slot
};
/// That no written operand of a call in loops of these trip counts overlaps
/// another one, unless it is the same memory and the function allows it.
void verifyOverlaps(Verification &verification, const Program &program,
                    const Function &function, const std::vector<Use> &uses,
                    const std::vector<uint64_t> &tripCounts);

/// Bytes of the memory that tensors of this space and index lie in; the index
/// is in range.
uint64_t spaceBytes(const te_rt_plan &plan, const Program &program,
                    plan::Space space, uint32_t index);
const char *spaceName(plan::Space space);

/// The bytes that `tensor` reaches past its offset by the strides of the loops:
/// its stride times the last counter, summed up.
uint64_t loopReach(const Where &where, const Tensor &tensor,
                   const std::vector<uint64_t> &tripCounts);

/// `string` without control characters, so that messages stay one line; ""
/// where it is absent.
const char *verifyString(const Where &where, const char *what,
                         const flatbuffers::String *string);

template <typename T> uint32_t sizeOf(const T *vector) {
  return vector ? vector->size() : 0;
}

} // namespace te_rt::interp

#endif // TE_RT_PLAN_VERIFY_H
