//===- cast.cpp - work over tiles, as kernels want it ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/cast.h"
#include "common/numeric.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::cuda;

Outcome cuda::deviceOffsets(CudaDevice &device, const te_rt_tensor *offsets,
                            const int32_t **memory, Use use) {
  *memory = data<const int32_t>(offsets);
  if (!offsets || !offsets->on_host)
    return {};
  size_t bytes = static_cast<size_t>(offsets->shape[0]) * sizeof(int32_t);
  void *copy = nullptr;
  TE_RT_TRY(device.scratch(use, bytes, &copy));
  *memory = static_cast<const int32_t *>(copy);
  return device.copyAsync(copy, offsets->data, bytes);
}

Outcome cuda::checkOffsets(const int32_t *at, int64_t first, int64_t last,
                           int64_t capacity) {
  for (int64_t g = first; g < last; ++g)
    if (at[g] < 0 || at[g + 1] < at[g] || at[g + 1] > capacity)
      return {TE_RT_INVALID_ARGUMENT,
              "offsets[" + std::to_string(g) + "], [" + std::to_string(g + 1) +
                  "]: found " + std::to_string(at[g]) + ", " +
                  std::to_string(at[g + 1]) +
                  ", wanted ascending values from 0 to " +
                  std::to_string(capacity)};
  return {};
}

Outcome cuda::describeMatrix(CudaDevice &device, const te_rt_tensor &matrix,
                             const te_rt_tensor *offsets, int64_t member,
                             TileTask &task) {
  bool packed = matrix.rank == 3;
  task.rows = matrix.shape[packed];
  task.cols = matrix.shape[packed + 1];
  if (std::max(task.rows, task.cols) > INT32_MAX)
    return {TE_RT_UNSUPPORTED, "input: found " + std::to_string(task.rows) +
                                   " x " + std::to_string(task.cols) +
                                   ", wanted below 2^31 each on cuda"};
  task.tilesAcross = static_cast<uint32_t>(ceilDiv(task.cols, kTile));
  task.groups = static_cast<int32_t>(offsets  ? offsets->shape[0] - 1
                                     : packed ? matrix.shape[0]
                                              : 1);
  task.member = static_cast<int32_t>(member);
  if (!offsets) {
    task.tilesPerMember = static_cast<uint32_t>(ceilDiv(task.rows, kTile));
    return {};
  }
  task.tilesPerMember = 0;
  // One member's rows are known here where the offsets are.
  if (offsets->on_host && member >= 0) {
    const int32_t *at = data<const int32_t>(offsets);
    if (device.isPreparing())
      return {}; // nothing is there yet
    TE_RT_TRY(checkOffsets(at, member, member + 1, task.rows));
    task.begin = at[member];
    task.end = at[member + 1];
    return {};
  }
  return deviceOffsets(device, offsets, &task.offsets);
}

int64_t cuda::numTiles(const TileTask &task, int64_t side) {
  if (task.tilesPerMember)
    return int64_t(task.tilesAcross) * task.tilesPerMember *
           (task.member >= 0 ? 1 : task.groups);
  if (task.rows == 0)
    return 0;
  if (task.member < 0)
    return task.tilesAcross * (task.rows / side + task.groups);
  int64_t rows = task.offsets ? task.rows : task.end - task.begin;
  return task.tilesAcross * ceilDiv(rows, side);
}

Outcome cuda::describeScales(const te_rt_tensor &scales, int64_t rows,
                             int64_t cols, bool ragged, bool transposed,
                             ScaleStrides &strides) {
  strides = {};
  strides.scalePerGroup = scales.rank != 0;
  if (scales.layout == TE_RT_TENSOR) {
    strides.kind = kWholeTensor;
    return {};
  }
  int32_t down = scales.block_rows, across = scales.block_cols;
  if (std::max(down, across) != kTile || scales.layout == TE_RT_SWIZZLED ||
      scales.dtype != TE_RT_F32)
    return {TE_RT_UNSUPPORTED,
            "blocks: found " + std::to_string(down) + " x " +
                std::to_string(across) + " of " + dtypeName(scales.dtype) +
                ", wanted 1 x 128, 128 x 1 or 128 x 128 of F32 on cuda"};
  ScaleGrid grid(scales, transposed ? cols : rows, transposed ? rows : cols,
                 raggedRows(ragged, transposed));
  strides.strideRow = transposed ? grid.strideCol : grid.strideRow;
  strides.strideCol = transposed ? grid.strideRow : grid.strideCol;
  strides.member = grid.elements;
  if (transposed)
    std::swap(down, across);
  strides.kind = down == 1     ? kRowBlocks
                 : across == 1 ? kColumnBlocks
                               : kSquareBlocks;
  return {};
}

