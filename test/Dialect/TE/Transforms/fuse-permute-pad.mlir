// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-fuse-permute-pad | FileCheck %s
// RUN: te-opt %s -te-fuse-permute-pad | te-opt -te-fuse-permute-pad | FileCheck %s
// RUN: te-opt %s -te-fuse-permute-pad -o /dev/null --remark-policy=all \
// RUN:   --remarks-filter=te-fuse-permute-pad 2>&1 | FileCheck %s --check-prefix=REMARK

#compact = #te.scales<1 x 128, compact>

// Forward with probabilities, the gradient of the rows, and back again.
// CHECK-LABEL: func @probs(
// CHECK-NEXT:    %[[MAP:[a-z0-9_]+]], %[[C:[a-z0-9_]+]], %[[O:[a-z0-9_]+]] = te.routing_map %{{.*}} {alignment = 16 : i64, capacity = 896 : i64}
// CHECK-NEXT:    %[[X:[a-z0-9_]+]], %[[XP:[a-z0-9_]+]] = te.permute %{{.*}} probs(%{{.*}}) rows(%[[MAP]]) pads(%[[C]], %[[O]]) : {{.*}} -> (tensor<896x256xbf16>, tensor<896xf32>)
// CHECK-NEXT:    %[[DY:.*]] = te.permute %{{.*}} rows(%[[MAP]]) pads(%[[C]], %[[O]]) : {{.*}} -> tensor<896x256xbf16>
// CHECK-NEXT:    %[[H:.*]] = te.swiglu %[[X]] probs(%[[XP]]) groups(%[[O]])
// CHECK-NEXT:    %[[DX:[a-z0-9_]+]], %[[DP:[a-z0-9_]+]] = te.swiglu_backward {{.*}} probs(%[[XP]]) groups(%[[O]])
// CHECK-NEXT:    %[[R:[a-z0-9_]+]], %[[RP:[a-z0-9_]+]] = te.unpermute %[[DX]] probs(%[[DP]]) rows(%[[MAP]]) : (tensor<896x256xbf16>, tensor<896xf32>, tensor<96x8xi32>) -> (tensor<96x256xbf16>, tensor<96x8xf32>)
// CHECK-NEXT:    return %[[DY]], %[[R]], %[[RP]], %[[C]]
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Passed] FusePermutePad{{.*}}BytesSaved=858696, LaunchesSaved=1, Op=te.pad
func.func @probs(%i: tensor<96x8xi32>, %x: tensor<96x256xbf16>, %p: tensor<96x8xf32>, %g: tensor<896x128xbf16>) -> (tensor<896x256xbf16>, tensor<96x256xbf16>, tensor<96x8xf32>, tensor<8xi32>) {
  %map, %counts, %dense = te.routing_map %i {alignment = 1, capacity = 768} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %aligned = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %dense2 = te.compute_offsets %counts {alignment = 1} : tensor<8xi32> -> tensor<9xi32>
  %0:2 = te.permute %x probs(%p) rows(%map) : (tensor<96x256xbf16>, tensor<96x8xf32>, tensor<96x8xi32>) -> (tensor<768x256xbf16>, tensor<768xf32>)
  %1:2 = te.pad %0#0 probs(%0#1) from(%dense) to(%aligned) : (tensor<768x256xbf16>, tensor<768xf32>, tensor<9xi32>, tensor<9xi32>) -> (tensor<896x256xbf16>, tensor<896xf32>)
  %2 = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
  %3 = te.pad %2 from(%dense2) to(%aligned) : (tensor<768x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
  %h = te.swiglu %1#0 probs(%1#1) groups(%aligned) : (tensor<896x256xbf16>, tensor<896xf32>, tensor<9xi32>) -> tensor<896x128xbf16>
  %5:2 = te.swiglu_backward %g, %1#0 probs(%1#1) groups(%aligned) : (tensor<896x128xbf16>, tensor<896x256xbf16>, tensor<896xf32>, tensor<9xi32>) -> (tensor<896x256xbf16>, tensor<896xf32>)
  %6:2 = te.unpad %5#0 probs(%5#1) from(%aligned) to(%dense2) : (tensor<896x256xbf16>, tensor<896xf32>, tensor<9xi32>, tensor<9xi32>) -> (tensor<768x256xbf16>, tensor<768xf32>)
  %7:2 = te.unpermute %6#0 probs(%6#1) rows(%map) : (tensor<768x256xbf16>, tensor<768xf32>, tensor<96x8xi32>) -> (tensor<96x256xbf16>, tensor<96x8xf32>)
  return %3, %7#0, %7#1, %counts : tensor<896x256xbf16>, tensor<96x256xbf16>, tensor<96x8xf32>, tensor<8xi32>
}

// CHECK-LABEL: func @dequantize(
// CHECK-NEXT:    %[[MAP:[a-z0-9_]+]], %[[C:[a-z0-9_]+]], %[[O:[a-z0-9_]+]] = te.routing_map %{{.*}} {alignment = 16 : i64, capacity = 896 : i64}
// CHECK-NEXT:    %[[Q:[a-z0-9_]+]], %[[S:[a-z0-9_]+]] = te.permute %{{.*}} scales(%{{.*}}) rows(%[[MAP]]) pads(%[[C]], %[[O]]) : {{.*}} -> (tensor<896x256xf8E4M3FN>, tensor<896x2xf32, #te.scales<1 x 128, compact>>)
// CHECK-NEXT:    %[[X:.*]] = te.dequantize %[[Q]], %[[S]] groups(%[[O]]) : {{.*}} -> tensor<896x256xbf16>
// CHECK-NEXT:    return %[[X]]
func.func @dequantize(%i: tensor<96x8xi32>, %q: tensor<96x256xf8E4M3FN>, %s: tensor<96x2xf32, #compact>) -> tensor<896x256xbf16> {
  %map, %counts, %dense = te.routing_map %i {alignment = 1, capacity = 768} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %aligned = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %0:2 = te.permute %q scales(%s) rows(%map) : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>, tensor<96x8xi32>) -> (tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>)
  %1 = te.dequantize %0#0, %0#1 groups(%dense) : (tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>, tensor<9xi32>) -> tensor<768x256xbf16>
  %2 = te.pad %1 from(%dense) to(%aligned) : (tensor<768x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
  return %2 : tensor<896x256xbf16>
}

// CHECK-LABEL: func @dense_reader(
// CHECK:         te.routing_map %{{.*}} {capacity = 
// CHECK:         te.pad
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Missed] FusePermutePad{{.*}}func.return needs dense rows
func.func @dense_reader(%i: tensor<96x8xi32>, %x: tensor<96x256xbf16>) -> (tensor<896x256xbf16>, tensor<768x256xbf16>) {
  %map, %counts, %dense = te.routing_map %i {alignment = 1, capacity = 768} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %aligned = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %0 = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
  %1 = te.pad %0 from(%dense) to(%aligned) : (tensor<768x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
  return %1, %0 : tensor<896x256xbf16>, tensor<768x256xbf16>
}

// One reader of the dense offsets alone keeps all others back.
// CHECK-LABEL: func @dense_offsets(
// CHECK:         te.routing_map %{{.*}} {capacity = 
// CHECK:         te.pad
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Missed] FusePermutePad{{.*}}te.dequantize needs dense rows
func.func @dense_offsets(%i: tensor<96x8xi32>, %x: tensor<96x256xbf16>, %q: tensor<768x256xf8E4M3FN>, %s: tensor<768x2xf32, #compact>) -> (tensor<896x256xbf16>, tensor<768x256xbf16>) {
  %map, %counts, %dense = te.routing_map %i {alignment = 1, capacity = 768} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %aligned = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %0 = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
  %1 = te.pad %0 from(%dense) to(%aligned) : (tensor<768x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
  %2 = te.dequantize %q, %s groups(%dense) : (tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>, tensor<9xi32>) -> tensor<768x256xbf16>
  return %1, %2 : tensor<896x256xbf16>, tensor<768x256xbf16>
}

// CHECK-LABEL: func @other_counts(
// CHECK:         te.routing_map %{{.*}} {capacity = 
// CHECK:         te.pad
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] FusePermutePad{{.*}}its padded offsets are not those of the counts of the routing map with an alignment above 1
func.func @other_counts(%i: tensor<96x8xi32>, %x: tensor<96x256xbf16>, %c: tensor<8xi32>) -> tensor<896x256xbf16> {
  %map, %counts, %dense = te.routing_map %i {alignment = 1, capacity = 768} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %aligned = te.compute_offsets %c {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %0 = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
  %1 = te.pad %0 from(%dense) to(%aligned) : (tensor<768x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
  return %1 : tensor<896x256xbf16>
}

// Two alignments: one row map cannot be both.
// CHECK-LABEL: func @two_alignments(
// CHECK:         te.routing_map %{{.*}} {capacity = 
// CHECK-COUNT-2: te.pad
// REMARK-DAG: FusePermutePad{{.*}}where another reader of the routing map has
func.func @two_alignments(%i: tensor<96x8xi32>, %x: tensor<96x256xbf16>, %z: tensor<96x256xbf16>) -> (tensor<896x256xbf16>, tensor<1024x256xbf16>) {
  %map, %counts, %dense = te.routing_map %i {alignment = 1, capacity = 768} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %o16 = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %o32 = te.compute_offsets %counts {alignment = 32} : tensor<8xi32> -> tensor<9xi32>
  %0 = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
  %1 = te.pad %0 from(%dense) to(%o16) : (tensor<768x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
  %2 = te.permute %z rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
  %3 = te.pad %2 from(%dense) to(%o32) : (tensor<768x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<1024x256xbf16>
  return %1, %3 : tensor<896x256xbf16>, tensor<1024x256xbf16>
}

// 96 tokens of 8 experts may be 768 rows.
// CHECK-LABEL: func @dense_overflow(
// CHECK:         te.pad
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Missed] FusePermutePad{{.*}}its capacity of 767 rows may overflow, as 768 pairs may be routed
func.func @dense_overflow(%i: tensor<96x8xi32>, %x: tensor<96x256xbf16>) -> tensor<896x256xbf16> {
  %map, %counts, %dense = te.routing_map %i {alignment = 1, capacity = 767} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %aligned = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %0 = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<767x256xbf16>
  %1 = te.pad %0 from(%dense) to(%aligned) : (tensor<767x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
  return %1 : tensor<896x256xbf16>
}

// Eight groups may each need 15 rows more, and their sum is a multiple of 16: 880.
// CHECK-LABEL: func @padded_overflow(
// CHECK:         te.pad
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Missed] FusePermutePad{{.*}}the 879 padded rows may overflow, as 880 may be needed with alignment 16
func.func @padded_overflow(%i: tensor<96x8xi32>, %x: tensor<96x256xbf16>) -> tensor<879x256xbf16> {
  %map, %counts, %dense = te.routing_map %i {alignment = 1, capacity = 768} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %aligned = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %0 = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
  %1 = te.pad %0 from(%dense) to(%aligned) : (tensor<768x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<879x256xbf16>
  return %1 : tensor<879x256xbf16>
}
