//===- rows.cuh - casts of BF16 rows in blocks of 1 x 128 -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Half a warp takes 128 columns of two rows, and waits for nobody. Groups of
// rows matter only in that no other rows are written.
//
// Rows are multiples of eight elements, and aligned to that.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_ROWS_CUH
#define TE_RUNTIME_CUDA_KERNELS_ROWS_CUH

#include "cuda/kernels/amaxes.cuh"
#include "cuda/kernels/codes.cuh"
#include "cuda/kernels/sources.cuh"

namespace te_rt {
namespace cuda {

__device__ inline void castRows(const TileArgs &args) {
  const TileTask &task = args.task;
  const CastOutput &out = task.out[0];
  if (args.noop && *args.noop == 1.0f)
    return;
  int64_t begin = 0, end = task.rows;
  if (task.offsets) {
    RaggedRows groups = {task.offsets, task.rows};
    bool isOne = task.member >= 0;
    begin = groups.begin(isOne ? task.member : 0);
    end = groups.begin(isOne ? task.member + 1 : task.groups);
  } else if (task.tilesPerMember == 0) {
    begin = task.begin, end = task.end;
  }
  constexpr int kRows = kRowsOfUnit;
  uint32_t unit = (blockIdx.x * blockDim.x + threadIdx.x) / 16;
  uint32_t pair = divide(unit, task.tilesAcross, task.perAcross);
  int64_t row = begin + int64_t(pair) * kRows;
  uint32_t block = unit - pair * task.tilesAcross;
  int lane = threadIdx.x % 16, col = block * kTile + lane * 8;
  // Lanes without elements take part in shuffles.
  int rows = static_cast<int>(min(end - row, int64_t(kRows)));
  Piece<BF16, kRows> piece;
  auto *input =
      static_cast<const BF16 *>(task.source.input) + row * task.cols + col;
#pragma unroll
  for (int i = 0; i < kRows; ++i)
    loadVector(input + i * task.cols, i < rows && col < task.cols, piece, i);
  float fp8Max = out.e5m2 ? 57344.0f : 448.0f;
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    uint32_t amax = rowAmax(piece, i);
#pragma unroll
    for (int step = 8; step; step /= 2)
      amax = maxMagnitude(amax, __shfl_xor_sync(~0u, amax, step));
    float scale = scaleFromAmax(amaxOfPair(amax), fp8Max, args.epsilon,
                                args.pow2, args.overflow);
    auto scaleOf = [=](int) { return scale; };
    uint2 codes = out.e5m2 ? encodeRow<true>(piece, i, scaleOf)
                           : encodeRow<false>(piece, i, scaleOf);
    if (i >= rows || col >= task.cols)
      continue;
    *reinterpret_cast<uint2 *>(out.values + (row + i) * out.stride + col) =
        codes;
    if (lane == 0)
      out.scales[(row + i) * out.strideRow + block * out.strideCol] =
          __frcp_rn(scale);
  }
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_ROWS_CUH
