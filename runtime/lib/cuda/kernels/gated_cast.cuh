//===- gated_cast.cuh - the activation of a tile, cast ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What swiglu_quantize does to a tile of 128 x 128 of the activation, from
// [a | b] as BF16 in shared memory, to the same bits. Sixteen threads share a
// row; a thread has sixteen rows, eight at a time.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GATED_CAST_CUH
#define TE_RUNTIME_CUDA_KERNELS_GATED_CAST_CUH

#include "cuda/kernels/grouped_tiles.cuh"
#include "cuda/kernels/sinks.cuh"
#include "cuda/kernels/swiglu.cuh"
#include "cuda/kernels/wide_params.h"

namespace te_rt {
namespace cuda {
namespace grouped {

/// An Epilogue of WideProduct: a tile is 128 columns of a and the 128 of b that
/// meet them.
class GatedCast {
public:
  using Args = GatedArgs;
  static constexpr int kBoxRows = 16;
  __device__ static const GroupedArgs &productOf(const Args &args) {
    return args.product;
  }
  __device__ static int columnOf(const GroupedArgs &product, const Tile &tile,
                                 int half) {
    return tile.col / 2 + half * (product.n / 2);
  }
  static constexpr int kThreads = 128, kWarps = 4, kRows = 8;
  /// Of 16 rows: boxes of 64 columns, two of a and two of b.
  static constexpr int kBoxBytes = 16 * 128, kRowsBytes = 4 * kBoxBytes;
  static constexpr int kPitch = kTile + 8;

  struct alignas(16) Shared {
    uint32_t columns[kWarps][kTile / 2]; // amaxes, two in a word
    float scales[kTile];                 // of columns
  };

  __device__ GatedCast(const GatedArgs &args, uint32_t results, Shared &shared)
      : args(args), results(results), shared(shared) {}

  /// All threads have come here when it returns.
  __device__ void run(const Tile &tile) {
    uint32_t columns[4] = {};
    const CastOutput &columnwise = args.out[1];
#pragma unroll 1
    for (int first = 0; first < 16; first += kRows)
      castRows(tile, first, columns);
    if (columnwise.kind != kNoOutput) {
      chooseScales(tile, columns);
#pragma unroll 1
      for (int first = 0; first < 16; first += kRows)
        columnwise.e5m2 ? stageColumns<true>(first)
                        : stageColumns<false>(first);
      sync();
      storeColumns(tile);
    }
    sync();
  }

private:
  using Tile8 = Piece<BF16, kRows>;
  static __device__ void sync() { hopper::syncNamed(1, kThreads); }
  /// The first row, and the first column of the activation, of a thread.
  static __device__ int rowOf(int first) {
    return threadIdx.x / 16 * 16 + first;
  }
  static __device__ int colOf() { return threadIdx.x % 16 * 8; }
  /// Row first + i of a thread's 16; `first` is a multiple of 8.
  __device__ uint32_t wordsOf(int first, int i) const {
    uint32_t lane = threadIdx.x % 16;
    return results + threadIdx.x / 16 * kRowsBytes + lane / 8 * kBoxBytes +
           (first + i) * 128 + (lane % 8 ^ i) * 16;
  }
  static __device__ void writeShared(uint32_t to, uint4 v) {
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(v.x),
                 "r"(v.y), "r"(v.z), "r"(v.w)
                 : "memory");
  }
  __device__ float scaleFor(const CastOutput &out, float amax) const {
    return scaleFromAmax(amax, out.e5m2 ? 57344.0f : 448.0f, args.epsilon,
                         args.pow2, args.overflow);
  }

