//===- layout.cu - conversions and moves that change no value -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// copy, pack, fill, transpose, convert_scales.
//
//   work      copies: 4 KiB for each block in words of 16 bytes; transposes: a
//             tile through shared memory, words of 4 elements where they fit
//   moves     each element read once and written once
//   bound     memory
//   measured  not yet, but for the copy that docs/Benchmarks.md compares with
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/numeric.cuh"
#include "cuda/kernels/params.h"

#include <cstdint>

using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256;
constexpr int64_t kCopyBytes = 4096; // of a block: a word for each thread

__device__ int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

__device__ void copyBlock(const CopyItem &item, int64_t block) {
  int64_t begin = block * kCopyBytes;
  int64_t bytes = min64(item.bytes - begin, kCopyBytes);
  auto *from = static_cast<const uint8_t *>(item.from) + begin;
  auto *to = static_cast<uint8_t *>(item.to) + begin;
  bool vector =
      (reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to)) %
          16 ==
      0;
  int64_t words = vector ? bytes / 16 : 0;
  if (words == kCopyBytes / 16) {
    reinterpret_cast<uint4 *>(to)[threadIdx.x] =
        reinterpret_cast<const uint4 *>(from)[threadIdx.x];
    return;
  }
  for (int64_t i = threadIdx.x; i < words; i += kThreads)
    reinterpret_cast<uint4 *>(to)[i] = reinterpret_cast<const uint4 *>(from)[i];
  for (int64_t i = words * 16 + threadIdx.x; i < bytes; i += kThreads)
    to[i] = from[i];
}
} // namespace

