//===- WeightPasses.td - parameters and casts of weights ---*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_WEIGHT_PASSES
#define TE_DIALECT_TE_TRANSFORMS_WEIGHT_PASSES

include "mlir/Pass/PassBase.td"

def PackParametersPass : Pass<"te-pack-parameters", "::mlir::ModuleOp"> {
  let summary = "makes one packed parameter, state, gradient of those of E experts";
  let description = [{
    Arguments and results of functions, and globals, that `te.group` and `te.member`
    mark as members of one group become one packed tensor with a leading dimension
    of E: one parameter for an optimizer, a checkpoint, a collective, and one operand
    for a grouped op. It bears the group's name, and in `te.members` those of its
    members; other attributes are those of the members.

    * A member is read as `te.member %w[e]`.
    * Iteration arguments of loops, and slots of ops that work on slots
      (`SlotwiseOpInterface`), that end in a packed result are packed themselves;
      where nothing better is possible a `te.pack` remains.
    * All stores to a group of globals become one store of the packed tensor, where
      all members are known.

    Legal if all members 0 to E-1 are there and equal in type and attributes, and if
    the function is not called. For globals also: accessed in one block, each stored
    at most once and not loaded afterwards, or never stored. Scales of whole tensors
    (`#te.scales<tensor>`) and per-tensor states become vectors of length E. A group
    that cannot be packed leaves a remark that names the member which differs, or
    with `strict` an error: a caller that allocates one buffer for a group wants to
    know that there is one.

    Exactness: **exact**; no value changes, but the signature of the function does.
    `manifest=FILE` writes what lies where, so that a checkpoint can be mapped both
    ways, for each packed argument, result and global of the module:

    ```json
    {"packed": [
      {"kind": "argument", "function": "step", "name": "w", "position": 0,
       "shape": [2, 64, 32], "element": "bf16", "bytes": 8192,
       "members": [
         {"name": "w.0", "index": 0, "element_offset": 0, "byte_offset": 0},
         {"name": "w.1", "index": 1, "element_offset": 2048, "byte_offset": 4096}
       ] } ] }
    ```

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
  let options = [
    Option<"manifest", "manifest", "std::string", /*default=*/"\"\"",
           "Write where each member lies to this file, as JSON">,
    Option<"strict", "strict", "bool", /*default=*/"false",
           "Fail where a group cannot be packed">];
  let statistics = [
    Statistic<"numArguments", "num-arguments", "Number of packed arguments">,
    Statistic<"numResults", "num-results", "Number of packed results">,
    Statistic<"numGlobals", "num-globals", "Number of packed globals">];
}

def HoistWeightQuantizePass : Pass<"te-hoist-weight-quantize", "::mlir::func::FuncOp"> {
  let summary = "casts weights once in a step, not in each micro-batch";
  let description = [{
    Moves a `te.quantize` or `te.multi_cast_transpose` whose operands do not change
    in the `scf.for` around it in front of the loop: one launch for N. Operands that
    are views of such values (`te.member`, `te.pack`), constants and `tensor.empty`
    move along.

    An `amax` operand may also be an iteration argument, or members of a packed one,
    that the cast alone reads, and whose next value is the `amax_out` of the cast: a
    maximum taken N times is that taken once. `amax_out` then is the loop's result.

    Legal if the loop is known to run at least once. Left alone, with a remark: a
    `noop` flag, a scale or a destination that varies in the loop.

    Exactness: **exact**.

    ```mlir
    scf.for %i = %c0 to %c8 step %c1 iter_args(%a = %init) {
      %q, %s, %m = te.quantize %w scale(%scale) amax(%a)
      scf.yield %m
    }
    // becomes
    %q, %s, %m = te.quantize %w scale(%scale) amax(%init)
    scf.for %i = %c0 to %c8 step %c1 {}
    ```
    Checked by `test/Dialect/TE/Transforms/hoist-weight-quantize.mlir`.
  }];
  let statistics = [
    Statistic<"numHoisted", "num-hoisted", "Number of casts moved">];
}

def FuseMultiCastTransposePass : Pass<"te-fuse-multi-cast-transpose", "::mlir::func::FuncOp"> {
  let summary = "casts all weights of one scheme in one launch";
  let description = [{
    The `te.quantize` ops of a block that have no groups and share one scheme (usage,
    block and layout of the scales, element types, power-of-two scales, epsilon,
    `noop` flag, whether they have a scale and an amax) become one
    `te.multi_cast_transpose`. Shapes may differ. Where the casts are those of
    all members of a packed tensor, and so are scales, amaxes and destinations, that
    tensor is one entry, and readers get `te.member` of its packed result.

    A cached weight lies in a workspace, an `ml_program.global`:

    | state                     | the program                          | here          |
    | ------------------------- | ------------------------------------ | ------------- |
    | primary, already FP8      | an argument in FP8                   | left alone    |
    | miss, or no workspace     | no destinations                      | fused; new memory |
    | miss, to be kept          | results stored                       | fused, into the workspace |
    | workspace lacks a direction | that direction is not stored       | fused; the others into the workspace |
    | hit, `noop` flag          | destinations loaded, `noop`          | fused, under the flag |
    | hit, update               | destinations loaded                  | fused, in place |
    | hit, no update            | loads alone                          | nothing to launch |

    Casts with and without destinations share a launch: the latter get
    `tensor.empty`.

    The op stands at the first place where all operands are known. Members, packs,
    constants and loads of globals are moved up to it; loads not past a store to the
    same global. Legal if no result is read before that place, and if all who read
    what a workspace held before the cast do so in front of it.

    Left alone, each with a remark: primary weights; a scheme that differs from that
    of the other weights (mixed recipes, one direction among weights of two); a write
    to the workspace in between; an update of a workspace whose old content a backward
    behind it may still read, which the lowering keeps aside; a single cast. Weights
    and other tensors are not mixed.

    Exactness: **exact**.

    ```mlir
    %q0, %s0 = te.quantize %w0
    %q1, %s1 = te.quantize %w1
    // becomes
    %q:2, %s:2 = te.multi_cast_transpose %w0, %w1
    ```
    Checked by `test/Dialect/TE/Transforms/fuse-multi-cast-transpose.mlir`, the states
    by `weight-workspaces.mlir`.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect",
                           "::mlir::ml_program::MLProgramDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numFused", "num-fused", "Number of te.quantize ops replaced">,
    Statistic<"numLaunches", "num-launches", "Number of ops that replace them">];
}

def OverwriteZerosPass : Pass<"te-overwrite-zeros", "::mlir::func::FuncOp"> {
  let summary = "writes the first of a sum, where it would be added to zeros";
  let description = [{
    An op that adds to destinations which hold zeros (`addsToDestinations` of
    `DestinationOpInterface`) writes them instead: what it adds to is neither filled with
    zeros nor read. Where the zeros are what a loop begins with, as the weight gradients
    of a step, its first iteration is taken out of it. For gradients in F32 these are 12 of
    the 16 bytes that a single micro-batch moves for each element.

    Legal if nobody else reads the zeros and the loop runs a known number of times, at
    least once. Left alone, with a remark: what comes from outside, as gradients that are
    added to from step to step.

    Exactness: **exact**. A sum of -0 keeps its sign, where 0 + -0 had lost it.

    ```mlir
    %r = scf.for %i = %c0 to %c8 step %c1 iter_args(%g = %zeros) {
      %h = te.gemm %e, %x groups(%o) member 3 over reduction outs(%g) {accumulate}
      scf.yield %h
    }
    // becomes
    %f = te.gemm %e, %x groups(%o) member 3 over reduction outs(%empty)
    %r = scf.for %i = %c1 to %c8 step %c1 iter_args(%g = %f) {
      %h = te.gemm %e, %x groups(%o) member 3 over reduction outs(%g) {accumulate}
      scf.yield %h
    }
    ```
    Checked by `test/Dialect/TE/Transforms/overwrite-zeros.mlir`.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numOverwritten", "num-overwritten", "Number of ops that write where they added">];
}

def TrimUsagesPass : Pass<"te-trim-usages", "::mlir::func::FuncOp"> {
  let summary = "drops the directions of casts that nobody reads";
  let description = [{
    A cast writes data and scales for each direction asked for, rowwise and
    columnwise. A direction that nobody reads is dropped, with its destinations: half
    of the bytes written. Of `te.multi_cast_transpose` a direction goes if it is read
    of no entry. Of a chain of casts, each of which writes one member into what the
    one before it made, a direction goes from all of them if the last one's is not
    read. An `amax_out` that nobody reads goes with its operand, and of a product that
    is activated and cast the product. A cast of which nothing is read is erased.
    `UsagesOpInterface` tells what an op may do without.

    Exactness: **exact**.

    ```mlir
    %q, %s, %qt, %st = te.quantize %x : ... -> ... columnwise ...
    use(%q, %s)
    // becomes
    %q, %s = te.quantize %x : ... -> ...
    ```
    Checked by `test/Dialect/TE/Transforms/trim-usages.mlir`.
  }];
  let statistics = [
    Statistic<"numTrimmed", "num-trimmed", "Number of directions dropped">];
}

#endif // TE_DIALECT_TE_TRANSFORMS_WEIGHT_PASSES
