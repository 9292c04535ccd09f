// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-convert-to-runtime | FileCheck %s

!m = tensor<4x4xf32>
!p = tensor<3x4x4xf32>

// The producer of what is inserted writes into its place.
// CHECK-LABEL: func.func @insert(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK:         scf.for %[[I:[a-z0-9]+]] =
// CHECK:           %[[YI:.*]] = te_rt.member %[[Y]][%[[I]]]
// CHECK-NEXT:      te_rt.call @transpose(in(%[[X]]), out(%[[YI]]))
// CHECK-NEXT:    }
// CHECK-NEXT:    return
func.func @insert(%x: !m) -> !p {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %e = tensor.empty() : !p
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %e) -> (!p) {
    %t = te.transpose %x : !m -> !m
    %n = te.insert_member %t into %acc[%i] : !m -> !p
    scf.yield %n : !p
  }
  return %r : !p
}

// Each at an index of its own, made before the first insertion.
// CHECK-LABEL: func.func @insert_each(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK-DAG:     %[[Y0:.*]] = te_rt.member %[[Y]][0]
// CHECK-DAG:     te_rt.call @transpose(in(%[[X]]), out(%[[Y0]]))
// CHECK-DAG:     %[[Y1:.*]] = te_rt.member %[[Y]][1]
// CHECK-DAG:     te_rt.call @gemm({{.*}}out(%[[Y1]]))
// CHECK-NOT:     @copy
// CHECK:         return
func.func @insert_each(%x: !m) -> tensor<2x4x4xf32> {
  %e = tensor.empty() : tensor<2x4x4xf32>
  %t = te.transpose %x : !m -> !m
  %g = te.gemm %x, %x : (!m, !m) -> !m
  %a = te.insert_member %t into %e[0] : !m -> tensor<2x4x4xf32>
  %b = te.insert_member %g into %a[1] : !m -> tensor<2x4x4xf32>
  return %b : tensor<2x4x4xf32>
}

// The fill comes after the value is made: the value is copied in.
// CHECK-LABEL: func.func @filled_later(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK:         te_rt.call @transpose(in(%[[X]]), out(%[[T:.*]]))
// CHECK-NEXT:    te_rt.call @fill(out(%[[Y]]))
// CHECK-NEXT:    %[[Y1:.*]] = te_rt.member %[[Y]][1]
// CHECK-NEXT:    te_rt.call @copy(in(%[[T]]), out(%[[Y1]]))
func.func @filled_later(%x: !m) -> !p {
  %z = arith.constant dense<0.0> : !p
  %t = te.transpose %x : !m -> !m
  %a = te.insert_member %t into %z[1] : !m -> !p
  return %a : !p
}

// The place is read between: the value is copied in.
// CHECK-LABEL: func.func @place_is_read(
// CHECK-SAME:    %[[X:[a-z0-9]+]]:
// CHECK:         te_rt.call @transpose(in(%[[X]]), out(%[[T:.*]])) scalars
// CHECK:         %[[OLD:.*]] = te_rt.member %[[P:.*]][1]
// CHECK:         te_rt.call @transpose(in(%[[OLD]]), out(%{{.*}}))
// CHECK:         te_rt.call @copy(in(%[[T]]), out(%{{.*}}))
func.func @place_is_read(%x: !m, %y: !p) -> (!p, !m) {
  %p = te.transpose %y : !p -> !p
  %t = te.transpose %x : !m -> !m
  %old = te.member %p[1] : !p -> !m
  %u = te.transpose %old : !m -> !m
  %a = te.insert_member %t into %p[1] : !m -> !p
  return %a, %u : !p, !m
}

// The packed tensor is read again without the insertion.
// CHECK-LABEL: func.func @packed_read_again(
// CHECK-SAME:    %{{[a-z0-9]+}}: {{.*}}, %{{[a-z0-9]+}}: {{.*}}, %[[A:[a-z0-9]+]]: {{.*}}, %[[P:[a-z0-9]+]]:
// CHECK:         te_rt.call @copy(in(%[[P]]), out(%[[A]]))
func.func @packed_read_again(%x: !m, %y: !p) -> (!p, !p) {
  %p = te.transpose %y : !p -> !p
  %t = te.transpose %x : !m -> !m
  %a = te.insert_member %t into %p[1] : !m -> !p
  return %a, %p : !p, !p
}

// The place is written again while the value is still read.
// CHECK-LABEL: func.func @overwritten_place(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %{{[a-z0-9]+}}: {{.*}}, %[[B:[a-z0-9]+]]: {{.*}}, %[[U:[a-z0-9]+]]:
// CHECK:         te_rt.call @transpose(in(%[[X]]), out(%[[T:.*]])) scalars
// CHECK:         te_rt.call @copy(in(%[[P:.*]]), out(%[[B]])) scalars
// CHECK:         %[[B1:.*]] = te_rt.member %[[B]][1]
// CHECK:         te_rt.call @copy(in(%{{.*}}), out(%[[B1]]))
// CHECK:         te_rt.call @transpose(in(%[[T]]), out(%{{.*}}))
func.func @overwritten_place(%x: !m, %y: !p) -> (!p, !m) {
  %p = te.transpose %y : !p -> !p
  %t = te.transpose %x : !m -> !m
  %a = te.insert_member %t into %p[1] : !m -> !p
  %g = te.gemm %x, %x : (!m, !m) -> !m
  %b = te.insert_member %g into %a[1] : !m -> !p
  %u = te.transpose %t : !m -> !m
  return %b, %u : !p, !m
}

