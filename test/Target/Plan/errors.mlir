// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: split-file %s %t
// RUN: not te-translate --te-to-plan %t/te.mlir -o %t/out.plan 2>&1 | FileCheck %s --check-prefix=TE
// RUN: not te-translate --te-to-plan %t/unplanned.mlir -o %t/out.plan 2>&1 | FileCheck %s --check-prefix=UNPLANNED
// RUN: not te-translate --te-to-plan %t/element.mlir -o %t/out.plan 2>&1 | FileCheck %s --check-prefix=ELEMENT
// RUN: not te-translate --te-to-plan %t/rank.mlir -o %t/out.plan 2>&1 | FileCheck %s --check-prefix=RANK
// RUN: not te-translate --te-to-plan %t/empty.mlir -o %t/out.plan 2>&1 | FileCheck %s --check-prefix=EMPTY
// RUN: not te-translate --te-to-plan %t/none.mlir -o %t/out.plan 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not te-translate %t/te.mlir 2>&1 | FileCheck %s --check-prefix=MODE
// Nothing is written after an error.
// RUN: not ls %t/out.plan

// TE: te-translate: error: {{.*}}te.mlir:1:1: 'func.func' op must have one block and no results to be written to a plan: run te-lower first
// UNPLANNED: te-translate: error: {{.*}}unplanned.mlir:2:8: 'te_rt.alloc' op has no place in the arena: run te-plan-memory
// ELEMENT: te-translate: error: {{.*}}elements of type 'f64' have no form in a plan, in '!te_rt.buffer<4xf64>'
// RANK: te-translate: error: {{.*}}a plan holds tensors of rank 4 at most, but got '!te_rt.buffer<1x1x1x1x1xf32>'
// EMPTY: te-translate: error: {{.*}}has no function to be written to a plan
// NONE: te-translate: error: {{.*}}No such file or directory
// MODE: te-translate: error: give one of --te-to-plan and --plan-to-text

// A plan cut short, and one that is none.
// RUN: te-opt %t/good.mlir -te-lower | te-translate --te-to-plan -o %t/good.plan
// RUN: head -c 100 %t/good.plan > %t/cut.plan
// RUN: not te-translate --plan-to-text %t/cut.plan 2>&1 | FileCheck %s --check-prefix=CUT
// RUN: not te-translate --plan-to-text %t/te.mlir 2>&1 | FileCheck %s --check-prefix=FOREIGN
// CUT: te-translate: error: {{.*}}cut.plan: a plan that is damaged or cut short
// FOREIGN: te-translate: error: {{.*}}te.mlir: not a plan: the identifier must be TEPL at byte 4

// An output that cannot be written.
// RUN: te-opt %t/good.mlir -te-lower -o %t/lowered.mlir
// RUN: not te-translate --te-to-plan %t/lowered.mlir -o %t/no/where.plan 2>&1 | FileCheck %s --check-prefix=OUTPUT
// OUTPUT: te-translate: error: {{.*}}where.plan': No such file or directory

//--- te.mlir
func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %t = te.transpose %x : tensor<4x4xf32> -> tensor<4x4xf32>
  return %t : tensor<4x4xf32>
}
//--- unplanned.mlir
func.func @f() {
  %a = te_rt.alloc : !te_rt.buffer<4xf32>
  te_rt.call @fill(out(%a)) scalars(1.0) cost(#te_rt.cost<copy>) : !te_rt.buffer<4xf32>
  return
}
//--- element.mlir
func.func @f(%x: !te_rt.buffer<4xf64> {te.name = "x", te_rt.direction = "in"}) {
  return
}
//--- rank.mlir
func.func @f(%x: !te_rt.buffer<1x1x1x1x1xf32> {te.name = "x", te_rt.direction = "in"}) {
  return
}
//--- empty.mlir
module {}
//--- good.mlir
func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %t = te.transpose %x : tensor<4x4xf32> -> tensor<4x4xf32>
  return %t : tensor<4x4xf32>
}
