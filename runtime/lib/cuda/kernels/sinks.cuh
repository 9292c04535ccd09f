//===- sinks.cuh - what becomes of a tile -----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A sink is made for a tile and runs for each of its parts. All threads call
// `run`; it tells thread 0 whether this is the last block to arrive.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_SINKS_CUH
#define TE_RUNTIME_CUDA_KERNELS_SINKS_CUH

#include "cuda/kernels/amaxes.cuh"
#include "cuda/kernels/codes.cuh"

namespace te_rt {
namespace cuda {

/// Rows as they are.
template <typename Tile> struct StoreSink {
  using T = typename Tile::Element;
  struct Shared {};
  template <typename Args>
  __device__ StoreSink(const Args &, const TileTask &task, const Place &place,
                       Shared &)
      : task(task), place(place) {}
  int64_t colsBefore = 0; // of the parts before this one

  __device__ bool run(Tile &piece, bool) {
    int stride = static_cast<int>(task.outputStride);
    T *base = static_cast<T *>(task.output) + place.row * task.outputStride +
              place.col0 + colsBefore;
    bool vector = (reinterpret_cast<uintptr_t>(base) |
                   static_cast<uintptr_t>(stride) * sizeof(T)) %
                      16 ==
                  0;
    int rows = place.rows - Tile::row(), cols = place.cols - Tile::col();
    T *to = base + int64_t(Tile::row()) * stride + Tile::col();
    if (vector && cols >= 8) {
#pragma unroll
      for (int i = 0; i < Tile::kRows; ++i, to += stride)
        if (i < rows)
          storeVector(to, piece, i);
      return false;
    }
#pragma unroll
    for (int i = 0; i < Tile::kRows; ++i, to += stride)
#pragma unroll
      for (int j = 0; j < 8; ++j)
        if (i < rows && j < cols)
          to[j] = fromFloat<T>(piece.get(i, j));
    return false;
  }

private:
  /// 16 bytes at once, which nvcc splits where it may.
  __device__ static void storeWord(void *to, uint32_t a, uint32_t b, uint32_t c,
                                   uint32_t d) {
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(
                     __cvta_generic_to_global(to)),
                 "r"(a), "r"(b), "r"(c), "r"(d)
                 : "memory");
  }
  template <int R>
  __device__ static void storeVector(BF16 *to, const Piece<BF16, R> &piece,
                                     int i) {
    const uint32_t(&from)[4] = piece.pairs[i];
    storeWord(to, from[0], from[1], from[2], from[3]);
  }
  template <int R>
  __device__ static void storeVector(float *to, const Piece<float, R> &piece,
                                     int i) {
#pragma unroll
    for (int j = 0; j < 8; j += 4) {
      auto bits = [&](int k) {
        return __float_as_uint(piece.values[i][j + k]);
      };
      storeWord(to + j, bits(0), bits(1), bits(2), bits(3));
    }
  }