  __device__ void castRows(const Tile &tile, int first,
                           uint32_t (&columns)[4]) {
    const GroupedArgs &product = args.product;
    int row = rowOf(first), rows = tile.rows - row;
    int width = product.n / 2, col = tile.col / 2 + colOf();
    float prob = 1.0f;
    int own = threadIdx.x % kRows;
    if (args.probs && own < rows)
      prob = __ldg(args.probs + tile.row + row + own);
    auto *h = static_cast<BF16 *>(product.resultValues);
    if (h)
      h += int64_t(tile.row + row) * product.n + col;
    Tile8 piece;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      uint32_t from = wordsOf(first, i);
      uint4 a = hopper::readSharedWords(from);
      uint4 b = hopper::readSharedWords(from + 2 * kBoxBytes);
      if (h && i < rows) {
        hopper::writeWords(h, a);
        hopper::writeWords(h + width, b);
        h += product.n;
      }
      Piece<BF16, 1> left = {}, right = {};
      left.pairs[0][0] = a.x, left.pairs[0][1] = a.y;
      left.pairs[0][2] = a.z, left.pairs[0][3] = a.w;
      right.pairs[0][0] = b.x, right.pairs[0][1] = b.y;
      right.pairs[0][2] = b.z, right.pairs[0][3] = b.w;
      float p = __shfl_sync(~0u, prob, i, 16), values[8];
#pragma unroll
      for (int j = 0; j < 8; ++j)
        values[j] = silu<BF16>(left.get(0, j)) * right.get(0, j) * p;
      piece.setRow(i, values);
      // Rows of another group, or of none, have no part in amaxes.
#pragma unroll
      for (int p = 0; p < 4; ++p)
        piece.pairs[i][p] = i < rows ? piece.pairs[i][p] : 0;
    }
    if (args.out[1].kind != kNoOutput) {
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        writeShared(wordsOf(first, i),
                    make_uint4(piece.pairs[i][0], piece.pairs[i][1],
                               piece.pairs[i][2], piece.pairs[i][3]));
#pragma unroll
        for (int p = 0; p < 4; ++p)
          columns[p] = maxMagnitude(columns[p], piece.pairs[i][p]);
      }
    }
    const CastOutput &out = args.out[0];
    if (out.kind == kNoOutput)
      return;
    float scale[kRows];
    findRowScales(tile, out, row, piece, scale);
    uint2 codes[kRows];
    out.e5m2 ? encodeRows<true>(piece, scale, codes)
             : encodeRows<false>(piece, scale, codes);
    int stride = static_cast<int>(out.stride);
    uint8_t *to = out.values + int64_t(tile.row + row) * out.stride + col;
    storeCodes(to, stride, rows, 8,
               (reinterpret_cast<uintptr_t>(out.values) | out.stride) % 8 == 0,
               codes);
  }

  __device__ void findRowScales(const Tile &tile, const CastOutput &out,
                                int row, const Tile8 &piece,
                                float (&own)[kRows]) {
    float scale = scaleFor(out, amaxOfRows(piece));
    row += reducedRow<kRows>();
    if (threadIdx.x % (16 / kRows) == 0 && row < tile.rows)
      out.scales[(tile.row + row) * out.strideRow +
                 tile.col / kWideCols * out.strideCol] = __frcp_rn(scale);
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      own[i] = __shfl_sync(~0u, scale, i * (16 / kRows), 16);
  }

