// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scales in workspaces, and of primary weights.
//
// RUN: te-opt %s -split-input-file -te-hoist-swizzles | FileCheck %s
// RUN: te-opt %s -split-input-file -te-hoist-swizzles -o /dev/null 2>&1 --remark-policy=all \
// RUN:   --remarks-filter=te-hoist-swizzles | FileCheck %s --check-prefix=REMARK --implicit-check-not=remark:

#c = #te.scales<1 x 32, compact>
#z = #te.scales<1 x 32, swizzled>
!w = tensor<128x128xbf16>
!q = tensor<128x128xf8E4M3FN>
!c = tensor<128x4xf8E8M0FNU, #c>
!z = tensor<128x4xf8E8M0FNU, #z>
!y = tensor<128x128xf32>

// Cast once in a step, swizzled in each micro-batch: the workspace itself is swizzled,
// by the cast.
// CHECK:       ml_program.global private mutable @w_s : tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
// CHECK-LABEL: func @cached(
// CHECK:         %[[S:.*]] = ml_program.global_load @w_s : tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
// CHECK:         %{{.*}}, %[[NEW:.*]] = te.quantize %{{.*}} outs(%{{.*}}, %[[S]] :
// CHECK:         ml_program.global_store @w_s = %[[NEW]]
// CHECK:         scf.for
// CHECK-NEXT:      te.gemm {{.*}} scales(%[[NEW]]) outs
// CHECK-NOT:     te.convert_scales
// CHECK:         return
// REMARK-DAG: [[#@LINE+13]]:{{.*}}[Passed] HoistSwizzles{{.*}}Function=cached | BytesSaved=4096, LaunchesSaved=4
ml_program.global private mutable @w : !q
ml_program.global private mutable @w_s : !c
func.func @cached(%x: !q, %xs: !z, %w: !w, %y0: !y) -> !y {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %l = ml_program.global_load @w : !q
  %ls = ml_program.global_load @w_s : !c
  %q, %s = te.quantize %w outs(%l, %ls : !q, !c) : !w -> !q, !c
  ml_program.global_store @w = %q : !q
  ml_program.global_store @w_s = %s : !c
  %y = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %y0) -> !y {
    %z = te.convert_scales %s of [128, 128] : !c -> !z
    %d = te.gemm %x scales(%xs), %q scales(%z) outs(%a) {accumulate} : (!q, !z, !q, !z, !y) -> !y
    scf.yield %d : !y
  }
  return %y : !y
}

// -----

#c = #te.scales<1 x 32, compact>
#z = #te.scales<1 x 32, swizzled>
!w = tensor<128x128xbf16>
!q = tensor<128x128xf8E4M3FN>
!c = tensor<128x4xf8E8M0FNU, #c>
!z = tensor<128x4xf8E8M0FNU, #z>
!y = tensor<128x128xf32>

// Under a flag: the cast that the flag skips is all that writes the workspace, with its
// padding.
// CHECK:       @w_s : tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
// CHECK-LABEL: func @flag(
// CHECK:         scf.for
// CHECK:           te.quantize %{{.*}} noop(%{{.*}}) outs(
// CHECK-NOT:       te.convert_scales
// CHECK:           te.gemm
// REMARK-DAG: [[#@LINE+14]]:{{.*}}[Passed] HoistSwizzles{{.*}}Function=flag | BytesSaved=4096, LaunchesSaved=4
ml_program.global private mutable @w : !q
ml_program.global private mutable @w_s : !c
func.func @flag(%x: !q, %xs: !z, %w: !w, %flags: tensor<4xf32>, %y0: !y) -> !y {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %y = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %y0) -> !y {
    %flag = te.member %flags[%i] : tensor<4xf32> -> tensor<f32>
    %l = ml_program.global_load @w : !q
    %ls = ml_program.global_load @w_s : !c
    %q, %s = te.quantize %w noop(%flag : tensor<f32>) outs(%l, %ls : !q, !c) : !w -> !q, !c
    ml_program.global_store @w = %q : !q
    ml_program.global_store @w_s = %s : !c
    %z = te.convert_scales %s of [128, 128] : !c -> !z
    %d = te.gemm %x scales(%xs), %q scales(%z) outs(%a) {accumulate} : (!q, !z, !q, !z, !y) -> !y
    scf.yield %d : !y
  }
  return %y : !y
}

