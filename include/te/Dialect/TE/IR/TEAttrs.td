//===- TEAttrs.td - attributes of the te dialect -----------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_TEATTRS
#define TE_DIALECT_TE_IR_TEATTRS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/TensorEncoding.td"
include "te/Dialect/TE/IR/TEBase.td"

class TE_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<TE_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def TE_ScaleLayout : I32EnumAttr<"ScaleLayout",
    "where the scale of a block lies in the matrix of scales", [
      I32EnumAttrCase<"Tensor", 1, "tensor">,
      I32EnumAttrCase<"Compact", 2, "compact">,
      I32EnumAttrCase<"GemmReady", 3, "gemm_ready">,
      I32EnumAttrCase<"Swizzled", 4, "swizzled">]> {
  let cppNamespace = "::mlir::te";
  let genSpecializedAttr = 0;
}

def TE_ScalesAttr : TE_Attr<"Scales", "scales", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "the block that shares one scale, and where its scale lies";
  let description = [{
    `#te.scales<block, layout>` is the encoding of a tensor of scales, for data of
    M x K (rounded up):

    | encoding                   | scales                           | read by           |
    | -------------------------- | -------------------------------- | ----------------- |
    | `<tensor>`                 | one                              | all               |
    | `<1 x 128, compact>`       | M x K/128                        | dispatch, permute |
    | `<1 x 128, gemm_ready>`    | K/128 x M, M padded to 4         | products          |
    | `<128 x 1, compact>`       | M/128 x K                        |                   |
    | `<128 x 128, compact>`     | M/128 x K/128                    |                   |
    | `<128 x 128, gemm_ready>`  | M/128 x K/128, the last padded to 4 | products       |
    | `<1 x 32, compact>`        | M padded to 128 x K/32 padded to 4 | dispatch, permute |
    | `<32 x 1, compact>`        | M/32 padded to 4 x K padded to 128 |                 |
    | `<1 x 32, swizzled>`       | M padded to 128 x K/32 padded to 4 | products        |
    | `<32 x 1, swizzled>`       | K padded to 128 x M/32 padded to 4 | products        |

    and `<1 x 16, ..>` as `<1 x 32, ..>`. Blocks of 32 (MXFP8) have `f8E8M0FNU` scales,
    1 x 16 (NVFP4) `f8E4M3FN`, all others `f32`. Only scales of 8 bits are swizzled, and
    their padding is zero in either layout.

    Data of rank 3, E x M x K, has scales with a leading E. The block is relative
    to the data as it is stored: columnwise data of blocks of 1 x 128, stored
    transposed (K x M), has scales `<1 x 128, gemm_ready>` of M/128 x K.

    `groups = E`: the data is ragged, and its blocks do not cross from one group
    into the next. `<tensor, groups = E>` has E scales. For columnwise data of
    capacity C (stored as K x C) there are floor(C/128) + E blocks in a row, and
    block `b` of group `g` is number floor(offsets[g]/128) + g + b; blocks of 32 and 16
    likewise. Squares with groups are those of columnwise data. `swizzled` has no such slack: all offsets are multiples of 128, and the
    tiles of group `g` begin at element (the other extent, padded to 128) *
    offsets[g]/32, or /16.

    ```
    compact, 1 x 128, M = 3, K = 256      gemm_ready, the same scales
      (0,0) (0,1)                           (0,0) (1,0) (2,0)  pad
      (1,0) (1,1)                           (0,1) (1,1) (2,1)  pad
      (2,0) (2,1)
    ```
  }];
  let parameters = (ins
    AttrParameter<"int64_t", "rows of a block; 0 with `tensor`">:$rows,
    AttrParameter<"int64_t", "columns of a block; 0 with `tensor`">:$cols,
    EnumParameter<TE_ScaleLayout>:$layout,
    AttrParameter<"int64_t", "groups of ragged data; 0 where it is none">:$groups);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// One scale for the whole tensor (or group)?
    bool isTensor() const { return getLayout() == ScaleLayout::Tensor; }
    /// One scale of 8 bits for 32 (MXFP8) or 16 (NVFP4) elements?
    bool isMXFP8() const { return std::max(getRows(), getCols()) == 32; }
    bool isNVFP4() const { return std::max(getRows(), getCols()) == 16; }
    bool hasByteScales() const { return isMXFP8() || isNVFP4(); }
    /// The same block in another layout.
    ScalesAttr withLayout(ScaleLayout layout) const;
    /// The same block and layout for other groups.
    ScalesAttr withGroups(int64_t groups) const;
    /// The shape of the scales of data of shape `data` (rank 2 or 3).
    SmallVector<int64_t> getScalesShape(ArrayRef<int64_t> data) const;
  }];
}

