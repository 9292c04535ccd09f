// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RUN: te-opt %s -split-input-file -te-choose-products | FileCheck %s
// RUN: te-opt %s -split-input-file -te-choose-products=prefer=own | FileCheck %s --check-prefix=OWN
// RUN: te-opt %s -split-input-file -te-choose-products=prefer=library | FileCheck %s --check-prefix=LIBRARY
// RUN: te-opt %s -split-input-file -te-choose-products -o /dev/null 2>&1 --remark-policy=final --remarks-filter=te-choose-products | FileCheck %s --check-prefix=REMARK
// RUN: te-opt %s -split-input-file -te-choose-products=prefer=library -o /dev/null 2>&1 --remark-policy=final --remarks-filter=te-choose-products | FileCheck %s --check-prefix=ASKED
// RUN: not te-opt %s -split-input-file -te-choose-products=prefer=odd 2>&1 | FileCheck %s --check-prefix=OPTION
// OPTION: error: te-choose-products: prefer must be own, library or cost, but got odd
//
// A choice is made anew, whatever it was.
// RUN: te-opt %s -split-input-file -te-choose-products=prefer=library -te-choose-products | FileCheck %s

#rows = #te.scales<1 x 128, gemm_ready>
#squares = #te.scales<128 x 128, gemm_ready>

