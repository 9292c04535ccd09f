//===- grouped_rowrow.cuh - products with 1 x 128 scales on both sides ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Included by grouped_gemm.cuh.
//
// Each element of a block of K has a scale of its own, that of its row times
// that of its column. To read the columns' from shared memory and to multiply
// takes longer than the block's product. So the tensor cores make the scales
// too: a scale is the sum h + m + l of three BF16, and
//
//   row    h m l h m h . .
//   column h h h m m l 0 0
//
// multiply to the scale of the element but for 2^-23 of it, in the registers
// where its sum will be. That is a fifth instruction beside the four of FP8,
// and leaves one multiplication and addition for each element.
//
// Infinite scales make elements NaN.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_ROWROW_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_ROWROW_CUH

namespace te_rt {
namespace cuda {
namespace grouped {

/// A scale as three BF16, each in the upper half of a word: exact.
struct Factors {
  uint32_t high, middle, low;
  __device__ explicit Factors(float scale) {
    constexpr uint32_t upper = 0xffff0000u;
    high = __float_as_uint(scale) & upper;
    float rest = scale - __uint_as_float(high);
    middle = __float_as_uint(rest) & upper;
    low = __float_as_uint(rest - __uint_as_float(middle));
  }
  /// `first` in the lower half.
  static __device__ uint32_t pack(uint32_t first, uint32_t second) {
    return __byte_perm(first, second, 0x7632);
  }
};

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
template <typename ScaleOf>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::makeFactors(
    ScaleOf scaleOf, uint4 (&factors)[kCols / 32]) {
#pragma unroll
  for (int i = 0; i < kCols / 32; ++i) {
    Factors of(scaleOf(i * 32 + threadIdx.x % 32));
    factors[i] = make_uint4(Factors::pack(of.high, of.high),
                            Factors::pack(of.high, of.middle),
                            Factors::pack(of.middle, of.low), 0);
    keep(factors[i].x), keep(factors[i].y), keep(factors[i].z);
  }
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::putFactors(
    int stage, const uint4 (&factors)[kCols / 32]) {
#pragma unroll
  for (int i = 0; i < kCols / 32; ++i)
    shared.factors[stage][i * 32 + threadIdx.x % 32] = factors[i];
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::loadFactors(
    const Tile &tile, Cursor &stage, Cursor &slot) {
  int blocks = numBlocks(tile), lane = threadIdx.x % 32;
  uint32_t bytes = rhsScaleBytes(tile);
  const float *from = rhsScalesOf(tile) + tile.col * args.rhsScaleOuter;
  // Of a tile without columns, which is not stored, any scales do.
  auto fetch = [&](uint32_t to, int block) {
    if (bytes && lane == 0) {
      expectBytes(at(&shared.scalesFull[to]), bytes);
      loadRow(at(shared.rhsScales[to]), from + block * args.rhsScaleInner,
              bytes, at(&shared.scalesFull[to]));
    }
  };
  for (int block = 0; block < min(blocks, kScaleSlots); ++block)
    fetch((slot.index + block) % kScaleSlots, block);
#pragma unroll 1
  for (int block = 0; block < blocks; ++block) {
    if (bytes)
      wait(at(&shared.scalesFull[slot.index]), slot.parity);
    uint4 factors[kCols / 32];
    makeFactors([&](int i) { return shared.rhsScales[slot.index][i]; },
                factors);
    wait(at(&shared.empty[stage.index]), stage.parity ^ 1);
    putFactors(stage.index, factors);
    fenceProxy();
    __syncwarp();
    if (lane == 0)
      arrive(at(&shared.full[stage.index]));
    if (block + kScaleSlots < blocks)
      fetch(slot.index, block + kScaleSlots);
    if (bytes)
      slot.advance(kScaleSlots);
    stage.advance(kStages);
  }
}

/// What a thread knows of one block of K.
template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
class Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::RowRowBlock {
public:
  __device__ RowRowBlock(Product &product, int half)
      : product(product), first(product.operandsOf(half)),
        firstFactors(product.at(product.shared.factors[0]) >> 4 & 0x3fff) {
    uint32_t lane = threadIdx.x % 32;
    empty = addressIn(product.at(&product.shared.empty[0]),
                      lane % kGroupedCluster);
    uint32_t row = half * 64 + threadIdx.x % 128 / 32 * 16 + lane / 4;
    rowScales =
        product.at(&product.shared.lhsScales[0][0]) + row * sizeof(float);
    // A thread has two neighbours of the row's eight factors: h and m, l and h,
    // m and h, or any.
    order = lane % 4 == 0 ? 0x7632 : 0x3276;
    hasLow = lane % 4 == 1;
    keep(rowScales), keep(order), keep(hasLow);
  }

  /// Waits for the operands of a block of K, and reads the scales of rows.
  __device__ void prepare(const Cursor &stage) {
    wait(product.at(&product.shared.full[stage.index]), stage.parity);
    operands = operandsAt(first, stage.index);
    factors = firstFactors +
              stage.index * (sizeof(product.shared.factors[0]) / 16);
    keep(operands.lhs), keep(operands.rhs), keep(factors);
    uint32_t from =
        rowScales + stage.index * sizeof(product.shared.lhsScales[0]);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      Factors of(readShared(from + i * 8 * sizeof(float)));
      next[i] = __byte_perm(of.high, hasLow ? of.low : of.middle, order);
      keep(next[i]);
    }
  }

  __device__ void multiply(float (&part)[kCols / 2],
                           float (&scales)[kCols / 2]) {
    rows[0] = next[0], rows[1] = next[1];
    pin(scales);
    pin(part);
    fenceRegisters();
    multiplyFactors(scales, rows[0], rows[1], factors);
#pragma unroll
    for (int step = 0; step < 4; ++step)
      hopper::multiply<kLhs, kRhs>(
          part, operands.lhs + step * kNextStep<kLhsMajor>,
          operands.rhs + step * kNextStep<kRhsMajor>, step);
    commitProducts();
    pin(part);
    pin(scales);
  }

  /// Adds the block when its product is there; its operands are then free.
  __device__ void add(int stage, float (&part)[kCols / 2],
                      float (&scales)[kCols / 2], float (&sums)[kCols / 2]) {
    waitProducts<0>();
    keep(rows[0]), keep(rows[1]); // read until now
    pin(part);
    pin(scales);
#pragma unroll
    for (int j = 0; j < kCols / 2; ++j) {
      sums[j] = __fmaf_rn(part[j], scales[j], sums[j]);
      if (j == kCols / 4 - 1)
        release(empty, stage);
    }
  }

  /// A tile that the warpgroup has no rows of.
  __device__ void skip(const Tile &tile, int half, Cursor &stage) {
    product.skipBlocks(tile, half, empty, stage);
  }

private:
  Product &product;
  Operands first, operands; // of the first buffer, and of the next block
  uint32_t firstFactors, factors;
  uint32_t empty, rowScales, order, hasLow;
  uint32_t rows[2], next[2]; // of the block under way, and of the next one
};

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void
Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::multiplyRowRowTiles(
    int half) {
  RowRowBlock block(*this, half);
  Results store(args, shared.store[half], shared.boxes, half, kStore + half);
  Cursor slot, stage;
  Tile next;
  bool isThere, isPrepared;
  int previous = -1; // column of the tile before, if that is not stored
  float sums[kCols / 2];
  auto storePrevious = [&] {
    if (previous >= 0)
      store.addToBoxes(previous, sums);
    previous = -1;
#pragma unroll
    for (float &sum : sums)
      sum = 0.0f;
  };
  auto takeTile = [&] {
    isThere = __any_sync(~0u, nextTile(slot, next));
    next = uniform(next);
    isPrepared = isThere && hasRows(next, half) && next.begin < next.end;
    if (isPrepared)
      block.prepare(stage);
  };
  takeTile();
  while (isThere) {
    Tile tile = next;
    if (!hasRows(tile, half)) {
      storePrevious();
      block.skip(tile, half, stage);
      store.skip(tile);
      takeTile();
      continue;
    }
    int left = numBlocks(tile), tail = tailOf(tile);
    auto multiplyBlock = [&](auto meanwhile) {
      if (left == 1 && tail >= 0)
        clearTail(stage.index, tile.end - tail);
      float part[kCols / 2], scales[kCols / 2];
      block.multiply(part, scales);
      meanwhile();
      int done = stage.index;
      stage.advance(kStages);
      if (--left)
        block.prepare(stage);
      else
        takeTile();
      block.add(done, part, scales, sums);
    };
    if (left) {
      multiplyBlock(storePrevious);
    } else {
      storePrevious();
      takeTile();
    }
#pragma unroll 1
    while (left)
      multiplyBlock([] {});
    pairUp(sums);
    if (args.sums)
      previous = tile.col;
    else
      store.run(tile, args.items[tile.group], sums);
  }
  storePrevious();
  store.finish();
}

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_ROWROW_CUH
