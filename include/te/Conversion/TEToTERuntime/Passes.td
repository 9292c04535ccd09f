//===- Passes.td - from te to te_rt ------------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_CONVERSION_TETOTERUNTIME_PASSES
#define TE_CONVERSION_TETOTERUNTIME_PASSES

include "mlir/Pass/PassBase.td"

def ConvertTEToTERuntimePass
    : Pass<"te-convert-to-runtime", "::mlir::ModuleOp"> {
  let summary = "turns values into buffers and ops into calls of the runtime";
  let description = [{
    Each tensor value gets a buffer, and each op that implements
    `RuntimeCallOpInterface` becomes one `te_rt.call`. The results of a function become
    arguments that it writes.

    Values share a buffer where that is right: a destination and its result; the
    initial value, argument, yielded value and result of a loop; a packed tensor and
    that with a member replaced, and the member with its place in it; what a function
    returns and the argument for it. Where the old content is still read
    afterwards (also in the next iteration), or must not be written (arguments,
    constants), a `te_rt.call @copy` is made instead. A destination that is a constant
    becomes a `te_rt.call @fill`.

    Tensors must be static, and loops must have constant bounds.

    ```mlir
    %r = te.gemm %a, %b outs(%acc) {accumulate} : ...
    // becomes, if %acc is not read again
    te_rt.call @gemm(in(%a), in(), in(%b), in(), in(), in(), out(%acc)) ...
    ```
  }];
  let dependentDialects = ["::mlir::te_rt::TERuntimeDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::arith::ArithDialect"];
  let options = [
    Option<"reuseBuffers", "reuse-buffers", "bool", /*default=*/"true",
           "Let values share buffers; without it each has its own, and the "
           "results are the same: tests compare the two">];
}

#endif // TE_CONVERSION_TETOTERUNTIME_PASSES