// Offsets on the device: the library only where it is asked for, with a launch for each
// group and a wait of the host.
// CHECK-LABEL: func.func @grouped
// CHECK: cost(#te_rt.cost<gemm, launches = 1, bytes = 8, flops = 16, product = f8E4M3FN>) {te_rt.way = "own"}
// OWN-LABEL: func.func @grouped
// OWN: {te_rt.way = "own"}
// LIBRARY-LABEL: func.func @grouped
// LIBRARY: cost(#te_rt.cost<gemm, launches = 8, bytes = 8, flops = 16, host_syncs = 1, product = f8E4M3FN>) {te_rt.way = "library"}
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Passed] ChooseProduct {{.*}}Function=grouped | LibraryUs={{[0-9.]+}}, Op=grouped_gemm, OwnUs={{[0-9.]+}}, Reason="library: the host would wait for offsets", Way=own
// ASKED-DAG: [[#@LINE+2]]:{{.*}}[Passed] ChooseProduct {{.*}}Function=grouped | HostSyncs=1, LibraryUs={{[0-9.]+}}, Op=grouped_gemm, OwnUs={{[0-9.]+}}, Reason="asked for", Way=library
func.func @grouped(%x: !te_rt.buffer<1024x256xf8E4M3FN>, %xs: !te_rt.buffer<2x1024xf32, #rows>, %w: !te_rt.buffer<8x512x256xf8E4M3FN>, %ws: !te_rt.buffer<8x4x4xf32, #squares>, %o: !te_rt.buffer<9xi32>, %y: !te_rt.buffer<1024x512xbf16>) {
  te_rt.call @grouped_gemm(in(%x), in(%xs), in(), in(%w), in(%ws), in(), in(), in(%o), out(%y)) scalars(1, 0, 0, 0) cost(#te_rt.cost<gemm, launches = 1, bytes = 8, flops = 16, product = f8E4M3FN>) : !te_rt.buffer<1024x256xf8E4M3FN>, !te_rt.buffer<2x1024xf32, #rows>, !te_rt.buffer<8x512x256xf8E4M3FN>, !te_rt.buffer<8x4x4xf32, #squares>, !te_rt.buffer<9xi32>, !te_rt.buffer<1024x512xbf16>
  return
}

// -----

// Offsets on the host: what takes least. Of few rows that is the library, which divides
// BF16 along the reduction.
// CHECK-LABEL: func.func @member
// CHECK: {te_rt.way = "library"}
// OWN-LABEL: func.func @member
// OWN: {te_rt.way = "own"}
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] ChooseProduct {{.*}}Function=member | LibraryUs={{[0-9.]+}}, Op=gemm, OwnUs={{[0-9.]+}}, Reason="takes least", Way=library
func.func @member(%x: !te_rt.buffer<1024x7168xbf16>, %w: !te_rt.buffer<4096x7168xbf16>, %o: !te_rt.buffer<9xi32, #te.host>, %y: !te_rt.buffer<1024x4096xbf16>) {
  te_rt.call @gemm(in(%x), in(), in(), in(%w), in(), in(), in(), in(%o), out(%y)) scalars(1, 3, 0, 0, 0) cost(#te_rt.cost<gemm, launches = 1, bytes = 8, flops = 16, product = bf16>) : !te_rt.buffer<1024x7168xbf16>, !te_rt.buffer<4096x7168xbf16>, !te_rt.buffer<9xi32, #te.host>, !te_rt.buffer<1024x4096xbf16>
  return
}

// -----

// F32 is the library's alone, and needs nothing from the device.
// CHECK-LABEL: func.func @dense_f32
// CHECK: {te_rt.way = "library"}
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] ChooseProduct {{.*}}Function=dense_f32 | Op=gemm, Reason="own: lhs: found F32, wanted BF16 or FP8 on both sides", Way=library
func.func @dense_f32(%x: !te_rt.buffer<64x256xf32>, %w: !te_rt.buffer<32x256xf32>, %y: !te_rt.buffer<64x32xf32>) {
  te_rt.call @gemm(in(%x), in(), in(), in(%w), in(), in(), in(), in(), out(%y)) scalars(0, -1, 0, 0, 0) cost(#te_rt.cost<gemm, launches = 1, bytes = 8, flops = 16, product = f32>) : !te_rt.buffer<64x256xf32>, !te_rt.buffer<32x256xf32>, !te_rt.buffer<64x32xf32>
  return
}

// -----

// Rows of 258 bytes: nothing but the plain kernel takes them from the device, and the
// remark says what keeps the product from the others.
// CHECK-LABEL: func.func @plain
// CHECK: {te_rt.way = "plain"}
// LIBRARY-LABEL: func.func @plain
// LIBRARY: {te_rt.way = "library"}
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Missed] ChooseProduct {{.*}}Function=plain | {{.*}}Op=grouped_gemm,{{.*}} Reason="own: lhs: found rows of 258 bytes, wanted a multiple of 16", Way=plain
func.func @plain(%x: !te_rt.buffer<64x129xbf16>, %w: !te_rt.buffer<2x32x129xbf16>, %o: !te_rt.buffer<3xi32>, %y: !te_rt.buffer<64x32xbf16>) {
  te_rt.call @grouped_gemm(in(%x), in(), in(), in(%w), in(), in(), in(), in(%o), out(%y)) scalars(1, 0, 0, 0) cost(#te_rt.cost<gemm, launches = 1, bytes = 8, flops = 16, product = bf16>) : !te_rt.buffer<64x129xbf16>, !te_rt.buffer<2x32x129xbf16>, !te_rt.buffer<3xi32>, !te_rt.buffer<64x32xbf16>
  return
}

// -----

// A view that begins in the middle of 16 bytes.
// CHECK-LABEL: func.func @view
// CHECK: {te_rt.way = "library"}
// REMARK-DAG: [[#@LINE+3]]:{{.*}}[Passed] ChooseProduct {{.*}}Function=view | {{.*}}Op=gemm,{{.*}} Reason="own: lhs: found memory that begins at no multiple of 16 bytes, wanted it to", Way=library
func.func @view(%xs: !te_rt.buffer<4x1x4xbf16>, %w: !te_rt.buffer<32x4xbf16>, %y: !te_rt.buffer<1x32xbf16>) {
  %x = te_rt.member %xs[1] : !te_rt.buffer<4x1x4xbf16>
  te_rt.call @gemm(in(%x), in(), in(), in(%w), in(), in(), in(), in(), out(%y)) scalars(0, -1, 0, 0, 0) cost(#te_rt.cost<gemm, launches = 1, bytes = 8, flops = 16, product = bf16>) : !te_rt.buffer<1x4xbf16>, !te_rt.buffer<32x4xbf16>, !te_rt.buffer<1x32xbf16>
  return
}

// -----

// Scales of 8 bits are decoded on sm_90.
// CHECK-LABEL: func.func @mxfp8
// CHECK: {te_rt.way = "emulated"}
// LIBRARY-LABEL: func.func @mxfp8
// LIBRARY: {te_rt.way = "emulated"}
// ASKED-DAG: [[#@LINE+3]]:{{.*}}[Passed] ChooseProduct {{.*}}Function=mxfp8 | Op=gemm, Reason="library: lhs_scales: found scales of MXFP8 by scales of MXFP8, wanted scales of tensors, or of 1 x 128 by 1 x 128 or 128 x 128", Way=emulated
#mx = #te.scales<1 x 32, swizzled>
func.func @mxfp8(%x: !te_rt.buffer<128x256xf8E4M3FN>, %xs: !te_rt.buffer<128x8xf8E8M0FNU, #mx>, %w: !te_rt.buffer<128x256xf8E4M3FN>, %ws: !te_rt.buffer<128x8xf8E8M0FNU, #mx>, %y: !te_rt.buffer<128x128xbf16>) {
  te_rt.call @gemm(in(%x), in(%xs), in(), in(%w), in(%ws), in(), in(), in(), out(%y)) scalars(0, -1, 0, 0, 0) cost(#te_rt.cost<gemm, launches = 1, bytes = 8, flops = 16, product = f8E4M3FN>) : !te_rt.buffer<128x256xf8E4M3FN>, !te_rt.buffer<128x8xf8E8M0FNU, #mx>, !te_rt.buffer<128x256xf8E4M3FN>, !te_rt.buffer<128x8xf8E8M0FNU, #mx>, !te_rt.buffer<128x128xbf16>
  return
}

// -----

// sm_100 has products of them, through the library.
// CHECK-LABEL: func.func @mxfp8_native
// CHECK: {te_rt.way = "library"}
#mx = #te.scales<1 x 32, swizzled>
module attributes {te.target = #te.target<sm_100>} {
func.func @mxfp8_native(%x: !te_rt.buffer<128x256xf8E4M3FN>, %xs: !te_rt.buffer<128x8xf8E8M0FNU, #mx>, %w: !te_rt.buffer<128x256xf8E4M3FN>, %ws: !te_rt.buffer<128x8xf8E8M0FNU, #mx>, %y: !te_rt.buffer<128x128xbf16>) {
  te_rt.call @gemm(in(%x), in(%xs), in(), in(%w), in(%ws), in(), in(), in(), out(%y)) scalars(0, -1, 0, 0, 0) cost(#te_rt.cost<gemm, launches = 1, bytes = 8, flops = 16, product = f8E4M3FN>) : !te_rt.buffer<128x256xf8E4M3FN>, !te_rt.buffer<128x8xf8E8M0FNU, #mx>, !te_rt.buffer<128x256xf8E4M3FN>, !te_rt.buffer<128x8xf8E8M0FNU, #mx>, !te_rt.buffer<128x128xbf16>
  return
}
}

// -----

// A product that is activated and cast where it is made is our kernel's alone.
// CHECK-LABEL: func.func @gated
// CHECK: {te_rt.way = "own"}
// LIBRARY-LABEL: func.func @gated
// LIBRARY: {te_rt.way = "own"}
// ASKED-DAG: [[#@LINE+4]]:{{.*}}[Passed] ChooseProduct {{.*}}Function=gated | Op=grouped_gemm_swiglu_quantize, OwnUs={{[0-9.]+}}, Reason="library: result: found a product that is activated where it is made, wanted one that is stored", Way=own
#rows = #te.scales<1 x 128, gemm_ready>
#squares = #te.scales<128 x 128, gemm_ready>
func.func @gated(%x: !te_rt.buffer<1024x256xf8E4M3FN>, %xs: !te_rt.buffer<2x1024xf32, #rows>, %w: !te_rt.buffer<8x512x256xf8E4M3FN>, %ws: !te_rt.buffer<8x4x4xf32, #squares>, %o: !te_rt.buffer<9xi32>, %v: !te_rt.buffer<1024x256xf8E4M3FN>, %vs: !te_rt.buffer<2x1024xf32, #rows>) {
  te_rt.call @grouped_gemm_swiglu_quantize(in(%x), in(%xs), in(%w), in(%ws), in(), in(%o), out(), out(%v), out(%vs), out(), out()) scalars(1, 0.0 : f64) cost(#te_rt.cost<gemm, launches = 1, bytes = 8, flops = 16, product = f8E4M3FN>) : !te_rt.buffer<1024x256xf8E4M3FN>, !te_rt.buffer<2x1024xf32, #rows>, !te_rt.buffer<8x512x256xf8E4M3FN>, !te_rt.buffer<8x4x4xf32, #squares>, !te_rt.buffer<9xi32>, !te_rt.buffer<1024x256xf8E4M3FN>, !te_rt.buffer<2x1024xf32, #rows>
  return
}

// -----

// What is no product stays as it is.
// CHECK-LABEL: func.func @copy
// CHECK-NOT: te_rt.way
func.func @copy(%x: !te_rt.buffer<64xf32>, %y: !te_rt.buffer<64xf32>) {
  te_rt.call @copy(in(%x), out(%y)) scalars() cost(#te_rt.cost<copy, launches = 1>) : !te_rt.buffer<64xf32>, !te_rt.buffer<64xf32>
  return
}

// -----

// Gradients of BF16 weights: the library's grouped matmul takes less where a machine has it,
// and reads nothing on the host.
// CHECK-LABEL: func.func @gradients
// CHECK: cost(#te_rt.cost<gemm, launches = 2, bytes = 8, flops = 16, product = bf16>) {te_rt.way = "groups"}
// OWN-LABEL: func.func @gradients
// OWN: {te_rt.way = "own"}
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] ChooseProduct {{.*}}Function=gradients | GroupsUs={{[0-9.]+}}, LibraryUs={{[0-9.]+}}, Op=grouped_gemm, OwnUs={{[0-9.]+}}, Reason="takes least", Way=groups
func.func @gradients(%x: !te_rt.buffer<4096x4096xbf16>, %g: !te_rt.buffer<4096x7168xbf16>, %o: !te_rt.buffer<9xi32>, %y: !te_rt.buffer<8x4096x7168xf32>) {
  te_rt.call @grouped_gemm(in(%x), in(), in(), in(%g), in(), in(), in(), in(%o), out(%y)) scalars(2, 1, 1, 1) cost(#te_rt.cost<gemm, launches = 1, bytes = 8, flops = 16, product = bf16>) : !te_rt.buffer<4096x4096xbf16>, !te_rt.buffer<4096x7168xbf16>, !te_rt.buffer<9xi32>, !te_rt.buffer<8x4096x7168xf32>
  return
}

// -----

// Not where they are written over few rows, which takes as long as memory does.
// CHECK-LABEL: func.func @few_rows
// CHECK: {te_rt.way = "own"}
// REMARK-DAG: [[#@LINE+2]]:{{.*}}[Passed] ChooseProduct {{.*}}Function=few_rows | GroupsUs={{[0-9.]+}}, {{.*}}Reason="takes least", Way=own
func.func @few_rows(%x: !te_rt.buffer<512x4096xbf16>, %g: !te_rt.buffer<512x7168xbf16>, %o: !te_rt.buffer<9xi32>, %y: !te_rt.buffer<8x4096x7168xf32>) {
  te_rt.call @grouped_gemm(in(%x), in(), in(), in(%g), in(), in(), in(), in(%o), out(%y)) scalars(2, 1, 1, 0) cost(#te_rt.cost<gemm, launches = 1, bytes = 952500000, flops = 16, product = bf16>) : !te_rt.buffer<512x4096xbf16>, !te_rt.buffer<512x7168xbf16>, !te_rt.buffer<9xi32>, !te_rt.buffer<8x4096x7168xf32>
  return
}
