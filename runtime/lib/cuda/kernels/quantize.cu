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
//   work      one block for each 128 x 128, or 256 x 256 of a large matrix, both
//             directions from one read; the tile stays in registers, and its codes
//             are transposed in shared memory. Where both directions have one
//             scale they have the same codes. Casts of several small or narrow
//             tensors: as many blocks as fit, which take one tile after another.
//             Few rows of 1 x 128: eight threads for each block
//   moves     BF16 to rows: 2 + 1 B for each element and 4/128 B of scales; with
//             columns 2 + 1 + 1 B; a pass for amaxes 2 B more
//   bound     memory: 32768 x 7168 to rows and columns moves 954 MB, 223 us at
//             the 4.28 TB/s of a copy on an H200
//   measured  docs/Benchmarks.md, rows quantize and multi_cast_transpose
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/casts.cuh"
#include "cuda/kernels/pair.cuh"
#include "cuda/kernels/rows.cuh"
#include "cuda/kernels/stream.cuh"

using namespace te_rt::cuda;

#define TE_RT_TILE_KERNELS(name, Source, sink, fromTable)                      \
  TE_RT_TILE_KERNEL(name##_bf16, Source<BF16>, sink, fromTable, 3)             \
  TE_RT_TILE_KERNEL(name##_f32, Source<float>, sink, fromTable, 1)

TE_RT_TILE_KERNELS(cast, MatrixSource, CastSink, false)
TE_RT_TILE_KERNELS(amax, MatrixSource, AmaxSink, false)
TE_RT_TILE_KERNELS(multi_cast, MatrixSource, CastSink, true)
TE_RT_TILE_KERNELS(multi_amax, MatrixSource, AmaxSink, true)
TE_RT_TILE_KERNELS(dequantize, CodeSource, StoreSink, false)
TE_RT_TILE_KERNELS(requantize, CodeSource, CastSink, false)
TE_RT_TILE_KERNELS(requantize_amax, CodeSource, AmaxSink, false)

TE_RT_STREAM_KERNEL(multi_cast_stream_bf16, MatrixStream<BF16>, CastSink, true,
                    3)
TE_RT_PAIR_KERNEL(pair_same_bf16, PairSameArgs, kTile, true, 3)
TE_RT_PAIR_KERNEL(pair_both_bf16, PairBothArgs, kTile, false, 3)
TE_RT_PAIR_KERNEL(pair_large_same_bf16, PairSameArgs, kLargeTile, true, 1)
TE_RT_PAIR_KERNEL(pair_large_both_bf16, PairBothArgs, kLargeTile, false, 1)

TE_RT_PAIR_KERNEL(multi_pair_large_same_bf16, PairArgs, kLargeTile, true, 1)
TE_RT_PAIR_KERNEL(multi_pair_large_both_bf16, PairArgs, kLargeTile, false, 1)

extern "C" __global__ void __launch_bounds__(kRowsThreads)
    cast_rows_bf16(const __grid_constant__ RowsArgs args) {
  castRows(args);
}