// A member that is updated and inserted again is updated in place.
// CHECK-LABEL: func.func @update_member(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK:         te_rt.call @fill(out(%[[Y]]))
// CHECK-NEXT:    scf.for
// CHECK-NEXT:      %[[Y0:.*]] = te_rt.member %[[Y]][0]
// CHECK-NEXT:      te_rt.call @gemm({{.*}}out(%[[Y0]]))
// CHECK-NEXT:      %[[Y1:.*]] = te_rt.member %[[Y]][1]
// CHECK-NEXT:      te_rt.call @gemm({{.*}}out(%[[Y1]]))
// CHECK-NEXT:    }
// CHECK-NEXT:    return
func.func @update_member(%x: !m) -> !p {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %z = arith.constant dense<0.0> : !p
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %z) -> (!p) {
    %m0 = te.member %acc[0] : !p -> !m
    %n0 = te.gemm %x, %x outs(%m0) {accumulate} : (!m, !m, !m) -> !m
    %a0 = te.insert_member %n0 into %acc[0] : !m -> !p
    %m1 = te.member %a0[1] : !p -> !m
    %n1 = te.gemm %x, %x outs(%m1) {accumulate} : (!m, !m, !m) -> !m
    %a1 = te.insert_member %n1 into %a0[1] : !m -> !p
    scf.yield %a1 : !p
  }
  return %r : !p
}

// A member that is updated, but not inserted, leaves the packed tensor alone.
// CHECK-LABEL: func.func @member_aside(
// CHECK:         te_rt.call @copy(in(%{{.*}}), out(%[[N:.*]]))
// CHECK-NEXT:    te_rt.call @gemm({{.*}}out(%[[N]]))
func.func @member_aside(%x: !m, %y: !p) -> (!m, !p) {
  %p = te.transpose %y : !p -> !p
  %m0 = te.member %p[0] : !p -> !m
  %n0 = te.gemm %x, %x outs(%m0) {accumulate} : (!m, !m, !m) -> !m
  return %n0, %p : !m, !p
}

// An index that is a constant op is a constant; constants have members too.
// CHECK-LABEL: func.func @constants(
// CHECK:         %[[C:.*]] = te_rt.constant dense<{{.*}}> : tensor<2x2xf32>
// CHECK:         %[[M:.*]] = te_rt.member %[[C]][1]
// CHECK:         te_rt.call @copy(in(%[[M]]), out(%{{.*}}))
func.func @constants() -> tensor<2xf32> {
  %c1 = arith.constant 1 : index
  %c = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %m = te.member %c[%c1] : tensor<2x2xf32> -> tensor<2xf32>
  return %m : tensor<2xf32>
}

// An insertion elsewhere that copies the packed tensor reads all of it.
// CHECK-LABEL: func.func @copied_elsewhere(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %{{[a-z0-9]+}}: {{.*}}, %[[A:[a-z0-9]+]]: {{.*}}, %[[B:[a-z0-9]+]]:
// CHECK:         te_rt.call @transpose(in(%[[X]]), out(%[[T:.*]])) scalars
// CHECK:         te_rt.call @copy(in(%[[B]]), out(%[[A]]))
// CHECK:         %[[B1:.*]] = te_rt.member %[[B]][1]
// CHECK:         te_rt.call @copy(in(%{{.*}}), out(%[[B1]]))
func.func @copied_elsewhere(%x: !m, %y: !p) -> (!p, !p) {
  %p = te.transpose %y : !p -> !p
  %t = te.transpose %x : !m -> !m
  %a = te.insert_member %t into %p[2] : !m -> !p
  %b = te.insert_member %t into %p[1] : !m -> !p
  return %a, %b : !p, !p
}

// A view of a view of the place is read between.
// CHECK-LABEL: func.func @nested_view(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %{{[a-z0-9]+}}: {{.*}}, %[[A:[a-z0-9]+]]: {{.*}}, %[[U:[a-z0-9]+]]:
// CHECK:         te_rt.call @transpose(in(%[[X]]), out(%[[T:.*]])) scalars
// CHECK:         te_rt.call @transpose(in(%{{.*}}), out(%[[U]])) scalars
// CHECK:         te_rt.call @copy(in(%[[T]]), out(%{{.*}})) scalars
func.func @nested_view(%x: !p, %y: tensor<2x3x4x4xf32>) -> (tensor<2x3x4x4xf32>, !m) {
  %q = te.pack %x, %x : !p -> tensor<2x3x4x4xf32>
  %t = te.transpose %x : !p -> !p
  %v = te.member %q[1] : tensor<2x3x4x4xf32> -> !p
  %w = te.member %v[2] : !p -> !m
  %u = te.transpose %w : !m -> !m
  %a = te.insert_member %t into %q[1] : !p -> tensor<2x3x4x4xf32>
  return %a, %u : tensor<2x3x4x4xf32>, !m
}