// -----

#c = #te.scales<1 x 32, compact>
#z = #te.scales<1 x 32, swizzled>
!w = tensor<128x128xbf16>
!q = tensor<128x128xf8E4M3FN>
!c = tensor<128x4xf8E8M0FNU, #c>
!z = tensor<128x4xf8E8M0FNU, #z>
!y = tensor<128x128xf32>

// One function casts, another reads what it finds: both agree.
// CHECK:       @w_s : tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
// CHECK-LABEL: func @first(
// CHECK:         te.quantize {{.*}} #te.scales<1 x 32, swizzled>>{{$}}
// CHECK-LABEL: func @next(
// CHECK:         %[[S:.*]] = ml_program.global_load @w_s : tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
// CHECK-NOT:     te.convert_scales
// CHECK:         te.gemm {{.*}} scales(%[[S]]) outs
// REMARK-DAG: [[#@LINE+18]]:{{.*}}[Passed] HoistSwizzles{{.*}}Function=next | BytesSaved=4096, LaunchesSaved=4
ml_program.global private mutable @w : !q
ml_program.global private mutable @w_s : !c
func.func @first(%w: !w) {
  %l = ml_program.global_load @w : !q
  %ls = ml_program.global_load @w_s : !c
  %q, %s = te.quantize %w outs(%l, %ls : !q, !c) : !w -> !q, !c
  ml_program.global_store @w = %q : !q
  ml_program.global_store @w_s = %s : !c
  return
}
func.func @next(%x: !q, %xs: !z, %y0: !y) -> !y {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %q = ml_program.global_load @w : !q
  %s = ml_program.global_load @w_s : !c
  %y = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %y0) -> !y {
    %z = te.convert_scales %s of [128, 128] : !c -> !z
    %d = te.gemm %x scales(%xs), %q scales(%z) outs(%a) {accumulate} : (!q, !z, !q, !z, !y) -> !y
    scf.yield %d : !y
  }
  return %y : !y
}

// -----

#c = #te.scales<1 x 32, compact>
#z = #te.scales<1 x 32, swizzled>
!w = tensor<128x128xbf16>
!q = tensor<128x128xf8E4M3FN>
!c = tensor<128x4xf8E8M0FNU, #c>
!z = tensor<128x4xf8E8M0FNU, #z>
!y = tensor<128x128xf32>

// The optimizer dequantizes the weights: the workspace stays compact, and a swizzled copy
// is made once.
// CHECK:       @w_s : tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, compact>>
// CHECK-LABEL: func @dequantized(
// CHECK:         %{{.*}}, %[[S:.*]] = te.quantize
// CHECK:         %[[Z:.*]] = te.convert_scales %[[S]]
// CHECK:         scf.for
// CHECK-NOT:       te.convert_scales
// CHECK:           te.gemm {{.*}} scales(%[[Z]]) outs
// CHECK:         te.dequantize %{{.*}}, %[[S]]
// REMARK-DAG: [[#@LINE+14]]:{{.*}}[Passed] HoistSwizzles{{.*}}Function=dequantized | BytesSaved=3072, LaunchesSaved=3
// REMARK-DAG: [[#@LINE+13]]:{{.*}}[Missed] HoistSwizzles{{.*}}BytesLost=1024, LaunchesLost=1, Op={{.*}}, Reason="te.dequantize at {{.*}}:[[#@LINE+17]]:8 reads compact scales and te.gemm at {{.*}}:[[#@LINE+14]]:10 reads swizzled"
ml_program.global private mutable @w : !q
ml_program.global private mutable @w_s : !c
func.func @dequantized(%x: !q, %xs: !z, %w: !w, %y0: !y) -> (!y, !w) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %l = ml_program.global_load @w : !q
  %ls = ml_program.global_load @w_s : !c
  %q, %s = te.quantize %w outs(%l, %ls : !q, !c) : !w -> !q, !c
  ml_program.global_store @w = %q : !q
  ml_program.global_store @w_s = %s : !c
  %y = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %y0) -> !y {
    %z = te.convert_scales %s of [128, 128] : !c -> !z
    %d = te.gemm %x scales(%xs), %q scales(%z) outs(%a) {accumulate} : (!q, !z, !q, !z, !y) -> !y
    scf.yield %d : !y
  }
  %o = te.dequantize %q, %s : (!q, !c) -> !w
  return %y, %o : !y, !w
}