  template <bool E5M2>
  static __device__ void encodeRows(const Tile8 &piece,
                                    const float (&scale)[kRows],
                                    uint2 (&codes)[kRows]) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      auto scaled = [&](int j) { return __fmul_rn(piece.get(i, j), scale[i]); };
      codes[i] = make_uint2(
          encodeFour<E5M2>(scaled(0), scaled(1), scaled(2), scaled(3)),
          encodeFour<E5M2>(scaled(4), scaled(5), scaled(6), scaled(7)));
    }
  }

  /// Scales of blocks of 128 x 1, a column for each thread.
  __device__ void chooseScales(const Tile &tile, uint32_t (&columns)[4]) {
#pragma unroll
    for (int p = 0; p < 4; ++p)
      columns[p] =
          maxMagnitude(columns[p], __shfl_xor_sync(~0u, columns[p], 16));
    if (threadIdx.x % 32 < 16)
      putWords(shared.columns[threadIdx.x / 32] + threadIdx.x % 16 * 4,
               columns);
    sync();
    int k = threadIdx.x;
    uint32_t word = shared.columns[0][k / 2];
#pragma unroll
    for (int w = 1; w < kWarps; ++w)
      word = largerWord<BF16>(word, shared.columns[w][k / 2]);
    word = k % 2 ? word & 0xffff0000u : word << 16;
    const CastOutput &out = args.out[1];
    float scale = scaleFor(out, fmaxf(fabsf(__uint_as_float(word)), 0.0f));
    shared.scales[k] = scale;
    out.scales[blockRowOf(tile) * out.strideRow +
               (tile.col / 2 + k) * out.strideCol] = __frcp_rn(scale);
    sync();
  }
  /// Of the matrix of scales (RaggedRows).
  __device__ int64_t blockRowOf(const Tile &tile) const {
    const GroupedArgs &product = args.product;
    int begin = min(max(product.offsets[tile.group], 0), product.m);
    return begin / kTile + tile.group + (tile.row - begin) / kTile;
  }

  /// Column p % 16 * 8 + p / 16 of the tile is at position p of the stage, 16
  /// positions where b of 16 rows was.
  __device__ uint32_t stageOf(int position) const {
    return results + position / 16 * kRowsBytes + 2 * kBoxBytes +
           position % 16 * kPitch;
  }
  template <bool E5M2> __device__ void stageColumns(int first) {
    float scale[8];
    auto *scales = reinterpret_cast<const float4 *>(shared.scales + colOf());
    float4 low = scales[0], high = scales[1];
    scale[0] = low.x, scale[1] = low.y, scale[2] = low.z, scale[3] = low.w;
    scale[4] = high.x, scale[5] = high.y, scale[6] = high.z, scale[7] = high.w;
    Tile8 piece;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      uint4 words = hopper::readSharedWords(wordsOf(first, i));
      piece.pairs[i][0] = words.x, piece.pairs[i][1] = words.y;
      piece.pairs[i][2] = words.z, piece.pairs[i][3] = words.w;
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      auto scaled = [&](int i) { return __fmul_rn(piece.get(i, j), scale[j]); };
      uint32_t low =
          encodeFour<E5M2>(scaled(0), scaled(1), scaled(2), scaled(3));
      uint32_t high =
          encodeFour<E5M2>(scaled(4), scaled(5), scaled(6), scaled(7));
      asm volatile("st.shared.v2.u32 [%0], {%1, %2};" ::"r"(
                       stageOf(threadIdx.x % 16 + 16 * j) + rowOf(first)),
                   "r"(low), "r"(high)
                   : "memory");
    }
  }
  /// Eight threads of 16 bytes write a column of the tile.
  __device__ void storeColumns(const Tile &tile) {
    const CastOutput &out = args.out[1];
    uint8_t *base = out.values + int64_t(tile.col / 2) * out.stride + tile.row;
    bool vector = (reinterpret_cast<uintptr_t>(base) | out.stride) % 16 == 0;
    int part = threadIdx.x % 8 * 16, rows = min(tile.rows - part, 16);
    if (rows <= 0)
      return;
#pragma unroll 2
    for (int position = threadIdx.x / 8; position < kTile;
         position += kThreads / 8) {
      int col = position % 16 * 8 + position / 16;
      uint32_t from = stageOf(position) + part;
      uint8_t *to = base + int64_t(col) * out.stride + part;
      uint4 codes;
      asm volatile("ld.shared.v2.u32 {%0, %1}, [%4];\n"
                   "ld.shared.v2.u32 {%2, %3}, [%4 + 8];"
                   : "=r"(codes.x), "=r"(codes.y), "=r"(codes.z), "=r"(codes.w)
                   : "r"(from)
                   : "memory");
      if (vector && rows == 16) {
        hopper::writeWords(to, codes);
      } else {
#pragma unroll
        for (int i = 0; i < 16; ++i) {
          uint32_t word = i < 4    ? codes.x
                          : i < 8  ? codes.y
                          : i < 12 ? codes.z
                                   : codes.w;
          if (i < rows)
            to[i] = static_cast<uint8_t>(word >> i % 4 * 8);
        }
      }
    }
  }

  const GatedArgs &args;
  uint32_t results;
  Shared &shared;
};

} // namespace grouped
} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GATED_CAST_CUH
