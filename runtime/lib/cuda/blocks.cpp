//===- blocks.cpp - casts to FP8 in blocks of any size --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/blocks.h"
#include "cuda/cast.h"

using namespace te_rt;
using namespace te_rt::cuda;

Outcome BlockCast::add(const TileTask &task, CastArguments &arguments) {
  bool ragged = arguments.offsets != nullptr;
  for (bool columnwise : {false, true}) {
    const te_rt_tensor *&values =
        columnwise ? arguments.valuesT : arguments.values;
    const te_rt_tensor *&scales =
        columnwise ? arguments.scalesT : arguments.scales;
    if (!values || isTileScale(*scales) || hasByteScales(scales))
      continue;
    BlockCastArgs args = {};
    args.task = task;
    args.transposed = columnwise && !isUntransposed(*scales);
    ScaleGrid grid(*scales, args.transposed ? task.cols : task.rows,
                   args.transposed ? task.rows : task.cols,
                   raggedRows(ragged, args.transposed));
    args.values = data<uint8_t>(values);
    args.scales = data<float>(scales);
    args.stride = lastDim(*values);
    args.memberScales = grid.elements;
    // In the orientation of the input.
    bool turned = args.transposed;
    args.strideRow = turned ? grid.strideCol : grid.strideRow;
    args.strideCol = turned ? grid.strideRow : grid.strideCol;
    args.blockRows = turned ? scales->block_cols : scales->block_rows;
    args.blockCols = turned ? scales->block_rows : scales->block_cols;
    args.e5m2 = values->dtype == TE_RT_F8E5M2;
    args.ragged = ragged;
    args.chunkCols = args.blockRows == 1   ? args.blockCols * 8
                     : args.blockCols == 1 ? kTileThreads
                                           : args.blockCols;
    args.chunks = ceilDiv(task.cols, args.chunkCols);
    tasks.push_back(args);
    values = scales = nullptr;
  }
  return {};
}

/// Stores what a function makes, and makes it the input.
Outcome BlockCast::storeRows(const CastKernels &kernels, TileTask &task) {
  void *rows = nullptr;
  TE_RT_TRY(device.scratch(
      Use::DecodedRows,
      static_cast<size_t>(task.rows * task.cols * elementSize(inputType)),
      &rows));
  TE_RT_TRY(kernels.store(rows));
  task.source.input = rows;
  return {};
}

Outcome BlockCast::run(const CastKernels &kernels, const TileArgs &like) {
  const void *rows = nullptr;
  for (BlockCastArgs &args : tasks) {
    // Sources other than matrices have one task, for one or two directions.
    if (kernels.store && !rows) {
      TE_RT_TRY(storeRows(kernels, args.task));
      rows = args.task.source.input;
    } else if (rows) {
      args.task.source.input = rows;
    }
    args.noop = noop;
    args.epsilon = like.epsilon;
    args.overflow = like.overflow;
    args.pow2 = like.pow2;
    const TileTask &task = args.task;
    int64_t down = ceilDiv(task.rows, args.blockRows);
    if (task.member < 0)
      down = args.ragged ? (task.rows ? task.rows / args.blockRows + task.groups
                                      : 0)
                         : down * task.groups;
    TE_RT_TRY(device.launch(
        byType(inputType, "cast_blocks_bf16", "cast_blocks_f32"),
        {down * args.chunks, kTileThreads}, args));
  }
  return {};
}
