// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes on casts and products of MXFP8 and NVFP4.
//
// RUN: te-opt %s --split-input-file -te-trim-usages | FileCheck %s --check-prefix=TRIM
// RUN: te-opt %s --split-input-file -te-group-gemms | FileCheck %s --check-prefix=GROUP
// RUN: te-opt %s --split-input-file -te-pack-parameters -te-fuse-multi-cast-transpose | FileCheck %s --check-prefix=MULTI
// RUN: te-opt %s --split-input-file -te-hoist-swizzles | FileCheck %s --check-prefix=VIEW
// RUN: te-opt %s --split-input-file -te-fuse-multi-cast-transpose -te-fuse-requantize \
// RUN:   -te-fuse-activation-quantize -te-fuse-permute-quantize | FileCheck %s --check-prefix=FUSE
// RUN: te-opt %s --split-input-file -te-fuse-multi-cast-transpose -te-fuse-requantize \
// RUN:   -te-fuse-activation-quantize -te-fuse-permute-quantize -o /dev/null 2>&1 --remark-policy=all \
// RUN:   --remarks-filter='te-fuse-.*' | FileCheck %s --check-prefix=REMARK

#nv = #te.scales<1 x 16, swizzled>
#nv2 = #te.scales<1 x 16, swizzled, groups = 2>

// An amax goes with its direction, and the transform with the columnwise one; an amax
// alone is reason enough to keep its direction.
// TRIM-LABEL: func @trim(
// TRIM-NEXT:    %[[V:.*]], %[[S:.*]], %[[A:.*]] = te.quantize %{{.*}} rng(%{{.*}} : tensor<2xi64>) {rng_stream = 1 : i64} : tensor<128x64xbf16> -> tensor<128x64xf4E2M1FN>, {{.*}} tensor_amax tensor<f32>
// TRIM-NEXT:    %{{.*}}, %{{.*}}, %[[AT:.*]] = te.quantize %{{.*}} {hadamard} : tensor<128x64xbf16> columnwise
// TRIM-NEXT:    return %[[V]], %[[AT]]
func.func @trim(%x: tensor<128x64xbf16>, %r: tensor<2xi64>) -> (tensor<128x64xf4E2M1FN>, tensor<f32>) {
  %0:6 = te.quantize %x rng(%r : tensor<2xi64>) {hadamard, rng_stream = 1 : i64} : tensor<128x64xbf16> -> tensor<128x64xf4E2M1FN>, tensor<128x4xf8E4M3FN, #nv> columnwise tensor<64x128xf4E2M1FN>, tensor<128x8xf8E4M3FN, #nv> tensor_amax tensor<f32> tensor_amax_t tensor<f32>
  %1:6 = te.quantize %x {hadamard} : tensor<128x64xbf16> -> tensor<128x64xf4E2M1FN>, tensor<128x4xf8E4M3FN, #nv> columnwise tensor<64x128xf4E2M1FN>, tensor<128x8xf8E4M3FN, #nv> tensor_amax tensor<f32> tensor_amax_t tensor<f32>
  return %0#0, %1#5 : tensor<128x64xf4E2M1FN>, tensor<f32>
}

// -----

#nv = #te.scales<1 x 16, swizzled>

