//===- Passes.td - rewrites of the te dialect ------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_PASSES
#define TE_DIALECT_TE_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def GroupGemmsPass : Pass<"te-group-gemms", "::mlir::func::FuncOp"> {
  let summary = "one grouped op for the ops of all members of a group";
  let description = [{
    Ops with `member 0` to `member E-1` on one ragged operand become one op that
    reads the offsets on the device: E launches become one, and once nothing reads
    `te.to_host`, the host no longer waits. What members share and what each has
    for itself (weights, scales, amax) is told by `MemberOpInterface`.

    Exactness: **exact**.

    Legal where all members are there, each once, with one set of attributes,
    shared operands and offsets; where members chained through destinations have
    no other reader; and where nothing reads a member's own result before the last
    member. Members of one packed tensor are read as that tensor, others as a list
    (products) or packed (scales and amax). The first member's destination, unless
    it holds nothing, becomes that of the grouped op.

    ```mlir
    %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
    %y0 = te.gemm %x, %w0 groups(%h) member 0 over rows outs(%e) : ...
    %y1 = te.gemm %x, %w1 groups(%h) member 1 over rows outs(%y0) : ...
    // becomes
    %y1 = te.grouped_gemm %x, %w0, %w1 groups(%o) over rows : ...
    ```
    Checked by `@list` in `test/Dialect/TE/Transforms/group-gemms.mlir`.
  }];
  let statistics = [
    Statistic<"numGroups", "num-groups", "Number of grouped ops formed">,
    Statistic<"numMembers", "num-members", "Number of member ops replaced">];
}

def RemoveScaleTransposesPass
    : Pass<"te-remove-scale-transposes", "::mlir::func::FuncOp"> {
  let summary = "chooses layouts of scales for which fewest bytes are converted";
  let description = [{
    Gives each value of scales, its conversions regarded as the value itself, the
    layout for which the conversions that are still needed move the fewest bytes,
    then take the fewest launches. What an op can write and read, and which of its
    layouts are one, is told by `ScaleLayoutOpInterface`; a value carried by a loop
    keeps one layout all the way round; what enters and leaves the function, and
    what other ops make and read, keeps the layout it has. The choice is a minimum
    cut: of all assignments, none costs less. Where the program is as good as it
    can be, it stays as it is.

    Exactness: **exact**. The same scales lie elsewhere.

    ```mlir
    %q, %s = te.quantize %x -> ..., tensor<2x96xf32, #te.scales<1 x 128, gemm_ready>>
    %c = te.convert_scales %s of [96, 256] : ... -> tensor<96x2xf32, #te.scales<1 x 128, compact>>
    %rq, %rs = te.dispatch %q, %c by %handle
    // becomes
    %q, %s = te.quantize %x -> ..., tensor<96x2xf32, #te.scales<1 x 128, compact>>
    %rq, %rs = te.dispatch %q, %s by %handle
    ```
    Checked by `@dispatch` in `test/Dialect/TE/Transforms/remove-scale-transposes.mlir`.
  }];
  let statistics = [
    Statistic<"numRemoved", "num-removed", "Number of conversions removed">,
    Statistic<"numKept", "num-kept", "Number of conversions still needed">];
}

def ShareOffsetsPass : Pass<"te-share-offsets", "::mlir::func::FuncOp"> {
  let summary = "computes the offsets of groups once, not for each reader";
  let description = [{
    Keeps one `te.compute_offsets` for each pair of counts and alignment, and none
    where the `te.routing_map` that counted has that alignment: its offsets are
    these. Likewise one `te.to_host` for each offsets.

    Exactness: **exact**.

    The op that stays is the first, where it dominates the others; where it does
    not (it stands in another branch or loop), it moves to the definition of the
    counts, which dominates all.

    ```mlir
    %map, %counts, %o = te.routing_map %i {alignment = 1, capacity = 768} : ...
    %o1 = te.compute_offsets %counts {alignment = 1} : tensor<8xi32> -> tensor<9xi32>
    %o2 = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
    %o3 = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
    // becomes
    %map, %counts, %o = te.routing_map %i {alignment = 1, capacity = 768} : ...
    %o2 = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
    ```
    Checked by `@share` in `test/Dialect/TE/Transforms/share-offsets.mlir`.
  }];
  let statistics = [
    Statistic<"numShared", "num-shared", "Number of ops replaced by another">];
}

#endif // TE_DIALECT_TE_TRANSFORMS_PASSES
