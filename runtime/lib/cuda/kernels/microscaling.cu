//===- microscaling.cu - casts to MXFP8 and NVFP4 -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// quantize and multi_cast_transpose under scales of 8 bits, in any layout: one
// launch for MXFP8, two for NVFP4, whose scales stand under the amax of the tensor.
// Casts of rows that another function makes are beside that function's source.
//
//   work      one block for each 128 x 128, both directions from one read
//   moves     BF16 to MXFP8: 2 + 1 B for each element and 1/32 B of scales; both
//             ways 2 + 1 + 1 B. To NVFP4: 2 B for the amax, then 2 + 1/2 B, both
//             ways 2 + 1/2 + 1/2 B, and 1/16 B of scales for each direction
//   bound     memory: 32768 x 7168 to MXFP8 both ways moves 954 MB, 223 us at the
//             4.28 TB/s of a copy on an H200; NVFP4 both ways 1204 MB, 281 us
//   measured  docs/Benchmarks.md, Microscaling on an H200
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/micro_amaxes.cuh"
#include "cuda/kernels/micro_mxfp8.cuh"
#include "cuda/kernels/micro_nvfp4.cuh"

using namespace te_rt::cuda;

#define TE_RT_MICRO_KERNELS(name, T, Sink, blocksPerSm)                        \
  TE_RT_MICRO_KERNEL(name, MatrixSource, T, Sink, false, blocksPerSm)          \
  TE_RT_MICRO_KERNEL(multi_##name, MatrixSource, T, Sink, true, blocksPerSm)

TE_RT_MICRO_KERNELS(mx_cast_bf16, BF16, Mxfp8Sink, 3)
TE_RT_MICRO_KERNELS(mx_cast_f32, float, Mxfp8Sink, 2)
TE_RT_MICRO_KERNELS(nv_cast_bf16, BF16, Nvfp4Sink, 4)
TE_RT_MICRO_KERNELS(nv_cast_f32, float, Nvfp4Sink, 1)

// One matrix with a Hadamard transform, of BF16, or stochastic rounding.
#define TE_RT_MATRIX_KERNEL(name, T, Sink, blocksPerSm)                        \
  TE_RT_MICRO_KERNEL(name, MatrixSource, T, Sink, false, blocksPerSm)
TE_RT_MATRIX_KERNEL(nv_hadamard_cast_bf16, BF16, Nvfp4HadamardSink, 3)
TE_RT_MATRIX_KERNEL(nv_random_cast_bf16, BF16, Nvfp4RandomSink, 3)
TE_RT_MATRIX_KERNEL(nv_random_cast_f32, float, Nvfp4RandomSink, 1)

#define TE_RT_AMAX_KERNEL(name, T, Amaxes, fromTable, blocksPerSm)             \
  extern "C" __global__ void __launch_bounds__(                                \
      te_rt::cuda::Amaxes<T>::Tile::kThreads, blocksPerSm)                     \
      name(const __grid_constant__ te_rt::cuda::MicroArgs args) {              \
    using Format = te_rt::cuda::Amaxes<T>;                                     \
    runAmaxes<MatrixSource<T, Format::kRows>, Format, fromTable>(args);        \
  }
TE_RT_AMAX_KERNEL(nv_amax_bf16, BF16, Nvfp4PlainAmaxes, false, 6)
TE_RT_AMAX_KERNEL(nv_amax_f32, float, Nvfp4PlainAmaxes, false, 3)
TE_RT_AMAX_KERNEL(multi_nv_amax_bf16, BF16, Nvfp4PlainAmaxes, true, 5)
TE_RT_AMAX_KERNEL(multi_nv_amax_f32, float, Nvfp4PlainAmaxes, true, 3)
TE_RT_AMAX_KERNEL(nv_hadamard_amax_bf16, BF16, Nvfp4HadamardAmaxes, false, 4)

TE_RT_MICRO_KERNEL(mx_requantize_bf16, CodeSource, BF16, Mxfp8Sink, false, 2)
TE_RT_MICRO_KERNEL(mx_requantize_f32, CodeSource, float, Mxfp8Sink, false, 2)
