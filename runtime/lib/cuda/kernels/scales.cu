//===- scales.cu - moves of 8-bit scales ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Scales of 8 bits in permute, pad and unpad.
//
//   work      permute_scales: a word, four scales, for each thread
//   moves     each scale once each way
//   bound     memory, and below a few MB the launch
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/micro_scales.cuh"

using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256;
constexpr int kPadBlocks = 4; // for each group
} // namespace

extern "C" __global__ void __launch_bounds__(kThreads)
    permute_scales(const __grid_constant__ PermuteScalesArgs args) {
  clearPadding(args.to);
  int64_t quads = args.to.paddedBlocks / 4;
  auto *from = reinterpret_cast<const uint32_t *>(args.from.scales);
  auto *to = reinterpret_cast<uint32_t *>(args.to.scales);
  int64_t padBlock = int64_t(gridDim.x) - int64_t(args.groups) * kPadBlocks;
  if (blockIdx.x >= padBlock) {
    int64_t slot = blockIdx.x - padBlock, group = slot / kPadBlocks;
    int64_t begin = args.offsets[group] + int64_t(args.counts[group]);
    int64_t end = args.offsets[group + 1];
    if (begin < 0 || end > args.capacity)
      return;
    for (int64_t i = slot % kPadBlocks * kThreads + threadIdx.x;
         i < (end - begin) * quads; i += kPadBlocks * kThreads)
      to[placeOf(args.to, begin + i / quads, i % quads * 4) / 4] = 0;
    return;
  }
  int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= args.pairs * quads)
    return;
  int64_t pair = index / quads, quad = index - pair * quads;
  int64_t row = args.rowMap[pair];
  if (row < 0 || row >= args.capacity)
    return;
  uint32_t word = from[placeOf(args.from, pair / args.slots, quad * 4) / 4];
  int64_t left = args.to.blocks - quad * 4;
  if (left < 4)
    word &= (1u << (8 * left)) - 1;
  to[placeOf(args.to, row, quad * 4) / 4] = word;
}

extern "C" __global__ void __launch_bounds__(kThreads)
    clear_rows(const __grid_constant__ ClearRowsArgs args) {
  int64_t first = args.offsets[0], last = args.offsets[args.groups];
  int64_t step = int64_t(gridDim.x) * kThreads;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
       i < args.numRows * args.rowBytes; i += step) {
    int64_t row = i / args.rowBytes;
    if (row < first || row >= last)
      args.rows[i] = 0;
  }
}
