// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-quantize-before-move | FileCheck %s
// RUN: te-opt %s -te-quantize-before-move -te-quantize-before-move | FileCheck %s
// RUN: te-opt %s -te-quantize-before-move -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-quantize-before-move | FileCheck %s --check-prefix=REMARK
// RUN: te-opt %s -te-quantize-before-move=columnwise=requantize | FileCheck %s --check-prefix=REQUANTIZE
// RUN: not te-opt %s -te-quantize-before-move=columnwise=yes -o /dev/null 2>&1 | FileCheck %s --check-prefix=OPTION

// OPTION: te-quantize-before-move: columnwise must be leave or requantize, but got yes

#compact = #te.scales<1 x 128, compact>
#ready = #te.scales<1 x 128, gemm_ready>
#ready4 = #te.scales<1 x 128, gemm_ready, groups = 4>
#square = #te.scales<128 x 128, gemm_ready>
#tensor = #te.scales<tensor>
#tensor4 = #te.scales<tensor, groups = 4>

// Both moves; te-remove-scale-transposes lets the last one write the scales as the
// product reads them.
// CHECK-LABEL: func @dispatch_permute(
// CHECK-SAME:      %[[X:.*]]: tensor<48x256xbf16>, %[[P:.*]]: tensor<48x2xf32>, %[[I:.*]]: tensor<48x2xi32>, %[[W:.*]]: tensor
// CHECK:         %[[HANDLE:.*]], %[[RI:.*]] = te.dispatch_map
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = te.quantize %[[X]] {pow2_scales} : tensor<48x256xbf16> -> tensor<48x256xf8E4M3FN>, tensor<48x2xf32, #[[$COMPACT:.*]]>
// CHECK-NEXT:    %[[R:.*]]:3 = te.dispatch %[[Q]], %[[S]], %[[P]] by %[[HANDLE]]
// CHECK-NEXT:    %[[MAP:.*]], %[[N:.*]], %[[O:.*]] = te.routing_map
// CHECK-NEXT:    %[[V:.*]], %[[VS:.*]], %[[YP:.*]] = te.permute %[[R]]#0 scales(%[[R]]#1) probs(%[[R]]#2) rows(%[[MAP]]) pads(%[[N]], %[[O]])
// CHECK-NEXT:    %[[C:.*]] = te.convert_scales %[[VS]] of [256, 256]
// CHECK-NEXT:    te.grouped_gemm %[[V]] scales(%[[C]])
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Passed] QuantizeBeforeMove{{.*}}BytesBetweenRanks=35712, BytesSaved={{[0-9]+}}, LaunchesSaved=-1{{.*}}in front of te.dispatch
func.func @dispatch_permute(%x: tensor<48x256xbf16>, %p: tensor<48x2xf32>, %i: tensor<48x2xi32>, %w: tensor<4x128x256xf8E4M3FN>, %ws: tensor<4x1x4xf32, #square>)
    -> (tensor<256x128xbf16>, tensor<256xf32>) {
  %h, %ri = te.dispatch_map %i {ranks = 2, num_experts = 4} : tensor<48x2xi32> -> tensor<48x2xi32>, tensor<96x2xi32>
  %r:2 = te.dispatch %x, %p by %h : tensor<48x256xbf16>, tensor<48x2xf32> by tensor<48x2xi32> -> tensor<96x256xbf16>, tensor<96x2xf32>
  %map, %n, %o = te.routing_map %ri {alignment = 16, capacity = 256} : tensor<96x2xi32> -> tensor<96x2xi32>, tensor<4xi32>, tensor<5xi32>
  %y, %yp = te.permute %r#0 probs(%r#1) rows(%map) pads(%n, %o) : (tensor<96x256xbf16>, tensor<96x2xf32>, tensor<96x2xi32>, tensor<4xi32>, tensor<5xi32>)
    -> (tensor<256x256xbf16>, tensor<256xf32>)
  %q, %s = te.quantize %y groups(%o : tensor<5xi32>) {pow2_scales} : tensor<256x256xbf16> -> tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #ready>
  %z = te.grouped_gemm %q scales(%s), %w scales(%ws) groups(%o) over rows
    : (tensor<256x256xf8E4M3FN>, tensor<2x256xf32, #ready>, tensor<4x128x256xf8E4M3FN>, tensor<4x1x4xf32, #square>, tensor<5xi32>) -> tensor<256x128xbf16>
  return %z, %yp : tensor<256x128xbf16>, tensor<256xf32>
}

// What te.dispatch moves is compact.
// CHECK-LABEL: func @dispatch(
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = te.quantize %{{.*}} : tensor<48x256xf32> -> tensor<48x256xf8E5M2>, tensor<48x2xf32, #[[$COMPACT]]>
// CHECK-NEXT:    %[[R:.*]]:3 = te.dispatch %[[Q]], %[[S]], %{{.*}} by
// CHECK-NEXT:    %[[C:.*]] = te.convert_scales %[[R]]#1 of [96, 256]
// CHECK-NEXT:    return %[[R]]#0, %[[C]], %[[R]]#2
func.func @dispatch(%x: tensor<48x256xf32>, %p: tensor<48x2xf32>, %h: tensor<48x2xi32>) -> (tensor<96x256xf8E5M2>, tensor<2x96xf32, #ready>, tensor<96x2xf32>) {
  %r:2 = te.dispatch %p, %x by %h : tensor<48x2xf32>, tensor<48x256xf32> by tensor<48x2xi32> -> tensor<96x2xf32>, tensor<96x256xf32>
  %q, %s = te.quantize %r#1 : tensor<96x256xf32> -> tensor<96x256xf8E5M2>, tensor<2x96xf32, #ready>
  return %q, %s, %r#0 : tensor<96x256xf8E5M2>, tensor<2x96xf32, #ready>, tensor<96x2xf32>
}

// A given scale is one for all rows of this rank, whose bytes alone move.
// CHECK-LABEL: func @given_scale(
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = te.quantize %{{.*}} scale(%{{.*}} : tensor<f32>) : tensor<96x256xf32> -> tensor<96x256xf8E4M3FN>, tensor<f32, {{.*}}>
// CHECK-NEXT:    %[[Y:.*]] = te.permute %[[Q]] rows(%{{.*}}) : (tensor<96x256xf8E4M3FN>, tensor<96x2xi32>) -> tensor<192x256xf8E4M3FN>
// CHECK-NEXT:    return %[[Y]], %[[S]]
func.func @given_scale(%x: tensor<96x256xf32>, %map: tensor<96x2xi32>, %scale: tensor<f32>) -> (tensor<192x256xf8E4M3FN>, tensor<f32, #tensor>) {
  %y = te.permute %x rows(%map) : (tensor<96x256xf32>, tensor<96x2xi32>) -> tensor<192x256xf32>
  %q, %s = te.quantize %y scale(%scale : tensor<f32>) : tensor<192x256xf32> -> tensor<192x256xf8E4M3FN>, tensor<f32, #tensor>
  return %q, %s : tensor<192x256xf8E4M3FN>, tensor<f32, #tensor>
}

// CHECK-LABEL: func @both_directions(
// CHECK-NEXT:    te.dispatch %{{.*}} by
// CHECK-NEXT:    te.quantize {{.*}} columnwise
// REMARK-DAG: [[#@LINE+9]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}it casts columnwise too, over rows that come together only there; from FP8 rows those would be other values
// REQUANTIZE-LABEL: func @both_directions(
// REQUANTIZE-NEXT:    %[[Q:.*]], %[[S:.*]] = te.quantize %{{.*}} {pow2_scales} : tensor<48x256xbf16> ->
// REQUANTIZE-NEXT:    %[[R:.*]]:2 = te.dispatch %[[Q]], %[[S]] by
// REQUANTIZE-NEXT:    %[[D:.*]] = te.dequantize %[[R]]#0, %[[R]]#1 groups(%{{.*}}) : {{.*}} -> tensor<96x256xbf16>
// REQUANTIZE-NEXT:    %[[T:.*]], %[[TS:.*]] = te.quantize %[[D]] groups(%{{.*}}) {pow2_scales} : tensor<96x256xbf16> columnwise
// REQUANTIZE-NEXT:    return %[[R]]#0, %[[R]]#1, %[[T]], %[[TS]]
func.func @both_directions(%x: tensor<48x256xbf16>, %h: tensor<48x2xi32>, %o: tensor<5xi32>) -> (tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>, tensor<256x96xf8E4M3FN>, tensor<4x256xf32, #ready4>) {
  %r = te.dispatch %x by %h : tensor<48x256xbf16> by tensor<48x2xi32> -> tensor<96x256xbf16>
  %q:4 = te.quantize %r groups(%o : tensor<5xi32>) {pow2_scales} : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact> columnwise tensor<256x96xf8E4M3FN>, tensor<4x256xf32, #ready4>
  return %q#0, %q#1, %q#2, %q#3 : tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>, tensor<256x96xf8E4M3FN>, tensor<4x256xf32, #ready4>
}

// Rows of this rank are permuted and cast in one launch.
// CHECK-LABEL: func @permute_alone(
// CHECK-NEXT:    te.permute
// CHECK-NEXT:    te.quantize
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}in front of te.permute it would take {{[0-9]+}} bytes, and {{[0-9]+}} behind, in one launch with it
func.func @permute_alone(%x: tensor<96x256xbf16>, %map: tensor<96x2xi32>, %o: tensor<5xi32>) -> (tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #compact>) {
  %y = te.permute %x rows(%map) : (tensor<96x256xbf16>, tensor<96x2xi32>) -> tensor<192x256xbf16>
  %q, %s = te.quantize %y groups(%o : tensor<5xi32>) : tensor<192x256xbf16> -> tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #compact>
  return %q, %s : tensor<192x256xf8E4M3FN>, tensor<192x2xf32, #compact>
}

// CHECK-LABEL: func @padding_scales_escape(
// CHECK:         te.permute
// CHECK-NEXT:    te.quantize
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}func.return reads the scales of rows that te.permute adds
func.func @padding_scales_escape(%x: tensor<96x256xf32>, %i: tensor<96x2xi32>) -> (tensor<256x256xf8E4M3FN>, tensor<256x2xf32, #compact>) {
  %map, %n, %o = te.routing_map %i {alignment = 16, capacity = 256} : tensor<96x2xi32> -> tensor<96x2xi32>, tensor<4xi32>, tensor<5xi32>
  %y = te.permute %x rows(%map) pads(%n, %o) : (tensor<96x256xf32>, tensor<96x2xi32>, tensor<4xi32>, tensor<5xi32>) -> tensor<256x256xf32>
  %q, %s = te.quantize %y : tensor<256x256xf32> -> tensor<256x256xf8E4M3FN>, tensor<256x2xf32, #compact>
  return %q, %s : tensor<256x256xf8E4M3FN>, tensor<256x2xf32, #compact>
}

