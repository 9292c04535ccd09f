// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s --allow-unregistered-dialect -te-hoist-weight-quantize | FileCheck %s
// RUN: te-opt %s --allow-unregistered-dialect -te-hoist-weight-quantize -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-hoist-weight-quantize | FileCheck %s --check-prefix=REMARK

#block = #te.scales<128 x 128, gemm_ready>
#tensor = #te.scales<tensor>

// The cast and the view that it reads leave; the use stays.
// CHECK-LABEL: func @hoist(
// CHECK-SAME:      %[[W:.*]]: tensor<2x256x128xbf16>
// CHECK:         %[[M:.*]] = te.member %[[W]][1]
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = te.quantize %[[M]]
// CHECK-NEXT:    scf.for
// CHECK-NEXT:      "test.use"(%[[Q]], %[[S]])
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Passed] HoistWeightQuantize{{.*}}BytesSaved={{[1-9][0-9]+}}, LaunchesSaved=7, Op=te.quantize
func.func @hoist(%w: tensor<2x256x128xbf16>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  scf.for %i = %c0 to %c8 step %c1 {
    %m = te.member %w[1] : tensor<2x256x128xbf16> -> tensor<256x128xbf16>
    %q, %s = te.quantize %m : tensor<256x128xbf16> -> tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>
    "test.use"(%q, %s) : (tensor<256x128xf8E4M3FN>, tensor<2x4xf32, #block>) -> ()
  }
  return
}

// A maximum taken over and over is that taken once.
// CHECK-LABEL: func @amax(
// CHECK-SAME:      %[[W:.*]]: tensor<64x32xbf16>, %[[SCALE:.*]]: tensor<f32>, %[[INIT:.*]]: tensor<f32>)
// CHECK:         %[[Q:.*]], %[[S:.*]], %[[MAX:.*]] = te.quantize %[[W]] scale(%[[SCALE]] : tensor<f32>) amax(%[[INIT]] : tensor<f32>)
// CHECK-NEXT:    scf.for {{.*}} iter_args(%[[A:.*]] = %[[MAX]])
// CHECK-NEXT:      "test.use"(%[[Q]], %[[MAX]])
// CHECK-NEXT:      scf.yield %[[A]]
// CHECK:         return %[[MAX]]
func.func @amax(%w: tensor<64x32xbf16>, %scale: tensor<f32>, %init: tensor<f32>) -> tensor<f32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %r = scf.for %i = %c0 to %c8 step %c1 iter_args(%a = %init) -> (tensor<f32>) {
    %q, %s, %m = te.quantize %w scale(%scale : tensor<f32>) amax(%a : tensor<f32>)
      : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
    "test.use"(%q, %m) : (tensor<64x32xf8E4M3FN>, tensor<f32>) -> ()
    scf.yield %m : tensor<f32>
  }
  return %r : tensor<f32>
}

