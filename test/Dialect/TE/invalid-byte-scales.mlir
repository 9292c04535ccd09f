// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What scales of 8 bits and FP4 ask for: each constraint, by its label.
//
// RUN: te-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{blocks of 32 must be 1 x 32 or 32 x 1, and those of 16 1 x 16, but got 32 x 32}}
func.func private @blocks_of_32(tensor<128x4xf8E8M0FNU, #te.scales<32 x 32, compact>>)

// -----

// expected-error @+1 {{blocks of 32 must be 1 x 32 or 32 x 1, and those of 16 1 x 16, but got 16 x 1}}
func.func private @blocks_of_16(tensor<4x128xf8E4M3FN, #te.scales<16 x 1, compact>>)

// -----

// expected-error @+1 {{blocks of 32 and 16 must be compact or swizzled, others compact or gemm_ready, but got 1 x 32, gemm_ready}}
func.func private @byte_layout(tensor<8x128xf8E8M0FNU, #te.scales<1 x 32, gemm_ready>>)

// -----

// expected-error @+1 {{blocks of 32 and 16 must be compact or swizzled, others compact or gemm_ready, but got 1 x 128, swizzled}}
func.func private @f32_layout(tensor<128x4xf32, #te.scales<1 x 128, swizzled>>)

// -----

// expected-error @+1 {{scales of #te.scales<1 x 32, compact> must be 'f8E8M0FNU', but got 'f32'}}
func.func private @mxfp8_element(tensor<128x4xf32, #te.scales<1 x 32, compact>>)

// -----

// expected-error @+1 {{scales of #te.scales<1 x 16, compact> must be 'f8E4M3FN', but got 'f8E8M0FNU'}}
func.func private @nvfp4_element(tensor<128x4xf8E8M0FNU, #te.scales<1 x 16, compact>>)

// -----

func.func @quantize_q4_padded(%x: tensor<96x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q4) scales must be 'tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>', but got 'tensor<96x8xf8E8M0FNU, #te.scales<1 x 32, compact>>'}}
  %0:2 = te.quantize %x : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
  return
}

// -----

func.func @quantize_q11_fp4(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q11) values of 'f4E2M1FN' must have blocks of 1 x 16, but got #te.scales<1 x 128, compact>}}
  %0:3 = te.quantize %x : tensor<128x256xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x2xf32, #te.scales<1 x 128, compact>> tensor_amax tensor<f32>
  return
}

// -----

func.func @quantize_q11_fp8(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q11) values of 'f8E4M3FN' must have no blocks of 1 x 16, but got #te.scales<1 x 16, swizzled>}}
  %0:2 = te.quantize %x : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>
  return
}

// -----

func.func @quantize_q11_columnwise(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q11) values_t of 'f8E4M3FN' must have blocks of 32 x 1, but got #te.scales<1 x 32, swizzled>}}
  %0:2 = te.quantize %x : tensor<128x256xbf16> columnwise tensor<256x128xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  return
}

// -----

func.func @quantize_q11_odd(%x: tensor<127x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q11) values_t of f4E2M1FN must have an even last extent, but got 'tensor<256x127xf4E2M1FN>'}}
  %0:3 = te.quantize %x : tensor<127x256xbf16> columnwise tensor<256x127xf4E2M1FN>, tensor<256x8xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax_t tensor<f32>
  return
}

// -----

func.func @quantize_q12_pow2(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q12) scales of 8 bits must have no pow2_scales, but got some for #te.scales<1 x 32, swizzled>}}
  %0:2 = te.quantize %x {pow2_scales} : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  return
}

// -----

func.func @quantize_q12_epsilon(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q12) scales of 8 bits must have no epsilon, but got some for #te.scales<1 x 32, swizzled>}}
  %0:2 = te.quantize %x {epsilon = 0.5 : f32} : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  return
}

// -----

func.func @quantize_q13_missing(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q13) tensor_amax must come with values of f4E2M1FN, but got those alone}}
  %0:2 = te.quantize %x : tensor<128x256xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>
  return
}

// -----

func.func @quantize_q13_alone(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q13) tensor_amax_t must come with values of f4E2M1FN, but got it alone}}
  %0:4 = te.quantize %x : tensor<128x256xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<f32> tensor_amax_t tensor<f32>
  return
}

// -----

