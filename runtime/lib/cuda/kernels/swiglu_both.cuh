//===- swiglu_both.cuh - gated activations, cast both ways ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The sources of swiglu.cuh under CastSink, for blocks of 1 x 128 of rows and of
// 128 x 1 of columns, to the same bits in fewer instructions.
//
// A warp makes 16 rows of a tile, where their inputs came to, and then casts
// these rows and, when all have made theirs, 16 columns: so that columns need no
// stage of their own, and a warp finds all of its scales. What comes next is
// requested as soon as its place is free.
//
// Rows are multiples of sixteen elements, and aligned to that.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_SWIGLU_BOTH_CUH
#define TE_RUNTIME_CUDA_KERNELS_SWIGLU_BOTH_CUH

#include "cuda/kernels/both_casts.cuh"
#include "cuda/kernels/swiglu_stream.cuh"

namespace te_rt {
namespace cuda {
namespace both {

//===----------------------------------------------------------------------===//
// Sources
//===----------------------------------------------------------------------===//

/// The probabilities of a thread's rows; lane i of four keeps that of row i.
struct Probs {
  float own;
  __device__ void load(const Self &self, const RowSource &source,
                       const Place &place) {
    int row = self.row() + self.lane % kRows;
    own = source.probs && row < place.rows
              ? __ldg(source.probs + place.row0 + row)
              : 1.0f;
  }
  __device__ float of(int i) const { return __shfl_sync(~0u, own, i, kRows); }
};

/// The sums of a thread's rows over a tile, to the bits of reduceRows.
struct Sums {
  float kept = 0.0f;
  /// Of the first and the last eight columns of row i of this thread.
  __device__ void add(const Self &self, int i, float first, float last) {
    bool upper = self.lane & 4;
    float sum = upper ? last : first;
    sum += __shfl_xor_sync(~0u, upper ? first : last, 4);
    sum += __shfl_xor_sync(~0u, sum, 2);
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 4);
    kept = self.lane % kRows == i ? sum : kept;
  }
  __device__ void store(const Self &self, const RowSource &source,
                        const Place &place) const {
    int64_t tile = place.col0 / kTile;
    int row = self.row() + self.lane % kRows;
    // Of rows that are not there too, since settle reads four at a time.
    if (source.gradProbs && tile < source.probTiles && self.lane % 8 < kRows)
      __stcg(partialsOf(source, place, tile) + row, kept);
  }
};

/// A source requests its inputs into slots, from which it makes part p of a tile
/// in slot p: a, b, and the gradients of the activation.
struct Inputs {
  Probs probs;

  /// From column `col` on of the tile.
  __device__ void requestFrom(const TileArgs &args, const Self &self,
                              const Spot &spot, int slot, int col) {
    int row = self.requestRow();
    if (slot == 2) {
      self.request(slot, spot.grad + (row * spot.width + col), spot.width,
                   spot);
      return;
    }
    if (slot == 0)
      probs.load(self, args.task.source, spot.place);
    int stride = 2 * spot.width;
    self.request(slot, spot.input + (row * stride + col + slot * spot.width),
                 stride, spot);
  }
};

/// silu(a) * b * prob.
struct Swiglu : Inputs {
  static constexpr int kParts = 1, kSlots = 2;

  __device__ void request(const TileArgs &args, const Self &self,
                          const Spot &spot, int slot) {
    requestFrom(args, self, spot, slot, self.requestCol());
  }
  __device__ void make(const TileArgs &, const Self &self, const Spot &) {
#pragma unroll 1
    for (int i = 0; i < kRows; ++i) {
      float p = probs.of(i);
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        int own = self.own + i * kPitch + k * self.step;
        auto a = read(own), b = read(own + kSlot);
        float values[8];
#pragma unroll
        for (int j = 0; j < 8; ++j)
          values[j] = silu<BF16>(a.get(0, j)) * b.get(0, j) * p;
        write(own, values);
      }
    }
  }
};

/// The gradients of a and of b, which have a part each.
struct SwigluBackward : Inputs {
  static constexpr int kParts = 2, kSlots = 3;

  __device__ void request(const TileArgs &args, const Self &self,
                          const Spot &spot, int slot) {
    requestFrom(args, self, spot, slot, self.requestCol());
  }
  __device__ void make(const TileArgs &args, const Self &self,
                       const Spot &spot) {
    Sums sums;
#pragma unroll 1
    for (int i = 0; i < kRows; ++i) {
      float p = probs.of(i), sum[2] = {};
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        int own = self.own + i * kPitch + k * self.step;
        auto a = read(own), b = read(own + kSlot), g = read(own + 2 * kSlot);
        float da[8], db[8];
#pragma unroll
        for (int j = 0; j < 8; ++j)
          swigluBackward<BF16>(g.get(0, j), a.get(0, j), b.get(0, j), p, da[j],
                               db[j], sum[k]);
        write(own, da);
        write(own + kSlot, db);
      }
      sums.add(self, i, sum[0], sum[1]);
    }
    sums.store(self, args.task.source, spot.place);
  }
};

/// Of any width: a tile of [da | db], which may hold columns of both.
struct SwigluBackwardAny : Inputs {
  static constexpr int kParts = 1, kSlots = 3;

