//===- microscaling.cpp - casts to MXFP8 and NVFP4 ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/microscaling.h"
#include "cuda/cast.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
constexpr int kThreads = 256;
}

ScalePlaces cuda::describePlaces(const te_rt_tensor &scales, int64_t rows,
                                 int64_t cols, Ragged ragged) {
  ScaleGrid grid(scales, rows, cols, ragged);
  // Blocks of n x 1 run down the data as stored, those of 1 x n along it.
  bool down = scales.block_rows > 1;
  ScalePlaces places = {};
  places.scales = data<uint8_t>(&scales);
  places.member = grid.elements;
  places.strideOuter = down ? grid.strideCol : grid.strideRow;
  places.strideBlock = down ? grid.strideRow : grid.strideCol;
  places.tilesAcross =
      grid.swizzled ? grid.shape[1] / ScaleGrid::kTileBlocks : 0;
  places.outer = down ? grid.gridCols : grid.gridRows;
  places.blocks = down ? grid.gridRows : grid.gridCols;
  places.paddedOuter = down ? grid.paddedCols : grid.paddedRows;
  places.paddedBlocks = down ? grid.paddedRows : grid.paddedCols;
  places.padding = places.paddedOuter * places.paddedBlocks -
                   places.outer * places.blocks;
  places.swizzled = grid.swizzled;
  places.restarts = ragged == (down ? Ragged::Rows : Ragged::Cols);
  return places;
}

namespace {
ScalePlaces placesOfCast(const te_rt_tensor &scales, const TileTask &task,
                         bool ragged, bool columnwise) {
  bool transposed = columnwise && !isUntransposed(scales);
  return describePlaces(scales, transposed ? task.cols : task.rows,
                        transposed ? task.rows : task.cols,
                        raggedRows(ragged, transposed));
}
} // namespace

Outcome MicroCast::add(const TileTask &task, CastArguments &arguments) {
  auto isTaken = [](const te_rt_tensor *values, const te_rt_tensor *scales) {
    return values && hasByteScales(scales);
  };
  bool rows = isTaken(arguments.values, arguments.scales);
  bool columns = isTaken(arguments.valuesT, arguments.scalesT);
  if (!rows && !columns)
    return {};
  CastArguments taken = arguments;
  if (rows)
    arguments.values = arguments.scales = nullptr;
  else
    taken.values = taken.scales = nullptr;
  if (columns)
    arguments.valuesT = arguments.scalesT = nullptr;
  else
    taken.valuesT = taken.scalesT = nullptr;
  bool takesAmax = !arguments.values && !arguments.valuesT;
  if (takesAmax)
    arguments.amax = arguments.amaxOut = nullptr;

  MicroTask micro = {};
  static_cast<TileTask &>(micro) = task;
  bool ragged = arguments.offsets != nullptr;
  for (bool fp4 : {false, true}) {
    MicroTask part = micro;
    bool any = false;
    for (bool columnwise : {false, true}) {
      const te_rt_tensor *values = columnwise ? taken.valuesT : taken.values;
      const te_rt_tensor *scales = columnwise ? taken.scalesT : taken.scales;
      if (!values || (values->dtype == TE_RT_F4E2M1) != fp4)
        continue;
      MicroOutput &out = part.micro[columnwise];
      out.values = data<uint8_t>(values);
      out.stride = lastDim(*values);
      out.scales = placesOfCast(*scales, task, ragged, columnwise);
      const te_rt_tensor *amax =
          columnwise ? taken.tensorAmaxT : taken.tensorAmax;
      out.tensorAmax = data<float>(amax);
      out.amaxPerGroup = amax && amax->rank != 0;
      out.e5m2 = values->dtype == TE_RT_F8E5M2;
      any = true;
    }
    if (!any)
      continue;
    TE_RT_TRY(addTo(fp4 ? nvfp4 : mxfp8, fp4, part, taken, takesAmax));
    takesAmax = false;
  }
  return {};
}

