//===- micro_kernels.cuh - bodies of casts to 8-bit scales ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_KERNELS_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_KERNELS_CUH

#include "cuda/kernels/micro_sink.cuh"

namespace te_rt {
namespace cuda {

/// 16 bytes, or as many zeros.
__device__ inline void copyOrZero(uint4 *to, const uint4 *from, bool exists) {
  auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address),
               "l"(from), "r"(exists ? 16 : 0)
               : "memory");
}
__device__ inline void keepRow(const Piece<BF16> &row, uint4 *to) {
  *to = make_uint4(row.pairs[0][0], row.pairs[0][1], row.pairs[0][2],
                   row.pairs[0][3]);
}
__device__ inline void keepRow(const Piece<float> &row, uint4 *to) {
  const float(&v)[8] = row.values[0];
  to[0] = make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]),
                     __float_as_uint(v[2]), __float_as_uint(v[3]));
  to[kTileThreads] = make_uint4(__float_as_uint(v[4]), __float_as_uint(v[5]),
                                __float_as_uint(v[6]), __float_as_uint(v[7]));
}
__device__ inline void takePiece(Piece<BF16> &piece, const uint4 *from) {
  asm volatile("cp.async.wait_all;" ::: "memory");
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    uint4 word = from[i * kTileThreads];
    piece.pairs[i][0] = word.x, piece.pairs[i][1] = word.y;
    piece.pairs[i][2] = word.z, piece.pairs[i][3] = word.w;
  }
}
__device__ inline void takePiece(Piece<float> &piece, const uint4 *from) {
  asm volatile("cp.async.wait_all;" ::: "memory");
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int w = 0; w < 2; ++w) {
      uint4 word = from[(2 * i + w) * kTileThreads];
      piece.values[i][4 * w] = __uint_as_float(word.x);
      piece.values[i][4 * w + 1] = __uint_as_float(word.y);
      piece.values[i][4 * w + 2] = __uint_as_float(word.z);
      piece.values[i][4 * w + 3] = __uint_as_float(word.w);
    }
}

/// The last block to arrive writes the amaxes of all groups, and leaves
/// accumulators and ticket at zero.
__device__ inline void finishAmaxes(const MicroTask &task, int thread,
                                    int step) {
  int first = task.member >= 0 ? task.member : 0;
  int last = task.member >= 0 ? task.member + 1 : task.groups;
  for (int g = first + thread; task.accumulators && g < last; g += step) {
    float own = __uint_as_float(__ldcg(task.accumulators + g));
    float transformed = task.transformed
                            ? __uint_as_float(__ldcg(task.transformed + g))
                            : own;
    for (int d = 0; d < 2; ++d)
      if (const MicroOutput &out = task.micro[d]; out.tensorAmax)
        out.tensorAmax[out.amaxPerGroup ? g : 0] = d ? transformed : own;
    if (task.amaxOut) {
      int at = task.amaxPerGroup ? g : 0;
      task.amaxOut[at] = fmaxf(task.amax ? task.amax[at] : 0.0f, own);
    }
    task.accumulators[g] = 0;
    if (task.transformed)
      task.transformed[g] = 0;
  }
}

