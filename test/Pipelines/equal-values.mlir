// What te-remove-double-quantization keeps: with scales that are powers of two every
// value, and each product of such, to the bit; though not how it is written. A value
// that a cast rounds up to 2^128 is infinite for who dequantizes it, and the second
// cast of its block, which the pass saves, would not have known what to scale by. With
// other scales the pass changes values.
//
// DEFINE: %{pass} = te-run --check "--passes=func.func(te-remove-double-quantization{fp32-scales=true})"
//
// RUN: split-file %s %t
// RUN: te-opt %t/values.mlir -te-remove-double-quantization | FileCheck %s --check-prefix=REMOVED
// RUN: %{pass} %t/values.mlir | FileCheck %s --check-prefix=VALUES
// RUN: %{pass} %t/values.mlir --seed=6 --routing=empty-experts | FileCheck %s --check-prefix=VALUES
// RUN: sed 's/DEVIATION/1.0e-38/' %t/scaled.mlir | %{pass} - --seed=2 | FileCheck %s --check-prefix=SCALED
// RUN: sed 's/DEVIATION/1.0e-40/' %t/scaled.mlir | %{pass} - --seed=3 | FileCheck %s --check-prefix=SCALED
// RUN: sed 's/DEVIATION/1.0e-36/' %t/scaled.mlir | %{pass} - --seed=4 | FileCheck %s --check-prefix=SCALED
// RUN: sed 's/DEVIATION/1.0e+37/' %t/scaled.mlir | %{pass} - --seed=5 | FileCheck %s --check-prefix=SCALED
// RUN: not %{pass} %t/values.mlir --data=special --seed=5 | FileCheck %s --check-prefix=OVERFLOW
// RUN: not %{pass} %t/bits.mlir 2>&1 | FileCheck %s --check-prefix=BITS
// RUN: not %{pass} %t/fp32.mlir 2>&1 | FileCheck %s --check-prefix=FP32

// REMOVED:     te.quantize {{.*}} tensor<256x256xbf16> columnwise

// VALUES-COUNT-2: {{ exact }}
// VALUES: check: 2 results, all within bounds
// SCALED: rows {{.*}} exact
// SCALED: check: 1 results, all within bounds
// OVERFLOW: rows {{.*}} inf {{.*}} MISS
// BITS: {{^}}scales {{.*}} MISS
// BITS: {{^}}values {{.*}} MISS
// FP32: {{^}}values {{.*}} MISS

//--- values.mlir
#ready = #te.scales<1 x 128, gemm_ready>
#compact = #te.scales<1 x 128, compact>
#ready4 = #te.scales<1 x 128, gemm_ready, groups = 4>
func.func @step(%x: tensor<96x256xbf16> {te.name = "x", te.init = #te.init<normal>},
                %w: tensor<4x32x256xbf16> {te.name = "w", te.init = #te.init<normal>},
                %i: tensor<96x2xi32> {te.name = "indices", te.init = #te.init<routing, experts = 4>})
    -> (tensor<96x256xbf16> {te.name = "rows"}, tensor<96x32xbf16> {te.name = "products"}) {
  %map, %n, %o = te.routing_map %i {alignment = 16, capacity = 256} : tensor<96x2xi32> -> tensor<96x2xi32>, tensor<4xi32>, tensor<5xi32>
  %q, %s = te.quantize %x {pow2_scales} : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
  %p, %ps = te.permute %q scales(%s) rows(%map) pads(%n, %o) : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>, tensor<96x2xi32>, tensor<4xi32>, tensor<5xi32>)
    -> (tensor<256x256xf8E4M3FN>, tensor<256x2xf32, #compact>)
  %d = te.dequantize %p, %ps groups(%o) : (tensor<256x256xf8E4M3FN>, tensor<256x2xf32, #compact>, tensor<5xi32>) -> tensor<256x256xbf16>
  %a, %as, %t, %ts = te.quantize %d groups(%o : tensor<5xi32>) {pow2_scales} : tensor<256x256xbf16>
    -> tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #ready> columnwise tensor<256x256xf8E4M3FN>, tensor<6x256xf32, #ready4>
  %v = te.dequantize %a, %as groups(%o) : (tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #ready>, tensor<5xi32>) -> tensor<256x256xbf16>
  %rows = te.unpermute %v rows(%map) : (tensor<256x256xbf16>, tensor<96x2xi32>) -> tensor<96x256xbf16>
  %b, %bs = te.quantize %w {pow2_scales} : tensor<4x32x256xbf16> -> tensor<4x32x256xf8E4M3FN>, tensor<4x2x32xf32, #ready>
  %y = te.grouped_gemm %a scales(%as), %b scales(%bs) groups(%o) over rows
    : (tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #ready>, tensor<4x32x256xf8E4M3FN>, tensor<4x2x32xf32, #ready>, tensor<5xi32>) -> tensor<256x32xbf16>
  %products = te.unpermute %y rows(%map) : (tensor<256x32xbf16>, tensor<96x2xi32>) -> tensor<96x32xbf16>
  return %rows, %products : tensor<96x256xbf16>, tensor<96x32xbf16>
}

//--- bits.mlir
#compact = #te.scales<1 x 128, compact>
func.func @step(%x: tensor<96x256xbf16> {te.name = "x", te.init = #te.init<normal>})
    -> (tensor<96x256xf8E4M3FN> {te.name = "values"}, tensor<96x2xf32, #compact> {te.name = "scales"}) {
  %q, %s = te.quantize %x {pow2_scales} : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
  %d = te.dequantize %q, %s : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>) -> tensor<96x256xbf16>
  %a, %as = te.quantize %d {pow2_scales} : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
  return %a, %as : tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
}

//--- scaled.mlir
#compact = #te.scales<1 x 128, compact>
func.func @step(%x: tensor<96x256xbf16> {te.name = "x", te.init = #te.init<normal, deviation = DEVIATION : f64>})
    -> (tensor<96x256xbf16> {te.name = "rows"}) {
  %q, %s = te.quantize %x {pow2_scales} : tensor<96x256xbf16> -> tensor<96x256xf8E5M2>, tensor<96x2xf32, #compact>
  %d = te.dequantize %q, %s : (tensor<96x256xf8E5M2>, tensor<96x2xf32, #compact>) -> tensor<96x256xbf16>
  %a, %as = te.quantize %d {pow2_scales} : tensor<96x256xbf16> -> tensor<96x256xf8E5M2>, tensor<96x2xf32, #compact>
  %v = te.dequantize %a, %as : (tensor<96x256xf8E5M2>, tensor<96x2xf32, #compact>) -> tensor<96x256xbf16>
  return %v : tensor<96x256xbf16>
}

//--- fp32.mlir
#compact = #te.scales<1 x 128, compact>
func.func @step(%x: tensor<96x256xf32> {te.name = "x", te.init = #te.init<normal>})
    -> (tensor<96x256xf32> {te.name = "values"}) {
  %q, %s = te.quantize %x : tensor<96x256xf32> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
  %d = te.dequantize %q, %s : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>) -> tensor<96x256xf32>
  %a, %as = te.quantize %d : tensor<96x256xf32> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
  %v = te.dequantize %a, %as : (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>) -> tensor<96x256xf32>
  return %v : tensor<96x256xf32>
}
