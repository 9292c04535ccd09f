//===- micro_nvfp4.cuh - tiles as NVFP4 -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH
#define TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH

#include "cuda/kernels/micro_sink.cuh"

namespace te_rt {
namespace cuda {

/// The 16 rows of a warp: lanes 0 to 15 give their last four columns for the
/// first four of lanes 16 to 31.
template <typename T>
__device__ inline void exchange(const Piece<T> &piece, Columns<T> &columns);
template <>
__device__ inline void exchange(const Piece<BF16> &piece,
                                Columns<BF16> &columns) {
  bool upper = threadIdx.x & 16;
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int p = 0; p < 2; ++p) {
      uint32_t sent = upper ? piece.pairs[i][p] : piece.pairs[i][2 + p];
      uint32_t kept = upper ? piece.pairs[i][2 + p] : piece.pairs[i][p];
      uint32_t got = __shfl_xor_sync(~0u, sent, 16);
      columns.pairs[i][p] = upper ? got : kept;
      columns.pairs[8 + i][p] = upper ? kept : got;
    }
}
template <>
__device__ inline void exchange(const Piece<float> &piece,
                                Columns<float> &columns) {
  bool upper = threadIdx.x & 16;
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      float sent = upper ? piece.values[i][c] : piece.values[i][4 + c];
      float kept = upper ? piece.values[i][4 + c] : piece.values[i][c];
      float got = __shfl_xor_sync(~0u, sent, 16);
      columns.values[i][c] = upper ? got : kept;
      columns.values[8 + i][c] = upper ? kept : got;
    }
}
__device__ inline void transformRows(Columns<BF16> &columns,
                                     const Place &place) {
  transform(columns, place.rows - static_cast<int>(threadIdx.x) / 32 * 16);
}
__device__ inline void transformRows(Columns<float> &, const Place &) {}

/// The random words of `Count` neighbours from element `index` on.
template <int Count>
__device__ inline void randomWords(const MicroArgs &args, bool columnwise,
                                   int64_t index, uint32_t (&words)[Count]) {
  Philox philox = {static_cast<uint64_t>(args.rng[0]),
                   static_cast<uint64_t>(args.rng[1]) +
                       static_cast<uint64_t>(args.rngStream),
                   columnwise ? uint64_t(1) << 62 : 0};
  philox.words<Count>(index, words);
}

/// `Count` codes, four bits each, of scaled(i).
template <int Count, bool MayDraw, typename Scaled>
__device__ inline void encodeAll(const MicroArgs &args, bool columnwise,
                                 int64_t index, Scaled scaled,
                                 uint32_t (&words)[Count / 8]) {
#pragma unroll
  for (int w = 0; w < Count / 8; ++w)
    words[w] = 0;
  if (MayDraw && args.rng) {
    uint32_t random[Count];
    randomWords<Count>(args, columnwise, index, random);
#pragma unroll
    for (int i = 0; i < Count; ++i)
      words[i / 8] |= encodeFp4(scaled(i), random[i]) << (i % 8 * 4);
    return;
  }
#pragma unroll
  for (int i = 0; i < Count; ++i)
    words[i / 8] |= encodeFp4(scaled(i)) << (i % 8 * 4);
}

/// Sets one of the two codes of a byte that others set the other one of.
__device__ inline void setNibble(uint8_t *values, int64_t element,
                                 uint32_t code) {
  auto address = reinterpret_cast<uintptr_t>(values + element / 2);
  auto *word = reinterpret_cast<uint32_t *>(address & ~uintptr_t(3));
  int shift = static_cast<int>(address & 3) * 8 + static_cast<int>(element & 1) * 4;
  uint32_t found = *word, wanted;
  do {
    wanted = found;
    found = atomicCAS(word, wanted,
                      (wanted & ~(15u << shift)) | code << shift);
  } while (found != wanted);
}

