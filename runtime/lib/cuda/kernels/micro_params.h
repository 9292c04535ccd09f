//===- micro_params.h - arguments of MXFP8 and NVFP4 kernels ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Scales of 8 bits are a matrix of `outer` x `blocks`: a scale for each line
// (row of a rowwise cast, column of a columnwise one) and each block along it.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_MICRO_PARAMS_H
#define TE_RUNTIME_CUDA_KERNELS_MICRO_PARAMS_H

#include "cuda/kernels/params.h"

namespace te_rt {
namespace cuda {

/// Rows that a thread holds of a tile.
constexpr int kMxfp8Rows = 8, kNvfp4Rows = 16;
/// Of casts to NVFP4.
constexpr int kNvfp4CastRows = 8;

/// Where the scales of a matrix, or of its members, lie.
struct ScalePlaces {
  uint8_t *scales;
  int64_t member;                    // between scales of packed members
  int64_t strideOuter, strideBlock;  // COMPACT
  int64_t tilesAcross;               // SWIZZLED: tiles in a row of tiles
  int64_t outer, blocks;             // of the data
  int64_t paddedOuter, paddedBlocks; // as they are stored
  int64_t padding;                   // stored scales that are no data's
  int32_t swizzled;
  int32_t restarts; // at each group, along the blocks
};

/// One of the two outputs of a cast.
struct MicroOutput {
  uint8_t *values; // nullptr: absent
  int64_t stride;  // between lines of values as stored, in elements
  ScalePlaces scales;
  float *tensorAmax; // NVFP4: [], or one for each group
  int32_t amaxPerGroup;
  int32_t e5m2;
};

/// A matrix, or `groups` of them, to cast in blocks of 32 (MXFP8) or 16 (NVFP4).
struct MicroTask : TileTask {
  MicroOutput micro[2]; // rowwise, columnwise
  uint32_t *transformed; // accumulators of what a Hadamard transform gives
};

struct MicroArgs : TaskArgs<MicroTask> {
  const int64_t *rng; // nullptr: to the nearest
  int64_t rngStream;
  int32_t square, hadamard;
  int32_t finishes; // the last block writes amaxes
  int32_t descends; // through the tiles
  uint32_t tilesOfBlock; // of a pass over amaxes
};

/// Rows of codes with scales of any blocks, to be stored as T.
struct DecodeArgs {
  TileTask task; // its source.input: the codes
  const void *scales;
  const float *tensorAmax; // FP4
  int64_t member, strideRow, strideCol; // between scales
  int64_t tilesAcross;
  int64_t paddedOuter;
  int32_t blockRows, blockCols; // 0: one scale for each tensor or group
  int32_t swizzled;
  int32_t restarts, perGroup, amaxPerGroup;
  int32_t valueType; // te_rt_dtype
};

/// Scales of 8 bits from one layout to another; the padding becomes zero.
struct SwizzleArgs {
  const uint8_t *from;
  uint8_t *to;
  int64_t outer, blocks, paddedOuter, paddedBlocks; // of one member
  int64_t members, memberBytes;
  int32_t fromSwizzled, toSwizzled;
  int32_t outerDense; // COMPACT has lines next to one another, not blocks
  // blocks of threads across and down a member, and to divide by them: inverseOf
  uint32_t across, down, perAcross, perDown;
};

/// Scales of rows along with the rows of permute.
struct PermuteScalesArgs {
  ScalePlaces from, to;
  const int32_t *rowMap; // [tokens, slots]
  int64_t pairs, slots, capacity;
  const int32_t *counts; // nullptr: no padding rows
  const int32_t *offsets;
  int32_t groups;
};

/// Rows of 8-bit scales that no group owns.
struct ClearRowsArgs {
  uint8_t *rows;
  int64_t rowBytes, numRows;
  const int32_t *offsets;
  int32_t groups;
};

/// One operand of products of codes: outer x reduction, or, transposed, stored the
/// other way.
struct EmulatedSide {
  int64_t stride;      // between rows as stored, in elements
  int64_t outer;       // extents, of the capacity where groups divide them
  int64_t tilesAcross; // of scales, but where groups divide the reduction
  int64_t paddedOuter, scaleBytes;
  const float *amax;   // FP4 lhs: [] or [groups]
  int32_t amaxPerGroup, e5m2;
};

/// What differs between groups.
struct EmulatedGroup {
  const uint8_t *lhs, *lhsScales, *rhs, *rhsScales;
  const float *rhsAmax;
  const void *bias;
  void *result;
};

/// Products of all groups, or of one, in tiles of 128 x 128.
struct EmulatedArgs {
  EmulatedSide lhs, rhs;
  EmulatedGroup group; // where there is no table
  const EmulatedGroup *table;
  const int32_t *offsets; // [groups + 1]; nullptr: not ragged
  int64_t reduction;      // of the capacity
  int64_t tilesDown, tilesAcross;
  int32_t groups;
  int32_t member; // -1 for all
  int32_t ragged, biasType, resultType, accumulate; // GemmType
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_MICRO_PARAMS_H
