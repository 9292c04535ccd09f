//===- grouped_gemm.cuh - products of all groups in one launch ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   work      a block of three warpgroups on each multiprocessor, two blocks to
//   a
//             cluster; tiles of 128 x 192 (BF16: 256), K in blocks of 128 bytes
//             in four buffers. The first warpgroup finds tiles and starts
//             copies, the others multiply 64 rows each
//   flops     2 m n k; BF16 and FP8 tensor cores
//   moves     operands from the L2 once for each tile, what two blocks share
//   once
//             for both; the result once
//   bound     tensor cores, and the power they take: 1585 TFLOP/s of FP8 with
//             scales of 128 x 128 on an H200, about 1100 with 1 x 128 on both
//             sides; memory where a group has few rows, or is the reduction
//   measured  docs/Benchmarks.md, Products on an H200
//   not here  operands that the copy engine cannot read at all (gemm.cu)
//
// The sum of an element is of its own K in ascending order: the same bits in
// any tile, at any time, whatever other groups hold.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_GEMM_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_GEMM_CUH

#include "cuda/kernels/grouped_store.cuh"
#include "cuda/kernels/grouped_tiles.cuh"

namespace te_rt {
namespace cuda {
namespace grouped {
using namespace hopper;

/// Named barriers of the two warpgroups that multiply; 0 is __syncthreads.
enum : int { kTurn = 1, kStore = 3, kTail = 5 };

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
class Product {
  static constexpr int kCols = groupedCols(kScale);
  static constexpr int kStages = groupedStages(kScale);
  static constexpr int kStoreCols = groupedStoreCols(kScale);
  static constexpr int kLhsBytes = kGroupedRows * kGroupedBytes;
  static constexpr int kRhsBytes = kCols * kGroupedBytes;
  static constexpr int kElementBytes = kLhs == Element::BF16 ? 2 : 1;
  /// Elements of K in a block.
  static constexpr int kDepth = kGroupedBytes / kElementBytes;
  static constexpr bool kByBlock =
      kScale == GroupedScale::RowSquare || kScale == GroupedScale::RowRow;
  static constexpr int kHalfRow = kLhsBytes / 2, kHalfCol = kRhsBytes / 2;

  struct Shared {
    uint8_t lhs[kStages][kLhsBytes]; // at a multiple of 1024
    uint8_t rhs[kStages][kRhsBytes];
    uint8_t store[2][64 * kStoreCols * 2];
    float lhsScales[kStages][kByBlock ? kGroupedRows : 4];
    float rhsScales[kStages][kScale == GroupedScale::RowRow ? kCols : 4];
    Ring ring;
    uint64_t full[kStages], empty[kStages];
    uint64_t tileFull[kRingSlots], tileEmpty[kRingSlots];
  };
  static_assert(sizeof(Shared) + 1024 <= groupedSharedBytes(kScale),
                "shared memory");

public:
  __device__ Product(const GroupedArgs &args, uint8_t *memory)
      : args(args), rank(clusterRank()),
        shared(*reinterpret_cast<Shared *>(memory +
                                           (-sharedAddress(memory) & 1023u))),
        base(sharedAddress(&shared)) {
    keep(base);
  }