// One launch for many leaves two loops, with the packed maxima that it makes.
// CHECK-LABEL: func @nested(
// CHECK-SAME:      %[[A:.*]]: tensor<2x64x32xbf16>, %[[B:.*]]: tensor<64x32xbf16>, %[[IA:.*]]: tensor<2xf32>, %[[IB:.*]]: tensor<f32>)
// CHECK:         {{.*}}, %[[MAX:[^ ]*]]:2 = te.multi_cast_transpose %[[A]], %[[B]] amax(%[[IA]], %[[IB]] :
// CHECK-NEXT:    scf.for
// CHECK-NEXT:      scf.for
// CHECK-NEXT:        "test.use"(%[[MAX]]#0)
// CHECK:         return %[[MAX]]#0, %[[MAX]]#1
func.func @nested(%a: tensor<2x64x32xbf16>, %b: tensor<64x32xbf16>, %ia: tensor<2xf32>, %ib: tensor<f32>) -> (tensor<2xf32>, tensor<f32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %r:2 = scf.for %i = %c0 to %c8 step %c1 iter_args(%ma = %ia, %mb = %ib) -> (tensor<2xf32>, tensor<f32>) {
    %n:2 = scf.for %j = %c0 to %c8 step %c1 iter_args(%na = %ma, %nb = %mb) -> (tensor<2xf32>, tensor<f32>) {
      %q:2, %s:2, %m:2 = te.multi_cast_transpose %a, %b amax(%na, %nb : tensor<2xf32>, tensor<f32>) : tensor<2x64x32xbf16>, tensor<64x32xbf16>
        -> tensor<2x64x32xf8E4M3FN>, tensor<64x32xf8E4M3FN> scales tensor<2xf32, #tensor>, tensor<f32, #tensor> amax_out tensor<2xf32>, tensor<f32>
      "test.use"(%m#0) : (tensor<2xf32>) -> ()
      scf.yield %m#0, %m#1 : tensor<2xf32>, tensor<f32>
    }
    scf.yield %n#0, %n#1 : tensor<2xf32>, tensor<f32>
  }
  return %r#0, %r#1 : tensor<2xf32>, tensor<f32>
}

// The same for the members of a packed maximum.
// CHECK-LABEL: func @packed_amax(
// CHECK-SAME:      %[[W:.*]]: tensor<64x32xbf16>, %[[INIT:.*]]: tensor<2xf32>)
// CHECK-DAG:     %[[I0:.*]] = te.member %[[INIT]][0]
// CHECK-DAG:     %[[I1:.*]] = te.member %[[INIT]][1]
// CHECK:         {{.*}}, %[[M0:[^ ]*]] = te.quantize %[[W]] amax(%[[I0]] : tensor<f32>)
// CHECK-NEXT:    {{.*}}, %[[M1:[^ ]*]] = te.quantize %[[W]] amax(%[[I1]] : tensor<f32>)
// CHECK:         %[[MAX:.*]] = te.pack %[[M0]], %[[M1]]
// CHECK-NEXT:    scf.for
// CHECK-NOT:       te.quantize
// CHECK:         return %[[MAX]]
func.func @packed_amax(%w: tensor<64x32xbf16>, %init: tensor<2xf32>) -> tensor<2xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %r = scf.for %i = %c0 to %c8 step %c1 iter_args(%a = %init) -> (tensor<2xf32>) {
    %a0 = te.member %a[0] : tensor<2xf32> -> tensor<f32>
    %a1 = te.member %a[1] : tensor<2xf32> -> tensor<f32>
    %q0, %s0, %m0 = te.quantize %w amax(%a0 : tensor<f32>)
      : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
    %q1, %s1, %m1 = te.quantize %w amax(%a1 : tensor<f32>)
      : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
    %m = te.pack %m0, %m1 : tensor<f32> -> tensor<2xf32>
    scf.yield %m : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}

// Members that change places from one iteration to the next are no maxima.
// CHECK-LABEL: func @keep_swapped_amax(
// CHECK:         scf.for
// CHECK-COUNT-2:   te.quantize
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Missed] HoistWeightQuantize{{.*}}amax varies in the loop
func.func @keep_swapped_amax(%w: tensor<64x32xbf16>, %init: tensor<2xf32>) -> tensor<2xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %r = scf.for %i = %c0 to %c8 step %c1 iter_args(%a = %init) -> (tensor<2xf32>) {
    %a0 = te.member %a[0] : tensor<2xf32> -> tensor<f32>
    %a1 = te.member %a[1] : tensor<2xf32> -> tensor<f32>
    %q0, %s0, %m0 = te.quantize %w amax(%a0 : tensor<f32>)
      : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
    %q1, %s1, %m1 = te.quantize %w amax(%a1 : tensor<f32>)
      : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
    %m = te.pack %m1, %m0 : tensor<f32> -> tensor<2xf32>
    scf.yield %m : tensor<2xf32>
  }
  return %r : tensor<2xf32>
}

// CHECK-LABEL: func @keep_read_amax(
// CHECK:         scf.for
// CHECK-NEXT:      te.quantize
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Missed] HoistWeightQuantize{{.*}}amax varies in the loop
func.func @keep_read_amax(%w: tensor<64x32xbf16>, %init: tensor<f32>) -> tensor<f32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %r = scf.for %i = %c0 to %c8 step %c1 iter_args(%a = %init) -> (tensor<f32>) {
    %q, %s, %m = te.quantize %w amax(%a : tensor<f32>)
      : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
    "test.use"(%a) : (tensor<f32>) -> ()
    scf.yield %m : tensor<f32>
  }
  return %r : tensor<f32>
}

// CHECK-LABEL: func @keep_varying(
// CHECK:         scf.for
// CHECK:           te.quantize {{.*}} noop
// CHECK:           te.quantize {{.*}} outs
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Missed] HoistWeightQuantize{{.*}}noop varies in the loop
// REMARK-DAG: [[#@LINE+10]]:{{.*}}[Missed] HoistWeightQuantize{{.*}}destination varies in the loop
func.func @keep_varying(%w: tensor<64x32xbf16>, %flags: tensor<8xf32>, %q0: tensor<64x32xf8E4M3FN>, %s0: tensor<f32, #tensor>) -> tensor<64x32xf8E4M3FN> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %r = scf.for %i = %c0 to %c8 step %c1 iter_args(%a = %q0) -> (tensor<64x32xf8E4M3FN>) {
    %flag = te.member %flags[%i] : tensor<8xf32> -> tensor<f32>
    %q, %s = te.quantize %w noop(%flag : tensor<f32>) outs(%q0, %s0 : tensor<64x32xf8E4M3FN>, tensor<f32, #tensor>)
      : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor>
    "test.use"(%q) : (tensor<64x32xf8E4M3FN>) -> ()
    %p, %t = te.quantize %w outs(%a, %s0 : tensor<64x32xf8E4M3FN>, tensor<f32, #tensor>)
      : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor>
    scf.yield %p : tensor<64x32xf8E4M3FN>
  }
  return %r : tensor<64x32xf8E4M3FN>
}

// CHECK-LABEL: func @keep_no_iteration(
// CHECK:         scf.for
// CHECK-NEXT:      te.quantize
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] HoistWeightQuantize{{.*}}the loop is not known to run at least once
func.func @keep_no_iteration(%w: tensor<64x32xbf16>, %n: index) {
  %c1 = arith.constant 1 : index
  scf.for %i = %c1 to %n step %c1 {
    %q, %s = te.quantize %w : tensor<64x32xbf16> -> tensor<64x32xf8E4M3FN>, tensor<f32, #tensor>
    "test.use"(%q) : (tensor<64x32xf8E4M3FN>) -> ()
  }
  return
}
