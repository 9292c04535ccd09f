// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-trim-usages | FileCheck %s
// RUN: te-opt %s -te-trim-usages -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-trim-usages | FileCheck %s --check-prefix=REMARK

#block = #te.scales<128 x 128, gemm_ready>
#row = #te.scales<1 x 128, gemm_ready>
#column = #te.scales<1 x 128, gemm_ready, groups = 2>
#tensor = #te.scales<tensor>

ml_program.global private mutable @work : tensor<128x256xf8E4M3FN>

// CHECK-LABEL: func @columnwise(
// CHECK-SAME:      %[[W:.*]]: tensor<256x128xbf16>, %[[Q:.*]]: tensor<256x128xf8E4M3FN>, %[[S:.*]]: tensor<2x4xf32
// CHECK-NEXT:    %[[R:.*]], %[[RS:.*]] = te.quantize %[[W]] outs(%[[Q]], %[[S]] :
// CHECK-NOT:     columnwise
// CHECK:         return %[[R]], %[[RS]]
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Passed] TrimUsages{{.*}}nobody reads columnwise
func.func @columnwise(%w: tensor<256x128xbf16>, %q: tensor<256x128xf8E4M3FN>, %s: tensor<2x4xf32, #block>)
    -> (tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>) {
  %qt = ml_program.global_load @work : tensor<128x256xf8E4M3FN>
  %st = tensor.empty() : tensor<1x4xf32, #block>
  %r:4 = te.quantize %w outs(%q, %s, %qt, %st : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>, tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #block>)
    : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block> columnwise tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #block>
  return %r#0, %r#1 : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
}

// A direction goes from all of a chain. Scales alone are reason enough to keep one.
// CHECK-LABEL: func @chain(
// CHECK-SAME:      %[[X:.*]]: tensor<96x256xbf16>, %[[H:.*]]: tensor<3xi32, #te.host>)
// CHECK-NEXT:    %[[VT:.*]] = tensor.empty() : tensor<256x96xf8E4M3FN>
// CHECK-NEXT:    %[[ST:.*]] = tensor.empty() : tensor<2x256xf32,
// CHECK-NEXT:    %[[A:.*]], %[[AS:.*]] = te.quantize %[[X]] groups(%[[H]] : {{.*}}) member 0 outs(%[[VT]], %[[ST]] :
// CHECK-NEXT:    %[[B:.*]], %[[BS:.*]] = te.quantize %[[X]] groups(%[[H]] : {{.*}}) member 1 outs(%[[A]], %[[AS]] :
// CHECK-NEXT:    return %[[BS]]
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Passed] TrimUsages{{.*}}nobody reads rowwise
// REMARK-DAG: [[#@LINE+9]]:{{.*}}[Passed] TrimUsages{{.*}}nobody reads rowwise
func.func @chain(%x: tensor<96x256xbf16>, %h: tensor<3xi32, #te.host>) -> tensor<2x256xf32, #column> {
  %v = tensor.empty() : tensor<96x256xf8E4M3FN>
  %s = tensor.empty() : tensor<2x96xf32, #row>
  %vt = tensor.empty() : tensor<256x96xf8E4M3FN>
  %st = tensor.empty() : tensor<2x256xf32, #column>
  %a:4 = te.quantize %x groups(%h : tensor<3xi32, #te.host>) member 0
    outs(%v, %s, %vt, %st : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>)
    : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row> columnwise tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>
  %b:4 = te.quantize %x groups(%h : tensor<3xi32, #te.host>) member 1
    outs(%a#0, %a#1, %a#2, %a#3 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>)
    : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row> columnwise tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>
  return %b#3 : tensor<2x256xf32, #column>
}

// Columnwise data of one entry is read, rowwise data of none (a dead view reads
// nothing).
// CHECK-LABEL: func @multi(
// CHECK-SAME:      %[[A:.*]]: tensor<2x256x128xbf16>, %[[B:.*]]: tensor<128x128xbf16>)
// CHECK-NEXT:    %[[T:.*]]:2, %[[ST:.*]]:2 = te.multi_cast_transpose %[[A]], %[[B]] : {{.*}} columnwise
// CHECK-NEXT:    return %[[T]]#1
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] TrimUsages{{.*}}nobody reads rowwise
func.func @multi(%a: tensor<2x256x128xbf16>, %b: tensor<128x128xbf16>) -> tensor<128x128xf8E4M3FN> {
  %q:2, %s:2, %t:2, %st:2 = te.multi_cast_transpose %a, %b : tensor<2x256x128xbf16>, tensor<128x128xbf16>
    -> tensor<2x256x128xf8E4M3FN>, tensor<128x128xf8E4M3FN> scales tensor<2x2x4xf32, #block>, tensor<1x4xf32, #block>
    columnwise tensor<2x128x256xf8E4M3FN>, tensor<128x128xf8E4M3FN> scales tensor<2x1x4xf32, #block>, tensor<1x4xf32, #block>
  %dead = te.member %q#0[1] : tensor<2x256x128xf8E4M3FN> -> tensor<256x128xf8E4M3FN>
  return %t#1 : tensor<128x128xf8E4M3FN>
}

// An amax that is read keeps the op, with one direction, which it must have.
// CHECK-LABEL: func @keep_amax(
// CHECK-NEXT:    %{{.*}}, %{{.*}}, %[[M:.*]] = te.quantize %{{.*}} amax(%{{.*}} : tensor<f32>) :
// CHECK-NOT:     columnwise
// CHECK:         return %[[M]]
func.func @keep_amax(%w: tensor<64x32xbf16>, %a: tensor<f32>) -> tensor<f32> {
  %r:5 = te.quantize %w amax(%a : tensor<f32>) : tensor<64x32xbf16>
    -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor> columnwise tensor<32x64xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
  return %r#4 : tensor<f32>
}

// CHECK-LABEL: func @unread_amax(
// CHECK-NEXT:    %[[Q:.*]], %{{.*}} = te.quantize %{{.*}} : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<f32, #te.scales<tensor>>{{$}}
// CHECK-NEXT:    return %[[Q]]
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] TrimUsages{{.*}}nobody reads amax_out
func.func @unread_amax(%w: tensor<64x32xbf16>, %a: tensor<f32>) -> tensor<64x32xf8E4M3FN> {
  %q, %s, %m = te.quantize %w amax(%a : tensor<f32>) : tensor<64x32xbf16>
    -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
  return %q : tensor<64x32xf8E4M3FN>
}

// CHECK-LABEL: func @unread(
// CHECK-NEXT:    return
func.func @unread(%w: tensor<256x128xbf16>) {
  %q, %s = te.quantize %w : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  return
}

// Both are read: nothing changes.
// CHECK-LABEL: func @keep_both(
// CHECK:         te.quantize {{.*}} -> {{.*}} columnwise
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Missed] TrimUsages{{.*}}Reason="func.return {{.*}} reads it rowwise, and func.return {{.*}} columnwise"
func.func @keep_both(%w: tensor<256x128xbf16>) -> (tensor<256x128xf8E4M3FN>, tensor<1x4xf32, #block>) {
  %q, %s, %t, %st = te.quantize %w : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
    columnwise tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #block>
  return %q, %st : tensor<256x128xf8E4M3FN>, tensor<1x4xf32, #block>
}

// What a product that is activated and cast gives beside is no direction: it goes by
// itself.
// CHECK-LABEL: func @product(
// CHECK-NEXT:    %[[Q:.*]], %{{.*}} = te.grouped_gemm_swiglu_quantize %{{.*}} {epsilon = 1.000000e+00 : f32} : {{.*}} -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #{{.*}}>{{$}}
// CHECK-NEXT:    return %[[Q]]
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Passed] TrimUsages{{.*}}nobody reads columnwise{{.*}}nobody reads product
func.func @product(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>,
    %ws: tensor<2x4x4xf32, #block>, %o: tensor<3xi32>) -> tensor<128x256xf8E4M3FN> {
  %q, %s, %qt, %st, %h = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #row>),
    %w scales(%ws : tensor<2x4x4xf32, #block>) groups(%o : tensor<3xi32>) {epsilon = 1.0 : f32}
    : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN>
    -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #row> columnwise tensor<256x128xf8E4M3FN>, tensor<3x256xf32, #column>
    product tensor<128x512xbf16>
  return %q : tensor<128x256xf8E4M3FN>
}

// The product alone keeps the op, with one direction.
// CHECK-LABEL: func @keep_product(
// CHECK-NEXT:    %{{.*}}, %{{.*}}, %[[H:.*]] = te.grouped_gemm_swiglu_quantize {{.*}} -> {{.*}} product tensor<128x512xbf16>
// CHECK-NEXT:    return %[[H]]
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] TrimUsages{{.*}}its product is read, and it must have a direction
func.func @keep_product(%x: tensor<128x256xf8E4M3FN>, %xs: tensor<2x128xf32, #row>, %w: tensor<2x512x256xf8E4M3FN>,
    %ws: tensor<2x4x4xf32, #block>, %o: tensor<3xi32>) -> tensor<128x512xbf16> {
  %q, %s, %qt, %st, %h = te.grouped_gemm_swiglu_quantize %x scales(%xs : tensor<2x128xf32, #row>),
    %w scales(%ws : tensor<2x4x4xf32, #block>) groups(%o : tensor<3xi32>)
    : tensor<128x256xf8E4M3FN> by tensor<2x512x256xf8E4M3FN>
    -> tensor<128x256xf8E4M3FN>, tensor<2x128xf32, #row> columnwise tensor<256x128xf8E4M3FN>, tensor<3x256xf32, #column>
    product tensor<128x512xbf16>
  return %h : tensor<128x512xbf16>
}