  __device__ void run() {
    // The compiler does not know that all lanes have the same.
    int warp = __shfl_sync(~0u, threadIdx.x / 32, 0);
    if (threadIdx.x == 0) {
      for (int i = 0; i < kStages; ++i) {
        initBarrier(at(&shared.full[i]), 1);
        initBarrier(at(&shared.empty[i]), kGroupedCluster * 8);
      }
      for (int i = 0; i < kRingSlots; ++i) {
        initBarrier(at(&shared.tileFull[i]), 1);
        initBarrier(at(&shared.tileEmpty[i]), 2 + 8); // warps that read tiles
      }
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    syncCluster();
    if (warp < 4) {
      giveRegisters<56>();
      if (warp == 0 && threadIdx.x == 0)
        loadTiles();
      else if (warp == 1)
        loadTilesByHand();
      else if (warp == 2)
        findTiles();
    } else {
      takeRegisters<224>();
      multiplyTiles(warp / 4 - 1);
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

  //===--------------------------------------------------------------------===//
  // Tiles
  //===--------------------------------------------------------------------===//

  __device__ void findTiles() {
    Schedule schedule(args, kCols);
    Cursor slot;
    int index = blockIdx.x / kGroupedCluster;
    int step = gridDim.x / kGroupedCluster;
    while (true) {
      Tile tile = schedule.find(index, rank);
      wait(at(&shared.tileEmpty[slot.index]), slot.parity ^ 1);
      if (threadIdx.x % 32 == 0) {
        shared.ring.tiles[slot.index] = tile;
        arrive(at(&shared.tileFull[slot.index]));
      }
      __syncwarp();
      if (tile.group < 0)
        return;
      slot.advance(kRingSlots);
      index += step;
    }
  }

  /// The next tile; false where there is none. One arrival for each warp.
  template <bool wholeWarp = true>
  __device__ bool nextTile(Cursor &slot, Tile &tile) {
    wait(at(&shared.tileFull[slot.index]), slot.parity);
    tile = shared.ring.tiles[slot.index];
    if constexpr (wholeWarp)
      __syncwarp();
    if (!wholeWarp || threadIdx.x % 32 == 0)
      arrive(at(&shared.tileEmpty[slot.index]));
    slot.advance(kRingSlots);
    return tile.group >= 0;
  }

  static __device__ int numBlocks(const Tile &tile) {
    return (tile.end - tile.begin + kDepth - 1) / kDepth;
  }

  //===--------------------------------------------------------------------===//
  // Loads
  //===--------------------------------------------------------------------===//

  /// What the copy engine cannot read, since it lies in the middle of 16 bytes
  /// or not in a row, and how many bytes it is.
  struct ByHand {
    bool lhs, rhs, lhsScales, rhsScales;
    __device__ bool any() const { return lhs || rhs || lhsScales || rhsScales; }
  };
  __device__ ByHand byHand(const Tile &tile) const {
    auto isAligned = [](int first, int size) { return first * size % 16 == 0; };
    ByHand hand = {};
    hand.lhs = !isAligned(kLhsMajor == Major::Reduction ? tile.begin : tile.row,
                          kElementBytes);
    hand.rhs =
        kRhsMajor == Major::Reduction && !isAligned(tile.begin, kElementBytes);
    if constexpr (kByBlock)
      hand.lhsScales = !args.lhsScalesInRows || !isAligned(tile.row, 4);
    if constexpr (kScale == GroupedScale::RowRow)
      hand.rhsScales = !args.rhsScalesInRows;
    return hand;
  }
  /// Bytes of the scales that a tile has of each block of K.
  __device__ uint32_t lhsScaleBytes(const Tile &tile) const {
    return (tile.rows + 3) / 4 * 16;
  }
  __device__ uint32_t rhsScaleBytes(const Tile &tile) const {
    return max(0, min(kCols, (args.n + 3) / 4 * 4 - tile.col)) * 4;
  }
  static __device__ uint32_t halvesOf(const Tile &tile) {
    return tile.rows > 64 ? 2 : 1;
  }
  /// The scales of a tile's first block of K.
  __device__ const float *lhsScalesOf(const Tile &tile) const {
    return args.lhsScales + firstBlock(tile) * args.lhsScaleInner +
           tile.row * args.lhsScaleOuter;
  }
  __device__ const float *rhsScalesOf(const Tile &tile) const {
    return args.items[tile.group].rhsScales +
           firstBlock(tile) * args.rhsScaleInner;
  }
  /// Blocks begin anew at each group.
  __device__ int64_t firstBlock(const Tile &tile) const {
    return args.reduction && args.offsets ? tile.begin / kDepth + tile.group
                                          : 0;
  }

  __device__ void loadLhs(int stage, int half, int depth, int row,
                          bool toBoth) {
    uint32_t to = at(shared.lhs[stage]) + half * kHalfRow;
    uint32_t barrier = at(&shared.full[stage]);
    row += half * 64;
    bool flat = kLhsMajor == Major::Reduction;
    int x = flat ? depth : row, y = flat ? row : depth;
    toBoth ? loadBoxToBoth(to, args.lhs, barrier, x, y, 0)
           : loadBox(to, args.lhs, barrier, x, y, 0);
  }

  __device__ void loadRhs(int stage, int half, const TensorMap *map, int member,
                          int depth, int col, bool toBoth) {
    uint32_t to = at(shared.rhs[stage]) + half * kHalfCol;
    uint32_t barrier = at(&shared.full[stage]);
    col += half * (kCols / 2);
    if constexpr (kRhsMajor == Major::Reduction) {
      toBoth ? loadBoxToBoth(to, map, barrier, depth, col, member)
             : loadBox(to, map, barrier, depth, col, member);
    } else {
#pragma unroll
      for (int i = 0; i < kCols / 128; ++i)
        toBoth
            ? loadBoxToBoth(to + i * 8192, map, barrier, col + i * 64, depth,
                            member)
            : loadBox(to + i * 8192, map, barrier, col + i * 64, depth, member);
    }
  }

  /// One thread, which starts the copy engine.
  __device__ void loadTiles();
  /// Elements [0, outerEnd) x [0, depthEnd) of an operand, zeros behind them,
  /// to where a box would put them.
  template <Major major>
  static __device__ void copyOperand(uint8_t *to, const void *values,
                                     int64_t stride, int outer, int outerEnd,
                                     int outers, int depth, int depthEnd);
  /// A warp that copies what the copy engine cannot.
  __device__ void loadTilesByHand();

  //===--------------------------------------------------------------------===//
  // Products
  //===--------------------------------------------------------------------===//

  /// Zeros behind the end of a group's reduction, where another's begins.
  __device__ void clearTail(int stage, int valid) {
    int thread = threadIdx.x - 128;
    auto clear = [&](uint8_t *operand, int outer, bool flat) {
      if (flat) {
        int bytes = valid * kElementBytes;
        for (int i = thread; i < outer * 8; i += 256) {
          int row = i / 8, chunk = i % 8;
          uint8_t *to = operand + row * 128 + (chunk ^ row % 8) * 16;
          for (int at = max(0, bytes - chunk * 16); at < 16; ++at)
            to[at] = 0;
        }
      } else { // boxes of 64 rows, one for each element of the reduction
        for (int i = thread; i < outer * 8; i += 256)
          if (i / 8 % 64 >= valid)
            *reinterpret_cast<uint4 *>(operand + i * 16) =
                make_uint4(0, 0, 0, 0);
      }
    };
    clear(shared.lhs[stage], kGroupedRows, kLhsMajor == Major::Reduction);
    clear(shared.rhs[stage], kCols, kRhsMajor == Major::Reduction);
    fenceProxy();
    syncNamed(kTail, 256);
  }

  /// Descriptors of the operands of stage 0.
  struct Operands {
    uint32_t lhs, rhs;
  };
  __device__ Operands operandsOf(int half) const {
    return {describe<kLhsMajor>(at(shared.lhs[0]) + half * kHalfRow),
            describe<kRhsMajor>(at(shared.rhs[0]))};
  }

  static __device__ Operands operandsAt(const Operands &first, int stage) {
    Operands operands = {first.lhs + stage * (kLhsBytes / 16),
                         first.rhs + stage * (kRhsBytes / 16)};
    keep(operands.lhs);
    keep(operands.rhs);
    return operands;
  }

  static __device__ void multiplyBlock(const Operands &operands,
                                       float (&sums)[kCols / 2],
                                       bool accumulates) {
    pin(sums);
    fenceRegisters();
#pragma unroll
    for (int step = 0; step < 4; ++step) {
      uint32_t a = operands.lhs + step * kNextStep<kLhsMajor>;
      uint32_t b = operands.rhs + step * kNextStep<kRhsMajor>;
      if constexpr (kScale == GroupedScale::None)
        multiply<kLhsMajor, kRhsMajor>(sums, a, b, accumulates || step);
      else
        multiply<kLhs, kRhs>(sums, a, b, accumulates || step);
    }
    commitProducts();
    pin(sums);
  }

  /// Lanes 0 and 1 tell the two blocks of the cluster; `empty` is the barrier
  /// of stage 0 in theirs.
  static __device__ void release(uint32_t empty, int stage) {
    if (threadIdx.x % 32 < kGroupedCluster)
      arriveThere(empty + stage * 8);
    __syncwarp();
  }

  /// Has sums lie in pairs of registers, the second one first: an element is
  /// then in another bank than the part that multiplyScaled adds to it.
  static __device__ void pairUp(float (&sums)[kCols / 2]) {
#pragma unroll
    for (int i = 0; i < kCols / 2; i += 2) {
      uint64_t pair;
      asm("mov.b64 %0, {%1, %2};"
          : "=l"(pair)
          : "f"(sums[i + 1]), "f"(sums[i]));
      keep(pair);
      asm("mov.b64 {%0, %1}, %2;"
          : "=f"(sums[i + 1]), "=f"(sums[i])
          : "l"(pair));
    }
  }

  /// A warpgroup whose rows are not there keeps step with the other one.
  __device__ void skipBlocks(const Tile &tile, int half, uint32_t empty,
                             Cursor &stage) {
#pragma unroll 1
    for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
      wait(at(&shared.full[stage.index]), stage.parity);
      if (depth == tailOf(tile))
        clearTail(stage.index, tile.end - depth);
      if constexpr (kScale != GroupedScale::None) {
        syncNamed(kTurn + half, 256);
        arriveNamed(kTurn + 1 - half, 256);
      }
      release(empty, stage.index);
      stage.advance(kStages);
    }
  }

  /// Where the block begins behind whose end another group's elements are.
  __device__ int tailOf(const Tile &tile) const {
    int rest = (tile.end - tile.begin) % kDepth;
    return args.reduction && rest ? tile.end - rest : -1;
  }

  /// FP8: the sums of a block of K leave the tensor cores to be scaled and
  /// added in F32. The warpgroups take turns: one multiplies while the other
  /// adds. What needs no product is done while a warpgroup waits for its own.
  __device__ void multiplyScaled(const Tile &tile, int half, uint32_t empty,
                                 Cursor &stage, float (&sums)[kCols / 2]) {
    int row = half * 64 + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
    Operands first = operandsOf(half),
             operands = operandsAt(first, stage.index);
    int tail = tailOf(tile);
    // Of 192 columns in blocks of 128: the first 64, the last 64, and those
    // between, which belong to either.
    const float *low = nullptr, *high = nullptr;
    float lowScale = 0, highScale = 0;
    bool middleIsLow = tile.col % 128 == 0;
    if constexpr (kScale == GroupedScale::RowSquare) {
      static_assert(kCols == 192);
      int square = min(tile.col / 128, args.rhsBlocks - 1);
      low = rhsScalesOf(tile) + square * args.rhsScaleOuter;
      high = low + (square + 1 < args.rhsBlocks ? args.rhsScaleOuter : 0);
      if (tile.begin < tile.end)
        lowScale = __ldg(low), highScale = __ldg(high);
    }
    bool isFull = false;
#pragma unroll 1
    for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
      float part[kCols / 2];
      if (!isFull)
        wait(at(&shared.full[stage.index]), stage.parity);
      if (depth == tail)
        clearTail(stage.index, tile.end - depth);
      syncNamed(kTurn + half, 256);
      multiplyBlock(operands, part, false);
      arriveNamed(kTurn + 1 - half, 256);

      int current = stage.index;
      stage.advance(kStages);
      operands = operandsAt(first, stage.index);
      float lhs[2], scales[3][2];
      if constexpr (kByBlock) {
        lhs[0] = shared.lhsScales[current][row];
        lhs[1] = shared.lhsScales[current][row + 8];
      }
      if constexpr (kScale == GroupedScale::RowSquare) {
        float middle = middleIsLow ? lowScale : highScale;
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          scales[0][i] = lhs[i] * lowScale;
          scales[1][i] = lhs[i] * middle;
          scales[2][i] = lhs[i] * highScale;
          keep(scales[0][i]), keep(scales[1][i]), keep(scales[2][i]);
        }
        if (depth + kDepth < tile.end) {
          low += args.rhsScaleInner;
          high += args.rhsScaleInner;
          lowScale = __ldg(low);
          highScale = __ldg(high);
        }
      }
      isFull = depth + kDepth < tile.end &&
               isDone(at(&shared.full[stage.index]), stage.parity);
      waitProducts<0>();
      pin(part);
      if constexpr (kScale == GroupedScale::RowRow) {
        const float2 *cols =
            reinterpret_cast<const float2 *>(shared.rhsScales[current]) +
            threadIdx.x % 4;
#pragma unroll
        for (int j = 0; j < kCols / 8; ++j) {
          float2 col = cols[j * 4];
#pragma unroll
          for (int i = 0; i < 4; ++i)
            sums[4 * j + i] =
                __fmaf_rn(part[4 * j + i] * (i % 2 ? col.y : col.x), lhs[i / 2],
                          sums[4 * j + i]);
        }
        release(empty, current);
      } else {
        release(empty, current);
#pragma unroll
        for (int j = 0; j < kCols / 2; ++j)
          sums[j] = kScale == GroupedScale::RowSquare
                        ? __fmaf_rn(part[j], scales[j / 32][j / 2 % 2], sums[j])
                        : sums[j] + part[j];
      }
    }
    pairUp(sums);
  }

