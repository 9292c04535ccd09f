//===- OpenStep.h - a step whose signature grows with its body --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_BUILDERS_OPENSTEP_H
#define TE_LIB_BUILDERS_OPENSTEP_H

#include "Step.h"

#include <deque>

namespace mlir::te {

/// The function `@step`, and the loop over micro-batches in it. Arguments,
/// results and values that the loop carries may be added at any time; they are
/// settled by endLoop and finish.
class OpenStep {
public:
  OpenStep(ModuleOp module, int64_t ranks, int64_t microbatches);

  /// New ops go here: in front of the loop, in it, or behind it.
  OpBuilder b;

  Location loc(const Twine &name) {
    return NameLoc::get(b.getStringAttr(name));
  }
  NamedAttribute init(InitKind kind, FloatAttr deviation = {},
                      int64_t experts = 0);
  int64_t getMicrobatches() const { return microbatches; }
  Value zeros(RankedTensorType type);

  Value addArgument(const Twine &name, Type type,
                    ArrayRef<NamedAttribute> attributes = {});
  void addResult(const Twine &name, Value value,
                 ArrayRef<NamedAttribute> attributes = {});
  /// An argument with a value of this type for each micro-batch, and in the
  /// loop that of the present one.
  Value addMicrobatchArgument(const Twine &name, RankedTensorType type,
                              ArrayRef<NamedAttribute> attributes = {});
  /// In the loop: returns `value` of each micro-batch as one result.
  void addMicrobatchResult(const Twine &name, Value value);

  void beginLoop();
  /// In the loop: `value`, which lies in front of it, becomes what the
  /// iteration gets. What is in `value` at the end goes to the next one, and
  /// after endLoop it is the loop's result. It must stay where it is.
  void carry(Value &value);
  /// As an scf.for, or unrolled.
  void endLoop(bool unrolled);
  /// Returns the results.
  void finish();

private:
  void unroll(ArrayRef<Value> inits, ArrayRef<Value> yields);
  void settle(ArrayRef<Value> inits, ArrayRef<Value> yields);

  int64_t microbatches;
  func::FuncOp function;
  Ports arguments, results;
  SmallVector<Value> returned;
  /// The body of the loop, until endLoop.
  std::unique_ptr<Block> body;
  Value index;
  struct Carried {
    Value *value, init;
  };
  SmallVector<Carried> carried;
  struct MicrobatchResult {
    std::string name;
    Value all;
  };
  std::deque<MicrobatchResult> microbatchResults;
};

} // namespace mlir::te

#endif // TE_LIB_BUILDERS_OPENSTEP_H
