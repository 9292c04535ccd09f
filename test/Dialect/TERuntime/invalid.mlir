// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{a buffer must have a static shape, but got 'tensor<?x4xf32>'}}
func.func private @dynamic(!te_rt.buffer<?x4xf32>)

// -----

// expected-error @+1 {{a buffer must have integer or float elements, but got 'tensor<4xindex>'}}
func.func private @index(!te_rt.buffer<4xindex>)

// -----

// expected-error @+1 {{te_rt.direction of argument 0 must be "in" or "out", but got "both"}}
func.func private @direction(!te_rt.buffer<4xf32> {te_rt.direction = "both"})

// -----

// expected-error @+1 {{te_rt.arena_bytes must be a non-negative i64, but got -1 : i64}}
func.func private @arena() attributes {te_rt.arena_bytes = -1 : i64}

// -----

func.func @alloc() {
  // expected-error @+1 {{the offset must be at least 0, but got -4}}
  %a = te_rt.alloc at -4 : !te_rt.buffer<4xf32>
  return
}

// -----

func.func @workspace() {
  // expected-error @+1 {{must name an ml_program.global, but got @none}}
  %w = te_rt.workspace @none : !te_rt.buffer<4xf32>
  return
}

// -----

ml_program.global private mutable @w : tensor<8xf32>
func.func @workspace_type() {
  // expected-error @+1 {{must be of 'tensor<8xf32>', the type of @w, but got '!te_rt.buffer<4xf32>'}}
  %w = te_rt.workspace @w : !te_rt.buffer<4xf32>
  return
}

// -----

func.func @constant() {
  // expected-error @+1 {{the value must be a 'tensor<3xi32>', but got 'tensor<2xi32>'}}
  %c = "te_rt.constant"() {value = dense<1> : tensor<2xi32>} : () -> !te_rt.buffer<3xi32>
  return
}

// -----

func.func @member_range(%b: !te_rt.buffer<4x8xf32>) {
  // expected-error @+1 {{the index must be in [0, 4), but got 4}}
  %m = te_rt.member %b[4] : !te_rt.buffer<4x8xf32>
  return
}

// -----

func.func @member_loop_range(%b: !te_rt.buffer<4x8xf32>) {
  %c1 = arith.constant 1 : index
  %c6 = arith.constant 6 : index
  %c2 = arith.constant 2 : index
  scf.for %i = %c1 to %c6 step %c2 {
    // expected-error @+1 {{the index must be in [0, 4), but got 5}}
    %m = te_rt.member %b[%i] : !te_rt.buffer<4x8xf32>
  }
  return
}

// -----

func.func @member_no_loop(%b: !te_rt.buffer<4x8xf32>, %i: index) {
  // expected-error @+1 {{the index must be a constant or the counter of an scf.for with constant bounds and step}}
  %m = te_rt.member %b[%i] : !te_rt.buffer<4x8xf32>
  return
}

// -----

func.func @member_no_index(%b: !te_rt.buffer<4x8xf32>) {
  // expected-error @+1 {{the index must be either a constant or a loop's counter, but got neither}}
  %m = "te_rt.member"(%b) : (!te_rt.buffer<4x8xf32>) -> !te_rt.buffer<8xf32>
  return
}

// -----

func.func @member_scalar(%b: !te_rt.buffer<f32>) {
  // expected-error @+1 {{packed must be a buffer with a first dimension, but got '!te_rt.buffer<f32>'}}
  %m = te_rt.member %b[0] : !te_rt.buffer<f32>
  return
}

// -----

func.func @call_slots(%b: !te_rt.buffer<f32>) {
  // expected-error @+1 {{slots must have 1 buffers, as there are operands, but got 2}}
  "te_rt.call"(%b) {function = "f", slot_sizes = array<i32: 2>, slot_outputs = array<i1: true>, scalars = [], call_cost = #te_rt.cost<other>} : (!te_rt.buffer<f32>) -> ()
  return
}

// -----

func.func @call_outputs(%b: !te_rt.buffer<f32>) {
  // expected-error @+1 {{slot_outputs must have 1 entries, as slot_sizes, but got 2}}
  "te_rt.call"(%b) {function = "f", slot_sizes = array<i32: 1>, slot_outputs = array<i1: true, false>, scalars = [], call_cost = #te_rt.cost<other>} : (!te_rt.buffer<f32>) -> ()
  return
}

// -----

func.func @call_size(%b: !te_rt.buffer<f32>) {
  // expected-error @+1 {{the size of a slot must be at least 0, but got -1}}
  "te_rt.call"(%b) {function = "f", slot_sizes = array<i32: 2, -1>, slot_outputs = array<i1: true, false>, scalars = [], call_cost = #te_rt.cost<other>} : (!te_rt.buffer<f32>) -> ()
  return
}

// -----

func.func @call_scalars() {
  // expected-error @+1 {{scalars must be i64 or f64, but got 1 : i32}}
  te_rt.call @f() scalars(1 : i32) cost(#te_rt.cost<other>)
  return
}

// -----

func.func @call_slot_keyword() {
  // expected-error @+1 {{expected a slot, `in(...)` or `out(...)`}}
  te_rt.call @f(inout()) scalars() cost(#te_rt.cost<other>)
  return
}

// -----

func.func @cost_class() {
  // expected-error @+1 {{not a class of costs: matmul}}
  te_rt.call @f() scalars() cost(#te_rt.cost<matmul>)
  return
}

// -----

func.func @cost_field() {
  // expected-error @+1 {{a cost has launches, bytes, flops, host_syncs and product, but got seconds}}
  te_rt.call @f() scalars() cost(#te_rt.cost<gemm, seconds = 3>)
  return
}
