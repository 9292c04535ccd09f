//===- Passes.td - rewrites of the te dialect ------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_PASSES
#define TE_DIALECT_TE_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Parameters and casts of weights
//===----------------------------------------------------------------------===//

def PackParametersPass : Pass<"te-pack-parameters", "::mlir::ModuleOp"> {
  let summary = "makes one packed parameter, state, gradient of those of E experts";
  let description = [{
    Arguments and results of functions, and globals, that `te.group` and `te.member`
    mark as members of one group become one packed tensor with a leading dimension
    of E: one parameter for an optimizer, a checkpoint, a collective, and one operand
    for a grouped op. It bears the group's name, and in `te.members` those of its
    members; other attributes are those of the members.

    * A member is read as `te.member %w[e]`.
    * Iteration arguments of loops, and slots of `te.update_scales`, that end in a
      packed result are packed themselves; where nothing better is possible a
      `te.pack` remains.
    * All stores to a group of globals become one store of the packed tensor, where
      all members are known.

    Legal if all members 0 to E-1 are there and equal in type and attributes, and if
    the function is not called. For globals also: accessed in one block, each stored
    at most once and not loaded afterwards, or never stored. Scales of whole tensors
    (`#te.scales<tensor>`) and per-tensor states become vectors of length E.

    Exactness: **exact**; no value changes, but the signature of the function does.

    ```mlir
    func.func @step(%w0: tensor<64x32xbf16> {te.name = "w.0", te.group = "w", te.member = 0},
                    %w1: tensor<64x32xbf16> {te.name = "w.1", te.group = "w", te.member = 1})
    // becomes
    func.func @step(%w: tensor<2x64x32xbf16> {te.name = "w", te.members = ["w.0", "w.1"]})
      %w0 = te.member %w[0]
      %w1 = te.member %w[1]
    ```
    Checked by `test/Dialect/TE/Transforms/pack-parameters.mlir`.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect",
                           "::mlir::ml_program::MLProgramDialect"];
  let statistics = [
    Statistic<"numArguments", "num-arguments", "Number of packed arguments">,
    Statistic<"numResults", "num-results", "Number of packed results">,
    Statistic<"numGlobals", "num-globals", "Number of packed globals">];
}

#endif // TE_DIALECT_TE_TRANSFORMS_PASSES
