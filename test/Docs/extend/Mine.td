//===- Mine.td - an op of another dialect, known to te's passes --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "te/Dialect/TE/IR/TEInterfaces.td"

def Mine_Dialect : Dialect {
  let name = "mine";
  let cppNamespace = "::mine";
}

def Mine_RmsNormOp : Op<Mine_Dialect, "rms_norm", [
    Pure, SameOperandsAndResultType,
    DeclareOpInterfaceMethods<TE_CostOpInterface>,
    DeclareOpInterfaceMethods<TE_RuntimeCallOpInterface>]> {
  let summary = "scales each row to a root mean square of 1";
  let description = [{
    `output[r, j] = input[r, j] / sqrt(mean over j of input[r, j]^2 + epsilon)`, in
    F32, rounded once.

    Constraints:
    * (N1) `input` has rank 2.
    * (N2) `epsilon` is above 0, so that a row of zeros stays one.
  }];
  let arguments = (ins RankedTensorOf<[BF16, F32]>:$input, F32Attr:$epsilon);
  let results = (outs RankedTensorOf<[BF16, F32]>:$output);
  let assemblyFormat = "$input `plus` $epsilon attr-dict `:` type($output)";
  let hasVerifier = 1;
}
