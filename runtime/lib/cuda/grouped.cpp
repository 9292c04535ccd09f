//===- grouped.cpp - products of all groups in one launch -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For what the kernels of grouped_gemm.cuh take: products::whyNot(Way::Own).
// Those of grouped_wide.cuh take some of it, and make it where they are faster.
//
// The copy engine reads operands through maps that are made here and uploaded
// once; nothing else depends on the host.
//
//===----------------------------------------------------------------------===//

#include "common/numeric.h"
#include "cuda/kernels/wide_params.h"
#include "cuda/product.h"

#include <algorithm>
#include <cstring>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
bool isAligned(const void *pointer, uintptr_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

/// Whether results go to memory by way of shared memory, by the copy engine.
bool isCopied(const ProductCall &call, const GroupProduct &p) {
  return p.result && p.resultType == TE_RT_BF16 && !call.accumulate &&
         call.ragged != TE_RT_RAGGED_REDUCTION && p.rhs.outer() % 8 == 0 &&
         isAligned(p.result, 16);
}

/// Whether Product::multiplyStagedTiles makes them.
bool isStaged(const ProductCall &call, const GroupProduct &p,
              GroupedScale scale) {
  return (scale == GroupedScale::Tensor || scale == GroupedScale::RowSquare) &&
         isCopied(call, p) && !p.bias;
}

/// Whether tiles of 128 x 256 are faster than those of 128 x 192 for a product that
/// isStaged. What decides is how many columns that multiprocessor gets whose last
/// tile ends last, as its tiles go over all rows of K; a column costs 1.5 % less in
/// wide tiles, if these have many blocks of K or there are many of them. Of groups
/// of rows nobody knows how many they are; they share what there is room for.
bool isWide(const CudaDevice &device, const ProductCall &call,
            const GroupProduct &p, GroupedScale scale) {
  int64_t rows = p.lhs.outer(), cols = p.rhs.outer();
  if (call.offsets)
    rows = rows * (call.lastGroup - call.firstGroup) /
           std::max<int64_t>(call.offsets->shape[0] - 1, 1);
  // Of those of 128 x 192, the last of a row costs what it has.
  constexpr int64_t kNarrowCols = groupedCols(GroupedScale::RowSquare);
  int64_t blocks = ceilDiv(rows, kGroupedRows), sms = device.numSms();
  int64_t tiles = blocks * ceilDiv(cols, kWideCols);
  int64_t wide = ceilDiv(tiles, sms) * kWideCols;
  int64_t narrow =
      ceilDiv(blocks * roundUp(cols, 64), sms * kNarrowCols) * kNarrowCols;
  bool gains = p.lhs.inner() >= 4096 || tiles >= 14 * sms;
  return scale == GroupedScale::RowSquare &&
         wide * (gains ? 197 : 200) < narrow * 200;
}

/// The kernel for a product that one takes, how its operands are scaled, and
/// whether it is one of grouped_wide.cuh.
std::string kernelFor(const CudaDevice &device, const ProductCall &call,
                      const GroupProduct &p, GroupedScale &scale, bool &wide) {
  wide = false;
  te_rt_dtype lhs = p.lhs.values.dtype, rhs = p.rhs.values.dtype;
  if (!p.lhs.isScaled()) {
    scale = GroupedScale::None;
    return std::string("grouped_bf16_") + (p.lhs.transposed ? 't' : 'n') +
           (p.rhs.transposed ? 't' : 'n');
  }
  std::string name;
  if (p.lhs.isTensorwise()) {
    scale = GroupedScale::Tensor;
    name = "grouped_tensor";
  } else if (p.rhs.hasBlocks(kTile, kTile)) {
    scale = GroupedScale::RowSquare;
    name = "grouped_row_square";
  } else {
    scale = GroupedScale::RowRow;
    name = "grouped_row_row";
  }
  if (isStaged(call, p, scale)) {
    wide = isWide(device, call, p, scale);
    name += wide ? "_wide" : "_staged";
  }
  for (te_rt_dtype type : {lhs, rhs})
    name += type == TE_RT_F8E4M3 ? "_e4m3" : "_e5m2";
  return name;
}

/// Boxes of `outer` rows of 128 bytes, or, of a tensor of whose rows a product
/// wants columns, of 64 columns; `members` matrices, one behind the other.
Outcome makeMap(const te_rt_tensor &matrix, int64_t members, int64_t boxRows,
                TensorMap &map) {
  int64_t size = elementSize(matrix.dtype);
  uint64_t dims[] = {uint64_t(matrix.shape[1]), uint64_t(matrix.shape[0]),
                     uint64_t(members)};
  uint64_t strides[] = {uint64_t(matrix.shape[1] * size),
                        uint64_t(matrix.shape[1] * matrix.shape[0] * size)};
  uint32_t box[] = {uint32_t(kGroupedBytes / size), uint32_t(boxRows), 1};
  uint32_t steps[] = {1, 1, 1};
  Result result = driver().encodeTensorMap(
      &map,
      size == 1   ? kMapU8
      : size == 2 ? kMapBf16
                  : kMapF32,
      3, matrix.data, dims, strides, box, steps, /*interleave=*/0,
      kMapSwizzle128, kMapPromote256, /*fill=*/0);
  if (result == 0)
    return {};
  return {TE_RT_DEVICE_ERROR,
          "cuTensorMapEncodeTiled: " + driver().describe(result)};
}

/// Rows of a box of the whole of an operand; of a transposed one, those of a
/// block of K.
int64_t boxRows(const Side &side, int64_t rows) {
  return side.transposed ? kGroupedBytes / elementSize(side.values.dtype)
                         : rows;
}

/// Maps and items in device memory; boxes of rhs have `rhsRows` rows.
Outcome upload(CudaDevice &device, const ProductCall &call,
               const GroupProduct &first, GroupedScale scale, int64_t rhsRows,
               GroupedArgs &args) {
  std::vector<TensorMap> maps(2);
  TE_RT_TRY(makeMap(first.lhs.values, 1, boxRows(first.lhs, 64), maps[0]));
  bool copied = isCopied(call, first);
  if (copied) {
    te_rt_tensor result = call.results.items[0];
    TE_RT_TRY(makeMap(result, 1, 64, maps[1]));
  }
  bool packed = call.rhs.items[0].rank == 3;
  args.rhsMaps = packed                ? kGroupedPacked
                 : call.rhs.count == 1 ? kGroupedShared
                                       : kGroupedEach;
  for (int64_t i = 0; i < call.rhs.count; ++i) {
    Side rhs = call.product(call.firstGroup + i).rhs;
    if (packed)
      rhs.values.data = call.rhs.items[0].data;
    maps.emplace_back();
    TE_RT_TRY(makeMap(rhs.values, packed ? call.rhs.items[0].shape[0] : 1,
                      boxRows(rhs, rhsRows), maps.back()));
  }
  // Sums of which the copy engine can read and write boxes.
  bool inBoxes = first.resultType == TE_RT_F32 &&
                 call.ragged == TE_RT_RAGGED_REDUCTION && args.n % 4 == 0;
  for (int64_t g = call.firstGroup; g < call.lastGroup; ++g)
    inBoxes &= isAligned(call.product(g).result, 16);
  int64_t firstSums = maps.size();
  for (int64_t g = call.firstGroup; inBoxes && g < call.lastGroup; ++g) {
    te_rt_tensor sums = {};
    sums.data = call.product(g).result;
    sums.dtype = TE_RT_F32;
    sums.rank = 2;
    sums.shape[0] = args.m;
    sums.shape[1] = args.n;
    maps.emplace_back();
    TE_RT_TRY(makeMap(sums, 1, 64, maps.back()));
  }
  std::vector<GroupedItem> items;
  for (int64_t g = call.firstGroup; g < call.lastGroup; ++g) {
    GroupProduct p = call.product(g);
    const float *scales = data<float>(&p.rhs.scales);
    // One of each group: rank 1 that product() did not take apart.
    if (scale == GroupedScale::Tensor && p.rhs.scales.rank)
      scales += g;
    args.rhsScalesInRows &= isAligned(scales, 16);
    items.push_back({scales, p.result, p.bias});
  }
  std::string bytes(reinterpret_cast<const char *>(maps.data()),
                    maps.size() * sizeof(TensorMap));
  bytes.append(reinterpret_cast<const char *>(items.data()),
               items.size() * sizeof(GroupedItem));
  // Counters behind these, and not of CudaDevice::tickets: products may run side
  // by side, and only those that write the same memory have the same ones.
  bytes.append(reinterpret_cast<const char *>(&call.written),
               sizeof(call.written));
  size_t counters = bytes.size();
  bytes.append(2 * sizeof(int32_t), '\0');
  const void *memory = nullptr;
  TE_RT_TRY(device.table(bytes.data(), bytes.size(), &memory));
  args.draws = reinterpret_cast<int32_t *>(
      static_cast<char *>(const_cast<void *>(memory)) + counters);
  args.lhs = static_cast<const TensorMap *>(memory);
  args.result = copied ? args.lhs + 1 : nullptr;
  args.rhs = args.lhs + 2;
  // Groups are counted from that of offsets[0].
  args.sums = inBoxes ? args.lhs + firstSums - call.firstGroup : nullptr;
  args.items = reinterpret_cast<const GroupedItem *>(args.lhs + maps.size()) -
               call.firstGroup;
  return {};
}

/// Offsets on the host are checked there; those on the device by the kernel,
/// which takes them for no more than there is.
Outcome checkOnHost(CudaDevice &device, const ProductCall &call,
                    int64_t capacity) {
  const te_rt_tensor *offsets = call.offsets;
  if (!offsets || !offsets->on_host || device.isPreparing())
    return {};
  return checkOffsets(data<int32_t>(offsets), call.firstGroup, call.lastGroup,
                      capacity);
}
} // namespace

