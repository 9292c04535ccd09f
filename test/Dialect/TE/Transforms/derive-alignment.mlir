// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-derive-alignment | FileCheck %s
// RUN: te-opt %s -te-derive-alignment -te-derive-alignment | FileCheck %s
// RUN: te-opt %s -te-derive-alignment -o /dev/null 2>&1 --remark-policy=final \
// RUN:   --remarks-filter=te-derive-alignment | FileCheck %s --check-prefix=REMARK

#compact = #te.scales<1 x 128, compact>
#ready = #te.scales<1 x 128, gemm_ready>
#ready4 = #te.scales<1 x 128, gemm_ready, groups = 4>
#square = #te.scales<128 x 128, gemm_ready>

// Forward and wgrad: 16, in the map and in offsets equal to its own.
// CHECK-LABEL: func @fp8(
// CHECK-NEXT:    te.routing_map %{{.*}} {alignment = 16 : i64, capacity = 896 : i64}
// CHECK:         te.compute_offsets %{{.*}} {alignment = 16 : i64}
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Passed] DeriveAlignment{{.*}}From=128, {{.*}}Remark="what te.grouped_gemm needs", Rows=336, To=16
func.func @fp8(%x: tensor<192x256xbf16>, %i: tensor<192x2xi32>, %w: tensor<4x128x256xf8E4M3FN>, %ws: tensor<4x1x4xf32, #square>, %d: tensor<192x128xbf16>)
    -> (tensor<192x128xbf16>, tensor<4x128x256xf32>) {
  %map, %n, %o = te.routing_map %i {alignment = 128, capacity = 896} : tensor<192x2xi32> -> tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>
  %q:4 = te.permute_quantize %x rows(%map : tensor<192x2xi32>) groups(%o : tensor<5xi32>) counts(%n : tensor<4xi32>) {pow2_scales} : tensor<192x256xbf16>
    -> tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #ready> columnwise tensor<256x896xf8E4M3FN>, tensor<11x256xf32, #ready4>
  %y = te.grouped_gemm %q#0 scales(%q#1), %w scales(%ws) groups(%o) over rows
    : (tensor<896x256xf8E4M3FN>, tensor<2x896xf32, #ready>, tensor<4x128x256xf8E4M3FN>, tensor<4x1x4xf32, #square>, tensor<5xi32>) -> tensor<896x128xbf16>
  %z = te.unpermute %y rows(%map) : (tensor<896x128xbf16>, tensor<192x2xi32>) -> tensor<192x128xbf16>
  %o2 = te.compute_offsets %n {alignment = 128} : tensor<4xi32> -> tensor<5xi32>
  %p = te.permute %d rows(%map) pads(%n, %o) : (tensor<192x128xbf16>, tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>) -> tensor<896x128xbf16>
  %e:2 = te.quantize %p groups(%o2 : tensor<5xi32>) {pow2_scales} : tensor<896x128xbf16> columnwise tensor<128x896xf8E4M3FN>, tensor<11x128xf32, #ready4>
  %g = te.grouped_gemm %e#0 scales(%e#1), %q#2 scales(%q#3) groups(%o2) over reduction
    : (tensor<128x896xf8E4M3FN>, tensor<11x128xf32, #ready4>, tensor<256x896xf8E4M3FN>, tensor<11x256xf32, #ready4>, tensor<5xi32>) -> tensor<4x128x256xf32>
  return %z, %g : tensor<192x128xbf16>, tensor<4x128x256xf32>
}

// Products of bf16 need none; the host reads the offsets.
// CHECK-LABEL: func @bf16(
// CHECK-NEXT:    te.routing_map %{{.*}} {capacity = 448 : i64}
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] DeriveAlignment{{.*}}From=16, {{.*}}Rows=48, To=1
func.func @bf16(%x: tensor<192x256xbf16>, %i: tensor<192x2xi32>, %w: tensor<128x256xbf16>) -> tensor<192x128xbf16> {
  %map, %n, %o = te.routing_map %i {alignment = 16, capacity = 448} : tensor<192x2xi32> -> tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>
  %p = te.permute %x rows(%map) pads(%n, %o) : (tensor<192x256xbf16>, tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>) -> tensor<448x256xbf16>
  %h = te.to_host %o : tensor<5xi32> -> tensor<5xi32, #te.host>
  %e = tensor.empty() : tensor<448x128xbf16>
  %y = te.gemm %p, %w groups(%h) member 2 over rows outs(%e) : (tensor<448x256xbf16>, tensor<128x256xbf16>, tensor<5xi32, #te.host>, tensor<448x128xbf16>) -> tensor<448x128xbf16>
  %z = te.unpermute %y rows(%map) : (tensor<448x128xbf16>, tensor<192x2xi32>) -> tensor<192x128xbf16>
  return %z : tensor<192x128xbf16>
}

// CHECK-LABEL: func @needed(
// CHECK-NEXT:    te.routing_map %{{.*}} {alignment = 16 : i64
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Missed] DeriveAlignment{{.*}}te.grouped_gemm needs a multiple of 16
func.func @needed(%x: tensor<192x256xbf16>, %i: tensor<192x2xi32>, %w: tensor<4x128x256xf8E4M3FN>, %ws: tensor<4x1x4xf32, #square>) -> tensor<192x128xbf16> {
  %map, %n, %o = te.routing_map %i {alignment = 16, capacity = 448} : tensor<192x2xi32> -> tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>
  %q:2 = te.permute_quantize %x rows(%map : tensor<192x2xi32>) groups(%o : tensor<5xi32>) counts(%n : tensor<4xi32>) : tensor<192x256xbf16> -> tensor<448x256xf8E4M3FN>, tensor<2x448xf32, #ready>
  %y = te.grouped_gemm %q#0 scales(%q#1), %w scales(%ws) groups(%o) over rows
    : (tensor<448x256xf8E4M3FN>, tensor<2x448xf32, #ready>, tensor<4x128x256xf8E4M3FN>, tensor<4x1x4xf32, #square>, tensor<5xi32>) -> tensor<448x128xbf16>
  %z = te.unpermute %y rows(%map) : (tensor<448x128xbf16>, tensor<192x2xi32>) -> tensor<192x128xbf16>
  return %z : tensor<192x128xbf16>
}

// CHECK-LABEL: func @returned(
// CHECK-NEXT:    te.routing_map %{{.*}} {alignment = 128 : i64
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] DeriveAlignment{{.*}}func.return needs rows where they are
func.func @returned(%x: tensor<192x256xbf16>, %i: tensor<192x2xi32>) -> tensor<896x256xbf16> {
  %map, %n, %o = te.routing_map %i {alignment = 128, capacity = 896} : tensor<192x2xi32> -> tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>
  %p = te.permute %x rows(%map) pads(%n, %o) : (tensor<192x256xbf16>, tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>) -> tensor<896x256xbf16>
  return %p : tensor<896x256xbf16>
}

// CHECK-LABEL: func @padded_again(
// CHECK-NEXT:    te.routing_map %{{.*}} {alignment = 128 : i64
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] DeriveAlignment{{.*}}te.pad needs rows where they are
func.func @padded_again(%x: tensor<896x256xbf16>, %i: tensor<192x2xi32>, %to: tensor<5xi32>) -> tensor<1024x256xbf16> {
  %map, %n, %o = te.routing_map %i {alignment = 128, capacity = 896} : tensor<192x2xi32> -> tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>
  %p = te.pad %x from(%o) to(%to) : (tensor<896x256xbf16>, tensor<5xi32>, tensor<5xi32>) -> tensor<1024x256xbf16>
  return %p : tensor<1024x256xbf16>
}

// Rows that came in lie where the caller put them.
// CHECK-LABEL: func @rows_from_outside(
// CHECK-NEXT:    te.routing_map %{{.*}} {alignment = 128 : i64
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] DeriveAlignment{{.*}}te.swiglu reads rows that were not moved by the routing map
func.func @rows_from_outside(%h: tensor<896x256xbf16>, %i: tensor<192x2xi32>) -> tensor<192x128xbf16> {
  %map, %n, %o = te.routing_map %i {alignment = 128, capacity = 896} : tensor<192x2xi32> -> tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>
  %a = te.swiglu %h groups(%o) : (tensor<896x256xbf16>, tensor<5xi32>) -> tensor<896x128xbf16>
  %z = te.unpermute %a rows(%map) : (tensor<896x128xbf16>, tensor<192x2xi32>) -> tensor<192x128xbf16>
  return %z : tensor<192x128xbf16>
}

