//===- grouped_staged.cuh - BF16 results that are only written ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each warp has shared memory for its 16 rows of a tile, through which lanes get
// 16 bytes of a row each. They write these themselves: before the copy engine
// could read shared memory, each thread would wait for all that it has under
// way, a thousand cycles.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_STAGED_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_STAGED_CUH

#include "cuda/kernels/grouped_tiles.cuh"
#include "cuda/kernels/numeric.cuh"

namespace te_rt {
namespace cuda {
namespace grouped {

template <int kCols> class StagedStore {
public:
  /// `memory`: 64 rows of kCols for the warpgroup `half`.
  __device__ StagedStore(const GroupedArgs &args, uint32_t memory, int half)
      : args(args), first(half * 64 + uniform(threadIdx.x % 128 / 32) * 16),
        memory(memory + first % 64 / 16 * kWarpBytes) {}

  /// Rounds the sums of a tile, where they lie as Store::run says, and writes
  /// them to shared memory.
  __device__ void put(const float (&sums)[kCols / 2]) {
    __syncwarp(); // all have read the tile before
    // The row and the group of 8 columns that a lane addresses.
    uint32_t lane = threadIdx.x % 32;
    hopper::keep(lane); // no addresses in registers until the next tile
    uint32_t row = lane % 16, group = lane / 16;
    uint32_t to = memory + row * 128;
#pragma unroll
    for (int j = 0; j < kCols / 8; j += 2) {
      const float *from = sums + j * 4;
      hopper::storeMatrices(
          to + j / 8 * kBoxBytes + ((j % 8 + group) ^ row % 8) * 16,
          packBf16(from[0], from[1]), packBf16(from[2], from[3]),
          packBf16(from[4], from[5]), packBf16(from[6], from[7]));
    }
  }

  /// Writes them to the tile's place in the result. n is a multiple of 8.
  __device__ void send(const Tile &tile) {
    __syncwarp();
    uint32_t lane = threadIdx.x % 32;
    hopper::keep(lane);
    uint32_t within = lane / 8, chunk = lane % 8;
    int rows = tile.rows - first - int(within);
    int col = tile.col + int(chunk) * 8, cols = args.n - col;
    BF16 *to = static_cast<BF16 *>(args.resultValues) +
               int64_t(tile.row + first + int(within)) * args.n + col;
#pragma unroll
    for (int r = 0; r < 16; r += 4) {
      uint32_t from = memory + (r + within) * 128 +
                      (chunk ^ (r % 8 + within)) * 16;
#pragma unroll
      for (int i = 0; i < kCols / 64; ++i) {
        uint4 values = hopper::readSharedWords(from + i * kBoxBytes);
        if (r < rows && i * 64 < cols)
          hopper::writeWords(to + i * 64, values);
      }
      to += 4 * int64_t(args.n);
    }
  }

private:
  static constexpr int kBoxBytes = 16 * 128,
                       kWarpBytes = kCols / 64 * kBoxBytes;

  const GroupedArgs &args;
  int first; // row of the warp
  uint32_t memory;
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_STAGED_CUH
