// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MXFP8 and NVFP4: each op prints as it parses.
//
// RUN: te-opt %s | te-opt | FileCheck %s
// RUN: te-opt %s -mlir-print-op-generic | te-opt | FileCheck %s
// RUN: te-opt %s -emit-bytecode | te-opt | FileCheck %s

#mx = #te.scales<1 x 32, swizzled>
#mxt = #te.scales<32 x 1, swizzled>
#mxt2 = #te.scales<32 x 1, swizzled, groups = 2>
#mxc = #te.scales<1 x 32, compact>
#mxct = #te.scales<32 x 1, compact>
#mxct2 = #te.scales<32 x 1, compact, groups = 2>
#nv = #te.scales<1 x 16, swizzled>
#nvc = #te.scales<1 x 16, compact>
#nv2 = #te.scales<1 x 16, swizzled, groups = 2>

// CHECK-LABEL: func @rng(%{{.*}}: tensor<4x2xi64> {te.init = #te.init<rng>}
// CHECK: te.advance_rng %{{.*}} by 2 : tensor<4x2xi64>
func.func @rng(%r: tensor<4x2xi64> {te.init = #te.init<rng>}) {
  %0 = te.advance_rng %r by 2 : tensor<4x2xi64>
  return
}

// Padded in either layout; 300 rows are 10 blocks, and 11 and one more group
// where the grid of compact ones starts anew.
// CHECK-LABEL: func @quantize_mxfp8(
// CHECK: te.quantize %{{.*}} : tensor<300x96xbf16> -> tensor<300x96xf8E4M3FN>, tensor<384x4xf8E8M0FNU, #te.scales<1 x 32, compact>> columnwise tensor<300x96xf8E4M3FN>, tensor<12x128xf8E8M0FNU, #te.scales<32 x 1, compact>>
// CHECK: te.quantize %{{.*}} {square_blocks} : tensor<300x96xbf16> -> tensor<300x96xf8E5M2>, tensor<384x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>> columnwise tensor<300x96xf8E5M2>, tensor<128x12xf8E8M0FNU, #te.scales<32 x 1, swizzled>>
// CHECK: te.quantize %{{.*}} groups(%{{.*}} : tensor<3xi32>) : tensor<384x96xbf16> -> {{.*}} columnwise tensor<384x96xf8E4M3FN>, tensor<128x12xf8E8M0FNU, #te.scales<32 x 1, swizzled, groups = 2>>
// CHECK: te.quantize %{{.*}} groups(%{{.*}} : tensor<3xi32>) : tensor<384x96xbf16> columnwise tensor<384x96xf8E4M3FN>, tensor<16x128xf8E8M0FNU, #te.scales<32 x 1, compact, groups = 2>>
func.func @quantize_mxfp8(%x: tensor<300x96xbf16>, %y: tensor<384x96xbf16>, %o: tensor<3xi32>) {
  %0:4 = te.quantize %x : tensor<300x96xbf16> -> tensor<300x96xf8E4M3FN>, tensor<384x4xf8E8M0FNU, #mxc> columnwise tensor<300x96xf8E4M3FN>, tensor<12x128xf8E8M0FNU, #mxct>
  %1:4 = te.quantize %x {square_blocks} : tensor<300x96xbf16> -> tensor<300x96xf8E5M2>, tensor<384x4xf8E8M0FNU, #mx> columnwise tensor<300x96xf8E5M2>, tensor<128x12xf8E8M0FNU, #mxt>
  %2:4 = te.quantize %y groups(%o : tensor<3xi32>) : tensor<384x96xbf16> -> tensor<384x96xf8E4M3FN>, tensor<384x4xf8E8M0FNU, #mx> columnwise tensor<384x96xf8E4M3FN>, tensor<128x12xf8E8M0FNU, #mxt2>
  %3:2 = te.quantize %y groups(%o : tensor<3xi32>) : tensor<384x96xbf16> columnwise tensor<384x96xf8E4M3FN>, tensor<16x128xf8E8M0FNU, #mxct2>
  return
}

// CHECK-LABEL: func @quantize_nvfp4(
// CHECK: te.quantize %{{.*}} groups(%{{.*}} : tensor<3xi32>) rng(%{{.*}} : tensor<2xi64>) {hadamard, rng_stream = 1 : i64} : tensor<384x96xbf16> -> tensor<384x96xf4E2M1FN>, tensor<384x8xf8E4M3FN, #te.scales<1 x 16, swizzled>> columnwise tensor<96x384xf4E2M1FN>, tensor<128x24xf8E4M3FN, #te.scales<1 x 16, swizzled, groups = 2>> tensor_amax tensor<2xf32> tensor_amax_t tensor<2xf32>
// CHECK: te.quantize %{{.*}} {square_blocks} : tensor<2x128x96xbf16> columnwise tensor<2x96x128xf4E2M1FN>, tensor<2x128x8xf8E4M3FN, #te.scales<1 x 16, compact>> tensor_amax_t tensor<2xf32>
// CHECK: te.multi_cast_transpose %{{.*}} {square_blocks} : tensor<2x128x96xbf16> -> tensor<2x128x96xf4E2M1FN> scales tensor<2x128x8xf8E4M3FN, #te.scales<1 x 16, compact>> tensor_amax tensor<2xf32>
func.func @quantize_nvfp4(%y: tensor<384x96xbf16>, %o: tensor<3xi32>, %r: tensor<2xi64>, %w: tensor<2x128x96xbf16>) {
  %0:6 = te.quantize %y groups(%o : tensor<3xi32>) rng(%r : tensor<2xi64>) {hadamard, rng_stream = 1 : i64} : tensor<384x96xbf16> -> tensor<384x96xf4E2M1FN>, tensor<384x8xf8E4M3FN, #nv> columnwise tensor<96x384xf4E2M1FN>, tensor<128x24xf8E4M3FN, #nv2> tensor_amax tensor<2xf32> tensor_amax_t tensor<2xf32>
  %1:3 = te.quantize %w {square_blocks} : tensor<2x128x96xbf16> columnwise tensor<2x96x128xf4E2M1FN>, tensor<2x128x8xf8E4M3FN, #nvc> tensor_amax_t tensor<2xf32>
  %2:3 = te.multi_cast_transpose %w {square_blocks} : tensor<2x128x96xbf16> -> tensor<2x128x96xf4E2M1FN> scales tensor<2x128x8xf8E4M3FN, #nvc> tensor_amax tensor<2xf32>
  return
}

// CHECK-LABEL: func @dequantize(
// CHECK: te.dequantize %{{.*}}, %{{.*}} amax(%{{.*}}) groups(%{{.*}}) : (tensor<384x96xf4E2M1FN>, tensor<384x8xf8E4M3FN, #te.scales<1 x 16, swizzled>>, tensor<2xf32>, tensor<3xi32>) -> tensor<384x96xbf16>
func.func @dequantize(%q: tensor<384x96xf4E2M1FN>, %s: tensor<384x8xf8E4M3FN, #nv>, %a: tensor<2xf32>, %o: tensor<3xi32>) {
  %0 = te.dequantize %q, %s amax(%a) groups(%o) : (tensor<384x96xf4E2M1FN>, tensor<384x8xf8E4M3FN, #nv>, tensor<2xf32>, tensor<3xi32>) -> tensor<384x96xbf16>
  return
}

// MXFP8 stores columnwise data untransposed: both operands of a gradient of
// weights, and the weight in that of the input.
// CHECK-LABEL: func @products(
// CHECK: te.gemm %{{.*}} scales(%{{.*}}), %{{.*}} scales(%{{.*}}) {transpose_rhs} : (tensor<384x64xf8E4M3FN>
// CHECK: te.grouped_gemm %{{.*}} scales(%{{.*}}), %{{.*}} scales(%{{.*}}) groups(%{{.*}}) over reduction {transpose_lhs, transpose_rhs}
// CHECK: te.gemm %{{.*}} scales(%{{.*}}) amax(%{{.*}}), %{{.*}} scales(%{{.*}}) amax(%{{.*}}) : (tensor<384x96xf4E2M1FN>
// CHECK: te.grouped_gemm %{{.*}} scales(%{{.*}}) amax(%{{.*}}), %{{.*}} scales(%{{.*}}) amax(%{{.*}}) groups(%{{.*}}) over rows
func.func @products(%a: tensor<384x64xf8E4M3FN>, %as: tensor<384x4xf8E8M0FNU, #mx>, %w: tensor<64x96xf8E4M3FN>, %ws: tensor<128x4xf8E8M0FNU, #mxt>,
                    %at: tensor<128x12xf8E8M0FNU, #mxt2>, %o: tensor<3xi32>,
                    %q: tensor<384x96xf4E2M1FN>, %qs: tensor<384x8xf8E4M3FN, #nv>, %m: tensor<f32>, %m2: tensor<2xf32>,
                    %v: tensor<2x32x96xf4E2M1FN>, %vs: tensor<2x128x8xf8E4M3FN, #nv>) {
  %0 = te.gemm %a scales(%as), %w scales(%ws) {transpose_rhs} : (tensor<384x64xf8E4M3FN>, tensor<384x4xf8E8M0FNU, #mx>, tensor<64x96xf8E4M3FN>, tensor<128x4xf8E8M0FNU, #mxt>) -> tensor<384x96xbf16>
  %1 = te.grouped_gemm %a scales(%at), %a scales(%at) groups(%o) over reduction {transpose_lhs, transpose_rhs} : (tensor<384x64xf8E4M3FN>, tensor<128x12xf8E8M0FNU, #mxt2>, tensor<384x64xf8E4M3FN>, tensor<128x12xf8E8M0FNU, #mxt2>, tensor<3xi32>) -> tensor<2x64x64xf32>
  %2 = te.gemm %q scales(%qs) amax(%m), %q scales(%qs) amax(%m) : (tensor<384x96xf4E2M1FN>, tensor<384x8xf8E4M3FN, #nv>, tensor<f32>, tensor<384x96xf4E2M1FN>, tensor<384x8xf8E4M3FN, #nv>, tensor<f32>) -> tensor<384x384xf32>
  %3 = te.grouped_gemm %q scales(%qs) amax(%m2), %v scales(%vs) amax(%m2) groups(%o) over rows : (tensor<384x96xf4E2M1FN>, tensor<384x8xf8E4M3FN, #nv>, tensor<2xf32>, tensor<2x32x96xf4E2M1FN>, tensor<2x128x8xf8E4M3FN, #nv>, tensor<2xf32>, tensor<3xi32>) -> tensor<384x32xbf16>
  return
}

// Rows move with their compact scales, which are padded wherever they lie.
// CHECK-LABEL: func @moves(
// CHECK: te.dispatch %{{.*}}, %{{.*}} by %{{.*}} : tensor<96x64xf8E4M3FN>, tensor<128x4xf8E8M0FNU, #te.scales<1 x 32, compact>> by tensor<96x2xi32> -> tensor<192x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #te.scales<1 x 32, compact>>
// CHECK: te.permute %{{.*}} scales(%{{.*}}) rows(%{{.*}}) : (tensor<192x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #te.scales<1 x 32, compact>>, tensor<192x2xi32>) -> (tensor<384x64xf8E4M3FN>, tensor<384x4xf8E8M0FNU, #te.scales<1 x 32, compact>>)
// CHECK: te.convert_scales %{{.*}} of [384, 64] : tensor<384x4xf8E8M0FNU, #te.scales<1 x 32, compact>> -> tensor<384x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
func.func @moves(%q: tensor<96x64xf8E4M3FN>, %s: tensor<128x4xf8E8M0FNU, #mxc>, %h: tensor<96x2xi32>, %m: tensor<192x2xi32>) {
  %0:2 = te.dispatch %q, %s by %h : tensor<96x64xf8E4M3FN>, tensor<128x4xf8E8M0FNU, #mxc> by tensor<96x2xi32> -> tensor<192x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #mxc>
  %1:2 = te.permute %0#0 scales(%0#1) rows(%m) : (tensor<192x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #mxc>, tensor<192x2xi32>) -> (tensor<384x64xf8E4M3FN>, tensor<384x4xf8E8M0FNU, #mxc>)
  %2 = te.convert_scales %1#1 of [384, 64] : tensor<384x4xf8E8M0FNU, #mxc> -> tensor<384x4xf8E8M0FNU, #mx>
  return
}

// CHECK-LABEL: func @fused(
// CHECK: te.swiglu_quantize {{.*}} -> tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>> columnwise tensor<128x256xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #te.scales<32 x 1, swizzled>>
// CHECK: te.requantize {{.*}} columnwise tensor<128x256xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #te.scales<32 x 1, swizzled, groups = 2>>
func.func @fused(%x: tensor<128x512xbf16>, %q: tensor<128x256xf8E4M3FN>, %s: tensor<128x8xf8E8M0FNU, #mxc>, %o: tensor<3xi32>) {
  %0:4 = te.swiglu_quantize %x : tensor<128x512xbf16> -> tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mx> columnwise tensor<128x256xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #mxt>
  %1:2 = te.requantize %q, %s groups(%o : tensor<3xi32>) via bf16 : tensor<128x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mxc> columnwise tensor<128x256xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #mxt2>
  return
}
