//===- TERuntimeOps.td - the te_rt dialect -----------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TERUNTIME_IR_TERUNTIMEOPS
#define TE_DIALECT_TERUNTIME_IR_TERUNTIMEOPS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "te/Dialect/TE/IR/TEInterfaces.td"

def TERuntime_Dialect : Dialect {
  let name = "te_rt";
  let cppNamespace = "::mlir::te_rt";
  let summary = "buffers, and calls of the runtime";
  let description = [{
    A lowered program: a function whose arguments are buffers (those that were
    results too, with `te_rt.direction = "out"`), and in it calls of the runtime's C
    functions, in `scf.for` loops that carry nothing. A plan (`runtime/schema/plan.fbs`)
    is the same as data.

    Buffers lie in arguments, in the one arena of an execution (`te_rt.alloc`, whose
    offsets `te-plan-memory` assigns), in workspaces that persist, or in constants of
    the plan. `te_rt.member` is a view of a part of any of them.

    | attribute           | on       | says                                         |
    | ------------------- | -------- | -------------------------------------------- |
    | `te_rt.direction`   | argument | `"in"` or `"out"`: whether the program writes it |
    | `te_rt.arena_bytes` | function | the bytes of its arena, once memory is planned |
    | `te_rt.way`         | call     | how a GPU makes a product, once it is chosen: `"own"`, `"groups"`, `"library"`, `"emulated"` or `"plain"` |
  }];
  let dependentDialects = ["::mlir::te::TEDialect"];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let extraClassDeclaration = [{
    /// On an argument: "in" or "out".
    static constexpr StringLiteral kDirectionAttr = "te_rt.direction";
    /// On a function with planned memory: the bytes of its arena (i64).
    static constexpr StringLiteral kArenaBytesAttr = "te_rt.arena_bytes";
    /// On a call of a product: the way that was chosen for it.
    static constexpr StringLiteral kWayAttr = "te_rt.way";
  }];
}

//===----------------------------------------------------------------------===//
// Types and attributes
//===----------------------------------------------------------------------===//

def TERT_BufferType : TypeDef<TERuntime_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "a dense row-major tensor in memory";
  let description = [{
    What the tensor type of the same parameters holds, scales with their encoding:
    `!te_rt.buffer<4096x56xf32, #te.scales<1 x 128, compact>>`. In memory of the
    device, or with `#te.host` of the host. The shape is static.
  }];
  let parameters = (ins
    TypeParameter<"::mlir::RankedTensorType", "shape, element type and encoding">:$tensor);
  let builders = [TypeBuilderWithInferredContext<
      (ins "::mlir::RankedTensorType":$tensor), [{
    return $_get(tensor.getContext(), tensor);
  }]>];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Bytes of the buffer.
    int64_t getBytes() const;
    /// The type of a member along the first dimension, of which there must be one.
    BufferType getMemberType() const;
  }];
}

def TERT_CostAttr : AttrDef<TERuntime_Dialect, "Cost"> {
  let mnemonic = "cost";
  let summary = "what a call costs";
  let description = [{
    The `OpCost` of the op that the call was made from, so that a report says the same
    before and after lowering: `#te_rt.cost<gemm, launches = 1, bytes = 4096,
    flops = 8192, product = bf16>`. What is 0 is left out.
  }];
  let parameters = (ins
    AttrParameter<"::mlir::te::CostClass", "row of the report">:$costClass,
    AttrParameter<"int64_t", "kernels and memsets">:$launches,
    AttrParameter<"int64_t", "bytes read and written in device memory">:$bytes,
    AttrParameter<"int64_t", "multiplications and additions of products">:$flops,
    AttrParameter<"int64_t", "times the host waits for the device">:$hostSyncs,
    AttrParameter<"::mlir::Type", "what a product multiplies; null without flops">:$product);
  let builders = [AttrBuilder<(ins "const ::mlir::te::OpCost &":$cost), [{
    return $_get($_ctxt, cost.costClass, cost.launches, cost.bytes, cost.flops,
                 cost.hostSyncs, cost.product);
  }]>];
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    te::OpCost getCost() const;
  }];
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

class TERT_Op<string mnemonic, list<Trait> traits = []>
    : Op<TERuntime_Dialect, mnemonic, traits>;

