// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-cost-report -o %t.mlir 2>&1 | FileCheck %s --check-prefix=TABLE
// RUN: te-opt %s -o - | diff - %t.mlir
// RUN: te-opt %s -te-cost-report="format=json file=%t.json" -o /dev/null
// RUN: FileCheck %s --check-prefix=JSON < %t.json
// RUN: not te-opt %s -te-cost-report="format=xml" -o /dev/null 2>&1 | FileCheck %s --check-prefix=FORMAT
// RUN: not te-opt %s -te-cost-report="file=%t.none/a.json" -o /dev/null 2>&1 | FileCheck %s --check-prefix=FILE

// TABLE:      target sm_90
// TABLE-NEXT: class launches MB GFLOP host syncs roofline us
// A weight is a weight where the function says so: 3 casts of 131072 bf16 in the loop.
// TABLE-NEXT: weight_quantize 3 1.180 0.000 0 0.3
// TABLE-NEXT: activation_quantize 1
// TABLE-NEXT: offsets 0 0.000 0.000 1 0.0
// TABLE-NEXT: gemm 3 {{[0-9.]+}} 0.101 0
// TABLE-NEXT: total 7 {{[0-9.]+}} 0.101 1
// TABLE-NOT:  peak

// JSON:      "target": "sm_90",
// JSON-NEXT: "total": {
// JSON-NEXT:   "launches": 7,
// JSON-NEXT:   "bytes": {{[0-9]+}},
// JSON-NEXT:   "flops": 100663296,
// JSON-NEXT:   "host_syncs": 1,
// JSON-NEXT:   "us": {{[0-9.]+}}
// JSON:      "weight_quantize": {
// JSON-NEXT:   "launches": 3,
// JSON-NEXT:   "bytes": 1179672,
// JSON:      "other": {
// JSON:      "peak_bytes": null

// FORMAT: error: te-cost-report: format must be table or json, but got xml
// FILE: error: te-cost-report: cannot write {{.*}}a.json': No such file or directory

#tensor = #te.scales<tensor>
module attributes {te.target = #te.target<sm_90>} {
func.func @step(%w: tensor<512x256xbf16> {te.parameter}, %x: tensor<128x256xbf16>, %o: tensor<9xi32>) -> (tensor<9xi32, #te.host>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %one = arith.constant dense<1.0> : tensor<f32>
  %q, %s = te.quantize %x scale(%one : tensor<f32>) : tensor<128x256xbf16> -> tensor<128x256xf8E4M3FN>, tensor<f32, #tensor>
  scf.for %i = %c0 to %c3 step %c1 {
    %wq, %ws = te.quantize %w scale(%one : tensor<f32>) : tensor<512x256xbf16> -> tensor<512x256xf8E4M3FN>, tensor<f32, #tensor>
    %y = te.gemm %q scales(%s), %wq scales(%ws) : (tensor<128x256xf8E4M3FN>, tensor<f32, #tensor>, tensor<512x256xf8E4M3FN>, tensor<f32, #tensor>) -> tensor<128x512xbf16>
  }
  %h = te.to_host %o : tensor<9xi32> -> tensor<9xi32, #te.host>
  return %h : tensor<9xi32, #te.host>
}
}
