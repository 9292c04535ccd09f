// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The states of a cached weight, and what te-fuse-multi-cast-transpose makes of each.
//
// RUN: te-opt %s -te-fuse-multi-cast-transpose | FileCheck %s
// RUN: te-opt %s -te-fuse-multi-cast-transpose -o /dev/null 2>&1 --remark-policy=all \
// RUN:   --remarks-filter=te-fuse-multi-cast-transpose | FileCheck %s --check-prefix=REMARK --implicit-check-not=remark:
//
// In place means in place: the lowering copies nothing into a workspace.
// RUN: te-opt %s -te-fuse-multi-cast-transpose --te-lower | FileCheck %s --check-prefix=LOWERED
// LOWERED-LABEL: func.func @miss_kept(
// LOWERED-NOT:     @copy
// LOWERED-LABEL: func.func @miss_and_hit(
// LOWERED-NOT:     @copy
// LOWERED-LABEL: func.func @lacks_direction(
// LOWERED-NOT:     @copy
// LOWERED-LABEL: func.func @hit_flag(
// LOWERED:         scf.for
// LOWERED-NOT:     @copy
// LOWERED-LABEL: func.func @hit_update(
// LOWERED-NOT:     @copy
// LOWERED-LABEL: func.func @hit(
// LOWERED:         @multi_cast_transpose
// LOWERED:         scf.for
// LOWERED-NOT:     @copy
// LOWERED-LABEL: func.func @keep_pending_backward(
// LOWERED:         @copy
//
// Two steps of each, as given and rewritten, give the same bits.
// DEFINE: %{entry} =
// DEFINE: %{check} = te-run %s --check --steps=2 --data=special --entry=%{entry} --passes='func.func(te-fuse-multi-cast-transpose)'
// REDEFINE: %{entry} = miss
// RUN: %{check}
// REDEFINE: %{entry} = miss_kept
// RUN: %{check}
// REDEFINE: %{entry} = miss_and_hit
// RUN: %{check}
// REDEFINE: %{entry} = lacks_direction
// RUN: %{check}
// REDEFINE: %{entry} = hit_flag
// RUN: %{check}
// REDEFINE: %{entry} = hit_update
// RUN: %{check}
// REDEFINE: %{entry} = hit
// RUN: %{check}
// REDEFINE: %{entry} = keep_pending_backward
// RUN: %{check}
// REDEFINE: %{entry} = keep_read_in_between
// RUN: %{check}
// REDEFINE: %{entry} = keep_pending_micro_batch
// RUN: %{check}
// REDEFINE: %{entry} = keep_unknown_in_between
// RUN: %{check}

#s = #te.scales<tensor>
!a = tensor<32x48xbf16>
!aq = tensor<32x48xf8E4M3FN>
!at = tensor<48x32xf8E4M3FN>
!b = tensor<16x48xbf16>
!bq = tensor<16x48xf8E4M3FN>
!bt = tensor<48x16xf8E4M3FN>
!s = tensor<f32, #s>

ml_program.global private mutable @a : !aq
ml_program.global private mutable @a_s : !s
ml_program.global private mutable @a_t : !at
ml_program.global private mutable @a_st : !s
ml_program.global private mutable @b : !bq
ml_program.global private mutable @b_s : !s
ml_program.global private mutable @b_t : !bt
ml_program.global private mutable @b_st : !s

// Already quantized: values and scales are arguments, and nothing is cast. Per-tensor
// columnwise data is an exact transpose.
// CHECK-LABEL: func @primary(
// CHECK-NEXT:    te.dequantize
// CHECK-NEXT:    te.transpose
// CHECK-NEXT:    return
// REMARK-DAG: [[#@LINE+1]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}the weight is already quantized: tensor<32x48xf8E4M3FN> is not cast
func.func @primary(%a: !aq {te.parameter}, %s: !s) -> (!a, !at) {
  %y = te.dequantize %a, %s : (!aq, !s) -> !a
  %t = te.transpose %a : !aq -> !at
  return %y, %t : !a, !at
}

