// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -canonicalize | FileCheck %s

#compact = #te.scales<1 x 128, compact>
#ready = #te.scales<1 x 128, gemm_ready>

// CHECK-LABEL: func @conversion_back(
// CHECK-SAME:      %[[S:[^:]*]]:
// CHECK-NEXT:    return %[[S]]
func.func @conversion_back(%s: tensor<6x2xf32, #compact>) -> tensor<6x2xf32, #compact> {
  %0 = te.convert_scales %s of [6, 256] : tensor<6x2xf32, #compact> -> tensor<2x8xf32, #ready>
  %1 = te.convert_scales %0 of [6, 256] : tensor<2x8xf32, #ready> -> tensor<6x2xf32, #compact>
  return %1 : tensor<6x2xf32, #compact>
}

// Two extents of data have gemm_ready scales of one shape: not the same scales.
// CHECK-LABEL: func @keep_conversion_of_other_data(
// CHECK:         te.convert_scales
// CHECK-NEXT:    te.convert_scales
func.func @keep_conversion_of_other_data(%s: tensor<6x2xf32, #compact>) -> tensor<7x2xf32, #compact> {
  %0 = te.convert_scales %s of [6, 256] : tensor<6x2xf32, #compact> -> tensor<2x8xf32, #ready>
  %1 = te.convert_scales %0 of [7, 256] : tensor<2x8xf32, #ready> -> tensor<7x2xf32, #compact>
  return %1 : tensor<7x2xf32, #compact>
}

// CHECK-LABEL: func @conversion_to_itself(
// CHECK-NEXT:    return
func.func @conversion_to_itself(%s: tensor<6x2xf32, #compact>) -> tensor<6x2xf32, #compact> {
  %0 = te.convert_scales %s of [6, 256] : tensor<6x2xf32, #compact> -> tensor<6x2xf32, #compact>
  return %0 : tensor<6x2xf32, #compact>
}

// CHECK-LABEL: func @transpose_back(
// CHECK-NEXT:    return
func.func @transpose_back(%x: tensor<64x32xbf16>) -> tensor<64x32xbf16> {
  %0 = te.transpose %x : tensor<64x32xbf16> -> tensor<32x64xbf16>
  %1 = te.transpose %0 : tensor<32x64xbf16> -> tensor<64x32xbf16>
  return %1 : tensor<64x32xbf16>
}

// CHECK-LABEL: func @pack_of_members(
// CHECK-SAME:      %[[W:[^:]*]]:
// CHECK-NEXT:    return %[[W]]
func.func @pack_of_members(%w: tensor<2x64x32xbf16>) -> tensor<2x64x32xbf16> {
  %0 = te.member %w[0] : tensor<2x64x32xbf16> -> tensor<64x32xbf16>
  %1 = te.member %w[1] : tensor<2x64x32xbf16> -> tensor<64x32xbf16>
  %2 = te.pack %0, %1 : tensor<64x32xbf16> -> tensor<2x64x32xbf16>
  return %2 : tensor<2x64x32xbf16>
}

// CHECK-LABEL: func @keep_pack_out_of_order(
// CHECK:         te.pack
func.func @keep_pack_out_of_order(%w: tensor<2x64x32xbf16>) -> tensor<2x64x32xbf16> {
  %0 = te.member %w[0] : tensor<2x64x32xbf16> -> tensor<64x32xbf16>
  %1 = te.member %w[1] : tensor<2x64x32xbf16> -> tensor<64x32xbf16>
  %2 = te.pack %1, %0 : tensor<64x32xbf16> -> tensor<2x64x32xbf16>
  return %2 : tensor<2x64x32xbf16>
}

// A part of the members is not the whole.
// CHECK-LABEL: func @keep_pack_of_some(
// CHECK:         te.pack
func.func @keep_pack_of_some(%w: tensor<3x64x32xbf16>) -> tensor<2x64x32xbf16> {
  %0 = te.member %w[0] : tensor<3x64x32xbf16> -> tensor<64x32xbf16>
  %1 = te.member %w[1] : tensor<3x64x32xbf16> -> tensor<64x32xbf16>
  %2 = te.pack %0, %1 : tensor<64x32xbf16> -> tensor<2x64x32xbf16>
  return %2 : tensor<2x64x32xbf16>
}