// CHECK-LABEL: func @other_rank(
// CHECK-NEXT:    te.dispatch
// CHECK-NEXT:    te.quantize
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}the scale of another rank may differ, and te.dispatch crosses ranks
func.func @other_rank(%x: tensor<48x256xbf16>, %h: tensor<48x2xi32>, %scale: tensor<f32>) -> tensor<96x256xf8E4M3FN> {
  %r = te.dispatch %x by %h : tensor<48x256xbf16> by tensor<48x2xi32> -> tensor<96x256xbf16>
  %q, %s = te.quantize %r scale(%scale : tensor<f32>) : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<f32, #tensor>
  return %q : tensor<96x256xf8E4M3FN>
}

// CHECK-LABEL: func @amax_of_moved_rows(
// CHECK-NEXT:    te.permute
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}the amax of the rows moved is not that of all rows
func.func @amax_of_moved_rows(%x: tensor<96x256xf32>, %map: tensor<96x2xi32>, %scale: tensor<f32>, %a: tensor<f32>) -> (tensor<192x256xf8E4M3FN>, tensor<f32>) {
  %y = te.permute %x rows(%map) : (tensor<96x256xf32>, tensor<96x2xi32>) -> tensor<192x256xf32>
  %q:3 = te.quantize %y scale(%scale : tensor<f32>) amax(%a : tensor<f32>) : tensor<192x256xf32> -> tensor<192x256xf8E4M3FN>, tensor<f32, #tensor> amax_out tensor<f32>
  return %q#0, %q#2 : tensor<192x256xf8E4M3FN>, tensor<f32>
}

