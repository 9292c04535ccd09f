// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -te-hoist-swizzles | FileCheck %s
// RUN: te-opt %s -te-hoist-swizzles -o /dev/null --remark-policy=all \
// RUN:   --remarks-filter=te-hoist-swizzles 2>&1 | FileCheck %s --check-prefix=REMARK

#compact = #te.scales<1 x 32, compact>
#swizzled = #te.scales<1 x 32, swizzled>

// The scales come from elsewhere: one swizzle in front of both loops.
// CHECK-LABEL: func @hoist(
// CHECK-SAME:      %[[WS:[a-z0-9]+]]: tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
// CHECK-NOT:     scf.for
// CHECK:         %[[Z:.*]] = te.convert_scales %[[WS]] of [96, 256]
// CHECK-COUNT-2: scf.for
// CHECK-NOT:     te.convert_scales
// CHECK:         te.gemm {{.*}} scales(%[[Z]])
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Passed] HoistSwizzles{{.*}}BytesSaved=30720, LaunchesSaved=15
func.func @hoist(%x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #swizzled>, %w: tensor<96x256xf8E4M3FN>, %ws: tensor<128x8xf8E8M0FNU, #compact>, %y0: tensor<64x96xf32>) -> tensor<64x96xf32> {
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %one = arith.constant 1 : index
  %y = scf.for %i = %zero to %four step %one iter_args(%a = %y0) -> tensor<64x96xf32> {
    %b = scf.for %j = %zero to %four step %one iter_args(%c = %a) -> tensor<64x96xf32> {
      %z = te.convert_scales %ws of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
      %d = te.gemm %x scales(%xs), %w scales(%z) outs(%c) {accumulate} : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<64x96xf32>) -> tensor<64x96xf32>
      scf.yield %d : tensor<64x96xf32>
    }
    scf.yield %b : tensor<64x96xf32>
  }
  return %y : tensor<64x96xf32>
}

// The cast of the packed weights writes them swizzled; their members are views.
// CHECK-LABEL: func @written_swizzled(
// CHECK:         %[[Q:.*]], %[[S:.*]] = te.quantize {{.*}} -> tensor<2x96x256xf8E4M3FN>, tensor<2x128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
// CHECK-NOT:     te.convert_scales
// CHECK:         scf.for
// CHECK-NOT:     te.convert_scales
// CHECK:         %[[S1:.*]] = te.member %[[S]][1]
// CHECK:         te.gemm {{.*}} scales(%[[S1]])
func.func @written_swizzled(%x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #swizzled>, %w: tensor<2x96x256xbf16>, %y0: tensor<64x96xf32>) -> tensor<64x96xf32> {
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %one = arith.constant 1 : index
  %q, %s = te.quantize %w : tensor<2x96x256xbf16> -> tensor<2x96x256xf8E4M3FN>, tensor<2x128x8xf8E8M0FNU, #compact>
  %y = scf.for %i = %zero to %four step %one iter_args(%a = %y0) -> tensor<64x96xf32> {
    %q1 = te.member %q[1] : tensor<2x96x256xf8E4M3FN> -> tensor<96x256xf8E4M3FN>
    %s1 = te.member %s[1] : tensor<2x128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #compact>
    %z = te.convert_scales %s1 of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
    %d = te.gemm %x scales(%xs), %q1 scales(%z) outs(%a) {accumulate} : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<64x96xf32>) -> tensor<64x96xf32>
    scf.yield %d : tensor<64x96xf32>
  }
  return %y : tensor<64x96xf32>
}

// So does a fused cast of one weight.
// CHECK-LABEL: func @multi_cast_transpose(
// CHECK-NEXT:    te.multi_cast_transpose {{.*}} scales tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
// CHECK-NEXT:    te.gemm
func.func @multi_cast_transpose(%x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #swizzled>, %w: tensor<96x256xbf16>) -> tensor<64x96xf32> {
  %q, %s = te.multi_cast_transpose %w : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN> scales tensor<128x8xf8E8M0FNU, #compact>
  %z = te.convert_scales %s of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
  %y = te.gemm %x scales(%xs), %q scales(%z) : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>) -> tensor<64x96xf32>
  return %y : tensor<64x96xf32>
}

// The scales of a list have one layout: the second keeps the first compact.
// CHECK-LABEL: func @list_of_one_layout(
// CHECK-NEXT:    te.multi_cast_transpose {{.*}} scales tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
// CHECK-NEXT:    te.convert_scales
// CHECK-NEXT:    te.gemm
func.func @list_of_one_layout(%x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #swizzled>, %w: tensor<96x256xbf16>) -> (tensor<64x96xf32>, tensor<128x8xf8E8M0FNU, #compact>) {
  %q:2, %s:2 = te.multi_cast_transpose %w, %w : tensor<96x256xbf16>, tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x256xf8E4M3FN> scales tensor<128x8xf8E8M0FNU, #compact>, tensor<128x8xf8E8M0FNU, #compact>
  %z = te.convert_scales %s#0 of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
  %y = te.gemm %x scales(%xs), %q#0 scales(%z) : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>) -> tensor<64x96xf32>
  return %y, %s#1 : tensor<64x96xf32>, tensor<128x8xf8E8M0FNU, #compact>
}

