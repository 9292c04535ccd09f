//===- TEInterfaces.td - how ops take part in passes -------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_IR_TEINTERFACES
#define TE_DIALECT_TE_IR_TEINTERFACES

include "mlir/IR/OpBase.td"

def TE_CostOpInterface : OpInterface<"CostOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    What one execution of the op costs on the device, from its types alone. A
    ragged operand counts with its capacity, one member with its equal share.

    An `OpCost` has a class, which is a row of `te-cost-report`, launches, bytes read
    and written, flops of products, and host synchronizations
    (`te/Dialect/TE/IR/Cost.h`). An op that moves memory and multiplies nothing
    returns `getMemoryBoundCost(op, class)`.
  }];
  let methods = [
    InterfaceMethod<"The cost of one execution.", "::mlir::te::OpCost",
                    "getCost">,
  ];
}

def TE_ScaleLayoutOpInterface : OpInterface<"ScaleLayoutOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    Which layouts the op can read scales in, and write them in, on a target. A
    pass may give an operand or a result any of these by changing types alone.
    What is not told keeps the layout it has.
  }];
  let methods = [
    InterfaceMethod<[{
        The layouts that `operand`, which carries `#te.scales`, may have.
      }], "::llvm::SmallVector<::mlir::te::ScaleLayout>", "getOperandLayouts",
      (ins "::mlir::OpOperand &":$operand, "::mlir::te::TargetAttr":$target), "",
      [{ return ::mlir::te::detail::currentLayout(operand.get().getType()); }]>,
    InterfaceMethod<[{
        The layouts that `result`, which carries `#te.scales`, may have.
      }], "::llvm::SmallVector<::mlir::te::ScaleLayout>", "getResultLayouts",
      (ins "::mlir::OpResult":$result, "::mlir::te::TargetAttr":$target), "",
      [{ return ::mlir::te::detail::currentLayout(result.getType()); }]>,
    InterfaceMethod<[{
        The operands whose layout `result` must have: none where it is
        independent of them. Destinations are tied without being told here.
      }], "::llvm::SmallVector<::mlir::OpOperand *>", "getTiedLayoutOperands",
      (ins "::mlir::OpResult":$result), "", [{ return {}; }]>,
    InterfaceMethod<[{
        Another result whose layout `result` must have, or null.
      }], "::mlir::OpResult", "getTiedLayoutResult",
      (ins "::mlir::OpResult":$result), "", [{ return {}; }]>,
    InterfaceMethod<[{
        The operand or result whose scales `scales`, an operand or result, are;
        null where the op does not tell.
      }], "::mlir::Value", "getScaledData", (ins "::mlir::Value":$scales), "",
      [{ return {}; }]>,
  ];
}

def TE_UsagesOpInterface : OpInterface<"UsagesOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    An op with lists of results, all of them optional, that stand or go together: a
    usage of what it makes. Those are the data and the scales of a direction of a cast,
    one of which must stay, and what can be had beside them.
  }];
  let methods = [
    InterfaceMethod<[{
        Each usage that the op may have, by its name and the numbers of its lists.
      }], "::llvm::SmallVector<::mlir::te::Usage>", "getUsages", (ins), "", [{
        return {{"rowwise", {0, 1}, true},
                {"columnwise", {2, 3}, true},
                {"amax_out", {4}, false}};
      }]>,
    InterfaceMethod<"The results of a list.", "::mlir::ResultRange",
                    "getResultList", (ins "unsigned":$list), "",
      [{ return $_op.getODSResults(list); }]>,
    InterfaceMethod<[{
        Takes from the op, which is to lose that usage, what serves it alone: operands
        and attributes.
      }], "void", "forgetUsage", (ins "::llvm::StringRef":$usage), "", [{
        if (usage == "amax_out")
          $_op.getAmaxMutable().clear();
      }]>,
  ];
}