  __device__ void request(const TileArgs &args, const Self &self,
                          const Spot &spot, int slot) {
    int col = self.requestCol();
    bool isRight = spot.place.col0 + col >= spot.width;
    // Gradients of b want none of it.
    if (slot != 1 || !isRight)
      requestFrom(args, self, spot, slot, col - (isRight ? spot.width : 0));
  }
  __device__ void make(const TileArgs &args, const Self &self,
                       const Spot &spot) {
    bool isRight = spot.place.col0 + self.col() >= spot.width;
    Sums sums;
#pragma unroll 1
    for (int i = 0; i < kRows; ++i) {
      float p = probs.of(i), sum[2] = {};
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        int own = self.own + i * kPitch + k * self.step;
        auto a = read(own), g = read(own + 2 * kSlot);
        float values[8], db;
        if (isRight) {
#pragma unroll
          for (int j = 0; j < 8; ++j)
            values[j] = swigluBackwardRight<BF16>(g.get(0, j), a.get(0, j), p);
        } else {
          auto b = read(own + kSlot);
#pragma unroll
          for (int j = 0; j < 8; ++j)
            swigluBackward<BF16>(g.get(0, j), a.get(0, j), b.get(0, j), p,
                                 values[j], db, sum[k]);
        }
        write(own, values);
      }
      sums.add(self, i, sum[0], sum[1]);
    }
    sums.store(self, args.task.source, spot.place);
  }
};

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// Of the threads that have read columns of a part, and of the lanes of a warp
/// that have read its rows of a part or, the last, what parts are made of;
/// completed once for each tile.
template <int kParts> struct Readers {
  uint64_t columns[kParts], rows[kParts + 1][kWarps];
  /// One thread calls it, before a barrier of all.
  __device__ void init() {
    for (uint64_t &ofPart : columns)
      bulk::init(ofPart, kThreads);
    for (auto &ofPart : rows)
      for (uint64_t &ofWarp : ofPart)
        bulk::init(ofWarp, 32);
  }
  /// Until all lanes have read their rows.
  __device__ void meet(int part, const Self &self, uint32_t parity) {
    bulk::arrive(rows[part][self.warp]);
    bulk::wait(rows[part][self.warp], parity);
  }
};

/// What the threads that hold tiles do.
template <typename Source>
__device__ inline void castTiles(const TileArgs &args, TileRing<Spot> &ring,
                                 Readers<Source::kParts> &readers) {
  Self self;
  Source source;
  TileRing<Spot>::Cursor cursor(ring);
  if (!cursor.own().isEnd)
#pragma unroll
    for (int slot = 0; slot < Source::kSlots; ++slot)
      source.request(args, self, cursor.own(), slot);
  uint32_t parity = 0; // of a part's readers
#pragma unroll 1
  for (; !cursor.own().isEnd; cursor.advance(), parity ^= 1) {
    const Spot &spot = cursor.own();
    waitForRequests();
    source.make(args, self, spot);
    cursor.take();
    readers.meet(Source::kParts, self, parity);
    const Spot &next = cursor.next();
    bool isEnd = next.isEnd;
    if (!isEnd)
#pragma unroll
      for (int slot = Source::kParts; slot < Source::kSlots; ++slot)
        source.request(args, self, next, slot);
    cursor.waitForAll(); // all is made
#pragma unroll 1
    for (int part = 0; part < Source::kParts; ++part) {
      ColumnsOfTile columns;
      columns.load(self, part);
      bulk::arrive(readers.columns[part]);
      columns.chooseScale(args, self, spot, part);
      columns.cast(args, self, spot, part, 0);
      columns.cast(args, self, spot, part, 1);
      RowsOfTile rows;
      rows.load(self, part);
      readers.meet(part, self, parity);
      bulk::wait(readers.columns[part], parity);
      if (!isEnd)
        source.request(args, self, next, part);
      rows.cast(args, self, spot, part);
    }
  }
}

template <typename Source>
__device__ inline void runBlocks(const TileArgs &args) {
  __shared__ TileRing<Spot> ring;
  __shared__ Readers<Source::kParts> readers;
  if (threadIdx.x == 0) {
    ring.init(kThreads);
    readers.init();
  }
  __syncthreads();
  if (threadIdx.x < kThreads)
    castTiles<Source>(args, ring, readers);
  else
    ring.fill<false>(
        args, [&](Spot &spot) { complete(args, spot); },
        [&](const Spot &spot) {
          RowSums::settle(args.task.source, spot.place);
        });
  // When this block draws no more; as many tiles as blocks are not drawn.
  if (args.tiles > gridDim.x && threadIdx.x == kThreads && arrive(args))
    *args.counter = *args.ticket = 0;
}

} // namespace both
} // namespace cuda
} // namespace te_rt

/// A kernel over the tiles of a source, of a warp more than hold tiles.
#define TE_RT_BOTH_KERNEL(name, source)                                        \
  extern "C" __global__ void __launch_bounds__(te_rt::cuda::both::kThreads +   \
                                                   32,                         \
                                               2)                              \
      name(const __grid_constant__ te_rt::cuda::TileArgs args) {               \
    te_rt::cuda::both::runBlocks<te_rt::cuda::both::source>(args);             \
  }

#endif // TE_RUNTIME_CUDA_KERNELS_SWIGLU_BOTH_CUH
