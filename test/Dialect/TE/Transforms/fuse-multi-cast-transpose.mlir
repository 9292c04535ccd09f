// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s --allow-unregistered-dialect -te-fuse-multi-cast-transpose | FileCheck %s
// RUN: te-opt %s --allow-unregistered-dialect -te-fuse-multi-cast-transpose -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-fuse-multi-cast-transpose | FileCheck %s --check-prefix=REMARK

#block = #te.scales<128 x 128, gemm_ready>
#row = #te.scales<1 x 128, gemm_ready>
#tensor = #te.scales<tensor>

ml_program.global private mutable @a : tensor<256x128xf8E4M3FN>
ml_program.global private mutable @a_scales : tensor<2x4xf32, #block>
ml_program.global private mutable @b : tensor<128x128xf8E4M3FN>
ml_program.global private mutable @b_scales : tensor<1x4xf32, #block>

// Shapes may differ.
// CHECK-LABEL: func @fuse(
// CHECK-SAME:      %[[A:.*]]: tensor<256x128xbf16>, %[[B:.*]]: tensor<128x128xbf16>)
// CHECK-NEXT:    %[[V:.*]]:2, %[[S:.*]]:2 = te.multi_cast_transpose %[[A]], %[[B]] {pow2_scales}
// CHECK-NEXT:    return %[[V]]#0, %[[S]]#0, %[[V]]#1, %[[S]]#1
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Casts=2, Entries=2
func.func @fuse(%a: tensor<256x128xbf16>, %b: tensor<128x128xbf16>)
    -> (tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>, tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>) {
  %q0, %s0 = te.quantize %a {pow2_scales} : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  %q1, %s1 = te.quantize %b {pow2_scales} : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
  return %q0, %s0, %q1, %s1 : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>, tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
}

// The casts of all members are one entry; what packs their results reads it.
// CHECK-LABEL: func @packed(
// CHECK-SAME:      %[[W:.*]]: tensor<2x256x128xbf16>, %[[U:.*]]: tensor<64x32xbf16>, %[[SCALE:.*]]: tensor<2xf32>, %[[SU:.*]]: tensor<f32>, %[[AMAX:.*]]: tensor<2xf32>, %[[AU:.*]]: tensor<f32>)
// CHECK-NEXT:    %[[V:.*]]:2, %[[S:.*]]:2, %[[VT:.*]]:2, %[[ST:.*]]:2, %[[M:.*]]:2 = te.multi_cast_transpose %[[W]], %[[U]]
// CHECK-SAME:      scale(%[[SCALE]], %[[SU]] : tensor<2xf32>, tensor<f32>) amax(%[[AMAX]], %[[AU]] : tensor<2xf32>, tensor<f32>)
// CHECK-SAME:      -> tensor<2x256x128xf8E4M3FN>, tensor<64x32xf8E4M3FN> scales tensor<2xf32, #te.scales<tensor>>, tensor<f32, #te.scales<tensor>>
// CHECK-SAME:      columnwise tensor<2x128x256xf8E4M3FN>, tensor<32x64xf8E4M3FN>
// CHECK-NEXT:    %[[V1:.*]] = te.member %[[V]]#0[1]
// CHECK-NEXT:    return %[[V1]], %[[M]]#0, %[[V]]#1
// REMARK-DAG: [[#@LINE+9]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Function=packed | BytesSaved=0, Casts=3, Entries=2, LaunchesSaved=2, Op=te.multi_cast_transpose
func.func @packed(%w: tensor<2x256x128xbf16>, %u: tensor<64x32xbf16>, %scale: tensor<2xf32>, %su: tensor<f32>, %amax: tensor<2xf32>, %au: tensor<f32>)
    -> (tensor<256x128xf8E4M3FN>, tensor<2xf32>, tensor<64x32xf8E4M3FN>) {
  %w0 = te.member %w[0] : tensor<2x256x128xbf16> -> tensor<256x128xbf16>
  %w1 = te.member %w[1] : tensor<2x256x128xbf16> -> tensor<256x128xbf16>
  %scale0 = te.member %scale[0] : tensor<2xf32> -> tensor<f32>
  %scale1 = te.member %scale[1] : tensor<2xf32> -> tensor<f32>
  %a0 = te.member %amax[0] : tensor<2xf32> -> tensor<f32>
  %a1 = te.member %amax[1] : tensor<2xf32> -> tensor<f32>
  %q1, %s1, %qt1, %st1, %m1 = te.quantize %w1 scale(%scale1 : tensor<f32>) amax(%a1 : tensor<f32>) : tensor<256x128xbf16>
    -> tensor<256x128xf8E4M3FN>, tensor<f32, #tensor> columnwise tensor<128x256xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
  %qu, %tu, %qut, %tut, %mu = te.quantize %u scale(%su : tensor<f32>) amax(%au : tensor<f32>) : tensor<64x32xbf16>
    -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor> columnwise tensor<32x64xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
  %q0, %s0, %qt0, %st0, %m0 = te.quantize %w0 scale(%scale0 : tensor<f32>) amax(%a0 : tensor<f32>) : tensor<256x128xbf16>
    -> tensor<256x128xf8E4M3FN>, tensor<f32, #tensor> columnwise tensor<128x256xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
  %m = te.pack %m0, %m1 : tensor<f32> -> tensor<2xf32>
  return %q1, %m, %qu : tensor<256x128xf8E4M3FN>, tensor<2xf32>, tensor<64x32xf8E4M3FN>
}

