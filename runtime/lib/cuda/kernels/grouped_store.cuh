//===- grouped_store.cuh - results of a grouped product -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A warpgroup has 64 rows of a tile in registers. What goes where:
//
//   F32 sums of groups   through boxes of 64 x 32 in shared memory, which a
//   that divide K        warp of its own moves (moveSums): those of the sums
//                        that are added to come while the tile is multiplied,
//                        those that are done leave during the next tile
//   BF16, written        through shared memory, and from there by the copy
//                        engine where all 64 rows are the group's, else row by
//                        row
//   all else             from registers: four lanes write a sector of 32 bytes
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_STORE_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_STORE_CUH

#include "cuda/kernels/grouped_tiles.cuh"
#include "cuda/kernels/numeric.cuh"

namespace te_rt {
namespace cuda {
namespace grouped {

/// Columns of F32 in a box: 128 bytes.
constexpr int kBoxCols = 32;
constexpr int kBoxBytes = 64 * kBoxCols * 4;

/// Barriers of the boxes: `loaded` tells that one may be added to, and `added`
/// that one may be stored.
template <int kBoxes> struct BoxBarriers {
  uint64_t loaded[kBoxes], added[kBoxes];
};

/// What lies in a box: rows of one or both warpgroups.
struct BoxPlace {
  int32_t group, row, col, halves, isLong;
};

template <int kCols, int kStoreCols> class Store {
public:
  /// Boxes that a warpgroup has.
  static constexpr int kBoxes = 64 * kStoreCols * 2 / kBoxBytes;

  __device__ Store(const GroupedArgs &args, uint8_t *memory,
                   BoxBarriers<kBoxes> &barriers, int half, int barrier)
      : args(args), memory(memory),
        loaded(hopper::sharedAddress(barriers.loaded)),
        added(hopper::sharedAddress(barriers.added)), half(half),
        barrier(barrier) {}

  /// Element 4 j + {0, 1} of `sums` is in column 8 j + 2 (lane mod 4) + {0, 1}
  /// and row lane / 4 of the warp's 16; 4 j + {2, 3} eight rows below.
  __device__ void run(const Tile &tile, const GroupedItem &item,
                      float (&sums)[kCols / 2]) {
    int rows = min(tile.rows - half * 64, 64);
    int row = tile.row + half * 64;
    if (args.sums) { // without a bias: memory is not asked for one
      addToBoxes(tile.col, sums);
      return;
    }
    if (item.bias)
      addBias(tile.col, item.bias, sums);
    if (args.result)
      stage(item, row, rows, tile.col, sums);
    else if (args.resultF32)
      direct<float>(item, row, rows, tile.col, sums);
    else
      direct<BF16>(item, row, rows, tile.col, sums);
  }

  /// A warpgroup whose rows are not there keeps step with the other one.
  __device__ void skip(const Tile &tile) {
    if (args.sums && !tile.dead)
      for (int col = tile.col; col < min(tile.col + kCols, args.n);
           col += kBoxCols) {
        hopper::wait(loaded + box.index * 8, box.parity);
        passBoxes(1);
      }
  }

  /// Shared memory must not go before the copy engine has read it.
  __device__ void finish() {
    if (threadIdx.x % 128 == 0)
      hopper::waitStores();
  }

private:
  __device__ void addBias(int col, const void *bias, float (&sums)[kCols / 2]) {
#pragma unroll
    for (int j = 0; j < kCols / 2; ++j) {
      int at = col + j / 4 * 8 + threadIdx.x % 4 * 2 + j % 2;
      if (at < args.n)
        sums[j] += args.biasF32 ? static_cast<const float *>(bias)[at]
                                : toFloat(static_cast<const BF16 *>(bias)[at]);
    }
  }

  /// So many boxes to the warp that stores them.
  __device__ void passBoxes(int count) {
    hopper::fenceProxy();
    __syncwarp();
    for (; count > 0; --count) {
      if (threadIdx.x % 32 == 0)
        hopper::arrive(added + box.index * 8);
      box.advance(kBoxes);
    }
  }

  /// Lanes of odd rows go over the columns in another order than those of even
  /// rows, so that half a warp reads all banks.
  __device__ void addToBoxes(int col, float (&sums)[kCols / 2]) {
    int lane = threadIdx.x % 32, row = lane / 4;
    bool swaps = row % 2;
    uint32_t first = threadIdx.x % 128 / 32 * 2048 + row * 128 + lane % 2 * 8;
    // Where there are fewer boxes than a tile has, the rest waits for them.
    constexpr bool isScarce = kCols / kBoxCols > kBoxes;
    int count = 0;
    Cursor at = box;
#pragma unroll
    for (int i = 0; i < kCols / kBoxCols; ++i) {
      if (col + i * kBoxCols >= args.n)
        break;
      hopper::wait(loaded + at.index * 8, at.parity);
      uint8_t *values = memory + at.index * kBoxBytes + first;
      auto pairOf = [&](int j, int below) {
        int chunk = (2 * (swaps ? j ^ 2 : j) + lane / 2 % 2) ^ row;
        return reinterpret_cast<float2 *>(values + chunk * 16 + below * 1024);
      };
      float2 old[4][2] = {};
      if (args.accumulate)
#pragma unroll
        for (int j = 0; j < 8; ++j)
          old[j / 2][j % 2] = *pairOf(j / 2, j % 2);
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const float *even = &sums[i * 16 + j / 2 * 4 + j % 2 * 2];
        const float *odd = &sums[i * 16 + (j / 2 ^ 2) * 4 + j % 2 * 2];
        float2 sum = {swaps ? odd[0] : even[0], swaps ? odd[1] : even[1]};
        if (args.accumulate) {
          sum.x = old[j / 2][j % 2].x + sum.x;
          sum.y = old[j / 2][j % 2].y + sum.y;
        }
        *pairOf(j / 2, j % 2) = sum;
      }
      at.advance(kBoxes);
      if constexpr (isScarce)
        passBoxes(1);
      else
        ++count;
    }
    if constexpr (!isScarce)
      passBoxes(count);
  }

