//===- pair_cast.cuh - a tile of BF16 in both directions --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Included by pair.cuh: what its blocks do with a tile whose elements their
// threads have.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_PAIR_CAST_CUH
#define TE_RUNTIME_CUDA_KERNELS_PAIR_CAST_CUH

#include "cuda/kernels/amaxes.cuh"
#include "cuda/kernels/codes.cuh"
#include "cuda/kernels/pair_params.h"
#include "cuda/kernels/sources.cuh"

namespace te_rt {
namespace cuda {

template <int Side> using PairTile = Piece<BF16, kTileRows, Side>;
static_assert(PairTile<kTile>::kThreads == kTileThreads &&
                  PairTile<kLargeTile>::kThreads == kLargeThreads,
              "aligned.cpp asks for so many");

template <int Side> struct PairShared {
  using Tile = PairTile<Side>;
  Stage<Tile> stage;
  uint32_t columns[Tile::kWarps][Side / 2]; // amaxes of pairs
  float scale[Side / kTile][Side];          // of columns, of each 128 rows
  float halves[Tile::kWarps][2];            // amaxes of half warps
};
static_assert(sizeof(PairShared<kTile>) <= kPairShared &&
                  sizeof(PairShared<kLargeTile>) <= kLargePairShared,
              "aligned.cpp asks for so much");

/// Where one direction of a tile goes: its first element and first scale.
struct PairOutput {
  uint8_t *values;
  float *scales;
  int stride;               // between rows of values as stored
  int strideRow, strideCol; // of scales
  int e5m2;
};
struct PairPlace {
  const BF16 *input;
  int stride, rows, cols;
  int findsSquares;
  const float *multiplier; // none: nullptr
  uint32_t *accumulator;   // none: nullptr
  PairOutput out[2];
  bool exists;