// Loads of workspaces move up past stores to others.
// CHECK-LABEL: func @workspaces(
// CHECK-SAME:      %[[A:.*]]: tensor<256x128xbf16>, %[[B:.*]]: tensor<128x128xbf16>, %[[FLAG:.*]]: tensor<f32>)
// CHECK-NEXT:    %[[LA:.*]] = ml_program.global_load @a :
// CHECK-NEXT:    %[[LAS:.*]] = ml_program.global_load @a_scales
// CHECK-NEXT:    %[[LB:.*]] = ml_program.global_load @b :
// CHECK-NEXT:    %[[LBS:.*]] = ml_program.global_load @b_scales
// CHECK-NEXT:    %[[V:.*]]:2, %[[S:.*]]:2 = te.multi_cast_transpose %[[A]], %[[B]] noop(%[[FLAG]] : tensor<f32>) outs(%[[LA]], %[[LB]], %[[LAS]], %[[LBS]] :
// CHECK-NEXT:    ml_program.global_store @a = %[[V]]#0
// CHECK-NEXT:    ml_program.global_store @a_scales = %[[S]]#0
// CHECK-NEXT:    ml_program.global_store @b = %[[V]]#1
// CHECK-NEXT:    ml_program.global_store @b_scales = %[[S]]#1
func.func @workspaces(%a: tensor<256x128xbf16>, %b: tensor<128x128xbf16>, %flag: tensor<f32>) {
  %la = ml_program.global_load @a : tensor<256x128xf8E4M3FN>
  %las = ml_program.global_load @a_scales : tensor<2x4xf32, #block>
  %q0, %s0 = te.quantize %a noop(%flag : tensor<f32>) outs(%la, %las : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>) : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  ml_program.global_store @a = %q0 : tensor<256x128xf8E4M3FN>
  ml_program.global_store @a_scales = %s0 : tensor<2x4xf32, #block>
  %lb = ml_program.global_load @b : tensor<128x128xf8E4M3FN>
  %lbs = ml_program.global_load @b_scales : tensor<1x4xf32, #block>
  %q1, %s1 = te.quantize %b noop(%flag : tensor<f32>) outs(%lb, %lbs : tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>) : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
  ml_program.global_store @b = %q1 : tensor<128x128xf8E4M3FN>
  ml_program.global_store @b_scales = %s1 : tensor<1x4xf32, #block>
  return
}

// An interleaved write: the second cast writes over what the first one stored.
// CHECK-LABEL: func @keep_interleaved(
// CHECK-COUNT-2: te.quantize
// CHECK-NOT:     te.multi_cast_transpose
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}LaunchesLost=1, Op=te.quantize, Reason="ml_program.global_store of @a at {{.*}}, which reads a cast that it could be fused with, has to come before it"
func.func @keep_interleaved(%a: tensor<256x128xbf16>, %b: tensor<256x128xbf16>, %s: tensor<2x4xf32, #block>) {
  %l0 = ml_program.global_load @a : tensor<256x128xf8E4M3FN>
  %q0, %s0 = te.quantize %a outs(%l0, %s : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>) : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  ml_program.global_store @a = %q0 : tensor<256x128xf8E4M3FN>
  %l1 = ml_program.global_load @a : tensor<256x128xf8E4M3FN>
  %q1, %s1 = te.quantize %b outs(%l1, %s : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>) : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  ml_program.global_store @a = %q1 : tensor<256x128xf8E4M3FN>
  return
}

