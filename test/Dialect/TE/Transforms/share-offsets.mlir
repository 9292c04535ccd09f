// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-share-offsets | FileCheck %s
// RUN: te-opt %s -te-share-offsets -o /dev/null --remark-policy=all \
// RUN:   --remarks-filter=te-share-offsets 2>&1 | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: func @share(
// CHECK-NEXT:    %{{.*}}, %[[C:.*]], %[[O1:.*]] = te.routing_map
// CHECK-NEXT:    %[[O16:.*]] = te.compute_offsets %[[C]] {alignment = 16 : i64}
// CHECK-NEXT:    return %[[O1]], %[[O16]], %[[O16]]
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Passed] ShareOffsets{{.*}}BytesSaved=68
func.func @share(%i: tensor<96x8xi32>) -> (tensor<9xi32>, tensor<9xi32>, tensor<9xi32>) {
  %map, %counts, %o = te.routing_map %i {alignment = 1, capacity = 768} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %o1 = te.compute_offsets %counts {alignment = 1} : tensor<8xi32> -> tensor<9xi32>
  %o2 = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %o3 = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  return %o1, %o2, %o3 : tensor<9xi32>, tensor<9xi32>, tensor<9xi32>
}

// CHECK-LABEL: func @host(
// CHECK-NEXT:    %[[O:.*]] = te.compute_offsets
// CHECK-NEXT:    %[[H:.*]] = te.to_host %[[O]]
// CHECK-NEXT:    return %[[H]], %[[H]]
func.func @host(%c: tensor<8xi32>) -> (tensor<9xi32, #te.host>, tensor<9xi32, #te.host>) {
  %o1 = te.compute_offsets %c : tensor<8xi32> -> tensor<9xi32>
  %h1 = te.to_host %o1 : tensor<9xi32> -> tensor<9xi32, #te.host>
  %o2 = te.compute_offsets %c {alignment = 1} : tensor<8xi32> -> tensor<9xi32>
  %h2 = te.to_host %o2 : tensor<9xi32> -> tensor<9xi32, #te.host>
  return %h1, %h2 : tensor<9xi32, #te.host>, tensor<9xi32, #te.host>
}

// Neither dominates the other: the one that stays moves to the counts.
// CHECK-LABEL: func @branches(
// CHECK-NEXT:    %[[O:.*]] = te.compute_offsets
// CHECK-NEXT:    scf.if
// CHECK-NEXT:      scf.yield %[[O]]
// CHECK:           scf.yield %[[O]]
func.func @branches(%c: tensor<8xi32>, %b: i1) -> tensor<9xi32> {
  %r = scf.if %b -> tensor<9xi32> {
    %o1 = te.compute_offsets %c : tensor<8xi32> -> tensor<9xi32>
    scf.yield %o1 : tensor<9xi32>
  } else {
    %o2 = te.compute_offsets %c : tensor<8xi32> -> tensor<9xi32>
    scf.yield %o2 : tensor<9xi32>
  }
  return %r : tensor<9xi32>
}

// CHECK-LABEL: func @loop(
// CHECK-NEXT:    scf.for
// CHECK-NEXT:      te.member
// CHECK-NEXT:      %[[O:.*]] = te.compute_offsets
// CHECK-NEXT:      te.pad {{.*}} from(%[[O]]) to(%[[O]])
func.func @loop(%lb: index, %ub: index, %step: index, %all: tensor<4x8xi32>, %x: tensor<16x16xbf16>) -> tensor<16x16xbf16> {
  %r = scf.for %i = %lb to %ub step %step iter_args(%a = %x) -> tensor<16x16xbf16> {
    %c = te.member %all[%i] : tensor<4x8xi32> -> tensor<8xi32>
    %o1 = te.compute_offsets %c : tensor<8xi32> -> tensor<9xi32>
    %o2 = te.compute_offsets %c : tensor<8xi32> -> tensor<9xi32>
    %y = te.pad %a from(%o1) to(%o2) : (tensor<16x16xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<16x16xbf16>
    scf.yield %y : tensor<16x16xbf16>
  }
  return %r : tensor<16x16xbf16>
}

// CHECK-LABEL: func @alignments_differ(
// CHECK-COUNT-2: te.compute_offsets
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Missed] ShareOffsets{{.*}}no other offsets of these counts have alignment 16
func.func @alignments_differ(%c: tensor<8xi32>) -> (tensor<9xi32>, tensor<9xi32>) {
  %o1 = te.compute_offsets %c {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %o2 = te.compute_offsets %c {alignment = 1} : tensor<8xi32> -> tensor<9xi32>
  return %o1, %o2 : tensor<9xi32>, tensor<9xi32>
}
