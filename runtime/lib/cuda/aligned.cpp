//===- aligned.cpp - casts of BF16 whose rows are aligned -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What weights and activations mostly are: kernels/pair.cuh and kernels/rows.cuh.
//
//===----------------------------------------------------------------------===//

#include "cuda/cast.h"
#include "cuda/kernels/pair_params.h"
#include "cuda/kernels/rows_params.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
/// Of each SM, as measured on an H200: tiles of rows from which on kernels over
/// tiles are faster, and large tiles of casts in both directions that are enough
/// to share them out evenly.
constexpr int64_t kFewRowTiles = 8, kManySame = 4, kManyBoth = 12;

/// What a kernel for aligned rows makes of a task.
enum class Form { None, Rows, Same, Both };

Form formOf(const TileTask &task) {
  auto isAligned = [](const void *memory, int64_t bytes) {
    return reinterpret_cast<uintptr_t>(memory) % bytes == 0;
  };
  const CastOutput &rows = task.out[0], &columns = task.out[1];
  if (task.cols % 8 != 0 || !isAligned(task.source.input, 16) ||
      !isAligned(rows.values, 8))
    return Form::None;
  if (task.isSame)
    return Form::Same;
  if (rows.kind != kRowBlocks || rows.transposed || task.accumulators)
    return Form::None;
  if (columns.kind == kColumnBlocks && columns.transposed)
    return Form::Both;
  bool isPacked = task.tilesPerMember && (task.groups > 1 || task.member > 0);
  return columns.kind == kNoOutput && !isPacked ? Form::Rows : Form::None;
}

RowsArgs rowsOf(const TileTask &task, const TileArgs &args) {
  const CastOutput &out = task.out[0];
  RowsArgs rows = {};
  rows.noop = args.noop;
  rows.input = task.source.input;
  rows.values = out.values;
  rows.scales = out.scales;
  rows.strideRow = out.strideRow;
  rows.strideCol = out.strideCol;
  bool isOne = task.member >= 0, isPlain = task.tilesPerMember != 0;
  rows.offsets = task.offsets;
  rows.first = isOne ? task.member : 0;
  rows.last = isOne ? task.member + 1 : task.groups;
  rows.begin = isPlain ? 0 : static_cast<int32_t>(task.begin);
  rows.end = static_cast<int32_t>(isPlain ? task.rows : task.end);
  rows.rows = static_cast<int32_t>(task.rows);
  rows.cols = static_cast<int32_t>(task.cols);
  rows.across = task.tilesAcross;
  rows.perAcross = inverseOf(rows.across);
  rows.epsilon = args.epsilon;
  rows.overflow = args.overflow;
  rows.pow2 = args.pow2;
  rows.e5m2 = out.e5m2;
  return rows;
}

PairStored storedOf(const CastOutput &out) {
  return {out.values,
          out.scales,
          static_cast<int32_t>(out.stride),
          static_cast<int32_t>(out.strideRow),
          static_cast<int32_t>(out.strideCol),
          out.e5m2};
}

/// `task` in tiles of `side` rows and columns.
PairMatrix matrixOf(const TileTask &task, int64_t side) {
  TileTask divided = task;
  divided.tilesAcross = static_cast<uint32_t>(ceilDiv(task.cols, side));
  if (task.tilesPerMember)
    divided.tilesPerMember = static_cast<uint32_t>(ceilDiv(task.rows, side));
  PairMatrix matrix = {};
  matrix.input = task.source.input;
  for (int d = 0; d < 2; ++d) {
    matrix.out[d] = storedOf(task.out[d]);
    matrix.memberScales[d] = task.out[d].memberScales;
  }
  matrix.multipliers = task.multipliers;
  matrix.accumulators = task.accumulators;
  matrix.offsets = task.offsets;
  matrix.begin = static_cast<int32_t>(task.begin);
  matrix.end = static_cast<int32_t>(task.end);
  matrix.rows = static_cast<int32_t>(task.rows);
  matrix.cols = static_cast<int32_t>(task.cols);
  matrix.tilesAcross = divided.tilesAcross;
  matrix.perAcross = inverseOf(divided.tilesAcross);
  matrix.tilesPerMember = divided.tilesPerMember;
  matrix.perMember = inverseOf(divided.tilesPerMember);
  matrix.tiles = static_cast<uint32_t>(numTiles(divided, side));
  matrix.groups = task.groups;
  matrix.member = task.member;
  matrix.multiplierPerGroup = task.multiplierPerGroup;
  matrix.findsSquares = task.findsSquares;
  return matrix;
}

/// Member `member` of a task that no offsets divide.
PairTask pairOf(const TileTask &task, int64_t member) {
  int64_t elements = task.rows * task.cols;
  PairTask pair = {};
  pair.input = static_cast<const uint16_t *>(task.source.input) + member * elements;
  for (int d = 0; d < 2; ++d) {
    pair.out[d] = storedOf(task.out[d]);
    pair.out[d].values += member * elements;
    pair.out[d].scales += member * task.out[d].memberScales;
  }
  if (task.multipliers)
    pair.multiplier = task.multipliers + (task.multiplierPerGroup ? member : 0);
  if (task.accumulators)
    pair.accumulator = task.accumulators + member;
  pair.rows = static_cast<int32_t>(task.rows);
  pair.cols = static_cast<int32_t>(task.cols);
  pair.across = static_cast<uint32_t>(ceilDiv(task.cols, kLargeTile));
  pair.perAcross = inverseOf(pair.across);
  pair.findsSquares = task.findsSquares;
  return pair;
}

