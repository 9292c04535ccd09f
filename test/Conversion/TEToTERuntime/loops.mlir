// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-convert-to-runtime | FileCheck %s

!m = tensor<4x4xf32>

// What a loop carries is one buffer: that of the result.
// CHECK-LABEL: func.func @accumulate(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK:         te_rt.call @fill(out(%[[Y]]))
// CHECK-NEXT:    scf.for %[[I:[a-z0-9]+]] = %{{.*}} to %{{.*}} step %{{[a-z0-9_]+}} {
// CHECK-NEXT:      %[[XI:.*]] = te_rt.member %[[X]][%[[I]]]
// CHECK-NEXT:      te_rt.call @gemm(in(%[[XI]]), in(), in(), in(%[[XI]]), in(), in(), in(), in(), out(%[[Y]]))
// CHECK-NEXT:    }
// CHECK-NEXT:    return
func.func @accumulate(%x: tensor<3x4x4xf32>) -> !m {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %z = arith.constant dense<0.0> : !m
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %z) -> (!m) {
    %xi = te.member %x[%i] : tensor<3x4x4xf32> -> !m
    %n = te.gemm %xi, %xi outs(%acc) {accumulate} : (!m, !m, !m) -> !m
    scf.yield %n : !m
  }
  return %r : !m
}

// The initial value is needed after the loop.
// CHECK-LABEL: func.func @initial_value_again(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[R:[a-z0-9]+]]: {{.*}}, %[[T:[a-z0-9]+]]:
// CHECK:         te_rt.call @transpose(in(%[[X]]), out(%[[T]]))
// CHECK-NEXT:    te_rt.call @copy(in(%[[T]]), out(%[[R]]))
// CHECK-NEXT:    scf.for
// CHECK-NEXT:      te_rt.call @gemm({{.*}}out(%[[R]]))
// CHECK-NOT:     @copy
// CHECK:         return
func.func @initial_value_again(%x: !m) -> (!m, !m) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %t = te.transpose %x : !m -> !m
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %t) -> (!m) {
    %n = te.gemm %x, %x outs(%acc) {accumulate} : (!m, !m, !m) -> !m
    scf.yield %n : !m
  }
  return %r, %t : !m, !m
}

// A value from outside is new in no iteration: accumulating over it would be
// seen by the next.
// CHECK-LABEL: func.func @from_outside(
// CHECK:         te_rt.call @transpose(in(%{{.*}}), out(%[[T:.*]]))
// CHECK:         scf.for
// CHECK:           te_rt.call @copy(in(%[[T]]), out(%[[N:.*]]))
// CHECK-NEXT:      te_rt.call @gemm({{.*}}out(%[[N]])) scalars(0, -1, 0, 0, 1)
func.func @from_outside(%x: !m) -> !m {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %t = te.transpose %x : !m -> !m
  %z = arith.constant dense<0.0> : !m
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %z) -> (!m) {
    %n = te.gemm %x, %x outs(%t) {accumulate} : (!m, !m, !m) -> !m
    %s = te.gemm %n, %x outs(%acc) {accumulate} : (!m, !m, !m) -> !m
    scf.yield %s : !m
  }
  return %r : !m
}

// The next value is made where the old one lay, since nobody wants that any more.
// CHECK-LABEL: func.func @yield_in_place(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK:         te_rt.call @copy(in(%[[X]]), out(%[[Y]]))
// CHECK-NEXT:    scf.for
// CHECK-NEXT:      %[[A:.*]] = te_rt.alloc
// CHECK-NEXT:      te_rt.call @transpose(in(%[[Y]]), out(%[[A]]))
// CHECK-NEXT:      te_rt.call @gemm(in(%[[A]]), in(), in(), in(%[[X]]), in(), in(), in(), in(), out(%[[Y]]))
// CHECK-NEXT:    }
func.func @yield_in_place(%x: !m) -> !m {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x) -> (!m) {
    %t = te.transpose %a : !m -> !m
    %n = te.gemm %t, %x : (!m, !m) -> !m
    scf.yield %n : !m
  }
  return %r : !m
}