// CHECK-LABEL: func @list_swizzled(
// CHECK-NEXT:    te.multi_cast_transpose {{.*}} scales tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>, tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, swizzled>>
// CHECK-NEXT:    te.gemm
// CHECK-NEXT:    te.gemm
func.func @list_swizzled(%x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #swizzled>, %w: tensor<96x256xbf16>) -> (tensor<64x96xf32>, tensor<64x96xf32>) {
  %q:2, %s:2 = te.multi_cast_transpose %w, %w : tensor<96x256xbf16>, tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<96x256xf8E4M3FN> scales tensor<128x8xf8E8M0FNU, #compact>, tensor<128x8xf8E8M0FNU, #compact>
  %z = te.convert_scales %s#0 of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
  %y = te.gemm %x scales(%xs), %q#0 scales(%z) : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>) -> tensor<64x96xf32>
  %z1 = te.convert_scales %s#1 of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
  %y1 = te.gemm %x scales(%xs), %q#1 scales(%z1) : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>) -> tensor<64x96xf32>
  return %y, %y1 : tensor<64x96xf32>, tensor<64x96xf32>
}

// The compact scales leave the function too: both layouts stay, one swizzle.
// CHECK-LABEL: func @keep_both(
// CHECK:         %[[Q:.*]], %[[S:.*]] = te.quantize {{.*}} tensor<128x8xf8E8M0FNU, #te.scales<1 x 32, compact>>
// CHECK-NEXT:    te.convert_scales %[[S]]
// CHECK-NEXT:    scf.for
// CHECK-NOT:     te.convert_scales
// CHECK:         return %{{.*}}, %[[S]]
// REMARK-DAG: [[#@LINE+8]]:{{.*}}[Passed] HoistSwizzles{{.*}}BytesSaved=6144, LaunchesSaved=3
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Missed] HoistSwizzles{{.*}}BytesLost=2048, LaunchesLost=1, Op=te.convert_scales, Reason="func.return at {{.*}} reads compact scales and te.gemm at {{.*}} reads swizzled
func.func @keep_both(%x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #swizzled>, %w: tensor<96x256xbf16>, %y0: tensor<64x96xf32>) -> (tensor<64x96xf32>, tensor<128x8xf8E8M0FNU, #compact>) {
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %one = arith.constant 1 : index
  %q, %s = te.quantize %w : tensor<96x256xbf16> -> tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #compact>
  %y = scf.for %i = %zero to %four step %one iter_args(%a = %y0) -> tensor<64x96xf32> {
    %z = te.convert_scales %s of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
    %d = te.gemm %x scales(%xs), %q scales(%z) outs(%a) {accumulate} : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<64x96xf32>) -> tensor<64x96xf32>
    // The second of the same value.
    %z2 = te.convert_scales %s of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
    %e = te.gemm %x scales(%xs), %q scales(%z2) outs(%d) {accumulate} : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<64x96xf32>) -> tensor<64x96xf32>
    scf.yield %e : tensor<64x96xf32>
  }
  return %y, %s : tensor<64x96xf32>, tensor<128x8xf8E8M0FNU, #compact>
}

// A view of what does not vary goes along: one member is swizzled, not all.
// CHECK-LABEL: func @view(
// CHECK-SAME:      %[[WS:[a-z0-9]+]]: tensor<4x128x8xf8E8M0FNU
// CHECK:         %[[S:.*]] = te.member %[[WS]][1]
// CHECK-NEXT:    te.convert_scales %[[S]]
// CHECK-NEXT:    scf.for
// CHECK-NEXT:      te.gemm
func.func @view(%x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #swizzled>, %w: tensor<96x256xf8E4M3FN>, %ws: tensor<4x128x8xf8E8M0FNU, #compact>, %y0: tensor<64x96xf32>) -> tensor<64x96xf32> {
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %one = arith.constant 1 : index
  %y = scf.for %i = %zero to %four step %one iter_args(%a = %y0) -> tensor<64x96xf32> {
    %s = te.member %ws[1] : tensor<4x128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #compact>
    %z = te.convert_scales %s of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
    %d = te.gemm %x scales(%xs), %w scales(%z) outs(%a) {accumulate} : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<64x96xf32>) -> tensor<64x96xf32>
    scf.yield %d : tensor<64x96xf32>
  }
  return %y : tensor<64x96xf32>
}

