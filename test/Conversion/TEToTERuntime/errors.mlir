// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-convert-to-runtime -split-input-file -verify-diagnostics

// expected-error @+1 {{argument 0 must be a tensor of static shape of integers or floats to be lowered, but got 'tensor<?x4xf32>'}}
func.func @dynamic_argument(%x: tensor<?x4xf32>) {
  return
}

// -----

func.func @dynamic_result(%n: tensor<4x4xf32>) {
  %c4 = arith.constant 4 : index
  // expected-error @+1 {{result 0 must be a tensor of static shape of integers or floats to be lowered, but got 'tensor<?x4xf32>'}}
  %e = tensor.empty(%c4) : tensor<?x4xf32>
  return
}

// -----

func.func @other_op(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // expected-error @+1 {{'arith.addf' op has no lowering to te_rt: it implements no RuntimeCallOpInterface}}
  %y = arith.addf %x, %x : tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

func.func @scalar(%x: tensor<4x4xf32>) {
  // expected-error @+1 {{result 0 must be a tensor of static shape of integers or floats to be lowered, but got 'f32'}}
  %y = arith.constant 1.0 : f32
  return
}

// -----

func.func @loop_bounds(%x: tensor<4x4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %c1 step %c1 iter_args(%a = %x) -> (tensor<4x4xf32>) {
    // expected-error @+1 {{must have constant bounds and a constant step to be lowered}}
    %s = scf.for %j = %c0 to %i step %c1 iter_args(%b = %a) -> (tensor<4x4xf32>) {
      scf.yield %b : tensor<4x4xf32>
    }
    scf.yield %s : tensor<4x4xf32>
  }
  return
}

// -----

// expected-error @+1 {{must have one block to be lowered, but got 2}}
func.func @blocks() {
  cf.br ^next
^next:
  return
}

// -----

// expected-error @+1 {{argument 1 must be a tensor of static shape}}
func.func @index(%x: tensor<4x4xf32>, %i: index) -> tensor<4xf32> {
  %m = te.member %x[%i] : tensor<4x4xf32> -> tensor<4xf32>
  return %m : tensor<4xf32>
}