def TERT_AllocOp : TERT_Op<"alloc"> {
  let summary = "a buffer in the arena";
  let description = [{
    Its content is undefined until a call writes it. In the body of a loop it holds
    for one iteration. `te-plan-memory` adds `at`, the byte in the arena at which it
    begins.

    ```mlir
    %b = te_rt.alloc at 256 : !te_rt.buffer<96x256xbf16>
    ```
  }];
  let arguments = (ins OptionalAttr<I64Attr>:$offset);
  let results = (outs Res<TERT_BufferType, "", [MemAlloc]>:$buffer);
  let assemblyFormat = "(`at` $offset^)? attr-dict `:` qualified(type($buffer))";
  let hasVerifier = 1;
}

def TERT_WorkspaceOp : TERT_Op<"workspace", [
    Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a buffer that persists from one execution to the next";
  let description = [{
    The memory of an `ml_program.global` of the tensor type that the buffer wraps.

    ```mlir
    ml_program.global private mutable @w1.values : tensor<8x512x256xf8E4M3FN>
    %b = te_rt.workspace @w1.values : !te_rt.buffer<8x512x256xf8E4M3FN>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$global);
  let results = (outs TERT_BufferType:$buffer);
  let assemblyFormat = "$global attr-dict `:` qualified(type($buffer))";
}

def TERT_ConstantOp : TERT_Op<"constant", [Pure]> {
  let summary = "a buffer of the plan, read only";
  let description = [{
    ```mlir
    %o = te_rt.constant dense<[0, 16, 32]> : tensor<3xi32>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs TERT_BufferType:$buffer);
  let builders = [OpBuilder<(ins "ElementsAttr":$value)>];
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def TERT_MemberOp : TERT_Op<"member", [
    Pure, InferTypeOpAdaptor]> {
  let summary = "a view of one member of a packed buffer";
  let description = [{
    Member `index` along the first dimension; the index is a constant, or the counter
    of an `scf.for` around the op whose bounds and step are constants.

    ```mlir
    %w3 = te_rt.member %w[3] : !te_rt.buffer<8x512x256xbf16>
    scf.for %i = %c0 to %c4 step %c1 {
      %x = te_rt.member %tokens[%i] : !te_rt.buffer<4x96x256xbf16>
    }
    ```
  }];
  let arguments = (ins TERT_BufferType:$packed, Optional<Index>:$dynamic_index,
                       OptionalAttr<I64Attr>:$index);
  let results = (outs TERT_BufferType:$buffer);
  let builders = [
    OpBuilder<(ins "Value":$packed, "int64_t":$index)>,
    OpBuilder<(ins "Value":$packed, "Value":$index)>];
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The member in the first iteration of the loop that counts it, and how far
    /// on each iteration moves (0 without a loop).
    std::pair<int64_t, int64_t> getStartAndStep();
  }];
}

def TERT_CallOp : TERT_Op<"call", [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<TE_CostOpInterface>]> {
  let summary = "calls one function of the runtime";
  let description = [{
    `te_rt_<function>(context, slots in order, scalars in order)`. Each slot is `in` or
    `out` (read or not: that is the function's contract) and has no buffer (the
    argument is absent, or an empty list), one, or those of a list. Scalars are
    integers and floats of 64 bits.

    One generic op stands for all functions. What slots a function has is stated once,
    by `RuntimeCallOpInterface` of the op of the te dialect that it executes; the
    runtime checks each call of a plan against the function's contract.

    ```mlir
    te_rt.call @swiglu(in(%h), in(%probs), in(), out(%y)) scalars()
      cost(#te_rt.cost<activation, launches = 1, bytes = 147456>)
      : !te_rt.buffer<96x512xbf16>, !te_rt.buffer<96xf32>, !te_rt.buffer<96x256xbf16>
    ```
  }];
  let arguments = (ins StrAttr:$function, Variadic<TERT_BufferType>:$buffers,
                       DenseI32ArrayAttr:$slot_sizes,
                       DenseBoolArrayAttr:$slot_outputs,
                       ArrayAttr:$scalars, TERT_CostAttr:$call_cost);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The operands of each slot, in order.
    SmallVector<OperandRange> getSlots();
  }];
}

#endif // TE_DIALECT_TERUNTIME_IR_TERUNTIMEOPS