  /// BF16: the tensor cores add all of K.
  __device__ void multiplyPlain(const Tile &tile, int half, uint32_t empty,
                                Cursor &stage, float (&sums)[kCols / 2]) {
    Operands first = operandsOf(half);
    int previous = -1, tail = tailOf(tile);
#pragma unroll 1
    for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
      Operands operands = operandsAt(first, stage.index);
      wait(at(&shared.full[stage.index]), stage.parity);
      if (depth == tail)
        clearTail(stage.index, tile.end - depth);
      multiplyBlock(operands, sums, true);
      waitProducts<1>();
      if (previous >= 0)
        release(empty, previous);
      previous = stage.index;
      stage.advance(kStages);
    }
    waitProducts<0>();
    pin(sums);
    if (previous >= 0)
      release(empty, previous);
  }

  __device__ void multiplyTiles(int half) {
    constexpr bool takesTurns = kScale != GroupedScale::None;
    if (takesTurns && half == 1)
      arriveNamed(kTurn, 256);
    uint32_t empty =
        addressIn(at(&shared.empty[0]), threadIdx.x % 32 % kGroupedCluster);
    Cursor slot, stage;
    Tile tile;
    Store<kCols, kStoreCols> store(args, shared.store[half], half,
                                   kStore + half);
    while (nextTile(slot, tile)) {
      if (tile.rows <= half * 64 || tile.dead) {
        skipBlocks(tile, half, empty, stage);
        continue;
      }
      const GroupedItem &item = args.items[tile.group];
      float sums[kCols / 2];
#pragma unroll
      for (float &sum : sums)
        sum = 0.0f;
      if constexpr (takesTurns) {
        float factors[2] = {1.0f, 1.0f};
        if constexpr (kScale == GroupedScale::Tensor) {
          factors[0] = args.lhsScales[args.lhsScalePerGroup ? tile.group : 0];
          factors[1] = *item.rhsScales;
        }
        multiplyScaled(tile, half, empty, stage, sums);
        if constexpr (kScale == GroupedScale::Tensor)
#pragma unroll
          for (float &sum : sums)
            sum = sum * factors[0] * factors[1];
      } else {
        multiplyPlain(tile, half, empty, stage, sums);
      }
      store.run(tile, item, sums);
    }
    if (takesTurns && half == 0)
      syncNamed(kTurn, 256); // the other's last word
    store.finish();
  }