// No cache: new memory.
// CHECK-LABEL: func @miss(
// CHECK-NEXT:    %[[V:.*]]:2, %[[S:.*]]:2, %{{.*}}:2, %{{.*}}:2 = te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} :
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Function=miss |{{.*}}Casts=2, Entries=2, LaunchesSaved=2
func.func @miss(%a: !a {te.parameter}, %b: !b {te.parameter}) -> (!a, !b) {
  %qa, %sa, %ta, %sta = te.quantize %a : !a -> !aq, !s columnwise !at, !s
  %qb, %sb, %tb, %stb = te.quantize %b : !b -> !bq, !s columnwise !bt, !s
  %ya = te.dequantize %qa, %sa : (!aq, !s) -> !a
  %yb = te.dequantize %qb, %sb : (!bq, !s) -> !b
  return %ya, %yb : !a, !b
}

// New, and kept: written where it is kept.
// CHECK-LABEL: func @miss_kept(
// CHECK-NEXT:    %[[A:.*]] = ml_program.global_load @a :
// CHECK-NEXT:    %[[AS:.*]] = ml_program.global_load @a_s :
// CHECK-NEXT:    %[[AT:.*]] = ml_program.global_load @a_t :
// CHECK-NEXT:    %[[AST:.*]] = ml_program.global_load @a_st :
// CHECK-NEXT:    %[[B:.*]] = ml_program.global_load @b :
// CHECK-NEXT:    %[[BS:.*]] = ml_program.global_load @b_s :
// CHECK-NEXT:    %[[BT:.*]] = ml_program.global_load @b_t :
// CHECK-NEXT:    %[[BST:.*]] = ml_program.global_load @b_st :
// CHECK-NEXT:    te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} outs(%[[A]], %[[B]], %[[AS]], %[[BS]], %[[AT]], %[[BT]], %[[AST]], %[[BST]] :
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Function=miss_kept |
func.func @miss_kept(%a: !a {te.parameter}, %b: !b {te.parameter}) -> (!a, !b) {
  %qa, %sa, %ta, %sta = te.quantize %a : !a -> !aq, !s columnwise !at, !s
  ml_program.global_store @a = %qa : !aq
  ml_program.global_store @a_s = %sa : !s
  ml_program.global_store @a_t = %ta : !at
  ml_program.global_store @a_st = %sta : !s
  %qb, %sb, %tb, %stb = te.quantize %b : !b -> !bq, !s columnwise !bt, !s
  ml_program.global_store @b = %qb : !bq
  ml_program.global_store @b_s = %sb : !s
  ml_program.global_store @b_t = %tb : !bt
  ml_program.global_store @b_st = %stb : !s
  %ya = te.dequantize %qa, %sa : (!aq, !s) -> !a
  %yb = te.dequantize %qb, %sb : (!bq, !s) -> !b
  return %ya, %yb : !a, !b
}

// One launch for both: in place, and in new memory.
// CHECK-LABEL: func @miss_and_hit(
// CHECK-DAG:     %[[A:.*]] = ml_program.global_load @a :
// CHECK-DAG:     %[[AS:.*]] = ml_program.global_load @a_s :
// CHECK-DAG:     %[[B:.*]] = tensor.empty() : tensor<16x48xf8E4M3FN>
// CHECK-DAG:     %[[BS:.*]] = tensor.empty() : tensor<f32, #te.scales<tensor>>
// CHECK:         te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} outs(%[[A]], %[[B]], %[[AS]], %[[BS]] :
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Function=miss_and_hit |
func.func @miss_and_hit(%a: !a {te.parameter}, %b: !b {te.parameter}) -> (!a, !b) {
  %la = ml_program.global_load @a : !aq
  %las = ml_program.global_load @a_s : !s
  %qa, %sa = te.quantize %a outs(%la, %las : !aq, !s) : !a -> !aq, !s
  ml_program.global_store @a = %qa : !aq
  ml_program.global_store @a_s = %sa : !s
  %qb, %sb = te.quantize %b : !b -> !bq, !s
  %ya = te.dequantize %qa, %sa : (!aq, !s) -> !a
  %yb = te.dequantize %qb, %sb : (!bq, !s) -> !b
  return %ya, %yb : !a, !b
}

