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