Outcome MicroCast::accumulate(Batch &batch, int64_t groups,
                              uint32_t **accumulators) {
  if (batch.accumulators + groups > CudaDevice::kAccumulators)
    return {TE_RT_UNSUPPORTED,
            "groups: found " + std::to_string(batch.accumulators + groups) +
                " amaxes, wanted at most " +
                std::to_string(CudaDevice::kAccumulators) + " on cuda"};
  *accumulators = device.accumulators() + batch.accumulators;
  batch.accumulators += groups;
  return {};
}

Outcome MicroCast::addTo(Batch &batch, bool fp4, MicroTask task,
                         const CastArguments &arguments, bool takesAmax) {
  batch.args.square = arguments.squareBlocks;
  batch.args.hadamard = fp4 && arguments.hadamard;
  batch.args.rng = fp4 ? data<const int64_t>(arguments.rng) : nullptr;
  batch.args.rngStream = arguments.rngStream;
  if (takesAmax && arguments.amaxOut) {
    task.amax = data<const float>(arguments.amax);
    task.amaxOut = data<float>(arguments.amaxOut);
    task.amaxPerGroup = arguments.amaxOut->rank != 0;
  }
  if (fp4 || task.amaxOut) {
    TE_RT_TRY(accumulate(batch, task.groups, &task.accumulators));
    batch.finishes = true;
  }
  if (batch.args.hadamard && task.micro[1].values)
    TE_RT_TRY(accumulate(batch, task.groups, &task.transformed));
  task.perAcross = inverseOf(task.tilesAcross);
  task.perMember = inverseOf(task.tilesPerMember);
  task.firstTile = batch.tiles;
  task.tiles = numTiles(task);
  batch.tiles += task.tiles;
  batch.tasks.push_back(task);
  return {};
}

Outcome MicroCast::launch(Batch &batch, const std::string &kernel, Grid grid,
                          bool finishes, int64_t tilesOfBlock) {
  MicroArgs &args = batch.args;
  args.tilesOfBlock = static_cast<uint32_t>(tilesOfBlock);
  args.noop = noop;
  args.ticket = device.tickets();
  args.finishes = finishes;
  args.numTasks = static_cast<int64_t>(batch.tasks.size());
  if (batch.tasks.size() == 1) {
    args.task = batch.tasks[0];
    args.table = nullptr;
  } else {
    std::vector<uint32_t> firstTiles;
    for (const MicroTask &task : batch.tasks)
      firstTiles.push_back(static_cast<uint32_t>(task.firstTile));
    const void *table = nullptr, *firsts = nullptr;
    TE_RT_TRY(device.table(batch.tasks.data(),
                           batch.tasks.size() * sizeof(MicroTask), &table));
    TE_RT_TRY(device.table(firstTiles.data(),
                           firstTiles.size() * sizeof(uint32_t), &firsts));
    args.table = static_cast<const MicroTask *>(table);
    args.firstTiles = static_cast<const uint32_t *>(firsts);
  }
  // An empty tensor has an amax.
  grid.blocks = std::max<int64_t>(ceilDiv(batch.tiles, tilesOfBlock), 1);
  return device.launch((args.table ? "multi_" + kernel : kernel).c_str(), grid,
                       args);
}

Outcome MicroCast::run(const CastKernels &kernels) {
  if (!mxfp8.tasks.empty())
    TE_RT_TRY(launch(mxfp8, std::string("mx_") + kernels.cast,
                     {0, kTile * 16 / kMxfp8Rows, kernels.shared},
                     mxfp8.finishes));
  if (nvfp4.tasks.empty())
    return {};
  std::string amax = nvfp4.args.hadamard ? "nv_hadamard_" : "nv_";
  std::string cast = nvfp4.args.rng ? "nv_random_" : amax;
  Grid grid = {0, kTile * 16 / kNvfp4Rows};
  // Several tiles for each block where that leaves work for all: a block waits when
  // it tells of its amax.
  constexpr int64_t kMost = 4, kBlocksPerSm = 6;
  int64_t tiles =
      std::clamp<int64_t>(nvfp4.tiles / (2 * kBlocksPerSm * device.numSms()), 1,
                          kMost);
  TE_RT_TRY(launch(nvfp4, amax + kernels.amax, grid, true, tiles));
  for (MicroTask &task : nvfp4.tasks)
    task.accumulators = task.transformed = nullptr;
  nvfp4.args.descends = true;
  grid.threads = kTile * 16 / kNvfp4CastRows;
  grid.shared = static_cast<int>(kTile * kTile * elementSize(inputType));
  return launch(nvfp4, cast + kernels.cast, grid, false);
}