Outcome cuda::describeOutput(const te_rt_tensor &values,
                             const te_rt_tensor &scales, int64_t rows,
                             int64_t cols, bool ragged, bool columnwise,
                             CastOutput &out) {
  if (!isFp8(values.dtype))
    return {TE_RT_UNSUPPORTED, std::string("values: found ") +
                                   dtypeName(values.dtype) +
                                   ", wanted FP8 on cuda"};
  out.transposed = columnwise && !isUntransposed(scales);
  ScaleStrides strides;
  TE_RT_TRY(
      describeScales(scales, rows, cols, ragged, out.transposed, strides));
  out.values = data<uint8_t>(&values);
  out.scales = data<float>(&scales);
  out.stride = lastDim(values);
  out.memberScales = strides.member;
  out.strideRow = strides.strideRow;
  out.strideCol = strides.strideCol;
  out.kind = strides.kind;
  out.scalePerGroup = strides.scalePerGroup;
  out.e5m2 = values.dtype == TE_RT_F8E5M2;
  return {};
}

Cast::Cast(CudaDevice &device, te_rt_dtype inputType, const float *noop,
           bool pow2Scales, double epsilon)
    : device(device), micro(device, inputType, noop),
      blocks(device, inputType, noop) {
  args.noop = noop;
  args.ticket = device.tickets();
  args.epsilon = static_cast<float>(epsilon);
  args.overflow = largestValue(inputType);
  args.pow2 = pow2Scales;
}

Outcome Cast::add(TileTask task, CastArguments arguments) {
  bool castsAny = arguments.values || arguments.valuesT;
  TE_RT_TRY(blocks.add(task, arguments));
  TE_RT_TRY(micro.add(task, arguments));
  if (castsAny && !arguments.values && !arguments.valuesT && !arguments.amaxOut)
    return {};
  const te_rt_tensor *values[] = {arguments.values, arguments.valuesT};
  const te_rt_tensor *scales[] = {arguments.scales, arguments.scalesT};
  const te_rt_tensor *tensorwise = nullptr;
  te_rt_dtype chooser = TE_RT_F8E4M3;
  bool ragged = arguments.offsets != nullptr;
  for (int d = 0; d < 2; ++d) {
    if (!values[d])
      continue;
    CastOutput &out = task.out[d];
    TE_RT_TRY(describeOutput(*values[d], *scales[d], task.rows, task.cols,
                             ragged, /*columnwise=*/d == 1, out));
    if (out.kind == kWholeTensor && !tensorwise) {
      tensorwise = scales[d];
      chooser = values[d]->dtype;
    }
  }
  task.amax = data<const float>(arguments.amax);
  task.amaxOut = data<float>(arguments.amaxOut);
  task.amaxPerGroup = arguments.amaxOut && arguments.amaxOut->rank != 0;
  bool choosesScale = tensorwise && !arguments.scale;
  if (task.amaxOut || choosesScale) {
    if (groups + task.groups > CudaDevice::kAccumulators)
      return {TE_RT_UNSUPPORTED,
              "groups: found " + std::to_string(groups + task.groups) +
                  ", wanted at most " +
                  std::to_string(CudaDevice::kAccumulators) + " on cuda"};
    task.accumulators = device.accumulators() + groups;
  }
  if (arguments.scale) {
    task.multipliers = data<const float>(arguments.scale);
    task.multiplierPerGroup = arguments.scale->rank != 0;
  }
  if (choosesScale) {
    task.choosesLargest = tensorwise->rank == 0;
    task.fp8MaxOfTensor = fp8Max(chooser);
    needsAmaxPass = true;
  }
  finishes |= tensorwise || task.amaxOut;
  groups += task.groups;
  task.perAcross = inverseOf(task.tilesAcross);
  task.perMember = inverseOf(task.tilesPerMember);
  const CastOutput &rowwise = task.out[0], &columnwise = task.out[1];
  auto has = [&](int32_t kind) {
    return rowwise.kind == kind || columnwise.kind == kind;
  };
  auto isUniform = [](const CastOutput &out) {
    return out.kind == kWholeTensor || out.kind == kSquareBlocks;
  };
  task.findsColumns = has(kColumnBlocks);
  task.findsSquares = has(kSquareBlocks);
  task.findsAny = task.findsColumns || task.findsSquares || task.accumulators;
  task.isSame = isUniform(rowwise) && rowwise.kind == columnwise.kind &&
                rowwise.e5m2 == columnwise.e5m2 && columnwise.transposed;
  for (CastOutput &out : task.out)
    out.isEarly = !task.isSame && !out.transposed &&
                  (out.kind == kRowBlocks || out.kind == kWholeTensor);
  task.firstTile = tiles;
  task.tiles = numTiles(task);
  tiles += task.tiles;
  tasks.push_back(task);
  return {};
}