// CHECK-LABEL: func @current_scale(
// CHECK-NEXT:    te.permute
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}its scale is that of all rows moved
func.func @current_scale(%x: tensor<96x256xf32>, %map: tensor<96x2xi32>, %o: tensor<5xi32>) -> tensor<192x256xf8E4M3FN> {
  %y = te.permute %x rows(%map) : (tensor<96x256xf32>, tensor<96x2xi32>) -> tensor<192x256xf32>
  %q:2 = te.quantize %y groups(%o : tensor<5xi32>) : tensor<192x256xf32> -> tensor<192x256xf8E4M3FN>, tensor<4xf32, #tensor4>
  return %q#0 : tensor<192x256xf8E4M3FN>
}

// CHECK-LABEL: func @scale_of_each_expert(
// CHECK-NEXT:    te.permute
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}each of the 4 groups has a scale of its own
func.func @scale_of_each_expert(%x: tensor<96x256xf32>, %map: tensor<96x2xi32>, %o: tensor<5xi32>, %scale: tensor<4xf32>) -> tensor<192x256xf8E4M3FN> {
  %y = te.permute %x rows(%map) : (tensor<96x256xf32>, tensor<96x2xi32>) -> tensor<192x256xf32>
  %q:2 = te.quantize %y scale(%scale : tensor<4xf32>) groups(%o : tensor<5xi32>) : tensor<192x256xf32> -> tensor<192x256xf8E4M3FN>, tensor<4xf32, #tensor4>
  return %q#0 : tensor<192x256xf8E4M3FN>
}

