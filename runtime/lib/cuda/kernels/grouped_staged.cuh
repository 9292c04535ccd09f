//===- grouped_staged.cuh - BF16 results that are only written ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The warps that multiply round their sums to shared memory, in the boxes that
// the copy engine takes, and go on to the next tile. A warp of its own sends the
// boxes: it has nothing under way that a fence would have to wait for, while
// those that multiply would wait a thousand cycles.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_STAGED_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_STAGED_CUH

#include "cuda/kernels/grouped_tiles.cuh"
#include "cuda/kernels/numeric.cuh"

namespace te_rt {
namespace cuda {
namespace grouped {

/// Barriers of the 64 rows of each of the two warpgroups: `put` tells that they
/// are in shared memory, `sent` that others may go there.
struct StagedBarriers {
  uint64_t put[2], sent[2];
};

template <int kCols> class StagedStore {
public:
  /// `memory`: 64 rows of kCols, in boxes of 64 columns.
  __device__ StagedStore(uint32_t memory, uint32_t putBarrier,
                         uint32_t sentBarrier)
      : memory(memory + uniform(threadIdx.x % 128 / 32) * 16 * 128),
        putBarrier(putBarrier), sentBarrier(sentBarrier) {}

  /// Rounds the sums of a tile, where they lie as Store::run says.
  __device__ void put(const float (&sums)[kCols / 2]) {
    parity ^= 1;
    hopper::wait(sentBarrier, parity);
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
    __syncwarp();
    if (lane == 0)
      hopper::arrive(putBarrier);
  }

  /// A warp writes `rows` of them from (row, col) of the result on, and has then
  /// read them all. n is a multiple of 8.
  static __device__ void send(const GroupedArgs &args, uint32_t memory,
                              int rows, int row, int col, bool isLast) {
    if (rows == 64) {
      if (hopper::isElected()) {
        hopper::fenceProxy();
        // One at a time, so that operands do not wait for all of them.
#pragma unroll 1
        for (int box = 0; box < kCols / 64; ++box) {
          if (col + box * 64 >= args.n)
            break;
          hopper::storeBox(args.result, memory + box * kBoxBytes,
                           col + box * 64, row, 0);
          hopper::commitStores();
          if (!isLast)
            hopper::waitStoresRead();
        }
        hopper::waitStoresRead();
      }
      return;
    }
    // The rows behind are another group's.
    int within = threadIdx.x % 32 / 8, chunk = threadIdx.x % 8;
    for (int r = within; r < rows; r += 4) {
      BF16 *to = static_cast<BF16 *>(args.resultValues) +
                 int64_t(row + r) * args.n + col + chunk * 8;
      uint32_t from = memory + r * 128 + (chunk ^ r % 8) * 16;
#pragma unroll
      for (int i = 0; i < kCols / 64; ++i)
        if (col + i * 64 + chunk * 8 < args.n)
          hopper::writeWords(to + i * 64,
                             hopper::readSharedWords(from + i * kBoxBytes));
    }
  }

private:
  static constexpr int kBoxBytes = 64 * 128;

  uint32_t memory; // of the warp's 16 rows
  uint32_t putBarrier, sentBarrier, parity = 0;
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_STAGED_CUH