// A call may write the workspace that the second cast loads.
func.func private @refresh()
// CHECK-LABEL: func @keep_called(
// CHECK:         te.quantize
// CHECK-NEXT:    "test.use"
// CHECK-NEXT:    call @refresh
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}Function=keep_called | {{.*}}Reason="test.use at {{.*}}, which reads a cast that it could be fused with, stands in front of func.call at {{.*}}, which has to come before it"
func.func @keep_called(%a: tensor<256x128xbf16>, %q: tensor<256x128xf8E4M3FN>, %s: tensor<2x4xf32, #block>) {
  %q0, %s0 = te.quantize %a outs(%q, %s : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>) : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  "test.use"(%q0) : (tensor<256x128xf8E4M3FN>) -> ()
  call @refresh() : () -> ()
  %l1 = ml_program.global_load @a : tensor<256x128xf8E4M3FN>
  %q1, %s1 = te.quantize %a outs(%l1, %s : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>) : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  "test.use"(%q1) : (tensor<256x128xf8E4M3FN>) -> ()
  return
}

// A chain: the destinations of the second cast are the results of the first.
// CHECK-LABEL: func @keep_chain(
// CHECK-COUNT-2: te.quantize
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}it reads a result of te.quantize at {{.*}}, with which it could be fused
func.func @keep_chain(%a: tensor<256x128xbf16>, %b: tensor<256x128xbf16>, %q: tensor<256x128xf8E4M3FN>, %s: tensor<2x4xf32, #block>)
    -> tensor<256x128xf8E4M3FN> {
  %q0, %s0 = te.quantize %a outs(%q, %s : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>) : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  %q1, %s1 = te.quantize %b outs(%q0, %s0 : tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>) : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  return %q1 : tensor<256x128xf8E4M3FN>
}

// CHECK-LABEL: func @keep_schemes(
// CHECK-COUNT-4: te.quantize
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}the scheme differs from that of other casts: the encoding of scales is #te.scales<1 x 128, gemm_ready>, not #te.scales<128 x 128, gemm_ready>
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}pow2_scales is true, not false
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}the usage is rowwise and columnwise, not rowwise only
func.func @keep_schemes(%a: tensor<256x128xbf16> {te.parameter}, %b: tensor<256x128xbf16> {te.parameter}) {
  %q0, %s0 = te.quantize %a : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  %q1, %s1 = te.quantize %b : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<1x256xf32, #row>
  %q2, %s2 = te.quantize %b {pow2_scales} : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  %q3, %s3, %t3, %st3 = te.quantize %b : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
    columnwise tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #block>
  return
}

// A weight and another tensor; a ragged one; one alone.
// CHECK-LABEL: func @keep_activations(
// CHECK-COUNT-3: te.quantize
// CHECK-NOT:     te.multi_cast_transpose
func.func @keep_activations(%a: tensor<256x128xbf16> {te.parameter}, %b: tensor<256x128xbf16>, %offsets: tensor<3xi32>) {
  %q0, %s0 = te.quantize %a : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<1x256xf32, #row>
  %q1, %s1 = te.quantize %b : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<1x256xf32, #row>
  %q2, %s2 = te.quantize %b groups(%offsets : tensor<3xi32>) : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<1x256xf32, #row>
  return
}

// The second round waits for the first, whose casts are one op by then.
// CHECK-LABEL: @rounds
func.func @rounds(%w0: tensor<128x256xbf16> {te.parameter}, %w1: tensor<64x256xbf16> {te.parameter},
                  %s: tensor<f32>, %zero: tensor<f32>) -> (tensor<f32>, tensor<f32>) {
  // CHECK: te.multi_cast_transpose
  %q0, %t0, %a0 = te.quantize %w0 scale(%s : tensor<f32>) amax(%zero : tensor<f32>) : tensor<128x256xbf16>
    -> tensor<128x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
  %q1, %t1, %a1 = te.quantize %w1 scale(%s : tensor<f32>) amax(%zero : tensor<f32>) : tensor<64x256xbf16>
    -> tensor<64x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
  // CHECK: te.multi_cast_transpose
  // CHECK-NOT: te.quantize
  %q2, %t2, %a2 = te.quantize %w0 scale(%s : tensor<f32>) amax(%a0 : tensor<f32>) : tensor<128x256xbf16>
    -> tensor<128x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
  %q3, %t3, %a3 = te.quantize %w1 scale(%s : tensor<f32>) amax(%a1 : tensor<f32>) : tensor<64x256xbf16>
    -> tensor<64x256xf8E4M3FN>, tensor<f32, #te.scales<tensor>> amax_out tensor<f32>
  return %a2, %a3 : tensor<f32>, tensor<f32>
}