// Members share the state of rounding and the amaxes of all; those of the weights are
// packed.
// GROUP-LABEL: func @group(
// GROUP-SAME:      %[[X:[a-z0-9]+]]: {{.*}}, %[[R:[a-z0-9]+]]: {{.*}}, %[[W:[a-z0-9]+]]: {{.*}}, %[[WS:[a-z0-9]+]]: {{.*}}, %[[WA:[a-z0-9]+]]: {{.*}}, %[[O:[a-z0-9]+]]:
// GROUP-NEXT:    %[[Q:.*]], %[[S:.*]], %[[A:.*]] = te.quantize %[[X]] groups(%[[O]] : tensor<3xi32>) rng(%[[R]] : tensor<2xi64>) {rng_stream = 1 : i64} :
// GROUP-NEXT:    %[[Y:.*]] = te.grouped_gemm %[[Q]] scales(%[[S]]) amax(%[[A]]), %[[W]] scales(%[[WS]]) amax(%[[WA]]) groups(%[[O]]) over rows :
// GROUP-NEXT:    return %[[Y]]
func.func @group(%x: tensor<256x64xbf16>, %r: tensor<2xi64>, %w: tensor<2x32x64xf4E2M1FN>, %ws: tensor<2x128x4xf8E4M3FN, #nv>, %wa: tensor<2xf32>, %o: tensor<3xi32>) -> tensor<256x32xbf16> {
  %h = te.to_host %o : tensor<3xi32> -> tensor<3xi32, #te.host>
  %e0 = tensor.empty() : tensor<256x64xf4E2M1FN>
  %e1 = tensor.empty() : tensor<256x4xf8E4M3FN, #nv>
  %e2 = tensor.empty() : tensor<2xf32>
  %e3 = tensor.empty() : tensor<256x32xbf16>
  %q:3 = te.quantize %x groups(%h : tensor<3xi32, #te.host>) member 0 rng(%r : tensor<2xi64>) outs(%e0, %e1, %e2 : tensor<256x64xf4E2M1FN>, tensor<256x4xf8E4M3FN, #nv>, tensor<2xf32>) {rng_stream = 1 : i64} : tensor<256x64xbf16> -> tensor<256x64xf4E2M1FN>, tensor<256x4xf8E4M3FN, #nv> tensor_amax tensor<2xf32>
  %p:3 = te.quantize %x groups(%h : tensor<3xi32, #te.host>) member 1 rng(%r : tensor<2xi64>) outs(%q#0, %q#1, %q#2 : tensor<256x64xf4E2M1FN>, tensor<256x4xf8E4M3FN, #nv>, tensor<2xf32>) {rng_stream = 1 : i64} : tensor<256x64xbf16> -> tensor<256x64xf4E2M1FN>, tensor<256x4xf8E4M3FN, #nv> tensor_amax tensor<2xf32>
  %w0 = te.member %w[0] : tensor<2x32x64xf4E2M1FN> -> tensor<32x64xf4E2M1FN>
  %w1 = te.member %w[1] : tensor<2x32x64xf4E2M1FN> -> tensor<32x64xf4E2M1FN>
  %s0 = te.member %ws[0] : tensor<2x128x4xf8E4M3FN, #nv> -> tensor<128x4xf8E4M3FN, #nv>
  %s1 = te.member %ws[1] : tensor<2x128x4xf8E4M3FN, #nv> -> tensor<128x4xf8E4M3FN, #nv>
  %a0 = te.member %wa[0] : tensor<2xf32> -> tensor<f32>
  %a1 = te.member %wa[1] : tensor<2xf32> -> tensor<f32>
  %y0 = te.gemm %p#0 scales(%p#1) amax(%p#2), %w0 scales(%s0) amax(%a0) groups(%h) member 0 over rows outs(%e3) : (tensor<256x64xf4E2M1FN>, tensor<256x4xf8E4M3FN, #nv>, tensor<2xf32>, tensor<32x64xf4E2M1FN>, tensor<128x4xf8E4M3FN, #nv>, tensor<f32>, tensor<3xi32, #te.host>, tensor<256x32xbf16>) -> tensor<256x32xbf16>
  %y1 = te.gemm %p#0 scales(%p#1) amax(%p#2), %w1 scales(%s1) amax(%a1) groups(%h) member 1 over rows outs(%y0) : (tensor<256x64xf4E2M1FN>, tensor<256x4xf8E4M3FN, #nv>, tensor<2xf32>, tensor<32x64xf4E2M1FN>, tensor<128x4xf8E4M3FN, #nv>, tensor<f32>, tensor<3xi32, #te.host>, tensor<256x32xbf16>) -> tensor<256x32xbf16>
  return %y1 : tensor<256x32xbf16>
}

// -----

#nvc = #te.scales<1 x 16, compact>

// The amaxes of members are a vector, as the results of a packed cast are.
// MULTI-LABEL: func @pack(
// MULTI-SAME:      %[[W:[a-z0-9]+]]: tensor<2x32x64xbf16>
// MULTI:         %[[V:.*]], %[[S:.*]], %[[A:.*]] = te.multi_cast_transpose %[[W]] {square_blocks} : tensor<2x32x64xbf16> -> tensor<2x32x64xf4E2M1FN> scales {{.*}} tensor_amax tensor<2xf32>
// MULTI:         return %[[V]], %[[A]]
func.func @pack(%w0: tensor<32x64xbf16> {te.parameter, te.group = "w", te.member = 0 : i64, te.name = "w.0"},
                %w1: tensor<32x64xbf16> {te.parameter, te.group = "w", te.member = 1 : i64, te.name = "w.1"})
    -> (tensor<32x64xf4E2M1FN> {te.group = "q", te.member = 0 : i64, te.name = "q.0"}, tensor<32x64xf4E2M1FN> {te.group = "q", te.member = 1 : i64, te.name = "q.1"},
        tensor<f32> {te.group = "a", te.member = 0 : i64, te.name = "a.0"}, tensor<f32> {te.group = "a", te.member = 1 : i64, te.name = "a.1"}) {
  %0:3 = te.quantize %w0 {square_blocks} : tensor<32x64xbf16> -> tensor<32x64xf4E2M1FN>, tensor<128x4xf8E4M3FN, #nvc> tensor_amax tensor<f32>
  %1:3 = te.quantize %w1 {square_blocks} : tensor<32x64xbf16> -> tensor<32x64xf4E2M1FN>, tensor<128x4xf8E4M3FN, #nvc> tensor_amax tensor<f32>
  return %0#0, %1#0, %0#2, %1#2 : tensor<32x64xf4E2M1FN>, tensor<32x64xf4E2M1FN>, tensor<f32>, tensor<f32>
}

// -----

#mx = #te.scales<1 x 32, swizzled>
#mxc = #te.scales<1 x 32, compact>
#mxt2 = #te.scales<32 x 1, swizzled, groups = 2>

// MXFP8 is cast by the op that makes the rows.
// FUSE-LABEL: func @fuse_mxfp8(
// FUSE-NEXT:    te.swiglu_quantize {{.*}} -> tensor<256x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #te.scales<1 x 32, swizzled>> columnwise tensor<256x64xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<32 x 1, swizzled, groups = 2>>
// FUSE-NEXT:    te.requantize {{.*}} columnwise tensor<256x64xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<32 x 1, swizzled, groups = 2>>
// FUSE-NEXT:    te.permute_quantize {{.*}} -> tensor<256x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #te.scales<1 x 32, compact>>
// FUSE-NEXT:    return
func.func @fuse_mxfp8(%x: tensor<256x128xbf16>, %q: tensor<256x64xf8E4M3FN>, %s: tensor<256x4xf8E8M0FNU, #mxc>, %t: tensor<64x64xbf16>, %map: tensor<64x2xi32>, %o: tensor<3xi32>)
    -> (tensor<256x64xf8E4M3FN>, tensor<256x64xf8E4M3FN>, tensor<256x64xf8E4M3FN>, tensor<256x64xf8E4M3FN>) {
  %a = te.swiglu %x groups(%o) : (tensor<256x128xbf16>, tensor<3xi32>) -> tensor<256x64xbf16>
  %0:4 = te.quantize %a groups(%o : tensor<3xi32>) : tensor<256x64xbf16> -> tensor<256x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #mx> columnwise tensor<256x64xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mxt2>
  %b = te.dequantize %q, %s groups(%o) : (tensor<256x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #mxc>, tensor<3xi32>) -> tensor<256x64xbf16>
  %1:2 = te.quantize %b groups(%o : tensor<3xi32>) : tensor<256x64xbf16> columnwise tensor<256x64xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mxt2>
  %c = te.permute %t rows(%map) : (tensor<64x64xbf16>, tensor<64x2xi32>) -> tensor<256x64xbf16>
  %2:2 = te.quantize %c groups(%o : tensor<3xi32>) : tensor<256x64xbf16> -> tensor<256x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #mxc>
  return %0#0, %0#2, %1#0, %2#0 : tensor<256x64xf8E4M3FN>, tensor<256x64xf8E4M3FN>, tensor<256x64xf8E4M3FN>, tensor<256x64xf8E4M3FN>
}

// NVFP4 wants the amax of all rows before the first of them is cast.
// FUSE-LABEL: func @keep_nvfp4(
// FUSE-NEXT:    te.swiglu %
// FUSE-NEXT:    te.quantize
// FUSE-NEXT:    te.dequantize
// FUSE-NEXT:    te.quantize
// FUSE-NEXT:    te.permute %
// FUSE-NEXT:    te.quantize
// REMARK-DAG: [[#@LINE+6]]:{{.*}}[Missed] FuseActivationQuantize{{.*}}scales of NVFP4 need the amax of all rows first
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Missed] FuseRequantize{{.*}}scales of NVFP4 need the amax of all rows first
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Missed] FusePermuteQuantize{{.*}}scales of NVFP4 need the amax of all rows first
func.func @keep_nvfp4(%x: tensor<256x128xbf16>, %q: tensor<256x64xf8E4M3FN>, %s: tensor<256x4xf8E8M0FNU, #mxc>, %t: tensor<64x64xbf16>, %map: tensor<64x2xi32>, %o: tensor<3xi32>)
    -> (tensor<256x64xf4E2M1FN>, tensor<256x64xf4E2M1FN>, tensor<256x64xf4E2M1FN>) {
  %a = te.swiglu %x groups(%o) : (tensor<256x128xbf16>, tensor<3xi32>) -> tensor<256x64xbf16>
  %0:3 = te.quantize %a groups(%o : tensor<3xi32>) : tensor<256x64xbf16> -> tensor<256x64xf4E2M1FN>, tensor<256x4xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<2xf32>
  %b = te.dequantize %q, %s groups(%o) : (tensor<256x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #mxc>, tensor<3xi32>) -> tensor<256x64xbf16>
  %1:3 = te.quantize %b groups(%o : tensor<3xi32>) : tensor<256x64xbf16> -> tensor<256x64xf4E2M1FN>, tensor<256x4xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<2xf32>
  %c = te.permute %t rows(%map) : (tensor<64x64xbf16>, tensor<64x2xi32>) -> tensor<256x64xbf16>
  %2:3 = te.quantize %c groups(%o : tensor<3xi32>) : tensor<256x64xbf16> -> tensor<256x64xf4E2M1FN>, tensor<256x4xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<2xf32>
  return %0#0, %1#0, %2#0 : tensor<256x64xf4E2M1FN>, tensor<256x64xf4E2M1FN>, tensor<256x64xf4E2M1FN>
}

// Nor have the fused casts square blocks, and one launch for many tensors neither
// random rounding nor the transform.
// FUSE-LABEL: func @keep_options(
// FUSE-NEXT:    te.swiglu %
// FUSE-COUNT-4: te.quantize
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] FuseActivationQuantize{{.*}}it has square_blocks
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}rng is for single casts only
// REMARK-DAG: [[#@LINE+5]]:{{.*}}[Missed] FuseMultiCastTranspose{{.*}}hadamard is for single casts only
func.func @keep_options(%x: tensor<256x128xbf16>, %r: tensor<2xi64>) {
  %a = te.swiglu %x : (tensor<256x128xbf16>) -> tensor<256x64xbf16>
  %0:2 = te.quantize %a {square_blocks} : tensor<256x64xbf16> -> tensor<256x64xf8E4M3FN>, tensor<256x4xf8E8M0FNU, #mx>
  %1:3 = te.quantize %x rng(%r : tensor<2xi64>) : tensor<256x128xbf16> -> tensor<256x128xf4E2M1FN>, tensor<256x8xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<f32>
  %2:3 = te.quantize %x {hadamard} : tensor<256x128xbf16> columnwise tensor<128x256xf4E2M1FN>, tensor<128x16xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax_t tensor<f32>
  %3:3 = te.quantize %x : tensor<256x128xbf16> -> tensor<256x128xf4E2M1FN>, tensor<256x8xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<f32>
  return
}

// -----

#mx = #te.scales<1 x 32, swizzled>
#mxc = #te.scales<1 x 32, compact>

// An optimizer reads all members as they are, products read them swizzled: the packed
// scales are swizzled once, not each member.
// VIEW-LABEL: func @split(
// VIEW-SAME:      %[[S:[a-z0-9]+]]: tensor<2x128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
// VIEW:         %[[Z:.*]] = te.convert_scales %[[S]] of [96, 256] : tensor<2x128x8xf8E8M0FNU
// VIEW-NOT:     te.convert_scales
// VIEW:         %[[Z0:.*]] = te.member %[[Z]][0]
// VIEW-NOT:     te.convert_scales
// VIEW:         te.gemm {{.*}}, %{{.*}} scales(%[[Z0]])
// VIEW-NEXT:    te.dequantize {{.*}}, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
// VIEW-NOT:     te.convert_scales
// VIEW:         return
func.func @split(%x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #mx>, %q: tensor<2x96x256xf8E4M3FN>, %s: tensor<2x128x8xf8E8M0FNU, #mxc>)
    -> (tensor<64x96xbf16>, tensor<96x256xbf16>, tensor<64x96xbf16>, tensor<96x256xbf16>) {
  %q0 = te.member %q[0] : tensor<2x96x256xf8E4M3FN> -> tensor<96x256xf8E4M3FN>
  %s0 = te.member %s[0] : tensor<2x128x8xf8E8M0FNU, #mxc> -> tensor<128x8xf8E8M0FNU, #mxc>
  %z0 = te.convert_scales %s0 of [96, 256] : tensor<128x8xf8E8M0FNU, #mxc> -> tensor<128x8xf8E8M0FNU, #mx>
  %y0 = te.gemm %x scales(%xs), %q0 scales(%z0) : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mx>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mx>) -> tensor<64x96xbf16>
  %w0 = te.dequantize %q0, %s0 : (tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mxc>) -> tensor<96x256xbf16>
  %q1 = te.member %q[1] : tensor<2x96x256xf8E4M3FN> -> tensor<96x256xf8E4M3FN>
  %s1 = te.member %s[1] : tensor<2x128x8xf8E8M0FNU, #mxc> -> tensor<128x8xf8E8M0FNU, #mxc>
  %z1 = te.convert_scales %s1 of [96, 256] : tensor<128x8xf8E8M0FNU, #mxc> -> tensor<128x8xf8E8M0FNU, #mx>
  %y1 = te.gemm %x scales(%xs), %q1 scales(%z1) : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mx>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mx>) -> tensor<64x96xbf16>
  %w1 = te.dequantize %q1, %s1 : (tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mxc>) -> tensor<96x256xbf16>
  return %y0, %w0, %y1, %w1 : tensor<64x96xbf16>, tensor<96x256xbf16>, tensor<64x96xbf16>, tensor<96x256xbf16>
}

// One member of two is cheaper to swizzle alone, and there is one view of it.
// VIEW-LABEL: func @keep_view(
// VIEW:         %[[S1:.*]] = te.member %{{.*}}[1] : tensor<2x128x8xf8E8M0FNU
// VIEW-NEXT:    %[[Z1:.*]] = te.convert_scales %[[S1]] of [96, 256] : tensor<128x8xf8E8M0FNU
// VIEW-NOT:     te.member
// VIEW:         te.gemm {{.*}}, %{{.*}} scales(%[[Z1]])
// VIEW-NEXT:    te.dequantize %{{.*}}, %[[S1]] :
func.func @keep_view(%x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #mx>, %q: tensor<2x96x256xf8E4M3FN>, %s: tensor<2x128x8xf8E8M0FNU, #mxc>)
    -> (tensor<64x96xbf16>, tensor<96x256xbf16>) {
  %q1 = te.member %q[1] : tensor<2x96x256xf8E4M3FN> -> tensor<96x256xf8E4M3FN>
  %s1 = te.member %s[1] : tensor<2x128x8xf8E8M0FNU, #mxc> -> tensor<128x8xf8E8M0FNU, #mxc>
  %z1 = te.convert_scales %s1 of [96, 256] : tensor<128x8xf8E8M0FNU, #mxc> -> tensor<128x8xf8E8M0FNU, #mx>
  %y1 = te.gemm %x scales(%xs), %q1 scales(%z1) : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mx>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mx>) -> tensor<64x96xbf16>
  %w1 = te.dequantize %q1, %s1 : (tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #mxc>) -> tensor<96x256xbf16>
  return %y1, %w1 : tensor<64x96xbf16>, tensor<96x256xbf16>
}
