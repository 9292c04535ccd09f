//===- blocks.cu - casts to FP8 in blocks of any size ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What tiles of 128 x 128 cannot hold: blocks of 1 x n, n x 1 and n x n with F32
// scales, n other than 128.
//
//   work      a row of blocks and some of its columns for each block of threads;
//             a warp has a block of 1 x n, a thread one of n x 1
//   moves     the input twice, the second time from a cache, and the codes
//   bound     none in particular: a way for what no recipe uses
//
//===----------------------------------------------------------------------===//

#include "cuda/kernels/tile.cuh"

using namespace te_rt::cuda;

namespace {
constexpr int kThreads = kTileThreads;

/// The rows of a block, and which of its columns.
struct Strip {
  int64_t member, row0, blockRow;
  int rows;
  int64_t col0, cols;
};

__device__ bool locateStrip(const BlockCastArgs &args, Strip &strip) {
  const TileTask &task = args.task;
  int64_t slot = blockIdx.x / args.chunks, size = args.blockRows;
  strip.col0 = blockIdx.x % args.chunks * args.chunkCols;
  strip.cols = task.cols - strip.col0 < args.chunkCols ? task.cols - strip.col0
                                                       : args.chunkCols;
  int64_t end;
  if (!args.ragged) {
    int64_t perMember = (task.rows + size - 1) / size;
    strip.member = task.member >= 0 ? task.member : slot / perMember;
    strip.blockRow = task.member >= 0 ? slot : slot % perMember;
    strip.row0 = strip.blockRow * size;
    end = task.rows;
  } else {
    // Blocks of groups number as in types.h.
    auto offset = [&](int64_t g) {
      int64_t at = task.offsets[g];
      return at < 0 ? 0 : at > task.rows ? task.rows : at;
    };
    int64_t group = task.member, begin, first = 0;
    if (group < 0) {
      group = countUpTo(task.groups, slot,
                        [&](int64_t g) { return offset(g) / size + g; }) -
              1;
      if (group < 0)
        return false;
      first = offset(group) / size + group;
    }
    begin = task.offsets ? offset(group) : task.begin;
    end = task.offsets ? offset(group + 1) : task.end;
    strip.member = 0;
    strip.row0 = begin + (slot - first) * size;
    // Rows of their own number through.
    strip.blockRow = size == 1 ? strip.row0
                               : begin / size + group + (slot - first);
  }
  int64_t left = end - strip.row0;
  strip.rows = static_cast<int>(left < size ? left : size);
  return left > 0;
}

template <typename T> class BlockCaster {
public:
  __device__ BlockCaster(const BlockCastArgs &args, const Strip &strip)
      : args(args), strip(strip),
        from(static_cast<const T *>(args.task.source.input) +
             (strip.member * args.task.rows + strip.row0) * args.task.cols) {}

  __device__ void run() {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (args.blockRows == 1) {
      int64_t col = strip.col0 + warp * args.blockCols;
      cast(0, 1, col + lane, endOf(col), 32, [](float amax) {
        return __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(amax)));
      }, col < strip.col0 + strip.cols && lane == 0);
    } else if (args.blockCols == 1) {
      int64_t col = strip.col0 + threadIdx.x;
      bool exists = col < strip.col0 + strip.cols;
      cast(0, 1, col, exists ? col + 1 : col, 1, [](float amax) { return amax; },
           exists);
    } else {
      __shared__ float warps[kThreads / 32];
      cast(warp, kThreads / 32, strip.col0 + lane, endOf(strip.col0), 32,
           [&](float amax) {
             amax = __uint_as_float(
                 __reduce_max_sync(~0u, __float_as_uint(amax)));
             if (lane == 0)
               warps[warp] = amax;
             __syncthreads();
             for (float other : warps)
               amax = fmaxf(amax, other);
             return amax;
           },
           threadIdx.x == 0);
    }
  }

private:
  __device__ int64_t endOf(int64_t col) const {
    int64_t end = col + args.blockCols;
    return end < args.task.cols ? end : args.task.cols;
  }
  /// Rows row, row + rowStep, .. and columns col, col + colStep, .. below `end` of
  /// a block; `reduce` gives the amax of all that have the block.
  template <typename Reduce>
  __device__ void cast(int row, int rowStep, int64_t col, int64_t end,
                       int colStep, Reduce reduce, bool writes) {
    float amax = 0.0f;
    for (int i = row; i < strip.rows; i += rowStep)
      for (int64_t j = col; j < end; j += colStep)
        amax = fmaxf(amax, fabsf(toFloat(from[i * args.task.cols + j])));
    amax = reduce(amax);
    float scale = scaleFromAmax(amax, args.e5m2 ? 57344.0f : 448.0f,
                                args.epsilon, args.pow2, args.overflow);
    if (writes)
      args.scales[strip.member * args.memberScales +
                  strip.blockRow * args.strideRow +
                  col / args.blockCols * args.strideCol] = __frcp_rn(scale);
    for (int i = row; i < strip.rows; i += rowStep)
      for (int64_t j = col; j < end; j += colStep) {
        float scaled = __fmul_rn(toFloat(from[i * args.task.cols + j]), scale);
        uint32_t code = args.e5m2 ? encodeFour<true>(scaled, 0, 0, 0)
                                  : encodeFour<false>(scaled, 0, 0, 0);
        int64_t at = args.transposed
                         ? (strip.member * args.task.cols + j) * args.stride +
                               strip.row0 + i
                         : (strip.member * args.task.rows + strip.row0 + i) *
                                   args.stride + j;
        args.values[at] = static_cast<uint8_t>(code);
      }
  }

  const BlockCastArgs &args;
  const Strip &strip;
  const T *from;
};

template <typename T> __device__ void castBlocks(const BlockCastArgs &args) {
  if (args.noop && *args.noop == 1.0f)
    return;
  Strip strip;
  if (locateStrip(args, strip))
    BlockCaster<T>(args, strip).run();
}
} // namespace

extern "C" __global__ void __launch_bounds__(kThreads)
    cast_blocks_bf16(const __grid_constant__ BlockCastArgs args) {
  castBlocks<BF16>(args);
}
extern "C" __global__ void __launch_bounds__(kThreads)
    cast_blocks_f32(const __grid_constant__ BlockCastArgs args) {
  castBlocks<float>(args);
}
