//===- LayoutPasses.td - groups, offsets, layouts of scales -*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_LAYOUT_PASSES
#define TE_DIALECT_TE_TRANSFORMS_LAYOUT_PASSES

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
    it holds nothing, becomes that of the grouped op. Where each of the values packed
    comes from an op of one slot for itself (`SlotwiseOpInterface`), such as the
    scales of members from amaxes that ranks share, one such op makes them all.

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
    can be, it stays as it is. A conversion that is left, and whose scales do not
    vary in a loop around it, moves in front of it.

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
  let dependentDialects = ["::mlir::te::TEDialect"];
  let statistics = [
    Statistic<"numRemoved", "num-removed", "Number of conversions removed">,
    Statistic<"numKept", "num-kept", "Number of conversions still needed">,
    Statistic<"numHoisted", "num-hoisted",
              "Number of those moved out of loops">];
}

def HoistSwizzlesPass : Pass<"te-hoist-swizzles", "::mlir::ModuleOp"> {
  let summary = "swizzles scales once for all iterations, or not at all";
  let description = [{
    Layouts are chosen as by `te-remove-scale-transposes`: swizzles of one value
    become one, those of all members one of the packed tensor; and where the op that
    makes the scales can write them swizzled, and nobody reads them otherwise, it
    does and none is left. Where somebody does (a collective, the result of a
    function, `te.dequantize`), both layouts stay, and a remark tells who. A swizzle
    that is left, and whose scales do not vary in a loop, moves in front of it, with
    the views and loads that it reads: scales of primary weights, which come as
    arguments or in globals that the loop does not write, are swizzled once.

    Who reads the scales in a private global is known too, since all its loads and
    stores are in the module: where it suits them, its type becomes that of swizzled
    scales. Its memory is where it was, and is written by the cast itself, padding
    included, so that a `noop` flag of the cast keeps all of it. A public global,
    one with an initial value, and one that is never stored keep their type.

    Exactness: **exact**. The same scales lie elsewhere.

    Left where they are, with a remark: swizzles in a loop that may have no
    iteration, or in a branch inside of a loop, and those of scales that vary.

    ```mlir
    %q, %s = te.quantize %w -> ..., tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
    scf.for %i = %zero to %four step %one {
      %z = te.convert_scales %s of [128, 256] : ... -> tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
      te.gemm %x scales(%xs), %q scales(%z)
    }
    // becomes
    %q, %s = te.quantize %w -> ..., tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
    scf.for %i = %zero to %four step %one {
      te.gemm %x scales(%xs), %q scales(%s)
    }
    ```
    Checked by `@written_swizzled` in `test/Dialect/TE/Transforms/hoist-swizzles.mlir`;
    workspaces by `hoist-swizzles-workspaces.mlir`.
  }];
  // For the target, where a module has none of its ops.
  let dependentDialects = ["::mlir::te::TEDialect"];
  let statistics = [
    Statistic<"numRemoved", "num-removed", "Number of swizzles removed">,
    Statistic<"numKept", "num-kept", "Number of swizzles still needed">,
    Statistic<"numHoisted", "num-hoisted",
              "Number of those moved out of loops">];
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

def FusePermutePadPass : Pass<"te-fuse-permute-pad", "::mlir::func::FuncOp"> {
  let summary = "moves rows to their padded places at once";
  let description = [{
    A `te.routing_map` of dense rows, whose readers all pad them after `te.permute` or
    unpad them before `te.unpermute`, becomes one of padded rows: `te.permute` writes
    them, with zeros between groups, and `te.unpermute` reads them. No `te.pad` and
    `te.unpad` is left. A `te.dequantize` between the two works on the padded rows.
    The offsets of the map then are the aligned ones, and serve whoever read these.

    Exactness: **exact**. Experts keep their order, so that the rows of a token are
    summed in the same order.

    Legal where offsets are those of the counts of the map, dense and with one
    alignment and capacity; where nothing else reads dense rows, their scales,
    probabilities or offsets; where scales of a `te.dequantize` are moved by the same
    `te.permute` (0 times 0 is 0); and where neither map can overflow: a capacity of at
    least T * k dense rows, and as many padded ones as these may become. Otherwise
    nothing is done, and a remark names the obstacle.

    ```mlir
    %map, %counts, %dense = te.routing_map %i {alignment = 1, capacity = 768} : ...
    %aligned = te.compute_offsets %counts {alignment = 16} : ...
    %0 = te.permute %x rows(%map)
    %1 = te.pad %0 from(%dense) to(%aligned)
    %3 = te.unpad %2 from(%aligned) to(%dense)
    %4 = te.unpermute %3 rows(%map)
    // becomes
    %map, %counts, %aligned = te.routing_map %i {alignment = 16, capacity = 896} : ...
    %1 = te.permute %x rows(%map) pads(%counts, %aligned)
    %4 = te.unpermute %2 rows(%map)
    ```
    Checked by `@probs` in `test/Dialect/TE/Transforms/fuse-permute-pad.mlir`.
  }];
  let statistics = [
    Statistic<"numPads", "num-pads", "Number of te.pad ops removed">,
    Statistic<"numUnpads", "num-unpads", "Number of te.unpad ops removed">];
}

def DeriveAlignmentPass : Pass<"te-derive-alignment", "::mlir::func::FuncOp"> {
  let summary = "pads rows of experts no further than their readers need";
  let description = [{
    The alignment of a `te.routing_map`, and of the `te.compute_offsets` of its counts
    that have the same, becomes the least common multiple of what all readers of its
    rows need on the target (`GroupedRowsOpInterface`): 16 for products of FP8, 128
    where their scales are swizzled, else 1. The capacity, a type, stays.

    Exactness: **reassociates**. A product over tokens sums the same terms, with fewer
    zeros behind those of each expert, and one of rows has fewer rows; an
    implementation may cut either into other tiles, and so sum in another order. All
    else is the same to the bit: blocks along tokens begin anew at each expert, and
    zeros raise no amax. Not part of `te-optimize` unless asked for.

    Legal where all readers of the row map, of the offsets and of the rows are known,
    and give the same wherever groups lie; so not where a result of the function, or a
    `te.pad`, has rows or offsets (run `te-fuse-permute-pad` first); and where the map
    cannot overflow.

    ```mlir
    %map, %counts, %offsets = te.routing_map %i {alignment = 128, capacity = 1024} : ...
    // becomes
    %map, %counts, %offsets = te.routing_map %i {alignment = 16, capacity = 1024} : ...
    ```
    Checked by `@fp8` in `test/Dialect/TE/Transforms/derive-alignment.mlir`.
  }];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Number of alignments lowered">];
}

#endif // TE_DIALECT_TE_TRANSFORMS_LAYOUT_PASSES
