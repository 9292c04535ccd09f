// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-remove-scale-transposes | FileCheck %s
// RUN: te-opt %s -te-remove-scale-transposes -o /dev/null --remark-policy=all \
// RUN:   --remarks-filter=te-remove-scale-transposes 2>&1 | FileCheck %s --check-prefix=REMARK

#compact = #te.scales<1 x 128, compact>
#ready = #te.scales<1 x 128, gemm_ready>
#square = #te.scales<128 x 128, gemm_ready>

// The five of an FP8 dispatch: all go.
// CHECK-LABEL: func @dispatch(
// CHECK-NOT:     te.convert_scales
// CHECK:         %[[Q:.*]], %[[S:.*]] = te.quantize {{.*}} -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #te.scales<1 x 128, compact>>
// CHECK-NEXT:    %[[R:.*]]:2 = te.dispatch %[[Q]], %[[S]] by
// CHECK-NEXT:    %[[P:.*]], %[[PS:.*]] = te.permute %[[R]]#0 scales(%[[R]]#1)
// CHECK-NEXT:    te.dequantize %[[P]], %[[PS]]
// CHECK-NEXT:    return
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Passed] RemoveScaleTransposes{{.*}}BytesSaved=1536
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Passed] RemoveScaleTransposes{{.*}}BytesSaved=12288
func.func @dispatch(%x: tensor<96x256xbf16>, %handle: tensor<96x2xi32>, %map: tensor<192x8xi32>) -> tensor<768x256xbf16> {
  %q, %s = te.quantize %x : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #ready>
  %c1 = te.convert_scales %s of [96, 256] : tensor<2x96xf32, #ready> -> tensor<96x2xf32, #compact>
  %r, %rs = te.dispatch %q, %c1 by %handle : tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact> by tensor<96x2xi32> -> tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #compact>
  %c3 = te.convert_scales %rs of [192, 256] : tensor<192x2xf32, #compact> -> tensor<2x192xf32, #ready>
  %c4 = te.convert_scales %c3 of [192, 256] : tensor<2x192xf32, #ready> -> tensor<192x2xf32, #compact>
  %p, %ps = te.permute %r scales(%c4) rows(%map) : (tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #compact>, tensor<192x8xi32>) -> (tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>)
  %c5 = te.convert_scales %ps of [768, 256] : tensor<768x2xf32, #compact> -> tensor<2x768xf32, #ready>
  %c6 = te.convert_scales %c5 of [768, 256] : tensor<2x768xf32, #ready> -> tensor<768x2xf32, #compact>
  %y = te.dequantize %p, %c6 : (tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>) -> tensor<768x256xbf16>
  return %y : tensor<768x256xbf16>
}

// Permute writes what the product reads, while it reads what came.
// CHECK-LABEL: func @permute_for_a_product(
// CHECK-NEXT:    te.permute {{.*}} -> (tensor<768x256xf8E4M3FN>, tensor<2x768xf32, #te.scales<1 x 128, gemm_ready>>)
// CHECK-NEXT:    te.gemm
func.func @permute_for_a_product(%q: tensor<96x256xf8E4M3FN>, %s: tensor<96x2xf32, #compact>, %map: tensor<96x8xi32>, %w: tensor<128x256xf8E4M3FN>, %ws: tensor<1x4xf32, #square>) -> tensor<768x128xbf16> {
  %p, %ps = te.permute %q scales(%s) rows(%map) : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>, tensor<96x8xi32>) -> (tensor<768x256xf8E4M3FN>, tensor<768x2xf32, #compact>)
  %c = te.convert_scales %ps of [768, 256] : tensor<768x2xf32, #compact> -> tensor<2x768xf32, #ready>
  %y = te.gemm %p scales(%c), %w scales(%ws) : (tensor<768x256xf8E4M3FN>, tensor<2x768xf32, #ready>, tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #square>) -> tensor<768x128xbf16>
  return %y : tensor<768x128xbf16>
}

// One reader needs each layout: one conversion stays, where there were two.
// CHECK-LABEL: func @two_readers(
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = te.quantize
// CHECK-NEXT:    %[[C:.*]] = te.convert_scales %[[S]]
// CHECK-NOT:     te.convert_scales
// CHECK:         te.gemm
// CHECK:         te.gemm
// CHECK:         te.dispatch
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] RemoveScaleTransposes{{.*}}te.dispatch at {{.*}} reads compact scales and te.gemm at {{.*}} reads gemm_ready
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Passed] RemoveScaleTransposes
func.func @two_readers(%x: tensor<96x256xbf16>, %handle: tensor<96x2xi32>, %w: tensor<128x256xf8E4M3FN>, %ws: tensor<1x4xf32, #square>) -> (tensor<192x2xf32, #compact>, tensor<96x128xbf16>, tensor<96x128xbf16>) {
  %q, %s = te.quantize %x : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
  %c1 = te.convert_scales %s of [96, 256] : tensor<96x2xf32, #compact> -> tensor<2x96xf32, #ready>
  %y = te.gemm %q scales(%c1), %w scales(%ws) : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #ready>, tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #square>) -> tensor<96x128xbf16>
  %c2 = te.convert_scales %s of [96, 256] : tensor<96x2xf32, #compact> -> tensor<2x96xf32, #ready>
  %z = te.gemm %q scales(%c2), %w scales(%ws) : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #ready>, tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #square>) -> tensor<96x128xbf16>
  %r, %rs = te.dispatch %q, %s by %handle : tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact> by tensor<96x2xi32> -> tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #compact>
  return %rs, %y, %z : tensor<192x2xf32, #compact>, tensor<96x128xbf16>, tensor<96x128xbf16>
}

