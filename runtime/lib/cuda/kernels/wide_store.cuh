//===- wide_store.cuh - a wide tile as it is --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_WIDE_STORE_CUH
#define TE_RUNTIME_CUDA_KERNELS_WIDE_STORE_CUH

#include "cuda/kernels/grouped_staged.cuh"
#include "cuda/kernels/wide_params.h"

namespace te_rt {
namespace cuda {
namespace grouped {

/// BF16 results that are only written, to groups of rows. n is a multiple of 8.
class WideStore {
public:
  using Args = GroupedArgs;
  static constexpr int kBoxRows = 64;
  struct Shared {};
  __device__ static const GroupedArgs &productOf(const Args &args) {
    return args;
  }
  __device__ static int columnOf(const GroupedArgs &, const Tile &tile,
                                 int half) {
    return tile.col + half * (kWideCols / 2);
  }
  __device__ WideStore(const Args &args, uint32_t results, Shared &)
      : args(args), results(results) {}

  /// One warp, and so one box at a time.
  __device__ void run(const Tile &tile) {
    if (threadIdx.x >= 32)
      return;
#pragma unroll 1
    for (int half = 0; half < 2; ++half)
      Staged::send(args, results + half * (kBoxRows * kWideCols * 2),
                   min(tile.rows - half * 64, 64), tile.row + half * 64,
                   tile.col, /*isLast=*/false);
  }

private:
  using Staged = StagedStore<kWideCols>;
  const GroupedArgs &args;
  uint32_t results;
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_WIDE_STORE_CUH