def TE_HostAttr : TE_Attr<"Host", "host"> {
  let summary = "the tensor lies in memory of the host";
  let description = [{
    The encoding of offsets that the host has read: what an op with `member`
    needs, since the host tells such a launch its rows.
  }];
}

def TE_TargetAttr : TE_Attr<"Target", "target"> {
  let summary = "the device that a module is compiled for";
  let description = [{
    `#te.target<sm_90>` (Hopper) or `#te.target<sm_100>` (Blackwell). It decides
    which layouts products read, whether FP8 operands must be stored transposed,
    and the rates of the cost report. No pass asks the machine it runs on.
  }];
  let parameters = (ins StringRefParameter<"sm_90 or sm_100">:$chip);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Bytes per second of a copy, read and written.
    double getBytesPerSecond() const;
    /// Floating-point operations per second of a product of `element`s.
    double getFlopsPerSecond(Type element) const;
    /// The target of the module around `op`, or sm_90.
    static TargetAttr lookup(Operation *op);
  }];
}

def TE_InitKind : I32EnumAttr<"InitKind", "how random data is made", [
      I32EnumAttrCase<"Normal", 0, "normal">,
      I32EnumAttrCase<"Routing", 1, "routing">,
      I32EnumAttrCase<"Probs", 2, "probs">,
      I32EnumAttrCase<"Zero", 3, "zero">,
      I32EnumAttrCase<"One", 4, "one">,
      I32EnumAttrCase<"Rng", 5, "rng">]> {
  let cppNamespace = "::mlir::te";
  let genSpecializedAttr = 0;
}

def TE_InitAttr : TE_Attr<"Init", "init"> {
  let summary = "how random data for an argument is made where there is no other";
  let description = [{
    `#te.init<normal, deviation = 0.02 : f64>` (1 where absent), `#te.init<routing, experts = 8>`,
    `#te.init<probs>`, `#te.init<zero>`, `#te.init<one>`, and `#te.init<rng>`: random
    seeds, each with an offset of 0.
  }];
  let parameters = (ins
    EnumParameter<TE_InitKind>:$kind,
    OptionalParameter<"::mlir::FloatAttr", "with `normal`: 1 where absent">:$deviation,
    DefaultValuedParameter<"int64_t", "0", "with `routing`: how many there are">:$experts);
  let assemblyFormat = "`<` $kind (`,` struct($deviation, $experts)^)? `>`";
}

def TE_Ragged : I32EnumAttr<"Ragged", "which dimension of a product is ragged", [
      I32EnumAttrCase<"Rows", 1, "rows">,
      I32EnumAttrCase<"Reduction", 2, "reduction">]> {
  let cppNamespace = "::mlir::te";
  let genSpecializedAttr = 0;
}
def TE_RaggedAttr : EnumAttr<TE_Dialect, TE_Ragged, "ragged">;

def TE_AmaxAlgorithm : I32EnumAttr<"AmaxAlgorithm",
    "how an amax is taken from a history", [
      I32EnumAttrCase<"Max", 0, "max">,
      I32EnumAttrCase<"MostRecent", 1, "most_recent">]> {
  let cppNamespace = "::mlir::te";
  let genSpecializedAttr = 0;
}
def TE_AmaxAlgorithmAttr
    : EnumAttr<TE_Dialect, TE_AmaxAlgorithm, "amax_algorithm">;

#endif // TE_DIALECT_TE_IR_TEATTRS
