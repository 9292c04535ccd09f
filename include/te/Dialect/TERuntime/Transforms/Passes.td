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

def VerifyMemoryPlanPass : Pass<"te-verify-memory-plan", "::mlir::func::FuncOp"> {
  let summary = "checks that no two buffers that live at once overlap";
  let description = [{
    Holds a plan, whoever made it, to its meaning: every `te_rt.alloc` has an offset,
    lies in the arena, and shares no byte with another that lives at the same time.
    An error names both and their bytes.
  }];
}

#endif // TE_DIALECT_TERUNTIME_TRANSFORMS_PASSES