  const TileTask &task;
  const Place &place;
};

/// Casts to FP8, in one or two directions, of which the first is not
/// transposed. Scales of rows are known to half a warp, which goes on at once;
/// those of columns and squares need all warps.
template <typename Tile> struct CastSink {
  using T = typename Tile::Element;
  static constexpr int kRows = Tile::kRows, kWarps = Tile::kWarps;
  static constexpr int kWords = sizeof(T) / 2 * 4; // of eight magnitudes
  struct alignas(16) Shared {
    union {
      Stage<Tile> stage;
      uint32_t columns[kWarps][16 * kWords];
    };
    float scale[2][kTile];
    float warps[kWarps];
  };
  __device__ CastSink(const TileArgs &args, const TileTask &task,
                      const Place &place, Shared &shared)
      : args(args), task(task), place(place), shared(shared) {}
  int64_t colsBefore = 0; // of the parts before this one

  __device__ bool run(Tile &piece, bool isLastPart) {
    // What needs no other warp is stored while they are waited for.
#pragma unroll 1
    for (int d = 0; d < 2; ++d)
      if (task.out[d].isEarly)
        cast(piece, d);
    if (task.findsAny) {
      piece.forget();
      findAmaxes(piece);
      if (!task.isSame || task.findsSquares)
        Tile::sync();
      if (task.findsColumns || task.findsSquares) {
        chooseScales();
        Tile::sync();
      }
    }
    if (task.isSame)
      return castBoth(piece, isLastPart);
    bool isLast = settle(isLastPart);
#pragma unroll 1
    for (int d = 0; d < 2; ++d)
      if (task.out[d].kind != kNoOutput && !task.out[d].isEarly)
        cast(piece, d);
    return isLast;
  }

private:
  /// One scale for all of the tile.
  __device__ static bool isUniform(const CastOutput &out) {
    return out.kind == kWholeTensor || out.kind == kSquareBlocks;
  }

  //===--- Scales ---------------------------------------------------------===//

  __device__ void findAmaxes(const Tile &piece) {
    uint32_t amax[kWords];
    columnAmaxes(piece, amax);
    if (task.findsColumns && threadIdx.x % 32 < 16)
      putWords(shared.columns[threadIdx.x / 32] + threadIdx.x % 16 * kWords,
               amax);
    if (!task.findsSquares && !task.accumulators)
      return;
#pragma unroll
    for (int w = 1; w < kWords; ++w)
      amax[0] = largerWord<T>(amax[0], amax[w]);
    float largest = warpMax(amaxOf<T>(amax[0]));
    if (threadIdx.x % 32 == 0)
      shared.warps[threadIdx.x / 32] = largest;
  }

  __device__ float amaxOfTile() const {
    float largest = 0.0f;
#pragma unroll
    for (int w = 0; w < kWarps; ++w)
      largest = fmaxf(largest, shared.warps[w]);
    return largest;
  }
  /// What a block tells the others, when its amaxes are there.
  __device__ bool settle(bool isLastPart) {
    if (threadIdx.x != 0)
      return false;
    if (task.accumulators)
      accumulate(task, place, amaxOfTile());
    return isLastPart && args.finishes && arrive(args);
  }

  __device__ float scaleFor(const CastOutput &out, float amax) const {
    return scaleFromAmax(amax, out.e5m2 ? 57344.0f : 448.0f, args.epsilon,
                         args.pow2, args.overflow);
  }
  /// Of the first block of this member, tile and part.
  __device__ float *scalesOf(const CastOutput &out, int64_t row) const {
    return out.scales + place.member * out.memberScales + row * out.strideRow;
  }

  /// Those of columns and squares. Threads 0 to 127 for the first direction,
  /// 128 more for the second.
  __device__ void chooseScales() {
    int d = threadIdx.x / kTile, k = threadIdx.x % kTile;
    if (d > 1)
      return;
    const CastOutput &out = task.out[d];
    if (out.kind == kColumnBlocks) {
      uint32_t word = shared.columns[0][kWords == 4 ? k / 2 : k];
#pragma unroll
      for (int w = 1; w < kWarps; ++w)
        word = largerWord<T>(word, shared.columns[w][kWords == 4 ? k / 2 : k]);
      if (kWords == 4)
        word = k % 2 ? word & 0xffff0000u : word << 16;
      float scale = scaleFor(out, fmaxf(fabsf(__uint_as_float(word)), 0.0f));
      shared.scale[d][k] = scale;
      if (k < place.cols)
        scalesOf(
            out,
            place.blockRow)[(place.col0 + colsBefore + k) * out.strideCol] =
            __frcp_rn(scale);
    } else if (out.kind == kSquareBlocks && k == 0) {
      float scale = scaleFor(out, amaxOfTile());
      shared.scale[d][0] = scale;
      scalesOf(
          out,
          place.blockRow)[(place.col0 + colsBefore) / kTile * out.strideCol] =
          __frcp_rn(scale);
    }
  }

  /// The scales of the rows of a thread.
  __device__ void findRowScales(const Tile &piece, const CastOutput &out,
                                float (&own)[kRows]) {
    float scale = scaleFor(out, amaxOfRows(piece));
    int row = Tile::row() + reducedRow<kRows>();
    if (threadIdx.x % (16 / kRows) == 0 && row < place.rows)
      scalesOf(out,
               place.row0 +
                   row)[(place.col0 + colsBefore) / kTile * out.strideCol] =
          __frcp_rn(scale);
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      own[i] = __shfl_sync(~0u, scale, i * (16 / kRows), 16);
  }
  /// Those of its columns, which may all be the same.
  __device__ void findScales(int d, float (&scale)[8]) const {
    const CastOutput &out = task.out[d];
    if (isUniform(out)) {
      float one =
          out.kind == kSquareBlocks ? shared.scale[d][0] : place.multiplier;
#pragma unroll
      for (float &own : scale)
        own = one;
      return;
    }
    auto *from =
        reinterpret_cast<const float4 *>(shared.scale[d] + Tile::col());
    float4 low = from[0], high = from[1];
    scale[0] = low.x, scale[1] = low.y, scale[2] = low.z, scale[3] = low.w;
    scale[4] = high.x, scale[5] = high.y, scale[6] = high.z, scale[7] = high.w;
  }

  //===--- Casts ----------------------------------------------------------===//

  __device__ void cast(Tile &piece, int d) {
    const CastOutput &out = task.out[d];
    piece.forget();
    if (out.kind == kRowBlocks) {
      float scale[kRows];
      findRowScales(piece, out, scale);
      piece.forget();
      return out.e5m2 ? castBy<true, true>(piece, out, scale)
                      : castBy<false, true>(piece, out, scale);
    }
    float scale[8];
    findScales(d, scale);
    out.e5m2 ? castBy<true, false>(piece, out, scale)
             : castBy<false, false>(piece, out, scale);
  }
  __device__ bool castBoth(Tile &piece, bool isLastPart) {
    float scale[8];
    findScales(0, scale);
    piece.forget();
    uint2 codes[kRows];
    if (task.out[0].e5m2)
      encodeRows<true, false>(piece, scale, codes);
    else
      encodeRows<false, false>(piece, scale, codes);
    storeRows(task.out[0], codes);
    shared.stage.put(codes);
    Tile::sync();
    bool isLast = settle(isLastPart);
    storeColumns(task.out[1]);
    return isLast;
  }

  template <bool E5M2, bool ByRow, int N>
  __device__ void castBy(const Tile &piece, const CastOutput &out,
                         const float (&scale)[N]) {
    if (!out.transposed) {
      uint2 codes[kRows];
      encodeRows<E5M2, ByRow>(piece, scale, codes);
      return storeRows(out, codes);
    }
    shared.stage.template encode<E5M2, 0, 8>(
        piece, [&](int i, int j) { return scale[ByRow ? i : j]; });
    Tile::sync();
    storeColumns(out);
  }

  template <bool E5M2, bool ByRow, int N>
  __device__ void encodeRows(const Tile &piece, const float (&scale)[N],
                             uint2 (&codes)[kRows]) {
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      codes[i] =
          encodeRow<E5M2>(piece, i, [&](int j) { return scale[ByRow ? i : j]; });
  }

  __device__ void storeRows(const CastOutput &out,
                            const uint2 (&codes)[kRows]) {
    int stride = static_cast<int>(out.stride);
    uint8_t *base =
        out.values + place.row * out.stride + place.col0 + colsBefore;
    bool vector = (reinterpret_cast<uintptr_t>(base) | out.stride) % 8 == 0;
    int rows = place.rows - Tile::row(), cols = place.cols - Tile::col();
    uint8_t *to = base + int64_t(Tile::row()) * stride + Tile::col();
    storeCodes(to, stride, rows, cols, vector, codes);
  }

  __device__ void storeColumns(const CastOutput &out) const {
    shared.stage.store(out.values + place.member * task.rows * task.cols +
                           (place.col0 + colsBefore) * out.stride + place.row0,
                       static_cast<int>(out.stride), place.rows, place.cols);
  }

  const TileArgs &args;
  const TileTask &task;
  const Place &place;
  Shared &shared;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_SINKS_CUH
