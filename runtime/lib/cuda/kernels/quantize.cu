//===- quantize.cu - casts to FP8 and back --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// quantize, multi_cast_transpose, dequantize, requantize, one launch each (two
// where a tensor's scale comes from its own amax: that is known when all of it
// has been read).
//
//   work      tiles of 128 x 128, both directions from one read; the tile stays in
//             registers, its transpose goes through shared memory, where the next
//             tile of the block arrives meanwhile
//   moves     BF16 to rows: 2 + 1 B for each element and 4/128 B of scales; with
//             columns 2 + 1 + 1 B; a pass for amaxes 2 B more
//   bound     memory: 32768 x 7168 to rows and columns moves 954 MB, 223 us at
//             the 4.28 TB/s of a copy on an H200
//   measured  docs/Benchmarks.md, rows quantize and multi_cast_transpose
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/prefetch.cuh"

using namespace te_rt::cuda;

#define TE_RT_STREAM_KERNEL(name, type, sink, fromTable, blocksPerSm)          \
  extern "C" __global__ void __launch_bounds__(kTileThreads, blocksPerSm)      \
      name(const __grid_constant__ TileArgs args) {                            \
    runStream<type, sink, fromTable>(args);                                    \
  }

TE_RT_STREAM_KERNEL(cast_bf16, BF16, CastSink, false, 2)
TE_RT_STREAM_KERNEL(cast_f32, float, CastSink, false, 2)
TE_RT_STREAM_KERNEL(amax_bf16, BF16, AmaxSink, false, 4)
TE_RT_STREAM_KERNEL(amax_f32, float, AmaxSink, false, 2)

TE_RT_STREAM_KERNEL(multi_cast_bf16, BF16, CastSink, true, 2)
TE_RT_STREAM_KERNEL(multi_cast_f32, float, CastSink, true, 2)
TE_RT_STREAM_KERNEL(multi_amax_bf16, BF16, AmaxSink, true, 4)
TE_RT_STREAM_KERNEL(multi_amax_f32, float, AmaxSink, true, 2)

#define TE_RT_TILE_KERNEL(name, source, sink, blocksPerSm)                     \
  extern "C" __global__ void __launch_bounds__(kTileThreads, blocksPerSm)      \
      name(const __grid_constant__ TileArgs args) {                            \
    runTile<source, sink>(args);                                               \
  }

TE_RT_TILE_KERNEL(dequantize_bf16, CodeSource<BF16>, StoreSink, 4)
TE_RT_TILE_KERNEL(dequantize_f32, CodeSource<float>, StoreSink, 2)
TE_RT_TILE_KERNEL(requantize_bf16, CodeSource<BF16>, CastSink, 3)
TE_RT_TILE_KERNEL(requantize_f32, CodeSource<float>, CastSink, 2)
TE_RT_TILE_KERNEL(requantize_amax_bf16, CodeSource<BF16>, AmaxSink, 3)
TE_RT_TILE_KERNEL(requantize_amax_f32, CodeSource<float>, AmaxSink, 2)
