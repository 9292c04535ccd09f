//===- GemmOps.td - matrix products of experts -------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_GEMMOPS
#define TE_DIALECT_TE_IR_GEMMOPS

include "te/Dialect/TE/IR/TEAttrs.td"

def TE_GemmDocs : OpDocGroup {
  let summary = "Products";
  let description = [{
    Matrix products, dense, of one expert, and of all experts in one launch.
  }];
}

let opDocGroup = TE_GemmDocs in {

class TE_ProductOp<string mnemonic, list<Trait> traits = []>
    : TE_Op<mnemonic, !listconcat([
        Pure, AttrSizedOperandSegments,
        DeclareOpInterfaceMethods<TE_DestinationOpInterface, [
          "addsToDestinations", "overwriteDestinations"]>,
        DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface, [
          "isRowResult", "getRowAlignment"]>], traits),
        ["getOperandLayouts", "getScaledData"]>;

def TE_GemmOp : TE_ProductOp<"gemm", [
    DeclareOpInterfaceMethods<TE_MemberOpInterface, [
      "getMemberOperandName", "isMemberResult", "formGroup"]>]> {
  let summary = "a matrix product, dense or of one expert";
  let description = [{
    ```
    result[m, n] = sum over k of lhs[m, k] * rhs[n, k]  (+ bias[n])  (+ outs[m, n])
    ```

    Operands are M x K and N x K, or with `transpose_lhs`, `transpose_rhs` K x M and
    K x N. FP8 and FP4 operands come with their scales, and are taken as
    `values * scale of the block`; sums are in F32. FP4 operands come with an `amax`
    too, and their sums are multiplied by `lhs_amax * rhs_amax / (6 * 6 * 448 * 448)`.
    With `accumulate` the product, rounded to the type of the result, is added to the
    destination.

    With `groups(...)` a dimension is ragged. `over rows`: lhs is C x K, the result
    C x N, and group `member` alone takes part. `over reduction`: lhs is M x C, rhs
    N x C, and the sum is over the rows of group `member`; an empty group gives zeros
    (with `accumulate`: what is there).

    Constraints:
    * (G1) `lhs` and `rhs` have rank 2 and one length of reduction.
    * (G2) `result` is M x N.
    * (G3) an FP8 or FP4 operand has scales, another has none; `scales` carry a
      `#te.scales` encoding and have the shape which it gives for the operand.
    * (G4) FP8 and FP4 operands are not transposed; MXFP8 ones of 32 x 1 are.
    * (G5) not both operands are `f8E5M2`.
    * (G6) blocks: both `<tensor>`; or `gemm_ready` F32 scales, both one row high, or one
      of them square; or both MXFP8 or both NVFP4, `swizzled`.
    * (G7) `bias` has N values.
    * (G8) `groups`, `member` and `over` come together, and the member is one of the
      groups; without them the product is dense.
    * (G9) with `accumulate`, and with `member`, there is a destination.
    * (G10) an operand has an `amax` exactly where it is `f4E2M1FN`: one value, or one for
      each group of a ragged operand. Such operands have blocks of 1 x 16, and no others
      do.

    Example:

    ```mlir
    %y = te.gemm %x scales(%xs), %w scales(%ws) groups(%offsets) member 3 over rows outs(%y0)
      : (tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #te.scales<1 x 128, gemm_ready>>,
         tensor<512x256xf8E4M3FN>, tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>,
         tensor<9xi32, #te.host>, tensor<896x512xbf16>) -> tensor<896x512xbf16>
    ```
  }];
  let arguments = (ins
    TE_OperandTensor:$lhs, Optional<TE_ScalesTensor>:$lhs_scales,
    Optional<TE_F32Tensor>:$lhs_amax,
    TE_OperandTensor:$rhs, Optional<TE_ScalesTensor>:$rhs_scales,
    Optional<TE_F32Tensor>:$rhs_amax,
    Optional<TE_FloatTensor>:$bias, Optional<TE_I32Tensor>:$offsets,
    Optional<TE_FloatTensor>:$outs, OptionalAttr<I64Attr>:$member,
    OptionalAttr<TE_RaggedAttr>:$ragged, UnitAttr:$transpose_lhs,
    UnitAttr:$transpose_rhs, UnitAttr:$accumulate);
  let results = (outs TE_FloatTensor:$result);
  let assemblyFormat = [{
    $lhs (`scales` `(` $lhs_scales^ `)`)? (`amax` `(` $lhs_amax^ `)`)? `,`
    $rhs (`scales` `(` $rhs_scales^ `)`)? (`amax` `(` $rhs_amax^ `)`)?
    (`bias` `(` $bias^ `)`)? (`groups` `(` $offsets^ `)`)? (`member` $member^)?
    (`over` `` $ragged^)? (`outs` `(` $outs^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
}

def TE_GroupedGemmOp : TE_ProductOp<"grouped_gemm", [
    DeclareOpInterfaceMethods<TE_MemberOpInterface>]> {
  let summary = "the matrix products of all experts in one launch";
  let description = [{
    For each group `e`, the `te.gemm` with `member e`, its offsets read on the device.

    `over rows`: `rhs` (and its scales, and the bias) is one packed tensor, E x N x K, or
    E tensors; there is one result, C x N. `over reduction`: there is one `rhs`, and
    the results are one packed tensor, E x M x N, or E tensors.

    Constraints:
    * (GG1) `rhs` is one tensor of rank 3 or E of rank 2 (`over rows`), one of rank 2
      (`over reduction`); `rhs_scales`, `rhs_amax` and `bias` are empty or have as many
      entries, and all entries of a list have one type.
    * (GG2) each product satisfies (G1) to (G7) and (G10) of `te.gemm`.
    * (GG3) `results` is one tensor (`over rows`), one packed tensor or E (`over
      reduction`).
    * (GG4) the number of experts is that of the groups.
    * (GG5) with `accumulate` there are destinations.

    Example:

    ```mlir
    %y = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%offsets) over rows
      : (tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #te.scales<1 x 128, gemm_ready>>,
         tensor<8x512x256xf8E4M3FN>, tensor<8x4x4xf32, #te.scales<128 x 128, gemm_ready>>,
         tensor<9xi32>) -> tensor<896x512xbf16>
    ```
  }];
  let arguments = (ins
    TE_OperandTensor:$lhs, Optional<TE_ScalesTensor>:$lhs_scales,
    Optional<TE_F32Tensor>:$lhs_amax,
    Variadic<TE_OperandTensor>:$rhs, Variadic<TE_ScalesTensor>:$rhs_scales,
    Variadic<TE_F32Tensor>:$rhs_amax,
    Variadic<TE_FloatTensor>:$bias, TE_I32Tensor:$offsets,
    Variadic<TE_FloatTensor>:$outs, TE_RaggedAttr:$ragged,
    UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs, UnitAttr:$accumulate);
  let results = (outs Variadic<TE_FloatTensor>:$results);
  let assemblyFormat = [{
    $lhs (`scales` `(` $lhs_scales^ `)`)? (`amax` `(` $lhs_amax^ `)`)? `,`
    $rhs (`scales` `(` $rhs_scales^ `)`)? (`amax` `(` $rhs_amax^ `)`)?
    (`bias` `(` $bias^ `)`)? `groups` `(` $offsets `)` `over` `` $ragged
    (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def TE_GroupedGemmSwigluQuantizeOp : TE_Op<"grouped_gemm_swiglu_quantize", [
    Pure, AttrSizedOperandSegments, AttrSizedResultSegments,
    DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface, ["getRowAlignment"]>,
    DeclareOpInterfaceMethods<TE_UsagesOpInterface, [
      "getUsages", "forgetUsage"]>], ["getScaledData"]> {
  let summary = "the products of all experts, activated and cast to FP8";
  let description = [{
    ```
    product = te.grouped_gemm lhs scales, rhs scales groups over rows     (bf16)
    values, scales, values_t, scales_t = te.swiglu_quantize product probs groups
    ```

    bit for bit, in one kernel: the product is written only where it is a result, and
    what lies between the activation and the cast nowhere.

    Constraints:
    * (GS1) `lhs` is C x K and `rhs` one packed tensor, E x 2F x K, or E of 2F x K, for E
      groups, all `f8E4M3FN`; there are as many `rhs_scales` as `rhs`, and all entries of
      a list have one type.
    * (GS2) the product, C x 2F, satisfies (G1) to (G7) of `te.gemm`; `lhs_scales` have
      blocks of 1 x 128, `rhs_scales` of 128 x 128.
    * (GS3) F is a multiple of 128.
    * (GS4) `probs` has C values.
    * (GS5) at least one of the rowwise and columnwise pairs is asked for.
    * (GS6) the results fit a matrix of C x F as in (Q2) to (Q6), (Q9), (Q11) and (Q12)
      of `te.quantize`, in blocks of 1 x 128.
    * (GS7) `product` is C x 2F of `bf16`.
    * (GS8) `offsets` is a vector of at least two, in memory of the device.

    Example:

    ```mlir
    %q, %s, %h = te.grouped_gemm_swiglu_quantize
      %x scales(%xs : tensor<2x896xf32, #te.scales<1 x 128, gemm_ready>>),
      %w scales(%ws : tensor<8x4x4xf32, #te.scales<128 x 128, gemm_ready>>)
      probs(%p : tensor<896xf32>) groups(%offsets : tensor<9xi32>)
      : tensor<896x256xf8E4M3FN> by tensor<8x512x256xf8E4M3FN>
      -> tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #te.scales<1 x 128, gemm_ready>>
      product tensor<896x512xbf16>
    ```
  }];
  let arguments = (ins
    TE_FP8Tensor:$lhs, TE_ScalesTensor:$lhs_scales,
    Variadic<TE_FP8Tensor>:$rhs, Variadic<TE_ScalesTensor>:$rhs_scales,
    Optional<TE_F32Tensor>:$probs, TE_I32Tensor:$offsets,
    UnitAttr:$pow2_scales, DefaultValuedAttr<F32Attr, "0.0f">:$epsilon);
  let results = (outs
    Optional<TE_FP8Tensor>:$values, Optional<TE_ScalesTensor>:$scales,
    Optional<TE_FP8Tensor>:$values_t, Optional<TE_ScalesTensor>:$scales_t,
    Optional<TE_FloatTensor>:$product);
  let assemblyFormat = [{
    $lhs `scales` `(` $lhs_scales `:` type($lhs_scales) `)` `,`
    $rhs `scales` `(` $rhs_scales `:` type($rhs_scales) `)`
    (`probs` `(` $probs^ `:` type($probs) `)`)?
    `groups` `(` $offsets `:` type($offsets) `)` attr-dict
    `:` type($lhs) `by` type($rhs)
    (`->` type($values)^ `,` type($scales))?
    (`columnwise` type($values_t)^ `,` type($scales_t))?
    (`product` type($product)^)?
  }];
}

} // opDocGroup = TE_GemmDocs

#endif // TE_DIALECT_TE_IR_GEMMOPS
