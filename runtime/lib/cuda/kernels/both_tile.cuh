//===- both_tile.cuh - tiles of two casts in shared memory ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where a tile of a stream is, in memory and in shared memory, whose threads take
// rows of it at one time and columns at another.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_BOTH_TILE_CUH
#define TE_RUNTIME_CUDA_KERNELS_BOTH_TILE_CUH

#include "cuda/kernels/bulk.cuh"
#include "cuda/kernels/stream.cuh"

namespace te_rt {
namespace cuda {
namespace both {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr int kWarpRows = kTile / kWarps, kRows = kWarpRows / 4;
static_assert(kThreads == kTileThreads, "cast.cpp asks for so many");

/// A tile, and where its first elements and scales are. Offsets from there fit
/// 32 bits (kBothStride).
struct Spot : Assignment<false> {
  const BF16 *input, *grad;
  uint8_t *rows, *columns;
  float *rowScales, *columnScales;
  int width; // of the activation
};
/// One thread of a warp fills in what the place tells.
__device__ inline void complete(const TileArgs &args, Spot &spot) {
  const TileTask &task = args.task;
  const Place &place = spot.place;
  const CastOutput &rows = task.out[0], &columns = task.out[1];
  __syncwarp();
  if (threadIdx.x % 32)
    return;
  int64_t width = task.source.width;
  spot.input = static_cast<const BF16 *>(task.source.input) +
               place.row0 * 2 * width + place.col0;
  spot.grad =
      static_cast<const BF16 *>(task.source.grad) + place.row0 * width + place.col0;
  spot.rows = rows.values + place.row * rows.stride + place.col0;
  spot.columns = columns.values + place.col0 * columns.stride + place.row0;
  spot.rowScales = rows.scales + place.row0 * rows.strideRow +
                   place.col0 / kTile * rows.strideCol;
  spot.columnScales = columns.scales + place.blockRow * columns.strideRow +
                      place.col0 * columns.strideCol;
  spot.width = static_cast<int>(width);
}

/// Bytes of a tile of BF16, and of a row of it. Sixteen columns of a row are 32
/// bytes, which lie such that eight threads of a row meet all banks with the
/// first or the last eight columns of each, and eight threads of rows 16 apart
/// with the same columns.
constexpr int kSlot = kTile * kTile * 2, kPitch = kTile * 2;
__device__ inline int chunkOf(int pair, int isLast, int band) {
  int at = pair ^ band; // band: row / 16
  return (at * 2 + (isLast ^ at / 4)) * 16;
}
template <typename T> __device__ inline T &at(int offset) {
  extern __shared__ __align__(128) uint4 words[];
  return *reinterpret_cast<T *>(reinterpret_cast<uint8_t *>(words) + offset);
}

/// A thread, whose numbers the compiler does not find again and again.
struct Self {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int own, step; // of its rows: the first eight columns, to the last eight
  int columns;   // of its columns
  int requests;

  __device__ Self() {
    keep(lane), keep(warp);
    own = row() * kPitch + chunkOf(lane % 8, 0, warp);
    step = chunkOf(lane % 8, 1, warp) - chunkOf(lane % 8, 0, warp);
    columns = band() * 16 * kPitch + chunkOf(warp, lane / 16, band()) +
              lane % 2 * 8;
    requests = requestRow() * kPitch +
               chunkOf(lane % 16 / 2, lane % 2, warp);
    keep(own), keep(step), keep(columns);
  }
  /// Has sixteen columns of kRows rows; eight threads share a row.
  __device__ int row() const { return warp * kWarpRows + lane / 8 * kRows; }
  __device__ int col() const { return lane % 8 * 16; }
  /// Has four columns of rows `band` * 16 on; eight threads, at bits 1 to 3 of
  /// their lane, share them.
  __device__ int band() const { return lane / 2 % 8; }
  __device__ int column() const {
    return warp * 16 + lane / 16 * 8 + lane % 2 * 4;
  }
  /// Requests eight columns of every other row of its warp's.
  __device__ int requestRow() const { return warp * kWarpRows + lane / 16; }
  __device__ int requestCol() const { return lane % 16 * 8; }

  /// Starts to copy this warp's rows of a tile, of which the first element of
  /// this thread's first row is at `from`, to a slot; zeros where there are none.
  __device__ void request(int slot, const BF16 *from, int stride,
                          const Spot &spot) const {
    const Place &place = spot.place;
    auto to = bulk::addressOf(&at<uint4>(requests + slot * kSlot));
    if (place.rows >= (warp + 1) * kWarpRows && place.cols == kTile) {
#pragma unroll
      for (int i = 0; i < kWarpRows; i += 2, from += 2 * stride)
        asm volatile("cp.async.cg.shared.global [%1], [%0], 16;"
                     : "+l"(from) // one after another, in few registers
                     : "r"(to + i * kPitch)
                     : "memory");
      return;
    }
    int rows = requestCol() < place.cols ? place.rows - requestRow() : 0;
#pragma unroll 1
    for (int i = 0; i < kWarpRows; i += 2)
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                       to + i * kPitch),
                   "l"(i < rows ? from + i * stride : spot.input),
                   "r"(i < rows ? 16 : 0)
                   : "memory");
  }

private:
  __device__ static void keep(int &value) { asm volatile("" : "+r"(value)); }
};

/// All that the threads of this warp have requested is there.
__device__ inline void waitForRequests() {
  asm volatile("cp.async.wait_all;" ::: "memory");
  __syncwarp();
}

/// The addresses lie in shared memory, so that the compiler does not know where
/// they point to.
__device__ inline void store(uint8_t *to, uint4 words) {
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(
                   __cvta_generic_to_global(to)),
               "r"(words.x), "r"(words.y), "r"(words.z), "r"(words.w)
               : "memory");
}
/// The same, of which the L2 keeps half for longer than what else comes to it:
/// lines of columns, which lie far apart, go to memory in more regular order.
__device__ inline void storeKept(uint8_t *to, uint4 words) {
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_last.b64 %0, 0.5;" : "=l"(policy));
  asm volatile(
      "st.global.L2::cache_hint.v4.b32 [%0], {%1, %2, %3, %4}, %5;" ::"l"(
          __cvta_generic_to_global(to)),
      "r"(words.x), "r"(words.y), "r"(words.z), "r"(words.w), "l"(policy)
      : "memory");
}
__device__ inline void store(float *to, float value) {
  asm volatile("st.global.f32 [%0], %1;" ::"l"(__cvta_generic_to_global(to)),
               "f"(value)
               : "memory");
}
__device__ inline Piece<BF16, 1> read(int offset) {
  uint4 words = at<uint4>(offset);
  return {{}, {{words.x, words.y, words.z, words.w}}};
}
__device__ inline void write(int offset, const float (&v)[8]) {
  at<uint4>(offset) = make_uint4(packBf16(v[0], v[1]), packBf16(v[2], v[3]),
                                 packBf16(v[4], v[5]), packBf16(v[6], v[7]));
}

} // namespace both
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_BOTH_TILE_CUH
