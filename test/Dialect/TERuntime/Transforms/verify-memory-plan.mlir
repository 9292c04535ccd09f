// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-verify-memory-plan -split-input-file -verify-diagnostics

func.func @good() attributes {te_rt.arena_bytes = 32 : i64} {
  %a = te_rt.alloc at 0 : !te_rt.buffer<4xf32>
  te_rt.call @f(out(%a)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<4xf32>
  %b = te_rt.alloc at 8 : !te_rt.buffer<4xf32>
  te_rt.call @f(out(%b)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<4xf32>
  return
}

// -----

func.func @unplanned() attributes {te_rt.arena_bytes = 32 : i64} {
  // expected-error @+1 {{has no place in the arena: run te-plan-memory}}
  %a = te_rt.alloc : !te_rt.buffer<4xf32>
  return
}

// -----

// expected-error @+1 {{has no te_rt.arena_bytes: run te-plan-memory}}
func.func @no_arena() {
  %a = te_rt.alloc at 0 : !te_rt.buffer<4xf32>
  return
}

// -----

func.func @beyond() attributes {te_rt.arena_bytes = 32 : i64} {
  // expected-error @+1 {{ends at byte 36 of the arena, which has 32}}
  %a = te_rt.alloc at 20 : !te_rt.buffer<4xf32>
  te_rt.call @f(out(%a)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<4xf32>
  return
}

// -----

func.func @overlap() attributes {te_rt.arena_bytes = 32 : i64} {
  // expected-note @+1 {{the other buffer}}
  %a = te_rt.alloc at 0 : !te_rt.buffer<4xf32>
  te_rt.call @f(out(%a)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<4xf32>
  // expected-error @+1 {{lies in bytes 12 to 28 of the arena while another buffer lives in 0 to 16}}
  %b = te_rt.alloc at 12 : !te_rt.buffer<4xf32>
  te_rt.call @f(in(%a), out(%b)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<4xf32>, !te_rt.buffer<4xf32>
  return
}

// -----

// The uses do not overlap in the text, but in the next iteration.
func.func @overlap_in_loop() attributes {te_rt.arena_bytes = 32 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-note @+1 {{the other buffer}}
  %a = te_rt.alloc at 0 : !te_rt.buffer<4xf32>
  scf.for %i = %c0 to %c1 step %c1 {
    te_rt.call @f(out(%a)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<4xf32>
    // expected-error @+1 {{lies in bytes 8 to 24 of the arena while another buffer lives in 0 to 16}}
    %b = te_rt.alloc at 8 : !te_rt.buffer<4xf32>
    te_rt.call @f(out(%b)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<4xf32>
  }
  return
}
