//===- routing.cpp - which token goes where, and the moves of tokens ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/numeric.h"
#include "cuda/cast.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256;
} // namespace

te_rt_status cuda::routing_map(te_rt_context *context,
                               const te_rt_tensor *indices,
                               const te_rt_tensor *row_map,
                               const te_rt_tensor *counts,
                               const te_rt_tensor *offsets, int64_t alignment,
                               int64_t capacity) {
  CudaDevice &device = deviceOf(context);
  auto run = [&]() -> Outcome {
    RoutingArgs args = {};
    args.indices = data<int32_t>(indices);
    args.rowMap = data<int32_t>(row_map);
    args.counts = data<int32_t>(counts);
    args.offsets = data<int32_t>(offsets);
    args.pairs = numElements(*indices);
    args.alignment = alignment;
    args.capacity = capacity;
    args.experts = static_cast<int32_t>(counts->shape[0]);
    // Counters of as many warps as fit in shared memory.
    constexpr int64_t kWords = 96 * 1024 / 4;
    int64_t warps =
        std::min<int64_t>(32, kWords / std::max<int64_t>(args.experts, 1) - 3);
    if (warps < 1)
      return {TE_RT_UNSUPPORTED, "counts: found " +
                                     std::to_string(args.experts) +
                                     " experts, wanted at most " +
                                     std::to_string(kWords / 4) + " on cuda"};
    // All blocks must be on the device at once; more than one pass over a
    // thousand pairs each gains nothing, and each block reads the counts of all.
    // One block has no more threads than pairs or experts.
    int64_t most = args.experts > 64 ? device.numSms() / 2 : device.numSms();
    int64_t blocks = std::clamp<int64_t>(ceilDiv(args.pairs, 1024), 1, most);
    int64_t threads =
        blocks > 1 ? 1024
                   : std::clamp<int64_t>(
                         roundUp(std::max<int64_t>(args.pairs, args.experts), 32),
                         32, 1024);
    warps = std::min(warps, blocks > 1 ? 32 : ceilDiv(args.pairs, 32));
    warps = std::max<int64_t>(warps, 1);
    args.warps = static_cast<int32_t>(warps);
    args.pairsPerBlock = ceilDiv(args.pairs, blocks);
    void *blockCounts = nullptr;
    TE_RT_TRY(device.scratch(
        Use::Rows, static_cast<size_t>(blocks) * args.experts * sizeof(int32_t),
        &blockCounts));
    args.blockCounts = static_cast<int32_t *>(blockCounts);
    args.tickets = device.tickets() + 1;
    args.overflow = device.overflowFlag();
    Grid grid = {blocks, static_cast<int>(threads)};
    grid.shared = static_cast<int>((warps + 3) * args.experts *
                                   static_cast<int64_t>(sizeof(int32_t)));
    grid.cooperative = blocks > 1;
    return device.launch("routing_map", grid, args);
  };
  return context->finish(run());
}

te_rt_status cuda::compute_offsets(te_rt_context *context,
                                   const te_rt_tensor *counts,
                                   const te_rt_tensor *offsets,
                                   int64_t alignment) {
  OffsetsArgs args = {data<int32_t>(counts), data<int32_t>(offsets),
                      counts->shape[0], alignment};
  return context->finish(
      deviceOf(context).launch("compute_offsets", {1, 32}, args));
}

te_rt_status cuda::to_host(te_rt_context *context, const te_rt_tensor *offsets,
                           const te_rt_tensor *output) {
  CudaDevice &device = deviceOf(context);
  auto run = [&]() -> Outcome {
    if (device.isPreparing())
      return {};
    if (device.isCapturing())
      return {TE_RT_UNSUPPORTED, "graph: found a host synchronization, wanted "
                                 "a program that has none"};
    return device.copy(output->data, offsets->data,
                       static_cast<size_t>(numElements(*offsets)) *
                           sizeof(int32_t));
  };
  return context->finish(run());
}

