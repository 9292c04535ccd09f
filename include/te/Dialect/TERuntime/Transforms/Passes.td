//===- Passes.td - memory plans ----------------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_DIALECT_TERUNTIME_TRANSFORMS_PASSES
#define TE_DIALECT_TERUNTIME_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def PlanMemoryPass : Pass<"te-plan-memory", "::mlir::func::FuncOp"> {
  let summary = "assigns each te_rt.alloc its place in one arena";
  let description = [{
    A buffer lives from the first to the last op that uses it or a view of it. One
    that is used in a loop below the block of its `te_rt.alloc` lives as long as the
    whole loop. The largest buffers are placed first, each in the smallest hole that
    fits among those that live at the same time. The function's `te_rt.arena_bytes`
    tells the bytes of the arena: the peak of the program.

    ```mlir
    %a = te_rt.alloc : !te_rt.buffer<256xf32>
    // becomes
    %a = te_rt.alloc at 1024 : !te_rt.buffer<256xf32>
    ```
  }];
  let options = [Option<"alignment", "alignment", "int64_t", /*default=*/"256",
                        "Bytes that each buffer begins at a multiple of">];
}

def ChooseProductsPass : Pass<"te-choose-products", "::mlir::func::FuncOp"> {
  let summary = "chooses how a GPU makes each product, and says why";
  let description = [{
    Several ways may take a product: our kernel of all groups (`own`), cuBLASLt's grouped
    matmul (`groups`, where the library that is loaded has it; else `own`), cuBLASLt for each
    group (`library`), a kernel that decodes MXFP8 and NVFP4 (`emulated`), and one for
    whatever is small or rare (`plain`). What each takes is told by types, scales,
    extents and alignment, by the text that the runtime has too
    (`runtime/schema/product_ways.h`). `prefer` tells which of them it is:

    | `prefer`  | the way |
    | --------- | ------- |
    | `cost`    | the one that takes least, as far as all were measured, of those that read nothing on the host |
    | `own`     | `own`, else the first that takes it and reads nothing on the host |
    | `library` | `library`, also where the host waits for offsets then; else as `own` |

    The choice becomes `te_rt.way` of the call, which the plan holds, and the launches
    and host synchronizations of its cost. A remark tells what each way was predicted to
    take, and why the others were not chosen; one of a product that is left to the plain
    kernel, which a graph refuses, is of a missed rewrite.

    Exactness: **reassociates**; ways add in different orders, on a GPU alone.

    ```mlir
    te_rt.call @grouped_gemm(in(%x), ...) scalars(1, 0, 0, 0) cost(...) : ...
    // becomes
    te_rt.call @grouped_gemm(in(%x), ...) scalars(1, 0, 0, 0) cost(...) {te_rt.way = "own"} : ...
    ```
    Checked by `test/Dialect/TERuntime/Transforms/choose-products.mlir`.
  }];
  let options = [Option<"prefer", "prefer", "std::string", /*default=*/"\"cost\"",
                        "own, library or cost">];
  let statistics = [
    Statistic<"numChosen", "num-chosen", "Number of products with a way"> ];
}

def VerifyMemoryPlanPass : Pass<"te-verify-memory-plan", "::mlir::func::FuncOp"> {
  let summary = "checks that no two buffers that live at once overlap";
  let description = [{
    Holds a plan, whoever made it, to its meaning: every `te_rt.alloc` has an offset,
    lies in the arena, and shares no byte with another that lives at the same time.
    An error names both and their bytes.
  }];
}

#endif // TE_DIALECT_TERUNTIME_TRANSFORMS_PASSES
