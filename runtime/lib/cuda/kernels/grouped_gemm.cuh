//===- grouped_gemm.cuh - products of all groups in one launch ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
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
        shared(*reinterpret_cast<Shared *>(
            memory + (-sharedAddress(memory) & 1023u))),
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

  /// What the copy engine cannot read, since it lies in the middle of 16 bytes or
  /// not in a row, and how many bytes it is.
  struct ByHand {
    bool lhs, rhs, lhsScales, rhsScales;
    __device__ bool any() const { return lhs || rhs || lhsScales || rhsScales; }
  };
  __device__ ByHand byHand(const Tile &tile) const {
    auto isAligned = [](int first, int size) { return first * size % 16 == 0; };
    ByHand hand = {};
    hand.lhs = !isAligned(
        kLhsMajor == Major::Reduction ? tile.begin : tile.row, kElementBytes);
    hand.rhs = kRhsMajor == Major::Reduction &&
               !isAligned(tile.begin, kElementBytes);
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
        toBoth ? loadBoxToBoth(to + i * 8192, map, barrier, col + i * 64, depth,
                               member)
               : loadBox(to + i * 8192, map, barrier, col + i * 64, depth,
                         member);
    }
  }

  /// One thread, which starts the copy engine.
  __device__ void loadTiles() {
    prefetchMap(args.lhs);
    prefetchMap(args.rhs);
    if (args.result)
      prefetchMap(args.result);
    Cursor slot, stage;
    Tile tile;
    while (nextTile<false>(slot, tile)) {
      const TensorMap *map =
          args.rhs + (args.rhsMaps == kGroupedEach ? tile.group : 0);
      int member = args.rhsMaps == kGroupedPacked ? tile.group : 0;
      uint32_t halves = halvesOf(tile);
      uint32_t bytes = halves * kHalfRow + kRhsBytes;
      const float *lhsScales = nullptr, *rhsScales = nullptr;
      uint32_t lhsScaleSize = 0, rhsScaleSize = 0;
      if constexpr (kByBlock) {
        lhsScales = lhsScalesOf(tile);
        bytes += lhsScaleSize = lhsScaleBytes(tile);
      }
      if constexpr (kScale == GroupedScale::RowRow) {
        rhsScales = rhsScalesOf(tile) + tile.col * args.rhsScaleOuter;
        bytes += rhsScaleSize = rhsScaleBytes(tile);
      }
      ByHand hand = byHand(tile);
#pragma unroll 1
      for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
        wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
        uint32_t barrier = at(&shared.full[stage.index]);
        expectBytes(barrier, bytes);
        // Of what both blocks read, each loads a half.
        if (!hand.lhs) {
          if (tile.sharesRhs) {
            loadLhs(stage.index, 0, depth, tile.row, false);
            if (halves == 2)
              loadLhs(stage.index, 1, depth, tile.row, false);
          } else if (rank < halves) {
            loadLhs(stage.index, rank, depth, tile.row, true);
          }
        }
        if (!hand.rhs) {
          if (tile.sharesRhs) {
            loadRhs(stage.index, rank, map, member, depth, tile.col, true);
          } else {
            loadRhs(stage.index, 0, map, member, depth, tile.col, false);
            loadRhs(stage.index, 1, map, member, depth, tile.col, false);
          }
        }
        if constexpr (kByBlock) {
          if (!hand.lhsScales)
            loadRow(at(shared.lhsScales[stage.index]), lhsScales, lhsScaleSize,
                    barrier);
          lhsScales += args.lhsScaleInner;
        }
        if constexpr (kScale == GroupedScale::RowRow) {
          if (!hand.rhsScales && rhsScaleSize)
            loadRow(at(shared.rhsScales[stage.index]), rhsScales, rhsScaleSize,
                    barrier);
          rhsScales += args.rhsScaleInner;
        }
        stage.advance(kStages);
      }
    }
  }

  /// Elements [0, outerEnd) x [0, depthEnd) of an operand, zeros behind them, to
  /// where a box would put them.
  template <Major major>
  static __device__ void copyOperand(uint8_t *to, const void *values,
                                     int64_t stride, int outer, int outerEnd,
                                     int outers, int depth, int depthEnd) {
    using Code = std::conditional_t<kElementBytes == 1, uint8_t, uint16_t>;
    constexpr bool flat = major == Major::Reduction;
    const Code *from = static_cast<const Code *>(values) +
                       (flat ? outer * stride + depth : depth * stride + outer);
#pragma unroll 4
    for (int i = threadIdx.x % 32; i < outers * kDepth; i += 32) {
      int o = flat ? i / kDepth : i / (64 * kDepth) * 64 + i % 64;
      int d = flat ? i % kDepth : i / 64 % kDepth;
      int row = flat ? o : d, byte = (flat ? d : o % 64) * kElementBytes;
      Code code = 0;
      if (o < outerEnd && d < depthEnd)
        code = from[flat ? o * stride + d : d * stride + o];
      *reinterpret_cast<Code *>(to + (flat ? 0 : o / 64 * 8192) + row * 128 +
                                (byte / 16 ^ row % 8) * 16 + byte % 16) = code;
    }
  }

  /// A warp that copies what the copy engine cannot.
  __device__ void loadTilesByHand() {
    Cursor slot, stage;
    Tile tile;
    while (nextTile(slot, tile)) {
      ByHand hand = byHand(tile);
      if (!hand.any()) {
        stage.advance(kStages, numBlocks(tile));
        continue;
      }
      uint32_t bytes = (hand.lhs ? halvesOf(tile) * kHalfRow : 0) +
                       (hand.rhs ? kRhsBytes : 0) +
                       (hand.lhsScales ? lhsScaleBytes(tile) : 0) +
                       (hand.rhsScales ? rhsScaleBytes(tile) : 0);
      int block = 0;
#pragma unroll 1
      for (int depth = tile.begin; depth < tile.end; depth += kDepth, ++block) {
        wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
        if (hand.lhs)
          copyOperand<kLhsMajor>(shared.lhs[stage.index], args.lhsValues,
                                 args.lhsStride, tile.row, tile.rows,
                                 kGroupedRows, depth, tile.end - depth);
        if (hand.rhs)
          copyOperand<kRhsMajor>(shared.rhs[stage.index], args.rhsValues,
                                 args.rhsStride, tile.col, args.n - tile.col,
                                 kCols, depth, tile.end - depth);
        int lane = threadIdx.x % 32;
        if (hand.lhsScales)
          for (int i = lane; i < tile.rows; i += 32)
            shared.lhsScales[stage.index][i] =
                lhsScalesOf(tile)[block * args.lhsScaleInner +
                                  i * args.lhsScaleOuter];
        if (hand.rhsScales)
          for (int i = lane; i < min(kCols, args.n - tile.col); i += 32)
            shared.rhsScales[stage.index][i] =
                rhsScalesOf(tile)[block * args.rhsScaleInner +
                                  (tile.col + i) * args.rhsScaleOuter];
        fenceProxy();
        __syncwarp();
        if (lane == 0)
          completeBytes(at(&shared.full[stage.index]), bytes);
        stage.advance(kStages);
      }
    }
  }

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
    uint64_t lhs, rhs;
  };
  __device__ Operands operandsOf(int half) const {
    return {describe<kLhsMajor>(at(shared.lhs[0]) + half * kHalfRow),
            describe<kRhsMajor>(at(shared.rhs[0]))};
  }

  static __device__ Operands operandsAt(const Operands &first, int stage) {
    Operands operands = {first.lhs + uint32_t(stage * (kLhsBytes / 16)),
                         first.rhs + uint32_t(stage * (kRhsBytes / 16))};
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
      uint64_t a = operands.lhs + step * kNextStep<kLhsMajor>;
      uint64_t b = operands.rhs + step * kNextStep<kRhsMajor>;
      if constexpr (kScale == GroupedScale::None)
        multiply<kLhsMajor, kRhsMajor>(sums, a, b, accumulates || step);
      else
        multiply<kLhs, kRhs>(sums, a, b, accumulates || step);
    }
    commitProducts();
    pin(sums);
  }

  /// Lanes 0 and 1 tell the two blocks of the cluster; `empty` is the barrier of
  /// stage 0 in theirs.
  static __device__ void release(uint32_t empty, int stage) {
    if (threadIdx.x % 32 < kGroupedCluster)
      arriveThere(empty + stage * 8);
    __syncwarp();
  }

  /// FP8: the sums of a block of K leave the tensor cores to be scaled and added
  /// in F32. The warpgroups take turns: one multiplies while the other adds.
  __device__ void multiplyScaled(const Tile &tile, int half, uint32_t empty,
                                 Cursor &stage, float (&sums)[kCols / 2]) {
    int row = half * 64 + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
    bool takesPart = tile.rows > half * 64 && !tile.dead;
    Operands first = operandsOf(half);
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
#pragma unroll 1
    for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
      float part[kCols / 2], rhs[2] = {lowScale, highScale};
      if constexpr (kScale == GroupedScale::RowSquare) {
        if (depth + kDepth < tile.end) {
          low += args.rhsScaleInner;
          high += args.rhsScaleInner;
        }
        lowScale = __ldg(low);
        highScale = __ldg(high);
      }
      wait(at(&shared.full[stage.index]), stage.parity);
      if (args.reduction && tile.end - depth < kDepth)
        clearTail(stage.index, tile.end - depth);
      float lhs[2];
      if constexpr (kByBlock) {
        lhs[0] = shared.lhsScales[stage.index][row];
        lhs[1] = shared.lhsScales[stage.index][row + 8];
      }
      Operands operands = operandsAt(first, stage.index);
      syncNamed(kTurn + half, 256);
      if (takesPart)
        multiplyBlock(operands, part, false);
      arriveNamed(kTurn + 1 - half, 256);
      waitProducts<0>();
      pin(part);
      if constexpr (kScale != GroupedScale::RowRow)
        release(empty, stage.index);
      if (takesPart) {
        if constexpr (kScale == GroupedScale::RowSquare) {
#pragma unroll
          for (int i = 0; i < 3; ++i) {
            float col = i == 0 || (i == 1 && middleIsLow) ? rhs[0] : rhs[1];
            float scale[2] = {lhs[0] * col, lhs[1] * col};
#pragma unroll
            for (int j = i * 32; j < i * 32 + 32; ++j)
              sums[j] = __fmaf_rn(part[j], scale[j / 2 % 2], sums[j]);
          }
        } else if constexpr (kScale == GroupedScale::RowRow) {
          const float2 *cols = reinterpret_cast<const float2 *>(
                                   shared.rhsScales[stage.index]) +
                               threadIdx.x % 4;
#pragma unroll
          for (int j = 0; j < kCols / 8; ++j) {
            float2 col = cols[j * 4];
#pragma unroll
            for (int i = 0; i < 4; ++i)
              sums[4 * j + i] =
                  __fmaf_rn(part[4 * j + i] * (i % 2 ? col.y : col.x),
                            lhs[i / 2], sums[4 * j + i]);
          }
        } else {
#pragma unroll
          for (int j = 0; j < kCols / 2; ++j)
            sums[j] += part[j];
        }
      }
      if constexpr (kScale == GroupedScale::RowRow)
        release(empty, stage.index);
      stage.advance(kStages);
    }
  }

  /// BF16: the tensor cores add all of K.
  __device__ void multiplyPlain(const Tile &tile, int half, uint32_t empty,
                                Cursor &stage, float (&sums)[kCols / 2]) {
    bool takesPart = tile.rows > half * 64 && !tile.dead;
    Operands first = operandsOf(half);
    int previous = -1;
#pragma unroll 1
    for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
      wait(at(&shared.full[stage.index]), stage.parity);
      if (args.reduction && tile.end - depth < kDepth)
        clearTail(stage.index, tile.end - depth);
      if (takesPart)
        multiplyBlock(operandsAt(first, stage.index), sums, true);
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
    uint32_t empty = addressIn(at(&shared.empty[0]),
                               threadIdx.x % 32 % kGroupedCluster);
    Cursor slot, stage;
    Tile tile;
    Store<kCols, kStoreCols> store(args, shared.store[half], half,
                                   kStore + half);
    while (nextTile(slot, tile)) {
      float factors[2] = {1.0f, 1.0f};
      const GroupedItem &item = args.items[tile.group];
      if constexpr (kScale == GroupedScale::Tensor) {
        factors[0] = args.lhsScales[args.lhsScalePerGroup ? tile.group : 0];
        factors[1] = *item.rhsScales;
      }
      float sums[kCols / 2];
#pragma unroll
      for (float &sum : sums)
        sum = 0.0f;
      if constexpr (takesTurns)
        multiplyScaled(tile, half, empty, stage, sums);
      else
        multiplyPlain(tile, half, empty, stage, sums);
      if constexpr (kScale == GroupedScale::Tensor)
#pragma unroll
        for (float &sum : sums)
          sum = sum * factors[0] * factors[1];
      if (tile.rows > half * 64 && !tile.dead)
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

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_GEMM_CUH
