// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-pack-parameters | FileCheck %s
// RUN: te-opt %s -te-pack-parameters -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-pack-parameters | FileCheck %s --check-prefix=REMARK
//
// Where each member lies, as a file.
// RUN: te-opt %s -te-pack-parameters=manifest=%t.json -o /dev/null
// RUN: FileCheck %s --check-prefix=MANIFEST --input-file=%t.json
// RUN: not te-opt %s -te-pack-parameters=manifest=%t/none/m.json -o /dev/null 2>&1 | FileCheck %s --check-prefix=NOFILE
// NOFILE: error: te-pack-parameters: cannot write {{.*}}none/m.json
//
// With strict, each remark of a missed group is an error.
// RUN: not te-opt %s -te-pack-parameters=strict -o /dev/null 2>&1 | FileCheck %s --check-prefix=STRICT
// STRICT-DAG: error: te-pack-parameters: member 1 of group w is tensor<8x8xbf16>, but member 0 is tensor<8x4xbf16>
// STRICT-DAG: error: te-pack-parameters: member 1 of group s has te.init = #te.init<zero>, but member 0 has te.init = #te.init<one>
// STRICT-DAG: error: te-pack-parameters: a member of group w has te.member = 2, but each of 0 to 1 is needed once
// STRICT-DAG: error: te-pack-parameters: group late of globals: late.0 is loaded after it has been stored
// STRICT-DAG: error: te-pack-parameters: the function is called, and packing would change its signature

// A group whose members are stored after each has been loaded: one load, one store.
// CHECK:      ml_program.global private mutable @work : tensor<2x8x4xf32> {te.members = ["work.0", "work.1"]}
// CHECK-NOT:  @work.0
// REMARK-DAG: [[#@LINE+1]]:{{.*}}[Passed] PackGlobals{{.*}}EntriesSaved=1{{.*}}Remark="global work"
ml_program.global private mutable @work.0 : tensor<8x4xf32> {te.group = "work", te.member = 0 : i64}
ml_program.global private mutable @work.1 : tensor<8x4xf32> {te.group = "work", te.member = 1 : i64}

// CHECK:      ml_program.global private mutable @late.0
// REMARK-DAG: [[#@LINE+1]]:{{.*}}[Missed] PackGlobals{{.*}}group late of globals: late.0 is loaded after it has been stored
ml_program.global private mutable @late.0 : tensor<8x4xf32> {te.group = "late", te.member = 0 : i64}
ml_program.global private mutable @late.1 : tensor<8x4xf32> {te.group = "late", te.member = 1 : i64}

// REMARK-DAG: [[#@LINE+1]]:{{.*}}[Missed] PackGlobals{{.*}}group half of globals: 1 of its 2 members are stored, not all
ml_program.global private mutable @half.0 : tensor<8x4xf32> {te.group = "half", te.member = 0 : i64}
ml_program.global private mutable @half.1 : tensor<8x4xf32> {te.group = "half", te.member = 1 : i64}

// A public one, which an optimizer reads between the steps, is packed like the others,
// and keeps the manifest.
// CHECK-DAG:  ml_program.global public mutable @shared : tensor<3x4xf32> {te.members = ["shared.a", "shared.b", "shared.c"]}
ml_program.global public mutable @shared.a : tensor<4xf32> {te.group = "shared", te.member = 0 : i64}
ml_program.global public mutable @shared.b : tensor<4xf32> {te.group = "shared", te.member = 1 : i64}
ml_program.global public mutable @shared.c : tensor<4xf32> {te.group = "shared", te.member = 2 : i64}

// CHECK:      ml_program.global private mutable @round : tensor<2x8x4xf32>
ml_program.global private mutable @round.0 : tensor<8x4xf32> {te.group = "round", te.member = 0 : i64}
ml_program.global private mutable @round.1 : tensor<8x4xf32> {te.group = "round", te.member = 1 : i64}

// REMARK-DAG: [[#@LINE+1]]:{{.*}}[Missed] PackGlobals{{.*}}group amid of globals: its members are stored, and accessed between the stores, or in another function
ml_program.global private mutable @amid.0 : tensor<8x4xf32> {te.group = "amid", te.member = 0 : i64}
ml_program.global private mutable @amid.1 : tensor<8x4xf32> {te.group = "amid", te.member = 1 : i64}