def TE_DestinationOpInterface : OpInterface<"DestinationOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    An op that may write into destinations: either none, or one of the same type
    for each result, in order. Upstream's `DestinationStyleOpInterface` has no
    form for an op that may also make its results itself.

    An error: a number of destinations that is neither 0 nor that of the results; a
    destination of another type than its result.
  }];
  let methods = [
    InterfaceMethod<"The destinations, or an empty range.",
                    "::mlir::MutableOperandRange", "getDestinations">,
    InterfaceMethod<[{
        Whether the result depends on what the destination held: a member op, an
        accumulation, a `noop` flag.
      }], "bool", "readsDestinations">,
    InterfaceMethod<[{
        Whether the op adds to what all of its destinations held.
      }], "bool", "addsToDestinations", (ins), "", [{ return false; }]>,
    InterfaceMethod<[{
        Lets an op that adds to its destinations write what it would have added.
      }], "void", "overwriteDestinations", (ins), "",
      [{ llvm_unreachable("an op that adds to destinations says how"); }]>,
  ];
  let verify = [{ return ::mlir::te::detail::verifyDestinations($_op); }];
}

def TE_MemberOpInterface : OpInterface<"MemberOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    An op on a ragged operand that may be restricted to one member of its groups.

    An error: a member without groups, or that is none of them; a member whose offsets
    are not on the host (`#te.host`), or offsets of all groups that are; offsets that
    are no vector of at least two; and a member without destinations, where the op may
    have such.
  }];
  let methods = [
    InterfaceMethod<"The offsets of the groups, or null.", "::mlir::Value",
                    "getGroupOffsets">,
    InterfaceMethod<"The member that the op is restricted to, if any.",
                    "::std::optional<int64_t>", "getGroupMember">,
    InterfaceMethod<[{
        The name of `operand` if each member has its own, or an empty string if
        all members share one. Destinations are as their results.
      }], "::llvm::StringRef", "getMemberOperandName",
      (ins "::mlir::OpOperand &":$operand), "", [{ return {}; }]>,
    InterfaceMethod<[{
        Whether each member has its own `result`; otherwise all of them write
        into one, each its group.
      }], "bool", "isMemberResult", (ins "::mlir::OpResult":$result), "",
      [{ return false; }]>,
    InterfaceMethod<[{
        Makes the op that does the work of `members`, which this op is one of:
        op `e` is restricted to member `e` of all, and they differ in their own
        operands and results alone. It reads the offsets on the device, and has
        a destination for each result: those of `destinations`, or those of the
        members packed. Members' own results become one packed result, or a
        result each. Null if the op has no such form.
      }], "::mlir::Operation *", "formGroup",
      (ins "::mlir::OpBuilder &":$builder,
           "::llvm::ArrayRef<::mlir::Operation *>":$members,
           "::mlir::ValueRange":$destinations), "", [{ return nullptr; }]>,
  ];
  let verify = [{ return ::mlir::te::detail::verifyMember($_op); }];
}

def TE_SlotwiseOpInterface : OpInterface<"SlotwiseOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    An op that does the same to any number of slots, in one launch. Its operands are
    one list or several, each with an entry for each slot, and so are its results:
    entry `i` of a result depends on the entries `i` of the operands alone. Where
    the entries of some slots are packed, the results are those packed.
  }];
  let methods = [
    InterfaceMethod<"The number of entries of each list.", "unsigned",
                    "getNumSlots">,
  ];
}

def TE_QuantizingOpInterface : OpInterface<"QuantizingOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    An op that may write one of its results quantized at once, and not in high
    precision first. The result is rounded to its type before its amax is taken and
    before it is cast, so that both forms give the same bits.
  }];
  let methods = [
    InterfaceMethod<"The result that may be written quantized.",
                    "::mlir::OpResult", "getQuantizableResult">,
    InterfaceMethod<[{
        The offsets of the groups that own the rows written, or null if all rows
        of that result are.
      }], "::mlir::Value", "getRowGroups">,
    InterfaceMethod<[{
        Makes the op that does the work of this one and of `quantize`, which casts
        that result, of these groups and of all members of them, has no `noop` and
        may do without its destinations. Its results are those of `quantize`, then
        the others of this op, in order.
      }], "::mlir::Operation *", "formQuantized",
      (ins "::mlir::OpBuilder &":$builder,
           "::mlir::te::QuantizeOp &":$quantize)>,
  ];
}

