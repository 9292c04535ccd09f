// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each op prints as it parses: in its own form, in generic form, as bytecode.
//
// RUN: te-opt %s | te-opt | FileCheck %s
// RUN: te-opt %s -mlir-print-op-generic | te-opt | FileCheck %s
// RUN: te-opt %s -emit-bytecode | te-opt | FileCheck %s

#compact = #te.scales<1 x 128, compact>
#ready = #te.scales<1 x 128, gemm_ready>
#ready8 = #te.scales<1 x 128, gemm_ready, groups = 8>
#square = #te.scales<128 x 128, gemm_ready>
#tensor = #te.scales<tensor>
#tensor8 = #te.scales<tensor, groups = 8>

// CHECK: module attributes {te.target = #te.target<sm_100>}
module attributes {te.target = #te.target<sm_100>} {

// CHECK-LABEL: func @attributes(
// CHECK-SAME: te.init = #te.init<normal, deviation = 2.500000e-01 : f64>
// CHECK-SAME: te.init = #te.init<routing, experts = 8>
// CHECK-SAME: te.init = #te.init<probs>
// CHECK-SAME: tensor<9xi32, #te.host>
// CHECK-SAME: tensor<8x2xf32, #te.scales<128 x 1, compact, groups = 7>>
// CHECK-SAME: tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
func.func @attributes(%a: tensor<4xf32> {te.init = #te.init<normal, deviation = 0.25 : f64>},
                      %b: tensor<4xi32> {te.init = #te.init<routing, experts = 8>},
                      %c: tensor<4xf32> {te.init = #te.init<probs>},
                      %d: tensor<9xi32, #te.host>,
                      %e: tensor<8x2xf32, #te.scales<128x1, compact, groups = 7>>,
                      %f: tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>) {
  return
}

// CHECK-LABEL: func @quantize(
// CHECK: te.quantize %{{.*}} : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #te.scales<1 x 128, compact>>
// CHECK: te.quantize %{{.*}} {epsilon = {{.*}} : f32, pow2_scales} : tensor<96x256xbf16> columnwise tensor<256x96xf8E5M2>, tensor<1x256xf32, #te.scales<1 x 128, gemm_ready>>
// CHECK: te.quantize %{{.*}} scale(%{{.*}} : tensor<f32>) amax(%{{.*}} : tensor<f32>) : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>> columnwise tensor<256x96xf8E4M3FN>, tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
func.func @quantize(%x: tensor<96x256xbf16>, %s: tensor<f32>) {
  %0:2 = te.quantize %x : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
  %1:2 = te.quantize %x {pow2_scales, epsilon = 0.5 : f32} : tensor<96x256xbf16> columnwise tensor<256x96xf8E5M2>, tensor<1x256xf32, #ready>
  %2:5 = te.quantize %x scale(%s : tensor<f32>) amax(%s : tensor<f32>) : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<f32, #tensor> columnwise tensor<256x96xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
  return
}

// CHECK-LABEL: func @quantize_ragged(
// CHECK: te.quantize %{{.*}} groups(%{{.*}} : tensor<9xi32>) {pow2_scales} : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>> columnwise tensor<256x128xf8E4M3FN>, tensor<9x256xf32, #te.scales<1 x 128, gemm_ready, groups = 8>>
// CHECK: te.quantize %{{.*}} groups(%{{.*}} : tensor<9xi32, #te.host>) member 3 outs(%{{.*}}, %{{.*}} : tensor<128x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>)
func.func @quantize_ragged(%x: tensor<128x256xbf16>, %o: tensor<9xi32>, %h: tensor<9xi32, #te.host>,
                           %q: tensor<128x256xf8E4M3FN>, %s: tensor<8xf32, #tensor8>) {
  %0:4 = te.quantize %x groups(%o : tensor<9xi32>) {pow2_scales} : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready> columnwise tensor<256x128xf8E4M3FN>, tensor<9x256xf32, #ready8>
  %1:2 = te.quantize %x groups(%h : tensor<9xi32, #te.host>) member 3 outs(%q, %s : tensor<128x256xf8E4M3FN>, tensor<8xf32, #tensor8>) : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<8xf32, #tensor8>
  return
}

// CHECK-LABEL: func @quantize_noop(
// CHECK: te.quantize %{{.*}} noop(%{{.*}} : tensor<f32>) outs(
func.func @quantize_noop(%w: tensor<8x512x256xbf16>, %n: tensor<f32>, %q: tensor<8x512x256xf8E4M3FN>, %s: tensor<8x4x4xf32, #square>) {
  %0:2 = te.quantize %w noop(%n : tensor<f32>) outs(%q, %s : tensor<8x512x256xf8E4M3FN>, tensor<8x4x4xf32, #square>) : tensor<8x512x256xbf16> -> tensor<8x512x256xf8E4M3FN>, tensor<8x4x4xf32, #square>
  return
}

// CHECK-LABEL: func @multi_cast_transpose(
// CHECK: te.multi_cast_transpose %{{.*}}, %{{.*}} {pow2_scales} : tensor<8x512x256xbf16>, tensor<256x256xbf16>
// CHECK-SAME: -> tensor<8x512x256xf8E4M3FN>, tensor<256x256xf8E4M3FN> scales tensor<8x4x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<2x4xf32, #te.scales<128 x 128, gemm_ready>>
// CHECK-SAME: columnwise tensor<8x256x512xf8E4M3FN>, tensor<256x256xf8E4M3FN> scales tensor<8x2x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<2x4xf32, #te.scales<128 x 128, gemm_ready>>
// CHECK: te.multi_cast_transpose %{{.*}} scale(%{{.*}} : tensor<f32>) amax(%{{.*}} : tensor<f32>) : tensor<256x256xbf16> -> tensor<256x256xf8E4M3FN> scales tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
func.func @multi_cast_transpose(%a: tensor<8x512x256xbf16>, %b: tensor<256x256xbf16>, %s: tensor<f32>) {
  %v:2, %sv:2, %t:2, %st:2 = te.multi_cast_transpose %a, %b {pow2_scales} : tensor<8x512x256xbf16>, tensor<256x256xbf16>
    -> tensor<8x512x256xf8E4M3FN>, tensor<256x256xf8E4M3FN> scales tensor<8x4x4xf32, #square>, tensor<2x4xf32, #square>
    columnwise tensor<8x256x512xf8E4M3FN>, tensor<256x256xf8E4M3FN> scales tensor<8x2x4xf32, #square>, tensor<2x4xf32, #square>
  %1:3 = te.multi_cast_transpose %b scale(%s : tensor<f32>) amax(%s : tensor<f32>) : tensor<256x256xbf16> -> tensor<256x256xf8E4M3FN> scales tensor<f32, #tensor> amax_out tensor<f32>
  return
}

// CHECK-LABEL: func @requantize(
// CHECK: te.requantize %{{.*}}, %{{.*}} groups(%{{.*}} : tensor<9xi32>) via bf16 {pow2_scales} : tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #te.scales<1 x 128, compact>> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>> columnwise tensor<256x128xf8E4M3FN>, tensor<9x256xf32, #te.scales<1 x 128, gemm_ready, groups = 8>>
// CHECK: te.requantize %{{.*}}, %{{.*}} scale(%{{.*}} : tensor<f32>) amax(%{{.*}} : tensor<f32>) via f32 {epsilon = {{.*}} : f32} : tensor<128x256xf8E4M3FN>, tensor<128x2xf32, {{.*}}> columnwise tensor<256x128xf8E5M2>, tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
func.func @requantize(%q: tensor<128x256xf8E4M3FN>, %s: tensor<128x2xf32, #compact>, %o: tensor<9xi32>, %a: tensor<f32>) {
  %0:4 = te.requantize %q, %s groups(%o : tensor<9xi32>) via bf16 {pow2_scales} : tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>
    -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready> columnwise tensor<256x128xf8E4M3FN>, tensor<9x256xf32, #ready8>
  %1:3 = te.requantize %q, %s scale(%a : tensor<f32>) amax(%a : tensor<f32>) via f32 {epsilon = 0.5 : f32} : tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #compact>
    columnwise tensor<256x128xf8E5M2>, tensor<f32, #tensor> amax_out tensor<f32>
  return
}

// CHECK-LABEL: func @permute_quantize(
// CHECK: te.permute_quantize %{{.*}} probs(%{{.*}} : tensor<96x8xf32>) rows(%{{.*}} : tensor<96x8xi32>) groups(%{{.*}} : tensor<9xi32>) counts(%{{.*}} : tensor<8xi32>) {pow2_scales} : tensor<96x256xbf16> -> tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #te.scales<1 x 128, gemm_ready>> columnwise tensor<256x896xf8E4M3FN>, tensor<15x256xf32, #te.scales<1 x 128, gemm_ready, groups = 8>> out_probs tensor<896xf32>
// CHECK: te.permute_quantize %{{.*}} rows(%{{.*}} : tensor<96x8xi32>) scale(%{{.*}} : tensor<8xf32>) amax(%{{.*}} : tensor<8xf32>) groups(%{{.*}} : tensor<9xi32>) : tensor<96x256xbf16> columnwise tensor<256x768xf8E5M2>, tensor<8xf32, #te.scales<tensor, groups = 8>> amax_out tensor<8xf32>
func.func @permute_quantize(%x: tensor<96x256xbf16>, %p: tensor<96x8xf32>, %m: tensor<96x8xi32>, %o: tensor<9xi32>, %n: tensor<8xi32>, %a: tensor<8xf32>) {
  %0:5 = te.permute_quantize %x probs(%p : tensor<96x8xf32>) rows(%m : tensor<96x8xi32>) groups(%o : tensor<9xi32>) counts(%n : tensor<8xi32>) {pow2_scales} : tensor<96x256xbf16>
    -> tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #ready> columnwise tensor<256x896xf8E4M3FN>, tensor<15x256xf32, #ready8> out_probs tensor<896xf32>
  %1:3 = te.permute_quantize %x rows(%m : tensor<96x8xi32>) scale(%a : tensor<8xf32>) amax(%a : tensor<8xf32>) groups(%o : tensor<9xi32>) : tensor<96x256xbf16>
    columnwise tensor<256x768xf8E5M2>, tensor<8xf32, #tensor8> amax_out tensor<8xf32>
  return
}

// CHECK-LABEL: func @dequantize_update(
// CHECK: te.dequantize %{{.*}}, %{{.*}} groups(%{{.*}}) : (tensor<64x512xf8E4M3FN>, tensor<64x4xf32, #te.scales<1 x 128, compact>>, tensor<9xi32>) -> tensor<64x512xbf16>
// CHECK: te.update_scales amax(%{{.*}}, %{{.*}}) history(%{{.*}}, %{{.*}}) scale(%{{.*}}, %{{.*}}) {algorithm = #te<amax_algorithm most_recent>, fp8_max = 4.480000e+02 : f32, margin = 1 : i64}
func.func @dequantize_update(%q: tensor<64x512xf8E4M3FN>, %s: tensor<64x4xf32, #compact>, %o: tensor<9xi32>,
                             %a: tensor<f32>, %h: tensor<16xf32>, %a8: tensor<8xf32>, %h8: tensor<8x16xf32>) {
  %0 = te.dequantize %q, %s groups(%o) : (tensor<64x512xf8E4M3FN>, tensor<64x4xf32, #compact>, tensor<9xi32>) -> tensor<64x512xbf16>
  %1:4 = te.update_scales amax(%a, %a8) history(%h, %h8) scale(%a, %a8) {fp8_max = 448.0 : f32, margin = 1 : i64, algorithm = #te<amax_algorithm most_recent>}
    : (tensor<f32>, tensor<8xf32>, tensor<16xf32>, tensor<8x16xf32>, tensor<f32>, tensor<8xf32>) -> (tensor<16xf32>, tensor<8x16xf32>, tensor<f32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: func @scaling(
// CHECK: te.amax %{{.*}} : tensor<64x512xbf16> -> tensor<f32>
// CHECK: te.amax %{{.*}} : tensor<8x64x32xbf16> -> tensor<8xf32>
// CHECK: te.amax %{{.*}} groups(%{{.*}} : tensor<9xi32>) : tensor<64x512xbf16> -> tensor<8xf32>
// CHECK: te.amax %{{.*}} groups(%{{.*}} : tensor<9xi32, #te.host>) member 7 : tensor<64x512xbf16> -> tensor<f32>
// CHECK: te.all_reduce max %{{.*}}, %{{.*}} : (tensor<f32>, tensor<8xf32>) -> (tensor<f32>, tensor<8xf32>)
// CHECK: te.scale_from_amax %{{.*}}, %{{.*}} {epsilon = 1.000000e+00 : f32, fp8_max = 4.480000e+02 : f32, pow2_scales} : (tensor<f32>, tensor<8xf32>) -> (tensor<f32>, tensor<8xf32>)
// CHECK: te.scale_from_amax %{{.*}} {fp8_max = 5.734400e+04 : f32} : (tensor<f32>) -> tensor<f32>
func.func @scaling(%x: tensor<64x512xbf16>, %w: tensor<8x64x32xbf16>, %o: tensor<9xi32>, %h: tensor<9xi32, #te.host>) {
  %0 = te.amax %x : tensor<64x512xbf16> -> tensor<f32>
  %1 = te.amax %w : tensor<8x64x32xbf16> -> tensor<8xf32>
  %2 = te.amax %x groups(%o : tensor<9xi32>) : tensor<64x512xbf16> -> tensor<8xf32>
  %3 = te.amax %x groups(%h : tensor<9xi32, #te.host>) member 7 : tensor<64x512xbf16> -> tensor<f32>
  %4:2 = te.all_reduce max %3, %2 : (tensor<f32>, tensor<8xf32>) -> (tensor<f32>, tensor<8xf32>)
  %5:2 = te.scale_from_amax %4#0, %4#1 {fp8_max = 448.0 : f32, pow2_scales, epsilon = 1.0 : f32} : (tensor<f32>, tensor<8xf32>) -> (tensor<f32>, tensor<8xf32>)
  %6 = te.scale_from_amax %0 {fp8_max = 57344.0 : f32} : (tensor<f32>) -> tensor<f32>
  return
}

// CHECK-LABEL: func @layout(
// CHECK: te.convert_scales %{{.*}} of [6, 256] : tensor<6x2xf32, #te.scales<1 x 128, compact>> -> tensor<2x8xf32, #te.scales<1 x 128, gemm_ready>>
// CHECK: te.convert_scales %{{.*}} of [128, 128] : tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, compact>> -> tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
// CHECK: te.transpose %{{.*}} : tensor<8x64x32xbf16> -> tensor<8x32x64xbf16>
// CHECK: te.pack %{{.*}}, %{{.*}} : tensor<8x64x32xbf16> -> tensor<2x8x64x32xbf16>
// CHECK: te.member %{{.*}}[3] : tensor<8x64x32xbf16> -> tensor<64x32xbf16>
// CHECK: te.member %{{.*}}[%{{.*}}] : tensor<8x64x32xbf16> -> tensor<64x32xbf16>
// CHECK: te.insert_member %{{.*}} into %{{.*}}[%{{.*}}] : tensor<64x32xbf16> -> tensor<8x64x32xbf16>
// CHECK: te.insert_member %{{.*}} into %{{.*}}[0] : tensor<64x32xbf16> -> tensor<8x64x32xbf16>
func.func @layout(%c: tensor<6x2xf32, #compact>, %m: tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, compact>>, %x: tensor<8x64x32xbf16>, %i: index) {
  %0 = te.convert_scales %c of [6, 256] : tensor<6x2xf32, #compact> -> tensor<2x8xf32, #ready>
  %1 = te.convert_scales %m of [128, 128] : tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, compact>> -> tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  %2 = te.transpose %x : tensor<8x64x32xbf16> -> tensor<8x32x64xbf16>
  %3 = te.pack %x, %x : tensor<8x64x32xbf16> -> tensor<2x8x64x32xbf16>
  %4 = te.member %x[3] : tensor<8x64x32xbf16> -> tensor<64x32xbf16>
  %5 = te.member %x[%i] : tensor<8x64x32xbf16> -> tensor<64x32xbf16>
  %6 = te.insert_member %4 into %x[%i] : tensor<64x32xbf16> -> tensor<8x64x32xbf16>
  %7 = te.insert_member %4 into %x[0] : tensor<64x32xbf16> -> tensor<8x64x32xbf16>
  return
}

// CHECK-LABEL: func @routing(
// CHECK: te.routing_map %{{.*}} {alignment = 16 : i64, capacity = 896 : i64} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
// CHECK: te.compute_offsets %{{.*}} {alignment = 16 : i64} : tensor<8xi32> -> tensor<9xi32>
// CHECK: te.to_host %{{.*}} : tensor<9xi32> -> tensor<9xi32, #te.host>
// CHECK: te.permute %{{.*}} rows(%{{.*}}) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
// CHECK: te.permute %{{.*}} scales(%{{.*}}) probs(%{{.*}}) rows(%{{.*}}) : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #te.scales<1 x 128, compact>>, tensor<96x8xf32>, tensor<96x8xi32>) -> (tensor<768x256xf8E4M3FN>, tensor<2x768xf32, #te.scales<1 x 128, gemm_ready>>, tensor<768xf32>)
// CHECK: te.unpermute %{{.*}} probs(%{{.*}}) rows(%{{.*}}) : (tensor<768x256xbf16>, tensor<768xf32>, tensor<96x8xi32>) -> (tensor<96x256xbf16>, tensor<96x8xf32>)
// CHECK: te.pad %{{.*}} probs(%{{.*}}) from(%{{.*}}) to(%{{.*}}) : (tensor<768x256xbf16>, tensor<768xf32>, tensor<9xi32>, tensor<9xi32>) -> (tensor<896x256xbf16>, tensor<896xf32>)
// CHECK: te.unpad %{{.*}} from(%{{.*}}) to(%{{.*}}) : (tensor<896x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<768x256xbf16>
// CHECK: te.permute %{{.*}} rows(%{{.*}}) pads(%{{.*}}, %{{.*}}) : (tensor<96x256xbf16>, tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
// CHECK: te.permute %{{.*}} scales(%{{.*}}) probs(%{{.*}}) rows(%{{.*}}) pads(%{{.*}}, %{{.*}}) : {{.*}} -> (tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #te.scales<1 x 128, gemm_ready>>, tensor<896xf32>)
func.func @routing(%i: tensor<96x8xi32>, %x: tensor<96x256xbf16>, %q: tensor<96x256xf8E4M3FN>, %s: tensor<96x2xf32, #compact>, %p: tensor<96x8xf32>) {
  %map, %counts, %dense = te.routing_map %i {alignment = 16, capacity = 896} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  %aligned = te.compute_offsets %counts {alignment = 16} : tensor<8xi32> -> tensor<9xi32>
  %h = te.to_host %aligned : tensor<9xi32> -> tensor<9xi32, #te.host>
  %0 = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x256xbf16>
  %1:3 = te.permute %q scales(%s) probs(%p) rows(%map) : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>, tensor<96x8xf32>, tensor<96x8xi32>) -> (tensor<768x256xf8E4M3FN>, tensor<2x768xf32, #ready>, tensor<768xf32>)
  %2:2 = te.unpermute %0 probs(%1#2) rows(%map) : (tensor<768x256xbf16>, tensor<768xf32>, tensor<96x8xi32>) -> (tensor<96x256xbf16>, tensor<96x8xf32>)
  %3:2 = te.pad %0 probs(%1#2) from(%dense) to(%aligned) : (tensor<768x256xbf16>, tensor<768xf32>, tensor<9xi32>, tensor<9xi32>) -> (tensor<896x256xbf16>, tensor<896xf32>)
  %4 = te.unpad %3#0 from(%aligned) to(%dense) : (tensor<896x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<768x256xbf16>
  %5 = te.permute %x rows(%map) pads(%counts, %aligned) : (tensor<96x256xbf16>, tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>) -> tensor<896x256xbf16>
  %6:3 = te.permute %q scales(%s) probs(%p) rows(%map) pads(%counts, %aligned) : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>, tensor<96x8xf32>, tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>) -> (tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #ready>, tensor<896xf32>)
  return
}

// CHECK-LABEL: func @exchange(
// CHECK: te.dispatch_map %{{.*}} {num_experts = 4 : i64, ranks = 2 : i64} : tensor<96x8xi32> -> tensor<96x2xi32>, tensor<192x8xi32>
// CHECK: te.dispatch %{{.*}}, %{{.*}} by %{{.*}} : tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #te.scales<1 x 128, compact>> by tensor<96x2xi32> -> tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #te.scales<1 x 128, compact>>
// CHECK: te.combine %{{.*}} by %{{.*}} : tensor<192x256xbf16> by tensor<96x2xi32> -> tensor<96x256xbf16>
func.func @exchange(%i: tensor<96x8xi32>, %q: tensor<96x256xf8E4M3FN>, %s: tensor<96x2xf32, #compact>, %y: tensor<192x256xbf16>) {
  %handle, %recv = te.dispatch_map %i {ranks = 2, num_experts = 4} : tensor<96x8xi32> -> tensor<96x2xi32>, tensor<192x8xi32>
  %0:2 = te.dispatch %q, %s by %handle : tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact> by tensor<96x2xi32> -> tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #compact>
  %1 = te.combine %y by %handle : tensor<192x256xbf16> by tensor<96x2xi32> -> tensor<96x256xbf16>
  return
}

// CHECK-LABEL: func @gemm(
// CHECK: te.gemm %{{.*}}, %{{.*}} bias(%{{.*}}) {transpose_lhs, transpose_rhs} : (tensor<256x96xbf16>, tensor<256x512xbf16>, tensor<512xf32>) -> tensor<96x512xbf16>
// CHECK: te.gemm %{{.*}} scales(%{{.*}}), %{{.*}} scales(%{{.*}}) groups(%{{.*}}) member 3 over rows outs(%{{.*}})
// CHECK: te.gemm %{{.*}} scales(%{{.*}}), %{{.*}} scales(%{{.*}}) groups(%{{.*}}) member 0 over reduction outs(%{{.*}}) {accumulate}
func.func @gemm(%a: tensor<256x96xbf16>, %b: tensor<256x512xbf16>, %bias: tensor<512xf32>,
                %x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #ready>,
                %w: tensor<512x256xf8E4M3FN>, %ws: tensor<4x4xf32, #square>,
                %h: tensor<9xi32, #te.host>, %y: tensor<128x512xbf16>,
                %dt: tensor<512x128xf8E5M2>, %dts: tensor<8xf32, #tensor8>,
                %xt: tensor<256x128xf8E4M3FN>, %dw: tensor<512x256xf32>) {
  %0 = te.gemm %a, %b bias(%bias) {transpose_lhs, transpose_rhs} : (tensor<256x96xbf16>, tensor<256x512xbf16>, tensor<512xf32>) -> tensor<96x512xbf16>
  %1 = te.gemm %x scales(%xs), %w scales(%ws) groups(%h) member 3 over rows outs(%y)
    : (tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready>, tensor<512x256xf8E4M3FN>, tensor<4x4xf32, #square>, tensor<9xi32, #te.host>, tensor<128x512xbf16>) -> tensor<128x512xbf16>
  %2 = te.gemm %dt scales(%dts), %xt scales(%dts) groups(%h) member 0 over reduction outs(%dw) {accumulate}
    : (tensor<512x128xf8E5M2>, tensor<8xf32, #tensor8>, tensor<256x128xf8E4M3FN>, tensor<8xf32, #tensor8>, tensor<9xi32, #te.host>, tensor<512x256xf32>) -> tensor<512x256xf32>
  return
}

// CHECK-LABEL: func @grouped_gemm(
// CHECK: te.grouped_gemm %{{.*}} scales(%{{.*}}), %{{.*}} scales(%{{.*}}) groups(%{{.*}}) over rows : (tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, tensor<8x512x256xf8E4M3FN>, tensor<8x4x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<9xi32>) -> tensor<128x512xbf16>
// CHECK: te.grouped_gemm %{{.*}}, %{{.*}}, %{{.*}} groups(%{{.*}}) over rows : (tensor<128x256xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>, tensor<3xi32>) -> tensor<128x512xbf16>
// CHECK: te.grouped_gemm %{{.*}}, %{{.*}} groups(%{{.*}}) over reduction outs(%{{.*}}) {accumulate, transpose_lhs, transpose_rhs} : (tensor<128x512xbf16>, tensor<128x256xbf16>, tensor<9xi32>, tensor<8x512x256xf32>) -> tensor<8x512x256xf32>
func.func @grouped_gemm(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #ready>,
                        %w: tensor<8x512x256xf8E4M3FN>, %ws: tensor<8x4x4xf32, #square>, %o: tensor<9xi32>,
                        %b: tensor<128x256xbf16>, %wb: tensor<512x256xbf16>, %o2: tensor<3xi32>,
                        %dy: tensor<128x512xbf16>, %dw: tensor<8x512x256xf32>) {
  %0 = te.grouped_gemm %x scales(%xs), %w scales(%ws) groups(%o) over rows
    : (tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready>, tensor<8x512x256xf8E4M3FN>, tensor<8x4x4xf32, #square>, tensor<9xi32>) -> tensor<128x512xbf16>
  %1 = te.grouped_gemm %b, %wb, %wb groups(%o2) over rows : (tensor<128x256xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>, tensor<3xi32>) -> tensor<128x512xbf16>
  %2 = te.grouped_gemm %dy, %b groups(%o) over reduction outs(%dw) {accumulate, transpose_lhs, transpose_rhs}
    : (tensor<128x512xbf16>, tensor<128x256xbf16>, tensor<9xi32>, tensor<8x512x256xf32>) -> tensor<8x512x256xf32>
  return
}

// CHECK-LABEL: func @activation(
// CHECK: te.swiglu %{{.*}} : (tensor<128x512xbf16>) -> tensor<128x256xbf16>
// CHECK: te.swiglu %{{.*}} probs(%{{.*}}) groups(%{{.*}}) : (tensor<128x512xbf16>, tensor<128xf32>, tensor<9xi32>) -> tensor<128x256xbf16>
// CHECK: te.swiglu_backward %{{.*}}, %{{.*}} probs(%{{.*}}) groups(%{{.*}}) : (tensor<128x256xbf16>, tensor<128x512xbf16>, tensor<128xf32>, tensor<9xi32>) -> (tensor<128x512xbf16>, tensor<128xf32>)
func.func @activation(%h: tensor<128x512xbf16>, %g: tensor<128x256xbf16>, %p: tensor<128xf32>, %o: tensor<9xi32>) {
  %0 = te.swiglu %h : (tensor<128x512xbf16>) -> tensor<128x256xbf16>
  %1 = te.swiglu %h probs(%p) groups(%o) : (tensor<128x512xbf16>, tensor<128xf32>, tensor<9xi32>) -> tensor<128x256xbf16>
  %2:2 = te.swiglu_backward %g, %h probs(%p) groups(%o) : (tensor<128x256xbf16>, tensor<128x512xbf16>, tensor<128xf32>, tensor<9xi32>) -> (tensor<128x512xbf16>, tensor<128xf32>)
  return
}
}

// CHECK-LABEL: func @activation_quantize(
// CHECK: te.swiglu_quantize %{{.*}} probs(%{{.*}} : tensor<128xf32>) groups(%{{.*}} : tensor<9xi32>) {epsilon = 1.000000e+00 : f32, pow2_scales} : tensor<128x512xbf16> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>> columnwise tensor<256x128xf8E4M3FN>, tensor<9x256xf32, #te.scales<1 x 128, gemm_ready, groups = 8>>
// CHECK: te.swiglu_quantize %{{.*}} : tensor<128x512xbf16> columnwise tensor<256x128xf8E5M2>, tensor<f32, #te.scales<tensor>>
// CHECK: te.swiglu_backward_quantize %{{.*}}, %{{.*}} probs(%{{.*}} : tensor<128xf32>) scale(%{{.*}} : tensor<8xf32>) amax(%{{.*}} : tensor<8xf32>) groups(%{{.*}} : tensor<9xi32>) : tensor<128x256xbf16>, tensor<128x512xbf16> -> tensor<128x512xf8E5M2>, tensor<8xf32, #te.scales<tensor, groups = 8>> amax_out tensor<8xf32> grad_probs tensor<128xf32>
func.func @activation_quantize(%h: tensor<128x512xbf16>, %g: tensor<128x256xbf16>, %p: tensor<128xf32>, %o: tensor<9xi32>, %s: tensor<8xf32>) {
  %0:4 = te.swiglu_quantize %h probs(%p : tensor<128xf32>) groups(%o : tensor<9xi32>) {epsilon = 1.0 : f32, pow2_scales} : tensor<128x512xbf16>
    -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready> columnwise tensor<256x128xf8E4M3FN>, tensor<9x256xf32, #te.scales<1 x 128, gemm_ready, groups = 8>>
  %1:2 = te.swiglu_quantize %h : tensor<128x512xbf16> columnwise tensor<256x128xf8E5M2>, tensor<f32, #te.scales<tensor>>
  %2:4 = te.swiglu_backward_quantize %g, %h probs(%p : tensor<128xf32>) scale(%s : tensor<8xf32>) amax(%s : tensor<8xf32>) groups(%o : tensor<9xi32>)
    : tensor<128x256xbf16>, tensor<128x512xbf16> -> tensor<128x512xf8E5M2>, tensor<8xf32, #tensor8> amax_out tensor<8xf32> grad_probs tensor<128xf32>
  return
}

// CHECK-LABEL: func @grouped_gemm_swiglu_quantize(
// CHECK: te.grouped_gemm_swiglu_quantize %{{.*}} scales(%{{.*}} : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %{{.*}} scales(%{{.*}} : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) probs(%{{.*}} : tensor<128xf32>) groups(%{{.*}} : tensor<3xi32>) {epsilon = 1.000000e+00 : f32, pow2_scales} : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>> columnwise tensor<256x128xf8E5M2>, tensor<3x256xf32, #te.scales<1 x 128, gemm_ready, groups = 2>> product tensor<128x512xbf16>
// CHECK: te.grouped_gemm_swiglu_quantize %{{.*}} scales(%{{.*}}), %{{.*}}, %{{.*}} scales(%{{.*}}, %{{.*}} : tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%{{.*}} : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<512x256xf8E4M3FN>, tensor<512x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
func.func @grouped_gemm_swiglu_quantize(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #ready>, %w: tensor<2x512x256xf8E4M3FN>,
    %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %v: tensor<512x256xf8E4M3FN>, %vs: tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>,
    %p: tensor<128xf32>, %o: tensor<3xi32>) {
  %0:5 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #ready>), %w scales(%ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>)
    probs(%p : tensor<128xf32>) groups(%o : tensor<3xi32>) {epsilon = 1.0 : f32, pow2_scales} : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN>
    -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready> columnwise tensor<256x128xf8E5M2>, tensor<3x256xf32, #te.scales<1 x 128, gemm_ready, groups = 2>>
    product tensor<128x512xbf16>
  %1:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #ready>),
    %v, %v scales(%vs, %vs : tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>)
    groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<512x256xf8E4M3FN>, tensor<512x256xf8E4M3FN>
    -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #ready>
  return
}