// Stored in each iteration, and loaded when all is done.
// CHECK-LABEL: func @globals_behind_loop(
// CHECK:         scf.for
// CHECK:           %[[NEW:.*]] = te.pack
// CHECK-NEXT:      ml_program.global_store @round = %[[NEW]]
// CHECK:         %[[ALL:.*]] = ml_program.global_load @round : tensor<2x8x4xf32>
// CHECK:         te.member %[[ALL]][0]
// CHECK:         te.member %[[ALL]][1]
func.func @globals_behind_loop(%a: tensor<8x4xf32>, %b: tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.for %i = %c0 to %c4 step %c1 {
    ml_program.global_store @round.0 = %a : tensor<8x4xf32>
    ml_program.global_store @round.1 = %b : tensor<8x4xf32>
  }
  %0 = ml_program.global_load @round.0 : tensor<8x4xf32>
  %1 = ml_program.global_load @round.1 : tensor<8x4xf32>
  return %0, %1 : tensor<8x4xf32>, tensor<8x4xf32>
}

// A load in the loop sees the first member's store, and not the second's.
// CHECK-LABEL: func @globals_in_between(
// CHECK:         ml_program.global_store @amid.0
func.func @globals_in_between(%a: tensor<8x4xf32>, %b: tensor<8x4xf32>, %acc: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  ml_program.global_store @amid.0 = %a : tensor<8x4xf32>
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%x = %acc) -> tensor<8x4xf32> {
    %y = ml_program.global_load @amid.1 : tensor<8x4xf32>
    scf.yield %y : tensor<8x4xf32>
  }
  ml_program.global_store @amid.1 = %b : tensor<8x4xf32>
  return %r : tensor<8x4xf32>
}

// CHECK-LABEL: func @globals(
// CHECK-SAME:      %[[A:.*]]: tensor<8x4xf32>, %[[B:.*]]: tensor<8x4xf32>)
// CHECK-NEXT:    %[[LOAD:.*]] = ml_program.global_load @work : tensor<2x8x4xf32>
// CHECK-NEXT:    %[[OLD0:.*]] = te.member %[[LOAD]][0]
// CHECK-NEXT:    %[[OLD1:.*]] = te.member %[[LOAD]][1]
// CHECK-NEXT:    %[[NEW:.*]] = te.pack %[[A]], %[[B]]
// CHECK-NEXT:    ml_program.global_store @work = %[[NEW]] : tensor<2x8x4xf32>
// CHECK-NEXT:    return %[[OLD0]], %[[OLD1]]
func.func @globals(%a: tensor<8x4xf32>, %b: tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  %old0 = ml_program.global_load @work.0 : tensor<8x4xf32>
  ml_program.global_store @work.0 = %a : tensor<8x4xf32>
  %old1 = ml_program.global_load @work.1 : tensor<8x4xf32>
  ml_program.global_store @work.1 = %b : tensor<8x4xf32>
  return %old0, %old1 : tensor<8x4xf32>, tensor<8x4xf32>
}

// CHECK-LABEL: func @keep_globals(
// CHECK:         ml_program.global_store @late.0
// CHECK-NEXT:    ml_program.global_load @late.0
func.func @keep_globals(%a: tensor<8x4xf32>) -> tensor<8x4xf32> {
  ml_program.global_store @late.0 = %a : tensor<8x4xf32>
  %new = ml_program.global_load @late.0 : tensor<8x4xf32>
  ml_program.global_store @late.1 = %a : tensor<8x4xf32>
  ml_program.global_store @half.0 = %a : tensor<8x4xf32>
  return %new : tensor<8x4xf32>
}