// CHECK-LABEL: func @square_blocks(
// CHECK-NEXT:    te.dispatch
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}its blocks of 128 x 128 hold several rows
func.func @square_blocks(%x: tensor<48x256xbf16>, %h: tensor<48x2xi32>) -> (tensor<96x256xf8E4M3FN>, tensor<1x4xf32, #square>) {
  %r = te.dispatch %x by %h : tensor<48x256xbf16> by tensor<48x2xi32> -> tensor<96x256xbf16>
  %q, %s = te.quantize %r : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<1x4xf32, #square>
  return %q, %s : tensor<96x256xf8E4M3FN>, tensor<1x4xf32, #square>
}

// Rows that somebody reads in bf16 have to travel so.
// CHECK-LABEL: func @other_reader(
// CHECK-NEXT:    te.dispatch
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}the rows of te.dispatch have 2 readers, not 1
func.func @other_reader(%x: tensor<48x256xbf16>, %h: tensor<48x2xi32>) -> (tensor<96x256xf8E4M3FN>, tensor<96x256xbf16>) {
  %r = te.dispatch %x by %h : tensor<48x256xbf16> by tensor<48x2xi32> -> tensor<96x256xbf16>
  %q, %s = te.quantize %r : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x2xf32, #compact>
  return %q, %r : tensor<96x256xf8E4M3FN>, tensor<96x256xbf16>
}

// Scales of MXFP8 come in rows of 128, those of rows that there are none for too.
// CHECK-LABEL: func @padded_scales(
// CHECK-NEXT:    te.dispatch
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}48 rows do not each have a row of tensor<128x8xf8E8M0FNU
func.func @padded_scales(%x: tensor<48x256xbf16>, %h: tensor<48x2xi32>) -> tensor<96x256xf8E4M3FN> {
  %r = te.dispatch %x by %h : tensor<48x256xbf16> by tensor<48x2xi32> -> tensor<96x256xbf16>
  %q, %s = te.quantize %r : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
  return %q : tensor<96x256xf8E4M3FN>
}

// CHECK-LABEL: func @mxfp8(
// CHECK-NEXT:    %[[Q:.*]], %[[S:.*]] = te.quantize
// CHECK-NEXT:    %[[R:.*]]:2 = te.dispatch %[[Q]], %[[S]] by
// CHECK-NEXT:    %[[C:.*]] = te.convert_scales %[[R]]#1
// CHECK-NEXT:    return %[[R]]#0, %[[C]]
func.func @mxfp8(%x: tensor<128x256xbf16>, %h: tensor<128x2xi32>) -> (tensor<256x256xf8E4M3FN>, tensor<256x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>) {
  %r = te.dispatch %x by %h : tensor<128x256xbf16> by tensor<128x2xi32> -> tensor<256x256xbf16>
  %q, %s = te.quantize %r : tensor<256x256xbf16> -> tensor<256x256xf8E4M3FN>, tensor<256x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
  return %q, %s : tensor<256x256xf8E4M3FN>, tensor<256x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
}

// CHECK-LABEL: func @nvfp4(
// CHECK-NEXT:    te.dispatch
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] QuantizeBeforeMove{{.*}}scales of NVFP4 need the amax of all rows first
func.func @nvfp4(%x: tensor<128x256xbf16>, %h: tensor<128x2xi32>) -> tensor<256x256xf4E2M1FN> {
  %r = te.dispatch %x by %h : tensor<128x256xbf16> by tensor<128x2xi32> -> tensor<256x256xbf16>
  %q, %s, %a = te.quantize %r : tensor<256x256xbf16> -> tensor<256x256xf4E2M1FN>, tensor<256x16xf8E4M3FN, #te.scales<1 x 16, swizzled>> tensor_amax tensor<f32>
  return %q : tensor<256x256xf4E2M1FN>
}