extern "C" __global__ void __launch_bounds__(kThreads)
    copy_bytes(const __grid_constant__ CopyArgs args) {
  copyBlock(args.item, blockIdx.x);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    multi_copy_bytes(const __grid_constant__ CopyArgs args) {
  int item = 0;
  for (int64_t base = 0; base < args.numItems; base += kThreads) {
    int64_t i = base + threadIdx.x;
    item += __syncthreads_count(i < args.numItems &&
                                args.table[i].firstBlock <= blockIdx.x);
  }
  const CopyItem &found = args.table[item - 1];
  copyBlock(found, blockIdx.x - found.firstBlock);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    fill_elements(const __grid_constant__ FillArgs args) {
  int64_t index = blockIdx.x * int64_t(kThreads) + threadIdx.x;
  int64_t step = gridDim.x * int64_t(kThreads);
  uint64_t pattern = args.bits;
  for (int width = args.size; width < 8; width *= 2)
    pattern = (pattern & ((uint64_t(1) << (8 * width)) - 1)) |
              pattern << (8 * width);
  auto *bytes = static_cast<uint8_t *>(args.output);
  int64_t total = args.elements * args.size;
  // The pattern begins anew at each multiple of 8 bytes of the tensor.
  int64_t words = reinterpret_cast<uintptr_t>(bytes) % 16 == 0 ? total / 16 : 0;
  ulonglong2 word = make_ulonglong2(pattern, pattern);
  for (int64_t i = index; i < words; i += step)
    reinterpret_cast<ulonglong2 *>(bytes)[i] = word;
  for (int64_t i = words * 16 + index; i < total; i += step)
    bytes[i] = static_cast<uint8_t>(pattern >> (8 * (i % args.size)));
}

//===----------------------------------------------------------------------===//
// Strided moves: transposes of data and of scales
//===----------------------------------------------------------------------===//

namespace {
constexpr int kSide = 64;

/// A tile of kSide x kSide elements, read along the dimension that is dense in
/// `from` and written along the one that is dense in `to`.
template <typename T> __device__ void moveTile(const StridedArgs &args) {
  __shared__ T tile[kSide][kSide + (sizeof(T) < 4 ? 4 / sizeof(T) : 1)];
  uint32_t across = static_cast<uint32_t>((args.cols + kSide - 1) / kSide);
  uint32_t down = static_cast<uint32_t>((args.rows + kSide - 1) / kSide);
  uint32_t member = blockIdx.x / (across * down);
  uint32_t inMember = blockIdx.x - member * across * down;
  int64_t row0 = int64_t(inMember / across) * kSide;
  int64_t col0 = int64_t(inMember % across) * kSide;
  auto *from = static_cast<const T *>(args.from) + member * args.fromMember;
  auto *to = static_cast<T *>(args.to) + member * args.toMember;
  bool fromAlongCols = args.fromCol == 1, toAlongCols = args.toCol == 1;
#pragma unroll 4
  for (int i = threadIdx.x; i < kSide * kSide; i += kThreads) {
    int slow = i / kSide, fast = i % kSide;
    int row = fromAlongCols ? slow : fast, col = fromAlongCols ? fast : slow;
    if (row0 + row < args.rows && col0 + col < args.cols)
      tile[row][col] = from[(row0 + row) * args.fromRow +
                            (col0 + col) * args.fromCol];
  }
  __syncthreads();
#pragma unroll 4
  for (int i = threadIdx.x; i < kSide * kSide; i += kThreads) {
    int slow = i / kSide, fast = i % kSide;
    int row = toAlongCols ? slow : fast, col = toAlongCols ? fast : slow;
    if (row0 + row < args.rows && col0 + col < args.cols)
      to[(row0 + row) * args.toRow + (col0 + col) * args.toCol] =
          tile[row][col];
  }
}
} // namespace

extern "C" __global__ void __launch_bounds__(kThreads)
    move_strided(const __grid_constant__ StridedArgs args) {
  switch (args.size) {
  case 1:
    return moveTile<uint8_t>(args);
  case 2:
    return moveTile<uint16_t>(args);
  case 4:
    return moveTile<uint32_t>(args);
  default:
    return moveTile<uint64_t>(args);
  }
}

/// Bytes, 128 x 128 of them: eight by eight in the registers of a thread.
extern "C" __global__ void __launch_bounds__(kThreads)
    transpose_bytes(const __grid_constant__ StridedArgs args) {
  constexpr int kPitch = kTile + 8;
  __shared__ uint8_t stage[kTile * kPitch];
  uint32_t across = static_cast<uint32_t>((args.cols + kTile - 1) / kTile);
  uint32_t down = static_cast<uint32_t>((args.rows + kTile - 1) / kTile);
  uint32_t member = blockIdx.x / (across * down);
  uint32_t inMember = blockIdx.x - member * across * down;
  int64_t rowBase = int64_t(inMember / across) * kTile;
  int64_t colBase = int64_t(inMember % across) * kTile;
  auto *from = static_cast<const uint8_t *>(args.from) +
               member * args.fromMember + rowBase * args.cols + colBase;
  auto *to = static_cast<uint8_t *>(args.to) + member * args.toMember +
             colBase * args.rows + rowBase;
  int rows = static_cast<int>(min64(args.rows - rowBase, kTile));
  int cols = static_cast<int>(min64(args.cols - colBase, kTile));
  int row0 = threadIdx.x / 16 * 8, col0 = threadIdx.x % 16 * 8;
  bool vector = (reinterpret_cast<uintptr_t>(from) | args.cols) % 8 == 0;
  uint32_t words[8][2];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    words[i][0] = words[i][1] = 0;
    const uint8_t *row = from + (row0 + i) * args.cols + col0;
    if (row0 + i >= rows)
      continue;
    if (vector && col0 + 8 <= cols) {
      uint2 held = __ldcs(reinterpret_cast<const uint2 *>(row));
      words[i][0] = held.x, words[i][1] = held.y;
    } else {
#pragma unroll
      for (int j = 0; j < 8; ++j)
        if (col0 + j < cols)
          words[i][j / 4] |= uint32_t(row[j]) << (j % 4 * 8);
    }
  }
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    uint32_t column[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      auto byte = [&](int i) {
        return words[4 * h + i][j / 4] >> (j % 4 * 8) & 0xff;
      };
      column[h] = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
    }
    *reinterpret_cast<uint2 *>(stage + (j * 16 + threadIdx.x % 16) * kPitch +
                               row0) = make_uint2(column[0], column[1]);
  }
  __syncthreads();
  bool outVector = (reinterpret_cast<uintptr_t>(to) | args.rows) % 16 == 0;
  int part = threadIdx.x % 8 * 16, left = rows - part;
#pragma unroll
  for (int round = 0; round < 4; ++round) {
    int position = round * 32 + threadIdx.x / 8;
    int col = position % 16 * 8 + position / 16;
    if (col >= cols || left <= 0)
      continue;
    const uint8_t *held = stage + position * kPitch + part;
    uint8_t *target = to + col * args.rows + part;
    if (outVector && left >= 16) {
      uint2 low = *reinterpret_cast<const uint2 *>(held);
      uint2 high = *reinterpret_cast<const uint2 *>(held + 8);
      *reinterpret_cast<uint4 *>(target) =
          make_uint4(low.x, low.y, high.x, high.y);
    } else {
      for (int i = 0; i < min(left, 16); ++i)
        target[i] = held[i];
    }
  }
}

namespace {
/// As ScaleGrid of common/scales.h.
__device__ int64_t swizzledIndex(int64_t i, int64_t j, int64_t tiles) {
  return (i / 128 * tiles + j / 4) * 512 + i % 32 * 16 + i % 128 / 32 * 4 +
         j % 4;
}
__device__ int64_t placeOf(int64_t row, int64_t col, int swizzled,
                           int64_t tiles, int64_t strideRow,
                           int64_t strideCol) {
  if (!swizzled)
    return row * strideRow + col * strideCol;
  return swizzled == 1 ? swizzledIndex(row, col, tiles)
                       : swizzledIndex(col, row, tiles);
}
} // namespace

