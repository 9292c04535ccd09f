//===- pair_params.h - matrices that are cast both ways ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_PAIR_PARAMS_H
#define TE_RUNTIME_CUDA_KERNELS_PAIR_PARAMS_H

#include "cuda/kernels/params.h"

namespace te_rt {
namespace cuda {

/// Where one direction of a cast goes: the first as rows, the second transposed.
struct PairStored {
  uint8_t *values;
  float *scales;
  int32_t stride;               // between rows of values as stored
  int32_t strideRow, strideCol; // of scales, between neighbouring blocks
  int32_t e5m2;
};

/// A matrix, packed ones or ragged rows, as TileTask describes them.
struct PairMatrix {
  const void *input;
  PairStored out[2];
  int64_t memberScales[2];
  const float *multipliers;
  uint32_t *accumulators;
  const int32_t *offsets;
  int32_t begin, end;
  int32_t rows, cols;
  uint32_t tilesAcross, perAcross;
  uint32_t tilesPerMember, perMember;
  uint32_t tiles;
  int32_t groups, member;
  int32_t multiplierPerGroup, findsSquares;
};
/// Of blocks along each direction. Few bytes, since small calls wait for all of
/// them.
struct PairBothArgs {
  const float *noop;
  PairMatrix matrix;
  float epsilon, overflow;
  int32_t pow2, finishes;
};
/// Of the same codes in both directions.
struct PairSameArgs : PairBothArgs {
  TileArgs last; // what the last block wants, where one `finishes`
};

/// One matrix of a list, or one member of a packed one: what a block looks up,
/// in one line of a cache.
struct alignas(128) PairTask {
  const void *input;
  PairStored out[2];
  const float *multiplier;
  uint32_t *accumulator;
  int32_t rows, cols;
  uint32_t across, perAcross; // tiles, and to divide by them: inverseOf
  uint32_t task;              // of the table
  uint32_t tilesOfTask : 31, findsSquares : 1;
};
static_assert(sizeof(PairTask) == 128, "a line of a cache");

/// Their first tiles lie with the arguments, where a search waits for no
/// memory; and which matrix has each tile that is a multiple of 1 << shift, so
/// that a search is short.
constexpr int kPairTasks = 640, kPairMarks = 128;
struct PairArgs : TileArgs {
  const PairTask *pairs;
  uint32_t *tickets; // one for each task, as TaskArgs::ticket
  int32_t shift;
  int32_t numPairs;
  uint32_t first[kPairTasks];
  uint16_t marks[kPairMarks + 1]; // those of no tile: the last matrix
};
static_assert(sizeof(PairArgs) <= 4096, "arguments of a kernel");

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_PAIR_PARAMS_H
