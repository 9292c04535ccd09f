//===- grouped_scaled.cuh - FP8 with a scale for 128 columns, or for all --===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Included by grouped_gemm.cuh. The sums of a block of K leave the tensor cores
// to be scaled and added in F32.
//
// Between the end of a block's multiplication and the start of the next one
// stand only these additions: all else is done while the tensor cores work, the
// wait for the next block included. So one warpgroup adds while the other
// multiplies, and the tensor cores never idle. Where results are only written,
// a tile is stored while the first block of the next one is multiplied.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_SCALED_CUH
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_SCALED_CUH

namespace te_rt {
namespace cuda {
namespace grouped {

/// What a thread knows of one block of K.
template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
class Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::ScaledBlock {
public:
  __device__ ScaledBlock(Product &product, int half)
      : product(product), first(product.operandsOf(half)) {
    int lane = threadIdx.x % 32;
    empty = addressIn(product.at(&product.shared.empty[0]),
                      lane % kGroupedCluster);
    int row = half * 64 + threadIdx.x % 128 / 32 * 16 + lane / 4;
    rowScales =
        product.at(&product.shared.lhsScales[0][0]) + row * sizeof(float);
    keep(rowScales);
  }

  /// Waits for the operands of a block of K, and reads its scales.
  __device__ void prepare(const Cursor &stage) {
    operands = operandsAt(first, stage.index);
    keep(operands.lhs), keep(operands.rhs); // now, not where they are used
    wait(product.at(&product.shared.full[stage.index]), stage.parity);
    if constexpr (kScale == GroupedScale::RowSquare) {
      uint32_t from =
          rowScales + stage.index * sizeof(product.shared.lhsScales[0]);
      lhs[0] = readShared(from);
      lhs[1] = readShared(from + 8 * sizeof(float));
      rhs = readSharedFour(product.at(&product.shared.rhsScales[stage.index]));
    }
  }

  template <int size> __device__ void multiply(float (&part)[size]) {
    multiplyBlock(operands, part, false);
  }

  /// Scales of the block that is being multiplied, before those of the next one
  /// are read.
  __device__ void multiplyScales() {
    if constexpr (kScale == GroupedScale::RowSquare)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        scales[0][i] = lhs[i] * rhs.x;
        scales[1][i] = lhs[i] * rhs.y;
        scales[2][i] = lhs[i] * rhs.z;
        keep(scales[0][i]), keep(scales[1][i]), keep(scales[2][i]);
      }
  }

  /// Adds the block when its product is there; its operands are then free.
  template <int size>
  __device__ void add(int stage, float (&part)[size],
                      float (&sums)[kCols / 2]) {
    waitProducts<0>();
    pin(part);
#pragma unroll
    for (int j = 0; j < size; ++j) {
      sums[j] = kScale == GroupedScale::RowSquare
                    ? __fmaf_rn(part[j], scales[j / 32][j / 2 % 2], sums[j])
                    : sums[j] + part[j];
      if (j == size / 2 - 1)
        release(empty, stage);
    }
  }

private:
  Product &product;
  Operands first, operands; // of the first buffer, and of the next block
  uint32_t empty, rowScales;
  float lhs[2], scales[3][2];
  float4 rhs; // of the first 64 columns, those between, and the last
};

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void
Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::multiplyScaled(
    const Tile &tile, int half, Cursor &stage, float (&sums)[kCols / 2]) {
  ScaledBlock block(*this, half);
  int tail = tailOf(tile);
  if (tile.begin < tile.end)
    block.prepare(stage);
#pragma unroll 1
  for (int depth = tile.begin; depth < tile.end; depth += kDepth) {
    float part[kCols / 2];
    if (depth == tail)
      clearTail(stage.index, tile.end - depth);
    block.multiply(part);
    int done = stage.index;
    stage.advance(kStages);
    block.multiplyScales();
    if (depth + kDepth < tile.end)
      block.prepare(stage);
    block.add(done, part, sums);
  }
  pairUp(sums);
  if constexpr (kScale == GroupedScale::Tensor)
    scaleSums(tile.group, sums);
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void
Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::multiplyStagedTiles(
    int half) {
  ScaledBlock block(*this, half);
  StagedStore<kCols> store(args, at(&shared.store[half]), half);
  Cursor slot, stage;
  Tile previous = {}; // of no rows
  previous.group = args.firstGroup;
  float sums[kCols / 2];
  auto clear = [&] {
#pragma unroll
    for (int i = 0; i < kCols / 2; ++i)
      sums[i] = 0.0f;
  };
  auto putPrevious = [&] {
    pairUp(sums);
    if constexpr (kScale == GroupedScale::Tensor)
      scaleSums(previous.group, sums);
    store.put(sums);
    clear();
  };
  clear();
  Tile next;
  bool isThere;
  auto takeTile = [&] {
    isThere = __any_sync(~0u, nextTile(slot, next));
    if (isThere)
      block.prepare(stage);
  };
  takeTile();
  // Columns that the last tile lacks are not multiplied.
  auto multiplyTile = [&](auto cols) {
    float part[decltype(cols)::value / 2];
    auto finishBlock = [&](bool isLast) {
      int done = stage.index;
      stage.advance(kStages);
      block.multiplyScales();
      if (isLast)
        takeTile();
      else
        block.prepare(stage);
      block.add(done, part, sums);
    };
    block.multiply(part);
    putPrevious();
    if (args.k <= kDepth)
      store.send(previous);
    finishBlock(args.k <= kDepth);
#pragma unroll 1
    for (int depth = kDepth; depth < args.k; depth += kDepth) {
      block.multiply(part);
      if (depth == kDepth)
        store.send(previous);
      finishBlock(depth + kDepth >= args.k);
    }
  };
  while (isThere) {
    Tile tile = uniform(next);
    int cols = args.n - tile.col;
    if (cols > 128)
      multiplyTile(std::integral_constant<int, 192>());
    else if (cols > 64)
      multiplyTile(std::integral_constant<int, 128>());
    else
      multiplyTile(std::integral_constant<int, 64>());
    previous = tile;
    if (tile.dead)
      previous.rows = 0;
  }
  putPrevious();
  store.send(previous);
}

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_SCALED_CUH