  const GroupedArgs &args;
  uint32_t rank;
  Shared &shared;
  uint32_t base; // its address
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#include "cuda/kernels/grouped_load.cuh"

/// Defines the kernel `name`; nothing where there is no sm_90a.
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define TE_GROUPED_BODY(...)                                                   \
  extern __shared__ uint8_t memory[];                                          \
  te_rt::cuda::grouped::Product<__VA_ARGS__>(args, memory).run()
#else
#define TE_GROUPED_BODY(...) __trap()
#endif
#define TE_GROUPED_KERNEL(name, ...)                                           \
  extern "C" __global__ void __cluster_dims__(te_rt::cuda::kGroupedCluster)    \
      __launch_bounds__(te_rt::cuda::kGroupedThreads, 1)                       \
          name(const __grid_constant__ te_rt::cuda::GroupedArgs args) {        \
    TE_GROUPED_BODY(__VA_ARGS__);                                              \
  }

/// Of FP8, each pair of types that may meet.
#define TE_GROUPED_FP8_KERNELS(name, scale)                                    \
  TE_GROUPED_KERNEL(name##_e4m3_e4m3, scale, Element::E4M3, Element::E4M3,     \
                    Major::Reduction, Major::Reduction)                        \
  TE_GROUPED_KERNEL(name##_e4m3_e5m2, scale, Element::E4M3, Element::E5M2,     \
                    Major::Reduction, Major::Reduction)                        \
  TE_GROUPED_KERNEL(name##_e5m2_e4m3, scale, Element::E5M2, Element::E4M3,     \
                    Major::Reduction, Major::Reduction)

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_GEMM_CUH
