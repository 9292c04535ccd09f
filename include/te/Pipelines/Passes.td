//===- Passes.td - passes on whole pipelines ---------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_PIPELINES_PASSES
#define TE_PIPELINES_PASSES

include "mlir/Pass/PassBase.td"

def ExplainPass : Pass<"te-explain", "::mlir::ModuleOp"> {
  let summary = "prints what te-optimize leaves of a program, and why";
  let description = [{
    Optimizes a copy of the module as `te-optimize` does, and prints for each class of
    op of the cost report: launches and bytes of a step before and after, and why what
    is left could not go. That is, for each kind of op that is left, what the passes
    said of a rewrite that they missed, with the place of the first such op; and what
    the class is needed for, where no pass had anything to say. The module goes on
    unchanged.

    ```
    te-gen --recipe=block --direction=training | te-opt --te-explain -o /dev/null
    ```
    Checked by `test/Pipelines/explain.test`.
  }];
  let dependentDialects = ["::mlir::te::TEDialect"];
  let options = [
    Option<"file", "file", "std::string", /*default=*/"\"\"",
           "Where to write; standard error if empty">];
}

#endif // TE_PIPELINES_PASSES
