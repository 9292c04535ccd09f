//===- grouped_params.h - arguments of grouped products ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Read by the host's compiler and by nvcc.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_KERNELS_GROUPED_PARAMS_H
#define TE_RUNTIME_CUDA_KERNELS_GROUPED_PARAMS_H

#include <cstdint>

namespace te_rt {
namespace cuda {

/// What the copy engine knows of a tensor (CUtensorMap), in device memory.
struct alignas(64) TensorMap {
  uint64_t words[16];
};

/// What a product has of each group on its own, in device memory.
struct GroupedItem {
  const float *rhsScales;
  void *result;
  const void *bias;
};

/// A block of threads makes 128 rows of the result, and K goes in blocks of 128
/// bytes of each operand.
constexpr int kGroupedRows = 128, kGroupedBytes = 128;
constexpr int kGroupedThreads = 384, kGroupedCluster = 2;

/// How the two operands are scaled.
enum class GroupedScale : int32_t {
  None,      // BF16
  Tensor,    // one scale for each tensor or group
  RowSquare, // lhs 1 x 128, rhs 128 x 128
  RowRow     // both 1 x 128
};

/// Columns of the result that a block of threads makes, and buffers of operands
/// that it has.
constexpr int groupedCols(GroupedScale scale) {
  return scale == GroupedScale::None     ? 256
         : scale == GroupedScale::RowRow ? 128
                                         : 192;
}
constexpr int groupedStages(GroupedScale) { return 4; }
/// Columns of BF16, or half as many of F32, that there is shared memory for to
/// wait to be stored.
constexpr int groupedStoreCols(GroupedScale scale) {
  return scale == GroupedScale::None     ? 128
         : scale == GroupedScale::RowRow ? 320
                                         : 256;
}
constexpr int groupedSharedBytes(GroupedScale scale) {
  int cols = groupedCols(scale);
  int operands = (kGroupedRows + cols) * kGroupedBytes;
  int scales = scale == GroupedScale::None     ? 0
               : scale == GroupedScale::RowRow ? kGroupedRows * 4 + cols * 24
                                               : kGroupedRows * 4;
  // And 1 KB of barriers and tiles.
  return groupedStages(scale) * (operands + scales) +
         kGroupedRows * groupedStoreCols(scale) * 2 + 1024;
}

/// Maps of rhs.
enum GroupedMaps : int32_t {
  kGroupedEach,   // one for each group
  kGroupedPacked, // one, in which groups follow one another
  kGroupedShared  // one, of a matrix that all groups have a part of
};

struct GroupedArgs {
  const TensorMap *lhs, *rhs, *result;  // result: of BF16, or nullptr
  const TensorMap *sums;                // F32 results of all groups, or nullptr
  const GroupedItem *items;             // of group 0, 1, ...
  const int32_t *offsets;               // nullptr: dense
  int64_t lhsScaleOuter, lhsScaleInner; // between rows, between blocks of K
  int64_t rhsScaleOuter, rhsScaleInner;
  const float *lhsScales;
  void *resultValues; // of all groups of rows
  // For what the copy engine cannot read: columns from the middle of 16 bytes.
  const void *lhsValues, *rhsValues;
  int64_t lhsStride, rhsStride; // in elements
  int32_t m, n, k;              // m or k of a ragged product: the capacity
  int32_t firstGroup, lastGroup;
  int32_t reduction; // groups divide K, not rows
  int32_t rhsMaps;   // GroupedMaps
  int32_t rhsBlocks; // blocks of 128 columns that rhs has scales of
  int32_t lhsScalePerGroup;
  // Scales of neighbouring rows lie side by side, at multiples of 16 bytes.
  int32_t lhsScalesInRows, rhsScalesInRows;
  int32_t biasF32, resultF32, accumulate;
  int32_t *draws; // tiles drawn, and clusters done; zero between launches
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_KERNELS_GROUPED_PARAMS_H
