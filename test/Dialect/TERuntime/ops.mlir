// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s | te-opt | FileCheck %s
// RUN: te-opt %s -mlir-print-op-generic | te-opt | FileCheck %s
// RUN: te-opt %s -emit-bytecode | te-opt | FileCheck %s

// CHECK: ml_program.global private mutable @w.values
ml_program.global private mutable @w.values : tensor<8x64xf8E4M3FN>

// CHECK-LABEL: func.func @buffers(
// CHECK-SAME:    %[[X:.*]]: !te_rt.buffer<4x96x256xbf16> {te.name = "x", te_rt.direction = "in"}
// CHECK-SAME:    te_rt.arena_bytes = 4096 : i64
func.func @buffers(%x: !te_rt.buffer<4x96x256xbf16> {te.name = "x", te_rt.direction = "in"},
                   %y: !te_rt.buffer<f32> {te.name = "y", te_rt.direction = "out"})
    attributes {te_rt.arena_bytes = 4096 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  // CHECK: te_rt.alloc : !te_rt.buffer<96x2xf32, #te.scales<1 x 128, compact>>
  %a = te_rt.alloc : !te_rt.buffer<96x2xf32, #te.scales<1 x 128, compact>>
  // CHECK: te_rt.alloc at 256 : !te_rt.buffer<9xi32, #te.host>
  %b = te_rt.alloc at 256 : !te_rt.buffer<9xi32, #te.host>
  // CHECK: te_rt.workspace @w.values : !te_rt.buffer<8x64xf8E4M3FN>
  %w = te_rt.workspace @w.values : !te_rt.buffer<8x64xf8E4M3FN>
  // CHECK: te_rt.constant dense<[0, 16]> : tensor<2xi32>
  %c = te_rt.constant dense<[0, 16]> : tensor<2xi32>
  // CHECK: te_rt.member %{{.*}}[7] : !te_rt.buffer<8x64xf8E4M3FN>
  %m = te_rt.member %w[7] : !te_rt.buffer<8x64xf8E4M3FN>
  // CHECK: scf.for %[[I:.*]] =
  scf.for %i = %c0 to %c4 step %c1 {
    // CHECK: %[[XI:.*]] = te_rt.member %[[X]][%[[I]]] : !te_rt.buffer<4x96x256xbf16>
    %xi = te_rt.member %x[%i] : !te_rt.buffer<4x96x256xbf16>
    // CHECK: te_rt.call @f(in(%[[XI]]), in(), out(%{{.*}}, %{{.*}})) scalars(3, -1, 5.000000e-01 : f64)
    // CHECK-SAME: cost(#te_rt.cost<gemm, launches = 1, bytes = 10, flops = 20, host_syncs = 2, product = bf16>)
    // CHECK-SAME: : !te_rt.buffer<96x256xbf16>, !te_rt.buffer<96x2xf32, #te.scales<1 x 128, compact>>, !te_rt.buffer<f32>
    te_rt.call @f(in(%xi), in(), out(%a, %y)) scalars(3, -1, 0.5)
      cost(#te_rt.cost<gemm, launches = 1, bytes = 10, flops = 20, host_syncs = 2, product = bf16>)
      : !te_rt.buffer<96x256xbf16>, !te_rt.buffer<96x2xf32, #te.scales<1 x 128, compact>>, !te_rt.buffer<f32>
  }
  // CHECK: te_rt.call @g() scalars() cost(#te_rt.cost<other>)
  te_rt.call @g() scalars() cost(#te_rt.cost<other>)
  return
}
