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

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void
Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::multiplyRowRow(
    const Tile &tile, int half, uint32_t empty, Cursor &stage,
    float (&sums)[kCols / 2]) {
  int row = half * 64 + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
  // A thread has two neighbours of the row's eight factors: h and m, l and h, m
  // and h, or any.
  bool hasLow = threadIdx.x % 4 == 1;
  uint32_t order = threadIdx.x % 4 == 0 ? 0x7632 : 0x3276;
  Operands first = operandsOf(half), operands = operandsAt(first, stage.index);
  uint32_t factors = at(shared.factors[0]) >> 4;
  int tail = tailOf(tile);
  uint32_t high[2], rest[2];
  auto loadRows = [&] {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      Factors of(shared.lhsScales[stage.index][row + i * 8]);
      high[i] = of.high;
      rest[i] = hasLow ? of.low : of.middle;
      keep(high[i]), keep(rest[i]);
    }
  };
  bool isFull = false;
#pragma unroll 1
  for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
    if (!isFull) {
      wait(at(&shared.full[stage.index]), stage.parity);
      loadRows();
    }
    if (depth == tail)
      clearTail(stage.index, tile.end - depth);
    float part[kCols / 2], scales[kCols / 2];
    uint32_t upper = __byte_perm(high[0], rest[0], order);
    uint32_t lower = __byte_perm(high[1], rest[1], order);
    pin(scales);
    pin(part);
    fenceRegisters();
    multiplyFactors(scales, upper, lower,
                    factors + stage.index * (sizeof(shared.factors[0]) / 16));
#pragma unroll
    for (int step = 0; step < 4; ++step)
      multiply<kLhs, kRhs>(part, operands.lhs + step * kNextStep<kLhsMajor>,
                           operands.rhs + step * kNextStep<kRhsMajor>, step);
    commitProducts();
    pin(part);
    pin(scales);

    int current = stage.index;
    stage.advance(kStages);
    operands = operandsAt(first, stage.index);
    // While this block is multiplied, where the next one is there.
    isFull =
        depth + kDepth < tile.end &&
        __all_sync(~0u, isDone(at(&shared.full[stage.index]), stage.parity));
    if (isFull)
      loadRows();
    waitProducts<0>();
    keep(upper), keep(lower);
    pin(part);
    pin(scales);
    release(empty, current);
#pragma unroll
    for (int j = 0; j < kCols / 2; ++j)
      sums[j] = __fmaf_rn(part[j], scales[j], sums[j]);
  }
  pairUp(sums);
}

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_ROWROW_CUH
