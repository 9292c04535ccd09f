//===- casts.cuh - kernels of sources and sinks -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_CASTS_CUH
#define TE_RUNTIME_CUDA_KERNELS_CASTS_CUH

#include "cuda/kernels/sinks.cuh"
#include "cuda/kernels/sources.cuh"

/// A kernel over the tiles of a source; `blocksPerSm` bounds its registers.
#define TE_RT_TILE_KERNEL(name, source, sink, fromTable, blocksPerSm)          \
  extern "C" __global__ void __launch_bounds__(source::Tile::kThreads,         \
                                               blocksPerSm)                    \
      name(const __grid_constant__ te_rt::cuda::TileArgs args) {               \
    runTile<source, sink<source::Tile>, fromTable>(args);                      \
  }

/// What a fused cast consists of.
#define TE_RT_CASTS(name, Source, blocksPerSm)                                 \
  TE_RT_TILE_KERNEL(name##_cast_bf16, Source<BF16>, CastSink, false,           \
                    blocksPerSm)                                               \
  TE_RT_TILE_KERNEL(name##_cast_f32, Source<float>, CastSink, false, 1)        \
  TE_RT_TILE_KERNEL(name##_amax_bf16, Source<BF16>, AmaxSink, false,           \
                    blocksPerSm)                                               \
  TE_RT_TILE_KERNEL(name##_amax_f32, Source<float>, AmaxSink, false, 1)

#endif // TE_RUNTIME_CUDA_KERNELS_CASTS_CUH