  /// One thread for each direction: of the tile at `at`, in members of so many
  /// elements and scales.
  template <bool Same>
  __device__ void setOutput(int d, const PairStored &from, const Place &at,
                            int64_t values, int64_t scales) {
    PairOutput &to = out[d];
    to.stride = from.stride;
    to.values = from.values + (d ? at.member * values + at.col0 * from.stride +
                                       at.row0
                                 : at.row * from.stride + at.col0);
    to.strideRow = from.strideRow, to.strideCol = from.strideCol;
    // Rows have scales of rows, others of blocks.
    int64_t row = Same || d ? at.blockRow : at.row0;
    int64_t col = !Same && d ? at.col0 : at.col0 / kTile;
    to.scales = from.scales + at.member * scales + row * from.strideRow +
                col * from.strideCol;
    to.e5m2 = from.e5m2;
  }
  /// Of the tile at `at`, whose rows and columns that exist it tells.
  __device__ void setInput(const void *matrix, int matrixCols,
                           const Place &at) {
    input = static_cast<const BF16 *>(matrix) + at.row * matrixCols + at.col0;
    stride = matrixCols;
    rows = at.rows;
    cols = at.cols;
  }
  /// How many of a thread's rows exist.
  template <typename Tile> __device__ int rowsOfThread() const {
    return Tile::col() < cols ? rows - Tile::row() : 0;
  }
  template <typename Tile> __device__ void load(Tile &piece) const {
    const BF16 *from = input + int64_t(Tile::row()) * stride + Tile::col();
    int own = rowsOfThread<Tile>();
#pragma unroll
    for (int i = 0; i < Tile::kRows; ++i, from += stride)
      loadVector(from, i < own, piece, i);
  }
};

/// As arrive, of `blocks`; a block that has told nothing does not wait for what
/// it stored.
__device__ inline bool arrivePair(uint32_t *ticket, uint32_t blocks,
                                  bool hasTold) {
  uint32_t before = hasTold ? addRelease(ticket, 1u) : atomicAdd(ticket, 1u);
  return before == blocks - 1;
}

/// Casts a tile. `Same`: both directions have the same codes, under one scale
/// for each tensor or 128 x 128 block; otherwise rows have blocks of 1 x 128,
/// and columns of 128 x 1.
template <int Side, bool Same, typename Args> class PairCast {
public:
  using Tile = PairTile<Side>;
  using Shared = PairShared<Side>;
  __device__ PairCast(const Args &args, const PairPlace &place, Shared &shared)
      : args(args), place(place), shared(shared) {}

  /// Stores the tile. Where the call `finishes`, the first thread gets to know
  /// whether the block is the last one of a ticket, as of settle, which comes
  /// back while columns are stored.
  __device__ bool run(Tile &piece, bool finishes, uint32_t known,
                      uint32_t *ticket, uint32_t blocks) {
    storeRows(piece);
    __syncthreads();
    bool isLast = finishes && threadIdx.x < 32 && settle(known, ticket, blocks);
    shared.stage.store(place.out[1].values, place.out[1].stride, place.rows,
                       place.cols);
    return isLast;
  }

private:
  static constexpr int kRows = Tile::kRows, kWarps = Tile::kWarps;
  /// And puts columns into the stage.
  __device__ void storeRows(Tile &piece) {
    float scale = place.multiplier ? *place.multiplier : 0.0f;
    piece.forget();
    if constexpr (Same) {
      if (place.accumulator || place.findsSquares)
        noteAmaxes(piece);
      if (place.findsSquares) {
        __syncthreads();
        scale = chooseSquares();
      }
      isE5M2(0) ? castBoth<true>(piece, scale) : castBoth<false>(piece, scale);
    } else {
      noteColumns(piece);
      piece.forget();
      isE5M2(0) ? castRows<true>(piece) : castRows<false>(piece);
      piece.forget();
      __syncthreads();
      chooseColumns();
      __syncthreads();
      isE5M2(1) ? castColumns<true>(piece) : castColumns<false>(piece);
    }
  }
  /// One warp tells others the amax of the tile, of whom it knew `known`, and
  /// that it is done. Its first thread gets to know whether it is the last one
  /// of the `blocks` of a ticket.
  __device__ bool settle(uint32_t known, uint32_t *ticket,
                         uint32_t blocks) const {
    bool raises = false;
    if (Same && place.accumulator) {
      int warp = lane() % kWarps;
      uint32_t amax = __float_as_uint(
          warpMax(fmaxf(shared.halves[warp][0], shared.halves[warp][1])));
      raises = amax > known;
      if (lane() == 0 && raises)
        atomicMax(place.accumulator, amax);
    }
    return lane() == 0 && arrivePair(ticket, blocks, raises);
  }

  __device__ bool isE5M2(int d) const { return place.out[d].e5m2; }
  __device__ static int lane() { return threadIdx.x % 32; }
  __device__ static int warp() { return threadIdx.x / 32; }
  /// Which 128 rows, and which 128 columns, a thread has.
  __device__ static int upperOrLower() { return Tile::row() / kTile; }
  __device__ static int leftOrRight() { return Tile::col() / kTile; }
  __device__ bool hasRows(int half) const { return half * kTile < place.rows; }
  __device__ bool hasCols(int half) const { return half * kTile < place.cols; }

  __device__ float scaleFor(const PairOutput &out, float amax) const {
    return scaleFromAmax(amax, out.e5m2 ? 57344.0f : 448.0f, args.epsilon,
                         args.pow2, args.overflow);
  }
  __device__ static void storeScale(const PairOutput &out, int row, int col,
                                    float scale) {
    out.scales[int64_t(row) * out.strideRow + int64_t(col) * out.strideCol] =
        __frcp_rn(scale);
  }

  /// Where the codes of a thread's rows go, one row after another.
  class RowsOut {
  public:
    __device__ explicit RowsOut(const PairPlace &place)
        : to(place.out[0].values + int64_t(Tile::row()) * place.out[0].stride +
             Tile::col()),
          stride(place.out[0].stride), rows(place.rowsOfThread<Tile>()) {}
    __device__ void store(int i, uint2 codes) {
      if (i < rows)
        *reinterpret_cast<uint2 *>(to) = codes;
      to += stride;
    }

  private:
    uint8_t *to;
    int stride, rows;
  };

  //===--- One scale ------------------------------------------------------===//

  /// The largest of each half of a warp.
  __device__ static float2 maxOfHalves(float value) {
    bool isLeft = lane() < 16;
    float left = warpMax(isLeft ? value : 0.0f);
    return make_float2(left, warpMax(isLeft ? 0.0f : value));
  }
  __device__ void noteAmaxes(const Tile &piece) {
    uint32_t word = rowAmax(piece, 0);
#pragma unroll
    for (int i = 1; i < kRows; ++i)
      word = maxMagnitude(word, rowAmax(piece, i));
    float2 largest = maxOfHalves(amaxOfPair(word));
    if (lane() < 2)
      shared.halves[warp()][lane()] = lane() ? largest.y : largest.x;
  }
  /// Of this thread's square, which sixteen half warps have.
  __device__ float chooseSquares() {
    int k = lane() % 16;
    float largest;
    if constexpr (Side == kTile) {
      largest = warpMax(shared.halves[k / 2][k % 2]);
    } else {
      float2 both = maxOfHalves(
          shared.halves[upperOrLower() * (kWarps / 2) + k][leftOrRight()]);
      largest = leftOrRight() ? both.y : both.x;
    }
    float scale = scaleFor(place.out[0], largest);
    if (Tile::row() % kTile == 0 && Tile::col() % kTile == 0 &&
        hasRows(upperOrLower()) && hasCols(leftOrRight()))
#pragma unroll
      for (int d = 0; d < 2; ++d)
        storeScale(place.out[d], upperOrLower(), leftOrRight(), scale);
    return scale;
  }
  template <bool E5M2>
  __device__ void castBoth(const Tile &piece, float scale) {
    uint2 codes[kRows];
    RowsOut to(place);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      codes[i] = encodeRow<E5M2>(piece, i, [=](int) { return scale; });
      to.store(i, codes[i]);
    }
    shared.stage.put(codes);
  }