/// One thread for each place of the larger grid; what has no source is zero.
extern "C" __global__ void __launch_bounds__(kThreads)
    swizzle_scales(const __grid_constant__ StridedArgs args) {
  // Swizzled targets are padded to 128 x 4, in their own orientation.
  int64_t rows = args.rows, cols = args.cols;
  if (args.toSwizzled) {
    int64_t down = args.toSwizzled == 1 ? 128 : 4;
    int64_t across = args.toSwizzled == 1 ? 4 : 128;
    rows = (rows + down - 1) / down * down;
    cols = (cols + across - 1) / across * across;
  }
  int64_t index = blockIdx.x * int64_t(kThreads) + threadIdx.x;
  if (index >= rows * cols * args.members)
    return;
  int64_t member = index / (rows * cols), inMember = index % (rows * cols);
  int64_t row = inMember / cols, col = inMember % cols;
  auto *from = static_cast<const uint8_t *>(args.from) +
               member * args.fromMember * args.size;
  auto *to =
      static_cast<uint8_t *>(args.to) + member * args.toMember * args.size;
  bool exists = row < args.rows && col < args.cols;
  int64_t source = exists ? placeOf(row, col, args.fromSwizzled, args.fromTiles,
                                    args.fromRow, args.fromCol)
                          : 0;
  int64_t target = placeOf(row, col, args.toSwizzled, args.toTiles, args.toRow,
                           args.toCol);
  for (int b = 0; b < args.size; ++b)
    to[target * args.size + b] = exists ? from[source * args.size + b] : 0;
}

//===----------------------------------------------------------------------===//
// Delayed scaling
//===----------------------------------------------------------------------===//

/// One block for each slot. The history may be updated in place: the block reads
/// a part of it before it writes one.
extern "C" __global__ void __launch_bounds__(kThreads)
    update_scales(const __grid_constant__ UpdateArgs args) {
  UpdateItem item = args.item;
  int64_t slot = blockIdx.x;
  if (args.table) {
    int found = 0;
    for (int64_t base = 0; base < args.numItems; base += kThreads) {
      int64_t i = base + threadIdx.x;
      found += __syncthreads_count(i < args.numItems &&
                                   args.table[i].firstSlot <= slot);
    }
    item = args.table[found - 1];
    slot -= item.firstSlot;
  }
  const float *history = item.history + slot * item.length;
  float *next = item.historyOut + slot * item.length;
  float last = item.amax[slot], scale = item.scale[slot];
  bool rolls = !(last == 0.0f);
  __shared__ float warps[kThreads / 32];
  float largest = last;
  if (rolls && !args.mostRecent)
    for (int64_t h = 1 + threadIdx.x; h < item.length; h += kThreads)
      largest = fmaxf(largest, history[h]);
  for (int step = 16; step; step /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
  if (threadIdx.x % 32 == 0)
    warps[threadIdx.x / 32] = largest;
  __syncthreads();
  for (int64_t base = 0; base < item.length; base += kThreads) {
    int64_t h = base + threadIdx.x;
    float value = 0.0f;
    if (h < item.length)
      value = !rolls                  ? history[h]
              : h == 0                ? 0.0f
              : h == item.length - 1  ? last
                                      : history[h + 1];
    __syncthreads();
    if (h < item.length)
      next[h] = value;
    __syncthreads();
  }
  if (threadIdx.x)
    return;
  for (float other : warps)
    largest = fmaxf(largest, other);
  if (rolls && largest > 0.0f && largest < __uint_as_float(0x7f800000)) {
    scale = __fdiv_rn(args.target, largest);
    if (scale == __uint_as_float(0x7f800000))
      scale = __uint_as_float(0x7f7fffff);
  }
  item.scaleOut[slot] = scale;
}

extern "C" __global__ void __launch_bounds__(kThreads)
    scale_from_amax(const __grid_constant__ ScaleArgs args) {
  int64_t i = blockIdx.x * int64_t(kThreads) + threadIdx.x;
  if (i < args.elements)
    args.scale[i] = scaleFromAmax(args.amax[i], args.fp8Max, args.epsilon,
                                  args.pow2, __uint_as_float(0x7f7fffff));
}

/// Offsets are the odd elements.
extern "C" __global__ void __launch_bounds__(kThreads)
    advance_rng(const __grid_constant__ RngArgs args) {
  int64_t i = blockIdx.x * int64_t(kThreads) + threadIdx.x;
  if (i < args.elements)
    args.to[i] = args.from[i] + (i % 2 ? args.by : 0);
}
