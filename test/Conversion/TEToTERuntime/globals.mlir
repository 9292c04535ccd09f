// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-convert-to-runtime | FileCheck %s
// RUN: te-opt %s -te-convert-to-runtime -o /dev/null 2>&1 --remark-policy=all \
// RUN:   --remarks-filter=te-convert-to-runtime | FileCheck %s --check-prefix=REMARK --implicit-check-not=remark:

!m = tensor<4x4xf32>
ml_program.global private mutable @w : tensor<4x4xf32>

// What is stored is made in the workspace.
// CHECK-LABEL: func.func @in_place(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK-NEXT:    %[[W:.*]] = te_rt.workspace @w : !te_rt.buffer<4x4xf32>
// CHECK-NEXT:    te_rt.call @gemm({{.*}}out(%[[W]]))
// CHECK-NEXT:    te_rt.call @transpose(in(%[[W]]), out(%[[Y]]))
// CHECK-NEXT:    return
func.func @in_place(%x: !m) -> !m {
  %w = ml_program.global_load @w : !m
  %n = te.gemm %x, %x outs(%w) {accumulate} : (!m, !m, !m) -> !m
  ml_program.global_store @w = %n : !m
  %y = te.transpose %n : !m -> !m
  return %y : !m
}

// A program that only reads the workspace does not change it.
// CHECK-LABEL: func.func @read_only(
// CHECK:         %[[W:.*]] = te_rt.workspace @w
// CHECK-NEXT:    te_rt.call @copy(in(%[[W]]), out(%[[Y:.*]]))
// CHECK-NEXT:    te_rt.call @gemm({{.*}}out(%[[Y]]))
func.func @read_only(%x: !m) -> !m {
  %w = ml_program.global_load @w : !m
  %n = te.gemm %x, %x outs(%w) {accumulate} : (!m, !m, !m) -> !m
  return %n : !m
}

// What was loaded is read after the store: it is kept aside.
// CHECK-LABEL: func.func @read_after_store(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK:         %[[W:.*]] = te_rt.workspace @w
// CHECK:         te_rt.call @copy(in(%[[W]]), out(%[[OLD:.*]])) scalars
// CHECK:         te_rt.call @copy(in(%{{.*}}), out(%[[W]])) scalars
// CHECK:         te_rt.call @transpose(in(%[[OLD]]), out(%[[Y]]))
func.func @read_after_store(%x: !m) -> !m {
  %w = ml_program.global_load @w : !m
  %t = te.transpose %x : !m -> !m
  ml_program.global_store @w = %t : !m
  %y = te.transpose %w : !m -> !m
  return %y : !m
}

// An update in place, were it not for who reads the old content behind it.
// CHECK-LABEL: func.func @pending(
// CHECK:         %[[W:.*]] = te_rt.workspace @w
// CHECK:         te_rt.call @copy(in(%[[W]]), out(%[[NEW:.*]])) scalars
// CHECK:         te_rt.call @gemm({{.*}}out(%[[NEW]]))
// CHECK:         te_rt.call @transpose(in(%[[W]]), out(%{{.*}}))
// CHECK:         te_rt.call @copy(in(%[[NEW]]), out(%[[W]])) scalars
// REMARK: [[#@LINE+3]]:{{.*}}[Missed] UpdateInPlace{{.*}}Function=pending | Reason="@w is not updated in place: te.transpose at loc({{.*}}:[[#@LINE+4]]:8) may still read or write what it holds"
func.func @pending(%x: !m) -> !m {
  %w = ml_program.global_load @w : !m
  %n = te.gemm %x, %x outs(%w) {accumulate} : (!m, !m, !m) -> !m
  %y = te.transpose %w : !m -> !m
  ml_program.global_store @w = %n : !m
  return %y : !m
}

// What is loaded behind the only store is the memory itself.
// CHECK-LABEL: func.func @load_behind(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK:         %[[W:.*]] = te_rt.workspace @w
// CHECK:         te_rt.call @gemm({{.*}}out(%[[W]]))
// CHECK:         scf.for
// CHECK-NOT:       @copy
// CHECK:           te_rt.call @transpose(in(%[[W]]), out(%[[T:.*]]))
// CHECK-NEXT:      te_rt.call @gemm(in(%[[T]]), {{.*}}out(%[[Y]]))
func.func @load_behind(%x: !m) -> !m {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant dense<0.0> : !m
  %w = ml_program.global_load @w : !m
  %n = te.gemm %x, %x outs(%w) {accumulate} : (!m, !m, !m) -> !m
  ml_program.global_store @w = %n : !m
  %y = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %zero) -> !m {
    %l = ml_program.global_load @w : !m
    %t = te.transpose %l : !m -> !m
    %b = te.gemm %t, %x outs(%a) {accumulate} : (!m, !m, !m) -> !m
    scf.yield %b : !m
  }
  return %y : !m
}

// Two loads and two stores: each sees what it should.
// REMARK: [[#@LINE+10]]:{{.*}}[Missed] UpdateInPlace{{.*}}Function=many | Reason="@w is not updated in place: ml_program.global_store at
// CHECK-LABEL: func.func @many(
// CHECK:         %[[W:.*]] = te_rt.workspace @w
// CHECK:         te_rt.call @copy(in(%[[W]]), out(%{{.*}}))
// CHECK:         te_rt.call @copy(in(%{{.*}}), out(%[[W]]))
// CHECK:         te_rt.call @copy(in(%[[W]]), out(%{{.*}}))
// CHECK:         te_rt.call @copy(in(%{{.*}}), out(%[[W]]))
func.func @many(%x: !m) -> (!m, !m) {
  %a = ml_program.global_load @w : !m
  %t = te.gemm %x, %x outs(%a) {accumulate} : (!m, !m, !m) -> !m
  ml_program.global_store @w = %t : !m
  %b = ml_program.global_load @w : !m
  %u = te.transpose %b : !m -> !m
  ml_program.global_store @w = %u : !m
  return %b, %u : !m, !m
}

// A constant is stored.
// CHECK-LABEL: func.func @constant(
// CHECK-NEXT:    %[[W:.*]] = te_rt.workspace @w
// CHECK-NEXT:    te_rt.call @fill(out(%[[W]])) scalars(1.000000e+00 : f64)
func.func @constant() {
  %c = arith.constant dense<1.0> : !m
  ml_program.global_store @w = %c : !m
  return
}