  //===--- Scales of rows and of columns ----------------------------------===//

  template <bool E5M2> __device__ void castRows(Tile &piece) {
    float scale = scaleFor(place.out[0], amaxOfRows(piece));
    int row = Tile::row() + reducedRow<kRows>();
    if (lane() % (16 / kRows) == 0 && row < place.rows &&
        hasCols(leftOrRight()))
      storeScale(place.out[0], row, leftOrRight(), scale);
    piece.forget();
    RowsOut to(place);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      float own = __shfl_sync(~0u, scale, i * (16 / kRows), 16);
      to.store(i, encodeRow<E5M2>(piece, i, [=](int) { return own; }));
    }
  }
  __device__ void noteColumns(const Tile &piece) {
    uint32_t amax[4];
#pragma unroll
    for (int p = 0; p < 4; ++p) {
      amax[p] = piece.pairs[0][p];
#pragma unroll
      for (int i = 1; i < kRows; ++i)
        amax[p] = maxMagnitude(amax[p], piece.pairs[i][p]);
      if (Tile::kLanes == 16) // the halves of a warp have the same columns
        amax[p] = maxMagnitude(amax[p], __shfl_xor_sync(~0u, amax[p], 16));
    }
    if (lane() < Tile::kLanes)
      putWords(shared.columns[warp()] + lane() * 4, amax);
  }
  /// Four threads for each pair of columns of 128 rows; two have a column each.
  __device__ void chooseColumns() {
    constexpr int kPairs = Side / 2, kHalfWarps = kWarps / (Side / kTile);
    int half = threadIdx.x / (4 * kPairs), pair = threadIdx.x / 4 % kPairs;
    int quarter = threadIdx.x % 4;
    int first = half * kHalfWarps + quarter * (kHalfWarps / 4);
    uint32_t word = shared.columns[first][pair];
#pragma unroll
    for (int w = 1; w < kHalfWarps / 4; ++w)
      word = maxMagnitude(word, shared.columns[first + w][pair]);
    word = maxMagnitude(word, __shfl_xor_sync(~0u, word, 1));
    word = maxMagnitude(word, __shfl_xor_sync(~0u, word, 2));
    if (quarter > 1)
      return;
    int col = pair * 2 + quarter;
    float scale = scaleFor(
        place.out[1], amaxOfPair(quarter ? word & 0xffff0000u : word << 16));
    shared.scale[half][col] = scale;
    if (col < place.cols && hasRows(half))
      storeScale(place.out[1], half, col, scale);
  }
  template <bool E5M2> __device__ void castColumns(Tile &piece) {
    const float *scales = shared.scale[upperOrLower()] + Tile::col();
    castFour<E5M2, 0>(piece, scales);
    castFour<E5M2, 4>(piece, scales);
  }
  template <bool E5M2, int First>
  __device__ void castFour(Tile &piece, const float *scales) {
    piece.forget();
    float4 four = *reinterpret_cast<const float4 *>(scales + First);
    const float scale[4] = {four.x, four.y, four.z, four.w};
    shared.stage.template encode<E5M2, First, 4>(
        piece, [&](int, int j) { return scale[j - First]; });
  }

  const Args &args;
  const PairPlace &place;
  Shared &shared;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_PAIR_CAST_CUH