// Weights cast in two directions become one launch; one that is cast rowwise alone is none
// of them.
// CHECK-LABEL: func @keep_rowwise_only(
// CHECK-NEXT:    te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} :
// CHECK-NEXT:    te.quantize
// CHECK-NEXT:    return
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}Function=keep_rowwise_only | {{.*}}LaunchesLost=1, Op=te.quantize, Reason="the scheme differs from that of other casts: the usage is rowwise only, not rowwise and columnwise"
func.func @keep_rowwise_only(%a: tensor<256x128xbf16> {te.parameter}, %b: tensor<128x128xbf16> {te.parameter}, %c: tensor<128x128xbf16> {te.parameter})
    -> (tensor<256x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>) {
  %q0, %s0, %t0, %st0 = te.quantize %a : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
    columnwise tensor<128x256xf8E4M3FN>, tensor<1x4xf32, #block>
  %q1, %s1, %t1, %st1 = te.quantize %b : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
    columnwise tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
  %q2, %s2 = te.quantize %c : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
  return %q0, %q1, %q2 : tensor<256x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>
}

// Two recipes: a launch each.
// CHECK-LABEL: func @mixed_recipes(
// CHECK-DAG:     te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} : {{.*}} #te.scales<128 x 128, gemm_ready>>
// CHECK-DAG:     te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} : {{.*}} tensor<f32, #te.scales<tensor>>
// CHECK-NOT:     te.quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Function=mixed_recipes | {{.*}}LaunchesSaved=2
func.func @mixed_recipes(%a: tensor<256x128xbf16> {te.parameter}, %b: tensor<128x128xbf16> {te.parameter})
    -> (tensor<256x128xf8E4M3FN>, tensor<256x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>) {
  %q0, %s0 = te.quantize %a : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
  %q1, %s1 = te.quantize %a : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<f32, #tensor>
  %q2, %s2 = te.quantize %b : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
  %q3, %s3 = te.quantize %b : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<f32, #tensor>
  return %q0, %q1, %q2, %q3 : tensor<256x128xf8E4M3FN>, tensor<256x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>
}

// One cast under a flag, one not; and one in a loop that the other is in front of.
// CHECK-LABEL: func @keep_flag_and_loop(
// CHECK-COUNT-3: te.quantize
// CHECK-NOT:     te.multi_cast_transpose
// CHECK:         return
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}Function=keep_flag_and_loop | {{.*}}its noop flag is another value
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}Function=keep_flag_and_loop | {{.*}}LaunchesLost=4, Op=te.quantize, Reason="te.quantize at {{.*}}:[[#@LINE+5]]:14, of the same scheme, stands in another block"
func.func @keep_flag_and_loop(%a: tensor<128x128xbf16> {te.parameter}, %flag: tensor<f32>, %q: tensor<128x128xf8E4M3FN>, %s: tensor<1x4xf32, #block>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %q0, %s0 = te.quantize %a : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
  %q1, %s1 = te.quantize %a noop(%flag : tensor<f32>) outs(%q, %s : tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>) : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
  scf.for %i = %c0 to %c4 step %c1 {
    %q2, %s2 = te.quantize %a : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
    "test.use"(%q0, %q1, %q2) : (tensor<128x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>) -> ()
  }
  return
}

// The view behind the last op that has to come first moves up too; readers of packed
// results stay behind the launch.
// CHECK-LABEL: func @view_behind_last(
// CHECK:         te.transpose
// CHECK:         te.member
// CHECK:         %[[Q:.*]]:2, %{{.*}}:2 = te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} :
// CHECK-DAG:     te.member %[[Q]]#0[0]
// CHECK-DAG:     te.member %[[Q]]#0[1]
func.func @view_behind_last(%w: tensor<2x128x128xbf16> {te.parameter}, %v: tensor<2x128x64xbf16> {te.parameter})
    -> (tensor<128x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>, tensor<64x128xf8E4M3FN>) {
  %w0 = te.member %w[0] : tensor<2x128x128xbf16> -> tensor<128x128xbf16>
  %w1 = te.member %w[1] : tensor<2x128x128xbf16> -> tensor<128x128xbf16>
  %q0, %s0 = te.quantize %w0 : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
  %q1, %s1 = te.quantize %w1 : tensor<128x128xbf16> -> tensor<128x128xf8E4M3FN>, tensor<1x4xf32, #block>
  %p = te.transpose %v : tensor<2x128x64xbf16> -> tensor<2x64x128xbf16>
  %m = te.member %p[0] : tensor<2x64x128xbf16> -> tensor<64x128xbf16>
  %q2, %s2 = te.quantize %m : tensor<64x128xbf16> -> tensor<64x128xf8E4M3FN>, tensor<1x4xf32, #block>
  return %q0, %q1, %q2 : tensor<128x128xf8E4M3FN>, tensor<128x128xf8E4M3FN>, tensor<64x128xf8E4M3FN>
}
