// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-remove-double-quantization | FileCheck %s
// RUN: te-opt %s -te-remove-double-quantization -te-remove-double-quantization | FileCheck %s
// RUN: te-opt %s -te-remove-double-quantization -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-remove-double-quantization | FileCheck %s --check-prefix=REMARK
// RUN: te-opt %s -te-remove-double-quantization=fp32-scales=true | FileCheck %s --check-prefix=FP32

#compact = #te.scales<1 x 128, compact>
#ready = #te.scales<1 x 128, gemm_ready>
#ready2 = #te.scales<1 x 128, gemm_ready, groups = 2>
#column = #te.scales<128 x 1, compact>
#tensor = #te.scales<tensor>

// Powers of two, told through a move; in another layout.
// CHECK-LABEL: func @both(
// CHECK-SAME:      %[[X:.*]]: tensor<64x256xbf16>, %[[MAP:.*]]: tensor<64x2xi32>, %[[O:.*]]: tensor<3xi32>)
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = te.quantize %[[X]]
// CHECK-NEXT:    %[[R:.*]], %[[RS:.*]] = te.permute %[[Q]] scales(%[[S]]) rows(%[[MAP]])
// CHECK-NEXT:    %[[D:.*]] = te.dequantize %[[R]], %[[RS]] groups(%[[O]])
// CHECK-NEXT:    %[[C:.*]] = te.convert_scales %[[RS]] of [128, 256]
// CHECK-NEXT:    %[[T:.*]], %[[TS:.*]] = te.quantize %[[D]] groups(%[[O]] : tensor<3xi32>) {pow2_scales} : tensor<128x256xbf16> columnwise tensor<256x128xf8E4M3FN>
// CHECK-NEXT:    return %[[R]], %[[C]], %[[T]]
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Passed] RemoveDoubleQuantization{{.*}}BytesSaved=31744, LaunchesSaved=-1
func.func @both(%x: tensor<64x256xbf16>, %map: tensor<64x2xi32>, %o: tensor<3xi32>)
    -> (tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready>, tensor<256x128xf8E4M3FN>) {
  %q, %s = te.quantize %x {pow2_scales} : tensor<64x256xbf16> -> tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>
  %r, %rs = te.permute %q scales(%s) rows(%map) : (tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>, tensor<64x2xi32>) -> (tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>)
  %d = te.dequantize %r, %rs groups(%o) : (tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>, tensor<3xi32>) -> tensor<128x256xbf16>
  %a:4 = te.quantize %d groups(%o : tensor<3xi32>) {pow2_scales} : tensor<128x256xbf16>
    -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready> columnwise tensor<256x128xf8E4M3FN>, tensor<3x256xf32, #ready2>
  return %a#0, %a#1, %a#2 : tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready>, tensor<256x128xf8E4M3FN>
}

// CHECK-LABEL: func @rowwise_alone(
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = te.quantize
// CHECK-NEXT:    return %[[Q]], %[[S]]
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Passed] RemoveDoubleQuantization{{.*}}BytesSaved=164864, LaunchesSaved=2
func.func @rowwise_alone(%x: tensor<64x256xf32>) -> (tensor<64x256xf8E5M2>, tensor<64x2xf32, #compact>) {
  %q, %s = te.quantize %x {pow2_scales} : tensor<64x256xf32> -> tensor<64x256xf8E5M2>, tensor<64x2xf32, #compact>
  %d = te.dequantize %q, %s : (tensor<64x256xf8E5M2>, tensor<64x2xf32, #compact>) -> tensor<64x256xf32>
  %a, %as = te.quantize %d {pow2_scales} : tensor<64x256xf32> -> tensor<64x256xf8E5M2>, tensor<64x2xf32, #compact>
  return %a, %as : tensor<64x256xf8E5M2>, tensor<64x2xf32, #compact>
}

// CHECK-LABEL: func @fp32(
// CHECK-COUNT-2: te.quantize
// FP32-LABEL: func @fp32(
// FP32-COUNT-1: te.quantize
// FP32-NEXT:    return
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] RemoveDoubleQuantization{{.*}}scales need not be powers of two: other values, unless fp32-scales asks for it
func.func @fp32(%x: tensor<64x256xf32>) -> (tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>) {
  %q, %s = te.quantize %x : tensor<64x256xf32> -> tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>
  %d = te.dequantize %q, %s : (tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>) -> tensor<64x256xf32>
  %a, %as = te.quantize %d : tensor<64x256xf32> -> tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>
  return %a, %as : tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>
}

