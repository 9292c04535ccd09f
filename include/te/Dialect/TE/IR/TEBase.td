//===- TEBase.td - the te dialect and what its ops share ---*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_TEBASE
#define TE_DIALECT_TE_IR_TEBASE

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "te/Dialect/TE/IR/TEInterfaces.td"

def TE_Dialect : Dialect {
  let name = "te";
  let cppNamespace = "::mlir::te";
  let summary = "expert layers of mixture-of-experts models in low precision";
  let description = [{
    The expert layer of a mixture-of-experts (MoE) model as it is trained in FP8:
    casts and their scales, moves of tokens, grouped matrix products, activations,
    forward and backward, on builtin tensors.

    *A quantized tensor* is two values, its data and its scales. The scales carry
    a `#te.scales` encoding which says what block shares a scale and where that
    scale lies: a mix that would fail at run time does not verify.

    *Columnwise* data is quantized along the first dimension and stored
    transposed, so that each product is of two operands whose rows run along the
    reduction. MXFP8 alone stores it as the input is, with blocks of 32 x 1.

    *A ragged matrix* has a static capacity of C rows; `offsets` (E+1 values in
    memory of the device) tell which rows belong to which of E groups. An op with
    `member e` works on group `e` alone, launched by the host, which must know the
    offsets (`#te.host`): that is how frameworks run experts one by one.

    *A destination* (`outs`) is a value that the op overwrites, and the result its
    new content: where a member op writes one group, the other rows of the result
    are those of the destination.

    *Names and roles* are attributes of functions and globals, and of the module:

    | attribute    | on                       | says                                |
    | ------------ | ------------------------ | ----------------------------------- |
    | `te.target`  | module                   | `#te.target`: the device; sm_90 where absent |
    | `te.ranks`   | function                 | how many ranks meet in its communication |
    | `te.name`    | argument, result         | its name outside of the program     |
    | `te.parameter` | argument               | a weight: its casts count as casts of weights |
    | `te.next`    | argument                 | a state: the name of the result with its next value |
    | `te.init`    | argument                 | `#te.init`: how random data for it is made |
    | `te.group`, `te.member = e` | argument, result, global | a member of the group of that name, and its position in it |
    | `te.members` | argument, result, global | packed: the names of its members, in order |
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasConstantMaterializer = 1;
  let extraClassDeclaration = [{
    /// On a module: a `#te.target`.
    static constexpr StringLiteral kTargetAttr = "te.target";
    /// On an argument or result of a function: its name outside of the program.
    static constexpr StringLiteral kNameAttr = "te.name";
    /// On an argument: a weight, whose casts count as weight casts.
    static constexpr StringLiteral kParameterAttr = "te.parameter";
    /// On an argument, result or global that is a member of a group which
    /// te-pack-parameters may pack: the group's name, and the position in it.
    static constexpr StringLiteral kGroupAttr = "te.group";
    static constexpr StringLiteral kMemberAttr = "te.member";
    /// On what was packed: the names of its members, in order.
    static constexpr StringLiteral kMembersAttr = "te.members";
    /// On an argument: how random data for it is made (`#te.init`).
    static constexpr StringLiteral kInitAttr = "te.init";
    /// On an argument that is a state: the name of the result with its next value.
    static constexpr StringLiteral kNextAttr = "te.next";
    /// On a function: the ranks that meet in its communication.
    static constexpr StringLiteral kRanksAttr = "te.ranks";

    void registerAttributes();
    void registerBytecode();
  }];
}

/// An op keeps the layout of its scales, except as far as it overrides
/// `scaleLayoutMethods` of `ScaleLayoutOpInterface`.
class TE_Op<string mnemonic, list<Trait> traits = [],
            list<string> scaleLayoutMethods = []>
    : Op<TE_Dialect, mnemonic,
         !listconcat(traits, [
           DeclareOpInterfaceMethods<TE_ScaleLayoutOpInterface,
                                     scaleLayoutMethods>,
           DeclareOpInterfaceMethods<TE_CostOpInterface, ["getCost"]>,
           DeclareOpInterfaceMethods<TE_RuntimeCallOpInterface,
                                     ["getRuntimeCall"]>])> {
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Types that more than one family uses
//===----------------------------------------------------------------------===//

def TE_FP8 : AnyTypeOf<[F8E4M3FN, F8E5M2]>;
def TE_Quantized : AnyTypeOf<[F8E4M3FN, F8E5M2, F4E2M1FN]>;
def TE_HighPrecision : AnyTypeOf<[BF16, F32]>;
def TE_ScaleElement : AnyTypeOf<[F32, F8E8M0FNU, F8E4M3FN]>;

def TE_FP8Tensor : RankedTensorOf<[TE_FP8]>;
def TE_QuantizedTensor : RankedTensorOf<[TE_Quantized]>;
def TE_FloatTensor : RankedTensorOf<[TE_HighPrecision]>;
def TE_DataTensor : RankedTensorOf<[TE_HighPrecision, TE_FP8]>;
def TE_OperandTensor : RankedTensorOf<[TE_HighPrecision, TE_Quantized]>;
def TE_ScalesTensor : RankedTensorOf<[TE_ScaleElement]>;
def TE_F32Tensor : RankedTensorOf<[F32]>;
def TE_I32Tensor : RankedTensorOf<[I32]>;
/// The state of stochastic rounding: a seed and an offset.
def TE_RngTensor : RankedTensorOf<[I64]>;

#endif // TE_DIALECT_TE_IR_TEBASE