// Of two conversions, the one of fewer bytes stays: 96 rows, not 768.
// CHECK-LABEL: func @convert_where_it_is_small(
// CHECK-NEXT:    %[[C:.*]] = te.convert_scales %{{.*}} of [96, 256]
// CHECK-NEXT:    tensor.empty() : tensor<8x2x96xf32
// CHECK-NEXT:    te.insert_member %[[C]]
// CHECK-NEXT:    te.member
// CHECK-NEXT:    return
func.func @convert_where_it_is_small(%s: tensor<96x2xf32, #compact>, %all: tensor<8x2x96xf32, #ready>) -> (tensor<2x96xf32, #ready>, tensor<8x2x96xf32, #ready>) {
  %e = tensor.empty() : tensor<8x96x2xf32, #compact>
  %p = te.insert_member %s into %e[3] : tensor<96x2xf32, #compact> -> tensor<8x96x2xf32, #compact>
  %c = te.convert_scales %p of [96, 256] : tensor<8x96x2xf32, #compact> -> tensor<8x2x96xf32, #ready>
  %m = te.member %c[3] : tensor<8x2x96xf32, #ready> -> tensor<2x96xf32, #ready>
  return %m, %c : tensor<2x96xf32, #ready>, tensor<8x2x96xf32, #ready>
}

// What a loop carries changes its layout all the way round.
// CHECK-LABEL: func @loop(
// CHECK-NOT:     te.convert_scales
// CHECK:         scf.for {{.*}} -> (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #te.scales<1 x 128, compact>>)
// CHECK-NOT:     te.convert_scales
// CHECK:         te.dispatch
// CHECK-NOT:     te.convert_scales
func.func @loop(%x: tensor<4x96x256xbf16>, %handle: tensor<96x2xi32>) -> tensor<192x2xf32, #compact> {
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %one = arith.constant 1 : index
  %e = tensor.empty() : tensor<96x256xf8E4M3FN>
  %es = tensor.empty() : tensor<2x96xf32, #ready>
  %q:2 = scf.for %i = %zero to %four step %one iter_args(%v = %e, %s = %es) -> (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #ready>) {
    %m = te.member %x[%i] : tensor<4x96x256xbf16> -> tensor<96x256xbf16>
    %r:2 = te.quantize %m outs(%v, %s : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #ready>) : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #ready>
    scf.yield %r#0, %r#1 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #ready>
  }
  %c = te.convert_scales %q#1 of [96, 256] : tensor<2x96xf32, #ready> -> tensor<96x2xf32, #compact>
  %d, %ds = te.dispatch %q#0, %c by %handle : tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact> by tensor<96x2xi32> -> tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #compact>
  return %ds : tensor<192x2xf32, #compact>
}

// Outside of the loop, one conversion serves all iterations.
// CHECK-LABEL: func @trips_count(
// CHECK:         %[[C:.*]] = te.convert_scales
// CHECK-NEXT:    scf.for
// CHECK-NOT:     te.convert_scales
// CHECK:           te.insert_member %[[C]]
func.func @trips_count(%x: tensor<96x256xbf16>, %handle: tensor<96x2xi32>, %e: tensor<4x2x96xf32, #ready>, %es: tensor<4x192x2xf32, #compact>) -> (tensor<4x2x96xf32, #ready>, tensor<192x2xf32, #compact>) {
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %one = arith.constant 1 : index
  %q, %s = te.quantize %x : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
  %d, %ds = te.dispatch %q, %s by %handle : tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact> by tensor<96x2xi32> -> tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #compact>
  %c1 = te.convert_scales %s of [96, 256] : tensor<96x2xf32, #compact> -> tensor<2x96xf32, #ready>
  %all = scf.for %i = %zero to %four step %one iter_args(%acc = %e) -> tensor<4x2x96xf32, #ready> {
    %c2 = te.convert_scales %c1 of [96, 256] : tensor<2x96xf32, #ready> -> tensor<96x2xf32, #compact>
    %c3 = te.convert_scales %c2 of [96, 256] : tensor<96x2xf32, #compact> -> tensor<2x96xf32, #ready>
    %n = te.insert_member %c3 into %acc[%i] : tensor<2x96xf32, #ready> -> tensor<4x2x96xf32, #ready>
    scf.yield %n : tensor<4x2x96xf32, #ready>
  }
  return %all, %ds : tensor<4x2x96xf32, #ready>, tensor<192x2xf32, #compact>
}

