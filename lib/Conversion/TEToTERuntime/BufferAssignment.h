//===- BufferAssignment.h - which values share a buffer ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Values that hold one buffer's content, one after another, are a class. Ops
// are visited in order; where a result may take the place of a destination, it
// joins its class, else it begins one. Nothing is rewritten here: what must be
// copied follows from comparing where the values lie.
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_CONVERSION_TETOTERUNTIME_BUFFERASSIGNMENT_H
#define TE_LIB_CONVERSION_TETOTERUNTIME_BUFFERASSIGNMENT_H

#include "ProgramOrder.h"
#include "te/Dialect/TE/IR/TE.h"

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::te {

/// A position along the first dimension: a constant, or a loop's counter.
using MemberIndex = OpFoldResult;

/// The index of a te.member or te.insert_member, constants resolved.
template <typename Op> MemberIndex getMemberIndex(Op op) {
  if (op.getIndex())
    return IntegerAttr::get(IndexType::get(op.getContext()), *op.getIndex());
  if (auto constant = getConstantIntValue(op.getDynamicIndex()))
    return IntegerAttr::get(IndexType::get(op.getContext()), *constant);
  return op.getDynamicIndex();
}

/// Whether `value` has no buffer of its own: constants and undefined tensors
/// are made anew where a buffer is needed.
bool isMadeAtUse(Value value);

/// Where a class of values lies.
struct BufferClass {
  enum Kind {
    Alloc,     // in a buffer made for it, or (`result`) that of a result
    Argument,  // argument `number` of the function: read only
    Workspace, // `global`
    Placed,    // member `index` of class `container`
  };
  Kind kind;
  RankedTensorType type;
  SmallVector<Value> values;
  /// The block that the buffer is made in: it holds for one execution of it.
  Block *scope = nullptr;
  /// The op that writes it first.
  Operation *first = nullptr;
  unsigned number = 0;
  std::optional<unsigned> result;
  StringAttr global;
  unsigned container = 0;
  MemberIndex index;
  SmallVector<unsigned> placed; // classes that lie in this one
  std::optional<unsigned> mergedInto;
};

/// Where a value lies: a class that lies in no other, then member by member.
struct BufferPlace {
  unsigned root;
  SmallVector<MemberIndex, 2> path;
  bool operator==(const BufferPlace &other) const {
    return root == other.root && path == other.path;
  }
};

class BufferAssignment {
public:
  /// Without `reuse` each value gets a buffer of its own.
  BufferAssignment(func::FuncOp function, bool reuse)
      : function(function), order(function), reuse(reuse) {}

  /// Visits the whole function. Emits an error and fails where it holds
  /// something that has no lowering; leaves a remark where a workspace is not
  /// updated in place.
  LogicalResult compute();

  const BufferClass &operator[](unsigned id) const { return classes[id]; }
  /// Where `value`, which is not made at its use, lies.
  BufferPlace getPlace(Value value) const;
  /// Where the argument for result `number` of the function lies, if a class
  /// lies in it.
  std::optional<unsigned> getResultClass(unsigned number) const;
  /// The class of the memory of a global.
  unsigned getGlobalClass(StringAttr global);

private:
  using Ignore = function_ref<bool(OpOperand &)>;
  static bool ignoreNothing(OpOperand &) { return false; }

  void findBuffered();
  void explainCopies();
  void reset();
  LogicalResult visit(Block &block);
  LogicalResult visit(Operation *op);
  LogicalResult visitCall(RuntimeCallOpInterface op);
  LogicalResult visitLoop(scf::ForOp loop);
  void visitYield(scf::ForOp loop);
  LogicalResult visitInsert(InsertMemberOp op);
  void visitLoad(ml_program::GlobalLoadOp op);
  void visitStore(ml_program::GlobalStoreOp op);
  void visitReturn(func::ReturnOp op);

  unsigned find(unsigned id) const;
  /// The class of a value that is no view.
  unsigned classOf(Value value) const { return find(ids.lookup(value)); }
  unsigned addClass(BufferClass::Kind kind, Value value, Operation *first);
  void join(Value value, unsigned id);
  void merge(unsigned from, unsigned into);
  void place(unsigned id, unsigned container, MemberIndex index);

  /// Whether `write` may overwrite what `destination` holds.
  bool mayOverwrite(OpOperand &destination, Operation *write, bool reads,
                    Ignore ignore);
  bool mayOverwriteView(OpOperand &destination, Operation *write, bool reads,
                        Ignore ignore);
  bool isWritable(unsigned id, Operation *write) const;
  /// An op that wants the old content after `write`; null if there is none.
  Operation *findUseAfter(Value value, Value origin, Operation *write,
                          Ignore ignore);
  Operation *findClassUseAfter(unsigned id, Operation *write, Ignore ignore);
  Operation *findPlacedUseAfter(unsigned id, Operation *write, Ignore ignore);
  void noteCopy(OpOperand &destination, Operation *write, Ignore ignore);
  bool mayYieldInPlace(scf::ForOp loop, unsigned yielded, unsigned carried);
  bool isUsedFrom(unsigned id, Operation *from, Region &within);
  bool mayPlace(InsertMemberOp op, unsigned container, MemberIndex index);
  bool isSlotUsedBetween(Value packed, MemberIndex index, unsigned from,
                         unsigned to);

  func::FuncOp function;
  ProgramOrder order;
  bool reuse;
  std::vector<BufferClass> classes;
  llvm::DenseMap<unsigned, unsigned> resultClasses;
  llvm::DenseMap<Value, unsigned> ids;
  llvm::DenseMap<StringAttr, unsigned> globalClasses;
  llvm::MapVector<StringAttr, SmallVector<Operation *>> loads, stores;
  /// Globals whose loads and stores copy.
  llvm::SetVector<StringAttr> buffered;
  bool restart = false;
  /// By op that updates a global, but not in place: the global, and who reads
  /// what it held.
  struct Copied {
    StringAttr global;
    Operation *reader;
  };
  llvm::MapVector<Operation *, Copied> copied;
};

} // namespace mlir::te

#endif // TE_LIB_CONVERSION_TETOTERUNTIME_BUFFERASSIGNMENT_H