func.func @quantize_q13_shape(%x: tensor<128x256xbf16>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.quantize' op (Q13) tensor_amax must be 'tensor<2xf32>', but got 'tensor<f32>'}}
  %0:3 = te.quantize %x groups(%o : tensor<3xi32>) : tensor<128x256xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<f32>
  return
}

// -----

func.func @quantize_q14_fp8(%x: tensor<128x256xbf16>, %r: tensor<2xi64>) {
  // expected-error @+1 {{'te.quantize' op (Q14) rng must stand with values of f4E2M1FN, but got none}}
  %0:2 = te.quantize %x rng(%r : tensor<2xi64>) : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  return
}

// -----

func.func @quantize_q14_shape(%x: tensor<128x256xbf16>, %r: tensor<3xi64>) {
  // expected-error @+1 {{'te.quantize' op (Q14) rng must be 'tensor<2xi64>', but got 'tensor<3xi64>'}}
  %0:3 = te.quantize %x rng(%r : tensor<3xi64>) : tensor<128x256xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<f32>
  return
}

// -----

func.func @quantize_q14_stream(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q14) rng_stream must be at least 0, and 0 without rng, but got 1}}
  %0:3 = te.quantize %x {rng_stream = 1 : i64} : tensor<128x256xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<f32>
  return
}

// -----

func.func @quantize_q15_f32(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q15) square_blocks must stand with scales of 8 bits, but got #te.scales<1 x 128, compact>}}
  %0:2 = te.quantize %x {square_blocks} : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x2xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @quantize_q15_groups(%x: tensor<128x256xbf16>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.quantize' op (Q15) square_blocks must stand without groups, but got some}}
  %0:2 = te.quantize %x groups(%o : tensor<3xi32>) {square_blocks} : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  return
}

// -----

func.func @quantize_q16_rowwise(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q16) hadamard must stand with columnwise values of f4E2M1FN and an input of bf16, but got 'tensor<128x256xf4E2M1FN>'}}
  %0:3 = te.quantize %x {hadamard} : tensor<128x256xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<f32>
  return
}

// -----

func.func @quantize_q16_f32(%x: tensor<128x256xf32>) {
  // expected-error @+1 {{'te.quantize' op (Q16) hadamard must stand with columnwise values of f4E2M1FN and an input of bf16, but got 'tensor<128x256xf32>'}}
  %0:3 = te.quantize %x {hadamard} : tensor<128x256xf32> columnwise tensor<256x128xf4E2M1FN>, tensor<256x8xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax_t tensor<f32>
  return
}

// -----

func.func @quantize_q17(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.quantize' op (Q17) variant must be absent: the NVFP4 variants row_scaled and 4over6 are not supported, but got "4over6"}}
  %0:3 = te.quantize %x {variant = "4over6"} : tensor<128x256xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<f32>
  return
}

// -----

func.func @multi_m3_amax(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.multi_cast_transpose' op (M3) tensor_amax must come with values of f4E2M1FN, but got those alone}}
  %0:2 = te.multi_cast_transpose %x : tensor<128x256xbf16> -> tensor<128x256xf4E2M1FN> scales tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>
  return
}

// -----

