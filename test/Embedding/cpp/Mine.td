//===- Mine.td - a dialect of one op that takes part in te's passes ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
include "mlir/Interfaces/SideEffectInterfaces.td"
include "te/Dialect/TE/IR/TEInterfaces.td"

def Mine_Dialect : Dialect {
  let name = "mine";
  let cppNamespace = "::mine";
}

def Mine_SnapshotOp : Op<Mine_Dialect, "snapshot", [
    Pure, AllTypesMatch<["scales", "copy"]>,
    DeclareOpInterfaceMethods<TE_CostOpInterface>,
    DeclareOpInterfaceMethods<TE_ScaleLayoutOpInterface,
        ["getOperandLayouts", "getResultLayouts", "getTiedLayoutOperands"]>,
    DeclareOpInterfaceMethods<TE_RuntimeCallOpInterface>]> {
  let summary = "scales as they are now, for a checkpoint: in any layout";
  let arguments = (ins AnyRankedTensor:$scales);
  let results = (outs AnyRankedTensor:$copy);
  let assemblyFormat = "$scales attr-dict `:` type($scales)";
}