// The workspace has no columnwise part, and so is as good as none for it.
// CHECK-LABEL: func @lacks_direction(
// CHECK-DAG:     %[[A:.*]] = ml_program.global_load @a :
// CHECK-DAG:     %[[AS:.*]] = ml_program.global_load @a_s :
// CHECK-DAG:     %[[AT:.*]] = tensor.empty() : tensor<48x32xf8E4M3FN>
// CHECK-DAG:     %[[BT:.*]] = tensor.empty() : tensor<48x16xf8E4M3FN>
// CHECK:         te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} outs(%[[A]], %{{[^,]*}}, %[[AS]], %{{[^,]*}}, %[[AT]], %[[BT]],
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Function=lacks_direction |
func.func @lacks_direction(%a: !a {te.parameter}, %b: !b {te.parameter}) -> (!at, !bt) {
  %qa, %sa, %ta, %sta = te.quantize %a : !a -> !aq, !s columnwise !at, !s
  %qb, %sb, %tb, %stb = te.quantize %b : !b -> !bq, !s columnwise !bt, !s
  ml_program.global_store @a = %qa : !aq
  ml_program.global_store @a_s = %sa : !s
  ml_program.global_store @b = %qb : !bq
  ml_program.global_store @b_s = %sb : !s
  return %ta, %tb : !at, !bt
}

// With a flag the device decides: one launch in each micro-batch, in place.
// CHECK-LABEL: func @hit_flag(
// CHECK:         scf.for
// CHECK-NEXT:      %[[FLAG:.*]] = te.member
// CHECK-NEXT:      %[[A:.*]] = ml_program.global_load @a :
// CHECK-NEXT:      %[[AS:.*]] = ml_program.global_load @a_s :
// CHECK-NEXT:      %[[B:.*]] = ml_program.global_load @b :
// CHECK-NEXT:      %[[BS:.*]] = ml_program.global_load @b_s :
// CHECK-NEXT:      te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} noop(%[[FLAG]] : tensor<f32>) outs(%[[A]], %[[B]], %[[AS]], %[[BS]] :
// CHECK-NEXT:      ml_program.global_store @a =
// REMARK-DAG: [[#@LINE+9]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Function=hit_flag |{{.*}}Casts=2, Entries=2, LaunchesSaved=6
func.func @hit_flag(%a: !a {te.parameter}, %b: !b {te.parameter}, %flags: tensor<3xf32> {te.init = #te.init<one>}, %y0: tensor<3x16x48xbf16>) -> tensor<3x16x48xbf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %y = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %y0) -> tensor<3x16x48xbf16> {
    %flag = te.member %flags[%i] : tensor<3xf32> -> tensor<f32>
    %la = ml_program.global_load @a : !aq
    %las = ml_program.global_load @a_s : !s
    %qa, %sa = te.quantize %a noop(%flag : tensor<f32>) outs(%la, %las : !aq, !s) : !a -> !aq, !s
    ml_program.global_store @a = %qa : !aq
    ml_program.global_store @a_s = %sa : !s
    %lb = ml_program.global_load @b : !bq
    %lbs = ml_program.global_load @b_s : !s
    %qb, %sb = te.quantize %b noop(%flag : tensor<f32>) outs(%lb, %lbs : !bq, !s) : !b -> !bq, !s
    ml_program.global_store @b = %qb : !bq
    ml_program.global_store @b_s = %sb : !s
    %yb = te.dequantize %qb, %sb : (!bq, !s) -> !b
    %next = te.insert_member %yb into %acc[%i] : !b -> tensor<3x16x48xbf16>
    scf.yield %next : tensor<3x16x48xbf16>
  }
  return %y : tensor<3x16x48xbf16>
}

