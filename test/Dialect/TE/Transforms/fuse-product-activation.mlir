// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-fuse-product-activation | FileCheck %s
// RUN: te-opt %s -te-fuse-product-activation -o /dev/null --remark-policy=all \
// RUN:   --remarks-filter=te-fuse-product-activation 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: te-opt %s -te-fuse-product-activation -o %t.once
// RUN: te-opt %t.once -te-fuse-product-activation | diff %t.once -
// RUN: te-run %s --entry=run --check --passes='func.func(te-fuse-product-activation)' | FileCheck %s --check-prefix=EXACT

#row = #te.scales<1 x 128, gemm_ready>
#column = #te.scales<1 x 128, gemm_ready, groups = 2>
#square = #te.scales<128 x 128, gemm_ready>

// CHECK-LABEL: func @forward(
// CHECK-SAME:      %[[X:[^:]*]]: {{.*}}, %[[XS:[^:]*]]: {{.*}}, %[[W:[^:]*]]: {{.*}}, %[[WS:[^:]*]]: {{.*}}, %[[P:[^:]*]]: {{.*}}, %[[O:[^:]*]]: tensor<3xi32>)
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = te.grouped_gemm_swiglu_quantize %[[X]] scales(%[[XS]] : {{.*}}), %[[W]] scales(%[[WS]] : {{.*}}) probs(%[[P]] : tensor<96xf32>) groups(%[[O]] : tensor<3xi32>) {epsilon = 1.000000e+00 : f32, pow2_scales, tag = "cast"} : tensor<96x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #te.scales<1 x 128, gemm_ready>>{{$}}
// CHECK-NEXT:    return %[[Q]], %[[S]]
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] FuseProductActivation{{.*}}BytesSaved=196620, LaunchesSaved=1
func.func @forward(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #square>, %p: tensor<96xf32>, %o: tensor<3xi32>) -> (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>) {
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x512x256xf8E4M3FN>, tensor<2x4x4xf32, #square>, tensor<3xi32>) -> tensor<96x512xbf16>
  %q:2 = te.swiglu_quantize %h probs(%p : tensor<96xf32>) groups(%o : tensor<3xi32>) {epsilon = 1.0 : f32, pow2_scales, tag = "cast"} : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %q#0, %q#1 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
}

// Backward reads the product too.
// CHECK-LABEL: func @keep_product(
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]], %[[QT:.*]], %[[ST:.*]], %[[H:.*]] = te.grouped_gemm_swiglu_quantize
// CHECK-SAME:      columnwise tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #te.scales<1 x 128, gemm_ready, groups = 2>> product tensor<96x512xbf16>
// CHECK-NEXT:    return %[[H]], %[[Q]], %[[S]], %[[QT]], %[[ST]]
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] FuseProductActivation{{.*}}BytesSaved=98316, LaunchesSaved=1
func.func @keep_product(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #square>, %p: tensor<96xf32>, %o: tensor<3xi32>) -> (tensor<96x512xbf16>, tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>) {
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x512x256xf8E4M3FN>, tensor<2x4x4xf32, #square>, tensor<3xi32>) -> tensor<96x512xbf16>
  %q:4 = te.swiglu_quantize %h probs(%p : tensor<96xf32>) groups(%o : tensor<3xi32>) : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row> columnwise tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>
  return %h, %q#0, %q#1, %q#2, %q#3 : tensor<96x512xbf16>, tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>
}

// E tensors, no probabilities, and a destination that holds nothing.
// CHECK-LABEL: func @list(
// CHECK-NEXT:    te.grouped_gemm_swiglu_quantize %{{[^ ]*}} scales({{.*}}), %[[V:.*]], %[[U:.*]] scales(
// CHECK-NEXT:    return
func.func @list(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %v: tensor<256x256xf8E4M3FN>, %vs: tensor<2x4xf32, #square>,
    %u: tensor<256x256xf8E4M3FN>, %us: tensor<2x4xf32, #square>, %o: tensor<3xi32>) -> (tensor<96x128xf8E4M3FN>, tensor<1x96xf32, #row>) {
  %e = tensor.empty() : tensor<96x256xbf16>
  %h = te.grouped_gemm %x scales(%xs), %v, %u scales(%vs, %us) groups(%o) over rows outs(%e)
    : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<256x256xf8E4M3FN>, tensor<256x256xf8E4M3FN>, tensor<2x4xf32, #square>, tensor<2x4xf32, #square>, tensor<3xi32>, tensor<96x256xbf16>) -> tensor<96x256xbf16>
  %q:2 = te.swiglu_quantize %h groups(%o : tensor<3xi32>) : tensor<96x256xbf16> -> tensor<96x128xf8E4M3FN>, tensor<1x96xf32, #row>
  return %q#0, %q#1 : tensor<96x128xf8E4M3FN>, tensor<1x96xf32, #row>
}