//===----------------------------------------------------------------------===//
// Scales of 8 bits, and codes under any scales
//===----------------------------------------------------------------------===//

namespace {
/// Kernels move four scales at a time.
Outcome needsAlignment(std::initializer_list<const te_rt_tensor *> all) {
  for (const te_rt_tensor *scales : all)
    if (auto at = reinterpret_cast<uintptr_t>(scales->data); at % 4 != 0)
      return {TE_RT_INVALID_ARGUMENT,
              "scales: found memory " + std::to_string(at % 4) +
                  " bytes behind a multiple of 4, wanted a multiple"};
  return {};
}
} // namespace

Outcome cuda::convertByteScales(CudaDevice &device, const te_rt_tensor &scales,
                                const te_rt_tensor &output, int64_t rows,
                                int64_t cols) {
  Ragged ragged = raggedOf(scales);
  ScalePlaces from = describePlaces(scales, rows, cols, ragged);
  ScalePlaces to = describePlaces(output, rows, cols, ragged);
  SwizzleArgs args = {};
  args.from = from.scales;
  args.to = to.scales;
  args.outer = from.outer;
  args.blocks = from.blocks;
  args.paddedOuter = from.paddedOuter;
  args.paddedBlocks = from.paddedBlocks;
  args.members = scales.rank == 3 ? scales.shape[0] : 1;
  args.memberBytes = from.member;
  args.fromSwizzled = from.swizzled;
  args.toSwizzled = to.swizzled;
  args.outerDense = scales.block_rows > 1;
  auto bits = reinterpret_cast<uintptr_t>(args.from) |
              reinterpret_cast<uintptr_t>(args.to);
  if (args.fromSwizzled == args.toSwizzled || bits % 16 != 0 ||
      (!args.outerDense && args.paddedBlocks % 16 != 0))
    return device.launch(
        "swizzle_bytes",
        {ceilDiv(args.members * args.memberBytes / 4, kThreads), kThreads},
        args);
  int64_t quads = args.paddedBlocks / 4;
  // Quads of a block, lines of a warp, and warps of a block, as in swizzle.cu.
  constexpr int64_t kColumnLines = 256, kColumnWarps = 4;
  auto launch = [&](const char *kernel, int64_t across, int64_t down,
                    int64_t blocks, int64_t threads) {
    args.across = static_cast<uint32_t>(across);
    args.down = static_cast<uint32_t>(down);
    args.perAcross = inverseOf(args.across);
    args.perDown = inverseOf(args.down);
    return device.launch(kernel, {blocks, static_cast<int>(threads)}, args);
  };
  if (args.outerDense) {
    int64_t across = ceilDiv(args.paddedOuter, kColumnLines);
    return launch(args.toSwizzled ? "swizzle_columns" : "unswizzle_columns",
                  across, quads,
                  ceilDiv(args.members * quads * across, kColumnWarps),
                  kColumnWarps * 32);
  }
  auto launchRows = [&](const char *kernel, int64_t each) {
    int64_t across = ceilDiv(quads, each), down = args.paddedOuter / 128;
    return launch(kernel, across, down, args.members * down * across, each * 16);
  };
  if (!args.toSwizzled)
    return launchRows("unswizzle_rows_32", 32);
  // Hidden sizes that are multiples of 7.
  return quads % 28 == 0 ? launchRows("swizzle_rows_28", 28)
                         : launchRows("swizzle_rows_16", 16);
}

