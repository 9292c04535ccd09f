// A program in which the dialect is not used, and not even loaded.
//
// RUN: te-opt %s -split-input-file --te-optimize | FileCheck %s
// RUN: te-opt %s -split-input-file --te-compile | FileCheck %s
// RUN: te-opt %s -split-input-file --te-cost-report 2>&1 | FileCheck %s --check-prefix=COST
// RUN: te-opt %s -split-input-file --te-explain 2>&1 | FileCheck %s --check-prefix=COST
// RUN: te-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(te-remove-scale-transposes))' | FileCheck %s
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// CHECK: module {
// COST:  target sm_90
// COST:  {{^total +0 }}
module {}

// -----

// CHECK: func.func @nothing()
// COST:  {{^total +0 }}
func.func @nothing() {
  return
}