namespace {
/// Scales of rows as a matrix with strides. The contract has excluded others
/// than blocks one row high.
Outcome describeRowScales(const te_rt_tensor *from, int64_t fromRows,
                          const te_rt_tensor *to, int64_t toRows, int64_t cols,
                          RowScales &scales) {
  if (!from || hasByteScales(from))
    return {};
  ScaleGrid fromGrid(*from, fromRows, cols, Ragged::No);
  ScaleGrid toGrid(*to, toRows, cols, Ragged::No);
  scales = {from->data,         to->data,
            fromGrid.strideRow, fromGrid.strideCol,
            toGrid.strideRow,   toGrid.strideCol,
            fromGrid.gridCols,  static_cast<int32_t>(elementSize(from->dtype))};
  return {};
}
} // namespace

namespace {
/// Threads for rows of `bytes`, each of which takes as many words as the
/// others.
int threadsForRow(int64_t bytes, int most = kThreads) {
  int64_t words = std::max<int64_t>(ceilDiv(bytes, 16), 1);
  int64_t rounds = ceilDiv(words, most);
  return static_cast<int>(roundUp(ceilDiv(words, rounds), 32));
}

/// Divides the work of a block that scatters rows; false where these rows do not
/// fit it.
bool formScatter(const CudaDevice &device, bool casts, ScatterArgs &args,
                 Grid &grid) {
  const PermuteArgs &rows = args.rows;
  int64_t read = args.readBytes;
  auto misaligned = reinterpret_cast<uintptr_t>(rows.input) |
                    reinterpret_cast<uintptr_t>(rows.output) |
                    static_cast<uintptr_t>(read) |
                    static_cast<uintptr_t>(rows.rowBytes);
  if (read == 0 || misaligned % 16 || rows.slots > kBlockPairs ||
      (rows.scales.to && rows.scales.size != 4))
    return false;
  constexpr int64_t kChunk = 8192, kLeast = 512; // bytes
  int64_t tokens = std::min<int64_t>(
      8, kBlockPairs / std::max<int64_t>(rows.slots, 1));
  int64_t unit = casts ? kTile * 2 : 16; // casts: of BF16
  int64_t chunk =
      roundUp(ceilDiv(read, ceilDiv(read, kChunk)), unit);
  int64_t blocks = ceilDiv(rows.tokens, tokens);
  while (chunk > std::max(kLeast, unit) &&
         blocks * ceilDiv(read, chunk) < 2 * device.numSms())
    chunk = roundUp(chunk / 2, unit);
  args.blockTokens = static_cast<int32_t>(tokens);
  args.chunkBytes = static_cast<int32_t>(chunk);
  args.chunks = static_cast<int32_t>(ceilDiv(read, chunk));
  args.chunkScales = static_cast<int32_t>(
      casts ? chunk / unit : ceilDiv(rows.scales.cols, args.chunks));
  constexpr int kPadBlocksPerSm = 4;
  args.padBlocks = rows.counts ? kPadBlocksPerSm * device.numSms() : 0;
  grid.blocks = blocks * args.chunks + args.padBlocks;
  grid.threads = kScatterThreads;
  grid.shared = static_cast<int>(kScatterThreads / 32 * chunk +
                                 tokens * (args.chunkScales | 1) * 4);
  return true;
}
/// Scatters rows, and their scales: in a kernel of their own where they are many
/// and those of neighbouring rows are neighbours.
Outcome enqueueScatter(CudaDevice &device, bool casts, ScatterArgs &args,
                       const Grid &grid) {
  const PermuteArgs &rows = args.rows;
  const char *kernel = casts ? "scatter_cast_bf16" : "scatter_rows";
  constexpr int64_t kFewest = 2048; // tokens
  if (!rows.scales.to || rows.scales.toRow != 1 || rows.scales.cols < 2 ||
      rows.tokens < kFewest)
    return device.launch(kernel, grid, args);
  GatherScalesArgs gather = {};
  gather.scales = rows.scales;
  gather.rows = rows.capacity;
  gather.padScale = args.padScale;
  void *memory = nullptr;
  size_t bytes = static_cast<size_t>(rows.capacity) * sizeof(int32_t);
  TE_RT_TRY(device.scratch(Use::Rows, bytes, &memory));
  TE_RT_TRY(device.fillAsync(memory, 0xff, bytes));
  gather.tokens = args.rowTokens = static_cast<int32_t *>(memory);
  if (casts) {
    TE_RT_TRY(device.scratch(
        Use::Partials,
        static_cast<size_t>(rows.tokens * rows.scales.cols) * sizeof(float),
        &memory));
    gather.scales.from = args.tokenScales = static_cast<float *>(memory);
    gather.scales.fromRow = rows.scales.cols;
    gather.scales.fromCol = 1;
  }
  TE_RT_TRY(device.launch(kernel, grid, args));
  return device.launch("gather_scales",
                       {ceilDiv(gather.rows, kTile), kScatterThreads}, gather);
}
} // namespace

