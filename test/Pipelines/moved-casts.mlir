// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Casts that take over what moves or decodes their rows: the bits of all results are
// those of the program as it is given. Forms that te-gen does not print.
//
// RUN: te-opt %s --te-optimize | FileCheck %s --implicit-check-not=te.dequantize \
// RUN:   --implicit-check-not='te.permute %'
// RUN: te-run %s --check | FileCheck %s --check-prefix=EXACT
// RUN: te-run %s --check --routing=one-expert --seed=2 | FileCheck %s --check-prefix=EXACT
// RUN: te-run %s --check --routing=empty-experts --seed=3 | FileCheck %s --check-prefix=EXACT

#compact = #te.scales<1 x 128, compact>
#in_place = #te.scales<128 x 1, compact, groups = 4>
#tensor = #te.scales<tensor>
#tensor4 = #te.scales<tensor, groups = 4>

// CHECK:     te.permute_quantize {{.*}} out_probs
// CHECK:     te.permute_quantize {{.*}} columnwise
// CHECK:     te.requantize {{.*}} via f32 {{.*}} amax_out
// CHECK:     te.requantize {{.*}} via bf16

// EXACT-COUNT-9: {{ exact }}
// EXACT: check: 9 results
func.func @step(%x: tensor<96x200xf32> {te.name = "x", te.init = #te.init<normal>},
                %h: tensor<96x200xbf16> {te.name = "h", te.init = #te.init<normal, deviation = 0.01 : f64>},
                %i: tensor<96x2xi32> {te.name = "indices", te.init = #te.init<routing, experts = 4>},
                %p: tensor<96x2xf32> {te.name = "p", te.init = #te.init<probs>},
                %scale: tensor<4xf32> {te.name = "scale", te.init = #te.init<normal>})
    -> (tensor<192x200xf8E5M2> {te.name = "current"}, tensor<4xf32, #tensor4> {te.name = "current_scales"},
        tensor<192xf32> {te.name = "probs"},
        tensor<192x200xf8E4M3FN> {te.name = "in_place"}, tensor<192x2xf32, #compact> {te.name = "in_place_scales"},
        tensor<192x200xf8E4M3FN> {te.name = "delayed"}, tensor<4xf32> {te.name = "amax"},
        tensor<96x200xf8E4M3FN> {te.name = "ungrouped"}, tensor<96x2xf32, #compact> {te.name = "ungrouped_scales"}) {
  %map, %n, %o = te.routing_map %i {capacity = 192 : i64} : tensor<96x2xi32> -> tensor<96x2xi32>, tensor<4xi32>, tensor<5xi32>

  // No padding, F32, the amax of each group.
  %y, %yp = te.permute %x probs(%p) rows(%map) : (tensor<96x200xf32>, tensor<96x2xf32>, tensor<96x2xi32>) -> (tensor<192x200xf32>, tensor<192xf32>)
  %a:2 = te.quantize %y groups(%o : tensor<5xi32>) : tensor<192x200xf32> -> tensor<192x200xf8E5M2>, tensor<4xf32, #tensor4>

  // Both directions, columnwise not transposed.
  %z = te.permute %h rows(%map) : (tensor<96x200xbf16>, tensor<96x2xi32>) -> tensor<192x200xbf16>
  %b:4 = te.quantize %z groups(%o : tensor<5xi32>) {pow2_scales} : tensor<192x200xbf16>
    -> tensor<192x200xf8E4M3FN>, tensor<192x2xf32, #compact> columnwise tensor<192x200xf8E4M3FN>, tensor<5x200xf32, #in_place>

  // From blocks along the columns, to given scales.
  %v = te.dequantize %b#2, %b#3 groups(%o) : (tensor<192x200xf8E4M3FN>, tensor<5x200xf32, #in_place>, tensor<5xi32>) -> tensor<192x200xf32>
  %c:3 = te.quantize %v scale(%scale : tensor<4xf32>) amax(%scale : tensor<4xf32>) groups(%o : tensor<5xi32>)
    : tensor<192x200xf32> -> tensor<192x200xf8E4M3FN>, tensor<4xf32, #tensor4> amax_out tensor<4xf32>

  // From one scale for all, without groups.
  %q:2 = te.quantize %h : tensor<96x200xbf16> -> tensor<96x200xf8E5M2>, tensor<f32, #tensor>
  %w = te.dequantize %q#0, %q#1 : (tensor<96x200xf8E5M2>, tensor<f32, #tensor>) -> tensor<96x200xbf16>
  %d:2 = te.quantize %w {pow2_scales} : tensor<96x200xbf16> -> tensor<96x200xf8E4M3FN>, tensor<96x2xf32, #compact>

  return %a#0, %a#1, %yp, %b#0, %b#1, %c#0, %c#2, %d#0, %d#1 : tensor<192x200xf8E5M2>, tensor<4xf32, #tensor4>, tensor<192xf32>,
    tensor<192x200xf8E4M3FN>, tensor<192x2xf32, #compact>, tensor<192x200xf8E4M3FN>, tensor<4xf32>, tensor<96x200xf8E4M3FN>, tensor<96x2xf32, #compact>
}
