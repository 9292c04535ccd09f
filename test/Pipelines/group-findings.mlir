// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mistakes that frameworks made with grouped tensors, and that cannot be made here: what
// is computed. What the types refuse is in test/Dialect/TE/group-findings.mlir.
//
// RUN: rm -rf %t && mkdir %t
// RUN: te-opt %s --te-optimize -o %t/optimized.mlir
// RUN: FileCheck %s --input-file=%t/optimized.mlir
// RUN: te-opt %t/optimized.mlir --te-lower | FileCheck %s --check-prefix=LOWERED
// RUN: te-run %s --entry=views --check | FileCheck %s --check-prefix=EXACT
// RUN: te-run %s --entry=constant_counts --check | FileCheck %s --check-prefix=EXACT
// RUN: te-run %s --entry=one_slot_each --check --steps=4 | FileCheck %s --check-prefix=EXACT
// RUN: te-run %s --entry=in_place --check --steps=2 | FileCheck %s --check-prefix=EXACT
// EXACT-NOT: {{ [0-9.]+e[-+]}}
// EXACT: check: {{[0-9]+}} results, all within bounds

// One slot of state for all members. Each member has its own scale and history: the
// packed program computes what E separate states do, step after step.
// CHECK-LABEL: func.func @one_slot_each(
// CHECK:         te.multi_cast_transpose %{{.*}} scale(%{{.*}} : tensor<2xf32>) amax({{.*}} : tensor<2xf32>)
// CHECK:         te.update_scales {{.*}} : (tensor<2xf32>, tensor<2x3xf32>, tensor<2xf32>)
func.func @one_slot_each(
    %w0: tensor<32x64xbf16> {te.name = "w.0", te.group = "w", te.member = 0 : i64, te.parameter},
    %w1: tensor<32x64xbf16> {te.name = "w.1", te.group = "w", te.member = 1 : i64, te.parameter},
    %s0: tensor<f32> {te.name = "s.0", te.group = "s", te.member = 0 : i64, te.next = "s.0", te.init = #te.init<one>},
    %s1: tensor<f32> {te.name = "s.1", te.group = "s", te.member = 1 : i64, te.next = "s.1", te.init = #te.init<one>},
    %h0: tensor<3xf32> {te.name = "h.0", te.group = "h", te.member = 0 : i64, te.next = "h.0", te.init = #te.init<zero>},
    %h1: tensor<3xf32> {te.name = "h.1", te.group = "h", te.member = 1 : i64, te.next = "h.1", te.init = #te.init<zero>})
    -> (tensor<32x64xf8E4M3FN> {te.name = "q.0", te.group = "q", te.member = 0 : i64},
        tensor<32x64xf8E4M3FN> {te.name = "q.1", te.group = "q", te.member = 1 : i64},
        tensor<f32> {te.name = "s.0", te.group = "s", te.member = 0 : i64},
        tensor<f32> {te.name = "s.1", te.group = "s", te.member = 1 : i64},
        tensor<3xf32> {te.name = "h.0", te.group = "h", te.member = 0 : i64},
        tensor<3xf32> {te.name = "h.1", te.group = "h", te.member = 1 : i64}) {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %q0, %i0, %a0 = te.quantize %w0 scale(%s0 : tensor<f32>) amax(%zero : tensor<f32>) : tensor<32x64xbf16> -> tensor<32x64xf8E4M3FN>, tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
  %q1, %i1, %a1 = te.quantize %w1 scale(%s1 : tensor<f32>) amax(%zero : tensor<f32>) : tensor<32x64xbf16> -> tensor<32x64xf8E4M3FN>, tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
  %h:2, %s:2 = te.update_scales amax(%a0, %a1) history(%h0, %h1) scale(%s0, %s1) {fp8_max = 448.0 : f32}
    : (tensor<f32>, tensor<f32>, tensor<3xf32>, tensor<3xf32>, tensor<f32>, tensor<f32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<f32>, tensor<f32>)
  return %q0, %q1, %s#0, %s#1, %h#0, %h#1 : tensor<32x64xf8E4M3FN>, tensor<32x64xf8E4M3FN>, tensor<f32>, tensor<f32>, tensor<3xf32>, tensor<3xf32>
}

// In-place dispatch that returns nothing. A destination's new content is the result, and
// lies where the destination did: the workspace is written in place, without a copy.
ml_program.global private mutable @sum : tensor<32x32xf32>
// LOWERED-LABEL: func.func @in_place(
// LOWERED-NEXT:    %[[SUM:.*]] = te_rt.workspace @sum
// LOWERED-NEXT:    te_rt.call @gemm({{.*}}out(%[[SUM]]))
// LOWERED-NEXT:    te_rt.call @copy(in(%[[SUM]]), out(%{{.*}}))
// LOWERED-NEXT:    return
func.func @in_place(%x: tensor<32x64xbf16> {te.name = "x"}) -> (tensor<32x32xf32> {te.name = "y"}) {
  %old = ml_program.global_load @sum : tensor<32x32xf32>
  %new = te.gemm %x, %x outs(%old) {accumulate} : (tensor<32x64xbf16>, tensor<32x64xbf16>, tensor<32x32xf32>) -> tensor<32x32xf32>
  ml_program.global_store @sum = %new : tensor<32x32xf32>
  return %new : tensor<32x32xf32>
}

// Splitting into members in every forward. A member is a view at a constant place: no
// launch, in the loop neither.
// LOWERED-LABEL: func.func @views(
// LOWERED-SAME:    %[[W:[a-z0-9]+]]: !te_rt.buffer<2x32x64xbf16>
// LOWERED-NOT:     te_rt.call @{{(copy|pack|compute_offsets)}}
// LOWERED:         scf.for
// LOWERED-NOT:     te_rt.call @{{(copy|pack|compute_offsets)}}
// LOWERED:       func.func
func.func @views(
    %w0: tensor<32x64xbf16> {te.name = "w.0", te.group = "w", te.member = 0 : i64},
    %w1: tensor<32x64xbf16> {te.name = "w.1", te.group = "w", te.member = 1 : i64},
    %x: tensor<16x64xbf16> {te.name = "x"})
    -> (tensor<16x32xf32> {te.name = "y.0", te.group = "y", te.member = 0 : i64},
        tensor<16x32xf32> {te.name = "y.1", te.group = "y", te.member = 1 : i64}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant dense<0.0> : tensor<16x32xf32>
  %y:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %zero, %b = %zero) -> (tensor<16x32xf32>, tensor<16x32xf32>) {
    %n = te.gemm %x, %w0 outs(%a) {accumulate} : (tensor<16x64xbf16>, tensor<32x64xbf16>, tensor<16x32xf32>) -> tensor<16x32xf32>
    %m = te.gemm %x, %w1 outs(%b) {accumulate} : (tensor<16x64xbf16>, tensor<32x64xbf16>, tensor<16x32xf32>) -> tensor<16x32xf32>
    scf.yield %n, %m : tensor<16x32xf32>, tensor<16x32xf32>
  }
  return %y#0, %y#1 : tensor<16x32xf32>, tensor<16x32xf32>
}

// Offsets from cumsum, concatenate and multiply, for each tensor anew. One op, once (see
// offsets.test); and none where the counts are known to the compiler.
// CHECK-LABEL: func.func @constant_counts(
// CHECK-NOT:     te.compute_offsets
// CHECK:         %[[O:.*]] = arith.constant dense<[0, 16, 48]> : tensor<3xi32>
// CHECK-NOT:     te.to_host
// CHECK:         te.grouped_gemm %{{[^,]*}}, %{{[^,]*}} groups(%[[O]]) over rows
// CHECK-NOT:     te.compute_offsets
func.func @constant_counts(
    %x: tensor<48x64xbf16> {te.name = "x"},
    %w0: tensor<32x64xbf16> {te.name = "w.0", te.group = "w", te.member = 0 : i64, te.parameter},
    %w1: tensor<32x64xbf16> {te.name = "w.1", te.group = "w", te.member = 1 : i64, te.parameter})
    -> (tensor<48x32xbf16> {te.name = "y"}, tensor<48x32xbf16> {te.name = "z"}) {
  %counts = arith.constant dense<[9, 32]> : tensor<2xi32>
  %zero = arith.constant dense<0.0> : tensor<48x32xbf16>
  %o1 = te.compute_offsets %counts {alignment = 16} : tensor<2xi32> -> tensor<3xi32>
  %h1 = te.to_host %o1 : tensor<3xi32> -> tensor<3xi32, #te.host>
  %y0 = te.gemm %x, %w0 groups(%h1) member 0 over rows outs(%zero) : (tensor<48x64xbf16>, tensor<32x64xbf16>, tensor<3xi32, #te.host>, tensor<48x32xbf16>) -> tensor<48x32xbf16>
  %y1 = te.gemm %x, %w1 groups(%h1) member 1 over rows outs(%y0) : (tensor<48x64xbf16>, tensor<32x64xbf16>, tensor<3xi32, #te.host>, tensor<48x32xbf16>) -> tensor<48x32xbf16>
  %o2 = te.compute_offsets %counts {alignment = 16} : tensor<2xi32> -> tensor<3xi32>
  %h2 = te.to_host %o2 : tensor<3xi32> -> tensor<3xi32, #te.host>
  %z0 = te.gemm %x, %w1 groups(%h2) member 0 over rows outs(%zero) : (tensor<48x64xbf16>, tensor<32x64xbf16>, tensor<3xi32, #te.host>, tensor<48x32xbf16>) -> tensor<48x32xbf16>
  %z1 = te.gemm %x, %w0 groups(%h2) member 1 over rows outs(%z0) : (tensor<48x64xbf16>, tensor<32x64xbf16>, tensor<3xi32, #te.host>, tensor<48x32xbf16>) -> tensor<48x32xbf16>
  return %y1, %z1 : tensor<48x32xbf16>, tensor<48x32xbf16>
}

// No gradient for the packed weight, or gradients that only one kernel can write: one
// packed gradient (base and stride), or E tensors (an array of pointers), as the
// destinations are. The same bits.
// RUN: te-run %s --entry=packed_gradient --check --output-dir=%t/packed --output-form=members | FileCheck %s --check-prefix=EXACT
// RUN: te-run %s --entry=listed_gradients --check --output-dir=%t/list --output-form=members | FileCheck %s --check-prefix=EXACT
// RUN: diff -r %t/packed %t/list
// RUN: test -s %t/packed/g.1.npy
// RUN: not cmp %t/packed/g.0.npy %t/packed/g.1.npy
// CHECK-LABEL: func.func @packed_gradient(
// CHECK:         te.grouped_gemm {{.*}} over reduction outs(%{{[^,]*}}) {{.*}} -> tensor<2x32x64xf32>
func.func @packed_gradient(
    %dy: tensor<48x32xbf16> {te.name = "dy"}, %x: tensor<48x64xbf16> {te.name = "x"},
    %counts: tensor<48x1xi32> {te.name = "indices", te.init = #te.init<routing, experts = 2>},
    %g0: tensor<32x64xf32> {te.name = "old.0", te.group = "old", te.member = 0 : i64},
    %g1: tensor<32x64xf32> {te.name = "old.1", te.group = "old", te.member = 1 : i64})
    -> (tensor<32x64xf32> {te.name = "g.0", te.group = "g", te.member = 0 : i64},
        tensor<32x64xf32> {te.name = "g.1", te.group = "g", te.member = 1 : i64}) {
  %map, %c, %o = te.routing_map %counts {alignment = 1, capacity = 48} : tensor<48x1xi32> -> tensor<48x1xi32>, tensor<2xi32>, tensor<3xi32>
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %n0 = te.gemm %dy, %x groups(%h) member 0 over reduction outs(%g0) {accumulate, transpose_lhs, transpose_rhs} : (tensor<48x32xbf16>, tensor<48x64xbf16>, tensor<3xi32, #te.host>, tensor<32x64xf32>) -> tensor<32x64xf32>
  %n1 = te.gemm %dy, %x groups(%h) member 1 over reduction outs(%g1) {accumulate, transpose_lhs, transpose_rhs} : (tensor<48x32xbf16>, tensor<48x64xbf16>, tensor<3xi32, #te.host>, tensor<32x64xf32>) -> tensor<32x64xf32>
  return %n0, %n1 : tensor<32x64xf32>, tensor<32x64xf32>
}

// CHECK-LABEL: func.func @listed_gradients(
// CHECK:         te.grouped_gemm {{.*}} over reduction outs(%{{[^,]*}}, %{{[^,]*}}) {{.*}} -> (tensor<32x64xf32>, tensor<32x64xf32>)
func.func @listed_gradients(
    %dy: tensor<48x32xbf16> {te.name = "dy"}, %x: tensor<48x64xbf16> {te.name = "x"},
    %counts: tensor<48x1xi32> {te.name = "indices", te.init = #te.init<routing, experts = 2>},
    %g0: tensor<32x64xf32> {te.name = "old.0"}, %g1: tensor<32x64xf32> {te.name = "old.1"})
    -> (tensor<32x64xf32> {te.name = "g.0"}, tensor<32x64xf32> {te.name = "g.1"}) {
  %map, %c, %o = te.routing_map %counts {alignment = 1, capacity = 48} : tensor<48x1xi32> -> tensor<48x1xi32>, tensor<2xi32>, tensor<3xi32>
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %n0 = te.gemm %dy, %x groups(%h) member 0 over reduction outs(%g0) {accumulate, transpose_lhs, transpose_rhs} : (tensor<48x32xbf16>, tensor<48x64xbf16>, tensor<3xi32, #te.host>, tensor<32x64xf32>) -> tensor<32x64xf32>
  %n1 = te.gemm %dy, %x groups(%h) member 1 over reduction outs(%g1) {accumulate, transpose_lhs, transpose_rhs} : (tensor<48x32xbf16>, tensor<48x64xbf16>, tensor<3xi32, #te.host>, tensor<32x64xf32>) -> tensor<32x64xf32>
  return %n0, %n1 : tensor<32x64xf32>, tensor<32x64xf32>
}

// A swizzle that re-points the buffer of a parameter that others hold. A workspace has one
// place for as long as its session lives (PlanRun.WorkspaceMembers), in one layout: the
// swizzled scales are another value, and the ones that an optimizer reads stay.
ml_program.global public mutable @w.scales : tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
// CHECK-LABEL: func.func @swizzle(
// CHECK:         ml_program.global_store @w.scales = %{{.*}} : tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
func.func @swizzle(%w: tensor<128x256xbf16> {te.name = "w", te.parameter})
    -> (tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>> {te.name = "z"}) {
  %q, %s = te.quantize %w : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
  ml_program.global_store @w.scales = %s : tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
  %z = te.convert_scales %s of [128, 256] : tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>> -> tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  return %z : tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
}