// The op that makes the next value reads the old one: it needs another buffer.
// CHECK-LABEL: func.func @yield_reads(
// CHECK:         scf.for
// CHECK-NEXT:      %[[A:.*]] = te_rt.alloc
// CHECK-NEXT:      te_rt.call @transpose(in(%[[Y:.*]]), out(%[[A]]))
// CHECK-NEXT:      te_rt.call @copy(in(%[[A]]), out(%[[Y]]))
func.func @yield_reads(%x: !m) -> !m {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x) -> (!m) {
    %t = te.transpose %a : !m -> !m
    scf.yield %t : !m
  }
  return %r : !m
}

// The old value is read after its update.
// CHECK-LABEL: func.func @read_after_update(
// CHECK:         scf.for
// CHECK:           te_rt.call @copy(in(%[[ACC:.*]]), out(%[[N:.*]]))
// CHECK-NEXT:      te_rt.call @gemm({{.*}}out(%[[N]])) scalars(0, -1, 0, 0, 1)
// CHECK:           te_rt.call @transpose(in(%[[ACC]]), out(%{{.*}}))
// CHECK:           te_rt.call @copy(in(%[[N]]), out(%[[ACC]]))
func.func @read_after_update(%x: !m) -> (!m, !m) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %z = arith.constant dense<0.0> : !m
  %r:2 = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %z, %old = %z) -> (!m, !m) {
    %n = te.gemm %x, %x outs(%acc) {accumulate} : (!m, !m, !m) -> !m
    %t = te.transpose %acc : !m -> !m
    scf.yield %n, %t : !m, !m
  }
  return %r#0, %r#1 : !m, !m
}

// Carried values that change places are moved aside.
// CHECK-LABEL: func.func @swap(
// CHECK-SAME:    %{{[a-z0-9]+}}: {{.*}}, %{{[a-z0-9]+}}: {{.*}}, %[[R0:[a-z0-9]+]]: {{.*}}, %[[R1:[a-z0-9]+]]:
// CHECK:         scf.for
// CHECK-DAG:       te_rt.call @copy(in(%[[R1]]), out(%[[A:.*]]))
// CHECK-DAG:       te_rt.call @copy(in(%[[R0]]), out(%[[B:.*]]))
// CHECK-DAG:       te_rt.call @copy(in(%[[A]]), out(%[[R0]]))
// CHECK-DAG:       te_rt.call @copy(in(%[[B]]), out(%[[R1]]))
// CHECK:         return
func.func @swap(%x: !m, %y: !m) -> (!m, !m) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r:2 = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x, %b = %y) -> (!m, !m) {
    scf.yield %b, %a : !m, !m
  }
  return %r#0, %r#1 : !m, !m
}

// One value carried twice is two buffers.
// CHECK-LABEL: func.func @carried_twice(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[R0:[a-z0-9]+]]: {{.*}}, %[[R1:[a-z0-9]+]]:
// CHECK:         scf.for
// CHECK-NEXT:      te_rt.call @gemm({{.*}}out(%[[R0]]))
// CHECK-NEXT:      te_rt.call @copy(in(%[[R0]]), out(%[[R1]]))
// CHECK-NEXT:    }
func.func @carried_twice(%x: !m) -> (!m, !m) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r:2 = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x, %b = %x) -> (!m, !m) {
    %n = te.gemm %x, %x : (!m, !m) -> !m
    scf.yield %n, %n : !m, !m
  }
  return %r#0, %r#1 : !m, !m
}

// Loops in loops carry one buffer too.
// CHECK-LABEL: func.func @nested(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK:         te_rt.call @fill(out(%[[Y]]))
// CHECK-NEXT:    scf.for
// CHECK-NEXT:      scf.for
// CHECK-NEXT:        te_rt.call @gemm({{.*}}out(%[[Y]]))
// CHECK-NOT:     @copy
// CHECK:         return
func.func @nested(%x: !m) -> !m {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %z = arith.constant dense<0.0> : !m
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %z) -> (!m) {
    %s = scf.for %j = %c0 to %c3 step %c1 iter_args(%b = %a) -> (!m) {
      %n = te.gemm %x, %x outs(%b) {accumulate} : (!m, !m, !m) -> !m
      scf.yield %n : !m
    }
    scf.yield %s : !m
  }
  return %r : !m
}