// CHECK-LABEL: func @member_of_pack(
// CHECK-SAME:      %{{[^:]*}}: tensor<4xf32>, %[[B:[^:]*]]:
// CHECK-NEXT:    return %[[B]]
func.func @member_of_pack(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
  %0 = te.pack %a, %b : tensor<4xf32> -> tensor<2x4xf32>
  %1 = te.member %0[1] : tensor<2x4xf32> -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// CHECK-LABEL: func @member_of_insertion(
// CHECK-SAME:      %{{[^:]*}}: tensor<2x4xf32>, %[[A:[^:]*]]: tensor<4xf32>
// CHECK-NEXT:    return %[[A]]
func.func @member_of_insertion(%p: tensor<2x4xf32>, %a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
  %0 = te.insert_member %a into %p[0] : tensor<4xf32> -> tensor<2x4xf32>
  %1 = te.insert_member %b into %0[1] : tensor<4xf32> -> tensor<2x4xf32>
  %2 = te.member %1[0] : tensor<2x4xf32> -> tensor<4xf32>
  return %2 : tensor<4xf32>
}

// An insertion at an index that is not known may be of this member.
// CHECK-LABEL: func @keep_member_of_dynamic_insertion(
// CHECK:         te.insert_member
// CHECK:         te.member
func.func @keep_member_of_dynamic_insertion(%p: tensor<2x4xf32>, %a: tensor<4xf32>, %i: index) -> tensor<4xf32> {
  %0 = te.insert_member %a into %p[0] : tensor<4xf32> -> tensor<2x4xf32>
  %1 = te.insert_member %a into %0[%i] : tensor<4xf32> -> tensor<2x4xf32>
  %2 = te.member %1[0] : tensor<2x4xf32> -> tensor<4xf32>
  return %2 : tensor<4xf32>
}

// Where the counts are known, so are the offsets: an empty group, a full one, one to
// be rounded up.
// CHECK-LABEL: func @offsets_of_constants(
// CHECK-NEXT:    %[[O:.*]] = arith.constant dense<[0, 0, 32, 64, 80]> : tensor<5xi32>
// CHECK-NEXT:    return %[[O]]
func.func @offsets_of_constants() -> tensor<5xi32> {
  %c = arith.constant dense<[0, 32, 17, 1]> : tensor<4xi32>
  %o = te.compute_offsets %c {alignment = 16} : tensor<4xi32> -> tensor<5xi32>
  return %o : tensor<5xi32>
}

// What is no count, and what passes 2^31, is refused when it runs.
// CHECK-LABEL: func @keep_offsets_of_no_counts(
// CHECK:         te.compute_offsets
// CHECK:         te.compute_offsets
func.func @keep_offsets_of_no_counts() -> (tensor<3xi32>, tensor<3xi32>) {
  %c = arith.constant dense<[4, -1]> : tensor<2xi32>
  %o = te.compute_offsets %c : tensor<2xi32> -> tensor<3xi32>
  %d = arith.constant dense<2000000000> : tensor<2xi32>
  %p = te.compute_offsets %d : tensor<2xi32> -> tensor<3xi32>
  return %o, %p : tensor<3xi32>, tensor<3xi32>
}

// What packed accumulators became, one by one or only one of them: inserted where they
// lie, which launches nothing.
// CHECK-LABEL: func @pack_of_updates(
// CHECK:         scf.for {{.*}} iter_args(%[[ACC:.*]] = %{{.*}})
// CHECK-NEXT:      %[[A0:.*]] = te.member %[[ACC]][0]
// CHECK-NEXT:      %[[N0:.*]] = te.gemm %{{.*}} outs(%[[A0]])
// CHECK-NEXT:      %[[P:.*]] = te.insert_member %[[N0]] into %[[ACC]][0]
// CHECK-NEXT:      %[[A1:.*]] = te.member
// CHECK-NEXT:      %[[N1:.*]] = te.gemm %{{.*}} outs(%[[A1]])
// CHECK-NEXT:      %[[Q:.*]] = te.insert_member %[[N1]] into %[[P]][1]
// CHECK-NEXT:      scf.yield %[[Q]]
func.func @pack_of_updates(%x: tensor<4x8xf32>, %init: tensor<2x4x4xf32>) -> tensor<2x4x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %r = scf.for %i = %c0 to %c8 step %c1 iter_args(%acc = %init) -> (tensor<2x4x4xf32>) {
    %a0 = te.member %acc[0] : tensor<2x4x4xf32> -> tensor<4x4xf32>
    %a1 = te.member %acc[1] : tensor<2x4x4xf32> -> tensor<4x4xf32>
    %n0 = te.gemm %x, %x outs(%a0) {accumulate} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    %n1 = te.gemm %x, %x outs(%a1) {accumulate} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    %p = te.pack %n0, %n1 : tensor<4x4xf32> -> tensor<2x4x4xf32>
    scf.yield %p : tensor<2x4x4xf32>
  }
  return %r : tensor<2x4x4xf32>
}