// -----

#c = #te.scales<1 x 32, compact>
#z = #te.scales<1 x 32, swizzled>
!w = tensor<128x128xbf16>
!q = tensor<128x128xf8E4M3FN>
!c = tensor<128x4xf8E8M0FNU, #c>
!z = tensor<128x4xf8E8M0FNU, #z>
!y = tensor<128x128xf32>

// A checkpoint may read a public workspace: its type stays.
// CHECK:       ml_program.global public mutable @w_s : tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, compact>>
// CHECK-LABEL: func @public(
// CHECK:         te.convert_scales
// CHECK:         scf.for
// CHECK-NEXT:      te.gemm
// REMARK-DAG: [[#@LINE+10]]:{{.*}}[Passed] HoistSwizzles{{.*}}Function=public | BytesSaved=3072, LaunchesSaved=3
// REMARK-DAG: [[#@LINE+9]]:{{.*}}[Missed] HoistSwizzles{{.*}}Reason="ml_program.global_store of @w_s at {{.*}} reads compact scales and te.gemm at {{.*}} reads swizzled"
ml_program.global public mutable @w_s : !c
func.func @public(%x: !q, %xs: !z, %w: !w, %y0: !y) -> !y {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %q, %s = te.quantize %w : !w -> !q, !c
  ml_program.global_store @w_s = %s : !c
  %y = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %y0) -> !y {
    %z = te.convert_scales %s of [128, 128] : !c -> !z
    %d = te.gemm %x scales(%xs), %q scales(%z) outs(%a) {accumulate} : (!q, !z, !q, !z, !y) -> !y
    scf.yield %d : !y
  }
  return %y : !y
}

// -----

#c = #te.scales<1 x 32, compact>
#z = #te.scales<1 x 32, swizzled>
!w = tensor<128x128xbf16>
!q = tensor<128x128xf8E4M3FN>
!c = tensor<128x4xf8E8M0FNU, #c>
!z = tensor<128x4xf8E8M0FNU, #z>
!y = tensor<128x128xf32>

// So does a collective.
// CHECK-LABEL: func @collective(
// CHECK:         %{{.*}}, %[[S:.*]] = te.quantize {{.*}} #te.scales<1 x 32, compact>>
// CHECK:         te.dispatch %{{.*}}, %[[S]]
// CHECK:         scf.for
// CHECK-NEXT:      te.gemm
// REMARK-DAG: [[#@LINE+9]]:{{.*}}[Missed] HoistSwizzles{{.*}}Reason="te.dispatch at {{.*}} reads compact scales and te.gemm at {{.*}} reads swizzled"
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Passed] HoistSwizzles{{.*}}Function=collective | BytesSaved=3072, LaunchesSaved=3
func.func @collective(%x: !q, %xs: !z, %w: !w, %h: tensor<128x1xi32>, %y0: !y) -> (!y, !q, !c) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %q, %s = te.quantize %w : !w -> !q, !c
  %r, %rs = te.dispatch %q, %s by %h : !q, !c by tensor<128x1xi32> -> !q, !c
  %y = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %y0) -> !y {
    %z = te.convert_scales %s of [128, 128] : !c -> !z
    %d = te.gemm %x scales(%xs), %q scales(%z) outs(%a) {accumulate} : (!q, !z, !q, !z, !y) -> !y
    scf.yield %d : !y
  }
  return %y, %r, %rs : !y, !q, !c
}