/// `Any`: with a Hadamard transform or stochastic rounding, if asked for.
template <bool Any> struct Nvfp4 {
  static constexpr int kBlock = 16;

  template <typename T>
  __device__ static void run(const MicroArgs &args, const MicroTask &task,
                             const Place &place, const Piece<T> &piece,
                             MicroShared &shared) {
    const MicroOutput &rows = task.micro[0], &columns = task.micro[1];
    float square = 0.0f;
    if (args.square)
      square = maxWith(maxWith(pieceAmax(piece), 1), 16);
    if (rows.values)
      castRows(args, task, place, piece, rows, square, shared.codes[0]);
    if (columns.values)
      castColumns(args, task, place, piece, columns, square, shared);
    __syncthreads();
    if (rows.values)
      storeScales<kBlock, false>(task, place, rows.scales, shared.codes[0]);
    if (columns.values) {
      storeScales<kBlock, true>(task, place, columns.scales, shared.codes[1]);
      storeColumns(task, place, columns, shared.stage);
    }
  }

private:
  struct Tensor {
    float sixth, inverse;
    __device__ Tensor(const MicroOutput &out, const Place &place) {
      float s = tensorMultiplier(
          out.tensorAmax[out.amaxPerGroup ? place.group : 0]);
      sixth = __fmul_rn(s, 1.0f / 6.0f);
      inverse = __frcp_rn(s);
    }
    __device__ BlockScale choose(float amax) const {
      return chooseE4M3(amax, sixth, inverse);
    }
  };

  /// Two neighbours have a block of each row; each chooses the scales of four.
  template <typename T>
  __device__ static void
  castRows(const MicroArgs &args, const MicroTask &task, const Place &place,
           const Piece<T> &piece, const MicroOutput &out, float square,
           uint8_t (*codes)[kTile]) {
    Tensor tensor(out, place);
    bool odd = threadIdx.x & 1;
    float amax[8], own[4], multiplier[8];
#pragma unroll
    for (int i = 0; i < 8; ++i)
      amax[i] = rowAmax(piece, i);
    uint32_t word = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float sent = odd ? amax[i] : amax[4 + i];
      float kept = odd ? amax[4 + i] : amax[i];
      float largest = fmaxf(kept, __shfl_xor_sync(~0u, sent, 1));
      BlockScale scale = tensor.choose(args.square ? square : largest);
      word |= scale.code << (8 * i);
      own[i] = scale.multiplier;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float other = __shfl_xor_sync(~0u, own[i], 1);
      multiplier[i] = odd ? other : own[i];
      multiplier[4 + i] = odd ? own[i] : other;
    }
    int row0 = place.threadRow(), col0 = place.threadCol();
    *reinterpret_cast<uint32_t *>(codes[threadIdx.x % 16 / 2] + row0 +
                                  (odd ? 4 : 0)) = word;
    int cols = min(place.cols - col0, 8);
    int64_t first =
        (place.member * task.rows + place.row0 + row0) * task.cols +
        place.col0 + col0;
    bool vector =
        cols == 8 &&
        (reinterpret_cast<uintptr_t>(out.values) * 2 + first | task.cols) % 8 ==
            0;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (row0 + i >= place.rows || cols <= 0)
        continue;
      int64_t at = first + i * task.cols;
      uint32_t words[1];
      encodeAll<8, Any>(
          args, false, at,
          [&](int j) { return __fmul_rn(piece.get(i, j), multiplier[i]); },
          words);
      uint8_t *to = out.values + at / 2; // the number of columns is even
      if (vector)
        *reinterpret_cast<uint32_t *>(to) = words[0];
      else
#pragma unroll
        for (int j = 0; j < 8; j += 2)
          if (j < cols)
            to[j / 2] = static_cast<uint8_t>(words[0] >> (4 * j));
    }
  }

  template <typename T>
  __device__ static void
  castColumns(const MicroArgs &args, const MicroTask &task, const Place &place,
              const Piece<T> &piece, const MicroOutput &out, float square,
              MicroShared &shared) {
    Tensor tensor(out, place);
    Columns<T> columns;
    exchange(piece, columns);
    if (Any && args.hadamard)
      transformRows(columns, place);
    int warp = threadIdx.x / 32;
    int col0 = place.threadCol() + (threadIdx.x & 16 ? 4 : 0);
    float amax[4];
    columns.amaxes(amax);
    if (Any && args.square && args.hadamard) {
      square = fmaxf(fmaxf(amax[0], amax[1]), fmaxf(amax[2], amax[3]));
      square = maxWith(maxWith(square, 1), 16);
    }
    uint32_t word = 0;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      BlockScale scale = tensor.choose(args.square ? square : amax[c]);
      word |= scale.code << (8 * c);
      uint32_t words[2];
      encodeAll<16, Any>(
          args, true,
          (place.member * task.cols + place.col0 + col0 + c) * out.stride +
              place.row0 + warp * 16,
          [&](int i) {
            return __fmul_rn(columns.get(i, c), scale.multiplier);
          },
          words);
      *reinterpret_cast<uint2 *>(shared.stage +
                                 stagePosition(col0 + c) * kStagePitch +
                                 warp * 8) = make_uint2(words[0], words[1]);
    }
    *reinterpret_cast<uint32_t *>(shared.codes[1][warp] + col0) = word;
  }

  /// Where column `col` of the tile has its rows in the stage.
  __device__ static int stagePosition(int col) {
    return col % 8 * 16 + col / 8;
  }

  /// Four threads of 16 bytes write a column of the tile.
  __device__ static void storeColumns(const MicroTask &task, const Place &place,
                                      const MicroOutput &out,
                                      const uint8_t *stage) {
#pragma unroll
    for (int round = 0; round < kTile * 4 / kTileThreads; ++round) {
      int unit = round * kTileThreads + threadIdx.x;
      int position = unit / 4, part = unit % 4;
      int col = position % 16 * 8 + position / 16;
      int rows = min(place.rows - part * 32, 32);
      if (col >= place.cols || rows <= 0)
        continue;
      const uint8_t *from = stage + position * kStagePitch + part * 16;
      int64_t first = (place.member * task.cols + place.col0 + col) * out.stride +
                      place.row0 + part * 32;
      uint8_t *to = out.values + first / 2;
      bool vector = rows == 32 && first % 2 == 0 &&
                    reinterpret_cast<uintptr_t>(to) % 16 == 0;
      if (vector) {
        uint2 low = *reinterpret_cast<const uint2 *>(from);
        uint2 high = *reinterpret_cast<const uint2 *>(from + 8);
        *reinterpret_cast<uint4 *>(to) = make_uint4(low.x, low.y, high.x, high.y);
      } else {
        storeNibbles(out.values, first, rows, from);
      }
    }
  }
  /// Neighbours may have the other half of the first byte and of the last one.
  __device__ static void storeNibbles(uint8_t *values, int64_t first, int rows,
                                      const uint8_t *from) {
    auto code = [&](int i) { return from[i / 2] >> (i % 2 * 4) & 15u; };
    int i = 0;
    if (first % 2)
      setNibble(values, first, code(i++));
    for (; i + 1 < rows; i += 2)
      values[(first + i) / 2] = static_cast<uint8_t>(code(i) | code(i + 1) << 4);
    if (i < rows)
      setNibble(values, first + i, code(i));
  }
};

/// The first of the two passes of NVFP4: amaxes alone. `Any` as above.
template <bool Any> struct Nvfp4Amax {
  static constexpr int kBlock = 16;

  template <typename T>
  __device__ static void run(const MicroArgs &args, const MicroTask &task,
                             const Place &place, const Piece<T> &piece,
                             MicroShared &shared) {
    add(task.accumulators, place, pieceAmax(piece), shared);
    if (!Any || !task.transformed)
      return;
    Columns<T> columns;
    exchange(piece, columns);
    transformRows(columns, place);
    float amax[4];
    columns.amaxes(amax);
    add(task.transformed, place,
        fmaxf(fmaxf(amax[0], amax[1]), fmaxf(amax[2], amax[3])), shared);
  }

private:
  __device__ static void add(uint32_t *accumulators, const Place &place,
                             float amax, MicroShared &shared) {
    __syncthreads();
    amax = warpMax(amax);
    if (threadIdx.x % 32 == 0)
      shared.warps[threadIdx.x / 32] = amax;
    __syncthreads();
    if (threadIdx.x == 0)
      addAmax(accumulators + place.group, shared.warps);
  }
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_NVFP4_CUH
