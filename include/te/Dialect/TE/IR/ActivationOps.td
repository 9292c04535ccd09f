//===- ActivationOps.td - gated activations ----------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_ACTIVATIONOPS
#define TE_DIALECT_TE_IR_ACTIVATIONOPS

include "te/Dialect/TE/IR/TEAttrs.td"

def TE_SwigluOp : TE_Op<"swiglu", [Pure, AttrSizedOperandSegments]> {
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
    Pure, AttrSizedOperandSegments]> {
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

#endif // TE_DIALECT_TE_IR_ACTIVATIONOPS
