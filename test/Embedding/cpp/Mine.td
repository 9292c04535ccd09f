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

def Mine_ClampOp : Op<Mine_Dialect, "clamp", [
    Pure, AllTypesMatch<["scales", "clamped"]>,
    DeclareOpInterfaceMethods<TE_CostOpInterface>,
    DeclareOpInterfaceMethods<TE_ScaleLayoutOpInterface,
        ["getOperandLayouts", "getResultLayouts", "getTiedLayoutOperands"]>]> {
  let summary = "no scale is larger than the limit: elementwise, so in any layout";
  let arguments = (ins AnyRankedTensor:$scales, F32Attr:$limit);
  let results = (outs AnyRankedTensor:$clamped);
  let assemblyFormat = "$scales `at` $limit attr-dict `:` type($scales)";
}
