//===- Passes.td - rewrites of the te dialect --------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_PASSES
#define TE_DIALECT_TE_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def CostReportPass : Pass<"te-cost-report", "::mlir::ModuleOp"> {
  let summary = "prints what a program costs, by op class and in total";
  let description = [{
    For each class of op, and in total: launches, bytes, flops, host synchronizations
    and the roofline time on the target of the module, from `CostOpInterface`. The body
    of a loop counts times its trip count. The module goes on unchanged.

    `format=table` prints to standard error unless a file is named; `format=json` is
    `{"target", "total", "classes": {CLASS: COST, ...}, "peak_bytes"}`, a COST being
    `{"launches", "bytes", "flops", "host_syncs", "us"}`. `peak_bytes` is the arena of a
    lowered program, and null before te-lower.
  }];
  let dependentDialects = ["::mlir::te::TEDialect"];
  let options = [
    Option<"format", "format", "std::string", /*default=*/"\"table\"",
           "table or json">,
    Option<"file", "file", "std::string", /*default=*/"\"\"",
           "Where to write; standard error if empty">];
}

//===----------------------------------------------------------------------===//
// Groups, offsets, and layouts of scales
//===----------------------------------------------------------------------===//

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
    read. An `amax_out` that nobody reads goes with its operand. A cast of which
    nothing is read is erased.

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

//===----------------------------------------------------------------------===//
// Casts and moves of rows
//===----------------------------------------------------------------------===//

def QuantizeBeforeMovePass
    : Pass<"te-quantize-before-move", "::mlir::func::FuncOp"> {
  let summary = "casts rows before they travel, not after";
  let description = [{
    A `te.quantize` of rows that `te.dispatch`, `te.permute` (`RowMoveOpInterface`)
    move goes in front of as many of these moves as saves most bytes: FP8 rows and
    their scales travel, 1.03 bytes an element and not 2. Where the cast gave its
    scales another layout than they travel in, they are converted; mostly the last
    move can write it (`te-remove-scale-transposes`).

    Exactness: **exact**, unless `columnwise=requantize` is asked for, which **changes
    values**: columnwise data then is made from the FP8 rows that have arrived, since
    its blocks hold rows that come together only there.

    Legal for blocks one row high, without an amax, where each row has one of scales (so
    not for MXFP8, which pads these to 128, unless there are as many rows); and for a `<tensor>` scale that is
    given, if there are no groups and no other rank, whose scale may differ. Nobody
    else reads the rows between. Rows that padding adds come with a scale of 0 and not
    of 1, so where there are such, scales are read only together with their values.

    What pays is told by `CostOpInterface`: fewest bytes between ranks, then fewest
    bytes in memory, where the cast may have been one launch with the last move. So a
    `te.permute` alone stays in front of a cast of groups (`te-fuse-permute-quantize`).

    ```mlir
    %r = te.dispatch %x by %h
    %y = te.permute %r rows(%map)
    %q, %s = te.quantize %y groups(%o) -> ..., tensor<2x384xf32, #te.scales<1 x 128, gemm_ready>>
    // becomes
    %q0, %s0 = te.quantize %x -> ..., tensor<48x2xf32, #te.scales<1 x 128, compact>>
    %r:2 = te.dispatch %q0, %s0 by %h
    %q, %c = te.permute %r#0 scales(%r#1) rows(%map)
    %s = te.convert_scales %c of [384, 256] -> tensor<2x384xf32, #te.scales<1 x 128, gemm_ready>>
    ```
    Checked by `@dispatch_permute` in `test/Dialect/TE/Transforms/quantize-before-move.mlir`.
  }];
  let options = [
    Option<"columnwise", "columnwise", "std::string", /*default=*/"\"leave\"",
           "What to do with a cast that is columnwise too: leave it, or "
           "requantize the rows that have arrived (changes values)">];
  let statistics = [
    Statistic<"numMoved", "num-moved", "Number of te.quantize ops moved">];
}

def RemoveDoubleQuantizationPass
    : Pass<"te-remove-double-quantization", "::mlir::func::FuncOp"> {
  let summary = "leaves rows that are FP8 already as they are";
  let description = [{
    Of a `te.quantize` of what a `te.dequantize` gives, to the same blocks and type,
    rowwise results are the operands of the `te.dequantize`; what is columnwise stays.

    Exactness: **equal values** where scales are powers of two: `values * scale` of each
    element is what it was, to the bit, and so is what is multiplied from them. But a
    block whose amax was rounded onto a boundary would have been written with half
    the scale and twice the values, rows that padding adds with a scale of 1, not 0,
    and a block with an amax that rounds to 2^128, so that it is infinite where it is
    dequantized, with no scale that fits the rest. With other scales, which only
    `fp32-scales` allows, the pass **changes values**, since it saves a rounding. Not
    part of `te-optimize` unless asked for.

    Legal where scales are known to be powers of two: by the `pow2_scales` of the cast
    that made them, before conversions and moves, and of this one; and where both
    have the same groups, or the `te.dequantize` none. Left alone, with a remark:
    `<tensor>` scales, an amax, a member, a destination.

    ```mlir
    %x = te.dequantize %q, %s groups(%o) : ... -> tensor<128x256xbf16>
    %q1, %s1, %t, %ts = te.quantize %x groups(%o) {pow2_scales} -> ... columnwise ...
    te.grouped_gemm %q1 scales(%s1), %w
    // becomes
    %x = te.dequantize %q, %s groups(%o) : ... -> tensor<128x256xbf16>
    %t, %ts = te.quantize %x groups(%o) {pow2_scales} columnwise ...
    te.grouped_gemm %q scales(%s), %w
    ```
    Checked by `@both` in `test/Dialect/TE/Transforms/remove-double-quantization.mlir`.
  }];
  let options = [
    Option<"fp32Scales", "fp32-scales", "bool", /*default=*/"false",
           "Also where scales need not be powers of two (changes values)">];
  let statistics = [
    Statistic<"numRemoved", "num-removed", "Number of rowwise casts removed">];
}

