//===- Workspaces.h - who reads and writes globals --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_WORKSPACES_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_WORKSPACES_H

#include "te/Dialect/TE/IR/TE.h"

#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::te {

/// The memory of a global, or of one member of it.
struct Workspace {
  SymbolRefAttr global;
  std::optional<int64_t> member;
  explicit operator bool() const { return bool(global); }
};

/// The loads and stores of globals in `root`.
class Workspaces {
public:
  explicit Workspaces(Operation *root);

  /// What `value` is the content of: a load, or a member of one.
  static Workspace find(Value value);

  /// Whether an op in `scope` may write `global`.
  bool isWrittenIn(SymbolRefAttr global, Operation *scope) const;

  /// Calls `visit` for each op that reads what `workspace` held before its next
  /// store behind `write`, through views, and for the value that it reads.
  /// `write` itself is none, nor who only overwrites what it is given. None
  /// where no such store follows: then the workspace is not written.
  void forEachReader(Workspace workspace, Operation *write,
                     function_ref<void(Operation *, Value)> visit) const;

  /// Of these, one that may run after `write` has, such as the backward of an
  /// earlier micro-batch; null if there is none, so that `write` may overwrite
  /// what the workspace holds.
  Operation *findPendingReader(Workspace workspace, Operation *write) const;

  /// A cast without destinations, whose results are stored to globals, gets as
  /// destinations what these hold, and `tensor.empty` for other results: it
  /// then writes into the workspace, where it wrote new memory that was copied.
  /// Returns a reader that stands in the way, null if there is none.
  Operation *passDestinations(QuantizeOp cast);

  /// To be told where ops that read workspaces come or go.
  void forgetReaders() { readers.clear(); }

private:
  struct Readers {
    SmallVector<Operation *> all;
    /// Of these, those of one member; and those of the whole, or of a member
    /// that is not known.
    llvm::DenseMap<int64_t, SmallVector<Operation *, 1>> ofMember;
    SmallVector<Operation *> ofOthers;
  };
  const Readers &getReaders(Value value) const;
  ml_program::GlobalStoreOp getNextStore(SymbolRefAttr global,
                                         Operation *write) const;

  llvm::DenseMap<Attribute, SmallVector<ml_program::GlobalLoadOp, 1>> loads;
  llvm::DenseMap<Attribute, SmallVector<ml_program::GlobalStoreOp, 1>> stores;
  /// Ops that may write any global.
  SmallVector<Operation *> unknown;
  mutable llvm::DenseMap<Value, Readers> readers;
};

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_WORKSPACES_H
