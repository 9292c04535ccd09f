//===- layout.cu - conversions and moves that change no value -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// copy, pack, fill; the state of delayed scaling.
//
//   work      4 KiB for each block in words of 16 bytes
//   moves     each element read once and written once
//   bound     memory
//   measured  docs/Benchmarks.md: the copy that others are compared with
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
// Delayed scaling
//===----------------------------------------------------------------------===//

/// Elements of a history that a thread reads before any is written.
constexpr int kHeld = 4;

/// One block for each slot. The history may be updated in place: the block reads
/// a part of it, and what moves into that part, before it writes one.
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
  for (int64_t base = threadIdx.x; base - threadIdx.x < item.length;
       base += kHeld * kThreads) {
    float held[kHeld]; // as they move, whether or not they do
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      int64_t h = base + i * kThreads;
      held[i] = h + 1 < item.length ? history[h + 1] : last;
    }
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      int64_t h = base + i * kThreads;
      largest = fmaxf(largest, rolls && !args.mostRecent ? held[i] : last);
      if (!rolls && h < item.length)
        held[i] = history[h];
    }
    __syncthreads(); // others have read what this thread overwrites
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      int64_t h = base + i * kThreads;
      if (h < item.length)
        next[h] = rolls && h == 0 ? 0.0f : held[i];
    }
  }
  for (int step = 16; step; step /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
  if (threadIdx.x % 32 == 0)
    warps[threadIdx.x / 32] = largest;
  __syncthreads();
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
