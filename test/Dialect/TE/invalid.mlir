// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each constraint of each op, broken once, in a function named after it.
//
// RUN: te-opt %s -split-input-file -verify-diagnostics

func.func @quantize_q1(%x: tensor<16x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q1) at least one of the rowwise and columnwise results must be asked for, but got none}}
  te.quantize %x : tensor<16x256xbf16>
  return
}

// -----

func.func @quantize_q2(%x: tensor<16x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q2) scales must carry a #te.scales encoding, but got 'tensor<16x2xf32>'}}
  %q, %s = te.quantize %x : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32>
  return
}

// -----

func.func @quantize_q3(%x: tensor<16x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q3) values must be 'tensor<16x256xf8E4M3FN>', but got 'tensor<16x128xf8E4M3FN>'}}
  %q, %s = te.quantize %x : tensor<16x256xbf16> -> tensor<16x128xf8E4M3FN>, tensor<16x1xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @quantize_q4(%x: tensor<16x256xbf16>) {
  // expected-error-re @+1 {{'te.quantize' op (Q4) scales must be 'tensor<16x2xf32,{{.*}}>', but got 'tensor<16x3xf32,{{.*}}>'}}
  %q, %s = te.quantize %x : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<16x3xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @quantize_q5(%x: tensor<16x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q5) values_t must be 'tensor<256x16xf8E4M3FN>', but got 'tensor<16x256xf8E4M3FN>'}}
  %q, %s = te.quantize %x : tensor<16x256xbf16> columnwise tensor<16x256xf8E4M3FN>, tensor<2x16xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @quantize_q6(%x: tensor<16x256xbf16>) {
  // expected-error-re @+1 {{'te.quantize' op (Q6) scales_t must be 'tensor<1x256xf32,{{.*}}>', but got 'tensor<1x255xf32,{{.*}}>'}}
  %q, %s = te.quantize %x : tensor<16x256xbf16> columnwise tensor<256x16xf8E4M3FN>, tensor<1x255xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @quantize_q7(%x: tensor<16x256xbf16>, %s: tensor<f32>) {
  // expected-error-re @+1 {{'te.quantize' op (Q7) a given scale must stand with <tensor> scales, but got 'tensor<16x2xf32,{{.*}}>'}}
  %0:2 = te.quantize %x scale(%s : tensor<f32>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

// A group has a state for each member: one value for all of them is refused.
func.func @quantize_q7_group_state(%x: tensor<16x256xbf16>, %o: tensor<9xi32>, %s: tensor<f32>) {
  // expected-error @+1 {{'te.quantize' op (Q7) scale must be 'tensor<8xf32>', but got 'tensor<f32>'}}
  %0:2 = te.quantize %x scale(%s : tensor<f32>) groups(%o : tensor<9xi32>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>
  return
}

// -----

func.func @quantize_q8(%x: tensor<16x256xbf16>, %s: tensor<f32>) {
  // expected-error @+1 {{'te.quantize' op (Q8) amax and amax_out must come together, but got amax alone}}
  %0:2 = te.quantize %x amax(%s : tensor<f32>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @quantize_q9(%x: tensor<16x256xbf16>, %o: tensor<9xi32>) {
  // expected-error @+1 {{'te.quantize' op (Q9) scales_t must have 8 groups, but got 0}}
  %0:2 = te.quantize %x groups(%o : tensor<9xi32>) : tensor<16x256xbf16> columnwise tensor<256x16xf8E4M3FN>, tensor<1x256xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @quantize_q10(%x: tensor<16x256xbf16>, %n: tensor<f32>) {
  // expected-error @+1 {{'te.quantize' op (Q10) noop needs destinations, but got none}}
  %0:2 = te.quantize %x noop(%n : tensor<f32>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @destination_type(%x: tensor<16x256xbf16>, %q: tensor<16x128xf8E4M3FN>, %s: tensor<f32, #te.scales<tensor>>) {
  // expected-error @+1 {{'te.quantize' op destination 0 must be 'tensor<16x256xf8E4M3FN>', but got 'tensor<16x128xf8E4M3FN>'}}
  %0:2 = te.quantize %x outs(%q, %s : tensor<16x128xf8E4M3FN>, tensor<f32, #te.scales<tensor>>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @destination_count(%x: tensor<16x256xbf16>, %q: tensor<16x256xf8E4M3FN>) {
  // expected-error @+1 {{'te.quantize' op must have no destination or one for each of its 2 results, but got 1}}
  %0:2 = te.quantize %x outs(%q : tensor<16x256xf8E4M3FN>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @member_range(%x: tensor<16x256xbf16>, %h: tensor<9xi32, #te.host>, %q: tensor<16x256xf8E4M3FN>, %s: tensor<8xf32, #te.scales<tensor, groups = 8>>) {
  // expected-error @+1 {{'te.quantize' op member must be in [0, 8), but got 8}}
  %0:2 = te.quantize %x groups(%h : tensor<9xi32, #te.host>) member 8 outs(%q, %s : tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>
  return
}

// -----

func.func @member_on_device(%x: tensor<16x256xbf16>, %o: tensor<9xi32>, %q: tensor<16x256xf8E4M3FN>, %s: tensor<8xf32, #te.scales<tensor, groups = 8>>) {
  // expected-error @+1 {{'te.quantize' op an op with member needs offsets that the host has read (#te.host), but got 'tensor<9xi32>'}}
  %0:2 = te.quantize %x groups(%o : tensor<9xi32>) member 3 outs(%q, %s : tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>
  return
}

// -----

func.func @member_without_destination(%x: tensor<16x256xbf16>, %h: tensor<9xi32, #te.host>) {
  // expected-error @+1 {{'te.quantize' op an op with member writes one group alone, so it needs destinations, but got none}}
  %0:2 = te.quantize %x groups(%h : tensor<9xi32, #te.host>) member 3 : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>
  return
}

// -----

func.func @groups_on_host(%x: tensor<16x256xbf16>, %h: tensor<9xi32, #te.host>) {
  // expected-error-re @+1 {{'te.quantize' op offsets of all groups are read on the device, but got 'tensor<9xi32, #te.host>'}}
  %0:2 = te.quantize %x groups(%h : tensor<9xi32, #te.host>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>
  return
}

// -----

func.func @multi_m1(%a: tensor<16x256xbf16>, %s: tensor<f32>) {
  // expected-error @+1 {{'te.multi_cast_transpose' op (M1) scale must be empty or have 2 entries, but got 1}}
  %0:4 = te.multi_cast_transpose %a, %a scale(%s : tensor<f32>) : tensor<16x256xbf16>, tensor<16x256xbf16>
    -> tensor<16x256xf8E4M3FN>, tensor<16x256xf8E4M3FN> scales tensor<f32, #te.scales<tensor>>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @multi_m2(%a: tensor<4x16x256xbf16>, %s: tensor<f32>) {
  // expected-error @+1 {{'te.multi_cast_transpose' op (M2) scale must be 'tensor<4xf32>', but got 'tensor<f32>'}}
  %0:2 = te.multi_cast_transpose %a scale(%s : tensor<f32>) : tensor<4x16x256xbf16> -> tensor<4x16x256xf8E4M3FN> scales tensor<4xf32, #te.scales<tensor>>
  return
}

// -----

func.func @multi_m3(%a: tensor<16x256xbf16>) {
  // expected-error @+1 {{'te.multi_cast_transpose' op (M3) values must be 'tensor<16x256xf8E4M3FN>', but got 'tensor<16x128xf8E4M3FN>'}}
  %0:2 = te.multi_cast_transpose %a : tensor<16x256xbf16> -> tensor<16x128xf8E4M3FN> scales tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @multi_m4(%a: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.multi_cast_transpose' op (M4) scales of entry 1 must be #te.scales<tensor>, but got #te.scales<128 x 128, gemm_ready>}}
  %0:4 = te.multi_cast_transpose %a, %a : tensor<128x256xbf16>, tensor<128x256xbf16>
    -> tensor<128x256xf8E4M3FN>, tensor<128x256xf8E4M3FN> scales tensor<f32, #te.scales<tensor>>, tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>
  return
}

// -----

func.func @multi_m5(%a: tensor<16x256xbf16>, %n: tensor<f32>) {
  // expected-error @+1 {{'te.multi_cast_transpose' op (M5) noop needs destinations, but got none}}
  %0:2 = te.multi_cast_transpose %a noop(%n : tensor<f32>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN> scales tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @dequantize_d1(%q: tensor<64x512xf8E4M3FN>, %s: tensor<64x4xf32>) {
  // expected-error @+1 {{'te.dequantize' op (D1) scales must carry a #te.scales encoding, but got 'tensor<64x4xf32>'}}
  %0 = te.dequantize %q, %s : (tensor<64x512xf8E4M3FN>, tensor<64x4xf32>) -> tensor<64x512xbf16>
  return
}

// -----

func.func @dequantize_d2(%q: tensor<64x512xf8E4M3FN>, %s: tensor<64x5xf32, #te.scales<1 x 128, compact>>) {
  // expected-error-re @+1 {{'te.dequantize' op (D2) scales must be 'tensor<64x4xf32,{{.*}}>', but got 'tensor<64x5xf32,{{.*}}>'}}
  %0 = te.dequantize %q, %s : (tensor<64x512xf8E4M3FN>, tensor<64x5xf32, #te.scales<1 x 128, compact>>) -> tensor<64x512xbf16>
  return
}

// -----

func.func @dequantize_d3(%q: tensor<64x512xf8E4M3FN>, %s: tensor<f32, #te.scales<tensor>>) {
  // expected-error @+1 {{'te.dequantize' op (D3) output must be 'tensor<64x512xbf16>', but got 'tensor<64x511xbf16>'}}
  %0 = te.dequantize %q, %s : (tensor<64x512xf8E4M3FN>, tensor<f32, #te.scales<tensor>>) -> tensor<64x511xbf16>
  return
}

// -----

func.func @requantize_e1(%q: tensor<16x256xf8E4M3FN>, %s: tensor<16x2xf32, #te.scales<1 x 128, compact>>) {
  // expected-error @+1 {{'te.requantize' op (E1) at least one of the rowwise and columnwise results must be asked for, but got none}}
  te.requantize %q, %s via bf16 : tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @requantize_e2(%q: tensor<16x256xf8E4M3FN>, %s: tensor<16x2xf32, #te.scales<1 x 128, compact>>) {
  // expected-error @+1 {{'te.requantize' op (E2) via must be bf16 or f32, but got 'f16'}}
  %0:2 = te.requantize %q, %s via f16 : tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @requantize_e3(%q: tensor<16x256xf8E4M3FN>, %s: tensor<1x256xf32, #te.scales<128 x 1, compact>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.requantize' op (E3) input_scales must have 2 groups, but got 0}}
  %0:2 = te.requantize %q, %s groups(%o : tensor<3xi32>) via bf16 : tensor<16x256xf8E4M3FN>, tensor<1x256xf32, #te.scales<128 x 1, compact>> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @requantize_e3_shape(%q: tensor<16x256xf8E4M3FN>, %s: tensor<16x3xf32, #te.scales<1 x 128, compact>>) {
  // expected-error-re @+1 {{'te.requantize' op (E3) input_scales must be 'tensor<16x2xf32,{{.*}}>', but got 'tensor<16x3xf32,{{.*}}>'}}
  %0:2 = te.requantize %q, %s via bf16 : tensor<16x256xf8E4M3FN>, tensor<16x3xf32, #te.scales<1 x 128, compact>> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @requantize_e4(%q: tensor<16x256xf8E4M3FN>, %s: tensor<16x2xf32, #te.scales<1 x 128, compact>>, %a: tensor<f32>) {
  // expected-error-re @+1 {{'te.requantize' op (E4) a given scale must stand with <tensor> scales, but got 'tensor<16x2xf32,{{.*}}>'}}
  %0:2 = te.requantize %q, %s scale(%a : tensor<f32>) via bf16 : tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @requantize_e4_groups(%q: tensor<16x256xf8E4M3FN>, %s: tensor<16x2xf32, #te.scales<1 x 128, compact>>, %o: tensor<3xi32, #te.host>) {
  // expected-error @+1 {{'te.requantize' op (E4) offsets must be a vector of at least two values on the device, but got 'tensor<3xi32, #te.host>'}}
  %0:2 = te.requantize %q, %s groups(%o : tensor<3xi32, #te.host>) via bf16 : tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @permute_quantize_f1(%x: tensor<8x256xbf16>, %m: tensor<8x2xi32>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.permute_quantize' op (F1) at least one of the rowwise and columnwise results must be asked for, but got none}}
  te.permute_quantize %x rows(%m : tensor<8x2xi32>) groups(%o : tensor<3xi32>) : tensor<8x256xbf16>
  return
}

// -----

func.func @permute_quantize_f2(%x: tensor<8x256xbf16>, %m: tensor<7x2xi32>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.permute_quantize' op (F2) row_map must have rank 2 and the 8 rows of input, but got 'tensor<7x2xi32>'}}
  %0:2 = te.permute_quantize %x rows(%m : tensor<7x2xi32>) groups(%o : tensor<3xi32>) : tensor<8x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @permute_quantize_f3(%x: tensor<8x256xbf16>, %m: tensor<8x2xi32>, %o: tensor<3xi32>, %n: tensor<3xi32>) {
  // expected-error @+1 {{'te.permute_quantize' op (F3) counts must be 'tensor<2xi32>', but got 'tensor<3xi32>'}}
  %0:2 = te.permute_quantize %x rows(%m : tensor<8x2xi32>) groups(%o : tensor<3xi32>) counts(%n : tensor<3xi32>) : tensor<8x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @permute_quantize_f3_host(%x: tensor<8x256xbf16>, %m: tensor<8x2xi32>, %o: tensor<3xi32, #te.host>) {
  // expected-error @+1 {{'te.permute_quantize' op (F3) offsets must be a vector of at least two values on the device, but got 'tensor<3xi32, #te.host>'}}
  %0:2 = te.permute_quantize %x rows(%m : tensor<8x2xi32>) groups(%o : tensor<3xi32, #te.host>) : tensor<8x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @permute_quantize_f4(%x: tensor<8x256xbf16>, %m: tensor<8x2xi32>, %o: tensor<3xi32>, %p: tensor<8x2xf32>) {
  // expected-error @+1 {{'te.permute_quantize' op (F4) out_probs must be 'tensor<16xf32>', but got 'tensor<8xf32>'}}
  %0:3 = te.permute_quantize %x probs(%p : tensor<8x2xf32>) rows(%m : tensor<8x2xi32>) groups(%o : tensor<3xi32>) : tensor<8x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>> out_probs tensor<8xf32>
  return
}

// -----

func.func @permute_quantize_f5(%x: tensor<8x256xbf16>, %m: tensor<8x2xi32>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.permute_quantize' op (F5) values_t must be 'tensor<256x16xf8E4M3FN>', but got 'tensor<256x15xf8E4M3FN>'}}
  %0:4 = te.permute_quantize %x rows(%m : tensor<8x2xi32>) groups(%o : tensor<3xi32>) : tensor<8x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<16x2xf32, #te.scales<1 x 128, compact>> columnwise tensor<256x15xf8E4M3FN>, tensor<2x256xf32, #te.scales<1 x 128, gemm_ready, groups = 2>>
  return
}

// -----

func.func @update_scales_u1() {
  // expected-error @+1 {{'te.update_scales' op (U1) there must be at least one slot, but got 0}}
  "te.update_scales"() {fp8_max = 448.0 : f32} : () -> ()
  return
}

// -----

func.func @update_scales_u2(%a: tensor<8xf32>, %h: tensor<4x16xf32>) {
  // expected-error @+1 {{'te.update_scales' op (U2) history must have the shape of scale and one more dimension of at least 1, but got 'tensor<4x16xf32>' for 'tensor<8xf32>'}}
  %0:2 = te.update_scales amax(%a) history(%h) scale(%a) {fp8_max = 448.0 : f32} : (tensor<8xf32>, tensor<4x16xf32>, tensor<8xf32>) -> (tensor<4x16xf32>, tensor<8xf32>)
  return
}

// -----

func.func @update_scales_u3(%a: tensor<8xf32>, %h: tensor<8x16xf32>) {
  // expected-error @+1 {{'te.update_scales' op (U3) scale_out must be 'tensor<8xf32>', but got 'tensor<f32>'}}
  %0:2 = te.update_scales amax(%a) history(%h) scale(%a) {fp8_max = 448.0 : f32} : (tensor<8xf32>, tensor<8x16xf32>, tensor<8xf32>) -> (tensor<8x16xf32>, tensor<f32>)
  return
}

// -----

func.func @update_scales_u4(%a: tensor<8xf32>, %h: tensor<8x16xf32>) {
  // expected-error-re @+1 {{'te.update_scales' op (U4) fp8_max must be above 0, but got 0{{.*}}}}
  %0:2 = te.update_scales amax(%a) history(%h) scale(%a) {fp8_max = 0.0 : f32} : (tensor<8xf32>, tensor<8x16xf32>, tensor<8xf32>) -> (tensor<8x16xf32>, tensor<8xf32>)
  return
}

// -----

func.func @convert_scales_c1(%s: tensor<6x2xf32, #te.scales<1 x 128, compact>>) {
  // expected-error @+1 {{'te.convert_scales' op (C1) output must have the block and groups of #te.scales<1 x 128, compact>, but got #te.scales<1 x 64, gemm_ready>}}
  %0 = te.convert_scales %s of [6, 256] : tensor<6x2xf32, #te.scales<1 x 128, compact>> -> tensor<4x8xf32, #te.scales<1 x 64, gemm_ready>>
  return
}

// -----

func.func @convert_scales_c2(%s: tensor<4x384xf8E8M0FNU, #te.scales<32 x 1, compact, groups = 2>>) {
  // expected-error @+1 {{'te.convert_scales' op (C2) layouts must be compact and gemm_ready, or compact and swizzled without groups, but got #te.scales<32 x 1, compact, groups = 2> and #te.scales<32 x 1, swizzled, groups = 2>}}
  %0 = te.convert_scales %s of [64, 384] : tensor<4x384xf8E8M0FNU, #te.scales<32 x 1, compact, groups = 2>> -> tensor<384x4xf8E8M0FNU, #te.scales<32 x 1, swizzled, groups = 2>>
  return
}

// -----

func.func @convert_scales_c3(%s: tensor<6x2xf32, #te.scales<1 x 128, compact>>) {
  // expected-error-re @+1 {{'te.convert_scales' op (C3) scales must be 'tensor<7x2xf32,{{.*}}>', but got 'tensor<6x2xf32,{{.*}}>'}}
  %0 = te.convert_scales %s of [7, 256] : tensor<6x2xf32, #te.scales<1 x 128, compact>> -> tensor<2x8xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

// An unpadded row of gemm_ready scales would give wrong products without an error.
func.func @convert_scales_c4(%s: tensor<6x2xf32, #te.scales<1 x 128, compact>>) {
  // expected-error-re @+1 {{'te.convert_scales' op (C4) output must be 'tensor<2x8xf32,{{.*}}>', but got 'tensor<2x6xf32,{{.*}}>'}}
  %0 = te.convert_scales %s of [6, 256] : tensor<6x2xf32, #te.scales<1 x 128, compact>> -> tensor<2x6xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @transpose_t1(%x: tensor<64xbf16>) {
  // expected-error @+1 {{'te.transpose' op (T1) the rank of input must be 2 or 3, but got 1}}
  %0 = te.transpose %x : tensor<64xbf16> -> tensor<64xbf16>
  return
}

// -----

func.func @transpose_t2(%x: tensor<64x32xbf16>) {
  // expected-error @+1 {{'te.transpose' op (T2) output must be 'tensor<32x64xbf16>', but got 'tensor<64x32xbf16>'}}
  %0 = te.transpose %x : tensor<64x32xbf16> -> tensor<64x32xbf16>
  return
}

// -----

func.func @pack_p1() {
  // expected-error @+1 {{'te.pack' op (P1) there must be at least one input, but got 0}}
  %0 = "te.pack"() : () -> tensor<0x4xf32>
  return
}

// -----

func.func @pack_p1_member(%x: tensor<64x32xbf16>, %y: tensor<64x16xbf16>) {
  // expected-error @+1 {{'te.pack' op (P1) member 2 must be 'tensor<64x32xbf16>', but got 'tensor<64x16xbf16>'}}
  %0 = "te.pack"(%x, %x, %y) : (tensor<64x32xbf16>, tensor<64x32xbf16>, tensor<64x16xbf16>) -> tensor<3x64x32xbf16>
  return
}

// -----

func.func @pack_p2(%x: tensor<64x32xbf16>) {
  // expected-error @+1 {{'te.pack' op (P2) output must be 'tensor<2x64x32xbf16>', but got 'tensor<3x64x32xbf16>'}}
  %0 = te.pack %x, %x : tensor<64x32xbf16> -> tensor<3x64x32xbf16>
  return
}

// -----

func.func @member_e1(%x: tensor<8x64x32xbf16>) {
  // expected-error @+1 {{'te.member' op (E1) the index must be in [0, 8), but got 8}}
  %0 = te.member %x[8] : tensor<8x64x32xbf16> -> tensor<64x32xbf16>
  return
}

// -----

func.func @member_e1_both(%x: tensor<8x64x32xbf16>, %i: index) {
  // expected-error @+1 {{'te.member' op (E1) the index must be either a constant or an operand, but got both}}
  %0 = "te.member"(%x, %i) {index = 3 : i64} : (tensor<8x64x32xbf16>, index) -> tensor<64x32xbf16>
  return
}

// -----

func.func @member_e2(%x: tensor<8x64x32xbf16>) {
  // expected-error @+1 {{'te.member' op (E2) output must be 'tensor<64x32xbf16>', but got 'tensor<64x33xbf16>'}}
  %0 = te.member %x[3] : tensor<8x64x32xbf16> -> tensor<64x33xbf16>
  return
}

// -----

func.func @insert_member_i1(%x: tensor<8x4xf32>, %v: tensor<4xf32>) {
  // expected-error @+1 {{'te.insert_member' op (I1) the index must be in [0, 8), but got -1}}
  %0 = te.insert_member %v into %x[-1] : tensor<4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @insert_member_i2(%x: tensor<8x4xf32>, %v: tensor<5xf32>) {
  // expected-error @+1 {{'te.insert_member' op (I2) value must be 'tensor<4xf32>', but got 'tensor<5xf32>'}}
  %0 = te.insert_member %v into %x[0] : tensor<5xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @insert_member_i3(%x: tensor<8x4xf32>, %v: tensor<4xf32>) {
  // expected-error @+1 {{'te.insert_member' op destination 0 must be 'tensor<9x4xf32>', but got 'tensor<8x4xf32>'}}
  %0 = "te.insert_member"(%v, %x) {index = 0 : i64} : (tensor<4xf32>, tensor<8x4xf32>) -> tensor<9x4xf32>
  return
}

// -----

func.func @routing_map_r1(%i: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.routing_map' op (R1) row_map must be 'tensor<96x8xi32>', but got 'tensor<96x7xi32>'}}
  %0:3 = te.routing_map %i {capacity = 768} : tensor<96x8xi32> -> tensor<96x7xi32>, tensor<8xi32>, tensor<9xi32>
  return
}

// -----

func.func @routing_map_r2(%i: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.routing_map' op (R2) offsets must be 'tensor<9xi32>', but got 'tensor<8xi32>'}}
  %0:3 = te.routing_map %i {capacity = 768} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<8xi32>
  return
}

// -----

func.func @routing_map_r3(%i: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.routing_map' op (R3) capacity must be above 0, but got 0}}
  %0:3 = te.routing_map %i {capacity = 0} : tensor<96x8xi32> -> tensor<96x8xi32>, tensor<8xi32>, tensor<9xi32>
  return
}

// -----

func.func @compute_offsets_o1(%c: tensor<8xi32>) {
  // expected-error @+1 {{'te.compute_offsets' op (O1) offsets must be 'tensor<9xi32>', but got 'tensor<8xi32>'}}
  %0 = te.compute_offsets %c : tensor<8xi32> -> tensor<8xi32>
  return
}

// -----

func.func @compute_offsets_o2(%c: tensor<8xi32>) {
  // expected-error @+1 {{'te.compute_offsets' op (O2) alignment must be above 0, but got -16}}
  %0 = te.compute_offsets %c {alignment = -16} : tensor<8xi32> -> tensor<9xi32>
  return
}

// -----

func.func @to_host_h1(%o: tensor<9xi32, #te.host>) {
  // expected-error @+1 {{'te.to_host' op (H1) offsets must be on the device, but got 'tensor<9xi32, #te.host>'}}
  %0 = te.to_host %o : tensor<9xi32, #te.host> -> tensor<9xi32, #te.host>
  return
}

// -----

func.func @to_host_h2(%o: tensor<9xi32>) {
  // expected-error @+1 {{'te.to_host' op (H2) output must be 'tensor<9xi32, #te.host>', but got 'tensor<9xi32>'}}
  %0 = te.to_host %o : tensor<9xi32> -> tensor<9xi32>
  return
}

// -----

func.func @permute_v1(%x: tensor<96x256xbf16>, %m: tensor<95x8xi32>) {
  // expected-error @+1 {{'te.permute' op (V1) row_map must have rank 2 and the 96 rows of input, but got 'tensor<95x8xi32>'}}
  %0 = te.permute %x rows(%m) : (tensor<96x256xbf16>, tensor<95x8xi32>) -> tensor<768x256xbf16>
  return
}

// -----

func.func @permute_v2(%x: tensor<96x256xbf16>, %m: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.permute' op (V2) output must have rank 2 and the width and element type of 'tensor<96x256xbf16>', but got 'tensor<768x128xbf16>'}}
  %0 = te.permute %x rows(%m) : (tensor<96x256xbf16>, tensor<96x8xi32>) -> tensor<768x128xbf16>
  return
}

// -----

// Blocks that span tokens do not move with one of them.
func.func @permute_v3(%x: tensor<96x256xf8E4M3FN>, %s: tensor<1x256xf32, #te.scales<128 x 1, compact>>, %m: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.permute' op (V3) scales and out_scales must have one block one row high, but got #te.scales<128 x 1, compact> and #te.scales<128 x 1, compact>}}
  %0:2 = te.permute %x scales(%s) rows(%m) : (tensor<96x256xf8E4M3FN>, tensor<1x256xf32, #te.scales<128 x 1, compact>>, tensor<96x8xi32>) -> (tensor<768x256xf8E4M3FN>, tensor<6x256xf32, #te.scales<128 x 1, compact>>)
  return
}

// -----

func.func @permute_v4(%x: tensor<96x256xbf16>, %p: tensor<96x7xf32>, %m: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.permute' op (V4) probs must be 'tensor<96x8xf32>', but got 'tensor<96x7xf32>'}}
  %0:2 = te.permute %x probs(%p) rows(%m) : (tensor<96x256xbf16>, tensor<96x7xf32>, tensor<96x8xi32>) -> (tensor<768x256xbf16>, tensor<768xf32>)
  return
}

// -----

func.func @permute_v5(%x: tensor<96x256xbf16>, %m: tensor<96x8xi32>, %c: tensor<8xi32>, %o: tensor<8xi32>) {
  // expected-error @+1 {{'te.permute' op (V5) offsets must be 'tensor<9xi32>', but got 'tensor<8xi32>'}}
  %0 = te.permute %x rows(%m) pads(%c, %o) : (tensor<96x256xbf16>, tensor<96x8xi32>, tensor<8xi32>, tensor<8xi32>) -> tensor<896x256xbf16>
  return
}

// -----

func.func @permute_v5_counts(%x: tensor<96x256xbf16>, %m: tensor<96x8xi32>, %c: tensor<0xi32>, %o: tensor<1xi32>) {
  // expected-error @+1 {{'te.permute' op (V5) counts must have one value for each of at least one expert, but got 'tensor<0xi32>'}}
  %0 = te.permute %x rows(%m) pads(%c, %o) : (tensor<96x256xbf16>, tensor<96x8xi32>, tensor<0xi32>, tensor<1xi32>) -> tensor<896x256xbf16>
  return
}

// -----

func.func @permute_v5_alone(%x: tensor<96x256xbf16>, %m: tensor<96x8xi32>, %c: tensor<8xi32>) {
  // expected-error @+1 {{'te.permute' op (V5) counts and offsets must come together, but got counts alone}}
  %0 = "te.permute"(%x, %m, %c) <{operandSegmentSizes = array<i32: 1, 0, 0, 1, 1, 0>, resultSegmentSizes = array<i32: 1, 0, 0>}> : (tensor<96x256xbf16>, tensor<96x8xi32>, tensor<8xi32>) -> tensor<896x256xbf16>
  return
}

// -----

func.func @unpermute_n1(%x: tensor<768x256xbf16>, %m: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.unpermute' op (N1) row_map must have rank 2 and the 95 rows of output, but got 'tensor<96x8xi32>'}}
  %0 = te.unpermute %x rows(%m) : (tensor<768x256xbf16>, tensor<96x8xi32>) -> tensor<95x256xbf16>
  return
}

// -----

func.func @unpermute_n2(%x: tensor<768x256xbf16>, %p: tensor<768xf32>, %m: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.unpermute' op (N2) out_probs must be 'tensor<96x8xf32>', but got 'tensor<96x7xf32>'}}
  %0:2 = te.unpermute %x probs(%p) rows(%m) : (tensor<768x256xbf16>, tensor<768xf32>, tensor<96x8xi32>) -> (tensor<96x256xbf16>, tensor<96x7xf32>)
  return
}

// -----

func.func @pad_a1(%x: tensor<768x256xbf16>, %f: tensor<9xi32>, %t: tensor<8xi32>) {
  // expected-error @+1 {{'te.pad' op (A1) to must be 'tensor<9xi32>', but got 'tensor<8xi32>'}}
  %0 = te.pad %x from(%f) to(%t) : (tensor<768x256xbf16>, tensor<9xi32>, tensor<8xi32>) -> tensor<896x256xbf16>
  return
}

// -----

func.func @pad_a2(%x: tensor<768x256xbf16>, %f: tensor<9xi32>) {
  // expected-error @+1 {{'te.pad' op (A2) output must have rank 2 and the width and element type of 'tensor<768x256xbf16>', but got 'tensor<896x256xf32>'}}
  %0 = te.pad %x from(%f) to(%f) : (tensor<768x256xbf16>, tensor<9xi32>, tensor<9xi32>) -> tensor<896x256xf32>
  return
}

// -----

func.func @unpad_a3(%x: tensor<896x256xbf16>, %p: tensor<768xf32>, %f: tensor<9xi32>) {
  // expected-error @+1 {{'te.unpad' op (A3) probs must be 'tensor<896xf32>', but got 'tensor<768xf32>'}}
  %0:2 = te.unpad %x probs(%p) from(%f) to(%f) : (tensor<896x256xbf16>, tensor<768xf32>, tensor<9xi32>, tensor<9xi32>) -> (tensor<768x256xbf16>, tensor<768xf32>)
  return
}

// -----

func.func @dispatch_map_x1(%i: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.dispatch_map' op (X1) ranks must be above 0, but got 0}}
  %0:2 = te.dispatch_map %i {ranks = 0, num_experts = 8} : tensor<96x8xi32> -> tensor<96x0xi32>, tensor<0x8xi32>
  return
}

// -----

func.func @dispatch_map_x2(%i: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.dispatch_map' op (X2) handle must be 'tensor<96x2xi32>', but got 'tensor<96x3xi32>'}}
  %0:2 = te.dispatch_map %i {ranks = 2, num_experts = 8} : tensor<96x8xi32> -> tensor<96x3xi32>, tensor<192x8xi32>
  return
}

// -----

func.func @dispatch_map_x3(%i: tensor<96x8xi32>) {
  // expected-error @+1 {{'te.dispatch_map' op (X3) recv_indices must be 'tensor<192x8xi32>', but got 'tensor<96x8xi32>'}}
  %0:2 = te.dispatch_map %i {ranks = 2, num_experts = 8} : tensor<96x8xi32> -> tensor<96x2xi32>, tensor<96x8xi32>
  return
}

// -----

func.func @dispatch_y1(%h: tensor<96x2xi32>) {
  // expected-error @+1 {{'te.dispatch' op (Y1) there must be as many outputs as inputs, at least one, but got 0 for 0}}
  "te.dispatch"(%h) : (tensor<96x2xi32>) -> ()
  return
}

// -----

func.func @dispatch_y2(%x: tensor<96x256xbf16>, %h: tensor<96x2xi32>) {
  // expected-error @+1 {{'te.dispatch' op (Y2) output must be 'tensor<192x256xbf16>', but got 'tensor<96x256xbf16>'}}
  %0 = te.dispatch %x by %h : tensor<96x256xbf16> by tensor<96x2xi32> -> tensor<96x256xbf16>
  return
}

// -----

func.func @dispatch_y3(%s: tensor<2x96xf32, #te.scales<1 x 128, gemm_ready>>, %h: tensor<2x2xi32>) {
  // expected-error-re @+1 {{'te.dispatch' op (Y3) scales must have compact blocks one row high, but got 'tensor<2x96xf32,{{.*}}>'}}
  %0 = te.dispatch %s by %h : tensor<2x96xf32, #te.scales<1 x 128, gemm_ready>> by tensor<2x2xi32> -> tensor<4x96xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @combine_z1(%h: tensor<96x2xi32>) {
  // expected-error @+1 {{'te.combine' op (Z1) there must be as many outputs as inputs, at least one, but got 0 for 0}}
  "te.combine"(%h) : (tensor<96x2xi32>) -> ()
  return
}

// -----

// Rows of FP8 cannot be added.
func.func @combine_z2(%x: tensor<192x256xf8E4M3FN>, %h: tensor<96x2xi32>) {
  // expected-error @+1 {{'te.combine' op (Z2) inputs must be bf16 or f32, but got 'tensor<192x256xf8E4M3FN>'}}
  %0 = te.combine %x by %h : tensor<192x256xf8E4M3FN> by tensor<96x2xi32> -> tensor<96x256xf8E4M3FN>
  return
}

// -----

func.func @gemm_g1(%a: tensor<96x256xbf16>, %b: tensor<512x128xbf16>) {
  // expected-error @+1 {{'te.gemm' op (G1) rhs must have a length of reduction of 256, that of lhs, but got 128}}
  %0 = te.gemm %a, %b : (tensor<96x256xbf16>, tensor<512x128xbf16>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @gemm_g2(%a: tensor<96x256xbf16>, %b: tensor<512x256xbf16>) {
  // expected-error @+1 {{'te.gemm' op (G2) result must be 'tensor<96x512xbf16>', but got 'tensor<96x256xbf16>'}}
  %0 = te.gemm %a, %b : (tensor<96x256xbf16>, tensor<512x256xbf16>) -> tensor<96x256xbf16>
  return
}

// -----

func.func @gemm_g3(%a: tensor<96x256xf8E4M3FN>, %b: tensor<512x256xf8E4M3FN>) {
  // expected-error @+1 {{'te.gemm' op (G3) lhs of 'f8E4M3FN' must have scales, but got none}}
  %0 = te.gemm %a, %b : (tensor<96x256xf8E4M3FN>, tensor<512x256xf8E4M3FN>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @gemm_g4(%a: tensor<256x96xf8E4M3FN>, %b: tensor<512x256xf8E4M3FN>, %s: tensor<f32, #te.scales<tensor>>) {
  // expected-error @+1 {{'te.gemm' op (G4) FP8 and FP4 operands must be K-major, but got transpose_lhs}}
  %0 = te.gemm %a scales(%s), %b scales(%s) {transpose_lhs} : (tensor<256x96xf8E4M3FN>, tensor<f32, #te.scales<tensor>>, tensor<512x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @gemm_g5(%a: tensor<96x256xf8E5M2>, %b: tensor<512x256xf8E5M2>, %s: tensor<f32, #te.scales<tensor>>) {
  // expected-error @+1 {{'te.gemm' op (G5) at most one operand may be f8E5M2, but got two}}
  %0 = te.gemm %a scales(%s), %b scales(%s) : (tensor<96x256xf8E5M2>, tensor<f32, #te.scales<tensor>>, tensor<512x256xf8E5M2>, tensor<f32, #te.scales<tensor>>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @gemm_g6_square(%a: tensor<128x256xf8E4M3FN>, %s: tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>) {
  // expected-error @+1 {{'te.gemm' op (G6) scales must both be <tensor>, or gemm_ready with at most one square block, or swizzled of one recipe, but got #te.scales<128 x 128, gemm_ready> and #te.scales<128 x 128, gemm_ready>}}
  %0 = te.gemm %a scales(%s), %a scales(%s) : (tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>) -> tensor<128x128xbf16>
  return
}

// -----

// What fails at run time elsewhere: a product fed compact scales.
func.func @gemm_g6_compact(%a: tensor<128x256xf8E4M3FN>, %s: tensor<128x2xf32, #te.scales<1 x 128, compact>>, %w: tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>) {
  // expected-error @+1 {{'te.gemm' op (G6) scales must both be <tensor>, or gemm_ready with at most one square block, or swizzled of one recipe, but got #te.scales<1 x 128, compact> and #te.scales<128 x 128, gemm_ready>}}
  %0 = te.gemm %a scales(%s), %a scales(%w) : (tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #te.scales<1 x 128, compact>>, tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>) -> tensor<128x128xbf16>
  return
}

// -----

func.func @gemm_g7(%a: tensor<96x256xbf16>, %b: tensor<512x256xbf16>, %c: tensor<96xf32>) {
  // expected-error @+1 {{'te.gemm' op (G7) bias must be 'tensor<512xf32>', but got 'tensor<96xf32>'}}
  %0 = te.gemm %a, %b bias(%c) : (tensor<96x256xbf16>, tensor<512x256xbf16>, tensor<96xf32>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @gemm_g8(%a: tensor<96x256xbf16>, %b: tensor<512x256xbf16>, %o: tensor<9xi32>) {
  // expected-error @+1 {{'te.gemm' op (G8) groups, member and over must come together, but got groups, no member, over}}
  %0 = te.gemm %a, %b groups(%o) over rows : (tensor<96x256xbf16>, tensor<512x256xbf16>, tensor<9xi32>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @gemm_g9(%a: tensor<96x256xbf16>, %b: tensor<512x256xbf16>) {
  // expected-error @+1 {{'te.gemm' op (G9) accumulate needs a destination, but got none}}
  %0 = te.gemm %a, %b {accumulate} : (tensor<96x256xbf16>, tensor<512x256xbf16>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @grouped_gemm_gg1(%a: tensor<96x256xbf16>, %b: tensor<2x512x256xbf16>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm' op (GG1) rhs must be one tensor of rank 2 over reduction, but got 1 of 'tensor<2x512x256xbf16>'}}
  %0 = te.grouped_gemm %a, %b groups(%o) over reduction : (tensor<96x256xbf16>, tensor<2x512x256xbf16>, tensor<3xi32>) -> tensor<2x96x512xf32>
  return
}

// -----

func.func @grouped_gemm_gg2(%a: tensor<96x256xbf16>, %b: tensor<2x512x128xbf16>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm' op (G1) rhs must have a length of reduction of 256, that of lhs, but got 128}}
  %0 = te.grouped_gemm %a, %b groups(%o) over rows : (tensor<96x256xbf16>, tensor<2x512x128xbf16>, tensor<3xi32>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @grouped_gemm_gg3(%a: tensor<96x256xbf16>, %b: tensor<2x512x256xbf16>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm' op (GG3) there must be one result over rows, but got 2}}
  %0:2 = te.grouped_gemm %a, %b groups(%o) over rows : (tensor<96x256xbf16>, tensor<2x512x256xbf16>, tensor<3xi32>) -> (tensor<96x512xbf16>, tensor<96x512xbf16>)
  return
}

// -----

func.func @grouped_gemm_gg4(%a: tensor<96x256xbf16>, %b: tensor<2x512x256xbf16>, %o: tensor<9xi32>) {
  // expected-error @+1 {{'te.grouped_gemm' op (GG4) there must be one rhs for each of the 8 groups, but got 2}}
  %0 = te.grouped_gemm %a, %b groups(%o) over rows : (tensor<96x256xbf16>, tensor<2x512x256xbf16>, tensor<9xi32>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @grouped_gemm_gg5(%a: tensor<96x256xbf16>, %b: tensor<2x512x256xbf16>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm' op (GG5) accumulate needs destinations, but got none}}
  %0 = te.grouped_gemm %a, %b groups(%o) over rows {accumulate} : (tensor<96x256xbf16>, tensor<2x512x256xbf16>, tensor<3xi32>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @swiglu_s1(%x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu' op (S1) input must be 'tensor<128x510xbf16>', but got 'tensor<128x512xbf16>'}}
  %0 = te.swiglu %x : (tensor<128x512xbf16>) -> tensor<128x255xbf16>
  return
}

// -----

func.func @swiglu_s2(%x: tensor<128x512xbf16>, %p: tensor<127xf32>) {
  // expected-error @+1 {{'te.swiglu' op (S2) probs must be 'tensor<128xf32>', but got 'tensor<127xf32>'}}
  %0 = te.swiglu %x probs(%p) : (tensor<128x512xbf16>, tensor<127xf32>) -> tensor<128x256xbf16>
  return
}

// -----

func.func @swiglu_backward_b1(%g: tensor<128x256xbf16>, %x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu_backward' op (B1) grad_input must be 'tensor<128x512xbf16>', but got 'tensor<128x256xbf16>'}}
  %0 = te.swiglu_backward %g, %x : (tensor<128x256xbf16>, tensor<128x512xbf16>) -> tensor<128x256xbf16>
  return
}

// -----

func.func @swiglu_backward_b2(%g: tensor<128x256xbf16>, %x: tensor<128x512xbf16>, %p: tensor<1xf32>) {
  // expected-error @+1 {{'te.swiglu_backward' op (B2) probs must be 'tensor<128xf32>', but got 'tensor<1xf32>'}}
  %0:2 = te.swiglu_backward %g, %x probs(%p) : (tensor<128x256xbf16>, tensor<128x512xbf16>, tensor<1xf32>) -> (tensor<128x512xbf16>, tensor<128xf32>)
  return
}

// -----

func.func @swiglu_backward_b3(%g: tensor<128x256xbf16>, %x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu_backward' op (B3) grad_probs must come with probs, but got it alone}}
  %0:2 = te.swiglu_backward %g, %x : (tensor<128x256xbf16>, tensor<128x512xbf16>) -> (tensor<128x512xbf16>, tensor<128xf32>)
  return
}

// -----

func.func @swiglu_quantize_sq1(%x: tensor<128x511xbf16>) {
  // expected-error @+1 {{'te.swiglu_quantize' op (SQ1) input must be a matrix of an even number of columns, but got 'tensor<128x511xbf16>'}}
  %0:2 = te.swiglu_quantize %x : tensor<128x511xbf16> -> tensor<128x255xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @swiglu_quantize_sq2(%x: tensor<128x512xbf16>, %p: tensor<127xf32>) {
  // expected-error @+1 {{'te.swiglu_quantize' op (SQ2) probs must be 'tensor<128xf32>', but got 'tensor<127xf32>'}}
  %0:2 = te.swiglu_quantize %x probs(%p : tensor<127xf32>) : tensor<128x512xbf16> -> tensor<128x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @swiglu_quantize_sq3(%x: tensor<128x512xbf16>, %o: tensor<3xi32, #te.host>) {
  // expected-error @+1 {{'te.swiglu_quantize' op (SQ3) offsets must be a vector of at least two in memory of the device, but got 'tensor<3xi32, #te.host>'}}
  %0:2 = te.swiglu_quantize %x groups(%o : tensor<3xi32, #te.host>) : tensor<128x512xbf16> -> tensor<128x256xf8E4M3FN>, tensor<2xf32, #te.scales<tensor, groups = 2>>
  return
}

// -----

func.func @swiglu_quantize_sq4(%x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu_quantize' op (SQ4) at least one of the rowwise and columnwise results must be asked for, but got none}}
  te.swiglu_quantize %x : tensor<128x512xbf16>
  return
}

// -----

// The values are as wide as half of the input.
func.func @swiglu_quantize_sq5(%x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu_quantize' op (SQ5) values must be 'tensor<128x256xf8E4M3FN>', but got 'tensor<128x512xf8E4M3FN>'}}
  %0:2 = te.swiglu_quantize %x : tensor<128x512xbf16> -> tensor<128x512xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @swiglu_quantize_sq6(%x: tensor<128x512xbf16>, %a: tensor<f32>) {
  // expected-error @+1 {{'te.swiglu_quantize' op (SQ6) amax and amax_out must come together, but got amax alone}}
  %0:2 = te.swiglu_quantize %x amax(%a : tensor<f32>) : tensor<128x512xbf16> -> tensor<128x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @swiglu_backward_quantize_bq1(%g: tensor<128x256xf32>, %x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu_backward_quantize' op (BQ1) input must be 'tensor<128x512xf32>', but got 'tensor<128x512xbf16>'}}
  %0:2 = te.swiglu_backward_quantize %g, %x : tensor<128x256xf32>, tensor<128x512xbf16> -> tensor<128x512xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @swiglu_backward_quantize_bq2(%g: tensor<128x256xbf16>, %x: tensor<128x512xbf16>, %p: tensor<1xf32>) {
  // expected-error @+1 {{'te.swiglu_backward_quantize' op (BQ2) probs must be 'tensor<128xf32>', but got 'tensor<1xf32>'}}
  %0:2 = te.swiglu_backward_quantize %g, %x probs(%p : tensor<1xf32>) : tensor<128x256xbf16>, tensor<128x512xbf16> -> tensor<128x512xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @swiglu_backward_quantize_bq3(%g: tensor<128x256xbf16>, %x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu_backward_quantize' op (BQ3) grad_probs must come with probs, but got it alone}}
  %0:3 = te.swiglu_backward_quantize %g, %x : tensor<128x256xbf16>, tensor<128x512xbf16> -> tensor<128x512xf8E4M3FN>, tensor<f32, #te.scales<tensor>> grad_probs tensor<128xf32>
  return
}

// -----

func.func @swiglu_backward_quantize_bq4(%g: tensor<128x256xbf16>, %x: tensor<128x512xbf16>, %o: tensor<1xi32>) {
  // expected-error @+1 {{'te.swiglu_backward_quantize' op (BQ4) offsets must be a vector of at least two in memory of the device, but got 'tensor<1xi32>'}}
  %0:2 = te.swiglu_backward_quantize %g, %x groups(%o : tensor<1xi32>) : tensor<128x256xbf16>, tensor<128x512xbf16> -> tensor<128x512xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @swiglu_backward_quantize_bq5(%g: tensor<128x256xbf16>, %x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu_backward_quantize' op (BQ5) at least one of the rowwise and columnwise results must be asked for, but got none}}
  te.swiglu_backward_quantize %g, %x : tensor<128x256xbf16>, tensor<128x512xbf16>
  return
}

// -----

func.func @swiglu_backward_quantize_bq6(%g: tensor<128x256xbf16>, %x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu_backward_quantize' op (BQ6) values must be 'tensor<128x512xf8E4M3FN>', but got 'tensor<128x256xf8E4M3FN>'}}
  %0:2 = te.swiglu_backward_quantize %g, %x : tensor<128x256xbf16>, tensor<128x512xbf16> -> tensor<128x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @swiglu_backward_quantize_bq7(%g: tensor<128x256xbf16>, %x: tensor<128x512xbf16>, %o: tensor<9xi32>, %s: tensor<f32>) {
  // expected-error @+1 {{'te.swiglu_backward_quantize' op (BQ7) scale must be 'tensor<8xf32>', but got 'tensor<f32>'}}
  %0:2 = te.swiglu_backward_quantize %g, %x scale(%s : tensor<f32>) groups(%o : tensor<9xi32>) : tensor<128x256xbf16>, tensor<128x512xbf16> -> tensor<128x512xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>
  return
}

// -----

// expected-error @+1 {{gemm_ready blocks must be one row high or square, but got 128 x 1}}
func.func private @scales_block(tensor<2x2xf32, #te.scales<128 x 1, gemm_ready>>)

// -----

// expected-error @+1 {{layout must be compact, gemm_ready or swizzled, but got striped}}
func.func private @scales_layout(tensor<2x2xf32, #te.scales<1 x 128, striped>>)

// -----

// expected-error @+1 {{scales of #te.scales<1 x 128, compact> must be 'f32', but got 'bf16'}}
func.func private @scales_element(tensor<2x2xbf16, #te.scales<1 x 128, compact>>)

// -----

// expected-error @+1 {{chip must be sm_90 or sm_100, but got sm_75}}
module attributes {te.target = #te.target<sm_75>} {
}

// -----

// expected-error @+1 {{te.target must be a #te.target, but got "sm_90"}}
module attributes {te.target = "sm_90"} {
}

// -----

func.func @update_scales_u5(%a: tensor<8xf32>, %h: tensor<8x16xf32>) {
  // expected-error @+1 {{'te.update_scales' op (U5) margin must be from -64 to 64, but got 65}}
  %0:2 = te.update_scales amax(%a) history(%h) scale(%a) {fp8_max = 448.0 : f32, margin = 65 : i64} : (tensor<8xf32>, tensor<8x16xf32>, tensor<8xf32>) -> (tensor<8x16xf32>, tensor<8xf32>)
  return
}

// -----

func.func @amax_a1(%x: tensor<16xbf16>) {
  // expected-error @+1 {{'te.amax' op (A1) input must have rank 2, or 3 without groups, but got 'tensor<16xbf16>'}}
  %0 = te.amax %x : tensor<16xbf16> -> tensor<f32>
  return
}

// -----

func.func @amax_a1_groups(%x: tensor<2x16x8xbf16>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.amax' op (A1) input must have rank 2, or 3 without groups, but got 'tensor<2x16x8xbf16>'}}
  %0 = te.amax %x groups(%o : tensor<3xi32>) : tensor<2x16x8xbf16> -> tensor<2xf32>
  return
}

// -----

func.func @amax_a2(%x: tensor<16x8xbf16>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.amax' op (A2) amax must be 'tensor<2xf32>', but got 'tensor<f32>'}}
  %0 = te.amax %x groups(%o : tensor<3xi32>) : tensor<16x8xbf16> -> tensor<f32>
  return
}

// -----

func.func @amax_a2_member(%x: tensor<16x8xbf16>, %o: tensor<3xi32, #te.host>) {
  // expected-error @+1 {{'te.amax' op (A2) amax must be 'tensor<f32>', but got 'tensor<2xf32>'}}
  %0 = te.amax %x groups(%o : tensor<3xi32, #te.host>) member 1 : tensor<16x8xbf16> -> tensor<2xf32>
  return
}

// -----

func.func @all_reduce_r1() {
  // expected-error @+1 {{'te.all_reduce' op (R1) there must be at least one input, but got 0}}
  "te.all_reduce"() : () -> ()
  return
}

// -----

func.func @all_reduce_r1_results(%a: tensor<f32>) {
  // expected-error @+1 {{'te.all_reduce' op (R1) there must be 1 outputs, but got 2}}
  %0:2 = te.all_reduce max %a : (tensor<f32>) -> (tensor<f32>, tensor<f32>)
  return
}

// -----

func.func @all_reduce_r2(%a: tensor<f32>) {
  // expected-error @+1 {{'te.all_reduce' op (R2) outputs must be 'tensor<f32>', but got 'tensor<1xf32>'}}
  %0 = te.all_reduce max %a : (tensor<f32>) -> tensor<1xf32>
  return
}

// -----

func.func @scale_from_amax_f1() {
  // expected-error @+1 {{'te.scale_from_amax' op (F1) there must be at least one amax, but got 0}}
  "te.scale_from_amax"() {fp8_max = 448.0 : f32} : () -> ()
  return
}

// -----

func.func @scale_from_amax_f2(%a: tensor<8xf32>) {
  // expected-error @+1 {{'te.scale_from_amax' op (F2) scales must be 'tensor<8xf32>', but got 'tensor<f32>'}}
  %0 = te.scale_from_amax %a {fp8_max = 448.0 : f32} : (tensor<8xf32>) -> tensor<f32>
  return
}

// -----

func.func @scale_from_amax_f3_max(%a: tensor<8xf32>) {
  // expected-error-re @+1 {{'te.scale_from_amax' op (F3) fp8_max must be above 0, but got 0{{.*}}}}
  %0 = te.scale_from_amax %a {fp8_max = 0.0 : f32} : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @scale_from_amax_f3_epsilon(%a: tensor<8xf32>) {
  // expected-error-re @+1 {{'te.scale_from_amax' op (F3) epsilon must be at least 0, but got -1{{.*}}}}
  %0 = te.scale_from_amax %a {fp8_max = 448.0 : f32, epsilon = -1.0 : f32} : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs1_type(%x: tensor<128x256xf8E5M2>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS1) lhs must be of f8E4M3FN, but got 'tensor<128x256xf8E5M2>'}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E5M2> by tensor<2x512x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs1_scales(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<512x256xf8E4M3FN>, %ws: tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS1) rhs must have at least one tensor, and as many scales, but got 2 and 1}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w, %w scales(%ws : tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<512x256xf8E4M3FN>, tensor<512x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs1_groups(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<4xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS1) rhs must be one for each of the 3 groups, but got 2}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<4xi32>) : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs2_product(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x512x128xf8E4M3FN>, %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (G1) rhs must have a length of reduction of 256, that of lhs, but got 128}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<2x512x128xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs2_rank(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<512xf8E4M3FN>, %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS2) lhs must have rank 2 and rhs 2 or 3, but got 'tensor<128x256xf8E4M3FN>' and 'tensor<512xf8E4M3FN>'}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w, %w scales(%ws, %ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<512xf8E4M3FN>, tensor<512xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs2_blocks(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x2x512xf32, #te.scales<1 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS2) rhs_scales must be of blocks of 128 x 128, but got 'tensor<2x512xf32, #te.scales<1 x 128, gemm_ready>>'}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x2x512xf32, #te.scales<1 x 128, gemm_ready>>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs3(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x384x256xf8E4M3FN>, %ws: tensor<2x3x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS3) the rows of rhs must be a multiple of 256, but got 384}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x3x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<2x384x256xf8E4M3FN> -> tensor<128x192xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs4(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>, %p: tensor<127xf32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS4) probs must be 'tensor<128xf32>', but got 'tensor<127xf32>'}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) probs(%p : tensor<127xf32>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs5(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS5) at least one of the rowwise and columnwise results must be asked for, but got none}}
  te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs6(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS6) values must be 'tensor<128x256xf8E4M3FN>', but got 'tensor<128x512xf8E4M3FN>'}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN> -> tensor<128x512xf8E4M3FN>, tensor<4x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs6_tensor(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS6) scales must be of blocks of 1 x 128, but got 'tensor<2xf32, #te.scales<tensor, groups = 2>>'}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2xf32, #te.scales<tensor, groups = 2>>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs7(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS7) product must be 'tensor<128x512xbf16>', but got 'tensor<128x512xf32>'}}
  %0:3 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<3xi32>) : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>> product tensor<128x512xf32>
  return
}

// -----

func.func @grouped_gemm_swiglu_quantize_gs8(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>, %w: tensor<2x512x256xf8E4M3FN>, %ws: tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32, #te.host>) {
  // expected-error @+1 {{'te.grouped_gemm_swiglu_quantize' op (GS8) offsets must be a vector of at least two in memory of the device, but got 'tensor<3xi32, #te.host>'}}
  %0:2 = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>), %w scales(%ws : tensor<2x4x4xf32, #te.scales<128 x 128, gemm_ready>>) groups(%o : tensor<3xi32, #te.host>) : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}
