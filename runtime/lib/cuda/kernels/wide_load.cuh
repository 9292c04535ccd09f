//===- wide_load.cuh - operands of products in tiles of 128 x 256 ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Included by grouped_wide.cuh: how tiles and scales come to shared memory.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_WIDE_LOAD_CUH
#define TE_RUNTIME_CUDA_KERNELS_WIDE_LOAD_CUH

namespace te_rt {
namespace cuda {
namespace grouped {

__device__ inline void copyWord(uint32_t to, const float *from) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(to), "l"(from)
               : "memory");
}
/// Once all that this thread has copied is there.
__device__ inline void arriveAfterCopies(uint32_t barrier) {
  asm volatile(
      "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier)
      : "memory");
}

template <typename Epilogue, Element kLhs, Element kRhs>
__device__ void WideProduct<Epilogue, kLhs, kRhs>::loadTiles() {
  if (isElected()) {
    prefetchMap(args.lhs);
    prefetchMap(args.rhs);
  }
  // Rows of lhs are read again for the next columns, soon.
  Policy lhsPolicy = dropLast(), rhsPolicy = dropOldest();
  Cursor slot, stage;
  Tile tile;
  while (__any_sync(~0u, tiles().next(slot, tile))) {
    tile = uniform(tile);
    const TensorMap *map =
        args.rhs + (args.rhsMaps == kGroupedEach ? tile.group : 0);
    int member = args.rhsMaps == kGroupedPacked ? tile.group : 0;
    uint32_t halves = tile.rows > 64 ? 2 : 1;
    uint32_t scaleBytes = copiesScales(tile) ? (tile.rows + 3) / 4 * 16 : 0;
    uint32_t bytes = halves * kHalfRow + kRhsBytes + scaleBytes;
    const float *scales = lhsScalesOf(tile);
    int first = Epilogue::columnOf(args, tile, 0);
    int second = Epilogue::columnOf(args, tile, 1);
    // Of what both blocks read, each loads a half.
    auto loadBlocks = [&](auto loadOperands) {
#pragma unroll 1
      for (int depth = 0; depth < args.k; depth += kDepth) {
        wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
        if (isElected()) {
          uint32_t barrier = at(&shared.full[stage.index]);
          expectBytes(barrier, bytes);
          loadOperands(depth, at(shared.lhs[stage.index]),
                       at(shared.rhs[stage.index]), barrier);
          if (scaleBytes)
            loadRow(at(shared.lhsScales[stage.index]), scales, scaleBytes,
                    barrier);
        }
        __syncwarp();
        stage.advance(kStages);
        scales += args.lhsScaleInner;
      }
    };
    if (tile.sharesRhs) {
      int own = rank ? second : first;
      // What most tiles want, without questions: this thread must be faster
      // than the tensor cores.
      if (halves == 2)
        loadBlocks(
            [&](int depth, uint32_t lhs, uint32_t rhs, uint32_t barrier) {
              loadBox(lhs, args.lhs, barrier, depth, tile.row, 0, lhsPolicy);
              loadBox(lhs + kHalfRow, args.lhs, barrier, depth, tile.row + 64,
                      0, lhsPolicy);
              loadBoxToBoth(rhs + rank * kHalfCol, map, barrier, depth, own,
                            member, rhsPolicy);
            });
      else
        loadBlocks(
            [&](int depth, uint32_t lhs, uint32_t rhs, uint32_t barrier) {
              loadBox(lhs, args.lhs, barrier, depth, tile.row, 0, lhsPolicy);
              loadBoxToBoth(rhs + rank * kHalfCol, map, barrier, depth, own,
                            member, rhsPolicy);
            });
    } else {
      loadBlocks(
          [&](int depth, uint32_t lhs, uint32_t rhs, uint32_t barrier) {
            if (rank < halves)
              loadBoxToBoth(lhs + rank * kHalfRow, args.lhs, barrier, depth,
                            tile.row + rank * 64, 0, lhsPolicy);
            loadBox(rhs, map, barrier, depth, first, member, rhsPolicy);
            loadBox(rhs + kHalfCol, map, barrier, depth, second, member,
                    rhsPolicy);
          });
    }
  }
  fillNone(stage, 1);
}

template <typename Epilogue, Element kLhs, Element kRhs>
__device__ void WideProduct<Epilogue, kLhs, kRhs>::loadScales() {
  Cursor slot, stage;
  Tile tile;
  int lane = threadIdx.x % 32, blocks = (args.k + kDepth - 1) / kDepth;
  while (__any_sync(~0u, tiles().next(slot, tile))) {
    tile = uniform(tile);
    bool byHand = !copiesScales(tile);
    const float *rows = lhsScalesOf(tile) + lane * args.lhsScaleOuter;
    const float *cols[2];
#pragma unroll
    for (int half = 0; half < 2; ++half)
      cols[half] = tile.rhsScales +
                   min(Epilogue::columnOf(args, tile, half) / (kCols / 2),
                       args.rhsBlocks - 1) *
                       args.rhsScaleOuter;
#pragma unroll 1
    for (int first = 0; first < blocks; first += 32) {
      int count = min(blocks - first, 32);
      float2 scales = {};
      if (lane < count) {
        scales.x = cols[0][(first + lane) * args.rhsScaleInner];
        scales.y = cols[1][(first + lane) * args.rhsScaleInner];
      }
#pragma unroll 1
      for (int i = 0; i < count; ++i) {
        wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
        if (byHand) {
          uint32_t to = at(&shared.lhsScales[stage.index][lane]);
#pragma unroll
          for (int r = 0; r < kGroupedRows; r += 32)
            if (lane + r < tile.rows)
              copyWord(to + r * 4, rows + r * args.lhsScaleOuter);
          arriveAfterCopies(at(&shared.full[stage.index]));
          rows += args.lhsScaleInner;
          __syncwarp();
        }
        if (lane == i) {
          shared.rhsScales[stage.index] = scales;
          arriveTimes(at(&shared.full[stage.index]),
                      byHand ? 1 : kScaleArrivals);
        }
        __syncwarp();
        stage.advance(kStages);
      }
    }
  }
  fillNone(stage, kScaleArrivals);
}

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_WIDE_LOAD_CUH