// CHECK-LABEL: func @all_rows(
// CHECK-NEXT:    te.routing_map %{{.*}} {alignment = 128 : i64
// REMARK-DAG: [[#@LINE+4]]:{{.*}}[Missed] DeriveAlignment{{.*}}te.swiglu reads all rows, whichever belong to a group
func.func @all_rows(%x: tensor<192x256xbf16>, %i: tensor<192x2xi32>) -> tensor<192x128xbf16> {
  %map, %n, %o = te.routing_map %i {alignment = 128, capacity = 896} : tensor<192x2xi32> -> tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>
  %p = te.permute %x rows(%map) pads(%n, %o) : (tensor<192x256xbf16>, tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>) -> tensor<896x256xbf16>
  %a = te.swiglu %p : (tensor<896x256xbf16>) -> tensor<896x128xbf16>
  %z = te.unpermute %a rows(%map) : (tensor<896x128xbf16>, tensor<192x2xi32>) -> tensor<192x128xbf16>
  return %z : tensor<192x128xbf16>
}

// CHECK-LABEL: func @other_groups(
// CHECK-NEXT:    te.routing_map %{{.*}} {alignment = 128 : i64
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] DeriveAlignment{{.*}}te.permute reads other groups as well
func.func @other_groups(%x: tensor<192x256xbf16>, %i: tensor<192x2xi32>, %o2: tensor<5xi32>) -> tensor<192x256xbf16> {
  %map, %n, %o = te.routing_map %i {alignment = 128, capacity = 896} : tensor<192x2xi32> -> tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>
  %p = te.permute %x rows(%map) pads(%n, %o2) : (tensor<192x256xbf16>, tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>) -> tensor<896x256xbf16>
  %z = te.unpermute %p rows(%map) : (tensor<896x256xbf16>, tensor<192x2xi32>) -> tensor<192x256xbf16>
  return %z : tensor<192x256xbf16>
}

// With fewer rows dropped, other rows would be left.
// CHECK-LABEL: func @overflow(
// CHECK-NEXT:    te.routing_map %{{.*}} {alignment = 128 : i64
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Missed] DeriveAlignment{{.*}}its capacity of 512 rows may overflow, as 768 may be needed
func.func @overflow(%x: tensor<192x256xbf16>, %i: tensor<192x2xi32>) -> tensor<192x256xbf16> {
  %map, %n, %o = te.routing_map %i {alignment = 128, capacity = 512} : tensor<192x2xi32> -> tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>
  %p = te.permute %x rows(%map) pads(%n, %o) : (tensor<192x256xbf16>, tensor<192x2xi32>, tensor<4xi32>, tensor<5xi32>) -> tensor<512x256xbf16>
  %z = te.unpermute %p rows(%map) : (tensor<512x256xbf16>, tensor<192x2xi32>) -> tensor<192x256xbf16>
  return %z : tensor<192x256xbf16>
}
