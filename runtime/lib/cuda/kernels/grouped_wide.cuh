//===- grouped_wide.cuh - products of FP8 in tiles of 128 x 256 -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   work      scales of 1 x 128 by 128 x 128; four warpgroups on each
//             multiprocessor, two such blocks to a cluster. Two warpgroups
//             multiply 64 rows of a tile each, another does what is to become
//             of the tile before, BF16 in shared memory, and the fourth draws
//             tiles and starts copies. A tile is two times 128 columns, which
//             need not be neighbours
//   flops     2 m n k, by FP8 tensor cores
//   moves     operands from the L2 once for each tile, what two blocks share
//             once for both; results once
//   bound     tensor cores, and the power they take
//   measured  docs/Benchmarks.md, Products on an H200
//   not here  bias, results in F32, operands with rows that the copy engine
//             cannot read (grouped_gemm.cuh)
//
// Sums are those of grouped_scaled.cuh, in the same order, to the same bits.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_WIDE_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_WIDE_CUH

#include "cuda/kernels/grouped_tiles.cuh"
#include "cuda/kernels/numeric.cuh"
#include "cuda/kernels/wgmma.cuh"
#include "cuda/kernels/wide_params.h"

namespace te_rt {
namespace cuda {
namespace grouped {
using namespace hopper;

__device__ inline void arriveTimes(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
               "r"(arrivals)
               : "memory");
}

/// What becomes of a tile. The first 128 threads of a block have an Epilogue;
/// all come back from `run` together. It has
///
///   Args                          of the kernel
///   kBoxRows                      rows of the boxes in which it wants a tile
///   productOf(args)               GroupedArgs
///   columnOf(product, tile, half) the first of the 128 columns of a half
///   Shared                        memory of its own
///   Epilogue(args, address of the tile, shared), run(tile)
///
/// and finds the tile in shared memory: its next kBoxRows rows in the next four
/// boxes of 64 columns, in rows of 128 bytes that are swizzled as the copy engine
/// does it.
template <typename Epilogue, Element kLhs, Element kRhs> class WideProduct {
  using Args = typename Epilogue::Args;
  static constexpr int kCols = kWideCols, kStages = kWideStages;
  static constexpr int kDepth = kGroupedBytes;
  static constexpr int kLhsBytes = kGroupedRows * kGroupedBytes;
  static constexpr int kRhsBytes = kCols * kGroupedBytes;
  static constexpr int kHalfRow = kLhsBytes / 2, kHalfCol = kRhsBytes / 2;
  static constexpr int kBoxBytes = Epilogue::kBoxRows * 128;
  static constexpr int kMultiplyWarps = 8, kEpilogueWarps = 4;
  /// Of the 512 that a thread of each warpgroup has together.
  static constexpr int kEpilogueRegisters = 64, kMultiplyRegisters = 208;
  /// Warps of the last warpgroup.
  enum : int { kLoad = 12, kLoadScales, kFind };
  /// Of the warp that brings scales, for each block of K: one, and one of each
  /// lane for what it copies.
  static constexpr uint32_t kScaleArrivals = 1 + 32;

  struct Shared {
    uint8_t lhs[kStages][kLhsBytes]; // at a multiple of 1024
    uint8_t rhs[kStages][kRhsBytes];
    uint8_t results[kGroupedRows * kCols * 2];
    float lhsScales[kStages][kGroupedRows];
    float2 rhsScales[kStages]; // of both halves
    typename Epilogue::Shared epilogue;
    Ring ring;
    uint64_t full[kStages], empty[kStages];
    uint64_t resultsFull, resultsEmpty;
  };
  static_assert(sizeof(Shared) + 1024 <= kWideSharedBytes, "shared memory");

public:
  __device__ WideProduct(const Args &args, uint8_t *memory)
      : all(args), args(Epilogue::productOf(args)), rank(clusterRank()),
        shared(*reinterpret_cast<Shared *>(memory +
                                           (-sharedAddress(memory) & 1023u))),
        base(sharedAddress(&shared)) {
    keep(base);
  }

  __device__ void run() {
    int warp = __shfl_sync(~0u, threadIdx.x / 32, 0);
    letNextBegin();
    if (threadIdx.x == 0) {
      for (int i = 0; i < kStages; ++i) {
        initBarrier(at(&shared.full[i]), 1 + kScaleArrivals);
        initBarrier(at(&shared.empty[i]), kMultiplyWarps * (32 + 1));
      }
      tiles().init((2 + kMultiplyWarps + kEpilogueWarps) * 32);
      initBarrier(at(&shared.resultsFull), kMultiplyWarps);
      initBarrier(at(&shared.resultsEmpty), kEpilogueWarps);
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    arriveCluster();
    if (warp != kFind)
      waitCluster();
    if (warp < 4) {
      giveRegisters<kEpilogueRegisters>();
      finishTiles();
    } else if (warp < 12) {
      takeRegisters<kMultiplyRegisters>();
      multiplyTiles(warp / 4 - 1);
    } else {
      giveRegisters<512 - kEpilogueRegisters - 2 * kMultiplyRegisters>();
      if (warp == kLoad)
        loadTiles();
      else if (warp == kLoadScales)
        loadScales();
      else if (warp == kFind)
        tiles().find(kCols);
    }
    // The other block's shared memory must be there until nobody writes to it.
    syncCluster();
  }

private:
  __device__ uint32_t at(const void *pointer) const {
    return base +
           static_cast<uint32_t>(static_cast<const uint8_t *>(pointer) -
                                 reinterpret_cast<const uint8_t *>(&shared));
  }

  __device__ Tiles tiles() const {
    return {args, shared.ring, at(&shared.ring), rank};
  }

  //===--------------------------------------------------------------------===//
  // Loads
  //===--------------------------------------------------------------------===//

  /// Whether the copy engine can read the scales of a tile's rows.
  __device__ bool copiesScales(const Tile &tile) const {
    return args.lhsScalesInRows && tile.row % 4 == 0;
  }
  __device__ const float *lhsScalesOf(const Tile &tile) const {
    return args.lhsScales + tile.row * args.lhsScaleOuter;
  }

  /// A warp, one thread of which starts the copy engine.
  __device__ void loadTiles();
  /// A warp that brings the scales of columns, those of 32 blocks of K at a
  /// time, and of rows what the copy engine cannot read.
  __device__ void loadScales();
  /// Those that multiply wait for the block behind the last one as well, before
  /// they know that it is the last.
  __device__ void fillNone(const Cursor &stage, uint32_t arrivals) {
    wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
    if (isElected())
      arriveTimes(at(&shared.full[stage.index]), arrivals);
  }

  //===--------------------------------------------------------------------===//
  // Products
  //===--------------------------------------------------------------------===//

  /// What a thread knows of the next block of K, and of its scales.
  struct Block {
    uint32_t lhs, rhs;
    float rows[2];
    float2 cols; // of both halves
  };

  /// As of Product; once, as what is held so stays so.
  __device__ void pairUp(float (&sums)[kCols / 2]) {
#pragma unroll
    for (int i = 0; i < kCols / 2; i += 4)
      asm volatile("{\n"
                   ".reg .pred p;\n"
                   "setp.lt.s32 p, %4, %6;\n" // of each its own: no branch
                   "@p st.shared.v4.f32 [%5], {%0, %1, %2, %3};\n"
                   "}" ::"f"(sums[i + 1]),
                   "f"(sums[i]), "f"(sums[i + 3]), "f"(sums[i + 2]),
                   "r"(args.k), "r"(base), "r"(-i));
  }

  /// Rounds a warp's sums of a tile to shared memory. Element 4 j + {0, 1} of a
  /// lane is in column 8 j + 2 (lane mod 4) + {0, 1} and row lane / 4 of 16; 4
  /// j + {2, 3} eight rows below.
  static __device__ void putRows(uint32_t to, const float (&sums)[kCols / 2],
                                 int half) {
    // The row and the group of 8 columns that a lane addresses.
    uint32_t lane = threadIdx.x % 32;
    keep(lane); // no addresses in registers until the next tile
    uint32_t row = lane % 16, group = lane / 16;
    to += row * 128;
#pragma unroll
    for (int j = half * kCols / 16; j < (half + 1) * kCols / 16; j += 2) {
      const float *from = sums + j * 4;
      storeMatrices(to + j / 8 * kBoxBytes + ((j % 8 + group) ^ row % 8) * 16,
                    packBf16(from[0], from[1]), packBf16(from[2], from[3]),
                    packBf16(from[4], from[5]), packBf16(from[6], from[7]));
    }
  }

  /// A half of the columns of a block of K, to `part`.
  __device__ void multiplyHalf(const Block &block, int cols,
                               float (&part)[kCols / 4]) {
    pin(part);
    fenceRegisters();
#pragma unroll
    for (int step = 0; step < 4; ++step)
      multiply<kLhs, kRhs>(part, block.lhs + step * kNextStep<Major::Reduction>,
                           block.rhs + cols * (kHalfCol / 16) +
                               step * kNextStep<Major::Reduction>,
                           step);
    commitProducts();
    pin(part);
  }

  __device__ void multiplyTiles(int half) {
    uint32_t lane = threadIdx.x % 32;
    uint32_t empty = addressIn(at(&shared.empty[0]), rank ^ 1);
    uint32_t lhs =
        describe<Major::Reduction>(at(shared.lhs[0]) + half * kHalfRow);
    uint32_t rhs = describe<Major::Reduction>(at(shared.rhs[0]));
    uint32_t rowScales = at(
        &shared
             .lhsScales[0][half * 64 + threadIdx.x % 128 / 32 * 16 + lane / 4]);
    keep(rowScales);
    int row = half * 64 + uniform(threadIdx.x % 128 / 32) * 16;
    uint32_t results = at(shared.results) +
                       row / Epilogue::kBoxRows * (kCols / 64 * kBoxBytes) +
                       row % Epilogue::kBoxRows * 128;
    Cursor slot, stage;
    uint32_t parity = 1; // of resultsEmpty
    float sums[kCols / 2];
    // Half of the sums of the tile before, while a half of the next one is
    // multiplied.
    auto put = [&](int half) {
      if (half == 0) {
        wait(at(&shared.resultsEmpty), parity);
        parity ^= 1;
      }
      putRows(results, sums, half);
      if (half == 0)
        return;
      __syncwarp();
      if (threadIdx.x % 32 == 0)
        arrive(at(&shared.resultsFull));
    };
    Block block;
    auto prepare = [&] {
      block.lhs = lhs + stage.index * (kLhsBytes / 16);
      block.rhs = rhs + stage.index * (kRhsBytes / 16);
      keep(block.lhs), keep(block.rhs); // now, not where they are used
      wait(at(&shared.full[stage.index]), stage.parity);
      uint32_t from = rowScales + stage.index * sizeof(shared.lhsScales[0]);
      block.rows[0] = readShared(from);
      block.rows[1] = readShared(from + 8 * sizeof(float));
      block.cols = readSharedPair(at(&shared.rhsScales[stage.index]));
    };
    // Straight code but for the waits: the assembler then knows what is under
    // way.
    auto multiplyBlock = [&](auto isFirst) {
      float part[kCols / 4], scales[2];
      auto scale = [&](float cols) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          scales[i] = block.rows[i] * cols;
          keep(scales[i]);
        }
      };
      auto add = [&](int cols, auto midway) {
        waitProducts<0>();
        pin(part);
#pragma unroll
        for (int j = 0; j < kCols / 4; ++j) {
          float &sum = sums[cols * (kCols / 4) + j];
          sum = __fmaf_rn(part[j], scales[j / 2 % 2],
                          decltype(isFirst)::value ? 0.0f : sum);
          if (j == kCols / 8 - 1)
            midway();
        }
      };
      multiplyHalf(block, 0, part);
      scale(block.cols.x);
      if constexpr (decltype(isFirst)::value)
        put(0);
      add(0, [] {});
      multiplyHalf(block, 1, part);
      scale(block.cols.y);
      if constexpr (decltype(isFirst)::value)
        put(1);
      int done = stage.index;
      stage.advance(kStages);
      prepare();
      add(1, [&] { release(empty, done); });
    };
#pragma unroll
    for (float &sum : sums)
      sum = 0.0f;
    prepare();
    Tile tile;
    while (__any_sync(~0u, tiles().next(slot, tile))) {
      multiplyBlock(std::true_type());
#pragma unroll 1
      for (int depth = kDepth; depth < args.k; depth += kDepth)
        multiplyBlock(std::false_type());
    }
    pairUp(sums);
    put(0);
    put(1);
  }

