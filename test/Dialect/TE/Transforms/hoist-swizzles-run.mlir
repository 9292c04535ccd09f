// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// te-hoist-swizzles by execution: primary scales, and workspaces of scales, over two steps.
//
// RUN: %python -c "import numpy; numpy.save('%t.npy', numpy.arange(2048).astype(numpy.uint8).reshape(2, 256, 4))"
// RUN: te-run %s --entry=primary --check --steps=2 --input=s=%t.npy --passes=te-hoist-swizzles | FileCheck %s --check-prefix=EXACT
// RUN: te-run %s --entry=workspace --check --steps=2 --input=s=%t.npy --passes=te-hoist-swizzles | FileCheck %s --check-prefix=EXACT
// RUN: te-run %s --entry=stale --check --steps=2 --input=s=%t.npy --passes=te-hoist-swizzles | FileCheck %s --check-prefix=EXACT
// RUN: te-opt %s -te-hoist-swizzles | FileCheck %s
// RUN: te-opt %s --te-cost-report -o /dev/null 2>&1 | FileCheck %s --check-prefix=BEFORE
// RUN: te-opt %s -te-hoist-swizzles --te-cost-report -o /dev/null 2>&1 | FileCheck %s --check-prefix=AFTER
// EXACT: result0 f8E8M0FNU[3, 256, 4] exact
// BEFORE: swizzle 18
// AFTER: swizzle 3

#c = #te.scales<1 x 32, compact>
#z = #te.scales<1 x 32, swizzled>
!c = tensor<256x4xf8E8M0FNU, #c>
!z = tensor<256x4xf8E8M0FNU, #z>
!all = tensor<3x256x4xf8E8M0FNU, #z>

// CHECK: @stale_s : tensor<256x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
// CHECK: @ws : tensor<2x256x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
ml_program.global private mutable @stale_s : !c
ml_program.global private mutable @ws : tensor<2x256x4xf8E8M0FNU, #c>

// CHECK-LABEL: func @primary(
// CHECK:         te.convert_scales
// CHECK:         scf.for
// CHECK-NOT:     te.convert_scales
// CHECK:         return
func.func @primary(%s: tensor<2x256x4xf8E8M0FNU, #c> {te.name = "s"}) -> !all {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %y0 = tensor.empty() : !all
  %y = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %y0) -> !all {
    %s0 = te.member %s[0] : tensor<2x256x4xf8E8M0FNU, #c> -> !c
    %s1 = te.member %s[1] : tensor<2x256x4xf8E8M0FNU, #c> -> !c
    %z0 = te.convert_scales %s0 of [256, 128] : !c -> !z
    %z1 = te.convert_scales %s1 of [256, 128] : !c -> !z
    %n0 = te.insert_member %z0 into %acc[%i] : !z -> !all
    %n1 = te.insert_member %z1 into %n0[%i] : !z -> !all
    scf.yield %n1 : !all
  }
  return %y : !all
}

// The workspace is written swizzled, and loaded so in each micro-batch.
// CHECK-LABEL: func @workspace(
// CHECK:         %[[Z:.*]] = te.convert_scales
// CHECK:         ml_program.global_store @ws = %[[Z]]
// CHECK:         scf.for
// CHECK-NOT:     te.convert_scales
// CHECK:         return
func.func @workspace(%s: tensor<2x256x4xf8E8M0FNU, #c> {te.name = "s"}) -> !all {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %y0 = tensor.empty() : !all
  ml_program.global_store @ws = %s : tensor<2x256x4xf8E8M0FNU, #c>
  %y = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %y0) -> !all {
    %f = ml_program.global_load @ws : tensor<2x256x4xf8E8M0FNU, #c>
    %s0 = te.member %f[0] : tensor<2x256x4xf8E8M0FNU, #c> -> !c
    %z0 = te.convert_scales %s0 of [256, 128] : !c -> !z
    %n0 = te.insert_member %z0 into %acc[%i] : !z -> !all
    %l = ml_program.global_load @ws : tensor<2x256x4xf8E8M0FNU, #c>
    %s1 = te.member %l[1] : tensor<2x256x4xf8E8M0FNU, #c> -> !c
    %z1 = te.convert_scales %s1 of [256, 128] : !c -> !z
    %n1 = te.insert_member %z1 into %n0[%i] : !z -> !all
    scf.yield %n1 : !all
  }
  return %y : !all
}

// Each step reads what the step before it has stored.
// CHECK-LABEL: func @stale(
// CHECK:         %[[OLD:.*]] = ml_program.global_load @stale_s
// CHECK:         scf.for
// CHECK-NOT:     te.convert_scales
// CHECK:         %[[NEW:.*]] = te.convert_scales
// CHECK:         ml_program.global_store @stale_s = %[[NEW]]
func.func @stale(%s: tensor<2x256x4xf8E8M0FNU, #c> {te.name = "s"}) -> !all {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %y0 = tensor.empty() : !all
  %old = ml_program.global_load @stale_s : !c
  %again = ml_program.global_load @stale_s : !c
  %y = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %y0) -> !all {
    %z = te.convert_scales %old of [256, 128] : !c -> !z
    %n = te.insert_member %z into %acc[%i] : !z -> !all
    %z2 = te.convert_scales %again of [256, 128] : !c -> !z
    %n2 = te.insert_member %z2 into %n[%i] : !z -> !all
    scf.yield %n2 : !all
  }
  %s0 = te.member %s[0] : tensor<2x256x4xf8E8M0FNU, #c> -> !c
  ml_program.global_store @stale_s = %s0 : !c
  return %y : !all
}
