// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-fuse-permute-quantize | FileCheck %s
// RUN: te-opt %s -te-fuse-permute-quantize -te-fuse-permute-quantize | FileCheck %s
// RUN: te-opt %s -te-fuse-permute-quantize -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-fuse-permute-quantize | FileCheck %s --check-prefix=REMARK

#compact = #te.scales<1 x 128, compact>
#ready = #te.scales<1 x 128, gemm_ready>
#ready8 = #te.scales<1 x 128, gemm_ready, groups = 8>
#tensor8 = #te.scales<tensor, groups = 8>

// Probabilities travel along.
// CHECK-LABEL: func @padded(
// CHECK-SAME:      %[[X:.*]]: tensor<96x256xbf16>, %[[P:.*]]: tensor<96x8xf32>, %[[I:.*]]: tensor<96x8xi32>)
// CHECK-NEXT:    %[[MAP:.*]], %[[N:.*]], %[[O:.*]] = te.routing_map
// CHECK-NEXT:    %[[V:.*]], %[[S:.*]], %[[T:.*]], %[[TS:.*]], %[[YP:.*]] = te.permute_quantize %[[X]] probs(%[[P]] : tensor<96x8xf32>) rows(%[[MAP]] : tensor<96x8xi32>) groups(%[[O]] : tensor<9xi32>) counts(%[[N]] : tensor<8xi32>) {pow2_scales} : tensor<96x256xbf16>
// CHECK-SAME:      -> tensor<896x256xf8E4M3FN>, tensor<2x896xf32, {{.*}}> columnwise tensor<256x896xf8E4M3FN>, tensor<15x256xf32, {{.*}}> out_probs tensor<896xf32>
// CHECK-NEXT:    return %[[V]], %[[T]], %[[YP]]
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Passed] FusePermuteQuantize{{.*}}BytesSaved=917540, LaunchesSaved=1, Op=te.permute_quantize, PredictedUsSaved=
func.func @padded(%x: tensor<96x256xbf16>, %p: tensor<96x8xf32>, %i: tensor<96x8xi32>)
    -> (tensor<896x256xf8E4M3FN>, tensor<256x896xf8E4M3FN>, tensor<896xf32>) {
  %map, %n, %o = te.routing_map %i {alignment = 16, capacity = 896} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %y, %yp = te.permute %x probs(%p) rows(%map) pads(%n, %o) : (tensor<96x256xbf16>, tensor<96x8xf32>, tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>) -> (tensor<896x256xbf16>, tensor<896xf32>)
  %r:4 = te.quantize %y groups(%o : tensor<9xi32>) {pow2_scales} : tensor<896x256xbf16>
    -> tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #ready> columnwise tensor<256x896xf8E4M3FN>, tensor<15x256xf32, #ready8>
  return %r#0, %r#2, %yp : tensor<896x256xf8E4M3FN>, tensor<256x896xf8E4M3FN>, tensor<896xf32>
}

// Without padding no counts; probabilities that nobody reads stay behind.
// CHECK-LABEL: func @dense(
// CHECK:         te.permute_quantize %{{[^ ]*}} rows(%{{.*}} : tensor<96x8xi32>) scale(%{{.*}} : tensor<8xf32>) amax(%{{.*}} : tensor<8xf32>) groups(%{{.*}} : tensor<9xi32>) : tensor<96x256xf32> columnwise tensor<256x768xf8E5M2>, tensor<8xf32, {{.*}}> amax_out tensor<8xf32>
// CHECK-NOT:     te.permute %
// CHECK-NOT:     te.quantize
func.func @dense(%x: tensor<96x256xf32>, %p: tensor<96x8xf32>, %map: tensor<96x8xi32>, %o: tensor<9xi32>, %scale: tensor<8xf32>, %amax: tensor<8xf32>)
    -> (tensor<256x768xf8E5M2>, tensor<8xf32>) {
  %y, %yp = te.permute %x probs(%p) rows(%map) : (tensor<96x256xf32>, tensor<96x8xf32>, tensor<96x8xi32>) -> (tensor<768x256xf32>, tensor<768xf32>)
  %r:3 = te.quantize %y scale(%scale : tensor<8xf32>) amax(%amax : tensor<8xf32>) groups(%o : tensor<9xi32>) : tensor<768x256xf32>
    columnwise tensor<256x768xf8E5M2>, tensor<8xf32, #tensor8> amax_out tensor<8xf32>
  return %r#0, %r#2 : tensor<256x768xf8E5M2>, tensor<8xf32>
}