// A parameter; members in another order than their arguments.
// CHECK-LABEL: func @arguments(
// CHECK-SAME:      %[[X:.*]]: tensor<4xf32> {te.name = "x"}, %[[W:.*]]: tensor<2x8x4xbf16> {te.init = #te.init<normal>, te.members = ["w.0", "w.1"], te.name = "w", te.parameter})
// CHECK-SAME:      -> (tensor<2x8x4xbf16> {te.members = ["y.0", "y.1"], te.name = "y"}, tensor<4xf32>)
// CHECK-NEXT:    return %[[W]], %[[X]]
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Passed] PackParameters{{.*}}Function=arguments | {{.*}}Members=2{{.*}}Remark="argument w"
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Passed] PackResults{{.*}}Function=arguments | {{.*}}Members=2{{.*}}Remark="result y"
func.func @arguments(
    %x: tensor<4xf32> {te.name = "x"},
    %w1: tensor<8x4xbf16> {te.name = "w.1", te.group = "w", te.member = 1 : i64, te.parameter, te.init = #te.init<normal>},
    %w0: tensor<8x4xbf16> {te.name = "w.0", te.group = "w", te.member = 0 : i64, te.parameter, te.init = #te.init<normal>})
    -> (tensor<8x4xbf16> {te.name = "y.0", te.group = "y", te.member = 0 : i64}, tensor<4xf32>,
        tensor<8x4xbf16> {te.name = "y.1", te.group = "y", te.member = 1 : i64}) {
  return %w0, %x, %w1 : tensor<8x4xbf16>, tensor<4xf32>, tensor<8x4xbf16>
}

// MANIFEST:      "kind": "argument",
// MANIFEST-NEXT: "function": "arguments",
// MANIFEST-NEXT: "name": "w",
// MANIFEST-NEXT: "position": 1,
// MANIFEST-NEXT: "shape": [
// MANIFEST-NEXT:   2,
// MANIFEST-NEXT:   8,
// MANIFEST-NEXT:   4
// MANIFEST-NEXT: ],
// MANIFEST-NEXT: "element": "bf16",
// MANIFEST-NEXT: "bytes": 128,
// MANIFEST-NEXT: "members": [
// MANIFEST-NEXT:   {
// MANIFEST-NEXT:     "name": "w.0",
// MANIFEST-NEXT:     "index": 0,
// MANIFEST-NEXT:     "element_offset": 0,
// MANIFEST-NEXT:     "byte_offset": 0
// MANIFEST-NEXT:   },
// MANIFEST-NEXT:   {
// MANIFEST-NEXT:     "name": "w.1",
// MANIFEST-NEXT:     "index": 1,
// MANIFEST-NEXT:     "element_offset": 32,
// MANIFEST-NEXT:     "byte_offset": 64
// MANIFEST:      "kind": "result",
// MANIFEST-NEXT: "function": "arguments",
// MANIFEST-NEXT: "name": "y",
// MANIFEST-NEXT: "position": 0,
// A state and its next value; names that only the group tells.
// MANIFEST:      "name": "g",
// MANIFEST:        "name": "g.1",
// MANIFEST:      "function": "states",
// MANIFEST-NEXT: "name": "a",
// MANIFEST:      "kind": "global",
// MANIFEST:      "name": "shared",
// MANIFEST-NEXT: "shape": [
// MANIFEST:        "name": "shared.c",
// MANIFEST-NEXT:   "index": 2,
// MANIFEST-NEXT:   "element_offset": 8,
// MANIFEST-NEXT:   "byte_offset": 32

// Accumulators of a loop are packed with the results that they end in; the other
// reader of one gets a member.
// CHECK-LABEL: func @loop(
// CHECK:         %[[INIT:.*]] = arith.constant dense<0.000000e+00> : tensor<2x4xf32>
// CHECK:         %[[R:.*]]:2 = scf.for {{.*}} iter_args(%[[ACC:.*]] = %[[INIT]], %[[N:.*]] = %{{.*}})
// CHECK-NEXT:      %[[A0:.*]] = te.member %[[ACC]][0]
// CHECK-NEXT:      %[[A1:.*]] = te.member %[[ACC]][1]
// CHECK-NEXT:      %[[B0:.*]] = arith.addf %[[A0]], %[[N]]
// CHECK-NEXT:      %[[B1:.*]] = arith.mulf %[[A1]], %[[N]]
// CHECK-NEXT:      %[[B:.*]] = te.pack %[[B0]], %[[B1]]
// CHECK-NEXT:      scf.yield %[[B]], %[[A1]]
// CHECK:         %[[ONE:.*]] = te.member %[[R]]#0[1]
// CHECK-NEXT:    return %[[R]]#0, %[[ONE]]
func.func @loop(%x: tensor<4xf32>)
    -> (tensor<4xf32> {te.name = "g.0", te.group = "g", te.member = 0 : i64},
        tensor<4xf32> {te.name = "g.1", te.group = "g", te.member = 1 : i64}, tensor<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant dense<0.0> : tensor<4xf32>
  %r:3 = scf.for %i = %c0 to %c8 step %c1 iter_args(%a0 = %zero, %n = %x, %a1 = %zero) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %b0 = arith.addf %a0, %n : tensor<4xf32>
    %b1 = arith.mulf %a1, %n : tensor<4xf32>
    scf.yield %b0, %a1, %b1 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  }
  return %r#0, %r#2, %r#2 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// A state: scales, histories and the slots of update_scales become vectors.
// CHECK-LABEL: func @states(
// CHECK-SAME:      %[[AMAX:.*]]: tensor<2xf32> {te.members = ["a.0", "a.1"], te.name = "a"}
// CHECK-SAME:      %[[S:.*]]: tensor<2xf32> {te.members = ["s.0", "s.1"], te.name = "s", te.next = "s"}
// CHECK-SAME:      %[[H:.*]]: tensor<2x16xf32> {te.members = ["h.0", "h.1"], te.name = "h", te.next = "h"}
// CHECK-NEXT:    %[[H1:.*]], %[[S1:.*]] = te.update_scales amax(%[[AMAX]]) history(%[[H]]) scale(%[[S]])
// CHECK-NEXT:    return %[[S1]], %[[H1]]
func.func @states(
    %a0: tensor<f32> {te.name = "a.0", te.group = "a", te.member = 0 : i64},
    %a1: tensor<f32> {te.name = "a.1", te.group = "a", te.member = 1 : i64},
    %s0: tensor<f32> {te.name = "s.0", te.group = "s", te.member = 0 : i64, te.next = "s.0"},
    %h0: tensor<16xf32> {te.name = "h.0", te.group = "h", te.member = 0 : i64, te.next = "h.0"},
    %s1: tensor<f32> {te.name = "s.1", te.group = "s", te.member = 1 : i64, te.next = "s.1"},
    %h1: tensor<16xf32> {te.name = "h.1", te.group = "h", te.member = 1 : i64, te.next = "h.1"})
    -> (tensor<f32> {te.name = "s.0", te.group = "s", te.member = 0 : i64},
        tensor<16xf32> {te.name = "h.0", te.group = "h", te.member = 0 : i64},
        tensor<f32> {te.name = "s.1", te.group = "s", te.member = 1 : i64},
        tensor<16xf32> {te.name = "h.1", te.group = "h", te.member = 1 : i64}) {
  %h:2, %s:2 = te.update_scales amax(%a0, %a1) history(%h0, %h1) scale(%s0, %s1) {fp8_max = 448.0 : f32}
    : (tensor<f32>, tensor<f32>, tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<f32>)
    -> (tensor<16xf32>, tensor<16xf32>, tensor<f32>, tensor<f32>)
  return %s#0, %h#0, %s#1, %h#1 : tensor<f32>, tensor<16xf32>, tensor<f32>, tensor<16xf32>
}

// What ranks share of amaxes is one vector too, of slots that are packed and of one
// that stays.
// CHECK-LABEL: func @reduced_states(
// CHECK-SAME:      %[[AMAX:.*]]: tensor<2xf32> {te.members = ["a.0", "a.1"], te.name = "a"}, %[[B:[a-z0-9]+]]: tensor<f32>
// CHECK-NEXT:    %[[M:.*]]:2 = te.all_reduce max %[[AMAX]], %[[B]] : (tensor<2xf32>, tensor<f32>) -> (tensor<2xf32>, tensor<f32>)
// CHECK-NEXT:    %{{.*}}:2, %[[S1:.*]]:2 = te.update_scales amax(%[[M]]#0, %[[M]]#1) {{.*}} {fp8_max = 4.480000e+02 : f32, margin = 2 : i64} :
// CHECK-NEXT:    return %[[S1]]#0, %[[S1]]#1 : tensor<2xf32>, tensor<f32>
func.func @reduced_states(
    %a0: tensor<f32> {te.name = "a.0", te.group = "a", te.member = 0 : i64},
    %a1: tensor<f32> {te.name = "a.1", te.group = "a", te.member = 1 : i64},
    %b: tensor<f32>, %hb: tensor<4xf32>,
    %s0: tensor<f32> {te.name = "s.0", te.group = "s", te.member = 0 : i64, te.next = "s.0"},
    %s1: tensor<f32> {te.name = "s.1", te.group = "s", te.member = 1 : i64, te.next = "s.1"},
    %h0: tensor<16xf32> {te.name = "h.0", te.group = "h", te.member = 0 : i64},
    %h1: tensor<16xf32> {te.name = "h.1", te.group = "h", te.member = 1 : i64})
    -> (tensor<f32> {te.name = "s.0", te.group = "s", te.member = 0 : i64},
        tensor<f32> {te.name = "s.1", te.group = "s", te.member = 1 : i64}, tensor<f32>) {
  %m:3 = te.all_reduce max %a0, %a1, %b : (tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<f32>, tensor<f32>, tensor<f32>)
  %h:3, %s:3 = te.update_scales amax(%m#0, %m#1, %m#2) history(%h0, %h1, %hb) scale(%s0, %s1, %b) {fp8_max = 448.0 : f32, margin = 2 : i64}
    : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<16xf32>, tensor<16xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>)
    -> (tensor<16xf32>, tensor<16xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>)
  return %s#0, %s#1, %s#2 : tensor<f32>, tensor<f32>, tensor<f32>
}

// CHECK-LABEL: func @keep_types(
// CHECK-SAME:      tensor<8x4xbf16> {te.group = "w", te.member = 0 : i64}
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] PackParameters{{.*}}member 1 of group w is tensor<8x8xbf16>, but member 0 is tensor<8x4xbf16>
func.func @keep_types(
    %w0: tensor<8x4xbf16> {te.group = "w", te.member = 0 : i64},
    %w1: tensor<8x8xbf16> {te.group = "w", te.member = 1 : i64}) {
  return
}

// CHECK-LABEL: func @keep_attributes(
// CHECK-SAME:      tensor<f32> {te.group = "s"
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] PackParameters{{.*}}member 1 of group s has te.init = #te.init<zero>, but member 0 has te.init = #te.init<one>
func.func @keep_attributes(
    %s0: tensor<f32> {te.group = "s", te.member = 0 : i64, te.init = #te.init<one>},
    %s1: tensor<f32> {te.group = "s", te.member = 1 : i64, te.init = #te.init<zero>}) {
  return
}

// CHECK-LABEL: func @keep_incomplete(
// CHECK-SAME:      tensor<4xf32> {te.group = "w", te.member = 0 : i64}
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] PackParameters{{.*}}a member of group w has te.member = 2, but each of 0 to 1 is needed once
func.func @keep_incomplete(
    %w0: tensor<4xf32> {te.group = "w", te.member = 0 : i64},
    %w2: tensor<4xf32> {te.group = "w", te.member = 2 : i64}) {
  return
}

// The next value of a state must be found under its name.
// CHECK-LABEL: func @keep_states(
// CHECK-SAME:      tensor<f32> {te.group = "s"
// CHECK-SAME:      -> (tensor<f32> {te.name = "s.0"}, tensor<f32> {te.name = "s.1"})
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Missed] PackParameters{{.*}}group s is a state, but the next values of its members are not the members of one group
func.func @keep_states(
    %s0: tensor<f32> {te.name = "s.0", te.group = "s", te.member = 0 : i64, te.next = "s.0"},
    %s1: tensor<f32> {te.name = "s.1", te.group = "s", te.member = 1 : i64, te.next = "s.1"})
    -> (tensor<f32> {te.name = "s.0"}, tensor<f32> {te.name = "s.1"}) {
  return %s0, %s1 : tensor<f32>, tensor<f32>
}

// CHECK-LABEL: func private @keep_called(
// CHECK-SAME:      tensor<f32> {te.group = "s"
// REMARK-DAG: [[#@LINE+1]]:{{.*}}[Missed] PackParameters{{.*}}the function is called, and packing would change its signature
func.func private @keep_called(%s0: tensor<f32> {te.group = "s", te.member = 0 : i64}) {
  return
}
func.func @caller(%s: tensor<f32>) {
  call @keep_called(%s) : (tensor<f32>) -> ()
  return
}
