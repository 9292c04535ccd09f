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
  static constexpr int kSegments = kCols / 64;
  static constexpr int kRhsScales =
      kScale == GroupedScale::RowRow ? kCols : kSegments;
  static constexpr int kHalfRow = kLhsBytes / 2, kHalfCol = kRhsBytes / 2;

  struct Shared {
    uint8_t lhs[kStages][kLhsBytes]; // at a multiple of 1024
    uint8_t rhs[kStages][kRhsBytes];
    uint8_t store[2][64 * kStoreCols * 2];
    float lhsScales[kByBlock ? kStages : 1][kByBlock ? kGroupedRows : 4];
    float rhsScales[kByBlock ? kStages : 1][kByBlock ? kRhsScales : 4];
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
            memory + (-sharedAddress(memory) & 1023u))) {}

  __device__ void run() {
    if (threadIdx.x == 0) {
      for (int i = 0; i < kStages; ++i) {
        initBarrier(at(&shared.full[i]), 1 + (kByBlock ? 32 : 0));
        initBarrier(at(&shared.empty[i]), kGroupedCluster * 8);
      }
      for (int i = 0; i < kRingSlots; ++i) {
        initBarrier(at(&shared.tileFull[i]), 1);
        // The warps that load, and those that multiply.
        initBarrier(at(&shared.tileEmpty[i]), (kByBlock ? 2 : 1) + 8);
      }
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    syncCluster();
    int warpgroup = threadIdx.x / 128;
    if (warpgroup == 0) {
      giveRegisters<40>();
      int warp = threadIdx.x / 32;
      if (warp == 0)
        loadOperands();
      else if (warp == 1 && kByBlock)
        loadScales();
      else if (warp == 2)
        findTiles();
    } else {
      takeRegisters<232>();
      multiplyTiles(warpgroup - 1);
    }
    // The other block's shared memory must be there until nobody writes to it.
    syncCluster();
  }

private:
  static __device__ uint32_t at(const void *pointer) {
    return sharedAddress(pointer);
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
  __device__ bool nextTile(Cursor &slot, Tile &tile) {
    wait(at(&shared.tileFull[slot.index]), slot.parity);
    tile = shared.ring.tiles[slot.index];
    __syncwarp();
    if (threadIdx.x % 32 == 0)
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

  __device__ void loadLhs(uint32_t to, uint32_t barrier, int half, int depth,
                          int row, bool toBoth) {
    to += half * kHalfRow;
    row += half * 64;
    bool flat = kLhsMajor == Major::Reduction;
    int x = flat ? depth : row, y = flat ? row : depth;
    toBoth ? loadBoxToBoth(to, args.lhs, barrier, x, y, 0)
           : loadBox(to, args.lhs, barrier, x, y, 0);
  }

  __device__ void loadRhs(uint32_t to, uint32_t barrier, int half,
                          const TensorMap *map, int member, int depth, int col,
                          bool toBoth) {
    to += half * kHalfCol;
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

  /// Elements [0, outerEnd) x [0, depthEnd) of an operand, zeros behind them, to
  /// where a box would put them.
  template <Major major>
  static __device__ void
  copyByHand(uint8_t *to, const void *values, int64_t stride, int outer,
             int outerEnd, int outers, int depth, int depthEnd) {
    using Code = std::conditional_t<kElementBytes == 1, uint8_t, uint16_t>;
    constexpr bool flat = major == Major::Reduction;
    const Code *from = static_cast<const Code *>(values) +
                       (flat ? outer * stride + depth : depth * stride + outer);
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
    fenceProxy();
    __syncwarp();
  }

  /// Whether columns from `first` on begin at a multiple of 16 bytes.
  static __device__ bool isAligned(int first) {
    return first * kElementBytes % 16 == 0;
  }

  __device__ void loadOperands() {
    Cursor slot, stage;
    Tile tile;
    bool leader = threadIdx.x % 32 == 0;
    if (leader) {
      prefetchMap(args.lhs);
      prefetchMap(args.rhs);
      if (args.result)
        prefetchMap(args.result);
    }
    while (nextTile(slot, tile)) {
      const TensorMap *map =
          args.rhs + (args.rhsMaps == kGroupedEach ? tile.group : 0);
      int member = args.rhsMaps == kGroupedPacked ? tile.group : 0;
      uint32_t halves = tile.rows > 64 ? 2 : 1;
      bool lhsByHand = !isAligned(kLhsMajor == Major::Reduction ? tile.begin
                                                                : tile.row);
      bool rhsByHand = kRhsMajor == Major::Reduction && !isAligned(tile.begin);
      uint32_t bytes = (lhsByHand ? 0 : halves * kHalfRow) +
                       (rhsByHand ? 0 : kRhsBytes);
#pragma unroll 1
      for (int block = 0, blocks = numBlocks(tile); block < blocks; ++block) {
        wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
        int depth = tile.begin + block * kDepth;
        if (lhsByHand)
          copyByHand<kLhsMajor>(shared.lhs[stage.index], args.lhsValues,
                                args.lhsStride, tile.row, tile.rows,
                                kGroupedRows, depth, tile.end - depth);
        if (rhsByHand)
          copyByHand<kRhsMajor>(shared.rhs[stage.index], args.rhsValues,
                                args.rhsStride, tile.col, args.n - tile.col,
                                kCols, depth, tile.end - depth);
        if (leader) {
          uint32_t barrier = at(&shared.full[stage.index]);
          uint32_t lhs = at(shared.lhs[stage.index]);
          uint32_t rhs = at(shared.rhs[stage.index]);
          expectBytes(barrier, bytes);
          // Of what both blocks read, each loads a half.
          for (uint32_t half = 0; half < halves && !lhsByHand; ++half)
            if (tile.sharesRhs || half == rank)
              loadLhs(lhs, barrier, half, depth, tile.row, !tile.sharesRhs);
          for (uint32_t half = 0; half < 2 && !rhsByHand; ++half)
            if (!tile.sharesRhs || half == rank)
              loadRhs(rhs, barrier, half, map, member, depth, tile.col,
                      tile.sharesRhs);
        }
        __syncwarp();
        stage.advance(kStages);
      }
    }
  }

  __device__ void loadScales() {
    Cursor slot, stage;
    Tile tile;
    int lane = threadIdx.x % 32;
    while (nextTile(slot, tile)) {
      const float *lhs = args.lhsScales;
      const float *rhs = args.items[tile.group].rhsScales;
      if (args.reduction && args.offsets) {
        // Blocks begin anew at each group.
        int64_t first = tile.begin / kDepth + tile.group;
        lhs += first * args.lhsScaleInner;
        rhs += first * args.rhsScaleInner;
      }
      lhs += (tile.row + lane) * args.lhsScaleOuter;
#pragma unroll 1
      for (int block = 0, blocks = numBlocks(tile); block < blocks; ++block) {
        wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
        uint32_t to = at(shared.lhsScales[stage.index]) + lane * 4;
#pragma unroll
        for (int i = 0; i < kGroupedRows / 32; ++i)
          copyWord(to + i * 128, lhs + i * 32 * args.lhsScaleOuter,
                   i * 32 + lane < tile.rows);
        to = at(shared.rhsScales[stage.index]) + lane * 4;
        if constexpr (kScale == GroupedScale::RowRow) {
          int col = tile.col + lane;
#pragma unroll
          for (int i = 0; i < kCols / 32; ++i, col += 32)
            copyWord(to + i * 128, rhs + col * args.rhsScaleOuter,
                     col < args.n);
        } else if (lane < kSegments) {
          int segment = (tile.col + lane * 64) / 128;
          copyWord(to, rhs + segment * args.rhsScaleOuter,
                   segment < args.rhsBlocks);
        }
        arriveAfterCopies(at(&shared.full[stage.index]));
        stage.advance(kStages);
        lhs += args.lhsScaleInner;
        rhs += args.rhsScaleInner;
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

  __device__ void multiplyBlock(int stage, int half, float (&sums)[kCols / 2],
                                bool accumulates) {
    uint64_t lhs = describe<kLhsMajor>(at(shared.lhs[stage]) + half * kHalfRow);
    uint64_t rhs = describe<kRhsMajor>(at(shared.rhs[stage]));
    pin(sums);
    fenceRegisters();
#pragma unroll
    for (int step = 0; step < 4; ++step) {
      uint64_t a = lhs + step * kNextStep<kLhsMajor>;
      uint64_t b = rhs + step * kNextStep<kRhsMajor>;
      if constexpr (kScale == GroupedScale::None)
        multiply<kLhsMajor, kRhsMajor>(sums, a, b, accumulates || step);
      else
        multiply<kLhs, kRhs>(sums, a, b, accumulates || step);
    }
    commitProducts();
    pin(sums);
  }

  __device__ void release(int stage) {
    if (int lane = threadIdx.x % 32; lane < kGroupedCluster)
      arriveAt(at(&shared.empty[stage]), lane);
    __syncwarp();
  }

  /// FP8: the sums of a block of K leave the tensor cores to be scaled and added
  /// in F32. The warpgroups take turns: one multiplies while the other adds.
  __device__ void multiplyScaled(const Tile &tile, int half, Cursor &stage,
                                 float (&sums)[kCols / 2]) {
    int row = half * 64 + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
    bool takesPart = tile.rows > half * 64 && !tile.dead;
    for (int block = 0, blocks = numBlocks(tile); block < blocks; ++block) {
      float part[kCols / 2];
      wait(at(&shared.full[stage.index]), stage.parity);
      int valid = tile.end - tile.begin - block * kDepth;
      if (valid < kDepth && args.reduction)
        clearTail(stage.index, valid);
      float lhs[2], rhs[kSegments];
      if constexpr (kByBlock) {
        lhs[0] = shared.lhsScales[stage.index][row];
        lhs[1] = shared.lhsScales[stage.index][row + 8];
      }
      if constexpr (kScale == GroupedScale::RowSquare)
#pragma unroll
        for (int i = 0; i < kSegments; ++i)
          rhs[i] = shared.rhsScales[stage.index][i];
      syncNamed(kTurn + half, 256);
      if (takesPart)
        multiplyBlock(stage.index, half, part, false);
      arriveNamed(kTurn + 1 - half, 256);
      waitProducts<0>();
      pin(part);
      if constexpr (kScale != GroupedScale::RowRow)
        release(stage.index);
      if (takesPart) {
        if constexpr (kScale == GroupedScale::RowSquare) {
#pragma unroll
          for (int i = 0; i < kSegments; ++i) {
            float scale[2] = {lhs[0] * rhs[i], lhs[1] * rhs[i]};
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
            sums[4 * j] = __fmaf_rn(part[4 * j] * col.x, lhs[0], sums[4 * j]);
            sums[4 * j + 1] =
                __fmaf_rn(part[4 * j + 1] * col.y, lhs[0], sums[4 * j + 1]);
            sums[4 * j + 2] =
                __fmaf_rn(part[4 * j + 2] * col.x, lhs[1], sums[4 * j + 2]);
            sums[4 * j + 3] =
                __fmaf_rn(part[4 * j + 3] * col.y, lhs[1], sums[4 * j + 3]);
          }
        } else {
#pragma unroll
          for (int j = 0; j < kCols / 2; ++j)
            sums[j] += part[j];
        }
      }
      if constexpr (kScale == GroupedScale::RowRow)
        release(stage.index);
      stage.advance(kStages);
    }
  }

  /// BF16: the tensor cores add all of K.
  __device__ void multiplyPlain(const Tile &tile, int half, Cursor &stage,
                                float (&sums)[kCols / 2]) {
    bool takesPart = tile.rows > half * 64 && !tile.dead;
    int previous = -1;
    for (int block = 0, blocks = numBlocks(tile); block < blocks; ++block) {
      wait(at(&shared.full[stage.index]), stage.parity);
      int valid = tile.end - tile.begin - block * kDepth;
      if (valid < kDepth && args.reduction)
        clearTail(stage.index, valid);
      if (takesPart)
        multiplyBlock(stage.index, half, sums, true);
      waitProducts<1>();
      if (previous >= 0)
        release(previous);
      previous = stage.index;
      stage.advance(kStages);
    }
    waitProducts<0>();
    pin(sums);
    if (previous >= 0)
      release(previous);
  }

  __device__ void multiplyTiles(int half) {
    constexpr bool takesTurns = kScale != GroupedScale::None;
    if (takesTurns && half == 1)
      arriveNamed(kTurn, 256);
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
        multiplyScaled(tile, half, stage, sums);
      else
        multiplyPlain(tile, half, stage, sums);
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

/// Of FP8, each pair of types that may meet.
#define TE_GROUPED_FP8_KERNELS(name, scale)                                    \
  TE_GROUPED_KERNEL(name##_e4m3_e4m3, scale, Element::E4M3, Element::E4M3,     \
                    Major::Reduction, Major::Reduction)                        \
  TE_GROUPED_KERNEL(name##_e4m3_e5m2, scale, Element::E4M3, Element::E5M2,     \
                    Major::Reduction, Major::Reduction)                        \
  TE_GROUPED_KERNEL(name##_e5m2_e4m3, scale, Element::E5M2, Element::E4M3,     \
                    Major::Reduction, Major::Reduction)

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_GEMM_CUH
