// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-group-gemms | FileCheck %s
// RUN: te-opt %s -te-group-gemms -o /dev/null --remark-policy=all \
// RUN:   --remarks-filter=te-group-gemms 2>&1 | FileCheck %s --check-prefix=REMARK

#tensor = #te.scales<tensor>
#each = #te.scales<tensor, groups = 2>
#rows = #te.scales<1 x 128, gemm_ready>
#cols = #te.scales<1 x 128, gemm_ready, groups = 2>
#square = #te.scales<128 x 128, gemm_ready>

// Weights that are not packed are read as a list; the host reads no offsets.
// CHECK-LABEL: func @list(
// CHECK-SAME:      %[[X:[a-z0-9]+]]: {{.*}}, %[[W0:[a-z0-9]+]]: {{.*}}, %[[W1:[a-z0-9]+]]: {{.*}}, %[[O:[a-z0-9]+]]:
// CHECK-NEXT:    %[[Y:.*]] = te.grouped_gemm %[[X]], %[[W0]], %[[W1]] groups(%[[O]]) over rows :
// CHECK-NEXT:    return %[[Y]]
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Passed] GroupMembers{{.*}}Members=2
func.func @list(%x: tensor<64x32xbf16>, %w0: tensor<16x32xbf16>, %w1: tensor<16x32xbf16>, %o: tensor<3xi32>) -> tensor<64x16xbf16> {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e = tensor.empty() : tensor<64x16xbf16>
  // Members may be chained in any order.
  %y0 = te.gemm %x, %w1 groups(%h) member 1 over rows outs(%e) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  %y1 = te.gemm %x, %w0 groups(%h) member 0 over rows outs(%y0) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  return %y1 : tensor<64x16xbf16>
}