//===----------------------------------------------------------------------===//
// Casts and what makes their input
//===----------------------------------------------------------------------===//

def FuseActivationQuantizePass
    : Pass<"te-fuse-activation-quantize", "::mlir::func::FuncOp"> {
  let summary = "writes what a cast alone reads in FP8 at once";
  let description = [{
    A `te.quantize` and the op that makes its input, where that one can write its
    result quantized (`QuantizingOpInterface`: `te.swiglu`, and `te.swiglu_backward`
    its `grad_input`), become one op: the result is neither written nor read in high
    precision, in either direction, and one launch less is needed.

    Exactness: **exact**. The fused op rounds to the type of the result before it
    takes the amax and before it casts.

    Legal where the cast is of the groups whose rows are written (or neither knows
    groups), of all members of them, in the same block; and where the results of
    both can be made at one place. Left alone, with a remark: a result that somebody
    else reads as well, a `noop` flag, and a destination that somebody could tell
    from new memory, so any but `tensor.empty` and, for `amax_out`, the amax.

    ```mlir
    %a = te.swiglu %h probs(%p) groups(%o)
    %q, %s, %qt, %st = te.quantize %a groups(%o) -> ... columnwise ...
    // becomes
    %q, %s, %qt, %st = te.swiglu_quantize %h probs(%p) groups(%o) -> ... columnwise ...
    ```
    Checked by `@forward` in `test/Dialect/TE/Transforms/fuse-activation-quantize.mlir`.
  }];
  let statistics = [
    Statistic<"numFused", "num-fused", "Number of te.quantize ops fused">];
}

def FuseRequantizePass : Pass<"te-fuse-requantize", "::mlir::func::FuncOp"> {
  let summary = "casts received FP8 rows to other blocks in one launch";
  let description = [{
    A `te.quantize` of what a `te.dequantize` gives becomes one `te.requantize`: two
    launches become one, and the rows between them never lie in memory. The program
    as given rounds these rows to their element type, and so does the op (`via`).

    Legal if nobody else reads the rows, both stand in one block, and the rows that
    the quantize casts are among those that the dequantize gives: it has the same
    groups, or none (and scales that no group divides). The quantize is no member
    op, has no `noop` flag, and no destinations but such as hold nothing.

    Exactness: **exact**, against the program as given.

    ```mlir
    %x = te.dequantize %q, %s groups(%o) : ... -> tensor<128x256xbf16>
    %vt, %st = te.quantize %x groups(%o : tensor<3xi32>) : tensor<128x256xbf16> columnwise ...
    // becomes
    %vt, %st = te.requantize %q, %s groups(%o : tensor<3xi32>) via bf16 : ... columnwise ...
    ```
    Checked by `@same_groups` in `test/Dialect/TE/Transforms/fuse-requantize.mlir`.
  }];
  let statistics = [
    Statistic<"numFused", "num-fused", "Number of pairs that became one op">];
}

def FusePermuteQuantizePass
    : Pass<"te-fuse-permute-quantize", "::mlir::func::FuncOp"> {
  let summary = "brings tokens to their experts and casts them in one launch";
  let description = [{
    A `te.quantize` of what a `te.permute` of high precision gives becomes one
    `te.permute_quantize`: two launches become one, and the permuted rows, k times
    the tokens, never lie in memory. Probabilities are permuted along if somebody
    reads them.

    Legal if nobody else reads the rows, both stand in one block, the quantize has
    groups, which are those that the permute pads if it pads any, and nobody reads
    the probabilities before it. The quantize is no member op, has no `noop` flag,
    and no destinations but such as hold nothing.

    Exactness: **exact**.

    ```mlir
    %y, %yp = te.permute %x probs(%p) rows(%map) pads(%n, %o) : ... -> (tensor<896x256xbf16>, tensor<896xf32>)
    %v, %s = te.quantize %y groups(%o : tensor<9xi32>) : tensor<896x256xbf16> -> ...
    // becomes
    %v, %s, %yp = te.permute_quantize %x probs(%p : tensor<96x8xf32>) rows(%map : tensor<96x8xi32>)
      groups(%o : tensor<9xi32>) counts(%n : tensor<8xi32>) : tensor<96x256xbf16> -> ...
    ```
    Checked by `@padded` in `test/Dialect/TE/Transforms/fuse-permute-quantize.mlir`.
  }];
  let statistics = [
    Statistic<"numFused", "num-fused", "Number of pairs that became one op">];
}

#endif // TE_DIALECT_TE_TRANSFORMS_PASSES
