//===- decode.cu - values of codes under any scales -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// dequantize of MXFP8, of NVFP4, and of FP8 in blocks of F32 scales that tiles of
// 128 x 128 do not hold.
//
//   work      one block for each 128 x 128; eight elements of eight rows for each
//             thread. BF16 of FP4 is looked up: the eight magnitudes of a block,
//             byte by byte, four elements at a time
//   moves     1 B of codes (FP4 1/2 B), 1/32 or 1/16 B of scales and 2 or 4 B of
//             the output for each element
//   bound     memory: 32768 x 7168 of NVFP4 to BF16 moves 602 MB, 141 us at the
//             4.28 TB/s of a copy on an H200
//   measured  docs/Benchmarks.md, Microscaling on an H200
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/micro_scales.cuh"
#include "cuda/kernels/microscaling.cuh"
#include "cuda/kernels/sinks.cuh"
#include "te_runtime/types.h"

using namespace te_rt::cuda;

namespace {
constexpr int kRows = 8; // of a thread
template <typename T> using Decoded = Piece<T, kRows>;
using Shape = PieceShape<kRows>;

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

/// Scales of 8 bits, a byte for each `Block` elements.
template <int Block> class ByteScales {
public:
  __device__ ByteScales(const DecodeArgs &args, const Place &place)
      : args(args), scales(static_cast<const uint8_t *>(args.scales) +
                           place.member * args.member),
        tilesAcross(args.tilesAcross) {
    if (!args.restarts)
      return;
    rowBegin = groupBegin(args.task, place);
    int64_t rows = groupEnd(args.task, place) - rowBegin;
    if (args.swizzled) {
      scales += args.paddedOuter * (rowBegin / (Block * 4) * 4);
      tilesAcross = (rows + Block * 4 - 1) / (Block * 4);
    } else {
      firstBlock = rowBegin / Block + place.group;
    }
  }
  /// That of an element, where blocks lie along rows.
  __device__ uint32_t alongRows(int64_t row, int64_t col) const {
    return scales[args.swizzled
                      ? swizzledPlace(row, col / Block, tilesAcross)
                      : row * args.strideRow + col / Block * args.strideCol];
  }
  /// The same where they lie along columns.
  __device__ uint32_t alongColumns(int64_t row, int64_t col) const {
    int64_t block = (row - rowBegin) / Block + firstBlock;
    return scales[args.swizzled
                      ? swizzledPlace(col, block, tilesAcross)
                      : block * args.strideRow + col * args.strideCol];
  }

private:
  const DecodeArgs &args;
  const uint8_t *scales;
  int64_t tilesAcross, rowBegin = 0, firstBlock = 0;
};

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// Eight codes, of which `count` exist; of FP4 in x.
template <bool Fp4>
__device__ uint2 loadCodes(const uint8_t *from, int count, bool vector) {
  uint2 words = make_uint2(0, 0);
  if (vector && count >= 8) {
    if (Fp4)
      words.x = __ldg(reinterpret_cast<const uint32_t *>(from));
    else
      words = __ldg(reinterpret_cast<const uint2 *>(from));
    return words;
  }
  uint64_t bits = 0;
#pragma unroll 1
  for (int b = 0; b < (Fp4 ? min(count, 8) / 2 : min(count, 8)); ++b)
    bits |= uint64_t(from[b]) << (8 * b);
  return make_uint2(static_cast<uint32_t>(bits),
                    static_cast<uint32_t>(bits >> 32));
}
/// Those of a thread.
template <bool Fp4>
__device__ void loadCodes(const DecodeArgs &args, const Place &place,
                          uint2 (&codes)[kRows]) {
  const TileTask &task = args.task;
  constexpr int kPerByte = Fp4 ? 2 : 1;
  int64_t stride = task.cols / kPerByte; // of FP4 a row has whole bytes
  const uint8_t *from = static_cast<const uint8_t *>(task.source.input) +
                        (place.row + Shape::row()) * stride +
                        (place.col0 + Shape::col()) / kPerByte;
  bool vector =
      (reinterpret_cast<uintptr_t>(task.source.input) | stride) %
          (8 / kPerByte) ==
      0;
#pragma unroll
  for (int i = 0; i < kRows; ++i, from += stride)
    codes[i] = loadCodes<Fp4>(
        from, Shape::row() + i < place.rows ? place.cols - Shape::col() : 0,
        vector);
}

template <bool Fp4, bool E5M2>
__device__ void decode(uint2 words, float (&values)[8]) {
  if constexpr (Fp4) {
#pragma unroll
    for (int j = 0; j < 8; ++j)
      values[j] = valueOfFp4(words.x >> (4 * j) & 15);
  } else {
#pragma unroll
    for (int p = 0; p < 4; ++p) {
      float2 pair =
          decodePair((p < 2 ? words.x : words.y) >> (p % 2 * 16), E5M2);
      values[2 * p] = pair.x, values[2 * p + 1] = pair.y;
    }
  }
}

/// Eight codes of FP4 with one scale, as BF16. False, with nothing done, where a
/// value is no number.
__device__ bool lookUp(uint32_t codes, float scale, float factor,
                       uint32_t (&pairs)[4]) {
  float magnitudes[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
#pragma unroll
  for (float &magnitude : magnitudes)
    magnitude = __fmul_rn(__fmul_rn(magnitude, scale), factor);
  if (!(fabsf(magnitudes[7]) <= kLargestFloat))
    return false;
  uint32_t words[4];
#pragma unroll
  for (int w = 0; w < 4; ++w)
    words[w] = packBf16(magnitudes[2 * w], magnitudes[2 * w + 1]);
  uint32_t low[2] = {__byte_perm(words[0], words[1], 0x6420),
                     __byte_perm(words[2], words[3], 0x6420)};
  uint32_t high[2] = {__byte_perm(words[0], words[1], 0x7531),
                      __byte_perm(words[2], words[3], 0x7531)};
  uint32_t shifted = codes << 4; // signs of even elements end bytes
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint32_t which = codes >> (16 * half) & 0x7777;
    // Whole bytes of each sign.
    uint32_t signs;
    asm("prmt.b32 %0, %1, %2, %3;"
        : "=r"(signs)
        : "r"(codes), "r"(shifted), "r"(half ? 0xbfae : 0x9d8c));
    uint32_t lows = __byte_perm(low[0], low[1], which);
    uint32_t highs =
        __byte_perm(high[0], high[1], which) ^ (signs & 0x80808080);
    pairs[2 * half] = __byte_perm(lows, highs, 0x5140);
    pairs[2 * half + 1] = __byte_perm(lows, highs, 0x7362);
  }
  return true;
}
template <bool Fp4> __device__ bool lookUp(uint2 codes, float scale,
                                           float factor,
                                           Decoded<BF16> &piece, int i) {
  return Fp4 && lookUp(codes.x, scale, factor, piece.pairs[i]);
}
template <bool Fp4>
__device__ bool lookUp(uint2, float, float, Decoded<float> &, int) {
  return false;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

/// The same scale for all of a row, as blocks along rows have.
template <typename T, bool Fp4, bool E5M2>
__device__ void decodeRows(const uint2 (&codes)[kRows],
                           const float (&scales)[kRows], float factor,
                           Decoded<T> &piece) {
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    if (lookUp<Fp4>(codes[i], scales[i], factor, piece, i))
      continue;
    float values[8];
    decode<Fp4, E5M2>(codes[i], values);
#pragma unroll
    for (float &value : values)
      value = __fmul_rn(__fmul_rn(value, scales[i]), factor);
    piece.setRow(i, values);
  }
}
/// The same scale for all of a column.
template <typename T, bool E5M2>
__device__ void decodeColumns(const uint2 (&codes)[kRows],
                              const float (&scales)[8], Decoded<T> &piece) {
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    float values[8];
    decode<false, E5M2>(codes[i], values);
#pragma unroll
    for (int j = 0; j < 8; ++j)
      values[j] = __fmul_rn(values[j], scales[j]);
    piece.setRow(i, values);
  }
}

