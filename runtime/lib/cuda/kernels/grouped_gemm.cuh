//===- grouped_gemm.cuh - products of all groups in one launch ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   work      a block of three warpgroups on each multiprocessor, two blocks
//             to a cluster; tiles of 128 x 192 (BF16: 256, 1 x 128 scales on
//             both sides: 128), K in blocks of 128 bytes in four buffers. Of
//             the first warpgroup one warp draws tiles, one starts copies, one
//             brings scales, one sends results; the others multiply 64 rows
//             each
//   flops     2 m n k; BF16 and FP8 tensor cores
//   moves     operands from the L2 once for each tile, what two blocks share
//             once for both; the result once
//   bound     tensor cores, and the power they take: 1585 TFLOP/s of FP8 with
//             scales of 128 x 128 on an H200, 1230 with 1 x 128 on both sides;
//             memory where a group has few rows, or is the reduction
//   measured  docs/Benchmarks.md, Products on an H200
//   not here  operands that the copy engine cannot read at all (gemm.cu)
//
// The sum of an element is of its own K in ascending order: the same bits in
// any tile, at any time, whatever other groups hold.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_GEMM_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_GEMM_CUH

#include "cuda/kernels/grouped_staged.cuh"
#include "cuda/kernels/grouped_store.cuh"
#include "cuda/kernels/grouped_tiles.cuh"
#include "cuda/kernels/wgmma.cuh"

namespace te_rt {
namespace cuda {
namespace grouped {
using namespace hopper;

/// Named barriers of the two warpgroups that multiply; 0 is __syncthreads. There
/// is one kTail for each stage.
enum : int { kStore = 1, kTail = 3 };

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
  /// Whether a warp brings the scales of columns, besides the copy engine.
  static constexpr bool kHasScaleWarp = kByBlock;
  static constexpr int kHalfRow = kLhsBytes / 2, kHalfCol = kRhsBytes / 2;

  /// Whether the tensor cores make the scales, in grouped_rowrow.cuh.
  static constexpr bool kHasFactors = kScale == GroupedScale::RowRow;
  static constexpr int kScaleSlots = 8;
  /// The warp that draws tiles.
  static constexpr int kFind = 2;

  /// Arrivals by which a warp releases a stage.
  static constexpr int kReleases = kByBlock ? 32 + 1 : kGroupedCluster;

  using Results = Store<kCols, kStoreCols>;
  static constexpr int kBoxes = Results::kBoxes;

  struct Shared {
    uint8_t lhs[kStages][kLhsBytes]; // at multiples of 1024, as `memory` is
    uint8_t rhs[kStages][kRhsBytes];
    uint8_t store[2][64 * kStoreCols * 2];
    float lhsScales[kStages][kByBlock ? kGroupedRows : 4];
    // Of 1 x 128 scales on both sides, those of the columns, as multiplyFactors
    // reads them and as they come. It reads a stage's twice, but memcheck takes
    // it for as many bytes side by side, so that some have to follow.
    uint4 factors[kStages][kHasFactors ? kCols : 1];
    float rhsScales[kScaleSlots][kHasFactors ? kCols : 4];
    Ring ring;
    uint64_t full[kStages], empty[kStages], scalesFull[kScaleSlots];
    BoxBarriers<kBoxes> boxes;
    StagedBarriers staged;
    uint64_t copied; // by the lanes of loadTilesByHand
    BoxPlace places[kBoxes];
  };
  static_assert(sizeof(Shared) <= groupedSharedBytes(kScale), "shared memory");

public:
  __device__ Product(const GroupedArgs &args, uint8_t *memory)
      : args(args), rank(clusterRank()),
        shared(*reinterpret_cast<Shared *>(memory)), base(sharedAddress(&shared)) {
    keep(base);
  }

