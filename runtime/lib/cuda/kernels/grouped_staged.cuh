//===- grouped_staged.cuh - BF16 results that are only written ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each warp has shared memory for its 16 rows of a tile, and sends them by
// itself: nobody waits for other warps.
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
  __device__ StagedStore(const GroupedArgs &args, uint8_t *memory, int half)
      : args(args), half(half), lane(threadIdx.x % 32),
        warp(uniform(threadIdx.x % 128 / 32)),
        memory(memory + warp * kWarpBytes) {}

  /// Rounds the sums of a tile, where they lie as Store::run says, and writes
  /// them to shared memory.
  __device__ void put(const float (&sums)[kCols / 2]) {
    if (lane == 0)
      hopper::waitStoresRead();
    __syncwarp();
    // The row and the group of 8 columns that a lane addresses.
    uint32_t row = lane % 16, group = lane / 16;
    uint32_t to = hopper::sharedAddress(memory) + row * 128;
#pragma unroll
    for (int j = 0; j < kCols / 8; j += 2) {
      const float *from = sums + j * 4;
      hopper::storeMatrices(
          to + j / 8 * kBoxBytes + ((j % 8 + group) ^ row % 8) * 16,
          packBf16(from[0], from[1]), packBf16(from[2], from[3]),
          packBf16(from[4], from[5]), packBf16(from[6], from[7]));
    }
  }

  /// Sends them to the tile's place in the result.
  __device__ void send(const Tile &tile) {
    hopper::fenceProxy();
    __syncwarp();
    int row = half * 64 + warp * 16, rows = tile.rows - row;
    row += tile.row;
    if (rows >= 16) {
      if (lane == 0) {
#pragma unroll
        for (int i = 0; i < kCols / 64; ++i)
          if (tile.col + i * 64 < args.n)
            hopper::storeBox(args.result,
                             hopper::sharedAddress(memory) + i * kBoxBytes,
                             tile.col + i * 64, row, 0);
        hopper::commitStores();
      }
    } else if (rows > 0) {
      sendRows(tile, row, rows);
    }
  }

  /// Shared memory must not go before the copy engine has read it.
  __device__ void finish() {
    if (lane == 0)
      hopper::waitStores();
  }

private:
  static constexpr int kBoxBytes = 16 * 128,
                       kWarpBytes = kCols / 64 * kBoxBytes;

  /// What the copy engine would write beyond the group, 16 bytes by a lane. n is
  /// a multiple of 8.
  __device__ void sendRows(const Tile &tile, int row, int rows) {
    constexpr int chunks = kCols / 8;
    BF16 *result = static_cast<BF16 *>(args.items[tile.group].result) +
                   int64_t(row) * args.n + tile.col;
#pragma unroll 1
    for (int i = lane; i < rows * chunks; i += 32) {
      int r = i / chunks, chunk = i % chunks;
      if (tile.col + chunk * 8 < args.n)
        *reinterpret_cast<uint4 *>(result + int64_t(r) * args.n + chunk * 8) =
            *reinterpret_cast<const uint4 *>(memory + chunk / 8 * kBoxBytes +
                                             r * 128 +
                                             (chunk % 8 ^ r % 8) * 16);
    }
  }

  const GroupedArgs &args;
  int half, lane, warp;
  uint8_t *memory;
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_STAGED_CUH