// CHECK-LABEL: func @no_iteration(
// CHECK:         scf.for
// CHECK-NEXT:      te.convert_scales
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Missed] HoistSwizzles{{.*}}the loop may have no iteration
func.func @no_iteration(%n: index, %one: index, %x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #swizzled>, %w: tensor<96x256xf8E4M3FN>, %ws: tensor<128x8xf8E8M0FNU, #compact>, %y0: tensor<64x96xf32>) -> tensor<64x96xf32> {
  %y = scf.for %i = %one to %n step %one iter_args(%a = %y0) -> tensor<64x96xf32> {
    %z = te.convert_scales %ws of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
    %d = te.gemm %x scales(%xs), %w scales(%z) outs(%a) {accumulate} : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<64x96xf32>) -> tensor<64x96xf32>
    scf.yield %d : tensor<64x96xf32>
  }
  return %y : tensor<64x96xf32>
}

// All members in one launch, where each iteration had its own.
// CHECK-LABEL: func @members_together(
// CHECK:         %[[Z:.*]] = te.convert_scales {{.*}} of [96, 256] : tensor<4x128x8xf8E8M0FNU
// CHECK:         scf.for %[[I:[a-z0-9]+]] =
// CHECK-NEXT:      te.member %[[Z]][%[[I]]]
// CHECK-NEXT:      te.gemm
func.func @members_together(%x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #swizzled>, %w: tensor<96x256xf8E4M3FN>, %ws: tensor<4x128x8xf8E8M0FNU, #compact>, %y0: tensor<64x96xf32>) -> tensor<64x96xf32> {
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %one = arith.constant 1 : index
  %y = scf.for %i = %zero to %four step %one iter_args(%a = %y0) -> tensor<64x96xf32> {
    %s = te.member %ws[%i] : tensor<4x128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #compact>
    %z = te.convert_scales %s of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
    %d = te.gemm %x scales(%xs), %w scales(%z) outs(%a) {accumulate} : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<64x96xf32>) -> tensor<64x96xf32>
    scf.yield %d : tensor<64x96xf32>
  }
  return %y : tensor<64x96xf32>
}

// CHECK-LABEL: func @varies(
// CHECK:         scf.for
// CHECK-NEXT:      te.dispatch
// CHECK-NEXT:      te.convert_scales
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Missed] HoistSwizzles{{.*}}the scales vary in the loop
func.func @varies(%x: tensor<96x256xf8E4M3FN>, %s: tensor<128x8xf8E8M0FNU, #compact>, %handles: tensor<96x1xi32>, %w: tensor<96x256xf8E4M3FN>, %ws: tensor<128x8xf8E8M0FNU, #swizzled>, %y0: tensor<96x96xf32>) -> tensor<96x96xf32> {
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %one = arith.constant 1 : index
  %y = scf.for %i = %zero to %four step %one iter_args(%a = %y0) -> tensor<96x96xf32> {
    %r, %rs = te.dispatch %x, %s by %handles : tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #compact> by tensor<96x1xi32> -> tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #compact>
    %z = te.convert_scales %rs of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
    %d = te.gemm %r scales(%z), %w scales(%ws) outs(%a) {accumulate} : (tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x96xf32>) -> tensor<96x96xf32>
    scf.yield %d : tensor<96x96xf32>
  }
  return %y : tensor<96x96xf32>
}

// CHECK-LABEL: func @branch(
// CHECK:         scf.if
// CHECK-NEXT:      te.convert_scales
// REMARK-DAG: [[#@LINE+7]]:{{.*}}[Missed] HoistSwizzles{{.*}}scf.if around it may not run it in each iteration
func.func @branch(%b: i1, %x: tensor<64x256xf8E4M3FN>, %xs: tensor<128x8xf8E8M0FNU, #swizzled>, %w: tensor<96x256xf8E4M3FN>, %ws: tensor<128x8xf8E8M0FNU, #compact>, %y0: tensor<64x96xf32>) -> tensor<64x96xf32> {
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %one = arith.constant 1 : index
  %y = scf.for %i = %zero to %four step %one iter_args(%a = %y0) -> tensor<64x96xf32> {
    %c = scf.if %b -> tensor<64x96xf32> {
      %z = te.convert_scales %ws of [96, 256] : tensor<128x8xf8E8M0FNU, #compact> -> tensor<128x8xf8E8M0FNU, #swizzled>
      %d = te.gemm %x scales(%xs), %w scales(%z) outs(%a) {accumulate} : (tensor<64x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<96x256xf8E4M3FN>, tensor<128x8xf8E8M0FNU, #swizzled>, tensor<64x96xf32>) -> tensor<64x96xf32>
      scf.yield %d : tensor<64x96xf32>
    } else {
      scf.yield %a : tensor<64x96xf32>
    }
    scf.yield %c : tensor<64x96xf32>
  }
  return %y : tensor<64x96xf32>
}
