//===- pair.cuh - casts of BF16 in both directions --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What CastSink does, for the two forms that weights and activations have: the
// same codes in both directions, or blocks of 1 x 128 along each. Little else
// is in these kernels: small calls wait for instructions, too.
//
// Large work comes in tiles of 256 x 256. A block of 1024 threads fills an SM,
// reads all of a tile, then writes rows and columns of 256 bytes: memory is
// faster at long runs of reads and of writes, and at 256 bytes side by side
// than at 128. Blocks that load while they store lose that. As nothing else
// runs on the SM meanwhile, one thread finds out where a tile lies, and all
// have few registers and little to compute beside.
//
// Rows are multiples of eight elements, and aligned to that.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_PAIR_CUH
#define TE_RUNTIME_CUDA_KERNELS_PAIR_CUH

#include "cuda/kernels/pair_cast.cuh"

namespace te_rt {
namespace cuda {

/// A block for each tile of a matrix, of packed ones or of ragged rows.
template <int Side, bool Same, typename Args>
__device__ inline void runPair(const Args &args, PairShared<Side> &shared,
                               PairPlace &place) {
  const PairMatrix &matrix = args.matrix;
  uint32_t slot = divide(blockIdx.x, matrix.tilesAcross, matrix.perAcross);
  Place at;
  at.col0 = int64_t(blockIdx.x - slot * matrix.tilesAcross) * Side;
  at.cols = static_cast<int>(min(matrix.cols - at.col0, int64_t(Side)));
  PairTile<Side> piece;
  bool isKnown = matrix.tilesPerMember != 0, exists = true;
  if (isKnown) {
    // Where to load from, so that the rest is found meanwhile.
    locatePacked<Side>(matrix, slot, at);
    PairPlace own;
    own.setInput(matrix.input, matrix.cols, at);
    own.load(piece);
  }
  bool settles = threadIdx.x < 32;
  uint32_t known = 0;
  if (settles) {
    exists = blockIdx.x < matrix.tiles;
    if (exists && !isKnown)
      exists = locateRagged<Side>(matrix, slot, at);
    if (exists && threadIdx.x < 2)
      place.setOutput<Same>(threadIdx.x, matrix.out[threadIdx.x], at,
                            int64_t(matrix.rows) * matrix.cols,
                            matrix.memberScales[threadIdx.x]);
    if (threadIdx.x == 0)
      place.exists = exists;
    if (exists && threadIdx.x == 0) {
      place.setInput(matrix.input, matrix.cols, at);
      place.findsSquares = matrix.findsSquares;
      place.multiplier = matrix.multipliers;
      if (matrix.multipliers && matrix.multiplierPerGroup)
        place.multiplier += at.group;
      place.accumulator = matrix.accumulators;
      if (matrix.accumulators)
        place.accumulator += at.group;
    }
  }
  __syncthreads();
  bool finishes = false, isLast = false;
  uint32_t *ticket = nullptr;
  if constexpr (Same)
    finishes = args.finishes, ticket = args.last.ticket;
  if (place.exists) {
    if (!isKnown)
      place.load(piece);
    if (settles && place.accumulator)
      known = __ldcg(place.accumulator);
    isLast = PairCast<Side, Same, Args>(args, place, shared)
                 .run(piece, finishes, known, ticket, gridDim.x);
  } else if (finishes && threadIdx.x == 0) {
    isLast = arrivePair(ticket, gridDim.x, false);
  }
  if constexpr (Same)
    if (finishes && settles && __shfl_sync(~0u, isLast, 0))
      finish(args.last, 32);
}

/// The matrix that has tile `tile` of all.
__device__ inline int pairOfTile(const PairArgs &args, uint32_t tile) {
  const uint16_t *mark = args.marks + (tile >> args.shift);
  int index = mark[0];
  for (int last = mark[1]; index < last;) {
    int middle = (index + last + 1) / 2;
    if (args.first[middle] <= tile)
      index = middle;
    else
      last = middle - 1;
  }
  return index;
}

/// A block for each tile of several matrices. All threads find their matrix, as
/// nothing can be loaded before, and a warp asks for those that blocks after
/// this one look up, wherever these are: memory that is busy takes 2 us. The
/// last block of a task writes its amaxes.
template <int Side, bool Same>
__device__ inline void runPair(const PairArgs &args, PairShared<Side> &shared,
                               PairPlace &place) {
  int index = pairOfTile(args, blockIdx.x);
  if (threadIdx.x / 32 == 1) {
    int next = index + (1 << threadIdx.x % 32 % 8);
    if (threadIdx.x % 32 < 8 && next < args.numPairs)
      asm volatile("prefetch.global.L2 [%0];" ::"l"(args.pairs + next));
  }
  const PairTask &task = args.pairs[index];
  uint32_t tile = blockIdx.x - args.first[index];
  uint32_t across = task.across, down = divide(tile, across, task.perAcross);
  Place at;
  at.row = at.row0 = int64_t(down) * Side;
  at.col0 = int64_t(tile - down * across) * Side;
  at.blockRow = down * (Side / kTile);
  at.member = 0;
  at.rows = min(task.rows - static_cast<int>(at.row), Side);
  at.cols = min(task.cols - static_cast<int>(at.col0), Side);
  PairPlace own;
  own.setInput(task.input, task.cols, at);
  PairTile<Side> piece;
  own.load(piece);
  if (threadIdx.x < 2) {
    place.setOutput<Same>(threadIdx.x, task.out[threadIdx.x], at, 0, 0);
    if (threadIdx.x == 0) {
      place.rows = own.rows, place.cols = own.cols;
      place.findsSquares = task.findsSquares;
      place.multiplier = task.multiplier;
      place.accumulator = task.accumulator;
    }
  }
  bool settles = threadIdx.x < 32;
  uint32_t known = settles && task.accumulator ? __ldcg(task.accumulator) : 0;
  __syncthreads();
  uint32_t *ticket = args.tickets + task.task;
  bool isLast = PairCast<Side, Same, PairArgs>(args, place, shared)
                    .run(piece, args.finishes, known, ticket, task.tilesOfTask);
  if (args.finishes && settles && __shfl_sync(~0u, isLast, 0)) {
    __threadfence();
    finishTask(args, args.table[task.task], threadIdx.x, 32);
    if (threadIdx.x == 0)
      *ticket = 0;
  }
}

/// What all of these kernels begin with.
template <int Side, bool Same, typename Args>
__device__ inline void runPairBlock(const Args &args) {
  extern __shared__ uint4 words[];
  __shared__ PairPlace place;
  if (args.noop && *args.noop == 1.0f)
    return;
  runPair<Side, Same>(args, *reinterpret_cast<PairShared<Side> *>(words),
                      place);
}

} // namespace cuda
} // namespace te_rt

#define TE_RT_PAIR_KERNEL(name, Args, side, same, blocksPerSm)                 \
  extern "C" __global__ void __launch_bounds__(                                \
      te_rt::cuda::PairTile<te_rt::cuda::side>::kThreads, blocksPerSm)         \
      name(const __grid_constant__ te_rt::cuda::Args args) {                   \
    te_rt::cuda::runPairBlock<te_rt::cuda::side, same>(args);                  \
  }

#endif // TE_RUNTIME_CUDA_KERNELS_PAIR_CUH
