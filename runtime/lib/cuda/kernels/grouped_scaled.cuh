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
// a tile goes to shared memory while the first block of the next one is
// multiplied, and from there by a warp that does not multiply.
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
    empty = product.emptyOfLane();
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

  /// Adds the block when its product is there, to nothing where it is the first
  /// one; its operands are then free.
  template <bool isFirst = false, int size>
  __device__ void add(int stage, float (&part)[size],
                      float (&sums)[kCols / 2]) {
    waitProducts<0>();
    pin(part);
#pragma unroll
    for (int j = 0; j < size; ++j) {
      float sum = isFirst ? 0.0f : sums[j];
      sums[j] = kScale == GroupedScale::RowSquare
                    ? __fmaf_rn(part[j], scales[j / 32][j / 2 % 2], sum)
                    : sum + part[j];
      if (j == size / 2 - 1)
        product.release(empty, stage);
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
  StagedStore<kCols> store(at(&shared.store[half]),
                           at(&shared.staged.put[half]),
                           at(&shared.staged.sent[half]));
  Cursor slot, stage;
  int previous = -1; // group of the tile whose sums are there
  float sums[kCols / 2];
#pragma unroll
  for (float &sum : sums)
    sum = 0.0f;
  auto putPrevious = [&] {
    if (previous < 0)
      return;
    pairUp(sums);
    if constexpr (kScale == GroupedScale::Tensor)
      scaleSums(previous, sums);
    store.put(sums);
  };
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
    auto finishBlock = [&](auto isFirst, bool isLast) {
      int done = stage.index;
      stage.advance(kStages);
      block.multiplyScales();
      if (isLast)
        takeTile();
      else
        block.prepare(stage);
      block.template add<decltype(isFirst)::value>(done, part, sums);
    };
    block.multiply(part);
    putPrevious();
    finishBlock(std::true_type(), args.k <= kDepth);
#pragma unroll 1
    for (int depth = kDepth; depth < args.k; depth += kDepth) {
      block.multiply(part);
      finishBlock(std::false_type(), depth + kDepth >= args.k);
    }
  };
  while (isThere) {
    int group = uniform(next.group), cols = args.n - uniform(next.col);
    if (cols > 128)
      multiplyTile(std::integral_constant<int, 192>());
    else if (cols > 64)
      multiplyTile(std::integral_constant<int, 128>());
    else
      multiplyTile(std::integral_constant<int, 64>());
    previous = group;
  }
  putPrevious();
}

template <GroupedScale kScale, Element kLhs, Element kRhs, Major kLhsMajor,
          Major kRhsMajor>
__device__ void Product<kScale, kLhs, kRhs, kLhsMajor, kRhsMajor>::sendTiles() {
  Cursor slot;
  Tile tile, next;
  uint32_t parity = 0;
  bool isThere = __any_sync(~0u, nextTile(slot, tile));
  while (isThere) {
    // Its sums come when the next tile has begun, too.
    isThere = __any_sync(~0u, nextTile(slot, next));
    for (int half = 0; half < 2; ++half) {
      wait(at(&shared.staged.put[half]), parity);
      int rows = tile.dead ? 0 : min(tile.rows - half * 64, 64);
      StagedStore<kCols>::send(args, at(&shared.store[half]), rows,
                               tile.row + half * 64, tile.col, !isThere);
      __syncwarp();
      if (threadIdx.x % 32 == 0)
        arrive(at(&shared.staged.sent[half]));
    }
    parity ^= 1;
    tile = next;
  }
}

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_SCALED_CUH
