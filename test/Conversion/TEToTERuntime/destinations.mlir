// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-convert-to-runtime | FileCheck %s

// A chain through destinations is one buffer: here that of the result.
// CHECK-LABEL: func.func @chain(
// CHECK-SAME:    %[[X:.*]]: !te_rt.buffer<8x16xbf16> {te.name = "arg0", te_rt.direction = "in"},
// CHECK-SAME:    %[[W:.*]]: !te_rt.buffer<4x16xbf16> {te.name = "arg1", te_rt.direction = "in"},
// CHECK-SAME:    %[[Y:.*]]: !te_rt.buffer<8x4xf32> {te.name = "y", te_rt.direction = "out"})
// CHECK-NOT:     te_rt.alloc
// CHECK:         te_rt.call @fill(out(%[[Y]])) scalars(0.000000e+00 : f64)
// CHECK-NEXT:    te_rt.call @gemm(in(%[[X]]), in(), in(), in(%[[W]]), in(), in(), in(), in(), out(%[[Y]])) scalars(0, -1, 0, 0, 1)
// CHECK-SAME:      cost(#te_rt.cost<gemm, launches = 1, bytes = 640, flops = 1024, product = bf16>)
// CHECK-NEXT:    te_rt.call @gemm({{.*}}out(%[[Y]]))
// CHECK-NEXT:    return
func.func @chain(%x: tensor<8x16xbf16>, %w: tensor<4x16xbf16>) -> (tensor<8x4xf32> {te.name = "y"}) {
  %z = arith.constant dense<0.0> : tensor<8x4xf32>
  %a = te.gemm %x, %w outs(%z) {accumulate} : (tensor<8x16xbf16>, tensor<4x16xbf16>, tensor<8x4xf32>) -> tensor<8x4xf32>
  %b = te.gemm %x, %w outs(%a) {accumulate} : (tensor<8x16xbf16>, tensor<4x16xbf16>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %b : tensor<8x4xf32>
}

// One undefined tensor, or one constant, may begin many buffers.
// CHECK-LABEL: func.func @shared_beginning(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[W:[a-z0-9]+]]: {{.*}}, %[[A:[a-z0-9]+]]: {{.*}}, %[[B:[a-z0-9]+]]:
// CHECK-NEXT:    te_rt.call @gemm({{.*}}out(%[[A]]))
// CHECK-NEXT:    te_rt.call @gemm({{.*}}out(%[[B]]))
// CHECK-NEXT:    return
func.func @shared_beginning(%x: tensor<8x16xbf16>, %w: tensor<4x16xbf16>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  %e = tensor.empty() : tensor<8x4xf32>
  %a = te.gemm %x, %w outs(%e) : (tensor<8x16xbf16>, tensor<4x16xbf16>, tensor<8x4xf32>) -> tensor<8x4xf32>
  %b = te.gemm %x, %w outs(%e) : (tensor<8x16xbf16>, tensor<4x16xbf16>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %a, %b : tensor<8x4xf32>, tensor<8x4xf32>
}

// The old content is read again: the new one is made in a copy.
// CHECK-LABEL: func.func @read_again(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[W:[a-z0-9]+]]: {{.*}}, %[[A:[a-z0-9]+]]: {{.*}}, %[[B:[a-z0-9]+]]:
// CHECK-NEXT:    te_rt.call @gemm({{.*}}out(%[[A]]))
// CHECK-NEXT:    te_rt.call @copy(in(%[[A]]), out(%[[B]]))
// CHECK-NEXT:    te_rt.call @gemm({{.*}}out(%[[B]]))
// CHECK-NEXT:    return
func.func @read_again(%x: tensor<8x16xbf16>, %w: tensor<4x16xbf16>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  %a = te.gemm %x, %w : (tensor<8x16xbf16>, tensor<4x16xbf16>) -> tensor<8x4xf32>
  %b = te.gemm %x, %w outs(%a) {accumulate} : (tensor<8x16xbf16>, tensor<4x16xbf16>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %a, %b : tensor<8x4xf32>, tensor<8x4xf32>
}

// What is overwritten without being read is not copied.
// CHECK-LABEL: func.func @overwritten(
// CHECK-NOT:     @copy
// CHECK:         return
func.func @overwritten(%x: tensor<8x16xbf16>, %w: tensor<4x16xbf16>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  %a = te.gemm %x, %w : (tensor<8x16xbf16>, tensor<4x16xbf16>) -> tensor<8x4xf32>
  %b = te.gemm %x, %w outs(%a) : (tensor<8x16xbf16>, tensor<4x16xbf16>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %a, %b : tensor<8x4xf32>, tensor<8x4xf32>
}

// An argument is not written.
// CHECK-LABEL: func.func @argument(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[W:[a-z0-9]+]]: {{.*}}, %[[ACC:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK-NEXT:    te_rt.call @copy(in(%[[ACC]]), out(%[[Y]]))
// CHECK-NEXT:    te_rt.call @gemm({{.*}}out(%[[Y]]))
func.func @argument(%x: tensor<8x16xbf16>, %w: tensor<4x16xbf16>, %acc: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %a = te.gemm %x, %w outs(%acc) {accumulate} : (tensor<8x16xbf16>, tensor<4x16xbf16>, tensor<8x4xf32>) -> tensor<8x4xf32>
  return %a : tensor<8x4xf32>
}

// An op that reads its destination as an operand too does not write over it.
// CHECK-LABEL: func.func @own_operand(
// CHECK:         te_rt.call @gemm({{.*}}out(%[[A:.*]])) scalars(0, -1, 0, 0, 0)
// CHECK-NEXT:    te_rt.call @gemm(in(%[[A]]), in(), in(), in(%[[A]]), in(), in(), in(), in(), out(%[[B:.*]]))
// CHECK-NOT:     @copy
// CHECK:         return
func.func @own_operand(%x: tensor<8x16xbf16>) -> tensor<8x8xf32> {
  %a = te.gemm %x, %x : (tensor<8x16xbf16>, tensor<8x16xbf16>) -> tensor<8x8xf32>
  %b = te.gemm %a, %a outs(%a) : (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  return %b : tensor<8x8xf32>
}

// Where the function allows it, an input is written over: the amax of a cast.
// CHECK-LABEL: func.func @in_place_input(
// CHECK-SAME:    %{{[a-z0-9]+}}: {{.*}}, %{{[a-z0-9]+}}: {{.*}}, %[[AMAX:[a-z0-9]+]]: !te_rt.buffer<f32> {te.name = "amax", te_rt.direction = "out"})
// CHECK:         te_rt.constant dense<0.000000e+00>
// CHECK:         te_rt.call @quantize(in(%{{.*}}), in(%{{.*}}), in(%[[ZERO:.*]]), in(), in(), {{.*}}out(%[[AMAX]]), out(), out())
// CHECK:         te_rt.call @quantize(in(%{{.*}}), in(%{{.*}}), in(%[[AMAX]]), in(), in(), {{.*}}out(%[[AMAX]]), out(), out())
// CHECK-NEXT:    return
func.func @in_place_input(%x: tensor<8x16xbf16>, %s: tensor<f32>) -> (tensor<f32> {te.name = "amax"}) {
  %z = arith.constant dense<0.0> : tensor<f32>
  %q, %qs, %a = te.quantize %x scale(%s : tensor<f32>) amax(%z : tensor<f32>) : tensor<8x16xbf16> -> tensor<8x16xf8E4M3FN>, tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
  %r, %rs, %b = te.quantize %x scale(%s : tensor<f32>) amax(%a : tensor<f32>) : tensor<8x16xbf16> -> tensor<8x16xf8E4M3FN>, tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
  return %b : tensor<f32>
}

// A constant that is no splat is part of the plan, and copied where it is written.
// CHECK-LABEL: func.func @constant(
// CHECK-SAME:    %{{[a-z0-9]+}}: {{.*}}, %[[Y:[a-z0-9]+]]:
// CHECK-NEXT:    %[[C:.*]] = te_rt.constant dense<{{.*}}> : tensor<2x2xf32>
// CHECK-NEXT:    te_rt.call @copy(in(%[[C]]), out(%[[Y]]))
// CHECK-NEXT:    te_rt.call @gemm(in(%{{.*}}), in(), in(), in(%[[C]]), in(), in(), in(), in(), out(%[[Y]]))
func.func @constant(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %c = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %a = te.gemm %x, %c outs(%c) {accumulate} : (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %a : tensor<2x2xf32>
}

// What is returned has one buffer for each result.
// CHECK-LABEL: func.func @returns(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: {{.*}}, %[[R0:[a-z0-9]+]]: {{.*}}, %[[R1:[a-z0-9]+]]: {{.*}}, %[[R2:[a-z0-9]+]]: {{.*}}, %[[R3:[a-z0-9]+]]:
// CHECK:         te_rt.call @transpose(in(%[[X]]), out(%[[R0]]))
// CHECK-DAG:     te_rt.call @copy(in(%[[R0]]), out(%[[R1]]))
// CHECK-DAG:     te_rt.call @copy(in(%[[X]]), out(%[[R2]]))
// CHECK-DAG:     te_rt.call @copy(in(%{{.*}}), out(%[[R3]]))
// CHECK:         return
func.func @returns(%x: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) {
  %c = arith.constant dense<2.0> : tensor<4x4xf32>
  %t = te.transpose %x : tensor<4x4xf32> -> tensor<4x4xf32>
  return %t, %t, %x, %c : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}
