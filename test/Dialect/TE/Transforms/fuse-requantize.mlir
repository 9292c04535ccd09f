// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-fuse-requantize | FileCheck %s
// RUN: te-opt %s -te-fuse-requantize -te-fuse-requantize | FileCheck %s
// RUN: te-opt %s -te-fuse-requantize -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-fuse-requantize | FileCheck %s --check-prefix=REMARK

#compact = #te.scales<1 x 128, compact>
#ready = #te.scales<1 x 128, gemm_ready>
#ready2 = #te.scales<1 x 128, gemm_ready, groups = 2>
#column2 = #te.scales<128 x 1, compact, groups = 2>
#column = #te.scales<128 x 1, compact>
#tensor2 = #te.scales<tensor, groups = 2>
#tensor = #te.scales<tensor>

// Both directions, and the attributes of the cast.
// CHECK-LABEL: func @same_groups(
// CHECK-SAME:      %[[Q:.*]]: tensor<128x256xf8E4M3FN>, %[[S:.*]]: tensor<128x2xf32, {{.*}}>, %[[O:.*]]: tensor<3xi32>)
// CHECK-NEXT:    %[[V:.*]], %[[VS:.*]], %[[T:.*]], %[[TS:.*]] = te.requantize %[[Q]], %[[S]] groups(%[[O]] : tensor<3xi32>) via bf16 {epsilon = 1.000000e-03 : f32, pow2_scales} : tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #te.scales<1 x 128, compact>>
// CHECK-SAME:      -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, {{.*}}> columnwise tensor<256x128xf8E4M3FN>, tensor<3x256xf32
// CHECK-NEXT:    return %[[V]], %[[T]], %[[TS]]
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Passed] FuseRequantize{{.*}}BytesSaved=131084, LaunchesSaved=1
func.func @same_groups(%q: tensor<128x256xf8E4M3FN>, %s: tensor<128x2xf32, #compact>, %o: tensor<3xi32>)
    -> (tensor<128x256xf8E4M3FN>, tensor<256x128xf8E4M3FN>, tensor<3x256xf32, #ready2>) {
  %x = te.dequantize %q, %s groups(%o) : (tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>, tensor<3xi32>) -> tensor<128x256xbf16>
  %r:4 = te.quantize %x groups(%o : tensor<3xi32>) {pow2_scales, epsilon = 1.0e-3 : f32} : tensor<128x256xbf16>
    -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready> columnwise tensor<256x128xf8E4M3FN>, tensor<3x256xf32, #ready2>
  return %r#0, %r#2, %r#3 : tensor<128x256xf8E4M3FN>, tensor<256x128xf8E4M3FN>, tensor<3x256xf32, #ready2>
}

// All rows are dequantized, those of the groups cast. Destinations hold nothing,
// or what is overwritten in place anyway.
// CHECK-LABEL: func @fewer_rows(
// CHECK:         te.requantize %{{.*}}, %{{.*}} scale(%{{.*}} : tensor<2xf32>) amax(%{{.*}} : tensor<2xf32>) groups(%{{.*}} : tensor<3xi32>) via f32 : {{.*}} amax_out tensor<2xf32>
// CHECK-NOT:     te.quantize
func.func @fewer_rows(%q: tensor<128x256xf8E4M3FN>, %s: tensor<f32, #tensor>, %o: tensor<3xi32>, %scale: tensor<2xf32>, %amax: tensor<2xf32>)
    -> (tensor<128x256xf8E5M2>, tensor<2xf32>) {
  %x = te.dequantize %q, %s : (tensor<128x256xf8E4M3FN>, tensor<f32, #tensor>) -> tensor<128x256xf32>
  %v = tensor.empty() : tensor<128x256xf8E5M2>
  %vs = arith.constant dense<1.0> : tensor<2xf32, #tensor2>
  %r:3 = te.quantize %x scale(%scale : tensor<2xf32>) amax(%amax : tensor<2xf32>) groups(%o : tensor<3xi32>)
    outs(%v, %vs, %amax : tensor<128x256xf8E5M2>, tensor<2xf32, #tensor2>, tensor<2xf32>)
    : tensor<128x256xf32> -> tensor<128x256xf8E5M2>, tensor<2xf32, #tensor2> amax_out tensor<2xf32>
  return %r#0, %r#2 : tensor<128x256xf8E5M2>, tensor<2xf32>
}

// What the two casts read of the rows would be computed twice.
// CHECK-LABEL: func @other_reader(
// CHECK-COUNT-2: te.quantize
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseRequantize{{.*}}the rows of te.dequantize have 2 readers, not 1
func.func @other_reader(%q: tensor<128x256xf8E4M3FN>, %s: tensor<128x2xf32, #compact>) -> (tensor<128x256xf8E4M3FN>, tensor<256x128xf8E4M3FN>) {
  %x = te.dequantize %q, %s : (tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>) -> tensor<128x256xbf16>
  %a:2 = te.quantize %x : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>
  %b:2 = te.quantize %x : tensor<128x256xbf16> columnwise tensor<256x128xf8E4M3FN>, tensor<1x256xf32, #ready>
  return %a#0, %b#0 : tensor<128x256xf8E4M3FN>, tensor<256x128xf8E4M3FN>
}

// Rows that padding adds were not dequantized.
// CHECK-LABEL: func @other_groups(
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseRequantize{{.*}}te.dequantize has other groups
func.func @other_groups(%q: tensor<128x256xf8E4M3FN>, %s: tensor<128x2xf32, #compact>, %o: tensor<3xi32>, %p: tensor<3xi32>) -> tensor<128x256xf8E4M3FN> {
  %x = te.dequantize %q, %s groups(%o) : (tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>, tensor<3xi32>) -> tensor<128x256xbf16>
  %a:2 = te.quantize %x groups(%p : tensor<3xi32>) : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>
  return %a#0 : tensor<128x256xf8E4M3FN>
}

// The grid of blocks begins at row 0, not at each group.
// CHECK-LABEL: func @grid_of_all_rows(
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseRequantize{{.*}}te.dequantize has no groups, and scales of tensor<1x256xf32
func.func @grid_of_all_rows(%q: tensor<128x256xf8E4M3FN>, %s: tensor<1x256xf32, #column>, %o: tensor<3xi32>) -> tensor<128x256xf8E4M3FN> {
  %x = te.dequantize %q, %s : (tensor<128x256xf8E4M3FN>, tensor<1x256xf32, #column>) -> tensor<128x256xbf16>
  %a:2 = te.quantize %x groups(%o : tensor<3xi32>) : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>
  return %a#0 : tensor<128x256xf8E4M3FN>
}

// CHECK-LABEL: func @member(
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] FuseRequantize{{.*}}it casts member 1 alone
func.func @member(%q: tensor<128x256xf8E4M3FN>, %s: tensor<128x2xf32, #compact>, %h: tensor<3xi32, #te.host>) -> tensor<128x256xf8E4M3FN> {
  %x = te.dequantize %q, %s : (tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>) -> tensor<128x256xbf16>
  %v = tensor.empty() : tensor<128x256xf8E4M3FN>
  %vs = tensor.empty() : tensor<128x2xf32, #compact>
  %a:2 = te.quantize %x groups(%h : tensor<3xi32, #te.host>) member 1 outs(%v, %vs : tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>)
    : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>
  return %a#0 : tensor<128x256xf8E4M3FN>
}

// A workspace with an identity, and a flag.
// CHECK-LABEL: func @workspace(
// CHECK-COUNT-2: te.quantize
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] FuseRequantize{{.*}}it has a destination, of type tensor<128x256xf8E4M3FN>
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Missed] FuseRequantize{{.*}}its noop flag would skip the te.dequantize too
func.func @workspace(%q: tensor<128x256xf8E4M3FN>, %s: tensor<128x2xf32, #compact>, %v: tensor<128x256xf8E4M3FN>, %vs: tensor<128x2xf32, #compact>,
                     %n: tensor<f32>) -> (tensor<128x256xf8E4M3FN>, tensor<128x256xf8E4M3FN>) {
  %x = te.dequantize %q, %s : (tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>) -> tensor<128x256xbf16>
  %a:2 = te.quantize %x outs(%v, %vs : tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>) : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>
  %y = te.dequantize %q, %s : (tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>) -> tensor<128x256xbf16>
  %b:2 = te.quantize %y noop(%n : tensor<f32>) outs(%v, %vs : tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>) : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>
  return %a#0, %b#0 : tensor<128x256xf8E4M3FN>, tensor<128x256xf8E4M3FN>
}

// Nothing is decoded again in each iteration.
// CHECK-LABEL: func @loop(
// CHECK:         te.dequantize
// CHECK:         scf.for
// CHECK:           te.quantize
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Missed] FuseRequantize{{.*}}the te.dequantize stands in another block
func.func @loop(%q: tensor<128x256xf8E4M3FN>, %s: tensor<128x2xf32, #compact>, %o: tensor<4x3xi32>, %init: tensor<128x256xf8E4M3FN>) -> tensor<128x256xf8E4M3FN> {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %four = arith.constant 4 : index
  %x = te.dequantize %q, %s : (tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>) -> tensor<128x256xbf16>
  %r = scf.for %i = %zero to %four step %one iter_args(%c = %init) -> tensor<128x256xf8E4M3FN> {
    %g = te.member %o[%i] : tensor<4x3xi32> -> tensor<3xi32>
    %a:2 = te.quantize %x groups(%g : tensor<3xi32>) : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>
    scf.yield %a#0 : tensor<128x256xf8E4M3FN>
  }
  return %r : tensor<128x256xf8E4M3FN>
}

// CHECK-LABEL: func @packed(
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseRequantize{{.*}}its input is packed: tensor<2x128x256xbf16>
func.func @packed(%q: tensor<2x128x256xf8E4M3FN>, %s: tensor<2x128x2xf32, #compact>) -> tensor<2x128x256xf8E4M3FN> {
  %x = te.dequantize %q, %s : (tensor<2x128x256xf8E4M3FN>, tensor<2x128x2xf32, #compact>) -> tensor<2x128x256xbf16>
  %a:2 = te.quantize %x : tensor<2x128x256xbf16> -> tensor<2x128x256xf8E4M3FN>, tensor<2x128x2xf32, #compact>
  return %a#0 : tensor<2x128x256xf8E4M3FN>
}