Outcome cuda::describeGrouped(CudaDevice &device, const ProductCall &call,
                              GroupedScale scale, int64_t rhsRows,
                              GroupedArgs &args) {
  GroupProduct first = call.product(call.firstGroup);
  bool reduction = call.ragged == TE_RT_RAGGED_REDUCTION;
  args.m = static_cast<int32_t>(first.lhs.outer());
  args.n = static_cast<int32_t>(first.rhs.outer());
  args.k = static_cast<int32_t>(first.lhs.inner());
  args.firstGroup = static_cast<int32_t>(call.firstGroup);
  args.lastGroup = static_cast<int32_t>(call.lastGroup);
  args.reduction = reduction;
  args.biasF32 = first.biasType == TE_RT_F32;
  args.resultF32 = first.resultType == TE_RT_F32;
  args.accumulate = call.accumulate;
  args.lhsScales = data<float>(&first.lhs.scales);
  args.resultValues = first.result;
  args.lhsValues = first.lhs.values.data;
  args.rhsValues = first.rhs.values.data;
  args.lhsStride = first.lhs.ld();
  args.rhsStride = first.rhs.ld();
  args.lhsScalePerGroup = first.lhs.scales.rank != 0;
  if (scale == GroupedScale::RowSquare || scale == GroupedScale::RowRow) {
    ScaleGrid lhs = first.lhs.grid(), rhs = first.rhs.grid();
    args.lhsScaleOuter = lhs.strideRow;
    args.lhsScaleInner = lhs.strideCol;
    args.rhsScaleOuter = rhs.strideRow;
    args.rhsScaleInner = rhs.strideCol;
    auto inRows = [](const ScaleGrid &grid, const float *scales) {
      return grid.strideRow == 1 && grid.strideCol % 4 == 0 &&
             isAligned(scales, 16);
    };
    args.lhsScalesInRows = inRows(lhs, args.lhsScales);
    args.rhsScalesInRows = inRows(rhs, data<float>(&first.rhs.scales));
    args.rhsBlocks = static_cast<int32_t>(rhs.gridRows);
  }
  TE_RT_TRY(checkOnHost(device, call, reduction ? args.k : args.m));
  TE_RT_TRY(deviceOffsets(device, call.offsets, &args.offsets));
  return upload(device, call, first, scale, rhsRows, args);
}

Outcome cuda::multiplyGrouped(CudaDevice &device, const ProductCall &call,
                              std::string &kernel) {
  GroupedScale scale = GroupedScale::None;
  bool wide = false;
  kernel = kernelFor(device, call, call.product(call.firstGroup), scale, wide);
  GroupedArgs args = {};
  TE_RT_TRY(describeGrouped(device, call, scale,
                            (wide ? kWideCols : groupedCols(scale)) / 2, args));
  Grid grid = {device.numSms() / kGroupedCluster * kGroupedCluster,
               wide ? kWideThreads : kGroupedThreads,
               wide ? kWideSharedBytes : groupedSharedBytes(scale),
               /*cooperative=*/false,
               /*overlaps=*/true};
  return device.launch(kernel.c_str(), grid, args);
}
