//===- wide_store.cuh - a wide tile as it is --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_WIDE_STORE_CUH
#define TE_RUNTIME_CUDA_KERNELS_WIDE_STORE_CUH

#include "cuda/kernels/grouped_tiles.cuh"
#include "cuda/kernels/wide_params.h"

namespace te_rt {
namespace cuda {
namespace grouped {

/// BF16 results that are only written, to groups of rows. n is a multiple of 8.
class WideStore {
public:
  using Args = GroupedArgs;
  static constexpr int kRegisters = 40;
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

  /// A warp has 32 rows, and writes 128 bytes of four of them at a time.
  __device__ void run(const Tile &tile) {
    uint32_t within = threadIdx.x % 32 / 8, chunk = threadIdx.x % 8;
    int first = threadIdx.x / 32 * 32 + int(within);
    int col = tile.col + int(chunk) * 8;
    BF16 *to = static_cast<BF16 *>(args.resultValues) +
               int64_t(tile.row + first) * args.n + col;
#pragma unroll 2
    for (int r = 0; r < 32; r += 4) {
      uint32_t row = threadIdx.x / 32 * 32 + r + within;
      uint32_t from = results + row / 16 * kRowsBytes + row % 16 * 128 +
                      (chunk ^ row % 8) * 16;
#pragma unroll
      for (int i = 0; i < kWideCols / 64; ++i) {
        uint4 values = hopper::readSharedWords(from + i * kBoxBytes);
        if (first + r < tile.rows && col + i * 64 < args.n)
          hopper::writeWords(to + i * 64, values);
      }
      to += 4 * int64_t(args.n);
    }
  }

private:
  static constexpr int kBoxBytes = 16 * 128,
                       kRowsBytes = kWideCols / 64 * kBoxBytes;
  const GroupedArgs &args;
  uint32_t results;
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_WIDE_STORE_CUH
