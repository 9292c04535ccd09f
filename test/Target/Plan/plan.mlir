// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-lower -mlir-print-debuginfo -o %t.mlir
// RUN: te-translate --te-to-plan %t.mlir -o %t.plan
// RUN: te-translate --plan-to-text %t.plan | FileCheck %s
// RUN: te-translate --te-to-plan %t.mlir | te-translate --plan-to-text - | FileCheck %s
// RUN: te-exec %t.plan --entry=step

// CHECK: plan version 2, target sm_100
// CHECK-NEXT: workspace 0 w.values: 32768 bytes
// CHECK-NEXT: constant 0: 64 bytes

module attributes {te.target = #te.target<sm_100>} {
ml_program.global private mutable @w.values : tensor<256x128xf8E4M3FN>

// CHECK-LABEL: program step: arena {{[0-9]+}} bytes, ranks 1
// CHECK-NEXT:    argument In x: Argument 0 @0 3x16x128xBF16, init Normal 5.000000e-01
// CHECK-NEXT:    argument In w: Argument 1 @0 256x128xBF16, init One
// CHECK-NEXT:    argument In scale: Argument 2 @0 2xF32, init Zero, next scale, members w1.scale w2.scale
// CHECK-NEXT:    argument In indices: Argument 3 @0 16x2xI32, init Routing 8
// CHECK-NEXT:    argument Out y: Argument 4 @0 3x16x128xBF16
// CHECK-NEXT:    argument Out scale: Argument 5 @0 2xF32
func.func @step(
    %x: tensor<3x16x128xbf16> {te.name = "x", te.init = #te.init<normal, deviation = 0.5 : f64>},
    %w: tensor<256x128xbf16> {te.name = "w", te.parameter, te.init = #te.init<one>},
    %scale: tensor<2xf32> {te.name = "scale", te.init = #te.init<zero>, te.next = "scale", te.members = ["w1.scale", "w2.scale"]},
    %indices: tensor<16x2xi32> {te.name = "indices", te.init = #te.init<routing, experts = 8>})
    -> (tensor<3x16x128xbf16> {te.name = "y"}, tensor<2xf32> {te.name = "scale"})
    attributes {te.ranks = 1 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %k = arith.constant dense<[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]> : tensor<16xi32>
  %v = ml_program.global_load @w.values : tensor<256x128xf8E4M3FN>
  %s0 = tensor.empty() : tensor<2x4xf32, #te.scales<128 x 128, gemm_ready>>
  // CHECK-NEXT: quantize(Argument 1 @0 256x128xBF16; -; -; -; -; -; Workspace 0 @0 256x128xF8E4M3; Arena 0 @{{[0-9]+}} 2x4xF32 GemmReady 128x128; -; -; -; -; -) -1 1 0 0 0 0.000000e+00 // weight_quantize, {{.*}}plan.mlir:[[#@LINE+1]]:
  %q, %s = te.quantize %w outs(%v, %s0 : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #te.scales<128 x 128, gemm_ready>>) {pow2_scales} : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #te.scales<128 x 128, gemm_ready>>
  ml_program.global_store @w.values = %q : tensor<256x128xf8E4M3FN>
  // CHECK-NEXT: compute_offsets(Constant 0 @0 16xI32; Arena 0 @{{[0-9]+}} 17xI32) 4
  %o = te.compute_offsets %k {alignment = 4} : tensor<16xi32> -> tensor<17xi32>
  // CHECK-NEXT: to_host(Arena 0 @{{[0-9]+}} 17xI32; Arena 0 @{{[0-9]+}} 17xI32 on host)
  %h = te.to_host %o : tensor<17xi32> -> tensor<17xi32, #te.host>
  %e = tensor.empty() : tensor<3x16x128xbf16>
  // CHECK-NEXT: loop 2
  // CHECK-NEXT: transpose(Argument 0 @4096 +4096*i0 16x128xBF16; Arena 0 @{{[0-9]+}} 128x16xBF16)
  // CHECK-NEXT: transpose({{.*}}; Argument 4 @4096 +4096*i0 16x128xBF16) // transpose, out/transpose y[1]
  %r = scf.for %i = %c1 to %c3 step %c1 iter_args(%acc = %e) -> (tensor<3x16x128xbf16>) {
    %xi = te.member %x[%i] : tensor<3x16x128xbf16> -> tensor<16x128xbf16>
    %t = te.transpose %xi : tensor<16x128xbf16> -> tensor<128x16xbf16>
    %u = te.transpose %t : tensor<128x16xbf16> -> tensor<16x128xbf16> loc("out/transpose y[1]")
    %n = te.insert_member %u into %acc[%i] : tensor<16x128xbf16> -> tensor<3x16x128xbf16>
    scf.yield %n : tensor<3x16x128xbf16>
  }
  // CHECK-NEXT: copy(Argument 2 @0 2xF32; Argument 5 @0 2xF32)
  return %r, %scale : tensor<3x16x128xbf16>, tensor<2xf32>
}

// CHECK-LABEL: program nested: arena 0 bytes, ranks 4
// CHECK:         loop 2
// CHECK-NEXT:      loop 2
// CHECK-NEXT:        transpose(Argument 0 @16 +64*i0 +32*i1 2x2xF32; Argument 1 @0 2x2xF32)
func.func @nested(%x: tensor<2x4x2x2xf32>) -> tensor<2x2xf32> attributes {te.ranks = 4 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %e = tensor.empty() : tensor<2x2xf32>
  %r = scf.for %i = %c0 to %c2 step %c1 iter_args(%a = %e) -> (tensor<2x2xf32>) {
    %xi = te.member %x[%i] : tensor<2x4x2x2xf32> -> tensor<4x2x2xf32>
    %s = scf.for %j = %c1 to %c4 step %c2 iter_args(%b = %a) -> (tensor<2x2xf32>) {
      %xj = te.member %xi[%j] : tensor<4x2x2xf32> -> tensor<2x2xf32>
      %t = te.transpose %xj : tensor<2x2xf32> -> tensor<2x2xf32>
      scf.yield %t : tensor<2x2xf32>
    }
    scf.yield %s : tensor<2x2xf32>
  }
  return %r : tensor<2x2xf32>
}
}