// CHECK-LABEL: func @hit_update(
// CHECK:         te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} outs(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}} :
// CHECK-NOT:     te.quantize
// CHECK:         return
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Function=hit_update |
func.func @hit_update(%a: !a {te.parameter}, %b: !b {te.parameter}) -> (!a, !b) {
  %la = ml_program.global_load @a : !aq
  %las = ml_program.global_load @a_s : !s
  %qa, %sa = te.quantize %a outs(%la, %las : !aq, !s) : !a -> !aq, !s
  ml_program.global_store @a = %qa : !aq
  ml_program.global_store @a_s = %sa : !s
  %lb = ml_program.global_load @b : !bq
  %lbs = ml_program.global_load @b_s : !s
  %qb, %sb = te.quantize %b outs(%lb, %lbs : !bq, !s) : !b -> !bq, !s
  ml_program.global_store @b = %qb : !bq
  ml_program.global_store @b_s = %sb : !s
  %ya = te.dequantize %qa, %sa : (!aq, !s) -> !a
  %yb = te.dequantize %qb, %sb : (!bq, !s) -> !b
  return %ya, %yb : !a, !b
}

// Cast in front of the micro-batches, each of which then only loads.
// CHECK-LABEL: func @hit(
// CHECK:         te.multi_cast_transpose
// CHECK:         scf.for
// CHECK-NEXT:      ml_program.global_load @a :
// CHECK-NEXT:      ml_program.global_load @a_s :
// CHECK-NEXT:      te.dequantize
// CHECK-NEXT:      te.insert_member
// CHECK-NEXT:      scf.yield
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Function=hit |
func.func @hit(%a: !a {te.parameter}, %b: !b {te.parameter}, %y0: tensor<3x32x48xbf16>) -> tensor<3x32x48xbf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %qa, %sa = te.quantize %a : !a -> !aq, !s
  %qb, %sb = te.quantize %b : !b -> !bq, !s
  ml_program.global_store @a = %qa : !aq
  ml_program.global_store @a_s = %sa : !s
  ml_program.global_store @b = %qb : !bq
  ml_program.global_store @b_s = %sb : !s
  %y = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %y0) -> tensor<3x32x48xbf16> {
    %la = ml_program.global_load @a : !aq
    %las = ml_program.global_load @a_s : !s
    %ya = te.dequantize %la, %las : (!aq, !s) -> !a
    %next = te.insert_member %ya into %acc[%i] : !a -> tensor<3x32x48xbf16>
    scf.yield %next : tensor<3x32x48xbf16>
  }
  return %y : tensor<3x32x48xbf16>
}

// A backward behind the update reads what @b held: it is not updated in place, and so
// is no part of the launch.
// CHECK-LABEL: func @keep_pending_backward(
// CHECK-COUNT-2: te.quantize
// CHECK-NOT:     te.multi_cast_transpose
// CHECK:         return
// REMARK-DAG: [[#@LINE+9]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}LaunchesLost=2, Op={{.*}}, Reason="@b is not written in place: te.dequantize at {{.*}}:[[#@LINE+13]]:9 may still read what it held"
func.func @keep_pending_backward(%a: !a {te.parameter}, %b: !b {te.parameter}) -> (!a, !b) {
  %la = ml_program.global_load @a : !aq
  %las = ml_program.global_load @a_s : !s
  %qa, %sa = te.quantize %a outs(%la, %las : !aq, !s) : !a -> !aq, !s
  ml_program.global_store @a = %qa : !aq
  ml_program.global_store @a_s = %sa : !s
  %lb = ml_program.global_load @b : !bq
  %lbs = ml_program.global_load @b_s : !s
  %qb, %sb = te.quantize %b outs(%lb, %lbs : !bq, !s) : !b -> !bq, !s
  ml_program.global_store @b = %qb : !bq
  ml_program.global_store @b_s = %sb : !s
  %ya = te.dequantize %qa, %sa : (!aq, !s) -> !a
  %yb = te.dequantize %lb, %lbs : (!bq, !s) -> !b
  return %ya, %yb : !a, !b
}