  /// As of Product. `empty`: the barrier of stage 0 in the other block.
  __device__ void release(uint32_t empty, int stage) {
    arrive(at(&shared.empty[stage]));
    if (threadIdx.x % 32 == 0)
      arriveThere(empty + stage * 8);
    __syncwarp();
  }

  //===--------------------------------------------------------------------===//
  // Results
  //===--------------------------------------------------------------------===//

  /// What was there before the first tile comes first.
  __device__ void finishTiles() {
    Epilogue epilogue(all, at(shared.results), shared.epilogue);
    Cursor slot;
    Tile tile = {};
    tile.dead = true;
    uint32_t parity = 0;
    do {
      tile = uniform(tile);
      wait(at(&shared.resultsFull), parity);
      parity ^= 1;
      if (!tile.dead)
        epilogue.run(tile);
      if (threadIdx.x % 32 == 0)
        arrive(at(&shared.resultsEmpty));
      __syncwarp();
    } while (__any_sync(~0u, tiles().next(slot, tile)));
  }

  const Args &all;
  const GroupedArgs &args;
  uint32_t rank;
  Shared &shared;
  uint32_t base; // its address
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#include "cuda/kernels/wide_load.cuh"

#define TE_WIDE_KERNEL(name, Epilogue, ...)                                    \
  TE_GROUPED_CLUSTERS(                                                         \
      name, kWideThreads, Epilogue::Args,                                      \
      te_rt::cuda::grouped::WideProduct<Epilogue, __VA_ARGS__>(args, memory)   \
          .run())

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_WIDE_CUH