// A cast and the products that read it, the weights and their scales packed.
// CHECK-LABEL: func @cast_and_product(
// CHECK-SAME:      %[[X:[a-z0-9]+]]: {{.*}}, %[[W:[a-z0-9]+]]: {{.*}}, %[[WS:[a-z0-9]+]]: {{.*}}, %[[O:[a-z0-9]+]]:
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]], %[[T:.*]], %[[TS:.*]] = te.quantize %[[X]] groups(%[[O]] : tensor<3xi32>) {pow2_scales} :
// CHECK-NEXT:    %[[Y:.*]] = te.grouped_gemm %[[Q]] scales(%[[S]]), %[[W]] scales(%[[WS]]) groups(%[[O]]) over rows :
// CHECK-NEXT:    return %[[Y]], %[[T]]
func.func @cast_and_product(%x: tensor<256x256xbf16>, %w: tensor<2x128x256xf8E4M3FN>, %ws: tensor<2x1x4xf32, #square>, %o: tensor<3xi32>) -> (tensor<256x128xbf16>, tensor<256x256xf8E4M3FN>) {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e0 = tensor.empty() : tensor<256x256xf8E4M3FN>
  %e1 = tensor.empty() : tensor<2x256xf32, #rows>
  %e2 = tensor.empty() : tensor<256x256xf8E4M3FN>
  %e3 = tensor.empty() : tensor<4x256xf32, #cols>
  %e4 = tensor.empty() : tensor<256x128xbf16>
  %q:4 = te.quantize %x groups(%h : tensor<3xi32, #te.host>) member 0 outs(%e0, %e1, %e2, %e3 : tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #rows>, tensor<256x256xf8E4M3FN>, tensor<4x256xf32, #cols>) {pow2_scales} : tensor<256x256xbf16> -> tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #rows> columnwise tensor<256x256xf8E4M3FN>, tensor<4x256xf32, #cols>
  %r:4 = te.quantize %x groups(%h : tensor<3xi32, #te.host>) member 1 outs(%q#0, %q#1, %q#2, %q#3 : tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #rows>, tensor<256x256xf8E4M3FN>, tensor<4x256xf32, #cols>) {pow2_scales} : tensor<256x256xbf16> -> tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #rows> columnwise tensor<256x256xf8E4M3FN>, tensor<4x256xf32, #cols>
  %w0 = te.member %w[0] : tensor<2x128x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>
  %w1 = te.member %w[1] : tensor<2x128x256xf8E4M3FN> -> tensor<128x256xf8E4M3FN>
  %s0 = te.member %ws[0] : tensor<2x1x4xf32, #square> -> tensor<1x4xf32, #square>
  %s1 = te.member %ws[1] : tensor<2x1x4xf32, #square> -> tensor<1x4xf32, #square>
  %y0 = te.gemm %r#0 scales(%r#1), %w0 scales(%s0) groups(%h) member 0 over rows outs(%e4) : (tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #rows>, tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #square>, tensor<3xi32, #te.host>, tensor<256x128xbf16>) -> tensor<256x128xbf16>
  %y1 = te.gemm %r#0 scales(%r#1), %w1 scales(%s1) groups(%h) member 1 over rows outs(%y0) : (tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #rows>, tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #square>, tensor<3xi32, #te.host>, tensor<256x128xbf16>) -> tensor<256x128xbf16>
  return %y1, %r#2 : tensor<256x128xbf16>, tensor<256x256xf8E4M3FN>
}

// Scales and amax are one vector: packed here, or already a packed tensor. The
// amax is kept as a destination.
// CHECK-LABEL: func @delayed(
// CHECK-SAME:      %[[X:[a-z0-9]+]]: {{.*}}, %[[S0:[a-z0-9]+]]: {{.*}}, %[[S1:[a-z0-9]+]]: {{.*}}, %[[A:[a-z0-9]+]]: {{.*}}, %[[O:[a-z0-9]+]]:
// CHECK:         %[[S:.*]] = te.pack %[[S0]], %[[S1]] : tensor<f32> -> tensor<2xf32>
// CHECK-NEXT:    %{{.*}}, %{{.*}}, %[[AMAX:.*]] = te.quantize %[[X]] scale(%[[S]] : tensor<2xf32>) amax(%[[A]] : tensor<2xf32>) groups(%[[O]] : tensor<3xi32>) outs(%{{.*}}, %{{.*}}, %[[A]] :
// CHECK-NEXT:    %[[A0:.*]] = te.member %[[AMAX]][0]
// CHECK-NEXT:    %[[A1:.*]] = te.member %[[AMAX]][1]
// CHECK-NEXT:    return %[[A0]], %[[A1]]
func.func @delayed(%x: tensor<64x32xbf16>, %s0: tensor<f32>, %s1: tensor<f32>, %a: tensor<2xf32>, %o: tensor<3xi32>) -> (tensor<f32>, tensor<f32>) {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e0 = tensor.empty() : tensor<64x32xf8E4M3FN>
  %e1 = tensor.empty() : tensor<2xf32, #each>
  %a0 = te.member %a[0] : tensor<2xf32> -> tensor<f32>
  %a1 = te.member %a[1] : tensor<2xf32> -> tensor<f32>
  %q:3 = te.quantize %x scale(%s0 : tensor<f32>) amax(%a0 : tensor<f32>) groups(%h : tensor<3xi32, #te.host>) member 0 outs(%e0, %e1, %a0 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>, tensor<f32>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each> amax_out tensor<f32>
  %r:3 = te.quantize %x scale(%s1 : tensor<f32>) amax(%a1 : tensor<f32>) groups(%h : tensor<3xi32, #te.host>) member 1 outs(%q#0, %q#1, %a1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>, tensor<f32>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each> amax_out tensor<f32>
  return %q#2, %r#2 : tensor<f32>, tensor<f32>
}

// Scales from amaxes that ranks share: one launch of each for all members, the one
// between ranks too.
// CHECK-LABEL: func @shared_scales(
// CHECK-SAME:      %[[X:[a-z0-9]+]]: {{.*}}, %[[O:[a-z0-9]+]]:
// CHECK-NEXT:    %[[A:.*]] = te.amax %[[X]] groups(%[[O]] : tensor<3xi32>) : tensor<64x32xbf16> -> tensor<2xf32>
// CHECK-NEXT:    %[[M:.*]] = te.all_reduce max %[[A]] : (tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:    %[[S:.*]] = te.scale_from_amax %[[M]] {fp8_max = 4.480000e+02 : f32, pow2_scales} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:    %[[Q:.*]], %{{.*}} = te.quantize %[[X]] scale(%[[S]] : tensor<2xf32>) groups(%[[O]] : tensor<3xi32>) : tensor<64x32xbf16> ->
// CHECK-NEXT:    return %[[Q]]
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Passed] GroupMembers{{.*}}LaunchesSaved=1, Members=2, Op=te.all_reduce
func.func @shared_scales(%x: tensor<64x32xbf16>, %o: tensor<3xi32>) -> tensor<64x32xf8E4M3FN> {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e0 = tensor.empty() : tensor<64x32xf8E4M3FN>
  %e1 = tensor.empty() : tensor<2xf32, #each>
  %a0 = te.amax %x groups(%h : tensor<3xi32, #te.host>) member 0 : tensor<64x32xbf16> -> tensor<f32>
  %a1 = te.amax %x groups(%h : tensor<3xi32, #te.host>) member 1 : tensor<64x32xbf16> -> tensor<f32>
  %m0 = te.all_reduce max %a0 : (tensor<f32>) -> tensor<f32>
  %m1 = te.all_reduce max %a1 : (tensor<f32>) -> tensor<f32>
  %s0 = te.scale_from_amax %m0 {fp8_max = 448.0 : f32, pow2_scales} : (tensor<f32>) -> tensor<f32>
  %s1 = te.scale_from_amax %m1 {fp8_max = 448.0 : f32, pow2_scales} : (tensor<f32>) -> tensor<f32>
  %q:2 = te.quantize %x scale(%s0 : tensor<f32>) groups(%h : tensor<3xi32, #te.host>) member 0 outs(%e0, %e1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  %r:2 = te.quantize %x scale(%s1 : tensor<f32>) groups(%h : tensor<3xi32, #te.host>) member 1 outs(%q#0, %q#1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  return %r#0 : tensor<64x32xf8E4M3FN>
}

// An amax that somebody reads by itself keeps what is made of it apart.
// CHECK-LABEL: func @keep_read_amax(
// CHECK:         te.amax {{.*}} -> tensor<2xf32>
// CHECK-COUNT-2: te.all_reduce max %{{.*}} : (tensor<f32>) -> tensor<f32>
// CHECK-NEXT:    %[[M:.*]] = te.pack
// CHECK-NEXT:    te.scale_from_amax %[[M]] {{.*}} -> tensor<2xf32>
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Missed] GroupMembers{{.*}}what makes member 1 has other readers
func.func @keep_read_amax(%x: tensor<64x32xbf16>, %o: tensor<3xi32>) -> (tensor<64x32xf8E4M3FN>, tensor<f32>) {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e0 = tensor.empty() : tensor<64x32xf8E4M3FN>
  %e1 = tensor.empty() : tensor<2xf32, #each>
  %a0 = te.amax %x groups(%h : tensor<3xi32, #te.host>) member 0 : tensor<64x32xbf16> -> tensor<f32>
  %a1 = te.amax %x groups(%h : tensor<3xi32, #te.host>) member 1 : tensor<64x32xbf16> -> tensor<f32>
  %m0 = te.all_reduce max %a0 : (tensor<f32>) -> tensor<f32>
  %m1 = te.all_reduce max %a1 : (tensor<f32>) -> tensor<f32>
  %s0 = te.scale_from_amax %m0 {fp8_max = 448.0 : f32} : (tensor<f32>) -> tensor<f32>
  %s1 = te.scale_from_amax %m1 {fp8_max = 448.0 : f32} : (tensor<f32>) -> tensor<f32>
  %q:2 = te.quantize %x scale(%s0 : tensor<f32>) groups(%h : tensor<3xi32, #te.host>) member 0 outs(%e0, %e1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  %r:2 = te.quantize %x scale(%s1 : tensor<f32>) groups(%h : tensor<3xi32, #te.host>) member 1 outs(%q#0, %q#1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  return %r#0, %m1 : tensor<64x32xf8E4M3FN>, tensor<f32>
}

// CHECK-LABEL: func @keep_other_scales(
// CHECK:         %[[S0:.*]] = te.scale_from_amax %{{.*}} {fp8_max = 4.480000e+02 : f32} : (tensor<f32>)
// CHECK-NEXT:    %[[S1:.*]] = te.scale_from_amax %{{.*}} {epsilon = 1.000000e+00 : f32, fp8_max = 4.480000e+02 : f32} : (tensor<f32>)
// CHECK-NEXT:    te.pack %[[S0]], %[[S1]]
// REMARK-DAG: [[#@LINE+10]]:{{.*}}[Missed] GroupMembers{{.*}}member 1 is made with {{.*}}epsilon = 1{{.*}}, but member 0 with
func.func @keep_other_scales(%x: tensor<64x32xbf16>, %o: tensor<3xi32>) -> tensor<64x32xf8E4M3FN> {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e0 = tensor.empty() : tensor<64x32xf8E4M3FN>
  %e1 = tensor.empty() : tensor<2xf32, #each>
  %a0 = te.amax %x groups(%h : tensor<3xi32, #te.host>) member 0 : tensor<64x32xbf16> -> tensor<f32>
  %a1 = te.amax %x groups(%h : tensor<3xi32, #te.host>) member 1 : tensor<64x32xbf16> -> tensor<f32>
  %m0 = te.all_reduce max %a0 : (tensor<f32>) -> tensor<f32>
  %m1 = te.all_reduce max %a1 : (tensor<f32>) -> tensor<f32>
  %s0 = te.scale_from_amax %m0 {fp8_max = 448.0 : f32} : (tensor<f32>) -> tensor<f32>
  %s1 = te.scale_from_amax %m1 {fp8_max = 448.0 : f32, epsilon = 1.0 : f32} : (tensor<f32>) -> tensor<f32>
  %q:2 = te.quantize %x scale(%s0 : tensor<f32>) groups(%h : tensor<3xi32, #te.host>) member 0 outs(%e0, %e1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  %r:2 = te.quantize %x scale(%s1 : tensor<f32>) groups(%h : tensor<3xi32, #te.host>) member 1 outs(%q#0, %q#1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  return %r#0 : tensor<64x32xf8E4M3FN>
}

// CHECK-LABEL: func @keep_given_scale(
// CHECK-SAME:      %[[S1:[a-z0-9]+]]: tensor<f32>)
// CHECK:         %[[S0:.*]] = te.scale_from_amax %{{.*}} : (tensor<f32>)
// CHECK-NEXT:    te.pack %[[S0]], %[[S1]]
// REMARK-DAG: [[#@LINE+9]]:{{.*}}[Missed] GroupMembers{{.*}}member 0 is made by te.scale_from_amax, but member 1 is not
func.func @keep_given_scale(%x: tensor<64x32xbf16>, %o: tensor<3xi32>, %s1: tensor<f32>) -> (tensor<64x32xf8E4M3FN>, tensor<f32>) {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e0 = tensor.empty() : tensor<64x32xf8E4M3FN>
  %e1 = tensor.empty() : tensor<2xf32, #each>
  %a0 = te.amax %x groups(%h : tensor<3xi32, #te.host>) member 0 : tensor<64x32xbf16> -> tensor<f32>
  %a1 = te.amax %x groups(%h : tensor<3xi32, #te.host>) member 1 : tensor<64x32xbf16> -> tensor<f32>
  %m0 = te.all_reduce max %a0 : (tensor<f32>) -> tensor<f32>
  %m1 = te.all_reduce max %a1 : (tensor<f32>) -> tensor<f32>
  %s0 = te.scale_from_amax %m0 {fp8_max = 448.0 : f32} : (tensor<f32>) -> tensor<f32>
  %q:2 = te.quantize %x scale(%s0 : tensor<f32>) groups(%h : tensor<3xi32, #te.host>) member 0 outs(%e0, %e1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  %r:2 = te.quantize %x scale(%s1 : tensor<f32>) groups(%h : tensor<3xi32, #te.host>) member 1 outs(%q#0, %q#1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  return %r#0, %m1 : tensor<64x32xf8E4M3FN>, tensor<f32>
}

// Weight gradients: results as packed as the accumulators are.
// CHECK-LABEL: func @packed_gradients(
// CHECK-SAME:      %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]: {{.*}}, %[[ACC:[a-z0-9]+]]: {{.*}}, %[[O:[a-z0-9]+]]:
// CHECK-NEXT:    %[[G:.*]] = te.grouped_gemm %[[X]], %[[Y]] groups(%[[O]]) over reduction outs(%[[ACC]]) {accumulate, transpose_lhs, transpose_rhs} :
// CHECK-NEXT:    %[[G0:.*]] = te.member %[[G]][0]
// CHECK-NEXT:    %[[G1:.*]] = te.member %[[G]][1]
// CHECK-NEXT:    return %[[G0]], %[[G1]]
func.func @packed_gradients(%x: tensor<64x32xbf16>, %y: tensor<64x16xbf16>, %acc: tensor<2x32x16xf32>, %o: tensor<3xi32>) -> (tensor<32x16xf32>, tensor<32x16xf32>) {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %a0 = te.member %acc[0] : tensor<2x32x16xf32> -> tensor<32x16xf32>
  %a1 = te.member %acc[1] : tensor<2x32x16xf32> -> tensor<32x16xf32>
  %g0 = te.gemm %x, %y groups(%h) member 0 over reduction outs(%a0) {accumulate, transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  %g1 = te.gemm %x, %y groups(%h) member 1 over reduction outs(%a1) {accumulate, transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  return %g0, %g1 : tensor<32x16xf32>, tensor<32x16xf32>
}

// CHECK-LABEL: func @separate_gradients(
// CHECK-SAME:      %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]: {{.*}}, %[[A0:[a-z0-9]+]]: {{.*}}, %[[A1:[a-z0-9]+]]: {{.*}}, %[[O:[a-z0-9]+]]:
// CHECK-NEXT:    %[[G:.*]]:2 = te.grouped_gemm %[[X]], %[[Y]] groups(%[[O]]) over reduction outs(%[[A0]], %[[A1]])
// CHECK-NEXT:    return %[[G]]#0, %[[G]]#1
func.func @separate_gradients(%x: tensor<64x32xbf16>, %y: tensor<64x16xbf16>, %a0: tensor<32x16xf32>, %a1: tensor<32x16xf32>, %o: tensor<3xi32>) -> (tensor<32x16xf32>, tensor<32x16xf32>) {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %g0 = te.gemm %x, %y groups(%h) member 0 over reduction outs(%a0) {accumulate, transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  %g1 = te.gemm %x, %y groups(%h) member 1 over reduction outs(%a1) {accumulate, transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  return %g0, %g1 : tensor<32x16xf32>, tensor<32x16xf32>
}

// Two products of one operand, their members interleaved.
// CHECK-LABEL: func @interleaved_gradients(
// CHECK-SAME:      %[[X:[a-z0-9]+]]: {{.*}}, %[[Y:[a-z0-9]+]]: {{.*}}, %[[Z:[a-z0-9]+]]: {{.*}}, %[[A0:[a-z0-9]+]]: {{.*}}, %[[A1:[a-z0-9]+]]: {{.*}}, %[[O:[a-z0-9]+]]:
// CHECK-NEXT:    %[[G:.*]]:2 = te.grouped_gemm %[[X]], %[[Y]] groups(%[[O]]) over reduction
// CHECK-NEXT:    %[[K:.*]]:2 = te.grouped_gemm %[[X]], %[[Z]] groups(%[[O]]) over reduction
// CHECK-NEXT:    return %[[G]]#0, %[[G]]#1, %[[K]]#0, %[[K]]#1
func.func @interleaved_gradients(%x: tensor<64x32xbf16>, %y: tensor<64x16xbf16>, %z: tensor<64x16xbf16>, %a0: tensor<32x16xf32>, %a1: tensor<32x16xf32>, %o: tensor<3xi32>) -> (tensor<32x16xf32>, tensor<32x16xf32>, tensor<32x16xf32>, tensor<32x16xf32>) {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %g0 = te.gemm %x, %y groups(%h) member 0 over reduction outs(%a0) {transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  %k0 = te.gemm %x, %z groups(%h) member 0 over reduction outs(%a0) {transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  %g1 = te.gemm %x, %y groups(%h) member 1 over reduction outs(%a1) {transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  %k1 = te.gemm %x, %z groups(%h) member 1 over reduction outs(%a1) {transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  return %g0, %g1, %k0, %k1 : tensor<32x16xf32>, tensor<32x16xf32>, tensor<32x16xf32>, tensor<32x16xf32>
}

// Rows of no group are those of the first destination, if it holds something.
// CHECK-LABEL: func @keep_destination(
// CHECK-SAME:      %[[Y:[a-z0-9]+]]: tensor<64x16xbf16>
// CHECK-NEXT:    te.grouped_gemm {{.*}} over rows outs(%[[Y]])
func.func @keep_destination(%x: tensor<64x32xbf16>, %w: tensor<1x16x32xbf16>, %o: tensor<2xi32>, %y: tensor<64x16xbf16>) -> tensor<64x16xbf16> {
  %h = te.to_host %o : tensor<2xi32> -> tensor<2xi32, #te.host>
  %w0 = te.member %w[0] : tensor<1x16x32xbf16> -> tensor<16x32xbf16>
  %y0 = te.gemm %x, %w0 groups(%h) member 0 over rows outs(%y) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<2xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  return %y0 : tensor<64x16xbf16>
}

// Weights and biases are both packed or both lists.
// CHECK-LABEL: func @bias(
// CHECK-SAME:      %[[X:[a-z0-9]+]]: {{.*}}, %[[W:[a-z0-9]+]]: {{.*}}, %[[B0:[a-z0-9]+]]: {{.*}}, %[[B1:[a-z0-9]+]]: {{.*}}, %[[B:[a-z0-9]+]]: {{.*}}, %[[O:[a-z0-9]+]]:
// CHECK-NEXT:    %[[W0:.*]] = te.member %[[W]][0]
// CHECK-NEXT:    %[[W1:.*]] = te.member %[[W]][1]
// CHECK-NEXT:    te.grouped_gemm %[[X]], %[[W0]], %[[W1]] bias(%[[B0]], %[[B1]]) groups(%[[O]]) over rows :
// CHECK-NEXT:    te.grouped_gemm %[[X]], %[[W]] bias(%[[B]]) groups(%[[O]]) over rows :
func.func @bias(%x: tensor<64x32xbf16>, %w: tensor<2x16x32xbf16>, %b0: tensor<16xbf16>, %b1: tensor<16xbf16>, %b: tensor<2x16xbf16>, %o: tensor<3xi32>) -> (tensor<64x16xbf16>, tensor<64x16xbf16>) {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e = tensor.empty() : tensor<64x16xbf16>
  %w0 = te.member %w[0] : tensor<2x16x32xbf16> -> tensor<16x32xbf16>
  %w1 = te.member %w[1] : tensor<2x16x32xbf16> -> tensor<16x32xbf16>
  %y0 = te.gemm %x, %w0 bias(%b0) groups(%h) member 0 over rows outs(%e) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<16xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  %y1 = te.gemm %x, %w1 bias(%b1) groups(%h) member 1 over rows outs(%y0) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<16xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  %p0 = te.member %b[0] : tensor<2x16xbf16> -> tensor<16xbf16>
  %p1 = te.member %b[1] : tensor<2x16xbf16> -> tensor<16xbf16>
  %z0 = te.gemm %x, %w0 bias(%p0) groups(%h) member 0 over rows outs(%e) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<16xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  %z1 = te.gemm %x, %w1 bias(%p1) groups(%h) member 1 over rows outs(%z0) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<16xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  return %y1, %z1 : tensor<64x16xbf16>, tensor<64x16xbf16>
}

// At a noop the results are what the destinations held, so these stay.
// CHECK-LABEL: func @noop(
// CHECK:         te.quantize %{{.*}} noop(%{{.*}} : tensor<1xf32>) groups(%{{.*}} : tensor<3xi32>) outs(
func.func @noop(%x: tensor<64x32xbf16>, %n: tensor<1xf32>, %o: tensor<3xi32>) -> tensor<64x32xf8E4M3FN> {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e0 = tensor.empty() : tensor<64x32xf8E4M3FN>
  %e1 = tensor.empty() : tensor<2xf32, #each>
  %q:2 = te.quantize %x noop(%n : tensor<1xf32>) groups(%h : tensor<3xi32, #te.host>) member 0 outs(%e0, %e1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  %r:2 = te.quantize %x noop(%n : tensor<1xf32>) groups(%h : tensor<3xi32, #te.host>) member 1 outs(%q#0, %q#1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  return %r#0 : tensor<64x32xf8E4M3FN>
}

// CHECK-LABEL: func @member_missing(
// CHECK:         te.gemm {{.*}} member 0
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] GroupMembers{{.*}}1 of 2 members are there: member 1 is missing
func.func @member_missing(%x: tensor<64x32xbf16>, %w0: tensor<16x32xbf16>, %o: tensor<3xi32>) -> tensor<64x16xbf16> {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e = tensor.empty() : tensor<64x16xbf16>
  %y0 = te.gemm %x, %w0 groups(%h) member 0 over rows outs(%e) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  return %y0 : tensor<64x16xbf16>
}

// CHECK-LABEL: func @weights_differ(
// CHECK:         te.gemm {{.*}} member 0
// CHECK:         te.gemm {{.*}} member 1
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] GroupMembers{{.*}}member 1 has rhs of tensor<16x32xf32>, but member 0 of tensor<16x32xbf16>
func.func @weights_differ(%x: tensor<64x32xbf16>, %w0: tensor<16x32xbf16>, %w1: tensor<16x32xf32>, %o: tensor<3xi32>) -> tensor<64x16xbf16> {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e = tensor.empty() : tensor<64x16xbf16>
  %y0 = te.gemm %x, %w0 groups(%h) member 0 over rows outs(%e) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  %y1 = te.gemm %x, %w1 groups(%h) member 1 over rows outs(%y0) : (tensor<64x32xbf16>, tensor<16x32xf32>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  return %y1 : tensor<64x16xbf16>
}

// CHECK-LABEL: func @attributes_differ(
// CHECK:         te.quantize {{.*}} member 0
// CHECK:         te.quantize {{.*}} member 1
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Missed] GroupMembers{{.*}}member 1 and member 0 differ in pow2_scales
func.func @attributes_differ(%x: tensor<64x32xbf16>, %o: tensor<3xi32>) -> tensor<64x32xf8E4M3FN> {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e0 = tensor.empty() : tensor<64x32xf8E4M3FN>
  %e1 = tensor.empty() : tensor<2xf32, #each>
  %q:2 = te.quantize %x groups(%h : tensor<3xi32, #te.host>) member 0 outs(%e0, %e1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  %r:2 = te.quantize %x groups(%h : tensor<3xi32, #te.host>) member 1 outs(%q#0, %q#1 : tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>) {pow2_scales} : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<2xf32, #each>
  return %r#0 : tensor<64x32xf8E4M3FN>
}

// CHECK-LABEL: func @inputs_differ(
// CHECK-COUNT-2: te.gemm
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] GroupMembers{{.*}}member 1 reads another operand 0, of tensor<64x32xbf16>, than member 0
func.func @inputs_differ(%x: tensor<64x32xbf16>, %z: tensor<64x32xbf16>, %w0: tensor<16x32xbf16>, %o: tensor<3xi32>) -> tensor<64x16xbf16> {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e = tensor.empty() : tensor<64x16xbf16>
  %y0 = te.gemm %x, %w0 groups(%h) member 0 over rows outs(%e) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  %y1 = te.gemm %z, %w0 groups(%h) member 1 over rows outs(%y0) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  return %y1 : tensor<64x16xbf16>
}

// CHECK-LABEL: func @other_reader(
// CHECK-COUNT-2: te.gemm
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] GroupMembers{{.*}}result 0 of member 0 has another reader than the next member
func.func @other_reader(%x: tensor<64x32xbf16>, %w0: tensor<16x32xbf16>, %o: tensor<3xi32>) -> (tensor<64x16xbf16>, tensor<64x16xbf16>) {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e = tensor.empty() : tensor<64x16xbf16>
  %y0 = te.gemm %x, %w0 groups(%h) member 0 over rows outs(%e) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  %y1 = te.gemm %x, %w0 groups(%h) member 1 over rows outs(%y0) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<3xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  return %y0, %y1 : tensor<64x16xbf16>, tensor<64x16xbf16>
}

// CHECK-LABEL: func @read_in_between(
// CHECK-COUNT-2: te.gemm
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] GroupMembers{{.*}}result 0 of member 0 is read before the last member
func.func @read_in_between(%x: tensor<64x32xbf16>, %y: tensor<64x16xbf16>, %a0: tensor<32x16xf32>, %all: tensor<2x32x16xf32>, %o: tensor<3xi32>) -> (tensor<2x32x16xf32>, tensor<32x16xf32>) {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %g0 = te.gemm %x, %y groups(%h) member 0 over reduction outs(%a0) {transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  %i = te.insert_member %g0 into %all[0] : tensor<32x16xf32> -> tensor<2x32x16xf32>
  %g1 = te.gemm %x, %y groups(%h) member 1 over reduction outs(%a0) {transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  return %i, %g1 : tensor<2x32x16xf32>, tensor<32x16xf32>
}

// One gradient of both members: the second reads what the first has written.
// CHECK-LABEL: func @one_accumulator(
// CHECK-COUNT-2: te.gemm
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] GroupMembers{{.*}}result 0 of member 0 is read before the last member is done
func.func @one_accumulator(%x: tensor<64x32xbf16>, %y: tensor<64x16xbf16>, %a: tensor<32x16xf32>, %o: tensor<3xi32>) -> tensor<32x16xf32> {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %g0 = te.gemm %x, %y groups(%h) member 0 over reduction outs(%a) {accumulate, transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  %g1 = te.gemm %x, %y groups(%h) member 1 over reduction outs(%g0) {accumulate, transpose_lhs, transpose_rhs} : (tensor<64x32xbf16>, tensor<64x16xbf16>, tensor<3xi32, #te.host>, tensor<32x16xf32>) -> tensor<32x16xf32>
  return %g1 : tensor<32x16xf32>
}

// CHECK-LABEL: func @offsets_of_the_host(
// CHECK:         te.gemm {{.*}} member 0
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] GroupMembers{{.*}}the offsets are not known on the device
func.func @offsets_of_the_host(%x: tensor<64x32xbf16>, %w0: tensor<16x32xbf16>, %h: tensor<2xi32, #te.host>) -> tensor<64x16xbf16> {
  %e = tensor.empty() : tensor<64x16xbf16>
  %y0 = te.gemm %x, %w0 groups(%h) member 0 over rows outs(%e) : (tensor<64x32xbf16>, tensor<16x32xbf16>, tensor<2xi32, #te.host>, tensor<64x16xbf16>) -> tensor<64x16xbf16>
  return %y0 : tensor<64x16xbf16>
}
