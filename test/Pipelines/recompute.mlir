// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The columnwise cast of an activation is read by the gradient of the weight alone:
// kept until then, or made again. The bytes are those that te-plan-memory reports.
//
// RUN: te-opt %s -te-lower | FileCheck %s --check-prefix=GIVEN
// RUN: te-opt %s -te-recompute=memory-budget=2800000 | FileCheck %s
// RUN: te-opt %s -te-recompute=memory-budget=2800000 -te-recompute=memory-budget=2800000 | FileCheck %s
// RUN: te-opt %s -te-recompute=memory-budget=2800000 -te-lower | FileCheck %s --check-prefix=FITS
// RUN: te-opt %s -te-recompute=memory-budget=2800000 -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-recompute | FileCheck %s --check-prefix=REMARK
// RUN: te-run %s --check "--passes=te-recompute{memory-budget=2800000}" | FileCheck %s --check-prefix=EXACT
// RUN: te-run %s --check "--passes=te-recompute{memory-budget=2800000}" --data=special --seed=2 --routing=empty-experts | FileCheck %s --check-prefix=EXACT

// A budget that holds, none, one that cannot be met, and one that is no budget.
// RUN: te-opt %s -te-recompute=memory-budget=4000000 -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-recompute | FileCheck %s --check-prefix=WITHIN
// RUN: te-opt %s -te-recompute | FileCheck %s --check-prefix=AS-GIVEN
// RUN: te-opt %s -te-recompute=memory-budget=1000 2>/dev/null | FileCheck %s --check-prefix=AS-GIVEN
// RUN: te-opt %s -te-recompute=memory-budget=1000 -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-recompute | FileCheck %s --check-prefix=REFUSED
// RUN: not te-opt %s -te-recompute=memory-budget=-1 2>&1 | FileCheck %s --check-prefix=NEGATIVE

// GIVEN: te_rt.arena_bytes = 2993408
// FITS: te_rt.arena_bytes = 2752768

// CHECK-LABEL: func.func @step(
// CHECK-SAME:      %[[H:[a-z0-9]*]]: tensor<896x512xbf16>
// CHECK-NOT:     columnwise
// CHECK:         %[[Q:.*]], %[[S:.*]] = te.swiglu_quantize %[[H]] groups
// CHECK-NEXT:    %[[Y:.*]] = te.grouped_gemm %[[Q]] scales(%[[S]])
// CHECK-NEXT:    te.swiglu %[[Y]]
// CHECK-NEXT:    %[[E:.*]], %[[ES:.*]] = te.quantize {{.*}} columnwise
// CHECK-NEXT:    %[[T:.*]], %[[TS:.*]] = te.swiglu_quantize %[[H]] groups{{.*}} columnwise
// CHECK-NEXT:    te.grouped_gemm %[[E]] scales(%[[ES]]), %[[T]] scales(%[[TS]])

// AS-GIVEN: te.swiglu_quantize {{.*}} -> {{.*}} columnwise
// AS-GIVEN-NOT: te.swiglu_quantize

// REMARK: recompute.mlir:[[#]]:{{[0-9]+}}: remark: [Passed] Recompute{{.*}}Bytes=240640, Remark="te.swiglu_quantize again, for {{[0-9.]+}} us"
// WITHIN: [Missed] Recompute{{.*}}bytes are within the budget of 4000000
// REFUSED-DAG: [Missed] Recompute{{.*}}the budget of 1000 bytes cannot be met: of {{[0-9]+}} bytes, {{[0-9]+}} are the least found
// REFUSED-DAG: warning: te-recompute: the memory budget of 1000 bytes cannot be met: of {{[0-9]+}} bytes, {{[0-9]+}} are the least found; nothing is computed again
// NEGATIVE: error: te-recompute: memory-budget must be 0 or more bytes, but got -1
// EXACT: {{^}}gradient {{.*}} exact
// EXACT: check: 1 results, all within bounds

#ready = #te.scales<1 x 128, gemm_ready>
#ready4 = #te.scales<1 x 128, gemm_ready, groups = 4>
#square = #te.scales<128 x 128, gemm_ready>
func.func @step(%h: tensor<896x512xbf16> {te.name = "h", te.init = #te.init<normal>},
                %i: tensor<192x2xi32> {te.name = "indices", te.init = #te.init<routing, experts = 4>},
                %w: tensor<4x1024x256xf8E4M3FN> {te.name = "w", te.init = #te.init<normal>},
                %ws: tensor<4x8x4xf32, #square> {te.name = "ws", te.init = #te.init<one>})
    -> (tensor<4x512x256xf32> {te.name = "gradient"}) {
  %map, %n, %o = te.routing_map %i {alignment = 16, capacity = 896} : tensor<192x2xi32> -> tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>
  %q:4 = te.swiglu_quantize %h groups(%o : tensor<5xi32>) {pow2_scales} : tensor<896x512xbf16>
    -> tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #ready> columnwise tensor<256x896xf8E4M3FN>, tensor<11x256xf32, #ready4>
  %y = te.grouped_gemm %q#0 scales(%q#1), %w scales(%ws) groups(%o) over rows
    : (tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #ready>, tensor<4x1024x256xf8E4M3FN>, tensor<4x8x4xf32, #square>, tensor<5xi32>) -> tensor<896x1024xbf16>
  %a = te.swiglu %y groups(%o) : (tensor<896x1024xbf16>, tensor<5xi32>) -> tensor<896x512xbf16>
  %e:2 = te.quantize %a groups(%o : tensor<5xi32>) {pow2_scales} : tensor<896x512xbf16> columnwise tensor<512x896xf8E4M3FN>, tensor<11x512xf32, #ready4>
  %g = te.grouped_gemm %e#0 scales(%e#1), %q#2 scales(%q#3) groups(%o) over reduction
    : (tensor<512x896xf8E4M3FN>, tensor<11x512xf32, #ready4>, tensor<256x896xf8E4M3FN>, tensor<11x256xf32, #ready4>, tensor<5xi32>) -> tensor<4x512x256xf32>
  return %g : tensor<4x512x256xf32>
}