// The members of a packed cast take the layout of its reader.
// CHECK-LABEL: func @packed(
// CHECK-NEXT:    te.quantize {{.*}} -> tensor<2x6x256xf8E4M3FN>, tensor<2x6x2xf32, #te.scales<1 x 128, compact>>
// CHECK-NEXT:    te.member
// CHECK-NEXT:    te.member
// CHECK-NEXT:    te.dispatch
func.func @packed(%x: tensor<2x6x256xbf16>, %handle: tensor<6x2xi32>) -> tensor<12x2xf32, #compact> {
  %q, %s = te.quantize %x : tensor<2x6x256xbf16> -> tensor<2x6x256xf8E4M3FN>, tensor<2x2x8xf32, #ready>
  %q1 = te.member %q[1] : tensor<2x6x256xf8E4M3FN> -> tensor<6x256xf8E4M3FN>
  %s1 = te.member %s[1] : tensor<2x2x8xf32, #ready> -> tensor<2x8xf32, #ready>
  %c = te.convert_scales %s1 of [6, 256] : tensor<2x8xf32, #ready> -> tensor<6x2xf32, #compact>
  %d, %ds = te.dispatch %q1, %c by %handle : tensor<6x256xf8E4M3FN>, tensor<6x2xf32, #compact> by tensor<6x2xi32> -> tensor<12x256xf8E4M3FN>, tensor<12x2xf32, #compact>
  return %ds : tensor<12x2xf32, #compact>
}

// A conversion that nothing reads goes; what has no conversion stays as it is.
// CHECK-LABEL: func @leave_alone(
// CHECK-NEXT:    te.quantize {{.*}} -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #te.scales<1 x 128, gemm_ready>>
// CHECK-NEXT:    te.dequantize
// CHECK-NEXT:    return
func.func @leave_alone(%x: tensor<96x256xbf16>) -> tensor<96x256xbf16> {
  %q, %s = te.quantize %x : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #ready>
  %c1 = te.convert_scales %s of [96, 256] : tensor<2x96xf32, #ready> -> tensor<96x2xf32, #compact>
  %y = te.dequantize %q, %s : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #ready>) -> tensor<96x256xbf16>
  return %y : tensor<96x256xbf16>
}

// The function and ops of other dialects keep what they give and take.
// CHECK-LABEL: func @boundaries(
// CHECK-SAME:      tensor<2x96xf32, #te.scales<1 x 128, gemm_ready>>) -> tensor<96x2xf32, #te.scales<1 x 128, compact>>
// CHECK-NEXT:    %[[C:.*]] = te.convert_scales
// CHECK-NEXT:    return %[[C]]
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Missed] RemoveScaleTransposes{{.*}}the function gives gemm_ready scales and func.return at {{.*}} reads compact
func.func @boundaries(%s: tensor<2x96xf32, #ready>) -> tensor<96x2xf32, #compact> {
  %c = te.convert_scales %s of [96, 256] : tensor<2x96xf32, #ready> -> tensor<96x2xf32, #compact>
  return %c : tensor<96x2xf32, #compact>
}

// An activation that casts writes either layout, as a cast does.
// CHECK-LABEL: func @activations(
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = te.swiglu_quantize {{.*}} tensor<2x96xf32, #te.scales<1 x 128, gemm_ready>>
// CHECK-NEXT:    te.gemm %[[Q]] scales(%[[S]])
// CHECK-NEXT:    %[[D:.*]], %[[DS:.*]] = te.swiglu_backward_quantize {{.*}} tensor<4x96xf32, #te.scales<1 x 128, gemm_ready>>
// CHECK-NEXT:    te.gemm %[[D]] scales(%[[DS]])
func.func @activations(%h: tensor<96x512xbf16>, %g: tensor<96x256xbf16>, %w: tensor<128x256xf8E4M3FN>, %ws: tensor<1x4xf32, #square>,
                       %v: tensor<128x512xf8E4M3FN>, %vs: tensor<1x4xf32, #square>) -> (tensor<96x128xbf16>, tensor<96x128xbf16>) {
  %q, %s = te.swiglu_quantize %h : tensor<96x512xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
  %c = te.convert_scales %s of [96, 256] : tensor<96x2xf32, #compact> -> tensor<2x96xf32, #ready>
  %y = te.gemm %q scales(%c), %w scales(%ws) : (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #ready>, tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #square>) -> tensor<96x128xbf16>
  %d, %ds = te.swiglu_backward_quantize %g, %h : tensor<96x256xbf16>, tensor<96x512xbf16> -> tensor<96x512xf8E4M3FN>, tensor<96x4xf32, #compact>
  %dc = te.convert_scales %ds of [96, 512] : tensor<96x4xf32, #compact> -> tensor<4x96xf32, #ready>
  %z = te.gemm %d scales(%dc), %v scales(%vs) : (tensor<96x512xf8E4M3FN>, tensor<4x96xf32, #ready>, tensor<128x512xf8E4M3FN>, tensor<1x4xf32, #square>) -> tensor<96x128xbf16>
  return %y, %z : tensor<96x128xbf16>, tensor<96x128xbf16>
}
