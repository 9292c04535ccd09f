// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-fuse-activation-quantize | FileCheck %s
// RUN: te-opt %s -te-fuse-activation-quantize -o /dev/null --remark-policy=all \
// RUN:   --remarks-filter=te-fuse-activation-quantize 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: te-opt %s -te-fuse-activation-quantize -o %t.once
// RUN: te-opt %t.once -te-fuse-activation-quantize | diff %t.once -

#row = #te.scales<1 x 128, gemm_ready>
#column = #te.scales<1 x 128, gemm_ready, groups = 2>
#tensor = #te.scales<tensor, groups = 2>

// CHECK-LABEL: func @forward(
// CHECK-SAME:      %[[H:.*]]: tensor<96x512xbf16>, %[[P:.*]]: tensor<96xf32>, %[[O:.*]]: tensor<3xi32>)
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]], %[[QT:.*]], %[[ST:.*]] = te.swiglu_quantize %[[H]] probs(%[[P]] : tensor<96xf32>) groups(%[[O]] : tensor<3xi32>) {epsilon = 1.000000e+00 : f32, pow2_scales, tag = "cast"} :
// CHECK-SAME:      -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #te.scales<1 x 128, gemm_ready>> columnwise
// CHECK-NEXT:    return %[[Q]], %[[S]], %[[QT]], %[[ST]]
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Passed] FuseActivationQuantize{{.*}}BytesSaved=98316, LaunchesSaved=1
func.func @forward(%h: tensor<96x512xbf16>, %p: tensor<96xf32>, %o: tensor<3xi32>)
    -> (tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>) {
  %a = te.swiglu %h probs(%p) groups(%o) : (tensor<96x512xbf16>, tensor<96xf32>, tensor<3xi32>) -> tensor<96x256xbf16>
  %q:4 = te.quantize %a groups(%o : tensor<3xi32>) {epsilon = 1.0 : f32, pow2_scales, tag = "cast"} : tensor<96x256xbf16>
    -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row> columnwise tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>
  return %q#0, %q#1, %q#2, %q#3 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>, tensor<256x96xf8E4M3FN>, tensor<2x256xf32, #column>
}