// CHECK-LABEL: func @other_reader(
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FusePermuteQuantize{{.*}}the rows of te.permute have 2 readers, not 1
func.func @other_reader(%x: tensor<96x256xbf16>, %map: tensor<96x8xi32>, %o: tensor<9xi32>) -> (tensor<768x256xf8E4M3FN>, tensor<768x256xbf16>) {
  %y = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
  %r:2 = te.quantize %y groups(%o : tensor<9xi32>) : tensor<768x256xbf16> -> tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>
  return %r#0, %y : tensor<768x256xf8E4M3FN>, tensor<768x256xbf16>
}

// CHECK-LABEL: func @no_groups(
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FusePermuteQuantize{{.*}}it has no groups
func.func @no_groups(%x: tensor<96x256xbf16>, %map: tensor<96x8xi32>) -> tensor<768x256xf8E4M3FN> {
  %y = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
  %r:2 = te.quantize %y : tensor<768x256xbf16> -> tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>
  return %r#0 : tensor<768x256xf8E4M3FN>
}

// CHECK-LABEL: func @other_pads(
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] FusePermuteQuantize{{.*}}te.permute pads other groups
func.func @other_pads(%x: tensor<96x256xbf16>, %i: tensor<96x8xi32>, %o: tensor<9xi32>) -> tensor<896x256xf8E4M3FN> {
  %map, %n, %p = te.routing_map %i {alignment = 16, capacity = 896} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %y = te.permute %x rows(%map) pads(%n, %p) : (tensor<96x256xbf16>, tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
  %r:2 = te.quantize %y groups(%o : tensor<9xi32>) : tensor<896x256xbf16> -> tensor<896x256xf8E4M3FN>, tensor<896x2xf32, #compact>
  return %r#0 : tensor<896x256xf8E4M3FN>
}

// The probabilities are wanted before the offsets are known.
// CHECK-LABEL: func @probs_first(
// CHECK:         te.permute %
// CHECK:         te.compute_offsets
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Missed] FusePermuteQuantize{{.*}}the probabilities are read by te.unpermute before it
func.func @probs_first(%x: tensor<96x256xbf16>, %p: tensor<96x8xf32>, %map: tensor<96x8xi32>, %n: tensor<8xi32>, %z: tensor<768x256xbf16>)
    -> (tensor<768x256xf8E4M3FN>, tensor<96x8xf32>) {
  %y, %yp = te.permute %x probs(%p) rows(%map) : (tensor<96x256xbf16>, tensor<96x8xf32>, tensor<96x8xi32>) -> (tensor<768x256xbf16>, tensor<768xf32>)
  %t, %tp = te.unpermute %z probs(%yp) rows(%map) : (tensor<768x256xbf16>, tensor<768xf32>, tensor<96x8xi32>) -> (tensor<96x256xbf16>, tensor<96x8xf32>)
  %o = te.compute_offsets %n : tensor<8xi32> -> tensor<9xi32>
  %r:2 = te.quantize %y groups(%o : tensor<9xi32>) : tensor<768x256xbf16> -> tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>
  return %r#0, %tp : tensor<768x256xf8E4M3FN>, tensor<96x8xf32>
}

// FP8 rows are not cast where they move.
// CHECK-LABEL: func @fp8(
// CHECK-NEXT:    te.permute
// CHECK-NEXT:    te.dequantize
func.func @fp8(%q: tensor<96x256xf8E4M3FN>, %s: tensor<96x2xf32, #compact>, %map: tensor<96x8xi32>, %o: tensor<9xi32>) -> tensor<768x256xf8E4M3FN> {
  %y:2 = te.permute %q scales(%s) rows(%map) : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>, tensor<96x8xi32>) -> (tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>)
  %x = te.dequantize %y#0, %y#1 groups(%o) : (tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>, tensor<9xi32>) -> tensor<768x256xbf16>
  %r:2 = te.quantize %x groups(%o : tensor<9xi32>) : tensor<768x256xbf16> -> tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>
  return %r#0 : tensor<768x256xf8E4M3FN>
}
