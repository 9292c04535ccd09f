//===- gather.cu - casts of rows that are gathered ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// permute_quantize, but for rows in blocks of 1 x 128 alone (permute.cu): the
// map is inverted first, then a tile gathers its rows.
//
//   work      one block for each 128 x 128 of the output. Those of all groups
//   that
//             hold the same tokens come together, so that a token's row is read
//             from memory once, and by the other groups from the L2
//   moves     BF16 of 16384 tokens of 7168, top 8, cast both ways: 0.23 GB
//   read,
//             1.9 GB written
//   bound     memory
//   measured  docs/Benchmarks.md, rows permute_quantize rows + columns
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/casts.cuh"
#include "cuda/kernels/micro_mxfp8.cuh"
#include "cuda/kernels/words.cuh"

using namespace te_rt::cuda;

namespace {
/// Blocks of rows in the order of where in its group each lies: tokens keep
/// their order within a group, so that neighbours in this order hold the same
/// tokens. Block b of n comes where (2b + 1) / 2n has it, and then by group.
__device__ void rankBlock(const InvertArgs &args, int64_t block) {
  RaggedRows rows = {args.offsets, args.capacity};
  int g = rows.groupOf(block, args.groups);
  int64_t b = g < 0 ? 0 : block - rows.firstBlock(g);
  int64_t n = g < 0 ? 0 : rows.blocks(g);
  if (b >= n)
    return; // its place in the order stays empty
  int rank = 0;
  for (int other = threadIdx.x % 32; other < args.groups; other += 32) {
    int64_t before = (2 * b + 1) * rows.blocks(other);
    rank += static_cast<int>((before + n - (other < g ? 0 : 1)) / (2 * n));
  }
  rank = __reduce_add_sync(~0u, rank);
  if (threadIdx.x % 32 == 0)
    args.order[rank] = static_cast<int32_t>(block);
}
} // namespace

/// For gathers: tokens[row], and what permute_quantize moves beside its rows.
extern "C" __global__ void __launch_bounds__(kRowThreads)
    invert_map(const __grid_constant__ InvertArgs args) {
  int64_t pair = blockIdx.x * int64_t(kRowThreads) + threadIdx.x;
  if (pair < args.pairs) {
    int32_t row = args.rowMap[pair];
    if (row < 0 || row >= args.capacity)
      return;
    args.tokens[row] = static_cast<int32_t>(pair / args.slots);
    if (args.outProbs)
      args.outProbs[row] = args.probs[pair];
    return;
  }
  // Blocks beyond the pairs: a warp for each block of rows, which it ranks,
  // then one for each group, whose rows that padding adds it zeroes.
  int64_t beyond = (args.pairs + kRowThreads - 1) / kRowThreads * kRowThreads;
  int64_t g = (pair - beyond) / 32;
  if (pair < beyond)
    return;
  if (args.order) {
    if (g < args.blocks)
      return rankBlock(args, g);
    g -= args.blocks;
  }
  if (g >= args.groups || !args.counts || !args.outProbs)
    return;
  int64_t begin = max(args.offsets[g], 0) + int64_t(max(args.counts[g], 0));
  int64_t end = min(int64_t(args.offsets[g + 1]), args.capacity);
  for (int64_t row = begin + threadIdx.x % 32; row < end; row += 32)
    args.outProbs[row] = 0.0f;
}

TE_RT_TILE_KERNEL(gather_bf16, GatherSource<BF16>, StoreSink, false, 3)
TE_RT_TILE_KERNEL(gather_f32, GatherSource<float>, StoreSink, false, 1)
TE_RT_CASTS(gather, GatherSource, 4)
TE_RT_MICRO_CASTS(gather, GatherSource, 3)