// CHECK-LABEL: func @pack_of_one_update(
// CHECK:         %[[N:.*]] = te.gemm
// CHECK-NEXT:    %[[Q:.*]] = te.insert_member %[[N]] into %{{.*}}[1]
// CHECK-NEXT:    return %[[Q]]
func.func @pack_of_one_update(%x: tensor<4x8xf32>, %acc: tensor<2x4x4xf32>) -> tensor<2x4x4xf32> {
  %a0 = te.member %acc[0] : tensor<2x4x4xf32> -> tensor<4x4xf32>
  %a1 = te.member %acc[1] : tensor<2x4x4xf32> -> tensor<4x4xf32>
  %n1 = te.gemm %x, %x outs(%a1) {accumulate} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %p = te.pack %a0, %n1 : tensor<4x4xf32> -> tensor<2x4x4xf32>
  return %p : tensor<2x4x4xf32>
}

// The old content is read too; the members change places; a member is of another tensor.
// CHECK-LABEL: func @keep_pack_of_read(
// CHECK-NOT:     te.insert_member
// CHECK-LABEL: func @keep_pack_of_exchanged(
// CHECK-NOT:     te.insert_member
// CHECK-LABEL: func @keep_pack_of_two(
// CHECK-NOT:     te.insert_member
func.func @keep_pack_of_read(%x: tensor<4x8xf32>, %acc: tensor<1x4x4xf32>) -> (tensor<1x4x4xf32>, tensor<4x4xf32>) {
  %a0 = te.member %acc[0] : tensor<1x4x4xf32> -> tensor<4x4xf32>
  %n0 = te.gemm %x, %x outs(%a0) {accumulate} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %p = te.pack %n0 : tensor<4x4xf32> -> tensor<1x4x4xf32>
  return %p, %a0 : tensor<1x4x4xf32>, tensor<4x4xf32>
}
func.func @keep_pack_of_exchanged(%x: tensor<4x8xf32>, %acc: tensor<2x4x4xf32>) -> tensor<2x4x4xf32> {
  %a0 = te.member %acc[0] : tensor<2x4x4xf32> -> tensor<4x4xf32>
  %a1 = te.member %acc[1] : tensor<2x4x4xf32> -> tensor<4x4xf32>
  %n0 = te.gemm %x, %x outs(%a0) {accumulate} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %n1 = te.gemm %x, %x outs(%a1) {accumulate} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %p = te.pack %n1, %n0 : tensor<4x4xf32> -> tensor<2x4x4xf32>
  return %p : tensor<2x4x4xf32>
}
func.func @keep_pack_of_two(%x: tensor<4x8xf32>, %acc: tensor<2x4x4xf32>, %other: tensor<2x4x4xf32>) -> tensor<2x4x4xf32> {
  %a0 = te.member %acc[0] : tensor<2x4x4xf32> -> tensor<4x4xf32>
  %a1 = te.member %other[1] : tensor<2x4x4xf32> -> tensor<4x4xf32>
  %n0 = te.gemm %x, %x outs(%a0) {accumulate} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %n1 = te.gemm %x, %x outs(%a1) {accumulate} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %p = te.pack %n0, %n1 : tensor<4x4xf32> -> tensor<2x4x4xf32>
  return %p : tensor<2x4x4xf32>
}