Outcome Cast::setTable() {
  args.numTasks = static_cast<int64_t>(tasks.size());
  args.table = nullptr;
  if (tasks.size() == 1) {
    args.task = tasks[0];
    return {};
  }
  std::vector<uint32_t> firstTiles;
  for (const TileTask &task : tasks)
    firstTiles.push_back(static_cast<uint32_t>(task.firstTile));
  const void *table = nullptr, *firsts = nullptr;
  TE_RT_TRY(
      device.table(tasks.data(), tasks.size() * sizeof(TileTask), &table));
  TE_RT_TRY(device.table(firstTiles.data(),
                         firstTiles.size() * sizeof(uint32_t), &firsts));
  args.table = static_cast<const TileTask *>(table);
  args.firstTiles = static_cast<const uint32_t *>(firsts);
  return {};
}

Outcome Cast::launch(const char *kernel, Grid grid, bool finish) {
  args.finishes = finish;
  args.tiles = 0;
  for (const TileTask &task : tasks)
    args.tiles += static_cast<uint32_t>(task.tiles);
  args.counter = device.tickets() + CudaDevice::kTileCounter;
  TE_RT_TRY(setTable());
  std::string name = (args.table ? "multi_" : "") + std::string(kernel);
  return device.launch(name.c_str(), grid, args);
}

Outcome Cast::run(const CastKernels &kernels) {
  TE_RT_TRY(micro.run(kernels));
  TE_RT_TRY(blocks.run(kernels, args));
  if (tasks.empty())
    return {};
  if (needsAmaxPass) {
    void *memory = nullptr;
    TE_RT_TRY(device.scratch(Use::Multipliers,
                             static_cast<size_t>(groups) * sizeof(float),
                             &memory));
    auto *chosen = static_cast<float *>(memory);
    for (TileTask &task : tasks) {
      // Those with a scale of their own, too, so that one pass serves all.
      if (task.fp8MaxOfTensor > 0) {
        task.chosen = chosen;
        task.multipliers = chosen;
        task.multiplierPerGroup = 1;
      }
      chosen += task.groups;
    }
  }
  auto enqueue = [&](const char *kernel, bool finish) -> Outcome {
    if (kernel == kernels.cast) {
      bool done = false;
      if (kernels.isMatrix)
        TE_RT_TRY(castAligned(finish, done));
      if (done)
        return {};
    }
    const CastOutput &rows = tasks[0].out[0], &columns = tasks[0].out[1];
    bool isBoth = kernels.both.kernel && tasks.size() == 1 &&
                  !tasks[0].accumulators && rows.kind == kRowBlocks &&
                  !rows.transposed && columns.kind == kColumnBlocks &&
                  columns.transposed;
    auto &stream = isBoth ? kernels.both : kernels.stream;
    int64_t fit = int64_t(stream.perSm) * device.numSms();
    if (stream.kernel && kernel == kernels.cast && (isBoth || tiles > fit))
      return launch(stream.kernel,
                    {std::min(tiles, fit), kStreamThreads, stream.shared},
                    finish);
    // An empty tensor has an amax, too.
    int64_t blocks = finish ? std::max<int64_t>(tiles, 1) : tiles;
    return launch(kernel, {blocks, kTileThreads, kernels.shared}, finish);
  };
  if (needsAmaxPass) {
    TE_RT_TRY(enqueue(kernels.amax, true));
    for (TileTask &task : tasks) {
      task.accumulators = nullptr;
      task.findsAny = task.findsColumns || task.findsSquares;
      task.chosen = nullptr;
      task.source.gradProbs = nullptr; // the first pass has made them
    }
    return enqueue(kernels.cast, false);
  }
  return enqueue(kernels.cast, finishes);
}
