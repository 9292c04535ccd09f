//===- Emitter.h - writes the lowered function ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_CONVERSION_TETOTERUNTIME_EMITTER_H
#define TE_LIB_CONVERSION_TETOTERUNTIME_EMITTER_H

#include "BufferAssignment.h"
#include "te/Dialect/TERuntime/IR/TERuntime.h"

namespace mlir::te {

/// Writes a function on buffers, as an assignment says. Wherever a value must be
/// in a place where it does not lie, there is a copy.
class Emitter {
public:
  Emitter(func::FuncOp from, BufferAssignment &assignment)
      : from(from), assignment(assignment), builder(from) {}

  /// The lowered function, before the one it is made from.
  func::FuncOp emit();

private:
  func::FuncOp emitSignature();
  void emitBody(Block &block);
  void emit(Operation *op);
  void emitCall(RuntimeCallOpInterface op);
  void emitLoop(scf::ForOp loop);
  void emitYield(scf::YieldOp yield);
  void emitInsert(InsertMemberOp op);
  void emitReturn(func::ReturnOp op);

  /// Makes `place` hold `value`: nothing, a fill or a copy.
  void move(Location loc, Value value, const BufferPlace &place);
  Value getBuffer(Value value);
  Value getBuffer(const BufferPlace &place);
  Value getRoot(unsigned id);
  Value getMember(Value packed, MemberIndex index);
  Value getConstant(Value value);
  Value makeAlloc(Block *scope, RankedTensorType type);

  func::FuncOp from;
  BufferAssignment &assignment;
  OpBuilder builder;
  func::FuncOp to;
  llvm::DenseMap<unsigned, Value> roots;
  llvm::DenseMap<Attribute, Value> constants;
  llvm::DenseMap<std::pair<Block *, Value>, SmallVector<std::pair<MemberIndex, Value>>>
      members;
  llvm::DenseMap<Block *, Block *> blocks;
  /// Loop counters and their bounds.
  IRMapping scalars;
};

} // namespace mlir::te

#endif // TE_LIB_CONVERSION_TETOTERUNTIME_EMITTER_H
