// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-overwrite-zeros -canonicalize | FileCheck %s
// RUN: te-opt %s -te-overwrite-zeros -o /dev/null --remark-policy=all \
// RUN:   --remarks-filter=te-overwrite-zeros 2>&1 | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: func @one(
// CHECK-SAME:      %[[E:.*]]: tensor<256x96xbf16>, %[[X:.*]]: tensor<128x96xbf16>, %[[O:.*]]: tensor<9xi32>)
// CHECK-NEXT:    %[[EMPTY:.*]] = tensor.empty() : tensor<8x256x128xf32>
// CHECK-NEXT:    %[[G:.*]] = te.grouped_gemm %[[E]], %[[X]] groups(%[[O]]) over reduction outs(%[[EMPTY]]) :
// CHECK-NEXT:    return %[[G]]
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Passed] OverwriteZeros{{.*}}BytesSaved=1048576
func.func @one(%e: tensor<256x96xbf16>, %x: tensor<128x96xbf16>, %o: tensor<9xi32>) -> tensor<8x256x128xf32> {
  %zeros = arith.constant dense<0.0> : tensor<8x256x128xf32>
  %g = te.grouped_gemm %e, %x groups(%o) over reduction outs(%zeros) {accumulate} : (tensor<256x96xbf16>, tensor<128x96xbf16>, tensor<9xi32>, tensor<8x256x128xf32>) -> tensor<8x256x128xf32>
  return %g : tensor<8x256x128xf32>
}

// The first iteration leaves the loop, and what else it does with it.
// CHECK-LABEL: func @loop(
// CHECK-SAME:      %[[E:.*]]: tensor<4x256x96xbf16>, %[[X:.*]]: tensor<128x96xbf16>, %[[O:.*]]: tensor<9xi32>)
// CHECK-DAG:     %[[C1:.*]] = arith.constant 1 : index
// CHECK-DAG:     %[[C4:.*]] = arith.constant 4 : index
// CHECK-DAG:     %[[E0:.*]] = te.member %[[E]][%{{.*}}]
// CHECK-DAG:     %[[EMPTY:.*]] = tensor.empty() : tensor<8x256x128xf32>
// CHECK:         %[[G0:.*]] = te.grouped_gemm %[[E0]], %[[X]] groups(%[[O]]) over reduction outs(%[[EMPTY]]) :
// CHECK-NEXT:    %[[R:.*]] = scf.for %[[I:.*]] = %[[C1]] to %[[C4]] step %[[C1]] iter_args(%[[A:.*]] = %[[G0]])
// CHECK-NEXT:      %[[EI:.*]] = te.member %[[E]][%[[I]]]
// CHECK-NEXT:      %[[GI:.*]] = te.grouped_gemm %[[EI]], %[[X]] groups(%[[O]]) over reduction outs(%[[A]]) {accumulate} :
// CHECK-NEXT:      scf.yield %[[GI]]
// CHECK:         return %[[R]]
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Passed] OverwriteZeros{{.*}}BytesSaved=1048576
func.func @loop(%e: tensor<4x256x96xbf16>, %x: tensor<128x96xbf16>, %o: tensor<9xi32>) -> tensor<8x256x128xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zeros = arith.constant dense<0.0> : tensor<8x256x128xf32>
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %zeros) -> tensor<8x256x128xf32> {
    %ei = te.member %e[%i] : tensor<4x256x96xbf16> -> tensor<256x96xbf16>
    %g = te.grouped_gemm %ei, %x groups(%o) over reduction outs(%a) {accumulate} : (tensor<256x96xbf16>, tensor<128x96xbf16>, tensor<9xi32>, tensor<8x256x128xf32>) -> tensor<8x256x128xf32>
    scf.yield %g : tensor<8x256x128xf32>
  }
  return %r : tensor<8x256x128xf32>
}

// Two iterations need no loop, and one of them writes.
// CHECK-LABEL: func @two(
// CHECK-NOT:     scf.for
// CHECK:         %[[G0:.*]] = te.gemm %{{.*}}, %{{.*}} outs(%{{.*}}) :
// CHECK-NEXT:    %[[G1:.*]] = te.gemm %{{.*}}, %{{.*}} outs(%[[G0]]) {accumulate} :
// CHECK-NEXT:    return %[[G1]]
func.func @two(%e: tensor<256x96xbf16>, %x: tensor<128x96xbf16>) -> tensor<256x128xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %zeros = arith.constant dense<0.0> : tensor<256x128xf32>
  %r = scf.for %i = %c0 to %c2 step %c1 iter_args(%a = %zeros) -> tensor<256x128xf32> {
    %g = te.gemm %e, %x outs(%a) {accumulate} : (tensor<256x96xbf16>, tensor<128x96xbf16>, tensor<256x128xf32>) -> tensor<256x128xf32>
    scf.yield %g : tensor<256x128xf32>
  }
  return %r : tensor<256x128xf32>
}

// CHECK-LABEL: func @keep_what_is_not_zero(
// CHECK:         te.gemm %{{.*}} outs(%{{.*}}) {accumulate}
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Missed] OverwriteZeros{{.*}}what it adds to is not known to be zero
func.func @keep_what_is_not_zero(%e: tensor<256x96xbf16>, %x: tensor<128x96xbf16>, %main: tensor<256x128xf32>) -> tensor<256x128xf32> {
  %g = te.gemm %e, %x outs(%main) {accumulate} : (tensor<256x96xbf16>, tensor<128x96xbf16>, tensor<256x128xf32>) -> tensor<256x128xf32>
  return %g : tensor<256x128xf32>
}

// CHECK-LABEL: func @keep_what_others_read(
// CHECK:         scf.for
// CHECK-NEXT:      te.gemm %{{.*}} outs(%{{.*}}) {accumulate}
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Missed] OverwriteZeros{{.*}}what it adds to has another reader
func.func @keep_what_others_read(%e: tensor<256x96xbf16>, %x: tensor<128x96xbf16>) -> (tensor<256x128xf32>, tensor<256x128xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zeros = arith.constant dense<0.0> : tensor<256x128xf32>
  %r:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %zeros, %b = %zeros) -> (tensor<256x128xf32>, tensor<256x128xf32>) {
    %g = te.gemm %e, %x outs(%a) {accumulate} : (tensor<256x96xbf16>, tensor<128x96xbf16>, tensor<256x128xf32>) -> tensor<256x128xf32>
    scf.yield %g, %a : tensor<256x128xf32>, tensor<256x128xf32>
  }
  return %r#0, %r#1 : tensor<256x128xf32>, tensor<256x128xf32>
}

// CHECK-LABEL: func @keep_a_loop_that_may_not_run(
// CHECK:         scf.for
// CHECK-NEXT:      te.gemm %{{.*}} outs(%{{.*}}) {accumulate}
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Missed] OverwriteZeros{{.*}}the loop is not known to run at least once
func.func @keep_a_loop_that_may_not_run(%e: tensor<256x96xbf16>, %x: tensor<128x96xbf16>, %n: index) -> tensor<256x128xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zeros = arith.constant dense<0.0> : tensor<256x128xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zeros) -> tensor<256x128xf32> {
    %g = te.gemm %e, %x outs(%a) {accumulate} : (tensor<256x96xbf16>, tensor<128x96xbf16>, tensor<256x128xf32>) -> tensor<256x128xf32>
    scf.yield %g : tensor<256x128xf32>
  }
  return %r : tensor<256x128xf32>
}