// -----

#c = #te.scales<1 x 32, compact>
#z = #te.scales<1 x 32, swizzled>
!w = tensor<128x128xbf16>
!q = tensor<128x128xf8E4M3FN>
!c = tensor<128x4xf8E8M0FNU, #c>
!z = tensor<128x4xf8E8M0FNU, #z>
!y = tensor<128x128xf32>

// Primary weights of two experts, in both directions: their scales come with the step
// (from the optimizer, an all-gather), and are swizzled once for all micro-batches.
// CHECK-LABEL: func @primary(
// CHECK-SAME:      %[[S:[a-z0-9]+]]: tensor<2x128x4xf8E8M0FNU, #te.scales<1 x 32, compact>>, %[[T:[a-z0-9]+]]: tensor<2x4x128xf8E8M0FNU, #te.scales<32 x 1, compact>>
// CHECK:         te.convert_scales %[[S]] of [128, 128] : tensor<2x128x4
// CHECK:         %[[T1:.*]] = te.member %[[T]][1]
// CHECK-NEXT:    te.convert_scales %[[T1]] of [128, 128] : tensor<4x128
// CHECK:         scf.for
// CHECK-NOT:     te.convert_scales
// CHECK:         return
// REMARK-DAG: [[#@LINE+16]]:{{.*}}[Passed] HoistSwizzles{{.*}}Function=primary | BytesSaved=4096, LaunchesSaved=4
// REMARK-DAG: [[#@LINE+16]]:{{.*}}[Passed] HoistSwizzles{{.*}}Function=primary | BytesSaved=4096, LaunchesSaved=4
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] HoistSwizzles{{.*}}BytesLost=2048, LaunchesLost=1, Op={{.*}}, Reason="the function gives compact scales and te.gemm at {{.*}} reads swizzled"
// REMARK-DAG: [[#@LINE+19]]:{{.*}}[Passed] HoistSwizzles{{.*}}Function=primary | BytesSaved=3072, LaunchesSaved=3
// REMARK-DAG: [[#@LINE+18]]:{{.*}}[Missed] HoistSwizzles{{.*}}BytesLost=1024, LaunchesLost=1, Op={{.*}}, Reason="the function gives compact scales and {{.*}} reads swizzled"
#ct = #te.scales<32 x 1, compact>
#zt = #te.scales<32 x 1, swizzled>
func.func @primary(%x: !q, %xs: !z, %w: tensor<2x128x128xf8E4M3FN> {te.parameter}, %s: tensor<2x128x4xf8E8M0FNU, #c>, %t: tensor<2x4x128xf8E8M0FNU, #ct>, %y0: !y, %dx0: tensor<4x128x4xf8E8M0FNU, #zt>) -> (!y, tensor<4x128x4xf8E8M0FNU, #zt>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %y:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %y0, %dx = %dx0) -> (!y, tensor<4x128x4xf8E8M0FNU, #zt>) {
    %w0 = te.member %w[0] : tensor<2x128x128xf8E4M3FN> -> !q
    %w1 = te.member %w[1] : tensor<2x128x128xf8E4M3FN> -> !q
    %s0 = te.member %s[0] : tensor<2x128x4xf8E8M0FNU, #c> -> !c
    %s1 = te.member %s[1] : tensor<2x128x4xf8E8M0FNU, #c> -> !c
    %z0 = te.convert_scales %s0 of [128, 128] : !c -> !z
    %z1 = te.convert_scales %s1 of [128, 128] : !c -> !z
    %d0 = te.gemm %x scales(%xs), %w0 scales(%z0) outs(%a) {accumulate} : (!q, !z, !q, !z, !y) -> !y
    %d1 = te.gemm %x scales(%xs), %w1 scales(%z1) outs(%d0) {accumulate} : (!q, !z, !q, !z, !y) -> !y
    // For the backward product of expert 1.
    %t1 = te.member %t[1] : tensor<2x4x128xf8E8M0FNU, #ct> -> tensor<4x128xf8E8M0FNU, #ct>
    %zt = te.convert_scales %t1 of [128, 128] : tensor<4x128xf8E8M0FNU, #ct> -> tensor<128x4xf8E8M0FNU, #zt>
    %dxn = te.insert_member %zt into %dx[%i] : tensor<128x4xf8E8M0FNU, #zt> -> tensor<4x128x4xf8E8M0FNU, #zt>
    scf.yield %d1, %dxn : !y, tensor<4x128x4xf8E8M0FNU, #zt>
  }
  return %y#0, %y#1 : !y, tensor<4x128x4xf8E8M0FNU, #zt>
}

