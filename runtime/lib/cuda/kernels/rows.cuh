//===- rows.cuh - casts of BF16 rows in blocks of 1 x 128 -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Eight threads take 128 columns of a row, and wait for nobody. Groups of rows
// matter only in that no other rows are written.
//
// Rows are multiples of eight elements, and aligned to that.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_ROWS_CUH
#define TE_RUNTIME_CUDA_KERNELS_ROWS_CUH

#include "cuda/kernels/amaxes.cuh"
#include "cuda/kernels/codes.cuh"
#include "cuda/kernels/rows_params.h"
#include "cuda/kernels/sources.cuh"

namespace te_rt {
namespace cuda {

__device__ inline void castRows(const RowsArgs &args) {
  if (args.noop && *args.noop == 1.0f)
    return;
  int64_t begin = args.begin, end = args.end;
  if (args.offsets) {
    RaggedRows groups = {args.offsets, args.rows};
    begin = groups.begin(args.first);
    end = groups.begin(args.last);
  }
  uint32_t unit = (blockIdx.x * blockDim.x + threadIdx.x) / kRowsLanes;
  uint32_t down = divide(unit, args.across, args.perAcross);
  uint32_t block = unit - down * args.across;
  int64_t row = begin + down;
  // Sixteen columns of a thread; those without take part in shuffles.
  int lane = threadIdx.x % kRowsLanes, col = block * kTile + lane * 16;
  int cols = row < end ? args.cols - col : 0;
  int64_t first = row * args.cols + col;
  Piece<BF16, 2> halves;
  auto *input = static_cast<const BF16 *>(args.input) + first;
#pragma unroll
  for (int h = 0; h < 2; ++h)
    loadVector(input + 8 * h, 8 * h < cols, halves, h);
  uint32_t amax = maxMagnitude(rowAmax(halves, 0), rowAmax(halves, 1));
#pragma unroll
  for (int step = kRowsLanes / 2; step; step /= 2)
    amax = maxMagnitude(amax, __shfl_xor_sync(~0u, amax, step));
  float scale = scaleFromAmax(amaxOfPair(amax), args.e5m2 ? 57344.0f : 448.0f,
                              args.epsilon, args.pow2, args.overflow);
  auto scaleOf = [=](int) { return scale; };
  uint2 codes[2];
#pragma unroll
  for (int h = 0; h < 2; ++h)
    codes[h] = args.e5m2 ? encodeRow<true>(halves, h, scaleOf)
                         : encodeRow<false>(halves, h, scaleOf);
  if (cols <= 0)
    return;
  uint8_t *to = args.values + first;
  if (cols >= 16 && reinterpret_cast<uintptr_t>(to) % 16 == 0) {
    *reinterpret_cast<uint4 *>(to) =
        make_uint4(codes[0].x, codes[0].y, codes[1].x, codes[1].y);
  } else {
    *reinterpret_cast<uint2 *>(to) = codes[0];
    if (cols > 8)
      *reinterpret_cast<uint2 *>(to + 8) = codes[1];
  }
  if (lane == 0)
    args.scales[row * args.strideRow + block * args.strideCol] =
        __frcp_rn(scale);
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_ROWS_CUH