// CHECK-LABEL: func @unknown_scales(
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] RemoveDoubleQuantization{{.*}}scales that come in are not known to be powers of two
func.func @unknown_scales(%q: tensor<64x256xf8E4M3FN>, %s: tensor<64x2xf32, #compact>) -> tensor<64x256xf8E4M3FN> {
  %d = te.dequantize %q, %s : (tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>) -> tensor<64x256xf32>
  %a, %as = te.quantize %d {pow2_scales} : tensor<64x256xf32> -> tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>
  return %a : tensor<64x256xf8E4M3FN>
}

// CHECK-LABEL: func @other_blocks(
// CHECK-COUNT-2: te.quantize
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] RemoveDoubleQuantization{{.*}}its scales are tensor<64x2xf32, {{.*}}1 x 128, compact{{.*}}, and those dequantized tensor<1x256xf32, {{.*}}128 x 1, compact
func.func @other_blocks(%x: tensor<64x256xf32>) -> tensor<64x256xf8E4M3FN> {
  %q, %s = te.quantize %x {pow2_scales} : tensor<64x256xf32> columnwise tensor<64x256xf8E4M3FN>, tensor<1x256xf32, #column>
  %d = te.dequantize %q, %s : (tensor<64x256xf8E4M3FN>, tensor<1x256xf32, #column>) -> tensor<64x256xf32>
  %a, %as = te.quantize %d {pow2_scales} : tensor<64x256xf32> -> tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>
  return %a : tensor<64x256xf8E4M3FN>
}

// CHECK-LABEL: func @other_type(
// CHECK-COUNT-2: te.quantize
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] RemoveDoubleQuantization{{.*}}its values are tensor<64x256xf8E5M2>, and those dequantized tensor<64x256xf8E4M3FN>
func.func @other_type(%x: tensor<64x256xf32>) -> tensor<64x256xf8E5M2> {
  %q, %s = te.quantize %x {pow2_scales} : tensor<64x256xf32> -> tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>
  %d = te.dequantize %q, %s : (tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>) -> tensor<64x256xf32>
  %a, %as = te.quantize %d {pow2_scales} : tensor<64x256xf32> -> tensor<64x256xf8E5M2>, tensor<64x2xf32, #compact>
  return %a : tensor<64x256xf8E5M2>
}

// CHECK-LABEL: func @one_scale(
// CHECK-COUNT-2: te.quantize
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] RemoveDoubleQuantization{{.*}}its scale is that of all rows, whichever are there
func.func @one_scale(%x: tensor<64x256xf32>) -> tensor<64x256xf8E4M3FN> {
  %q, %s = te.quantize %x {pow2_scales} : tensor<64x256xf32> -> tensor<64x256xf8E4M3FN>, tensor<f32, #tensor>
  %d = te.dequantize %q, %s : (tensor<64x256xf8E4M3FN>, tensor<f32, #tensor>) -> tensor<64x256xf32>
  %a, %as = te.quantize %d {pow2_scales} : tensor<64x256xf32> -> tensor<64x256xf8E4M3FN>, tensor<f32, #tensor>
  return %a : tensor<64x256xf8E4M3FN>
}

// CHECK-LABEL: func @destination(
// CHECK-COUNT-2: te.quantize
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] RemoveDoubleQuantization{{.*}}it has a destination, of type tensor<64x256xf8E4M3FN>
func.func @destination(%x: tensor<64x256xf32>, %v: tensor<64x256xf8E4M3FN>, %vs: tensor<64x2xf32, #compact>) -> tensor<64x256xf8E4M3FN> {
  %q, %s = te.quantize %x {pow2_scales} : tensor<64x256xf32> -> tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>
  %d = te.dequantize %q, %s : (tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>) -> tensor<64x256xf32>
  %a, %as = te.quantize %d outs(%v, %vs : tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>) {pow2_scales} : tensor<64x256xf32> -> tensor<64x256xf8E4M3FN>, tensor<64x2xf32, #compact>
  return %a : tensor<64x256xf8E4M3FN>
}