// Here the old content of @b is read in time. One launch for both would come too early
// for it, or too late for the reader of @a.
// CHECK-LABEL: func @keep_read_in_between(
// CHECK-COUNT-2: te.quantize
// REMARK-DAG: [[#@LINE+11]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}Reason="te.dequantize at {{.*}}, which reads a cast that it could be fused with, stands in front of te.dequantize at {{.*}}:[[#@LINE+10]]:8, which has to come before it"
func.func @keep_read_in_between(%a: !a {te.parameter}, %b: !b {te.parameter}) -> (!a, !b) {
  %la = ml_program.global_load @a : !aq
  %las = ml_program.global_load @a_s : !s
  %qa, %sa = te.quantize %a outs(%la, %las : !aq, !s) : !a -> !aq, !s
  %y = te.dequantize %qa, %sa : (!aq, !s) -> !a
  ml_program.global_store @a = %qa : !aq
  ml_program.global_store @a_s = %sa : !s
  %lb = ml_program.global_load @b : !bq
  %lbs = ml_program.global_load @b_s : !s
  %z = te.dequantize %lb, %lbs : (!bq, !s) -> !b
  %qb, %sb = te.quantize %b outs(%lb, %lbs : !bq, !s) : !b -> !bq, !s
  ml_program.global_store @b = %qb : !bq
  ml_program.global_store @b_s = %sb : !s
  return %y, %z : !a, !b
}

// Forward of two micro-batches with an update between them, then backward of the
// first: it reads what forward stored.
// CHECK-LABEL: func @keep_pending_micro_batch(
// CHECK:         te.quantize
// CHECK:         te.quantize
// REMARK-DAG: [[#@LINE+10]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}Reason="@a is not written in place: te.dequantize at {{.*}}:[[#@LINE+15]]:9 may still read what it held"
func.func @keep_pending_micro_batch(%a: !a {te.parameter}, %b: !a {te.parameter}) -> (!a, !a, !a) {
  %l0 = ml_program.global_load @a : !aq
  %l0s = ml_program.global_load @a_s : !s
  %q0, %s0 = te.quantize %a outs(%l0, %l0s : !aq, !s) : !a -> !aq, !s
  ml_program.global_store @a = %q0 : !aq
  ml_program.global_store @a_s = %s0 : !s
  %y0 = te.dequantize %q0, %s0 : (!aq, !s) -> !a
  %l1 = ml_program.global_load @a : !aq
  %l1s = ml_program.global_load @a_s : !s
  %q1, %s1 = te.quantize %b outs(%l1, %l1s : !aq, !s) : !a -> !aq, !s
  ml_program.global_store @a = %q1 : !aq
  ml_program.global_store @a_s = %s1 : !s
  %y1 = te.dequantize %q1, %s1 : (!aq, !s) -> !a
  // Backward of the first.
  %yb = te.dequantize %q0, %s0 : (!aq, !s) -> !a
  return %y0, %y1, %yb : !a, !a, !a
}

// Somebody stores to the workspace between the cast and where its result is stored.
// CHECK-LABEL: func @keep_unknown_in_between(
// CHECK:         te.multi_cast_transpose %{{[^,]*}}, %{{[^ ]*}} :
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}Reason="its results are copied to where they are stored, not written there: ml_program.global_store of @a at {{.*}} stands in between"
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] FuseMultiCastTranspose{{.*}}Function=keep_unknown_in_between |
func.func @keep_unknown_in_between(%a: !a {te.parameter}, %b: !b {te.parameter}, %other: !aq) -> (!b, !aq) {
  %qa, %sa = te.quantize %a : !a -> !aq, !s
  ml_program.global_store @a = %other : !aq
  %l = ml_program.global_load @a : !aq
  ml_program.global_store @a = %qa : !aq
  %qb, %sb = te.quantize %b : !b -> !bq, !s
  %yb = te.dequantize %qb, %sb : (!bq, !s) -> !b
  return %yb, %l : !b, !aq
}