  __device__ void stage(const GroupedItem &item, int row, int rows, int col,
                        float (&sums)[kCols / 2]) {
    int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;
    // The row of shared memory and the group of 8 columns that a lane
    // addresses.
    int to = warp * 16 + lane % 16, group = lane / 16;
    constexpr int kWidth = kStoreCols < kCols ? kStoreCols : kCols;
    static_assert(kCols % kWidth == 0);
#pragma unroll
    for (int part = 0; part < kCols; part += kWidth) {
      if (threadIdx.x % 128 == 0)
        hopper::waitStoresRead();
      hopper::syncNamed(barrier, 128);
#pragma unroll
      for (int j = 0; j < kWidth / 8; j += 2) {
        uint32_t address = hopper::sharedAddress(memory) + j / 8 * 8192 +
                           to * 128 + ((j % 8 + group) ^ to % 8) * 16;
        const float *from = sums + (part / 8 + j) * 4;
        hopper::storeMatrices(
            address, packBf16(from[0], from[1]), packBf16(from[2], from[3]),
            packBf16(from[4], from[5]), packBf16(from[6], from[7]));
      }
      hopper::fenceProxy();
      hopper::syncNamed(barrier, 128);
      if (rows == 64 && kWidth % 64 == 0) {
        if (threadIdx.x % 128 == 0) {
          for (int i = 0; i < kWidth / 64; ++i)
            if (col + part + i * 64 < args.n)
              hopper::storeBox(args.result,
                               hopper::sharedAddress(memory) + i * 8192,
                               col + part + i * 64, row, 0);
          hopper::commitStores();
        }
      } else {
        storeRows<kWidth / 8>(static_cast<BF16 *>(item.result), row, rows,
                              col + part);
      }
    }
  }

  /// Rows in shared memory, 16 bytes by a thread. n is a multiple of 8.
  template <int chunks>
  __device__ void storeRows(BF16 *result, int row, int rows, int col) {
    for (int i = threadIdx.x % 128; i < rows * chunks; i += 128) {
      int r = i / chunks, chunk = i % chunks;
      if (col + chunk * 8 < args.n)
        *reinterpret_cast<uint4 *>(result + int64_t(row + r) * args.n + col +
                                   chunk * 8) =
            *reinterpret_cast<const uint4 *>(
                memory + chunk / 8 * 8192 + r * 128 + (chunk % 8 ^ r % 8) * 16);
    }
  }

  template <typename T>
  __device__ void direct(const GroupedItem &item, int row, int rows, int col,
                         float (&sums)[kCols / 2]) {
    int lane = threadIdx.x % 32;
    int within = threadIdx.x % 128 / 32 * 16 + lane / 4;
    T *result = static_cast<T *>(item.result) + int64_t(row + within) * args.n +
                col + lane % 4 * 2;
    bool pairs =
        args.n % 2 == 0 && col + kCols <= args.n &&
        reinterpret_cast<uintptr_t>(item.result) % (2 * sizeof(T)) == 0;
    int left = args.n - col - lane % 4 * 2; // columns from the thread's first
#pragma unroll
    for (int below = 0; below < 2; ++below) {
      if (within + below * 8 < rows) {
        if (pairs && args.accumulate)
          storePairs<true>(result, below, sums);
        else if (pairs)
          storePairs<false>(result, below, sums);
        else
          storeElements(result, below, left, sums);
      }
      result += 8 * int64_t(args.n);
    }
  }

  /// Loads many pairs before it stores the first.
  template <bool accumulate, typename T>
  __device__ void storePairs(T *result, int below, float (&sums)[kCols / 2]) {
    using Pair = std::conditional_t<sizeof(T) == 4, float2, __nv_bfloat162>;
    constexpr int batch = kCols / 16;
    auto *pairs = reinterpret_cast<Pair *>(result);
#pragma unroll
    for (int first = 0; first < kCols / 8; first += batch) {
      Pair old[batch];
      if constexpr (accumulate)
#pragma unroll
        for (int j = 0; j < batch; ++j)
          old[j] = pairs[(first + j) * 4];
#pragma unroll
      for (int j = 0; j < batch; ++j) {
        const float *from = sums + (first + j) * 4 + below * 2;
        T x = fromFloat<T>(from[0]), y = fromFloat<T>(from[1]);
        if constexpr (accumulate) {
          x = fromFloat<T>(toFloat(T(old[j].x)) + toFloat(x));
          y = fromFloat<T>(toFloat(T(old[j].y)) + toFloat(y));
        }
        Pair pair;
        pair.x = x;
        pair.y = y;
        pairs[(first + j) * 4] = pair;
      }
    }
  }

  template <typename T>
  __device__ void storeElements(T *result, int below, int left,
                                float (&sums)[kCols / 2]) {
#pragma unroll
    for (int j = 0; j < kCols / 4; ++j) {
      int at = j / 2 * 8 + j % 2;
      if (at >= left)
        continue;
      T rounded = fromFloat<T>(sums[j / 2 * 4 + below * 2 + j % 2]);
      result[at] = args.accumulate
                       ? fromFloat<T>(toFloat(result[at]) + toFloat(rounded))
                       : rounded;
    }
  }

  const GroupedArgs &args;
  uint8_t *memory;
  uint32_t loaded, added;
  Cursor box;
  int half, barrier;
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_STORE_CUH
