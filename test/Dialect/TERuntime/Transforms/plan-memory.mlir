// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-plan-memory -te-verify-memory-plan | FileCheck %s
// RUN: te-opt %s -te-plan-memory=alignment=64 -te-verify-memory-plan | FileCheck %s --check-prefix=SMALL

// Each lives until the next is written, so that two places serve three buffers.
// CHECK-LABEL: func.func @chain
// CHECK-SAME:    te_rt.arena_bytes = 8192 : i64
// CHECK:         te_rt.alloc at 0
// CHECK:         te_rt.alloc at 4096
// CHECK:         te_rt.alloc at 0
func.func @chain(%x: !te_rt.buffer<1024xf32>, %y: !te_rt.buffer<1024xf32>) {
  %a = te_rt.alloc : !te_rt.buffer<1024xf32>
  te_rt.call @copy(in(%x), out(%a)) scalars() cost(#te_rt.cost<copy>) : !te_rt.buffer<1024xf32>, !te_rt.buffer<1024xf32>
  %b = te_rt.alloc : !te_rt.buffer<1024xf32>
  te_rt.call @copy(in(%a), out(%b)) scalars() cost(#te_rt.cost<copy>) : !te_rt.buffer<1024xf32>, !te_rt.buffer<1024xf32>
  %c = te_rt.alloc : !te_rt.buffer<1024xf32>
  te_rt.call @copy(in(%b), out(%c)) scalars() cost(#te_rt.cost<copy>) : !te_rt.buffer<1024xf32>, !te_rt.buffer<1024xf32>
  te_rt.call @copy(in(%c), out(%y)) scalars() cost(#te_rt.cost<copy>) : !te_rt.buffer<1024xf32>, !te_rt.buffer<1024xf32>
  return
}

// Each begins at a multiple of the alignment.
// CHECK-LABEL: func.func @alignment
// CHECK-SAME:    te_rt.arena_bytes = 512 : i64
// CHECK:         te_rt.alloc at 0
// CHECK:         te_rt.alloc at 256
// SMALL-LABEL: func.func @alignment
// SMALL-SAME:    te_rt.arena_bytes = 128 : i64
// SMALL:         te_rt.alloc at 0
// SMALL:         te_rt.alloc at 64
func.func @alignment() {
  %a = te_rt.alloc : !te_rt.buffer<f32>
  %b = te_rt.alloc : !te_rt.buffer<f32>
  te_rt.call @f(out(%a, %b)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<f32>, !te_rt.buffer<f32>
  return
}

// What is made outside of a loop holds for all of it; what is made inside, for
// one iteration.
// CHECK-LABEL: func.func @loop
// CHECK-SAME:    te_rt.arena_bytes = 8192 : i64
// CHECK:         te_rt.alloc at 0
// CHECK:         scf.for
// CHECK:           te_rt.alloc at 4096
// CHECK:           te_rt.alloc at 4096
func.func @loop(%x: !te_rt.buffer<1024xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = te_rt.alloc : !te_rt.buffer<1024xf32>
  te_rt.call @copy(in(%x), out(%a)) scalars() cost(#te_rt.cost<copy>) : !te_rt.buffer<1024xf32>, !te_rt.buffer<1024xf32>
  scf.for %i = %c0 to %c1 step %c1 {
    te_rt.call @f(in(%a)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<1024xf32>
    %b = te_rt.alloc : !te_rt.buffer<1024xf32>
    te_rt.call @f(out(%b)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<1024xf32>
    %c = te_rt.alloc : !te_rt.buffer<1024xf32>
    te_rt.call @f(out(%c)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<1024xf32>
  }
  return
}

// A view keeps its buffer alive.
// CHECK-LABEL: func.func @view
// CHECK:         te_rt.alloc at 0
// CHECK:         te_rt.alloc at 2048
func.func @view() {
  %a = te_rt.alloc : !te_rt.buffer<2x256xf32>
  %m = te_rt.member %a[1] : !te_rt.buffer<2x256xf32>
  te_rt.call @f(out(%a)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<2x256xf32>
  %b = te_rt.alloc : !te_rt.buffer<256xf32>
  te_rt.call @f(out(%b)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<256xf32>
  te_rt.call @f(in(%m)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<256xf32>
  return
}

// The smallest hole that fits: the last buffer goes where %c was, not where %a was.
// CHECK-LABEL: func.func @best_fit
// CHECK-SAME:    te_rt.arena_bytes = 22016 : i64
// CHECK:         te_rt.alloc at 0
// CHECK:         te_rt.alloc at 8192
// CHECK:         te_rt.alloc at 14336
// CHECK:         te_rt.alloc at 18432
// CHECK:         te_rt.alloc at 14336 : !te_rt.buffer<512xf32>
func.func @best_fit() {
  %a = te_rt.alloc : !te_rt.buffer<2048xf32>
  %b = te_rt.alloc : !te_rt.buffer<1536xf32>
  %c = te_rt.alloc : !te_rt.buffer<1024xf32>
  %d = te_rt.alloc : !te_rt.buffer<896xf32>
  te_rt.call @f(out(%a, %b, %c, %d)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<2048xf32>, !te_rt.buffer<1536xf32>, !te_rt.buffer<1024xf32>, !te_rt.buffer<896xf32>
  %e = te_rt.alloc : !te_rt.buffer<512xf32>
  te_rt.call @f(in(%b, %d), out(%e)) scalars() cost(#te_rt.cost<other>) : !te_rt.buffer<1536xf32>, !te_rt.buffer<896xf32>, !te_rt.buffer<512xf32>
  return
}