//===----------------------------------------------------------------------===//
// What stays
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func @keep_read_before(
// CHECK-NOT:     te.grouped_gemm_swiglu_quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] FuseProductActivation{{.*}}the product is read before, by te.swiglu
func.func @keep_read_before(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #square>, %p: tensor<96xf32>, %o: tensor<3xi32>) -> (tensor<96x256xbf16>, tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>) {
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x512x256xf8E4M3FN>, tensor<2x4x4xf32, #square>, tensor<3xi32>) -> tensor<96x512xbf16>
  %a = te.swiglu %h groups(%o) : (tensor<96x512xbf16>, tensor<3xi32>) -> tensor<96x256xbf16>
  %q:2 = te.swiglu_quantize %h probs(%p : tensor<96xf32>) groups(%o : tensor<3xi32>) : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %a, %q#0, %q#1 : tensor<96x256xbf16>, tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
}

// CHECK-LABEL: func @keep_other_groups(
// CHECK-NOT:     te.grouped_gemm_swiglu_quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseProductActivation{{.*}}the groups of the product are not those of the cast
func.func @keep_other_groups(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #square>, %p: tensor<96xf32>, %o: tensor<3xi32>, %o2: tensor<3xi32>) -> (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>) {
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x512x256xf8E4M3FN>, tensor<2x4x4xf32, #square>, tensor<3xi32>) -> tensor<96x512xbf16>
  %q:2 = te.swiglu_quantize %h probs(%p : tensor<96xf32>) groups(%o2 : tensor<3xi32>) : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %q#0, %q#1 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
}

// CHECK-LABEL: func @keep_bias(
// CHECK-NOT:     te.grouped_gemm_swiglu_quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseProductActivation{{.*}}the product has a bias
func.func @keep_bias(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #square>, %p: tensor<96xf32>, %o: tensor<3xi32>, %b: tensor<2x512xbf16>) -> (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>) {
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) bias(%b) groups(%o) over rows : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x512x256xf8E4M3FN>, tensor<2x4x4xf32, #square>, tensor<2x512xbf16>, tensor<3xi32>) -> tensor<96x512xbf16>
  %q:2 = te.swiglu_quantize %h probs(%p : tensor<96xf32>) groups(%o : tensor<3xi32>) : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %q#0, %q#1 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
}

// CHECK-LABEL: func @keep_destination(
// CHECK-NOT:     te.grouped_gemm_swiglu_quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseProductActivation{{.*}}the product has a destination, of type tensor<96x512xbf16>
func.func @keep_destination(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #square>, %p: tensor<96xf32>, %o: tensor<3xi32>, %d: tensor<96x512xbf16>) -> (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>) {
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows outs(%d) : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x512x256xf8E4M3FN>, tensor<2x4x4xf32, #square>, tensor<3xi32>, tensor<96x512xbf16>) -> tensor<96x512xbf16>
  %q:2 = te.swiglu_quantize %h probs(%p : tensor<96xf32>) groups(%o : tensor<3xi32>) : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %q#0, %q#1 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
}

// CHECK-LABEL: func @keep_accumulate(
// CHECK-NOT:     te.grouped_gemm_swiglu_quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseProductActivation{{.*}}the product is added to what is there
func.func @keep_accumulate(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #square>, %p: tensor<96xf32>, %o: tensor<3xi32>, %d: tensor<96x512xbf16>) -> (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>) {
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows outs(%d) {accumulate} : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x512x256xf8E4M3FN>, tensor<2x4x4xf32, #square>, tensor<3xi32>, tensor<96x512xbf16>) -> tensor<96x512xbf16>
  %q:2 = te.swiglu_quantize %h probs(%p : tensor<96xf32>) groups(%o : tensor<3xi32>) : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %q#0, %q#1 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
}