te_rt_status
cuda::permute(te_rt_context *context, const te_rt_tensor *input,
              const te_rt_tensor *scales, const te_rt_tensor *probs,
              const te_rt_tensor *row_map, const te_rt_tensor *counts,
              const te_rt_tensor *offsets, const te_rt_tensor *output,
              const te_rt_tensor *out_scales, const te_rt_tensor *out_probs) {
  CudaDevice &device = deviceOf(context);
  auto run = [&]() -> Outcome {
    PermuteArgs args = {};
    args.input = input->data;
    args.output = output->data;
    args.cols = input->shape[1];
    args.rowBytes = bytesOf(input->dtype, args.cols);
    args.tokens = input->shape[0];
    args.slots = row_map->shape[1];
    args.capacity = output->shape[0];
    args.rowMap = data<int32_t>(row_map);
    args.probs = data<float>(probs);
    args.outProbs = data<float>(out_probs);
    TE_RT_TRY(describeRowScales(scales, args.tokens, out_scales, args.capacity,
                                args.cols, args.scales));
    args.padBlocks = 16;
    if (counts) {
      TE_RT_TRY(deviceOffsets(device, offsets, &args.offsets));
      args.counts = data<int32_t>(counts);
      args.groups = static_cast<int32_t>(counts->shape[0]);
    }
    if (hasByteScales(scales))
      TE_RT_TRY(permuteByteScales(device, *scales, *out_scales, args));
    ScatterArgs scatter = {};
    scatter.rows = args;
    scatter.readBytes = args.rowBytes;
    Grid grid = {};
    if (formScatter(device, /*casts=*/false, scatter, grid))
      return enqueueScatter(device, /*casts=*/false, scatter, grid);
    return device.launch(
        "permute_rows",
        {args.tokens + int64_t(args.groups) * args.padBlocks,
         threadsForRow(args.rowBytes)},
        args);
  };
  return context->finish(run());
}

namespace {
/// permute_quantize where all it makes is rows in blocks of 1 x 128: each token
/// is read once. `fits` is false, and nothing is enqueued, for anything else.
Outcome scatterCast(CudaDevice &device, const te_rt_tensor &input,
                    const te_rt_tensor &values, const te_rt_tensor &scales,
                    const PermuteArgs &rows, bool pow2, double epsilon,
                    bool &fits) {
  ScaleStrides strides;
  TE_RT_TRY(describeScales(scales, values.shape[0], values.shape[1],
                           /*ragged=*/false, /*transposed=*/false, strides));
  fits = false;
  if (strides.kind != kRowBlocks || input.dtype != TE_RT_BF16)
    return {};
  ScatterArgs args = {};
  args.rows = rows;
  args.rows.output = values.data;
  args.rows.rowBytes = rows.cols;
  args.rows.scales = {nullptr,           scales.data,
                      0,                 0,
                      strides.strideRow, strides.strideCol,
                      ceilDiv(rows.cols, kTile), 4};
  args.readBytes = 2 * rows.cols;
  args.epsilon = static_cast<float>(epsilon);
  args.overflow = largestValue(input.dtype);
  args.pow2 = pow2;
  args.e5m2 = values.dtype == TE_RT_F8E5M2;
  Grid grid = {};
  fits = formScatter(device, /*casts=*/true, args, grid);
  args.padScale =
      1.0f / scaleFromAmax(0.0f, fp8Max(values.dtype), args.epsilon, pow2,
                           args.overflow);
  return fits ? enqueueScatter(device, /*casts=*/true, args, grid) : Outcome{};
}
} // namespace

