// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mistakes that frameworks made with grouped tensors, and that cannot be written here:
// what the types refuse. What they compute is in test/Pipelines/group-findings.test.
//
// RUN: te-opt %s -split-input-file -verify-diagnostics

// One slot of state for the whole group. The state of a group is indexed by member: a
// scalar is refused, by the cast of a packed weight, by that of rows, by the update.

func.func @one_slot_weights(%w: tensor<4x16x256xbf16>, %s: tensor<f32>) {
  // expected-error @+1 {{(M2) scale must be 'tensor<4xf32>', but got 'tensor<f32>'}}
  %0:2 = te.multi_cast_transpose %w scale(%s : tensor<f32>) : tensor<4x16x256xbf16> -> tensor<4x16x256xf8E4M3FN> scales tensor<4xf32, #te.scales<tensor>>
  return
}

// -----

func.func @one_slot_rows(%x: tensor<16x256xbf16>, %o: tensor<9xi32>, %s: tensor<f32>) {
  // expected-error @+1 {{(Q7) scale must be 'tensor<8xf32>', but got 'tensor<f32>'}}
  %0:2 = te.quantize %x scale(%s : tensor<f32>) groups(%o : tensor<9xi32>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>
  return
}

// -----

func.func @one_slot_amax(%x: tensor<16x256xbf16>, %o: tensor<9xi32>, %s: tensor<8xf32>, %a: tensor<f32>) {
  // expected-error @+1 {{(Q8) amax must be 'tensor<8xf32>', but got 'tensor<f32>'}}
  %0:3 = te.quantize %x scale(%s : tensor<8xf32>) amax(%a : tensor<f32>) groups(%o : tensor<9xi32>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>> amax_out tensor<f32>
  return
}

// -----

func.func @one_slot_history(%a: tensor<8xf32>, %h: tensor<16xf32>) {
  // expected-error @+1 {{(U2) history must have the shape of scale and one more dimension of at least 1, but got 'tensor<16xf32>' for 'tensor<8xf32>'}}
  %0:2 = te.update_scales amax(%a) history(%h) scale(%a) {fp8_max = 448.0 : f32} : (tensor<8xf32>, tensor<16xf32>, tensor<8xf32>) -> (tensor<16xf32>, tensor<8xf32>)
  return
}

// -----

// State of the full group used for one member. Its length is part of the type: E for
// the group, none for a member, whether the op works on one or has a view of it.

func.func @group_state_for_member_op(%x: tensor<16x256xbf16>, %o: tensor<9xi32, #te.host>, %s: tensor<8xf32>, %q: tensor<16x256xf8E4M3FN>, %t: tensor<8xf32, #te.scales<tensor, groups = 8>>) {
  // expected-error @+1 {{(Q7) scale must be 'tensor<f32>', but got 'tensor<8xf32>'}}
  %0:2 = te.quantize %x scale(%s : tensor<8xf32>) groups(%o : tensor<9xi32, #te.host>) member 3 outs(%q, %t : tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>)
    : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<8xf32, #te.scales<tensor, groups = 8>>
  return
}

// -----

func.func @group_state_for_member_view(%w: tensor<4x16x256xbf16>, %s: tensor<4xf32>) {
  %w1 = te.member %w[1] : tensor<4x16x256xbf16> -> tensor<16x256xbf16>
  // expected-error @+1 {{(Q7) scale must be 'tensor<f32>', but got 'tensor<4xf32>'}}
  %0:2 = te.quantize %w1 scale(%s : tensor<4xf32>) : tensor<16x256xbf16> -> tensor<16x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @state_of_another_length(%w: tensor<4x16x256xbf16>, %s: tensor<3xf32>) {
  // expected-error @+1 {{(Q7) scale must be 'tensor<4xf32>', but got 'tensor<3xf32>'}}
  %0:2 = te.quantize %w scale(%s : tensor<3xf32>) : tensor<4x16x256xbf16> -> tensor<4x16x256xf8E4M3FN>, tensor<4xf32, #te.scales<tensor>>
  return
}

// -----

// Scale shapes taken from member 0 alone. All members agree in what decides a shape,
// and the error names the one that does not: element type, block, layout.

func.func @member_of_another_dtype(%a: tensor<128x256xf8E4M3FN>, %b: tensor<128x256xf8E5M2>) {
  // expected-error @+1 {{(P1) member 1 must be 'tensor<128x256xf8E4M3FN>', but got 'tensor<128x256xf8E5M2>'}}
  %0 = "te.pack"(%a, %b) : (tensor<128x256xf8E4M3FN>, tensor<128x256xf8E5M2>) -> tensor<2x128x256xf8E4M3FN>
  return
}

// -----

func.func @member_of_another_block(%a: tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>, %b: tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>) {
  // expected-error @+1 {{(P1) member 2 must be 'tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>', but got 'tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>'}}
  %0 = "te.pack"(%a, %a, %b) : (tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>) -> tensor<3x1x4xf32, #te.scales<128 x 128, gemm_ready>>
  return
}

// -----

func.func @member_of_another_layout(%a: tensor<128x128xf32, #te.scales<1 x 128, compact>>, %b: tensor<128x128xf32, #te.scales<1 x 128, gemm_ready>>) {
  // expected-error @+1 {{(P1) member 1 must be 'tensor<128x128xf32, #te.scales<1 x 128, compact>>', but got 'tensor<128x128xf32, #te.scales<1 x 128, gemm_ready>>'}}
  %0 = "te.pack"(%a, %b) : (tensor<128x128xf32, #te.scales<1 x 128, compact>>, tensor<128x128xf32, #te.scales<1 x 128, gemm_ready>>) -> tensor<2x128x128xf32, #te.scales<1 x 128, compact>>
  return
}

// -----

func.func @weight_of_another_recipe(%a: tensor<128x256xbf16>) {
  // expected-error @+1 {{(M4) scales of entry 2 must be #te.scales<128 x 128, gemm_ready>, but got #te.scales<1 x 128, gemm_ready>}}
  %0:6 = te.multi_cast_transpose %a, %a, %a : tensor<128x256xbf16>, tensor<128x256xbf16>, tensor<128x256xbf16>
    -> tensor<128x256xf8E4M3FN>, tensor<128x256xf8E4M3FN>, tensor<128x256xf8E4M3FN> scales tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<1x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<2x128xf32, #te.scales<1 x 128, gemm_ready>>
  return
}

// -----

func.func @weight_of_another_dtype(%a: tensor<128x256xbf16>) {
  // expected-error @+1 {{(M4) the element type of entry 1 must be 'f8E4M3FN', but got 'f8E5M2'}}
  %0:4 = te.multi_cast_transpose %a, %a : tensor<128x256xbf16>, tensor<128x256xbf16>
    -> tensor<128x256xf8E4M3FN>, tensor<128x256xf8E5M2> scales tensor<f32, #te.scales<tensor>>, tensor<f32, #te.scales<tensor>>
  return
}

// -----

func.func @operand_of_another_dtype(%x: tensor<96x256xf8E4M3FN>, %xs: tensor<2x96xf32, #te.scales<1 x 128, gemm_ready>>, %a: tensor<512x256xf8E4M3FN>, %b: tensor<512x256xf8E5M2>, %s: tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>, %o: tensor<3xi32>) {
  // expected-error @+1 {{(GG1) rhs 1 must be 'tensor<512x256xf8E4M3FN>', but got 'tensor<512x256xf8E5M2>'}}
  %y = te.grouped_gemm %x scales(%xs), %a, %b scales(%s, %s) groups(%o) over rows
    : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #te.scales<1 x 128, gemm_ready>>, tensor<512x256xf8E4M3FN>, tensor<512x256xf8E5M2>, tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<4x4xf32, #te.scales<128 x 128, gemm_ready>>, tensor<3xi32>) -> tensor<96x512xbf16>
  return
}

// -----

func.func @bias_of_another_dtype(%x: tensor<96x256xbf16>, %w: tensor<512x256xbf16>, %a: tensor<512xbf16>, %b: tensor<512xf32>, %o: tensor<3xi32>) {
  // expected-error @+1 {{(GG1) bias 1 must be 'tensor<512xbf16>', but got 'tensor<512xf32>'}}
  %y = te.grouped_gemm %x, %w, %w bias(%a, %b) groups(%o) over rows
    : (tensor<96x256xbf16>, tensor<512x256xbf16>, tensor<512x256xbf16>, tensor<512xbf16>, tensor<512xf32>, tensor<3xi32>) -> tensor<96x512xbf16>
  return
}

// -----

// An in-place op that returns nothing. An op that writes into a destination gives its new
// content as a value of the same type: there is no form without.

func.func @in_place_without_value(%x: tensor<16x256xbf16>, %all: tensor<4x16x256xbf16>) {
  // expected-error @+1 {{'te.insert_member' op requires one result}}
  "te.insert_member"(%x, %all) <{index = 2 : i64}> : (tensor<16x256xbf16>, tensor<4x16x256xbf16>) -> ()
  return
}

// -----

func.func @in_place_without_value_again(%x: tensor<16x256xbf16>, %y: tensor<16x16xf32>) {
  // expected-error @+1 {{'te.gemm' op requires one result}}
  "te.gemm"(%x, %x, %y) : (tensor<16x256xbf16>, tensor<16x256xbf16>, tensor<16x16xf32>) -> ()
  return
}

// -----

func.func @in_place_of_another_type(%x: tensor<96x256xbf16>, %w: tensor<512x256xbf16>, %y: tensor<96x512xf32>) {
  // expected-error @+1 {{destination 0 must be 'tensor<96x512xbf16>', but got 'tensor<96x512xf32>'}}
  %0 = te.gemm %x, %w outs(%y) {accumulate} : (tensor<96x256xbf16>, tensor<512x256xbf16>, tensor<96x512xf32>) -> tensor<96x512xbf16>
  return
}

// -----

// A list of quantizers. A group has one recipe: there is no place for one a member.

func.func @recipe_of_each_member(%w: tensor<2x16x256xbf16>) {
  // expected-error @+1 {{attribute 'pow2_scales' failed to satisfy constraint: unit attribute}}
  %0:2 = te.multi_cast_transpose %w {pow2_scales = [unit, unit]} : tensor<2x16x256xbf16> -> tensor<2x16x256xf8E4M3FN> scales tensor<2xf32, #te.scales<tensor>>
  return
}

// -----

// A swizzle that re-pointed the buffer. A workspace keeps its type, with the layout of
// its scales, and so its place.

ml_program.global private mutable @w.scales : tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>

func.func @another_layout_in_place(%s: tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>) {
  %z = te.convert_scales %s of [128, 256] : tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>> -> tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  // expected-error @+1 {{cannot store to a global typed 'tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>' from 'tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>'}}
  ml_program.global_store @w.scales = %z : tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  return
}
