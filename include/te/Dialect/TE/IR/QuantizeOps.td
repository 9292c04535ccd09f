//===- QuantizeOps.td - casts and their scales -------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_QUANTIZEOPS
#define TE_DIALECT_TE_IR_QUANTIZEOPS

include "te/Dialect/TE/IR/TEAttrs.td"

def TE_QuantizeDocs : OpDocGroup {
  let summary = "Casts";
  let description = [{
    From BF16 and F32 to FP8 and FP4 and back, one matrix, a list of weights, or the
    rows of a ragged one; and the states of rounding at random.
  }];
}

let opDocGroup = TE_QuantizeDocs in {

class TE_CastOp<string mnemonic, list<Trait> traits = [],
                list<string> scaleLayoutMethods = [],
                list<string> usageMethods = ["getUsages"]>
    : TE_Op<mnemonic, !listconcat([
        Pure, AttrSizedOperandSegments, AttrSizedResultSegments,
        DeclareOpInterfaceMethods<TE_DestinationOpInterface>,
        DeclareOpInterfaceMethods<TE_UsagesOpInterface, usageMethods>], traits),
        !listconcat(["getResultLayouts", "getScaledData"],
                    scaleLayoutMethods)>;

def TE_QuantizeOp : TE_CastOp<"quantize", [
    DeclareOpInterfaceMethods<TE_MemberOpInterface, [
      "getMemberOperandName", "isMemberResult", "formGroup"]>,
    DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface, ["isRowResult"]>],
    [], ["getUsages", "forgetUsage"]> {
  let summary = "casts a matrix to FP8 or FP4, with one scale for each block";
  let description = [{
    For each block `b` that the encoding of `scales` asks for:

    ```
    amax      = max |input[i]|, NaN left out
    s         = scale                                    if it is given
                1                                        if amax is 0 or not finite
                fp8_max / max(amax, epsilon)             otherwise; with
                                  pow2_scales rounded down to a power of two
    values[i] = fp8(input[i] * s)      (nearest even, saturating; NaN stays NaN)
    scales[b] = 1 / s
    amax_out  = max(amax operand, max |input|)           of each group
    ```

    `fp8_max` is 448 for `f8E4M3FN` and 57344 for `f8E5M2`. Where the division
    overflows, the input type's largest value stands in (with `<tensor>` scales the
    largest F32). Edge blocks may be partial.

    *Rowwise* results are `values` and `scales`; *columnwise* ones, `values_t` and
    `scales_t`, are the input quantized along its columns: stored transposed, or,
    with blocks one column wide, as the input is. At least one pair is asked for. The
    input may be packed (E x M x K) or ragged (`groups`). At a `noop` of 1.0 nothing is
    written, and the results are what the destinations held.

    *MXFP8*: FP8 values with `f8E8M0FNU` scales of `1 x 32`, columnwise `32 x 1`.

    ```
    scales[b] = amax / fp8_max rounded up to a power of two;  s = 1 / scales[b]
    ```

    *NVFP4*: `f4E2M1FN` values with `f8E4M3FN` scales of `1 x 16` in both directions,
    under an amax of the whole tensor, or of each member or group, which is a result.

    ```
    tensor_amax = max |input|                            (tensor_amax_t likewise)
    t           = 448 * 6 / tensor_amax, 1 where that or tensor_amax is 0
    scales[b]   = f8E4M3FN(amax * (t * (1/6)))
    values[i]   = f4E2M1FN(input[i] / (scales[b] * (1/t)))
    ```

    `square_blocks` (weights of either) takes the amax of a block from the square of
    blocks around it, 32 x 32 or 16 x 16, so that both directions have one value.
    `hadamard` first transforms what is cast columnwise, 16 rows of a group at a time;
    both operands of a product over them must be so. With `rng` (seed and offset, to
    which `rng_stream` is added) values are rounded up or down at random. Casts with one
    state and stream draw the same numbers for an element, whether it is cast with its
    member, its group or alone.

    Constraints:
    * (Q1) at least one of the rowwise and columnwise pairs is asked for.
    * (Q2) `scales` carries a `#te.scales` encoding, likewise `scales_t`.
    * (Q3) `values` has the shape of `input`.
    * (Q4) `scales` has the shape which its encoding gives for `values`.
    * (Q5) `values_t` has the shape of `input` transposed, or, with blocks one column
      wide, that of `input`.
    * (Q6) `scales_t` has the shape which its encoding gives for `values_t`.
    * (Q7) `scale` stands with `<tensor>` scales only: one value for each member of a
      group, and with `member` one.
    * (Q8) `amax` and `amax_out` come together: one value for each member of a group,
      and with `member` one.
    * (Q9) with `groups`, the groups of `<tensor>` scales and of columnwise scales are
      those of the offsets; without, there are none.
    * (Q10) `noop` needs destinations.
    * (Q11) `f4E2M1FN` values go with blocks of 1 x 16 and an even last extent, FP8
      values with others; columnwise MXFP8 has blocks of 32 x 1, and rowwise 1 x 32.
    * (Q12) scales of 8 bits have no `pow2_scales` and an `epsilon` of 0.
    * (Q13) `tensor_amax` is there exactly where `values` are `f4E2M1FN`, `tensor_amax_t`
      where `values_t` are: one value, or one for each member or group, also with
      `member`.
    * (Q14) `rng` has two values and stands with `f4E2M1FN` values only; `rng_stream` is
      at least 0, and 0 without `rng`.
    * (Q15) `square_blocks` stands with scales of 8 bits, and not with `groups`.
    * (Q16) `hadamard` stands with columnwise `f4E2M1FN` values and a BF16 input.
    * (Q17) there is no `variant`: the NVFP4 variants `row_scaled` and `4over6` are not
      supported.

    Example:

    ```mlir
    // 4096 tokens of 7168 features, so 56 scales for each token.
    %values, %scales = te.quantize %x : tensor<4096x7168xbf16>
      -> tensor<4096x7168xf8E4M3FN>, tensor<4096x56xf32, #te.scales<1 x 128, compact>>
    // A gradient in NVFP4, columnwise transformed, rounded at random.
    %v, %s, %vt, %st, %a, %at = te.quantize %dy rng(%state : tensor<2xi64>) {hadamard}
      : tensor<128x256xbf16>
      -> tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>
      columnwise tensor<256x128xf4E2M1FN>, tensor<256x8xf8E4M3FN, #te.scales<1 x 16, swizzled>>
      tensor_amax tensor<f32> tensor_amax_t tensor<f32>
    ```
  }];
  let arguments = (ins
    TE_FloatTensor:$input, Optional<TE_F32Tensor>:$scale,
    Optional<TE_F32Tensor>:$amax, Optional<TE_F32Tensor>:$noop,
    Optional<TE_I32Tensor>:$offsets, Optional<TE_RngTensor>:$rng,
    Variadic<AnyRankedTensor>:$outs,
    OptionalAttr<I64Attr>:$member, UnitAttr:$pow2_scales,
    UnitAttr:$square_blocks, UnitAttr:$hadamard,
    DefaultValuedAttr<I64Attr, "0">:$rng_stream,
    DefaultValuedAttr<F32Attr, "0.0f">:$epsilon, OptionalAttr<StrAttr>:$variant);
  let results = (outs
    Optional<TE_QuantizedTensor>:$values, Optional<TE_ScalesTensor>:$scales,
    Optional<TE_QuantizedTensor>:$values_t, Optional<TE_ScalesTensor>:$scales_t,
    Optional<TE_F32Tensor>:$amax_out, Optional<TE_F32Tensor>:$tensor_amax,
    Optional<TE_F32Tensor>:$tensor_amax_t);
  let assemblyFormat = [{
    $input (`scale` `(` $scale^ `:` type($scale) `)`)?
    (`amax` `(` $amax^ `:` type($amax) `)`)?
    (`noop` `(` $noop^ `:` type($noop) `)`)?
    (`groups` `(` $offsets^ `:` type($offsets) `)`)? (`member` $member^)?
    (`rng` `(` $rng^ `:` type($rng) `)`)?
    (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($input)
    (`->` type($values)^ `,` type($scales))?
    (`columnwise` type($values_t)^ `,` type($scales_t))?
    (`amax_out` type($amax_out)^)? (`tensor_amax` type($tensor_amax)^)?
    (`tensor_amax_t` type($tensor_amax_t)^)?
  }];
}

def TE_MultiCastTransposeOp : TE_CastOp<"multi_cast_transpose", [],
                                        ["getTiedLayoutResult"]> {
  let summary = "quantizes any number of weights in one launch";
  let description = [{
    For each `i`, what `te.quantize` does to `inputs[i]` with `scale[i]`, `amax[i]` and
    the results `values[i]`, `scales[i]`, `values_t[i]`, `scales_t[i]`, `amax_out[i]`,
    `tensor_amax[i]`, `tensor_amax_t[i]`: one launch for all of them, whatever their
    number and shapes. A list is empty or has an entry for each input. `noop` is one flag
    for all.

    Constraints:
    * (M1) each list that is not empty has as many entries as `inputs`, and `inputs`
      has at least one.
    * (M2) `scale`, `amax`, `amax_out`: of types as in (Q7) and (Q8) of `te.quantize`.
    * (M3) for each `i` the results fit the input, as in (Q1) to (Q6), (Q11) to (Q13) and
      (Q15) of `te.quantize`.
    * (M4) all inputs have one element type; all values have one element type, and
      all scales the same block.
    * (M5) `noop` needs destinations.

    Example:

    ```mlir
    %v:2, %s:2, %vt:2, %st:2 = te.multi_cast_transpose %w1, %w2 {pow2_scales}
      : tensor<8x4096x7168xbf16>, tensor<8x7168x2048xbf16>
      -> tensor<8x4096x7168xf8E4M3FN>, tensor<8x7168x2048xf8E4M3FN>
      scales tensor<8x32x56xf32, #te.scales<128 x 128, gemm_ready>>, tensor<8x56x16xf32, #te.scales<128 x 128, gemm_ready>>
      columnwise tensor<8x7168x4096xf8E4M3FN>, tensor<8x2048x7168xf8E4M3FN>
      scales tensor<8x56x32xf32, #te.scales<128 x 128, gemm_ready>>, tensor<8x16x56xf32, #te.scales<128 x 128, gemm_ready>>
    ```
  }];
  let arguments = (ins
    Variadic<TE_FloatTensor>:$inputs, Variadic<TE_F32Tensor>:$scale,
    Variadic<TE_F32Tensor>:$amax, Optional<TE_F32Tensor>:$noop,
    Variadic<AnyRankedTensor>:$outs, UnitAttr:$pow2_scales,
    UnitAttr:$square_blocks, DefaultValuedAttr<F32Attr, "0.0f">:$epsilon);
  let results = (outs
    Variadic<TE_QuantizedTensor>:$values, Variadic<TE_ScalesTensor>:$scales,
    Variadic<TE_QuantizedTensor>:$values_t, Variadic<TE_ScalesTensor>:$scales_t,
    Variadic<TE_F32Tensor>:$amax_out, Variadic<TE_F32Tensor>:$tensor_amax,
    Variadic<TE_F32Tensor>:$tensor_amax_t);
  let assemblyFormat = [{
    $inputs (`scale` `(` $scale^ `:` type($scale) `)`)?
    (`amax` `(` $amax^ `:` type($amax) `)`)?
    (`noop` `(` $noop^ `:` type($noop) `)`)?
    (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($inputs)
    (`->` type($values)^ `scales` type($scales))?
    (`columnwise` type($values_t)^ `scales` type($scales_t))?
    (`amax_out` type($amax_out)^)? (`tensor_amax` type($tensor_amax)^)?
    (`tensor_amax_t` type($tensor_amax_t)^)?
  }];
}

def TE_DequantizeOp : TE_Op<"dequantize", [
    Pure, AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface>],
    ["getOperandLayouts", "getScaledData"]> {
  let summary = "casts FP8 or FP4 data back, block by block";
  let description = [{
    `output[i] = values[i] * scales[block of i]`, of NVFP4 that times
    `tensor_amax / 2688`, in F32, then rounded to the type of `output`. Of a ragged
    matrix (`groups`) the rows that belong to a group.

    Constraints:
    * (D1) `scales` carries a `#te.scales` encoding.
    * (D2) `scales` has the shape which that encoding gives for `values`.
    * (D3) `output` has the shape of `values`.
    * (D4) `f4E2M1FN` values have scales of 1 x 16 and a `tensor_amax`, other values
      neither: one value, or one for each member or group.

    Example:

    ```mlir
    %y = te.dequantize %q, %s : (tensor<64x512xf8E4M3FN>,
      tensor<64x4xf32, #te.scales<1 x 128, compact>>) -> tensor<64x512xbf16>
    ```
  }];
  let arguments = (ins TE_QuantizedTensor:$values, TE_ScalesTensor:$scales,
                       Optional<TE_F32Tensor>:$tensor_amax,
                       Optional<TE_I32Tensor>:$offsets);
  let results = (outs TE_FloatTensor:$output);
  let assemblyFormat = [{
    $values `,` $scales (`amax` `(` $tensor_amax^ `)`)?
    (`groups` `(` $offsets^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
}

/// A cast to FP8 of what the op makes of `input` first: what a fused cast and
/// te.quantize share. It has no destinations, and casts to no FP4, which takes the
/// amax of the whole tensor first.
class TE_FusedCastOp<string mnemonic, list<Trait> traits = [],
                     list<string> scaleLayoutMethods = []>
    : TE_Op<mnemonic, !listconcat([
              Pure, AttrSizedOperandSegments, AttrSizedResultSegments,
              TE_UsagesOpInterface], traits),
            !listconcat(["getResultLayouts", "getScaledData"],
                        scaleLayoutMethods)>;

def TE_RequantizeOp : TE_FusedCastOp<"requantize", [
    DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface, ["isRowResult"]>],
    ["getOperandLayouts"]> {
  let summary = "casts FP8 rows to other blocks, in one launch";
  let description = [{
    What `te.quantize` gives for what `te.dequantize` gives, bit for bit, without
    the rows between them in memory:

    ```
    row       = te.dequantize input, input_scales groups(offsets)   (of type `via`)
    results   = te.quantize row scale(scale) amax(amax) groups(offsets)
    ```

    In F32 each element is multiplied by its scale, then rounded to `via`, `bf16` or
    `f32`; amaxes are those of the rounded elements. With `groups`, rows that belong
    to no group are neither read nor written.

    Constraints:
    * (E1) at least one of the rowwise and columnwise pairs is asked for.
    * (E2) `input` has rank 2, and `via` is BF16 or F32.
    * (E3) `input_scales` carries a `#te.scales` encoding, not of 1 x 16, has the shape
      which it gives for `input`, and, where its blocks are more than one row high, the groups of the
      offsets.
    * (E4) results, `scale` and `amax`: as in (Q2) to (Q9), (Q11) and (Q12) of
      `te.quantize`; offsets, of at least one group, are on the device.

    Example:

    ```mlir
    // Received rows of 1 x 128 blocks, for the gradient of the weights.
    %vt, %st = te.requantize %q, %s groups(%o : tensor<9xi32>) via bf16 {pow2_scales}
      : tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #te.scales<1 x 128, compact>>
      columnwise tensor<256x128xf8E4M3FN>, tensor<9x256xf32, #te.scales<1 x 128, gemm_ready, groups = 8>>
    ```
  }];
  let arguments = (ins
    TE_FP8Tensor:$input, TE_ScalesTensor:$input_scales,
    Optional<TE_F32Tensor>:$scale, Optional<TE_F32Tensor>:$amax,
    Optional<TE_I32Tensor>:$offsets, TypeAttr:$via, UnitAttr:$pow2_scales,
    DefaultValuedAttr<F32Attr, "0.0f">:$epsilon);
  let results = (outs
    Optional<TE_FP8Tensor>:$values, Optional<TE_ScalesTensor>:$scales,
    Optional<TE_FP8Tensor>:$values_t, Optional<TE_ScalesTensor>:$scales_t,
    Optional<TE_F32Tensor>:$amax_out);
  let assemblyFormat = [{
    $input `,` $input_scales (`scale` `(` $scale^ `:` type($scale) `)`)?
    (`amax` `(` $amax^ `:` type($amax) `)`)?
    (`groups` `(` $offsets^ `:` type($offsets) `)`)? `via` $via attr-dict
    `:` type($input) `,` type($input_scales)
    (`->` type($values)^ `,` type($scales))?
    (`columnwise` type($values_t)^ `,` type($scales_t))?
    (`amax_out` type($amax_out)^)?
  }];
}

def TE_AdvanceRngOp : TE_Op<"advance_rng", [
    Pure, AllTypesMatch<["rng", "output"]>]> {
  let summary = "the states of stochastic rounding of the next step";
  let description = [{
    `output = {seed, offset + by}`, of one state or of N. Casts with the next state draw
    other numbers than those with this one, if `by` is above each `rng_stream` of theirs.

    Constraints:
    * (AR1) `rng` has the shape 2 or N x 2.
    * (AR2) `by` is at least 0.

    Example:

    ```mlir
    %next = te.advance_rng %rng by 2 : tensor<4x2xi64>
    ```
  }];
  let arguments = (ins TE_RngTensor:$rng, I64Attr:$by);
  let results = (outs TE_RngTensor:$output);
  let assemblyFormat = "$rng `by` $by attr-dict `:` type($output)";
}

} // opDocGroup = TE_QuantizeDocs

#endif // TE_DIALECT_TE_IR_QUANTIZEOPS