te_rt_status cuda::permute_quantize(
    te_rt_context *context, const te_rt_tensor *input,
    const te_rt_tensor *probs, const te_rt_tensor *row_map,
    const te_rt_tensor *scale, const te_rt_tensor *amax,
    const te_rt_tensor *offsets, const te_rt_tensor *counts,
    const te_rt_tensor *values, const te_rt_tensor *scales,
    const te_rt_tensor *values_t, const te_rt_tensor *scales_t,
    const te_rt_tensor *amax_out, const te_rt_tensor *out_probs,
    int64_t pow2_scales, double epsilon) {
  CudaDevice &device = deviceOf(context);
  auto run = [&]() -> Outcome {
    te_rt_tensor rows = *input;
    rows.shape[0] = rowsOfCast(values, values_t, scales_t);
    TileTask task = {};
    TE_RT_TRY(describeMatrix(device, rows, offsets, -1, task));
    if (values && !values_t && !amax_out && !scale && isTileScale(*scales)) {
      PermuteArgs scatter = {};
      scatter.input = input->data;
      scatter.cols = input->shape[1];
      scatter.tokens = input->shape[0];
      scatter.slots = row_map->shape[1];
      scatter.capacity = rows.shape[0];
      scatter.rowMap = data<int32_t>(row_map);
      scatter.probs = data<float>(probs);
      scatter.outProbs = data<float>(out_probs);
      scatter.counts = data<int32_t>(counts);
      scatter.offsets = task.offsets;
      scatter.groups = task.groups;
      bool fits = false;
      TE_RT_TRY(scatterCast(device, *input, *values, *scales, scatter,
                            pow2_scales != 0, epsilon, fits));
      if (fits)
        return {};
    }
    // -1 for each row and each block of rows that nobody has.
    bool hasOrder = task.groups > 1 && task.member < 0 && task.offsets;
    int64_t tileRows =
        hasOrder ? task.rows / kTile + task.groups : 0; // as numTiles counts
    void *tokens = nullptr;
    size_t bytes =
        static_cast<size_t>(rows.shape[0] + tileRows) * sizeof(int32_t);
    TE_RT_TRY(device.scratch(Use::Rows, bytes, &tokens));
    TE_RT_TRY(device.fillAsync(tokens, 0xff, bytes));
    InvertArgs map = {};
    map.rowMap = data<int32_t>(row_map);
    map.tokens = static_cast<int32_t *>(tokens);
    if (hasOrder) {
      task.order = map.order = map.tokens + rows.shape[0];
      task.band = static_cast<uint32_t>(task.groups);
    }
    map.blocks = tileRows;
    map.pairs = numElements(*row_map);
    map.slots = row_map->shape[1];
    map.capacity = rows.shape[0];
    map.probs = data<float>(probs);
    map.outProbs = data<float>(out_probs);
    map.counts = data<int32_t>(counts);
    map.offsets = task.offsets;
    map.groups = task.groups;
    int64_t warps = tileRows + (counts ? map.groups : 0);
    TE_RT_TRY(device.launch(
        "invert_map",
        {ceilDiv(map.pairs, kThreads) + ceilDiv(warps * 32, kThreads),
         kThreads},
        map));
    task.source.input = input->data;
    task.source.tokens = map.tokens;
    Cast cast(device, input->dtype, nullptr, pow2_scales, epsilon);
    TE_RT_TRY(cast.add(task, {scale, amax, offsets, values, scales, values_t,
                              scales_t, amax_out}));
    CastKernels kernels = {
        byType(input->dtype, "gather_cast_bf16", "gather_cast_f32"),
        byType(input->dtype, "gather_amax_bf16", "gather_amax_f32")};
    kernels.store = [&](void *gathered) {
      TileArgs args = {};
      args.task = task;
      args.task.output = gathered;
      args.task.outputStride = task.cols;
      return store(device, args,
                   byType(input->dtype, "gather_bf16", "gather_f32"));
    };
    return cast.run(kernels);
  };
  return context->finish(run());
}

