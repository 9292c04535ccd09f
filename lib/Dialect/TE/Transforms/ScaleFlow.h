//===- ScaleFlow.h - where the scales of a function go ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_SCALEFLOW_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_SCALEFLOW_H

#include "LayoutAssignment.h"
#include "Workspaces.h"

#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/IntEqClasses.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::te {

class Remarks;

/// A value of scales that has a choice of layouts, and who reads it. Its
/// conversions are regarded as the value itself: who reads one, reads it.
struct ScaleFlow {
  struct Reader {
    OpOperand *operand;
    unsigned variable;
  };

  /// The position in `layouts` of the layout of `type`.
  unsigned getLabel(Type type) const;
  /// The type of the value in `layouts[label]`.
  RankedTensorType getType(unsigned label) const;

  Value value;
  /// `compact`, and the layout that products read.
  SmallVector<ScaleLayout, 2> layouts;
  unsigned variable;
  SmallVector<Reader> readers;
  /// Each behind the one it converts.
  SmallVector<ConvertScalesOp> conversions;
  /// Rows and columns of (one member of) the data; empty if they are not known.
  SmallVector<int64_t, 2> data;
};

/// The flows in a function or module. Each value and each operand that reads
/// one has a variable, its layout; variables that must be equal are of one
/// class. In a module the loads and stores of a private global are of one, if
/// they are all there is of it; other globals keep their layout.
class ScaleFlowAnalysis {
public:
  explicit ScaleFlowAnalysis(Operation *root);

  const Workspaces &getWorkspaces() const { return workspaces; }
  /// Globals whose layout is that of what is stored to them.
  ArrayRef<std::pair<ml_program::GlobalOp, ml_program::GlobalStoreOp>>
  getGlobals() const {
    return globals;
  }

  ArrayRef<ScaleFlow> getFlows() const { return flows; }
  /// The flow of `value`, or null.
  const ScaleFlow *getFlow(Value value) const {
    auto found = flowOf.find(value);
    return found == flowOf.end() ? nullptr : &flows[found->second];
  }
  /// By class, the layouts for which conversions cost least.
  LayoutLabels assign() const;
  unsigned getClass(unsigned variable) const { return classes[variable]; }
  /// The layouts that the variable may have, as in `LayoutGraph`.
  uint8_t getAllowed(unsigned variable) const {
    return allowed[getClass(variable)];
  }

private:
  void addFlow(Value value);
  void addReaders(ScaleFlow &flow, Value from);
  unsigned addVariable(unsigned label);
  void allow(const ScaleFlow &flow, unsigned variable,
             ArrayRef<ScaleLayout> layouts);
  void bindResult(const ScaleFlow &flow);
  void bindReader(const ScaleFlow &flow, const ScaleFlow::Reader &reader);
  void bindLoop(Operation *op);
  void bindGlobal(ml_program::GlobalOp op, ArrayRef<Operation *> users);
  /// The two have one layout and scales of one data, or members of it.
  void tie(unsigned a, unsigned b);
  void closeClasses();
  void findData();
  int64_t getConversionCost(const ScaleFlow &flow) const;

  TargetAttr target;
  Workspaces workspaces;
  SmallVector<std::pair<ml_program::GlobalOp, ml_program::GlobalStoreOp>>
      globals;
  std::vector<ScaleFlow> flows;
  DenseMap<Value, unsigned> flowOf;
  DenseMap<OpOperand *, unsigned> variableOf;
  LayoutLabels current;         // by variable
  std::vector<uint8_t> allowed; // by variable; once closed, by class
  llvm::IntEqClasses classes;
  /// Of variables that are scales of one data, where their shapes are equal.
  llvm::IntEqClasses sharing;
};

/// Whether `value` is the same in all iterations: from outside of the loop, a
/// load of a global that the loop does not write, or a view of what is. Adds
/// loads and views to `views`, each behind those it reads.
bool isInvariant(Value value, LoopLikeOpInterface loop,
                 const Workspaces &workspaces,
                 llvm::SetVector<Operation *> *views = nullptr);

/// What became of the conversions.
struct ScaleLayoutCounts {
  int64_t removed = 0;
  int64_t kept = 0;
  /// Of those kept, in front of a loop that they stood in.
  int64_t hoisted = 0;
};

/// Gives the scales in `root` whose second layout is `layout` the layouts for
/// which conversions cost least, and leaves the conversions that are needed
/// then, one for each value at most, in front of loops where they can stand
/// there.
ScaleLayoutCounts assignScaleLayouts(Operation *root, ScaleLayout layout,
                                     const Remarks &remarks);

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_SCALEFLOW_H
