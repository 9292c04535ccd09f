//===- Passes.td - rewrites of the te dialect --------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TE_TRANSFORMS_PASSES
#define TE_DIALECT_TE_TRANSFORMS_PASSES

include "te/Dialect/TE/Transforms/CastPasses.td"
include "te/Dialect/TE/Transforms/LayoutPasses.td"
include "te/Dialect/TE/Transforms/WeightPasses.td"

def CostReportPass : Pass<"te-cost-report", "::mlir::ModuleOp"> {
  let summary = "prints what a program costs, by op class and in total";
  let description = [{
    For each class of op, and in total: launches, bytes, flops, host synchronizations
    and the roofline time on the target of the module, from `CostOpInterface`. The body
    of a loop counts times its trip count. The module goes on unchanged.

    `format=table` prints to standard error unless a file is named; `format=json` is
    `{"target", "total", "classes": {CLASS: COST, ...}, "peak_bytes"}`, a COST being
    `{"launches", "bytes", "flops", "host_syncs", "us"}`. `peak_bytes` is the arena of a
    lowered program, and null before te-lower.
  }];
  let dependentDialects = ["::mlir::te::TEDialect"];
  let options = [
    Option<"format", "format", "std::string", /*default=*/"\"table\"",
           "table or json">,
    Option<"file", "file", "std::string", /*default=*/"\"\"",
           "Where to write; standard error if empty">];
}

#endif // TE_DIALECT_TE_TRANSFORMS_PASSES