/// Called by all threads of each block, once: the last block finishes.
__device__ inline void finishMicro(const MicroArgs &args) {
  if (!args.finishes)
    return;
  __shared__ bool isLast;
  if (threadIdx.x == 0) {
    __threadfence();
    isLast = atomicAdd(args.ticket, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!isLast)
    return;
  __threadfence();
  if (!args.table)
    finishAmaxes(args.task, threadIdx.x, kTileThreads);
  for (int64_t i = threadIdx.x; args.table && i < args.numTasks;
       i += kTileThreads)
    finishAmaxes(args.table[i], 0, 1);
  if (threadIdx.x == 0)
    *args.ticket = 0;
}

/// What no tile of ragged rows has.
__device__ inline void clearPadding(const MicroTask &task) {
  if (task.tilesPerMember == 0)
    for (const MicroOutput &out : task.micro)
      if (out.values && !(out.scales.swizzled && out.scales.restarts))
        clearPadding(out.scales);
}

/// The body of kernels over tiles whose elements are computed: one for each block.
template <typename Source, typename Format>
__device__ inline void runMicro(const MicroArgs &args) {
  __shared__ MicroShared shared;
  if (args.noop && *args.noop == 1.0f)
    return;
  const MicroTask &task = args.task;
  clearPadding(task);
  Place place;
  if (blockIdx.x < task.tiles && locate(task, blockIdx.x, place)) {
    Piece<typename Source::Element> pieces[Source::kParts];
    Source::load(task, place, pieces);
#pragma unroll
    for (int part = 0; part < Source::kParts; ++part) {
      Place target = place;
      target.col0 += part * task.source.width;
      if (part)
        __syncthreads(); // the last user of `shared`
      Format::run(args, task, target, pieces[part], shared);
    }
  }
  finishMicro(args);
}

/// The body of kernels over the tiles of matrices in memory: a block takes every
/// gridDim.x-th, and the next one is on its way to shared memory meanwhile. A
/// thread waits for nothing but what it has asked for itself.
template <typename T, typename Format, bool FromTable>
__device__ inline void runMicroStream(const MicroArgs &args) {
  extern __shared__ uint4 memory[];
  __shared__ MicroShared shared;
  __shared__ Place places[2];
  if (args.noop && *args.noop == 1.0f)
    return;
  constexpr int kWords = sizeof(T) / 2; // of 16 bytes in eight elements
  uint4 *words = memory + threadIdx.x;
  const MicroTask *next = FromTable ? args.table : &args.task;
  bool works = false;
  if (!FromTable)
    clearPadding(args.task);
  auto request = [&](uint32_t tile, Place &noted) {
    if (FromTable) {
      if (tile >= next->firstTile + next->tiles || tile < next->firstTile)
        next = args.table + countUpTo(args.numTasks, tile, [&](int64_t i) {
                 return args.table[i].firstTile;
               }) - 1;
      tile -= static_cast<uint32_t>(next->firstTile);
    }
    Place place;
    works = tile < next->tiles && locate(*next, tile, place);
    if (!works)
      return;
    if (threadIdx.x == 0)
      noted = place;
    int row0 = place.threadRow(), col0 = place.threadCol();
    const T *from = static_cast<const T *>(next->source.input) +
                    (place.member * next->rows + place.row0 + row0) *
                        next->cols +
                    place.col0 + col0;
    int rows = place.rows - row0, cols = place.cols - col0;
    if (isVector(from, next->cols) && cols >= 8) {
#pragma unroll
      for (int i = 0; i < 8; ++i, from += next->cols)
#pragma unroll
        for (int w = 0; w < kWords; ++w)
          copyOrZero(words + (i * kWords + w) * kTileThreads,
                     reinterpret_cast<const uint4 *>(from) + w, i < rows);
      return;
    }
#pragma unroll 1
    for (int i = 0; i < 8; ++i, from += next->cols) {
      Piece<T> row;
      loadRow(from, i < rows ? cols : 0, false, row, 0);
      keepRow(row, words + i * kWords * kTileThreads);
    }
  };
  uint32_t tiles = static_cast<uint32_t>(args.tiles);
  int parity = 0;
  if (blockIdx.x < tiles)
    request(blockIdx.x, places[0]);
  for (uint32_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const MicroTask &task = *next;
    bool now = works;
    __syncthreads(); // the place is there, and nobody reads the other one
    Place place = places[parity];
    Piece<T> piece;
    if (now)
      takePiece(piece, words);
    parity ^= 1;
    if (tile + gridDim.x < tiles)
      request(tile + gridDim.x, places[parity]);
    if (now)
      Format::run(args, task, place, piece, shared);
  }
  finishMicro(args);
}

#define TE_RT_MICRO_KERNEL(name, source, format, blocksPerSm)                  \
  extern "C" __global__ void __launch_bounds__(te_rt::cuda::kTileThreads,      \
                                               blocksPerSm)                    \
      name(const __grid_constant__ te_rt::cuda::MicroArgs args) {              \
    te_rt::cuda::runMicro<source, format>(args);                               \
  }
#define TE_RT_MICRO_STREAM(name, type, format, fromTable, blocksPerSm)         \
  extern "C" __global__ void __launch_bounds__(te_rt::cuda::kTileThreads,      \
                                               blocksPerSm)                    \
      name(const __grid_constant__ te_rt::cuda::MicroArgs args) {              \
    te_rt::cuda::runMicroStream<type, format, fromTable>(args);                \
  }

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_KERNELS_CUH