func.func @multi_m3_square(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.multi_cast_transpose' op (M3) square_blocks must stand with scales of 8 bits, but got #te.scales<tensor>}}
  %0:2 = te.multi_cast_transpose %x {square_blocks} : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN> scales tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @multi_m1_amax(%x: tensor<128x256xbf16>) {
  // expected-error @+1 {{'te.multi_cast_transpose' op (M1) tensor_amax must be empty or have 2 entries, but got 1}}
  %0:5 = te.multi_cast_transpose %x, %x : tensor<128x256xbf16>, tensor<128x256xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x256xf4E2M1FN> scales tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<f32>
  return
}

// -----

func.func @dequantize_d4_amax(%q: tensor<128x256xf4E2M1FN>, %s: tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>) {
  // expected-error @+1 {{'te.dequantize' op (D4) values of f4E2M1FN must have blocks of 1 x 16 and an amax, others neither, but got 'f4E2M1FN' with #te.scales<1 x 16, swizzled> and none}}
  %0 = te.dequantize %q, %s : (tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>) -> tensor<128x256xbf16>
  return
}

// -----

func.func @dequantize_d4_blocks(%q: tensor<128x256xf8E4M3FN>, %s: tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>) {
  // expected-error @+1 {{'te.dequantize' op (D4) values of f4E2M1FN must have blocks of 1 x 16 and an amax, others neither, but got 'f8E4M3FN' with #te.scales<1 x 16, swizzled> and none}}
  %0 = te.dequantize %q, %s : (tensor<128x256xf8E4M3FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>) -> tensor<128x256xbf16>
  return
}

// -----

func.func @dequantize_d4_shape(%q: tensor<128x256xf4E2M1FN>, %s: tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, %a: tensor<2xf32>) {
  // expected-error @+1 {{'te.dequantize' op (D4) tensor_amax must be 'tensor<f32>', but got 'tensor<2xf32>'}}
  %0 = te.dequantize %q, %s amax(%a) : (tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<2xf32>) -> tensor<128x256xbf16>
  return
}

// -----

func.func @requantize_e3_fp4(%q: tensor<128x256xf8E4M3FN>, %s: tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>) {
  // expected-error @+1 {{'te.requantize' op (E3) input of 'f8E4M3FN' must have no blocks of 1 x 16, but got #te.scales<1 x 16, swizzled>}}
  %0:2 = te.requantize %q, %s via bf16 : tensor<128x256xf8E4M3FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>> -> tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  return
}

// -----

func.func @requantize_e4_options(%q: tensor<128x256xf8E4M3FN>, %s: tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>) {
  // expected-error @+1 {{'te.requantize' op (E4) scales of 8 bits must have no pow2_scales, but got some for #te.scales<1 x 32, swizzled>}}
  %0:2 = te.requantize %q, %s via bf16 {pow2_scales} : tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>> -> tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  return
}

// -----

func.func @swiglu_quantize_sq5_blocks(%x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu_quantize' op (SQ5) values of 'f8E4M3FN' must have no blocks of 1 x 16, but got #te.scales<1 x 16, swizzled>}}
  %0:2 = te.swiglu_quantize %x : tensor<128x512xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>
  return
}

// -----

func.func @swiglu_quantize_fp4(%x: tensor<128x512xbf16>) {
  // expected-error @+1 {{'te.swiglu_quantize' op result #0 must be ranked tensor of f8E4M3FN type or f8E5M2 type values, but got 'tensor<128x256xf4E2M1FN>'}}
  %0:2 = te.swiglu_quantize %x : tensor<128x512xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>
  return
}

// -----

func.func @permute_quantize_fp4(%x: tensor<64x256xbf16>, %m: tensor<64x2xi32>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.permute_quantize' op result #0 must be ranked tensor of f8E4M3FN type or f8E5M2 type values, but got 'tensor<128x256xf4E2M1FN>'}}
  %0:2 = te.permute_quantize %x rows(%m : tensor<64x2xi32>) groups(%o : tensor<3xi32>) : tensor<64x256xbf16> -> tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>
  return
}

// -----

func.func @dispatch_y2_padded(%x: tensor<96x8xf8E8M0FNU, #te.scales<1 x 32, compact>>, %h: tensor<96x2xi32>) {
  // expected-error @+1 {{'te.dispatch' op (Y2) input must have the 128 rows of handle, but got 'tensor<96x8xf8E8M0FNU, #te.scales<1 x 32, compact>>'}}
  %0 = te.dispatch %x by %h : tensor<96x8xf8E8M0FNU, #te.scales<1 x 32, compact>> by tensor<96x2xi32> -> tensor<192x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
  return
}

// -----

func.func @gemm_g4_mxfp8(%a: tensor<128x256xf8E4M3FN>, %s: tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, %c: tensor<512x256xf8E4M3FN>, %u: tensor<256x16xf8E8M0FNU, #te.scales<32 x 1, swizzled>>) {
  // expected-error @+1 {{'te.gemm' op (G4) rhs of blocks of 32 x 1 must be transposed, but got no transpose_rhs}}
  %0 = te.gemm %a scales(%s), %c scales(%u) : (tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, tensor<512x256xf8E4M3FN>, tensor<256x16xf8E8M0FNU, #te.scales<32 x 1, swizzled>>) -> tensor<128x512xbf16>
  return
}

// -----

func.func @gemm_g6_compact(%a: tensor<128x256xf8E4M3FN>, %s: tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, %t: tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>) {
  // expected-error @+1 {{'te.gemm' op (G6) scales must both be <tensor>, or gemm_ready with at most one square block, or swizzled of one recipe, but got #te.scales<1 x 32, swizzled> and #te.scales<1 x 32, compact>}}
  %0 = te.gemm %a scales(%s), %a scales(%t) : (tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>) -> tensor<128x128xbf16>
  return
}

// -----

func.func @gemm_g6_recipes(%a: tensor<128x256xf8E4M3FN>, %s: tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, %b: tensor<128x256xf4E2M1FN>, %t: tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, %m: tensor<f32>) {
  // expected-error @+1 {{'te.gemm' op (G6) scales must both be <tensor>, or gemm_ready with at most one square block, or swizzled of one recipe, but got #te.scales<1 x 32, swizzled> and #te.scales<1 x 16, swizzled>}}
  %0 = te.gemm %a scales(%s), %b scales(%t) amax(%m) : (tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<f32>) -> tensor<128x128xbf16>
  return
}

// -----

func.func @gemm_g10_missing(%b: tensor<128x256xf4E2M1FN>, %t: tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, %m: tensor<f32>) {
  // expected-error @+1 {{'te.gemm' op (G10) lhs of 'f4E2M1FN' must have amax, but got none}}
  %0 = te.gemm %b scales(%t), %b scales(%t) amax(%m) : (tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<f32>) -> tensor<128x128xbf16>
  return
}

// -----

func.func @gemm_g10_fp8(%a: tensor<128x256xf8E4M3FN>, %s: tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, %m: tensor<f32>) {
  // expected-error @+1 {{'te.gemm' op (G10) rhs of 'f8E4M3FN' must have no amax, but got some}}
  %0 = te.gemm %a scales(%s), %a scales(%s) amax(%m) : (tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, tensor<f32>) -> tensor<128x128xbf16>
  return
}

// -----

func.func @gemm_g10_blocks(%a: tensor<128x256xf8E4M3FN>, %s: tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, %t: tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>) {
  // expected-error @+1 {{'te.gemm' op (G10) rhs of 'f8E4M3FN' must have no blocks of 1 x 16, but got some}}
  %0 = te.gemm %a scales(%s), %a scales(%t) : (tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, tensor<128x256xf8E4M3FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>) -> tensor<128x128xbf16>
  return
}

// -----

func.func @gemm_g10_shape(%b: tensor<128x256xf4E2M1FN>, %t: tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, %m: tensor<f32>, %o: tensor<3xi32, #te.host>, %y: tensor<128x128xbf16>) {
  // expected-error @+1 {{'te.gemm' op (G10) lhs_amax must be 'tensor<2xf32>', but got 'tensor<f32>'}}
  %0 = te.gemm %b scales(%t) amax(%m), %b scales(%t) amax(%m) groups(%o) member 0 over rows outs(%y) : (tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<f32>, tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<f32>, tensor<3xi32, #te.host>, tensor<128x128xbf16>) -> tensor<128x128xbf16>
  return
}

// -----

func.func @grouped_gemm_gg1_amax(%b: tensor<128x256xf4E2M1FN>, %t: tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, %m: tensor<2xf32>, %n: tensor<f32>, %o: tensor<3xi32>) {
  // expected-error @+1 {{'te.grouped_gemm' op (GG1) rhs_amax must be empty or as rhs, but got 1 for 2}}
  %0 = te.grouped_gemm %b scales(%t) amax(%m), %b, %b scales(%t, %t) amax(%n) groups(%o) over rows : (tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<2xf32>, tensor<128x256xf4E2M1FN>, tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<f32>, tensor<3xi32>) -> tensor<128x128xbf16>
  return
}

// -----

func.func @advance_rng_ar1(%r: tensor<4x3xi64>) {
  // expected-error @+1 {{'te.advance_rng' op (AR1) rng must be of the shape 2 or N x 2, but got 'tensor<4x3xi64>'}}
  %0 = te.advance_rng %r by 2 : tensor<4x3xi64>
  return
}

// -----

func.func @advance_rng_ar2(%r: tensor<4x2xi64>) {
  // expected-error @+1 {{'te.advance_rng' op (AR2) by must be at least 0, but got -1}}
  %0 = te.advance_rng %r by -1 : tensor<4x2xi64>
  return
}