/// Fills in the marks for `tiles` tiles.
void setMarks(PairArgs &args, int64_t tiles) {
  while ((tiles - 1) >> args.shift >= kPairMarks)
    ++args.shift;
  uint16_t index = 0;
  for (int64_t k = 0; k <= kPairMarks; ++k) {
    while (index + 1 < args.numPairs && args.first[index + 1] <= k << args.shift)
      ++index;
    args.marks[k] = index;
  }
}
} // namespace

Outcome Cast::castAligned(bool finish, bool &done) {
  Form form = formOf(tasks[0]);
  for (const TileTask &task : tasks)
    if (formOf(task) != form)
      return {};
  if (form == Form::Same || form == Form::Both) {
    if (tasks.size() > 1)
      return castList(form == Form::Same, finish, done);
    done = true;
    return castMatrix(form == Form::Same, finish);
  }
  if (form == Form::None || tasks.size() > 1 ||
      tiles > kFewRowTiles * device.numSms())
    return {};
  done = true;
  constexpr int64_t kBlocks = kRowsThreads / kRowsLanes; // of 1 x 128
  return device.launch("cast_rows_bf16",
                       {ceilDiv(tasks[0].rows * tasks[0].tilesAcross, kBlocks),
                        kRowsThreads},
                       rowsOf(tasks[0], args));
}

Outcome Cast::castMatrix(bool isSame, bool finish) {
  PairSameArgs all = {};
  all.matrix = matrixOf(tasks[0], kLargeTile);
  int64_t many = (isSame ? kManySame : kManyBoth) * device.numSms();
  bool isLarge = all.matrix.tiles >= many;
  if (!isLarge)
    all.matrix = matrixOf(tasks[0], kTile);
  TE_RT_TRY(setTable());
  all.noop = args.noop;
  all.epsilon = args.epsilon;
  all.overflow = args.overflow;
  all.pow2 = args.pow2;
  all.finishes = finish;
  all.last = args;
  auto launchBy = [&](const char *large, const char *small, const auto &own) {
    // An empty tensor has an amax, too.
    int64_t blocks = std::max<int64_t>(all.matrix.tiles, finish);
    return isLarge ? device.launch(large, {blocks, kLargeThreads, kLargePairShared},
                                   own)
                   : device.launch(small, {blocks, kTileThreads, kPairShared}, own);
  };
  if (isSame)
    return launchBy("pair_large_same_bf16", "pair_same_bf16", all);
  return launchBy("pair_large_both_bf16", "pair_both_bf16",
                  static_cast<const PairBothArgs &>(all));
}

Outcome Cast::castList(bool isSame, bool finish, bool &done) {
  std::vector<PairTask> pairs;
  PairArgs all = {};
  int64_t largeTiles = 0, elements = 0;
  for (const TileTask &task : tasks) {
    int64_t own = task.groups * task.rows * task.cols;
    elements += own;
    // No block would write the amax of a matrix of nothing.
    if (task.tilesPerMember == 0 || task.member >= 0 || own == 0)
      return {};
    int64_t tilesBefore = largeTiles;
    size_t pairsBefore = pairs.size();
    for (int64_t member = 0; member < task.groups; ++member) {
      if (pairs.size() == kPairTasks)
        return {};
      all.first[pairs.size()] = static_cast<uint32_t>(largeTiles);
      pairs.push_back(pairOf(task, member));
      pairs.back().task = static_cast<uint32_t>(&task - tasks.data());
      largeTiles += ceilDiv(task.rows, kLargeTile) * pairs.back().across;
    }
    for (size_t i = pairsBefore; i < pairs.size(); ++i)
      pairs[i].tilesOfTask = static_cast<uint32_t>(largeTiles - tilesBefore);
  }
  // Tiles that are not full take as long as others, but for their memory.
  if (largeTiles < kManySame * device.numSms() || largeTiles > INT32_MAX ||
      elements * 17 < largeTiles * kLargeTile * kLargeTile * 16)
    return {};
  done = true;
  TE_RT_TRY(setTable());
  static_cast<TileArgs &>(all) = args;
  all.finishes = finish;
  const void *table = nullptr;
  TE_RT_TRY(
      device.table(pairs.data(), pairs.size() * sizeof(PairTask), &table));
  all.pairs = static_cast<const PairTask *>(table);
  all.numPairs = static_cast<int32_t>(pairs.size());
  all.tickets = device.tickets() + CudaDevice::kRowTickets;
  setMarks(all, largeTiles);
  return device.launch(isSame ? "multi_pair_large_same_bf16"
                              : "multi_pair_large_both_bf16",
                       {largeTiles, kLargeThreads, kLargePairShared}, all);
}