Outcome cuda::permuteByteScales(CudaDevice &device, const te_rt_tensor &scales,
                                const te_rt_tensor &output,
                                const PermuteArgs &rows) {
  TE_RT_TRY(needsAlignment({&scales, &output}));
  PermuteScalesArgs args = {};
  args.from = describePlaces(scales, rows.tokens, rows.cols, Ragged::No);
  args.to = describePlaces(output, rows.capacity, rows.cols, Ragged::No);
  args.rowMap = rows.rowMap;
  args.slots = rows.slots;
  args.pairs = rows.tokens * rows.slots;
  args.capacity = rows.capacity;
  args.counts = rows.counts;
  args.offsets = rows.offsets;
  args.groups = rows.counts ? rows.groups : 0;
  constexpr int64_t kPadBlocks = 4; // as in scales.cu
  int64_t words = args.pairs * (args.to.paddedBlocks / 4);
  return device.launch("permute_scales",
                       {std::max<int64_t>(ceilDiv(words, kThreads), 1) +
                            args.groups * kPadBlocks,
                        kThreads},
                       args);
}

Outcome cuda::clearUnownedRows(CudaDevice &device, const te_rt_tensor &scales,
                               const int32_t *offsets, int64_t groups) {
  ClearRowsArgs args = {data<uint8_t>(&scales), lastDim(scales),
                        scales.shape[0], offsets,
                        static_cast<int32_t>(groups)};
  int64_t blocks = ceilDiv(args.numRows * args.rowBytes, int64_t(kThreads) * 16);
  return device.launch("clear_rows", {std::min<int64_t>(blocks, 1024), kThreads},
                       args);
}

Outcome cuda::decodeRows(CudaDevice &device, const te_rt_tensor &values,
                         const te_rt_tensor &scales,
                         const te_rt_tensor *tensorAmax,
                         const te_rt_tensor *offsets, te_rt_dtype outputType,
                         void *output) {
  DecodeArgs args = {};
  TE_RT_TRY(describeMatrix(device, values, offsets, -1, args.task));
  args.task.source.input = values.data;
  args.task.output = output;
  args.task.tiles = numTiles(args.task);
  args.task.perAcross = inverseOf(args.task.tilesAcross);
  args.task.perMember = inverseOf(args.task.tilesPerMember);
  args.task.outputStride = args.task.cols;
  args.scales = scales.data;
  args.tensorAmax = data<const float>(tensorAmax);
  args.amaxPerGroup = tensorAmax && tensorAmax->rank != 0;
  args.valueType = values.dtype;
  args.perGroup = scales.rank != 0;
  if (scales.layout != TE_RT_TENSOR) {
    Ragged ragged = offsets ? Ragged::Rows : Ragged::No;
    ScaleGrid grid(scales, args.task.rows, args.task.cols, ragged);
    args.member = grid.elements;
    args.strideRow = grid.strideRow;
    args.strideCol = grid.strideCol;
    args.blockRows = scales.block_rows;
    args.blockCols = scales.block_cols;
    args.swizzled = grid.swizzled;
    args.tilesAcross =
        grid.swizzled ? grid.shape[1] / ScaleGrid::kTileBlocks : 0;
    args.paddedOuter =
        isUntransposed(scales) ? grid.paddedCols : grid.paddedRows;
    args.restarts = offsets && scales.block_rows > 1;
  }
  const char *kernel =
      !hasByteScales(&scales)
          ? byType(outputType, "decode_blocks_bf16", "decode_blocks_f32")
      : values.dtype == TE_RT_F4E2M1
          ? byType(outputType, "decode_nv_bf16", "decode_nv_f32")
          : byType(outputType, "decode_mx_bf16", "decode_mx_f32");
  return device.launch(kernel, {args.task.tiles, kThreads}, args);
}