// The result's destination may be new memory, and that of the amax is the amax.
// CHECK-LABEL: func @backward(
// CHECK-SAME:      %[[G:.*]]: tensor<96x256xbf16>, %[[H:.*]]: tensor<96x512xbf16>, %[[P:.*]]: tensor<96xf32>, %[[O:.*]]: tensor<3xi32>, %[[M:.*]]: tensor<2xf32>, %[[A:.*]]: tensor<2xf32>)
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]], %[[AO:.*]], %[[GP:.*]] = te.swiglu_backward_quantize %[[G]], %[[H]] probs(%[[P]] : tensor<96xf32>) scale(%[[M]] : tensor<2xf32>) amax(%[[A]] : tensor<2xf32>) groups(%[[O]] : tensor<3xi32>) :
// CHECK-SAME:      amax_out tensor<2xf32> grad_probs tensor<96xf32>
// CHECK-NEXT:    return %[[Q]], %[[S]], %[[AO]], %[[GP]]
func.func @backward(%g: tensor<96x256xbf16>, %h: tensor<96x512xbf16>, %p: tensor<96xf32>, %o: tensor<3xi32>, %m: tensor<2xf32>, %amax: tensor<2xf32>)
    -> (tensor<96x512xf8E5M2>, tensor<2xf32, #tensor>, tensor<2xf32>, tensor<96xf32>) {
  %d, %dp = te.swiglu_backward %g, %h probs(%p) groups(%o) : (tensor<96x256xbf16>, tensor<96x512xbf16>, tensor<96xf32>, tensor<3xi32>) -> (tensor<96x512xbf16>, tensor<96xf32>)
  %e = tensor.empty() : tensor<96x512xf8E5M2>
  %es = tensor.empty() : tensor<2xf32, #tensor>
  %q:3 = te.quantize %d scale(%m : tensor<2xf32>) amax(%amax : tensor<2xf32>) groups(%o : tensor<3xi32>)
    outs(%e, %es, %amax : tensor<96x512xf8E5M2>, tensor<2xf32, #tensor>, tensor<2xf32>)
    : tensor<96x512xbf16> -> tensor<96x512xf8E5M2>, tensor<2xf32, #tensor> amax_out tensor<2xf32>
  return %q#0, %q#1, %q#2, %dp : tensor<96x512xf8E5M2>, tensor<2xf32, #tensor>, tensor<2xf32>, tensor<96xf32>
}

// No groups on either side, and no probabilities. Somebody reads grad_probs in
// front of the cast, so that the fused op stands where the gradient stood.
// CHECK-LABEL: func @at_the_producer(
// CHECK-NEXT:    %{{.*}}, %[[S:.*]], %[[GP:.*]] = te.swiglu_backward_quantize
// CHECK-NEXT:    te.member %[[GP]][0]
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Passed] FuseActivationQuantize{{.*}}BytesSaved=147456, LaunchesSaved=1
// CHECK-LABEL: func @without_groups(
// CHECK-NEXT:    te.swiglu_quantize %{{[^ ]*}} : tensor<96x512xf32> columnwise
func.func @at_the_producer(%g: tensor<96x256xbf16>, %h: tensor<96x512xbf16>, %p: tensor<96xf32>) -> (tensor<f32, #te.scales<tensor>>, tensor<f32>) {
  %d, %dp = te.swiglu_backward %g, %h probs(%p) : (tensor<96x256xbf16>, tensor<96x512xbf16>, tensor<96xf32>) -> (tensor<96x512xbf16>, tensor<96xf32>)
  %c = te.member %dp[0] : tensor<96xf32> -> tensor<f32>
  %q:2 = te.quantize %d : tensor<96x512xbf16> -> tensor<96x512xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return %q#1, %c : tensor<f32, #te.scales<tensor>>, tensor<f32>
}
func.func @without_groups(%h: tensor<96x512xf32>) -> tensor<1x256xf32, #row> {
  %a = te.swiglu %h : (tensor<96x512xf32>) -> tensor<96x256xf32>
  %q:2 = te.quantize %a : tensor<96x256xf32> columnwise tensor<256x96xf8E4M3FN>, tensor<1x256xf32, #row>
  return %q#1 : tensor<1x256xf32, #row>
}

// CHECK-LABEL: func @keep_other_reader(
// CHECK:         te.swiglu %
// CHECK-NEXT:    te.quantize
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseActivationQuantize{{.*}}the result of te.swiglu is also read by func.return
func.func @keep_other_reader(%h: tensor<96x512xbf16>) -> (tensor<96x256xbf16>, tensor<2x96xf32, #row>) {
  %a = te.swiglu %h : (tensor<96x512xbf16>) -> tensor<96x256xbf16>
  %q:2 = te.quantize %a : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %a, %q#1 : tensor<96x256xbf16>, tensor<2x96xf32, #row>
}

