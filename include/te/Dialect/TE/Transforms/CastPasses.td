//===- CastPasses.td - casts, moves of rows, and their input -*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_CAST_PASSES
#define TE_DIALECT_TE_TRANSFORMS_CAST_PASSES

include "mlir/Pass/PassBase.td"

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

def FuseProductActivationPass
    : Pass<"te-fuse-product-activation", "::mlir::func::FuncOp"> {
  let summary = "activates and casts a product where it is made";
  let description = [{
    A `te.grouped_gemm` and an op that its result goes through
    (`EpilogueOpInterface`: `te.swiglu_quantize`) become one op. The product is not read
    again, and it is written only if others read it, as backward does; one launch less is
    needed.

    Exactness: **exact**. The fused op rounds the product to its type before it goes on.

    Legal for blocks of 1 x 128 by 128 x 128 of `f8E4M3FN`, without bias, of a width that
    is a multiple of 128, where both have the same groups and stand in one block, and
    nobody reads the product before. Done where the target's kernels were measured, and
    the one op is predicted to take less than the two; `always` asks for it elsewhere.
    Left alone, with a remark, are all others.

    ```mlir
    %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows
    %q, %s = te.swiglu_quantize %h probs(%p) groups(%o) -> ...
    // becomes
    %q, %s = te.grouped_gemm_swiglu_quantize %x scales(%xs), %w scales(%ws) probs(%p) groups(%o) -> ...
    ```
    Checked by `@forward` in `test/Dialect/TE/Transforms/fuse-product-activation.mlir`.
  }];
  let options = [
    Option<"always", "always", "bool", /*default=*/"false",
           "Also where it is not predicted to take less time">];
  let statistics = [
    Statistic<"numFused", "num-fused", "Number of products fused">];
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

#endif // TE_DIALECT_TE_TRANSFORMS_CAST_PASSES
