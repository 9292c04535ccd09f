//===- LayoutOps.td - moves that change no value -----------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_LAYOUTOPS
#define TE_DIALECT_TE_IR_LAYOUTOPS

include "te/Dialect/TE/IR/TEAttrs.td"

def TE_LayoutDocs : OpDocGroup {
  let summary = "Layouts and packed tensors";
  let description = [{
    Moves that change no value: scales into another layout, transposes, packed
    tensors and their members.
  }];
}

let opDocGroup = TE_LayoutDocs in {

/// Moves whole tensors, whatever the layout of the scales in them.
class TE_ViewOp<string mnemonic, list<Trait> traits = []>
    : TE_Op<mnemonic, !listconcat([Pure], traits), [
        "getOperandLayouts", "getResultLayouts", "getTiedLayoutOperands"]>;

def TE_ConvertScalesOp : TE_Op<"convert_scales", [Pure],
                               ["getOperandLayouts", "getResultLayouts"]> {
  let summary = "moves scales into another layout";
  let description = [{
    The scale of each block, where the encoding of `output` wants it: between
    `compact` and `gemm_ready` a transpose, between `compact` and `swizzled` (8-bit
    scales) the permutation of 128 x 4 tiles that cuBLASLt reads, its padding zero:

    ```
    output[((i / 128) * tiles + j / 4) * 512 + (i % 32) * 16 + ((i % 128) / 32) * 4 + j % 4]
      = scales[i, j]
    ```

    `of` tells the shape of the data (of one member).

    Folds: a conversion to the layout that is there already; a conversion of a
    conversion back.

    Constraints:
    * (C1) `scales` and `output` carry `#te.scales` encodings of one block and the same
      groups.
    * (C2) the layouts are a pair that a conversion exists for: `swizzled` without
      groups.
    * (C3) `scales` has the shape which its encoding gives for `of`.
    * (C4) `output` has the shape which its encoding gives for `of`, and its type.

    Example:

    ```mlir
    %g = te.convert_scales %s of [6, 256]
      : tensor<6x2xf32, #te.scales<1 x 128, compact>>
      -> tensor<2x8xf32, #te.scales<1 x 128, gemm_ready>>
    ```
  }];
  let arguments = (ins TE_ScalesTensor:$scales, DenseI64ArrayAttr:$data_shape);
  let results = (outs TE_ScalesTensor:$output);
  let assemblyFormat = [{
    $scales `of` $data_shape attr-dict `:` type($scales) `->` type($output)
  }];
  let hasFolder = 1;
}

def TE_TransposeOp : TE_Op<"transpose", [Pure]> {
  let summary = "transposes the last two dimensions";
  let description = [{
    `output[..., j, i] = input[..., i, j]`. For data; scales are moved by
    `te.convert_scales`.

    Folds: the transpose of a transpose.

    Constraints:
    * (T1) `input` has rank 2 or 3.
    * (T2) `output` has the shape of `input` with the last two dimensions exchanged,
      and its element type.

    Example:

    ```mlir
    %t = te.transpose %x : tensor<64x512xf8E4M3FN> -> tensor<512x64xf8E4M3FN>
    ```
  }];
  let arguments = (ins TE_DataTensor:$input);
  let results = (outs TE_DataTensor:$output);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($output)";
  let hasFolder = 1;
}

def TE_PackOp : TE_ViewOp<"pack"> {
  let summary = "lays equal tensors one behind another";
  let description = [{
    `output[e] = inputs[e]`. Scales keep their encoding.

    Folds: a pack of all members of one packed tensor, in order, is that tensor. A
    pack of such members after each, or some, were updated as destinations is that
    tensor with one inserted after the other (`te.insert_member`), in place.

    Constraints:
    * (P1) there is at least one input, and all have the type of input 0.
    * (P2) `output` has the type of the inputs with their number as first dimension.

    Example:

    ```mlir
    %w = te.pack %w0, %w1 : tensor<512x256xbf16> -> tensor<2x512x256xbf16>
    ```
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $inputs attr-dict `:` custom<SameTypes>(type($inputs), ref($inputs))
    `->` type($output)
  }];
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def TE_MemberOp : TE_ViewOp<"member"> {
  let summary = "one member of a packed tensor, without a copy";
  let description = [{
    `output = packed[index]`, where the index is a constant or the counter of a loop
    around the op. A view: it launches nothing.

    Folds: a member of a pack is that input; a member of a packed tensor into which
    a member has been inserted, at constants.

    Constraints:
    * (E1) the index is either a constant in [0, dim 0) or an operand.
    * (E2) `output` has the type of `packed` without its first dimension.

    Example:

    ```mlir
    %w3 = te.member %w[3] : tensor<8x512x256xbf16> -> tensor<512x256xbf16>
    %x = te.member %tokens[%i] : tensor<4x96x256xbf16> -> tensor<96x256xbf16>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$packed, Optional<Index>:$dynamic_index,
                       OptionalAttr<I64Attr>:$index);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $packed `[` custom<Index>($dynamic_index, $index) `]` attr-dict
    `:` type($packed) `->` type($output)
  }];
  let hasFolder = 1;
  let builders = [
    OpBuilder<(ins "Value":$packed, "int64_t":$index)>,
    OpBuilder<(ins "Value":$packed, "Value":$index)>];
  let extraClassDeclaration = [{
    /// The type of a member of `packed`.
    static RankedTensorType getMemberType(RankedTensorType packed);
    /// The type of `count` packed `member`s.
    static RankedTensorType getPackedType(RankedTensorType member, int64_t count);
  }];
}

def TE_InsertMemberOp : TE_ViewOp<"insert_member", [
    DeclareOpInterfaceMethods<TE_DestinationOpInterface>]> {
  let summary = "a packed tensor with one member replaced";
  let description = [{
    `output = packed`, but `output[index] = value`. Lowering lets the producer of
    `value` write into place where it can.

    Constraints:
    * (I1) the index is either a constant in [0, dim 0) or an operand.
    * (I2) `value` has the type of `packed` without its first dimension.
    * (I3) `output` has the type of `packed`.

    Example:

    ```mlir
    %out = te.insert_member %y into %acc[%i] : tensor<96x256xbf16> -> tensor<4x96x256xbf16>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$value, AnyRankedTensor:$packed,
                       Optional<Index>:$dynamic_index,
                       OptionalAttr<I64Attr>:$index);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $value `into` $packed `[` custom<Index>($dynamic_index, $index) `]` attr-dict
    `:` type($value) `->` custom<SameType>(type($output), type($packed))
  }];
  let builders = [
    OpBuilder<(ins "Value":$value, "Value":$packed, "int64_t":$index)>,
    OpBuilder<(ins "Value":$value, "Value":$packed, "Value":$index)>];
}

} // opDocGroup = TE_LayoutDocs

#endif // TE_DIALECT_TE_IR_LAYOUTOPS
