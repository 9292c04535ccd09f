//===- micro_sink.cuh - tiles as MXFP8 or NVFP4 ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tiles and sources are those of tile.cuh. A tile of 128 x 128 has whole blocks,
// since blocks and tiles both begin where their group does, and in SWIZZLED
// scales it has whole tiles of 128 x 4, so that these are written at once, with
// the padding that they hold.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_SINK_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_SINK_CUH

#include "cuda/kernels/micro_params.h"
#include "cuda/kernels/micro_scales.cuh"
#include "cuda/kernels/microscaling.cuh"
#include "cuda/kernels/sinks.cuh"
#include "cuda/kernels/sources.cuh"

namespace te_rt {
namespace cuda {

// 64 bytes of FP4 for each column, and 8 more to meet all banks.
constexpr int kStagePitch = 72;

struct MicroShared {
  union {
    uint8_t stage[kTile * kStagePitch]; // FP4, columnwise
    float columns[kWarps][kTile];       // MXFP8: amaxes over a warp's 16 rows
    uint4 pairs[kWarps][16];            // the same of BF16
  };
  float squares[kWarps][4];
  uint8_t codes[2][8][kTile]; // scales: direction, block, line
  float warps[kWarps];
};

template <typename T> __device__ inline float pieceAmax(const Piece<T> &piece) {
  float amax = 0.0f;
#pragma unroll
  for (int i = 0; i < 8; ++i)
    amax = fmaxf(amax, rowAmax(piece, i));
  return amax;
}
__device__ inline float maxWith(float amax, int lanes) {
  return fmaxf(amax, __shfl_xor_sync(~0u, amax, lanes));
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_SINK_CUH
