//===- ActivationOps.td - gated activations ----------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_ACTIVATIONOPS
#define TE_DIALECT_TE_IR_ACTIVATIONOPS

include "te/Dialect/TE/IR/TEAttrs.td"

def TE_ActivationDocs : OpDocGroup {
  let summary = "Activations";
  let description = [{
    The gated activation, its gradients, and both with what they make cast at once.
  }];
}

let opDocGroup = TE_ActivationDocs in {

def TE_SwigluOp : TE_Op<"swiglu", [
    Pure, AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<TE_QuantizingOpInterface>,
    DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface>]> {
  let summary = "silu of one half times the other, times the routing probability";
  let description = [{
    ```
    output[r, j] = silu(a) * b * probs[r]     a = input[r, j], b = input[r, F + j],
                                              silu(a) = a / (1 + exp(-a))
    ```

    In F32, rounded once. Of a ragged matrix (`groups`) the rows that belong to a group.

    Constraints:
    * (S1) `output` is C x F for `input` of C x 2F, of one element type.
    * (S2) `probs` has C values.

    Example:

    ```mlir
    %a = te.swiglu %h probs(%p) groups(%offsets)
      : (tensor<896x512xbf16>, tensor<896xf32>, tensor<9xi32>) -> tensor<896x256xbf16>
    ```
  }];
  let arguments = (ins TE_FloatTensor:$input, Optional<TE_F32Tensor>:$probs,
                       Optional<TE_I32Tensor>:$offsets);
  let results = (outs TE_FloatTensor:$output);
  let assemblyFormat = [{
    $input (`probs` `(` $probs^ `)`)? (`groups` `(` $offsets^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
}

def TE_SwigluBackwardOp : TE_Op<"swiglu_backward", [
    Pure, AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<TE_QuantizingOpInterface>,
    DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface>]> {
  let summary = "the gradients of swiglu";
  let description = [{
    With `g = grad[r, j]`, `p = probs[r]` (1 where absent), `s = 1 / (1 + exp(-a))`:

    ```
    grad_input[r, j]     = g * p * (s + a * s * (1 - s)) * b
    grad_input[r, F + j] = g * p * a * s
    grad_probs[r]        = sum over j of g * a * s * b       (F32)
    ```

    Constraints:
    * (B1) `input` and `grad_input` are C x 2F for `grad` of C x F, of one element type.
    * (B2) `probs` has C values.
    * (B3) `grad_probs` comes with `probs`, and has C values.

    Example:

    ```mlir
    %dh, %dp = te.swiglu_backward %g, %h probs(%p) groups(%offsets)
      : (tensor<896x256xbf16>, tensor<896x512xbf16>, tensor<896xf32>, tensor<9xi32>)
      -> (tensor<896x512xbf16>, tensor<896xf32>)
    ```
  }];
  let arguments = (ins TE_FloatTensor:$grad, TE_FloatTensor:$input,
                       Optional<TE_F32Tensor>:$probs,
                       Optional<TE_I32Tensor>:$offsets);
  let results = (outs TE_FloatTensor:$grad_input, Optional<TE_F32Tensor>:$grad_probs);
  let assemblyFormat = [{
    $grad `,` $input (`probs` `(` $probs^ `)`)? (`groups` `(` $offsets^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Activations that write FP8
//===----------------------------------------------------------------------===//

class TE_ActivationQuantizeOp<string mnemonic, list<Trait> traits = []>
    : TE_Op<mnemonic, !listconcat([
        Pure, AttrSizedOperandSegments, AttrSizedResultSegments,
        DeclareOpInterfaceMethods<TE_GroupedRowsOpInterface, ["isRowResult"]>,
        TE_UsagesOpInterface],
        traits),
        ["getResultLayouts", "getScaledData"]>;

def TE_SwigluQuantizeOp : TE_ActivationQuantizeOp<"swiglu_quantize", [
    DeclareOpInterfaceMethods<TE_EpilogueOpInterface>]> {
  let summary = "swiglu, cast to FP8";
  let description = [{
    ```
    y = te.swiglu input probs groups         in F32, rounded to the type of input
    values, scales, values_t, scales_t, amax_out = te.quantize y scale amax groups
    ```

    bit for bit, but `y` is not written: the amax is that of the rounded value, and it
    is the rounded value that is cast. With `<tensor>` scales and no `scale` the
    activation is computed twice: for the amax, then for the cast.

    Constraints:
    * (SQ1) `input` is a matrix of an even number of columns, C x 2F.
    * (SQ2) `probs` has C values.
    * (SQ3) `offsets` is a vector of at least two, in memory of the device.
    * (SQ4) at least one of the rowwise and columnwise pairs is asked for.
    * (SQ5) the results fit a matrix of C x F as in (Q2) to (Q6), (Q9), (Q11) and (Q12)
      of `te.quantize`.
    * (SQ6) `scale`, `amax` and `amax_out` are as in (Q7) and (Q8) of `te.quantize`.

    Example:

    ```mlir
    %q, %s = te.swiglu_quantize %h probs(%p : tensor<896xf32>) groups(%offsets : tensor<9xi32>)
      : tensor<896x512xbf16>
      -> tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #te.scales<1 x 128, gemm_ready>>
    ```
  }];
  let arguments = (ins
    TE_FloatTensor:$input, Optional<TE_F32Tensor>:$probs,
    Optional<TE_I32Tensor>:$offsets, Optional<TE_F32Tensor>:$scale,
    Optional<TE_F32Tensor>:$amax, UnitAttr:$pow2_scales,
    DefaultValuedAttr<F32Attr, "0.0f">:$epsilon);
  let results = (outs
    Optional<TE_FP8Tensor>:$values, Optional<TE_ScalesTensor>:$scales,
    Optional<TE_FP8Tensor>:$values_t, Optional<TE_ScalesTensor>:$scales_t,
    Optional<TE_F32Tensor>:$amax_out);
  let assemblyFormat = [{
    $input (`probs` `(` $probs^ `:` type($probs) `)`)?
    (`scale` `(` $scale^ `:` type($scale) `)`)?
    (`amax` `(` $amax^ `:` type($amax) `)`)?
    (`groups` `(` $offsets^ `:` type($offsets) `)`)? attr-dict `:` type($input)
    (`->` type($values)^ `,` type($scales))?
    (`columnwise` type($values_t)^ `,` type($scales_t))?
    (`amax_out` type($amax_out)^)?
  }];
}

def TE_SwigluBackwardQuantizeOp
    : TE_ActivationQuantizeOp<"swiglu_backward_quantize"> {
  let summary = "the gradients of swiglu, that of its input cast to FP8";
  let description = [{
    ```
    y, grad_probs = te.swiglu_backward grad, input probs groups      (y rounded)
    values, scales, values_t, scales_t, amax_out = te.quantize y scale amax groups
    ```

    bit for bit, but `y` is not written; as in `te.swiglu_quantize`.

    Constraints:
    * (BQ1) `input` is C x 2F for `grad` of C x F, of one element type.
    * (BQ2) `probs` has C values.
    * (BQ3) `grad_probs` comes with `probs`, and has C values.
    * (BQ4) `offsets` is a vector of at least two, in memory of the device.
    * (BQ5) at least one of the rowwise and columnwise pairs is asked for.
    * (BQ6) the results fit a matrix of C x 2F as in (Q2) to (Q6), (Q9), (Q11) and (Q12)
      of `te.quantize`.
    * (BQ7) `scale`, `amax` and `amax_out` are as in (Q7) and (Q8) of `te.quantize`.

    Example:

    ```mlir
    %q, %s, %dp = te.swiglu_backward_quantize %g, %h probs(%p : tensor<896xf32>)
      scale(%m : tensor<8xf32>) groups(%offsets : tensor<9xi32>)
      : tensor<896x256xbf16>, tensor<896x512xbf16>
      -> tensor<896x512xf8E5M2>, tensor<8xf32, #te.scales<tensor, groups = 8>>
      grad_probs tensor<896xf32>
    ```
  }];
  let arguments = (ins
    TE_FloatTensor:$grad, TE_FloatTensor:$input, Optional<TE_F32Tensor>:$probs,
    Optional<TE_I32Tensor>:$offsets, Optional<TE_F32Tensor>:$scale,
    Optional<TE_F32Tensor>:$amax, UnitAttr:$pow2_scales,
    DefaultValuedAttr<F32Attr, "0.0f">:$epsilon);
  let results = (outs
    Optional<TE_FP8Tensor>:$values, Optional<TE_ScalesTensor>:$scales,
    Optional<TE_FP8Tensor>:$values_t, Optional<TE_ScalesTensor>:$scales_t,
    Optional<TE_F32Tensor>:$amax_out, Optional<TE_F32Tensor>:$grad_probs);
  let assemblyFormat = [{
    $grad `,` $input (`probs` `(` $probs^ `:` type($probs) `)`)?
    (`scale` `(` $scale^ `:` type($scale) `)`)?
    (`amax` `(` $amax^ `:` type($amax) `)`)?
    (`groups` `(` $offsets^ `:` type($offsets) `)`)? attr-dict
    `:` type($grad) `,` type($input)
    (`->` type($values)^ `,` type($scales))?
    (`columnwise` type($values_t)^ `,` type($scales_t))?
    (`amax_out` type($amax_out)^)? (`grad_probs` type($grad_probs)^)?
  }];
}

} // opDocGroup = TE_ActivationDocs

#endif // TE_DIALECT_TE_IR_ACTIVATIONOPS
