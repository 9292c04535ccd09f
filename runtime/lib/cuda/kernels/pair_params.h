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

/// One matrix of a list, or one member of a packed one: what a block looks up,
/// in one line of a cache.
struct alignas(128) PairTask {
  const void *input;
  struct Output {
    uint8_t *values;
    float *scales;
    int32_t stride;               // between rows of values as stored
    int32_t strideRow, strideCol; // of scales
    int32_t stepRow, stepCol;     // of scales, from one tile to the next
    int32_t e5m2;
  } out[2];
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
