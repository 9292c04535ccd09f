//===- emulated_gemm.cpp - products of MXFP8 and NVFP4 --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/emulated_gemm.h"
#include "common/numeric.h"

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
constexpr int64_t kSide = 128; // as in emulated_gemm.cu
constexpr int kSharedBytes = 2 * 128 * 72 * 2 + 4 * 128 * 4;

/// An operand of rank 2, or a member of a packed one.
EmulatedSide describeSide(const te_rt_tensor &values,
                          const te_rt_tensor &scales, bool transposed,
                          Ragged ragged) {
  const int64_t *extents = values.shape + (values.rank - 2);
  ScalePlaces places = describePlaces(scales, extents[0], extents[1], ragged);
  EmulatedSide side = {};
  side.stride = extents[1];
  side.outer = extents[transposed];
  side.tilesAcross = places.tilesAcross;
  side.paddedOuter = places.paddedOuter;
  side.scaleBytes = places.member;
  side.e5m2 = values.dtype == TE_RT_F8E5M2;
  return side;
}

/// Entry of a list that belongs to group g, and its bytes from member g on where
/// the entry has all groups, in its first dimension.
const uint8_t *memoryOf(te_rt_tensor_list list, int32_t rankOfOne, int64_t g) {
  if (list.count == 0)
    return nullptr;
  const te_rt_tensor &entry = list.items[list.count == 1 ? 0 : g];
  const auto *memory = data<const uint8_t>(&entry);
  if (entry.rank == rankOfOne)
    return memory;
  int64_t elements = 1;
  for (int32_t i = 1; i < entry.rank; ++i)
    elements *= entry.shape[i];
  return memory + g * bytesOf(entry.dtype, elements);
}

/// What the kernel takes on trust, where the host knows it.
Outcome checkTiles(const te_rt_tensor &offsets, int64_t capacity) {
  const auto *at = data<const int32_t>(&offsets);
  TE_RT_TRY(checkOffsets(at, 0, offsets.shape[0] - 1, capacity));
  for (int64_t g = 0; g < offsets.shape[0]; ++g)
    if (at[g] % ScaleGrid::kTileOuter != 0)
      return {TE_RT_INVALID_ARGUMENT,
              "offsets[" + std::to_string(g) + "]: found " +
                  std::to_string(at[g]) +
                  ", wanted a multiple of 128 for SWIZZLED scales"};
  return {};
}

int32_t gemmType(te_rt_dtype dtype) {
  return dtype == TE_RT_F32 ? kGemmF32 : kGemmBf16;
}
} // namespace

Outcome cuda::multiplyEmulated(CudaDevice &device, const EmulatedProduct &p) {
  bool byReduction = p.ragged == TE_RT_RAGGED_REDUCTION;
  const te_rt_tensor &result = p.results.items[0];
  EmulatedArgs args = {};
  args.lhs = describeSide(*p.lhs, *p.lhsScales, p.transposeLhs,
                          raggedOperand(p.ragged, p.transposeLhs));
  args.rhs = describeSide(p.rhs.items[0], p.rhsScales.items[0], p.transposeRhs,
                          byReduction ? raggedOperand(p.ragged, p.transposeRhs)
                                      : Ragged::No);
  args.lhs.amax = data<const float>(p.lhsAmax);
  args.lhs.amaxPerGroup = p.lhsAmax && p.lhsAmax->rank != 0;
  args.reduction = p.lhs->shape[!p.transposeLhs];
  args.groups =
      static_cast<int32_t>(p.offsets ? p.offsets->shape[0] - 1 : 1);
  args.member = static_cast<int32_t>(p.member);
  args.ragged = static_cast<int32_t>(p.ragged);
  args.resultType = gemmType(result.dtype);
  args.biasType = p.bias.count ? gemmType(p.bias.items[0].dtype) : kGemmBf16;
  args.accumulate = p.accumulate;
  if (p.offsets) {
    if (p.offsets->on_host && !device.isPreparing())
      TE_RT_TRY(checkTiles(*p.offsets,
                           byReduction ? args.reduction : args.lhs.outer));
    TE_RT_TRY(deviceOffsets(device, p.offsets, &args.offsets));
  }

  bool allGroups = p.offsets && p.member < 0;
  std::vector<EmulatedGroup> groups;
  for (int64_t i = 0; i < (allGroups ? args.groups : 1); ++i) {
    // Of one group, only what is of all groups by nature is found by its number.
    int64_t g = allGroups ? i : 0;
    EmulatedGroup group = {};
    group.lhs = data<const uint8_t>(p.lhs);
    group.lhsScales = data<const uint8_t>(p.lhsScales);
    group.rhs = memoryOf(p.rhs, 2, g);
    group.rhsScales = memoryOf(p.rhsScales, 2, g);
    group.rhsAmax = reinterpret_cast<const float *>(
        memoryOf(p.rhsAmax, 0, p.offsets && !allGroups ? p.member : g));
    group.bias = memoryOf(p.bias, 1, g);
    group.result = const_cast<uint8_t *>(memoryOf(p.results, 2, g));
    groups.push_back(group);
  }
  if (groups.size() == 1) {
    args.group = groups[0];
  } else {
    const void *table = nullptr;
    TE_RT_TRY(device.table(groups.data(),
                           groups.size() * sizeof(EmulatedGroup), &table));
    args.table = static_cast<const EmulatedGroup *>(table);
  }

  args.tilesDown = ceilDiv(args.lhs.outer, kSide);
  args.tilesAcross = ceilDiv(args.rhs.outer, kSide);
  int64_t down = args.tilesDown;
  if (allGroups && args.lhs.outer)
    down = byReduction ? down * args.groups
                       : args.lhs.outer / kSide + args.groups;
  std::string kernel = "emulated_gemm_";
  if (p.lhs->dtype == TE_RT_F4E2M1) {
    kernel += "nv";
  } else {
    kernel += "mx";
    if (p.transposeLhs || p.transposeRhs)
      kernel += std::string(p.transposeLhs ? "_l" : "_") +
                (p.transposeRhs ? "r" : "");
  }
  return device.launch(kernel.c_str(),
                       {down * args.tilesAcross, 256, kSharedBytes}, args);
}
