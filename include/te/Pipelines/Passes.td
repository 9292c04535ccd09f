//===- Passes.td - passes on whole pipelines ---------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_PIPELINES_PASSES
#define TE_PIPELINES_PASSES

include "mlir/Pass/PassBase.td"

def ExplainPass : Pass<"te-explain", "::mlir::ModuleOp"> {
  let summary = "prints what te-optimize leaves of a program, and why";
  let description = [{
    Optimizes a copy of the module as `te-optimize` does, and prints for each class of
    op of the cost report: launches and bytes of a step before and after, and why what
    is left could not go. That is, for each kind of op that is left, what the passes
    said of a rewrite that they missed, with the place of the first such op; and what
    the class is needed for, where no pass had anything to say. The module goes on
    unchanged.

    ```
    te-gen --recipe=block --direction=training | te-opt --te-explain -o /dev/null
    ```
    Checked by `test/Pipelines/explain.test`.
  }];
  let dependentDialects = ["::mlir::te::TEDialect"];
  let options = [
    Option<"file", "file", "std::string", /*default=*/"\"\"",
           "Where to write; standard error if empty">];
}

def RecomputePass : Pass<"te-recompute", "::mlir::ModuleOp"> {
  let summary = "computes tensors again, rather than keep them, to fit a budget";
  let description = [{
    Until the arena that `te-plan-memory` gives the program is no larger than
    `memory-budget`, an op of which some results are read late is made a second time
    in front of the first late reader: its memory is free in between. Operands that
    would have been kept for it alone are made again too. Each form is lowered, so that
    what is compared are the bytes which a run takes; of those that fit, the one that
    costs the least time (`CostOpInterface`) is taken; where none does, the one which
    saves the most bytes for its time, and then the next. An op whose results are all
    read late is made there, once.

    Exactness: **exact**.

    Never made again: what has effects or regions, communication, and what is written
    into a place that holds something. If no way leads to the budget, the program stays
    as it is, with a warning. Nothing that merges equal ops (`cse`) may follow.

    ```mlir
    %q, %s, %t, %ts = te.swiglu_quantize %h groups(%o) -> ... columnwise ...
    %y = te.grouped_gemm %q scales(%s), %w
    te.grouped_gemm %e, %t scales(%ts) groups(%o) over reduction
    // becomes
    %q, %s = te.swiglu_quantize %h groups(%o) -> ...
    %y = te.grouped_gemm %q scales(%s), %w
    %t, %ts = te.swiglu_quantize %h groups(%o) columnwise ...
    te.grouped_gemm %e, %t scales(%ts) groups(%o) over reduction
    ```
    Checked by `test/Pipelines/recompute.mlir`.
  }];
  let options = [
    Option<"memoryBudget", "memory-budget", "int64_t", /*default=*/"0",
           "Bytes that the arena may have; 0 is any number">];
  let statistics = [
    Statistic<"numRecomputed", "num-recomputed", "Number of ops made again">];
  let dependentDialects = ["::mlir::te_rt::TERuntimeDialect"];
}

#endif // TE_PIPELINES_PASSES
