//===- RoutingOps.td - which token goes where --------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_ROUTINGOPS
#define TE_DIALECT_TE_IR_ROUTINGOPS

include "te/Dialect/TE/IR/QuantizeOps.td"

def TE_RoutingDocs : OpDocGroup {
  let summary = "Routing";
  let description = [{
    Which token goes to which row, on the device; moves to these rows and back, on one
    rank and between ranks.
  }];
}

let opDocGroup = TE_RoutingDocs in {

def TE_RoutingMapOp : TE_Op<"routing_map", [Pure]> {
  let summary = "from chosen experts to rows, on the device";
  let description = [{
    Rows are ordered by expert, then by token, then by slot; expert `e` begins at the
    sum over the experts before it of their counts, each rounded up to a multiple of
    `alignment`:

    ```
    counts[e]       = number of (t, j) with indices[t, j] == e
    offsets[e]      = sum over e' < e of ceil(counts[e'] / alignment) * alignment
    row_map[t, j]   = offsets[e] + number of (t', j') before (t, j) with the same e,
                      or -1 where indices[t, j] is -1
    ```

    A pair whose row would be `capacity` or more gets -1 and is not counted, and the
    context's overflow flag is set.

    Constraints:
    * (R1) `indices` is T x k of i32, and `row_map` too.
    * (R2) `counts` has one value for each expert, at least one; `offsets` one more.
    * (R3) `alignment` and `capacity` are above 0.

    Example:

    ```mlir
    %map, %counts, %offsets = te.routing_map %indices {alignment = 16, capacity = 896}
      : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
    ```
  }];
  let arguments = (ins TE_I32Tensor:$indices,
                       DefaultValuedAttr<I64Attr, "1">:$alignment,
                       I64Attr:$capacity);
  let results = (outs TE_I32Tensor:$row_map, TE_I32Tensor:$counts,
                      TE_I32Tensor:$offsets);
  let assemblyFormat = [{
    $indices attr-dict `:` type($indices)
    `->` type($row_map) `,` type($counts) `,` type($offsets)
  }];
  let extraClassDeclaration = [{
    /// The rows needed with this alignment, wherever tokens are routed to.
    int64_t getMostRows(int64_t alignment);
  }];
}

def TE_ComputeOffsetsOp : TE_Op<"compute_offsets", [Pure]> {
  let summary = "where each group begins, from the counts";
  let description = [{
    `offsets[0] = 0`, `offsets[e+1] = offsets[e] + ceil(counts[e] / alignment) * alignment`.

    Folds: of constant counts, a constant.

    Constraints:
    * (O1) `offsets` has one value more than `counts`.
    * (O2) `alignment` is above 0.

    Example:

    ```mlir
    %offsets = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
    ```
  }];
  let arguments = (ins TE_I32Tensor:$counts,
                       DefaultValuedAttr<I64Attr, "1">:$alignment);
  let results = (outs TE_I32Tensor:$offsets);
  let assemblyFormat = "$counts attr-dict `:` type($counts) `->` type($offsets)";
  let hasFolder = 1;
}

def TE_ToHostOp : TE_Op<"to_host", [
    Pure, DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface>]> {
  let summary = "copies offsets to the host and waits for them";
  let description = [{
    A host synchronization: what frameworks do to launch experts one by one.

    Constraints:
    * (H1) `offsets` is not on the host yet.
    * (H2) `output` is of the type of `offsets` with the encoding `#te.host`.

    Example:

    ```mlir
    %h = te.to_host %offsets : tensor<9xi32> -> tensor<9xi32, #te.host>
    ```
  }];
  let arguments = (ins TE_I32Tensor:$offsets);
  let results = (outs TE_I32Tensor:$output);
  let assemblyFormat = "$offsets attr-dict `:` type($offsets) `->` type($output)";
}

def TE_PermuteOp : TE_Op<"permute", [
    Pure, AttrSizedOperandSegments, AttrSizedResultSegments,
    DeclareOpInterfaceMethods<TE_RowMoveOpInterface, ["zeroesRows", "canCastRows"]>,
    DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface>],
    ["getOperandLayouts", "getResultLayouts", "getScaledData"]> {
  let summary = "copies each token to the rows of its experts";
  let description = [{
    `output[row_map[t, j]] = input[t]` for each routed (t, j). Scales of blocks one row
    high and probabilities travel along, in one launch. Rows that nothing is routed to
    hold nothing.

    ```
    out_probs[row_map[t, j]] = probs[t, j]
    ```

    With `pads(%counts, %offsets)`, those of the `te.routing_map` that made `row_map`,
    the rows that alignment adds to each group hold zero: rows `offsets[e] + counts[e]`
    to `offsets[e+1] - 1` of `output` and `out_probs`, and all bytes of their
    `out_scales`. `row_map` names none of them.

    Constraints:
    * (V1) `row_map` is T x k for an `input` of T rows.
    * (V2) `output` has the width and element type of `input`.
    * (V3) `scales` and `out_scales` come together, of one block one row high, and have
      the shapes which their encodings give for `input` and `output`.
    * (V4) `probs` and `out_probs` come together: T x k, and one value for each row of
      `output`.
    * (V5) `counts` and `offsets` come together: one value for each expert, at least
      one, and one more.

    Example:

    ```mlir
    %y, %ys, %yp = te.permute %x scales(%s) probs(%p) rows(%map)
      : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #te.scales<1 x 128, compact>>, tensor<96x8xf32>, tensor<96x8xi32>)
      -> (tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #te.scales<1 x 128, compact>>, tensor<768xf32>)
    %z = te.permute %x rows(%map) pads(%counts, %offsets)
      : (tensor<96x256xbf16>, tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
    ```
  }];
  let arguments = (ins TE_DataTensor:$input, Optional<TE_ScalesTensor>:$scales,
                       Optional<TE_F32Tensor>:$probs, TE_I32Tensor:$row_map,
                       Optional<TE_I32Tensor>:$counts,
                       Optional<TE_I32Tensor>:$offsets);
  let results = (outs TE_DataTensor:$output, Optional<TE_ScalesTensor>:$out_scales,
                      Optional<TE_F32Tensor>:$out_probs);
  let hasCustomAssemblyFormat = 1;
}

def TE_PermuteQuantizeOp : TE_FusedCastOp<"permute_quantize", [
    DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface, ["isRowResult"]>]> {
  let summary = "copies each token to the rows of its experts in FP8";
  let description = [{
    What `te.quantize` gives for what `te.permute` gives, bit for bit, without the
    rows between them in memory:

    ```
    row[row_map[t, j]]        = input[t]              for each routed (t, j)
    out_probs[row_map[t, j]]  = probs[t, j]
    row[r] = out_probs[r]     = 0                     with counts, for r from
                                offsets[e] + counts[e] to offsets[e+1] - 1
    results = te.quantize row scale(scale) amax(amax) groups(offsets)
    ```

    Without `counts`, rows of a group that nothing is routed to hold nothing.

    Constraints:
    * (F1) at least one of the rowwise and columnwise pairs is asked for.
    * (F2) `input` has rank 2, and `row_map` is T x k for an `input` of T rows.
    * (F3) offsets, of at least one group, are on the device, and `counts` has one
      value for each group.
    * (F4) `probs` and `out_probs` come together: T x k, and one value for each row
      that is cast.
    * (F5) results, `scale` and `amax`: as in (Q2) to (Q9), (Q11) and (Q12) of
      `te.quantize`, for rows of the width of `input`, as many as `values` (`values_t`)
      has.

    Example:

    ```mlir
    %v, %s, %p1 = te.permute_quantize %x probs(%p : tensor<96x8xf32>) rows(%map : tensor<96x8xi32>)
      groups(%o : tensor<9xi32>) counts(%n : tensor<8xi32>) : tensor<96x256xbf16>
      -> tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #te.scales<1 x 128, gemm_ready>>
      out_probs tensor<896xf32>
    ```
  }];
  let arguments = (ins
    TE_FloatTensor:$input, Optional<TE_F32Tensor>:$probs, TE_I32Tensor:$row_map,
    Optional<TE_F32Tensor>:$scale, Optional<TE_F32Tensor>:$amax,
    TE_I32Tensor:$offsets, Optional<TE_I32Tensor>:$counts, UnitAttr:$pow2_scales,
    DefaultValuedAttr<F32Attr, "0.0f">:$epsilon);
  let results = (outs
    Optional<TE_FP8Tensor>:$values, Optional<TE_ScalesTensor>:$scales,
    Optional<TE_FP8Tensor>:$values_t, Optional<TE_ScalesTensor>:$scales_t,
    Optional<TE_F32Tensor>:$amax_out, Optional<TE_F32Tensor>:$out_probs);
  let assemblyFormat = [{
    $input (`probs` `(` $probs^ `:` type($probs) `)`)?
    `rows` `(` $row_map `:` type($row_map) `)`
    (`scale` `(` $scale^ `:` type($scale) `)`)?
    (`amax` `(` $amax^ `:` type($amax) `)`)?
    `groups` `(` $offsets `:` type($offsets) `)`
    (`counts` `(` $counts^ `:` type($counts) `)`)? attr-dict `:` type($input)
    (`->` type($values)^ `,` type($scales))?
    (`columnwise` type($values_t)^ `,` type($scales_t))?
    (`amax_out` type($amax_out)^)? (`out_probs` type($out_probs)^)?
  }];
}

def TE_UnpermuteOp : TE_Op<"unpermute", [
    Pure, DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface, ["isRowResult"]>]> {
  let summary = "sums the rows of each token";
  let description = [{
    `output[t]` is the sum over the routed slots of `t` of `input[row_map[t, j]]`, added in
    F32 in descending order of row and rounded once; 0 for a token without any.

    ```
    out_probs[t, j] = probs[row_map[t, j]], or 0 where that is -1
    ```

    Constraints:
    * (N1) `output` has as many rows as `row_map`, and the width and element type of
      `input`.
    * (N2) `probs` and `out_probs` come together: one value for each row of `input`, and
      the shape of `row_map`.

    Example:

    ```mlir
    %y = te.unpermute %x rows(%map)
      : (tensor<768x256xbf16>, tensor<96x8xi32>) -> tensor<96x256xbf16>
    ```
  }];
  let arguments = (ins TE_FloatTensor:$input, Optional<TE_F32Tensor>:$probs,
                       TE_I32Tensor:$row_map);
  let results = (outs TE_FloatTensor:$output, Optional<TE_F32Tensor>:$out_probs);
  let hasCustomAssemblyFormat = 1;
}

class TE_PadLikeOp<string mnemonic> : TE_Op<mnemonic, [Pure]> {
  let arguments = (ins TE_DataTensor:$input, Optional<TE_F32Tensor>:$probs,
                       TE_I32Tensor:$from, TE_I32Tensor:$to);
  let results = (outs TE_DataTensor:$output, Optional<TE_F32Tensor>:$out_probs);
  let hasCustomAssemblyFormat = 1;
}

def TE_PadOp : TE_PadLikeOp<"pad"> {
  let summary = "moves groups apart and fills the rows between them with zeros";
  let description = [{
    Row `from[g] + r` of `input` becomes row `to[g] + r` of `output` for each row `r` of
    group `g`; the rows of a group in `to` beyond those it has in `from` become zero.
    Probabilities likewise.

    Constraints:
    * (A1) `from` and `to` have as many values.
    * (A2) `output` has the width and element type of `input`.
    * (A3) `probs` and `out_probs` come together, one value for each row of `input` and
      of `output`.

    Example:

    ```mlir
    %y, %yp = te.pad %x probs(%p) from(%dense) to(%aligned)
      : (tensor<768x256xbf16>, tensor<768xf32>, tensor<9xi32>, tensor<9xi32>)
      -> (tensor<896x256xbf16>, tensor<896xf32>)
    ```
  }];
}

def TE_UnpadOp : TE_PadLikeOp<"unpad"> {
  let summary = "moves groups together and drops the rows between them";
  let description = [{
    The inverse of `te.pad`: row `from[g] + r` of `input` becomes row `to[g] + r` of
    `output` for each row `r` that group `g` has in `to`.

    Constraints: (A1) to (A3) of `te.pad`.

    Example:

    ```mlir
    %y = te.unpad %x from(%aligned) to(%dense)
      : (tensor<896x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<768x256xbf16>
    ```
  }];
}

def TE_DispatchMapOp : TE_Op<"dispatch_map", [Pure]> {
  let summary = "where each token goes among ranks";
  let description = [{
    With E experts on each of R ranks, expert `x` of all lives on rank `x / E`. A token is
    sent once to each rank that holds one of its experts; a rank receives by source
    rank, then by token.

    ```
    handle[t, r]       = the row of token t among those that rank r receives, or -1
    recv_indices[i, j] = the expert, counted from 0 on this rank, of slot j of received
                         row i; -1 where it lives elsewhere or nothing was received
    ```

    All ranks meet here.

    Constraints:
    * (X1) `ranks` and `num_experts` (on one rank) are above 0.
    * (X2) `handle` is T x ranks for `indices` of T x k.
    * (X3) `recv_indices` is ranks * T x k.

    Example:

    ```mlir
    %handle, %recv = te.dispatch_map %indices {ranks = 2, num_experts = 8}
      : tensor<96x8xi32> -> tensor<96x2xi32>, tensor<192x8xi32>
    ```
  }];
  let arguments = (ins TE_I32Tensor:$indices, I64Attr:$ranks, I64Attr:$num_experts);
  let results = (outs TE_I32Tensor:$handle, TE_I32Tensor:$recv_indices);
  let assemblyFormat = [{
    $indices attr-dict `:` type($indices) `->` type($handle) `,` type($recv_indices)
  }];
}

class TE_ExchangeOp<string mnemonic, list<Trait> traits = [],
                    list<string> scaleLayoutMethods = []>
    : TE_Op<mnemonic, !listconcat([Pure], traits), scaleLayoutMethods> {
  let arguments = (ins TE_I32Tensor:$handle, Variadic<AnyRankedTensor>:$inputs);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let assemblyFormat = [{
    $inputs `by` $handle attr-dict `:` type($inputs) `by` type($handle)
    `->` type($outputs)
  }];
}

def TE_DispatchOp : TE_ExchangeOp<"dispatch", [
    DeclareOpInterfaceMethods<TE_RowMoveOpInterface, ["crossesRanks"]>], [
    "getOperandLayouts", "getResultLayouts", "getTiedLayoutOperands"]> {
  let summary = "sends rows to the ranks that want them";
  let description = [{
    On rank `r`, `outputs[i][handle[t, r]] = inputs[i][t]`. Any number of tensors travel
    together. All ranks meet here.

    Constraints:
    * (Y1) there are as many outputs as inputs, at least one.
    * (Y2) each input has as many rows as `handle`, and each output R times as many, its
      other dimensions and element type those of the input; rows of scales of 8 bits
      are padded to a multiple of 128 in both.
    * (Y3) scales that travel have `compact` blocks one row high.

    Example:

    ```mlir
    %y, %ys = te.dispatch %x, %s by %handle
      : tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #te.scales<1 x 128, compact>> by tensor<96x2xi32>
      -> tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #te.scales<1 x 128, compact>>
    ```
  }];
}

def TE_CombineOp : TE_ExchangeOp<"combine"> {
  let summary = "brings rows back and sums those of each token";
  let description = [{
    `outputs[i][t]` is the sum over the ranks `r` with `handle[t, r] >= 0` of row
    `handle[t, r]` of `inputs[i]` on rank `r`, added in F32 by ascending rank and rounded
    once; 0 where there is none. All ranks meet here.

    Constraints:
    * (Z1) there are as many outputs as inputs, at least one.
    * (Z2) each output has as many rows as `handle`, and each input R times as many, its
      other dimensions and element type, BF16 or F32, those of the output.

    Example:

    ```mlir
    %y = te.combine %x by %handle : tensor<192x256xbf16> by tensor<96x2xi32> -> tensor<96x256xbf16>
    ```
  }];
}

} // opDocGroup = TE_RoutingDocs

#endif // TE_DIALECT_TE_IR_ROUTINGOPS
