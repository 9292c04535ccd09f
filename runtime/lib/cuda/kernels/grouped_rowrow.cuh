//===- grouped_rowrow.cuh - products with 1 x 128 scales on both sides ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Included by grouped_gemm.cuh.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_ROWROW_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_ROWROW_CUH

namespace te_rt {
namespace cuda {
namespace grouped {

/// The warpgroups take turns: one multiplies while the other adds. What needs
/// no product is done while a warpgroup waits for its own.
template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void
Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::multiplyRowRow(
    const Tile &tile, int half, uint32_t empty, Cursor &stage,
    float (&sums)[kCols / 2]) {
  int row = half * 64 + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
  Operands first = operandsOf(half), operands = operandsAt(first, stage.index);
  int tail = tailOf(tile);
  bool isFull = false;
#pragma unroll 1
  for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
    float part[kCols / 2];
    if (!isFull)
      wait(at(&shared.full[stage.index]), stage.parity);
    if (depth == tail)
      clearTail(stage.index, tile.end - depth);
    syncNamed(kTurn + half, 256);
    multiplyBlock(operands, part, false);
    arriveNamed(kTurn + 1 - half, 256);

    int current = stage.index;
    stage.advance(kStages);
    operands = operandsAt(first, stage.index);
    float lhs[2] = {shared.lhsScales[current][row],
                    shared.lhsScales[current][row + 8]};
    isFull = depth + kDepth < tile.end &&
             isDone(at(&shared.full[stage.index]), stage.parity);
    waitProducts<0>();
    pin(part);
    const float2 *cols =
        reinterpret_cast<const float2 *>(shared.rhsScales[current]) +
        threadIdx.x % 4;
#pragma unroll
    for (int j = 0; j < kCols / 8; ++j) {
      float2 col = cols[j * 4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        sums[4 * j + i] =
            __fmaf_rn(part[4 * j + i] * (i % 2 ? col.y : col.x), lhs[i / 2],
                      sums[4 * j + i]);
    }
    release(empty, current);
  }
  pairUp(sums);
}

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_ROWROW_CUH