/// MXFP8 and NVFP4.
template <typename T, bool Fp4>
__device__ void decodeMicro(const DecodeArgs &args, const Place &place,
                            Decoded<T> &piece) {
  uint2 codes[kRows];
  loadCodes<Fp4>(args, place, codes);
  auto valueOf = [](uint32_t code) {
    return Fp4 ? valueOfE4M3(code) : valueOfE8M0(code);
  };
  ByteScales<Fp4 ? 16 : 32> from(args, place);
  int64_t row0 = place.row0 + Shape::row(), col0 = place.col0 + Shape::col();
  uint32_t bits[8];
  if (args.blockRows == 1) {
    float factor = 1.0f; // exact where there is none
    if (Fp4)
      factor = __fdiv_rn(args.tensorAmax[args.amaxPerGroup ? place.group : 0],
                         2688.0f);
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      bits[i] = Shape::row() + i < place.rows && Shape::col() < place.cols
                    ? from.alongRows(row0 + i, col0)
                    : 0;
    float scales[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      scales[i] = valueOf(bits[i]);
    if (args.valueType == TE_RT_F8E5M2)
      decodeRows<T, Fp4, true>(codes, scales, factor, piece);
    else
      decodeRows<T, Fp4, false>(codes, scales, factor, piece);
  } else if constexpr (!Fp4) { // columns of FP4 are stored as rows
#pragma unroll
    for (int j = 0; j < 8; ++j)
      bits[j] = Shape::row() < place.rows && Shape::col() + j < place.cols
                    ? from.alongColumns(row0, col0 + j)
                    : 0;
    float scales[8];
#pragma unroll
    for (int j = 0; j < 8; ++j)
      scales[j] = valueOf(bits[j]);
    if (args.valueType == TE_RT_F8E5M2)
      decodeColumns<T, true>(codes, scales, piece);
    else
      decodeColumns<T, false>(codes, scales, piece);
  }
}

/// FP8 in blocks of F32 scales, of any size, or with one for each tensor or group.
template <typename T>
__device__ void decodeBlocks(const DecodeArgs &args, const Place &place,
                             Decoded<T> &piece) {
  uint2 codes[kRows];
  loadCodes<false>(args, place, codes);
  const float *scales =
      static_cast<const float *>(args.scales) +
      (args.blockRows ? place.member * args.member
       : args.perGroup ? place.group
                       : 0);
  int64_t down = args.blockRows ? args.blockRows : INT32_MAX;
  int64_t across = args.blockRows ? args.blockCols : INT32_MAX;
  int64_t rowBegin = 0, firstBlock = 0;
  if (args.restarts) {
    rowBegin = groupBegin(args.task, place);
    firstBlock = rowBegin / down + place.group;
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    float values[8];
    if (args.valueType == TE_RT_F8E5M2)
      decode<false, true>(codes[i], values);
    else
      decode<false, false>(codes[i], values);
    int64_t row = place.row0 + Shape::row() + i - rowBegin;
    int64_t blockRow = row / down + firstBlock;
#pragma unroll
    for (int j = 0; j < 8; ++j)
      if (Shape::row() + i < place.rows && Shape::col() + j < place.cols)
        values[j] = __fmul_rn(
            values[j], scales[blockRow * args.strideRow +
                              (place.col0 + Shape::col() + j) / across *
                                  args.strideCol]);
    piece.setRow(i, values);
  }
}

/// Calls body(place, piece) for the block's tile, and stores the piece.
template <typename T, typename Body>
__device__ void decodeTile(const DecodeArgs &args, Body body) {
  __shared__ Place place;
  __shared__ bool exists;
  if (threadIdx.x < 32) {
    Place found;
    bool isThere = locate(args.task, blockIdx.x, found);
    if (threadIdx.x == 0) {
      place = found;
      exists = isThere;
    }
  }
  __syncthreads();
  if (!exists)
    return;
  Decoded<T> piece;
  body(place, piece);
  typename StoreSink<Decoded<T>>::Shared shared;
  StoreSink<Decoded<T>>(args, args.task, place, shared).run(piece, true);
}
} // namespace

#define TE_RT_DECODE(name, T, blocksPerSm, decoder)                            \
  extern "C" __global__ void __launch_bounds__(Shape::kThreads, blocksPerSm)   \
      name(const __grid_constant__ DecodeArgs args) {                          \
    decodeTile<T>(args, [&](const Place &place, Decoded<T> &piece) {           \
      decoder(args, place, piece);                                             \
    });                                                                        \
  }
#define TE_RT_DECODE_MICRO(name, T, blocksPerSm, fp4)                          \
  TE_RT_DECODE(name, T, blocksPerSm, (decodeMicro<T, fp4>))

TE_RT_DECODE_MICRO(decode_mx_bf16, BF16, 3, false)
TE_RT_DECODE_MICRO(decode_mx_f32, float, 2, false)
TE_RT_DECODE_MICRO(decode_nv_bf16, BF16, 5, true)
TE_RT_DECODE_MICRO(decode_nv_f32, float, 2, true)
TE_RT_DECODE(decode_blocks_bf16, BF16, 3, decodeBlocks<BF16>)
TE_RT_DECODE(decode_blocks_f32, float, 2, decodeBlocks<float>)