namespace {
/// Sums of the rows that a map gives each token.
Outcome gatherSums(CudaDevice &device, const te_rt_tensor &input,
                   const te_rt_tensor *probs, const te_rt_tensor &map,
                   const te_rt_tensor &output, const te_rt_tensor *outProbs) {
  PermuteArgs args = {};
  args.input = input.data;
  args.output = output.data;
  args.tokens = map.shape[0];
  args.slots = map.shape[1];
  args.capacity = input.shape[0];
  args.cols = args.tokens ? numElements(output) / args.tokens : 0;
  args.rowMap = data<int32_t>(&map);
  args.probs = data<float>(probs);
  args.outProbs = data<float>(outProbs);
  // A warp takes 512 bytes of a token at a time, and keeps its slots twice.
  int64_t bytes = args.cols * elementSize(input.dtype);
  Grid grid = {args.tokens,
               args.slots <= 64 ? threadsForRow(bytes, kUnpermuteThreads)
                                 : 32};
  int64_t rounds = ceilDiv(bytes, 16 * int64_t(grid.threads));
  args.blocks = std::clamp<int64_t>(
      ceilDiv(8 * device.numSms(), std::max<int64_t>(args.tokens, 1)), 1,
      std::max<int64_t>(rounds, 1));
  grid.blocks *= args.blocks;
  int64_t shared = grid.threads / 32 * 2 * args.slots * 4;
  if (shared > 96 * 1024)
    return {TE_RT_UNSUPPORTED, "row_map: found " + std::to_string(args.slots) +
                                   " slots, wanted at most 12288 on cuda"};
  grid.shared = static_cast<int>(shared);
  return device.launch(byType(input.dtype, "unpermute_bf16", "unpermute_f32"),
                       grid, args);
}
} // namespace

te_rt_status cuda::unpermute(te_rt_context *context, const te_rt_tensor *input,
                             const te_rt_tensor *probs,
                             const te_rt_tensor *row_map,
                             const te_rt_tensor *output,
                             const te_rt_tensor *out_probs) {
  return context->finish(gatherSums(deviceOf(context), *input, probs, *row_map,
                                    *output, out_probs));
}

namespace {
te_rt_status moveGroups(te_rt_context *context, const te_rt_tensor *input,
                        const te_rt_tensor *probs, const te_rt_tensor *from,
                        const te_rt_tensor *to, const te_rt_tensor *output,
                        const te_rt_tensor *out_probs) {
  CudaDevice &device = deviceOf(context);
  auto run = [&]() -> Outcome {
    MoveGroupsArgs args = {};
    args.input = input->data;
    args.output = output->data;
    args.rowBytes = bytesOf(input->dtype, input->shape[1]);
    args.inputRows = input->shape[0];
    args.outputRows = output->shape[0];
    args.probs = data<float>(probs);
    args.outProbs = data<float>(out_probs);
    TE_RT_TRY(deviceOffsets(device, from, &args.from));
    TE_RT_TRY(deviceOffsets(device, to, &args.to, Use::MoreOffsets));
    args.groups = static_cast<int32_t>(from->shape[0] - 1);
    if (output->layout == TE_RT_COMPACT && hasByteScales(output))
      TE_RT_TRY(clearUnownedRows(device, *output, args.to, args.groups));
    return device.launch("move_groups", {args.outputRows, kThreads}, args);
  };
  return context->finish(run());
}
} // namespace

te_rt_status cuda::pad(te_rt_context *context, const te_rt_tensor *input,
                       const te_rt_tensor *probs, const te_rt_tensor *from,
                       const te_rt_tensor *to, const te_rt_tensor *output,
                       const te_rt_tensor *out_probs) {
  return moveGroups(context, input, probs, from, to, output, out_probs);
}

te_rt_status cuda::unpad(te_rt_context *context, const te_rt_tensor *input,
                         const te_rt_tensor *probs, const te_rt_tensor *from,
                         const te_rt_tensor *to, const te_rt_tensor *output,
                         const te_rt_tensor *out_probs) {
  return moveGroups(context, input, probs, from, to, output, out_probs);
}