def TE_EpilogueOpInterface : OpInterface<"EpilogueOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    An op on rows that a `te.grouped_gemm` may make, which the product of each tile can
    go through before it is written anywhere. The product is rounded to its type first,
    so that both forms give the same bits.
  }];
  let methods = [
    InterfaceMethod<"The operand that is the product.", "::mlir::OpOperand &",
                    "getProductOperand">,
    InterfaceMethod<[{
        Why this op and `product`, which makes that operand, have no form as one op; an
        empty string where they have.
      }], "::std::string", "getEpilogueObstacle",
      (ins "::mlir::te::GroupedGemmOp &":$product)>,
    InterfaceMethod<[{
        Makes the op that does the work of both, where nothing stands in the way of it.
        Its results are those of this op, then, if it is kept, the product.
      }], "::mlir::Operation *", "formWithProduct",
      (ins "::mlir::OpBuilder &":$builder,
           "::mlir::te::GroupedGemmOp &":$product, "bool":$keepsProduct)>,
  ];
}

def TE_RowMoveOpInterface : OpInterface<"RowMoveOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    An op that copies rows, each whole and unchanged, to other places: quantized
    before or after, they are the same.
  }];
  let methods = [
    InterfaceMethod<[{
        The operand whose rows `result` consists of, or null.
      }], "::mlir::OpOperand *", "getMovedOperand",
      (ins "::mlir::OpResult":$result)>,
    InterfaceMethod<[{
        Whether the rows may come from another rank.
      }], "bool", "crossesRanks", (ins), "", [{ return false; }]>,
    InterfaceMethod<[{
        Whether rows of the results that no row is copied to are zero, in all
        bytes; otherwise they hold nothing.
      }], "bool", "zeroesRows", (ins), "", [{ return false; }]>,
    InterfaceMethod<[{
        Whether the move and a cast of groups of its rows can be one launch.
      }], "bool", "canCastRows", (ins), "", [{ return false; }]>,
    InterfaceMethod<[{
        Makes the op that moves `values`, and `scales` unless null, which are
        compact, in place of the rows that `result` consists of and that have no
        scales yet. Its results are these, then the others of this op, in order.
      }], "::mlir::Operation *", "formQuantizedMove",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::OpResult":$result,
           "::mlir::Value":$values, "::mlir::Value":$scales)>,
  ];
}

def TE_GroupedRowsOpInterface : OpInterface<"GroupedRowsOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    An op on rows that groups own, and that offsets or a row map tell the places of:
    wherever these put the groups, each group's rows give the same.
  }];
  let methods = [
    InterfaceMethod<[{
        The operands whose rows the groups own, and the scales of such.
      }], "::llvm::SmallVector<::mlir::Value>", "getRowOperands">,
    InterfaceMethod<[{
        Whether the groups own the rows of `result`, or what it scales.
      }], "bool", "isRowResult", (ins "::mlir::OpResult":$result), "",
      [{ return true; }]>,
    InterfaceMethod<[{
        What the rows of each group must be a multiple of on `target`.
      }], "int64_t", "getRowAlignment", (ins "::mlir::te::TargetAttr":$target),
      "", [{ return 1; }]>,
  ];
}

def TE_RuntimeCallOpInterface : OpInterface<"RuntimeCallOpInterface"> {
  let cppNamespace = "::mlir::te";
  let description = [{
    The function of the runtime that executes the op: its name without `te_rt_`,
    its slots in the order of its parameters, then its scalar attributes.

    A slot is an input or an output and has one value, none, or those of a list; an
    output may be told to be in place of an input. `te-convert-to-runtime` makes a
    `te_rt.call` of it, for an op of any dialect.
  }];
  let methods = [
    InterfaceMethod<"The call.", "::mlir::te::RuntimeCall", "getRuntimeCall">,
  ];
}

#endif // TE_DIALECT_TE_IR_TEINTERFACES