// -----

#c = #te.scales<1 x 32, compact>
#z = #te.scales<1 x 32, swizzled>
!w = tensor<128x128xbf16>
!q = tensor<128x128xf8E4M3FN>
!c = tensor<128x4xf8E8M0FNU, #c>
!z = tensor<128x4xf8E8M0FNU, #z>
!y = tensor<128x128xf32>

// Primary weights in globals that nobody here writes: load and swizzle leave the loop.
// CHECK:       ml_program.global private mutable @w_s : tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, compact>>
// CHECK-LABEL: func @primary_global(
// CHECK:         %[[S:.*]] = ml_program.global_load @w_s
// CHECK-NEXT:    te.convert_scales %[[S]]
// CHECK-NEXT:    scf.for
// CHECK-NEXT:      ml_program.global_load @w :
// CHECK-NEXT:      te.gemm
// REMARK-DAG: [[#@LINE+11]]:{{.*}}[Passed] HoistSwizzles{{.*}}Function=primary_global | BytesSaved=3072, LaunchesSaved=3
// REMARK-DAG: [[#@LINE+10]]:{{.*}}[Missed] HoistSwizzles{{.*}}Reason="ml_program.global_load of @w_s at {{.*}} gives compact scales and te.gemm at {{.*}} reads swizzled"
ml_program.global public mutable @w : !q
ml_program.global private mutable @w_s : !c
func.func @primary_global(%x: !q, %xs: !z, %y0: !y) -> !y {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %y = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %y0) -> !y {
    %q = ml_program.global_load @w : !q
    %s = ml_program.global_load @w_s : !c
    %z = te.convert_scales %s of [128, 128] : !c -> !z
    %d = te.gemm %x scales(%xs), %q scales(%z) outs(%a) {accumulate} : (!q, !z, !q, !z, !y) -> !y
    scf.yield %d : !y
  }
  return %y : !y
}

// -----

#c = #te.scales<1 x 32, compact>
#z = #te.scales<1 x 32, swizzled>
!w = tensor<128x128xbf16>
!q = tensor<128x128xf8E4M3FN>
!c = tensor<128x4xf8E8M0FNU, #c>
!z = tensor<128x4xf8E8M0FNU, #z>
!y = tensor<128x128xf32>

// Each micro-batch may call what writes the weights.
// CHECK-LABEL: func @written(
// CHECK:         scf.for
// CHECK-NEXT:      call
// CHECK-NEXT:      ml_program.global_load
// CHECK-NEXT:      te.convert_scales
// REMARK-DAG: [[#@LINE+11]]:{{.*}}[Missed] HoistSwizzles{{.*}}Reason="the scales vary in the loop"
// REMARK-DAG: [[#@LINE+10]]:{{.*}}[Missed] HoistSwizzles{{.*}}BytesLost=4096, LaunchesLost=4, Op={{.*}}, Reason="ml_program.global_load of @w_s
ml_program.global public mutable @w_s : !c
func.func private @optimizer()
func.func @written(%x: !q, %xs: !z, %q: !q, %y0: !y) -> !y {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %y = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %y0) -> !y {
    func.call @optimizer() : () -> ()
    %s = ml_program.global_load @w_s : !c
    %z = te.convert_scales %s of [128, 128] : !c -> !z
    %d = te.gemm %x scales(%xs), %q scales(%z) outs(%a) {accumulate} : (!q, !z, !q, !z, !y) -> !y
    scf.yield %d : !y
  }
  return %y : !y
}
