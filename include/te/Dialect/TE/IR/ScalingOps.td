//===- ScalingOps.td - amaxes, and the scales they give ----*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_SCALINGOPS
#define TE_DIALECT_TE_IR_SCALINGOPS

include "te/Dialect/TE/IR/TEAttrs.td"

def TE_ScalingDocs : OpDocGroup {
  let summary = "Amaxes and scales";
  let description = [{
    Amaxes, their maximum over ranks, and the scales of current and delayed scaling
    that come of them.
  }];
}

let opDocGroup = TE_ScalingDocs in {

def TE_AmaxOp : TE_Op<"amax", [
    Pure, DeclareOpInterfaceMethods<TE_MemberOpInterface, [
      "isMemberResult", "formGroup"]>]> {
  let summary = "the largest magnitude of a matrix, or of each group";
  let description = [{
    `amax = max |input|`, NaN left out, and 0 where there is nothing: one value, or,
    of a packed (E x M x K) or ragged (`groups`) input, one for each member. What
    `te.quantize` takes as amax itself, for a cast whose scale has to be known before
    all of its input is: where ranks share it.

    Constraints:
    * (A1) `input` has rank 2, or 3 without groups.
    * (A2) `amax` is one value for each member of a group; with `member` one value.

    Example:

    ```mlir
    %a = te.amax %x groups(%o : tensor<9xi32>) : tensor<512x256xbf16> -> tensor<8xf32>
    ```
  }];
  let arguments = (ins TE_FloatTensor:$input, Optional<TE_I32Tensor>:$offsets,
                       OptionalAttr<I64Attr>:$member);
  let results = (outs TE_F32Tensor:$amax);
  let assemblyFormat = [{
    $input (`groups` `(` $offsets^ `:` type($offsets) `)`)? (`member` $member^)?
    attr-dict `:` type($input) `->` type($amax)
  }];
}

def TE_AllReduceOp : TE_Op<"all_reduce", [
    Pure, DeclareOpInterfaceMethods<TE_SlotwiseOpInterface>]> {
  let summary = "the largest of each amax over all ranks";
  let description = [{
    ```
    m             = max of inputs[i][j] over the ranks, NaN left out
    outputs[i][j] = m, or inputs[i][j] of this rank where m is 0 or all are NaN
    ```

    All inputs travel in one launch, whatever their number: each is one amax, or those
    of a packed group. All ranks meet here, with inputs of the same types.

    Constraints:
    * (R1) there is at least one input, and as many outputs.
    * (R2) each output has the type of its input.

    Example:

    ```mlir
    %m:2 = te.all_reduce max %a, %b : (tensor<f32>, tensor<8xf32>) -> (tensor<f32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Variadic<TE_F32Tensor>:$inputs);
  let results = (outs Variadic<TE_F32Tensor>:$outputs);
  let assemblyFormat = [{
    `max` $inputs attr-dict `:` functional-type(operands, results)
  }];
}

def TE_ScaleFromAmaxOp : TE_Op<"scale_from_amax", [
    Pure, DeclareOpInterfaceMethods<TE_SlotwiseOpInterface>]> {
  let summary = "current scaling: the scale to cast with, from an amax";
  let description = [{
    ```
    scale = 1                              if amax is 0 or not finite
            fp8_max / max(amax, epsilon)   otherwise, the largest F32 where that is
                                           infinite; with pow2_scales rounded down
                                           to a power of two
    ```

    The scale that `te.quantize` finds by itself for `<tensor>` scales. Each entry of
    the lists is one value, or those of a packed group.

    Constraints:
    * (F1) there is at least one amax, and as many scales.
    * (F2) each scale has the type of its amax.
    * (F3) `fp8_max` is above 0, and `epsilon` at least 0.

    Example:

    ```mlir
    %s = te.scale_from_amax %a {fp8_max = 448.0 : f32} : (tensor<8xf32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins Variadic<TE_F32Tensor>:$amax, F32Attr:$fp8_max,
                       UnitAttr:$pow2_scales,
                       DefaultValuedAttr<F32Attr, "0.0f">:$epsilon);
  let results = (outs Variadic<TE_F32Tensor>:$scale);
  let assemblyFormat = [{
    $amax attr-dict `:` functional-type(operands, results)
  }];
}

def TE_UpdateScalesOp : TE_Op<"update_scales", [
    Pure, SameVariadicOperandSize, SameVariadicResultSize,
    DeclareOpInterfaceMethods<TE_SlotwiseOpInterface>]> {
  let summary = "delayed scaling: the scales of the next step, for all slots at once";
  let description = [{
    For each slot, with `amax` of the step just run and a `history` of L values:

    ```
    amax == 0:  history and scale stay
    a       = max(history[1..L-1], amax), NaN left out     (max)
              amax                                         (most_recent)
    history = history rolled by one: history[i] = history[i+1] for 1 <= i <= L-2,
              history[L-1] = amax, history[0] = 0
    scale   = fp8_max * 2^-margin / a, the largest F32 if that is infinite,
              or unchanged if a is not finite or not above 0
    ```

    Each entry of the lists is one slot (scalars), or a packed group of E slots.

    Constraints:
    * (U1) there is at least one slot, and each list has as many entries.
    * (U2) `scale` and `amax` have one shape; `history` has one more dimension, of at
      least 1.
    * (U3) results have the types of the operands.
    * (U4) `fp8_max` is above 0.
    * (U5) `margin` is from -64 to 64.

    Example:

    ```mlir
    %h, %s = te.update_scales amax(%a) history(%h0) scale(%s0) {fp8_max = 448.0 : f32}
      : (tensor<8xf32>, tensor<8x1024xf32>, tensor<8xf32>) -> (tensor<8x1024xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins
    Variadic<TE_F32Tensor>:$amax, Variadic<TE_F32Tensor>:$history,
    Variadic<TE_F32Tensor>:$scale, F32Attr:$fp8_max,
    DefaultValuedAttr<I64Attr, "0">:$margin,
    DefaultValuedAttr<TE_AmaxAlgorithmAttr, "AmaxAlgorithm::Max">:$algorithm);
  let results = (outs Variadic<TE_F32Tensor>:$history_out,
                      Variadic<TE_F32Tensor>:$scale_out);
  let assemblyFormat = [{
    `amax` `(` $amax `)` `history` `(` $history `)` `scale` `(` $scale `)` attr-dict
    `:` functional-type(operands, results)
  }];
}

} // opDocGroup = TE_ScalingDocs

#endif // TE_DIALECT_TE_IR_SCALINGOPS
