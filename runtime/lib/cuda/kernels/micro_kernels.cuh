//===- micro_kernels.cuh - bodies of casts to 8-bit scales ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels are those of tile.cuh with other arguments and sinks.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_KERNELS_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_KERNELS_CUH

#include "cuda/kernels/micro_scales.cuh"
#include "cuda/kernels/sources.cuh"

namespace te_rt {
namespace cuda {

/// The second of two passes begins where the first has ended, in the L2.
__device__ inline uint32_t tileOfBlock(const MicroArgs &args) {
  return args.descends ? gridDim.x - 1 - blockIdx.x : blockIdx.x;
}

/// Amaxes of groups g of the last block to arrive, which leaves accumulators at
/// zero.
__device__ inline void finishTask(const MicroArgs &, const MicroTask &task,
                                  int thread, int step) {
  if (!task.accumulators)
    return;
  int first = task.member >= 0 ? task.member : 0;
  int last = task.member >= 0 ? task.member + 1 : task.groups;
  uint32_t largest = largestOf(task, first, last);
  for (int g = first + thread; g < last; g += step) {
    float own = __uint_as_float(__ldcg(task.accumulators + g));
    float transformed = task.transformed
                            ? __uint_as_float(__ldcg(task.transformed + g))
                            : own;
    for (int d = 0; d < 2; ++d)
      if (const MicroOutput &out = task.micro[d]; out.tensorAmax)
        out.tensorAmax[out.amaxPerGroup ? g : 0] = d ? transformed : own;
    if (task.amaxOut && (task.amaxPerGroup || g == last - 1)) {
      int at = task.amaxPerGroup ? g : 0;
      task.amaxOut[at] =
          fmaxf(task.amax ? task.amax[at] : 0.0f,
                task.amaxPerGroup ? own : __uint_as_float(largest));
    }
  }
  if (step > 1)
    __syncwarp();
  for (int g = first + thread; g < last; g += step) {
    task.accumulators[g] = 0;
    if (task.transformed)
      task.transformed[g] = 0;
  }
}

/// What no tile of ragged rows has.
__device__ inline void clearPadding(const MicroTask &task) {
  if (task.tilesPerMember == 0)
    for (const MicroOutput &out : task.micro)
      if (out.values && !(out.scales.swizzled && out.scales.restarts))
        clearPadding(out.scales);
}

template <typename Source, typename Sink, bool FromTable>
__device__ inline void runMicro(const MicroArgs &args) {
  if (!FromTable && !(args.noop && *args.noop == 1.0f))
    clearPadding(args.task);
  runTile<Source, Sink, FromTable>(args);
}

} // namespace cuda
} // namespace te_rt

/// A kernel over the tiles of a source of T, in pieces of so many rows as the sink
/// wants.
#define TE_RT_MICRO_KERNEL(name, Source, T, Sink, fromTable, blocksPerSm)      \
  extern "C" __global__ void __launch_bounds__(                                \
      te_rt::cuda::PieceShape<te_rt::cuda::Sink<T>::kRows>::kThreads,          \
      blocksPerSm)                                                             \
      name(const __grid_constant__ te_rt::cuda::MicroArgs args) {              \
    using Format = te_rt::cuda::Sink<T>;                                       \
    runMicro<Source<T, Format::kRows>, Format, fromTable>(args);               \
  }

/// The casts to MXFP8 that a source has.
#define TE_RT_MICRO_CASTS(name, Source, blocksPerSm)                           \
  TE_RT_MICRO_KERNEL(mx_##name##_cast_bf16, Source, BF16, Mxfp8Sink, false,    \
                     blocksPerSm)                                              \
  TE_RT_MICRO_KERNEL(mx_##name##_cast_f32, Source, float, Mxfp8Sink, false, 1)

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_KERNELS_CUH