// CHECK-LABEL: func @keep_tensor_scales(
// CHECK-NOT:     te.grouped_gemm_swiglu_quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseProductActivation{{.*}}the cast is to {{.*}}tensor{{.*}}, not to blocks of 1 x 128
func.func @keep_tensor_scales(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #square>, %p: tensor<96xf32>, %o: tensor<3xi32>) -> (tensor<96x256xf8E4M3FN>, tensor<2xf32, #te.scales<tensor, groups = 2>>) {
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x512x256xf8E4M3FN>, tensor<2x4x4xf32, #square>, tensor<3xi32>) -> tensor<96x512xbf16>
  %q:2 = te.swiglu_quantize %h groups(%o : tensor<3xi32>) : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2xf32, #te.scales<tensor, groups = 2>>
  return %q#0, %q#1 : tensor<96x256xf8E4M3FN>, tensor<2xf32, #te.scales<tensor, groups = 2>>
}

// CHECK-LABEL: func @keep_bf16(
// CHECK-NOT:     te.grouped_gemm_swiglu_quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseProductActivation{{.*}}the product is of bf16 and bf16 to bf16, not of f8E4M3FN to bf16
func.func @keep_bf16(%x: tensor<96x256xbf16>, %w: tensor<2x512x256xbf16>, %p: tensor<96xf32>, %o: tensor<3xi32>) -> (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>) {
  %h = te.grouped_gemm %x, %w groups(%o) over rows : (tensor<96x256xbf16>, tensor<2x512x256xbf16>, tensor<3xi32>) -> tensor<96x512xbf16>
  %q:2 = te.swiglu_quantize %h probs(%p : tensor<96xf32>) groups(%o : tensor<3xi32>) : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %q#0, %q#1 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
}

// CHECK-LABEL: func @keep_narrow(
// CHECK-NOT:     te.grouped_gemm_swiglu_quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseProductActivation{{.*}}rows of 64 are no multiple of 128
func.func @keep_narrow(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x128x256xf8E4M3FN>, %ws: tensor<2x1x4xf32, #square>, %o: tensor<3xi32>) -> (tensor<96x64xf8E4M3FN>, tensor<1x96xf32, #row>) {
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x128x256xf8E4M3FN>, tensor<2x1x4xf32, #square>, tensor<3xi32>) -> tensor<96x128xbf16>
  %q:2 = te.swiglu_quantize %h groups(%o : tensor<3xi32>) : tensor<96x128xbf16> -> tensor<96x64xf8E4M3FN>, tensor<1x96xf32, #row>
  return %q#0, %q#1 : tensor<96x64xf8E4M3FN>, tensor<1x96xf32, #row>
}

// Nothing was measured on sm_100.
// CHECK-LABEL: func @keep_target(
// CHECK-NOT:     te.grouped_gemm_swiglu_quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseProductActivation{{.*}}what it takes on sm_100 was not measured
func.func @keep_target(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #square>, %p: tensor<96xf32>, %o: tensor<3xi32>) -> (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>) attributes {te.target = #te.target<sm_100>} {
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x512x256xf8E4M3FN>, tensor<2x4x4xf32, #square>, tensor<3xi32>) -> tensor<96x512xbf16>
  %q:2 = te.swiglu_quantize %h probs(%p : tensor<96xf32>) groups(%o : tensor<3xi32>) : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %q#0, %q#1 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
}

// Rows that are nobody's, and groups that are no whole tiles.
// CHECK-LABEL: func @run(
// CHECK:         te.grouped_gemm_swiglu_quantize
// CHECK-NEXT:    return
// EXACT-COUNT-5: exact
func.func @run(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #square>, %p: tensor<96xf32>)
    -> (tensor<96x512xbf16>, tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>) {
  %o = arith.constant dense<[0, 33, 90]> : tensor<3xi32>
  %h = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<2x512x256xf8E4M3FN>, tensor<2x4x4xf32, #square>, tensor<3xi32>) -> tensor<96x512xbf16>
  %q:4 = te.swiglu_quantize %h probs(%p : tensor<96xf32>) groups(%o : tensor<3xi32>) {pow2_scales} : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row> columnwise tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>
  return %h, %q#0, %q#1, %q#2, %q#3 : tensor<96x512xbf16>, tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>
}