// The activation of all groups, a cast of one of them; and that of all rows, a
// cast of those that groups own.
// CHECK-LABEL: func @keep_other_rows(
// CHECK-COUNT-2: te.quantize
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Missed] FuseActivationQuantize{{.*}}member 1 is cast, but te.swiglu writes all
// REMARK-DAG: [[#@LINE+9]]:{{.*}}[Missed] FuseActivationQuantize{{.*}}the groups cast are not those that te.swiglu writes
func.func @keep_other_rows(%h: tensor<96x512xbf16>, %o: tensor<3xi32>) -> (tensor<2x96xf32, #row>, tensor<2x96xf32, #row>) {
  %e = tensor.empty() : tensor<96x256xf8E4M3FN>
  %es = tensor.empty() : tensor<2x96xf32, #row>
  %host = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %a = te.swiglu %h groups(%o) : (tensor<96x512xbf16>, tensor<3xi32>) -> tensor<96x256xbf16>
  %q:2 = te.quantize %a groups(%host : tensor<3xi32, #te.host>) member 1 outs(%e, %es : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>)
    : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  %b = te.swiglu %h : (tensor<96x512xbf16>) -> tensor<96x256xbf16>
  %r:2 = te.quantize %b groups(%o : tensor<3xi32>) : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %q#1, %r#1 : tensor<2x96xf32, #row>, tensor<2x96xf32, #row>
}

// CHECK-LABEL: func @keep_destinations(
// CHECK-COUNT-2: te.quantize
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] FuseActivationQuantize{{.*}}the noop flag may keep what was cast before
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Missed] FuseActivationQuantize{{.*}}destination 1 is memory to write into, of which te.swiglu knows none
func.func @keep_destinations(%h: tensor<96x512xbf16>, %n: tensor<f32>, %d: tensor<96x256xf8E4M3FN>, %ds: tensor<2x96xf32, #row>)
    -> (tensor<2x96xf32, #row>, tensor<2x96xf32, #row>) {
  %a = te.swiglu %h : (tensor<96x512xbf16>) -> tensor<96x256xbf16>
  %q:2 = te.quantize %a noop(%n : tensor<f32>) outs(%d, %ds : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>)
    : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  %b = te.swiglu %h : (tensor<96x512xbf16>) -> tensor<96x256xbf16>
  %e = tensor.empty() : tensor<96x256xf8E4M3FN>
  %r:2 = te.quantize %b outs(%e, %q#1 : tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>)
    : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
  return %q#1, %r#1 : tensor<2x96xf32, #row>, tensor<2x96xf32, #row>
}

// Inside of the loop, the activation would be computed again each time.
// CHECK-LABEL: func @keep_other_block(
// CHECK:         te.swiglu %
// CHECK:         scf.for
// CHECK-NEXT:      te.quantize
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Missed] FuseActivationQuantize{{.*}}te.swiglu stands in another block
func.func @keep_other_block(%h: tensor<96x512xbf16>, %s: tensor<2x96xf32, #row>) -> tensor<2x96xf32, #row> {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %four = arith.constant 4 : index
  %a = te.swiglu %h : (tensor<96x512xbf16>) -> tensor<96x256xbf16>
  %r = scf.for %i = %zero to %four step %one iter_args(%c = %s) -> (tensor<2x96xf32, #row>) {
    %q:2 = te.quantize %a : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<2x96xf32, #row>
    scf.yield %q#1 : tensor<2x96xf32, #row>
  }
  return %r : tensor<2x96xf32, #row>
}

// The scale is one that grad_probs tell.
// CHECK-LABEL: func @keep_cycle(
// CHECK-NEXT:    te.swiglu_backward %
// CHECK-NEXT:    te.member
// CHECK-NEXT:    te.quantize
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] FuseActivationQuantize{{.*}}another result of te.swiglu_backward is read before the operands of the cast are known
func.func @keep_cycle(%g: tensor<96x256xbf16>, %h: tensor<96x512xbf16>, %p: tensor<96xf32>) -> tensor<f32, #te.scales<tensor>> {
  %d, %dp = te.swiglu_backward %g, %h probs(%p) : (tensor<96x256xbf16>, tensor<96x512xbf16>, tensor<96xf32>) -> (tensor<96x512xbf16>, tensor<96xf32>)
  %m = te.member %dp[0] : tensor<96xf32> -> tensor<f32>
  %q:2 = te.quantize %d scale(%m : tensor<f32>) : tensor<96x512xbf16> -> tensor<96x512xf8E4M3FN>, tensor<f32, #te.scales<tensor>>
  return %q#1 : tensor<f32, #te.scales<tensor>>
}
