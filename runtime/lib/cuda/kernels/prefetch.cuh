//===- prefetch.cuh - tiles of a matrix, one ahead ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block takes several tiles, one after another; while it works on one, the
// next is on its way to shared memory, so that reads never pause. A thread waits
// for nothing but the words that it has asked for itself.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_PREFETCH_CUH
#define TE_RUNTIME_CUDA_KERNELS_PREFETCH_CUH

#include "cuda/kernels/sinks.cuh"
#include "cuda/kernels/sources.cuh"

namespace te_rt {
namespace cuda {

/// The tiles of matrices in memory.
template <typename T, bool FromTable> class TileStream {
public:
  __device__ TileStream(const TileArgs &args, uint4 *words)
      : task(&args.task), args(args), words(words + threadIdx.x) {}

  /// Asks for tile `tile`, and notes its place in shared memory, where others see
  /// it after a barrier: it is the same for all threads. All call it.
  __device__ void request(uint32_t tile, Place &noted) {
    Place place;
    if (FromTable) {
      if (!begun || tile >= task->firstTile + task->tiles) {
        int index = countUpTo(args.numTasks, tile, [&](int64_t i) {
          return args.table[i].firstTile;
        });
        task = args.table + index - 1;
        begun = true;
      }
      tile -= static_cast<uint32_t>(task->firstTile);
    }
    works = tile < task->tiles && locate(*task, tile, place);
    if (!works)
      return;
    if (threadIdx.x == 0)
      noted = place;
    const T *base =
        static_cast<const T *>(task->source.input) +
        (place.member * task->rows + place.row0 + place.threadRow()) *
            task->cols +
        place.col0 + place.threadCol();
    int rows = place.rows - place.threadRow();
    int cols = place.cols - place.threadCol();
    if (isVector(base - place.threadCol(), task->cols) && cols >= 8) {
#pragma unroll
      for (int i = 0; i < 8; ++i, base += task->cols)
#pragma unroll
        for (int w = 0; w < kWords; ++w)
          copyAsync(words + (i * kWords + w) * kTileThreads,
                    reinterpret_cast<const uint4 *>(base) + w, i < rows);
      return;
    }
#pragma unroll 1
    for (int i = 0; i < 8; ++i, base += task->cols) {
      Piece<T> row;
      loadRow(base, i < rows ? cols : 0, false, row, 0);
      storeRow(row, words + i * kWords * kTileThreads);
    }
  }

  /// What was asked for; zero where the matrix ends.
  __device__ void take(Piece<T> &piece) {
    asm volatile("cp.async.wait_all;" ::: "memory");
#pragma unroll
    for (int i = 0; i < 8; ++i)
      setRow(piece, i, words + i * kWords * kTileThreads);
  }

  const TileTask *task;
  bool works = false;

private:
  static constexpr int kWords = sizeof(T) / 2; // of 16 bytes in eight elements

  /// 16 bytes, or as many zeros.
  __device__ static void copyAsync(uint4 *to, const uint4 *from, bool exists) {
    auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address),
                 "l"(from), "r"(exists ? 16 : 0)
                 : "memory");
  }
  __device__ static void storeRow(const Piece<BF16> &row, uint4 *to) {
    *to = make_uint4(row.pairs[0][0], row.pairs[0][1], row.pairs[0][2],
                     row.pairs[0][3]);
  }
  __device__ static void storeRow(const Piece<float> &row, uint4 *to) {
    const float(&v)[8] = row.values[0];
    to[0] = make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]),
                       __float_as_uint(v[2]), __float_as_uint(v[3]));
    to[kTileThreads] = make_uint4(__float_as_uint(v[4]), __float_as_uint(v[5]),
                                  __float_as_uint(v[6]), __float_as_uint(v[7]));
  }
  __device__ static void setRow(Piece<BF16> &piece, int i, const uint4 *from) {
    uint4 word = *from;
    piece.pairs[i][0] = word.x, piece.pairs[i][1] = word.y;
    piece.pairs[i][2] = word.z, piece.pairs[i][3] = word.w;
  }
  __device__ static void setRow(Piece<float> &piece, int i, const uint4 *from) {
    uint4 low = from[0], high = from[kTileThreads];
    const uint32_t bits[8] = {low.x,  low.y,  low.z,  low.w,
                              high.x, high.y, high.z, high.w};
#pragma unroll
    for (int j = 0; j < 8; ++j)
      piece.values[i][j] = __uint_as_float(bits[j]);
  }

  const TileArgs &args;
  uint4 *words; // one in kTileThreads is this thread's
  bool begun = false;
};

/// The body of kernels over the tiles of matrices.
template <typename T, typename Sink, bool FromTable>
__device__ inline void runStream(const TileArgs &args) {
  extern __shared__ uint4 words[];
  __shared__ typename Sink::Shared shared;
  if (args.noop && *args.noop == 1.0f)
    return;
  uint32_t first = blockIdx.x * args.tilesPerBlock;
  uint32_t last = min(first + args.tilesPerBlock, args.tiles);
  __shared__ Place places[2];
  TileStream<T, FromTable> stream(args, words);
  if (first < last)
    stream.request(first, places[first % 2]);
  for (uint32_t tile = first; tile < last; ++tile) {
    __syncthreads(); // the place is there, and nobody reads the other one
    bool works = stream.works, isLast = tile + 1 == last;
    const TileTask &task = *stream.task;
    const Place &place = places[tile % 2];
    Piece<T> piece;
    if (works)
      stream.take(piece);
    if (!isLast)
      stream.request(tile + 1, places[(tile + 1) % 2]);
    if (works)
      Sink::run(args, task, place, piece, shared, isLast);
    else if (isLast && args.finishes && threadIdx.x == 0)
      arrive(args);
  }
  if (!args.finishes)
    return;
  if (first >= last && threadIdx.x == 0) // all tensors are empty
    arrive(args);
  finish(args);
}

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_PREFETCH_CUH