  /// Staged: results are BF16 that is only written, to groups of rows.
  template <bool staged> __device__ void run() {
    // The compiler does not know that all lanes have the same.
    int warp = __shfl_sync(~0u, threadIdx.x / 32, 0);
    letNextBegin();
    if (threadIdx.x == 0) {
      for (int i = 0; i < kStages; ++i) {
        initBarrier(at(&shared.full[i]), 1 + kHasScaleWarp);
        initBarrier(at(&shared.empty[i]), 8 * kReleases);
      }
      // Warps, but of moveSums one thread.
      tiles().init((2 + 8) * 32 + (staged ? 32 : 1));
      for (int i = 0; i < kScaleSlots; ++i)
        initBarrier(at(&shared.scalesFull[i]), 1);
      initBarrier(at(&shared.copied), 32);
      for (int i = 0; i < kBoxes; ++i) {
        initBarrier(at(&shared.boxes.loaded[i]), 1);
        initBarrier(at(&shared.boxes.added[i]), 8);
      }
      for (int half = 0; half < 2; ++half) {
        initBarrier(at(&shared.staged.put[half]), 4);
        initBarrier(at(&shared.staged.sent[half]), 1);
      }
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    arriveCluster();
    if (warp != kFind)
      waitCluster();
    if (warp < 4) {
      giveRegisters<56>();
      if (warp == 0) {
        loadTiles();
      } else if (warp == 1) {
        loadTilesByHand();
      } else if (warp == kFind) {
        tiles().find(kCols);
      } else if constexpr (staged) {
        sendTiles();
      } else if (isElected()) {
        moveSums();
      }
    } else {
      takeRegisters<224>();
      if constexpr (staged)
        multiplyStagedTiles(warp / 4 - 1);
      else
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

  __device__ Tiles tiles() const {
    return {args, shared.ring, at(&shared.ring), rank};
  }
  __device__ bool nextTile(Cursor &slot, Tile &tile) const {
    return tiles().next(slot, tile);
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
    if constexpr (kHasFactors)
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
    return tile.rhsScales +
           firstBlock(tile) * args.rhsScaleInner;
  }
  /// Blocks begin anew at each group.
  __device__ int64_t firstBlock(const Tile &tile) const {
    return args.reduction && args.offsets ? tile.begin / kDepth + tile.group
                                          : 0;
  }

  static __device__ void load(bool toBoth, uint32_t to, const TensorMap *map,
                              uint32_t barrier, int x, int y, int z,
                              Policy policy);
  __device__ void loadLhs(int stage, int half, int depth, int row, bool toBoth,
                          Policy policy);
  __device__ void loadRhs(int stage, int half, const TensorMap *map, int member,
                          int depth, int col, bool toBoth, Policy policy);
  /// A warp, one thread of which starts the copy engine.
  __device__ void loadTiles();
  /// Elements [0, outerEnd) x [0, depthEnd) of an operand, zeros behind them,
  /// to where a box would put them.
  template <Major major>
  static __device__ void copyOperand(uint8_t *to, const void *values,
                                     int64_t stride, int outer, int outerEnd,
                                     int outers, int depth, int depthEnd);
  /// A warp that copies what the copy engine cannot, and brings the scales of
  /// columns.
  __device__ void loadTilesByHand();
  /// Scales of blocks of 128 x 128: of a tile's first 64 columns, of those
  /// between, and of the last 64.
  __device__ float4 squareScales(const Tile &tile, int block) const;
  /// These, of all of a tile of which nothing else is copied by hand.
  __device__ void loadSquareScales(const Tile &tile, Cursor &stage);
  /// The scales of a tile's columns in the form that multiplyFactors reads:
  /// those of a thread, every 32nd; `scaleOf` tells that of a column.
  template <typename ScaleOf>
  static __device__ void makeFactors(ScaleOf scaleOf,
                                     uint4 (&factors)[kCols / 32]);
  __device__ void putFactors(int stage, const uint4 (&factors)[kCols / 32]);
  /// These, of all of a tile of which nothing else is copied by hand. Scales
  /// come to shared memory well before they are wanted, to `slot`.
  __device__ void loadFactors(const Tile &tile, Cursor &stage, Cursor &slot);

  /// One thread, which moves the boxes of sums between memory and Store.
  __device__ void moveSums();

  //===--------------------------------------------------------------------===//
  // Products
  //===--------------------------------------------------------------------===//

  /// Zeros behind the end of a group's reduction, where another's begins.
  __device__ void clearTail(int stage, int valid, bool multiplies = true);

  /// Descriptors of the operands of stage 0.
  struct Operands {
    uint32_t lhs, rhs;
  };
  __device__ Operands operandsOf(int half) const {
    return {describe<kLhsMajor>(at(shared.lhs[0]) + half * kHalfRow),
            describe<kRhsMajor>(at(shared.rhs[0]))};
  }

  static __device__ Operands operandsAt(const Operands &first, int stage) {
    return {first.lhs + stage * (kLhsBytes / 16),
            first.rhs + stage * (kRhsBytes / 16)};
  }

  template <int size>
  static __device__ void multiplyBlock(const Operands &operands,
                                       float (&sums)[size], bool accumulates) {
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

  /// A warp tells both blocks of the cluster that it has no use of a stage, each
  /// lane its own if it has read scales there: what another lane tells is not
  /// ordered behind that in the eyes of racecheck. `empty`: of emptyOfLane.
  __device__ void release(uint32_t empty, int stage) {
    if constexpr (kByBlock)
      arrive(at(&shared.empty[stage]));
    if (threadIdx.x % 32 < (kByBlock ? 1 : kGroupedCluster))
      arriveThere(empty + stage * 8);
    __syncwarp();
  }
  /// The barrier of stage 0 that this lane tells, in a block of the cluster.
  __device__ uint32_t emptyOfLane() const {
    return addressIn(at(&shared.empty[0]),
                     kByBlock ? rank ^ 1
                              : threadIdx.x % 32 % kGroupedCluster);
  }

  /// Has sums lie in pairs of registers, the second one first: an element is
  /// then in another bank than the part that is added to it. The stores, to
  /// which no thread comes, want their operands so.
  __device__ void pairUp(float (&sums)[kCols / 2]) {
    if (args.k >= 0)
      return;
#pragma unroll
    for (int i = 0; i < kCols / 2; i += 4)
      asm volatile("st.shared.v4.f32 [%4], {%0, %1, %2, %3};" ::"f"(sums[i + 1]),
                   "f"(sums[i]), "f"(sums[i + 3]), "f"(sums[i + 2]),
                   "r"(base + i * 4));
  }

  /// Where the block begins behind whose end another group's elements are.
  __device__ int tailOf(const Tile &tile) const {
    int rest = (tile.end - tile.begin) % kDepth;
    return args.reduction && rest ? tile.end - rest : -1;
  }

  /// A warpgroup whose rows are not there keeps step with the other one.
  __device__ void skipBlocks(const Tile &tile, int half, uint32_t empty,
                             Cursor &stage);
  static __device__ bool hasRows(const Tile &tile, int half) {
    return tile.rows > half * 64 && !tile.dead;
  }
  class ScaledBlock;
  /// FP8 with one scale for 128 columns or for all: the sums of a block of K
  /// leave the tensor cores to be scaled and added in F32.
  __device__ void multiplyScaled(const Tile &tile, int half, Cursor &stage,
                                 float (&sums)[kCols / 2]);
  /// All tiles of such, of which BF16 is only written.
  __device__ void multiplyStagedTiles(int half);
  /// A warp, which sends their results.
  __device__ void sendTiles();
  __device__ void scaleSums(int group, float (&sums)[kCols / 2]) {
    float lhs = args.lhsScales[args.lhsScalePerGroup ? group : 0];
    float rhs = *args.items[group].rhsScales;
#pragma unroll
    for (int i = 0; i < kCols / 2; ++i)
      sums[i] = sums[i] * lhs * rhs;
  }
  /// A tile of FP8 with a scale for each column, likewise.
  __device__ void multiplyRowRow(const Tile &tile, int half, uint32_t empty,
                                 Cursor &stage, float (&sums)[kCols / 2]);
  /// BF16: the tensor cores add all of K.
  __device__ void multiplyPlain(const Tile &tile, int half, uint32_t empty,
                                Cursor &stage, float (&sums)[kCols / 2]);

  /// All tiles but those of multiplyStagedTiles.
  __device__ void multiplyTiles(int half);

  const GroupedArgs &args;
  uint32_t rank;
  Shared &shared;
  uint32_t base; // its address
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#include "cuda/kernels/grouped_load.cuh"
#include "cuda/kernels/grouped_multiply.cuh"
#include "cuda/kernels/grouped_rowrow.cuh"
#include "cuda/kernels/grouped_scaled.cuh"
#include "cuda/kernels/grouped_sums.cuh"

#define TE_GROUPED_KERNEL(name, staged, ...)                                   \
  TE_GROUPED_CLUSTERS(                                                         \
      name, kGroupedThreads, te_rt::cuda::GroupedArgs,                         \
      te_rt::cuda::grouped::Product<__VA_ARGS__>(args, memory)                 \
          .template run<staged>())

/// Of FP8, each pair of types that may meet.
#define TE_GROUPED_FP8_KERNELS(name, staged, scale)                            \
  TE_GROUPED_KERNEL(name##_e4m3_e4m3, staged, scale, Element::E4M3,            \
                    Element::E4M3, Major::Reduction, Major::Reduction)         \
  TE_GROUPED_KERNEL(name##_e4m3_e5m2, staged, scale, Element::E4M3,            \
                    Element::E5M2, Major::Reduction, Major::Reduction)         \
  TE_GROUPED_KERNEL(name##_e5m2_e4m3, staged, scale, Element::E5M2,            \
                    Element::E4M3, Major::Reduction, Major::Reduction)

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_GEMM_CUH
