//===- gemm_library.cpp - products by cuBLASLt ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One cuBLASLt call for each expert, over several streams. It wants extents on
// the host: offsets that lie on the device are copied from there and waited
// for. Or one call of all groups, which reads extents and pointers on the
// device: a kernel writes them there.
//
//===----------------------------------------------------------------------===//

#include "cuda/blas.h"
#include "cuda/microscaling.h"
#include "cuda/product.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
constexpr size_t kWorkspaceBytes = size_t(32) << 20; // of each stream
constexpr int kStreams = 4,
              kMostStreams = 8; // by measurement: docs/Benchmarks.md
constexpr int64_t kZeroBlocks = 264;

/// A matrix of scales as it lies, and as it is wanted.
struct ScaleMove {
  int64_t rows, cols, fromRow, fromCol, toRow, toCol;
};

/// Products of one call, each on one of its lanes.
class Gemm {
public:
  Gemm(CudaDevice &device, const ProductCall &call)
      : device(device), call(call) {}

  /// Allocates what products on so many streams may want.
  Outcome reserve(int streams);
  /// For a group whose extents the host knows. `ran`: whether the library took
  /// it.
  Outcome multiply(const GroupProduct &product, int lane, bool &ran);

private:
  Outcome describe(const GroupProduct &product, const Side &side, bool isLhs,
                   BlasOperand &operand);
  Outcome describeByteScales(const GroupProduct &product, const Side &side,
                             bool raggedOuter, BlasOperand &operand);
  Outcome alignScales(const ScaleMove &move, BlasOperand &operand);

  CudaDevice &device;
  const ProductCall &call;
  Blas *blas = nullptr;
  char *workspaces = nullptr, *operands = nullptr; // a part for each lane
  const float *factors = nullptr;                  // of FP4: two for each group
  size_t operandBytes = 0, at = 0, end = 0; // at, end: of the lane's part
};

Outcome Gemm::reserve(int streams) {
  GroupProduct p = call.product(call.firstGroup);
  void *memory = nullptr;
  TE_RT_TRY(device.blas(&blas));
  TE_RT_TRY(device.scratch(Use::Workspace, kWorkspaceBytes * streams, &memory));
  workspaces = static_cast<char *>(memory);
  if (p.lhs.isScaled() && !hasByteScales(&p.lhs.scales)) {
    int64_t blocks = roundUp(ceilDiv(p.lhs.inner(), kTile) + 1, 4);
    int64_t scales =
        blocks * (roundUp(p.lhs.outer(), 4) + roundUp(p.rhs.outer(), 4) + 128);
    operandBytes = static_cast<size_t>(scales) * sizeof(float);
    TE_RT_TRY(device.scratch(Use::Operands, operandBytes * streams, &memory));
    operands = static_cast<char *>(memory);
  }
  if (!call.lhsAmax)
    return {};
  int64_t groups = call.lastGroup - call.firstGroup;
  TE_RT_TRY(device.scratch(Use::Multipliers,
                           static_cast<size_t>(groups) * 2 * sizeof(float),
                           &memory));
  factors = static_cast<const float *>(memory);
  ProductFactorsArgs args = {};
  args.lhsAmax = data<float>(call.lhsAmax);
  args.lhsPerGroup = call.lhsAmax->rank != 0;
  args.factors = static_cast<float *>(memory);
  args.firstGroup = call.firstGroup;
  args.groups = groups;
  args.accumulate = call.accumulate;
  std::vector<const float *> amaxes;
  for (int64_t g = call.firstGroup; g < call.lastGroup; ++g) {
    const te_rt_tensor &amax =
        call.rhsAmax.items[call.rhsAmax.count == 1 ? 0 : g];
    amaxes.push_back(data<float>(&amax) + (amax.rank ? g : 0));
  }
  const void *table = nullptr;
  TE_RT_TRY(
      device.table(amaxes.data(), amaxes.size() * sizeof(float *), &table));
  args.rhsAmaxes = static_cast<const float *const *>(table);
  return device.launch("product_factors", {ceilDiv(groups, 256), 256}, args);
}

/// The number, along a dimension with blocks of `block`, of a group's first
/// one.
int64_t firstBlock(int64_t block, int64_t begin, int64_t group) {
  return block == 1 ? begin : begin / block + group;
}

/// Scales as cuBLASLt reads them, from 16-byte aligned memory: in place where
/// they lie so, else a copy.
Outcome Gemm::alignScales(const ScaleMove &move, BlasOperand &operand) {
  bool inPlace = (move.fromRow == move.toRow || move.rows == 1) &&
                 (move.fromCol == move.toCol || move.cols == 1);
  if (inPlace && reinterpret_cast<uintptr_t>(operand.scales) % 16 == 0)
    return {};
  StridedMove args = {};
  args.from = operand.scales;
  args.to = operands + at;
  args.rows = move.rows;
  args.cols = move.cols;
  args.members = 1;
  args.fromRow = move.fromRow;
  args.fromCol = move.fromCol;
  args.toRow = move.toRow;
  args.toCol = move.toCol;
  args.size = sizeof(float);
  operand.scales = args.to;
  int64_t size = std::max(move.rows * move.toRow, move.cols * move.toCol);
  at += static_cast<size_t>(roundUp(size, 64)) * sizeof(float);
  if (at > end)
    return {TE_RT_INTERNAL, "scales of a product: found no room for them"};
  return moveStrided(device, args);
}

/// Tiles of 128 x 4 that the cast has made for the group, in place.
Outcome Gemm::describeByteScales(const GroupProduct &p, const Side &side,
                                 bool raggedOuter, BlasOperand &operand) {
  if (p.ragged != TE_RT_DENSE && p.begin % ScaleGrid::kTileOuter)
    return {TE_RT_INVALID_ARGUMENT,
            "offsets[" + std::to_string(p.group) + "]: found " +
                std::to_string(p.begin) +
                ", wanted a multiple of 128 for SWIZZLED scales"};
  operand.mode = side.scales.dtype == TE_RT_F8E8M0 ? kModeMxfp8 : kModeNvfp4;
  ScaleGrid grid = side.grid();
  int64_t first = 0;
  if (raggedOuter)
    first = side.transposed ? grid.index(0, p.begin) : grid.index(p.begin, 0);
  else if (side.ragged != Ragged::No)
    first = grid.ofGroup({p.group, p.begin, p.end}).index(0, 0);
  operand.scales = data<uint8_t>(&side.scales) + first;
  return {};
}

Outcome Gemm::describe(const GroupProduct &p, const Side &side, bool isLhs,
                       BlasOperand &operand) {
  operand.ld = side.ld();
  operand.dtype = side.values.dtype;
  operand.transposed = side.transposed;
  operand.mode = kModeNone;
  bool raggedOuter = isLhs && p.ragged == TE_RT_RAGGED_ROWS;
  bool raggedInner = p.ragged == TE_RT_RAGGED_REDUCTION;
  int64_t skipped = 0; // elements before the group
  if (raggedInner)
    skipped = side.transposed ? p.begin * side.ld() : p.begin;
  else if (raggedOuter)
    skipped = side.transposed ? p.begin : p.begin * side.ld();
  operand.data = data<char>(&side.values) + bytesOf(side.values.dtype, skipped);
  if (!side.isScaled())
    return {};
  if (hasByteScales(&side.scales))
    return describeByteScales(p, side, raggedOuter, operand);
  const auto *scales = data<float>(&side.scales);
  if (side.isTensorwise()) {
    operand.mode = kModeTensor;
    operand.scales = scales + (side.scales.rank ? p.group : 0);
    return alignScales({1, 1, 1, 1, 1, 1}, operand);
  }
  int32_t down = side.scales.block_rows;
  operand.mode = down == 1 ? kModeRows : kModeSquare;
  ScaleGrid grid = side.grid();
  int64_t outer = raggedOuter ? p.end - p.begin : side.outer();
  int64_t blocks = ceilDiv(p.reduction(), kTile);
  if (raggedOuter)
    scales += grid.strideRow * firstBlock(down, p.begin, p.group);
  if (raggedInner)
    scales += grid.strideCol * firstBlock(kTile, p.begin, p.group);
  operand.scales = scales;
  // [blocks, rows] for rows, [rows / 128, blocks padded to 4] for squares.
  int64_t rows = down == 1 ? outer : ceilDiv(outer, kTile);
  int64_t wantedRow = down == 1 ? 1 : roundUp(blocks, 4);
  int64_t wantedCol = down == 1 ? rows : 1;
  return alignScales(
      {rows, blocks, grid.strideRow, grid.strideCol, wantedRow, wantedCol},
      operand);
}

Outcome Gemm::multiply(const GroupProduct &p, int lane, bool &ran) {
  BlasProduct product = {};
  product.m = p.rows();
  product.n = p.rhs.outer();
  product.k = p.reduction();
  ran = true;
  if (product.m == 0 || product.n == 0)
    return {};
  if (p.ragged == TE_RT_RAGGED_REDUCTION && product.k == 0)
    return p.accumulate
               ? Outcome()
               : device.fillAsync(p.result, 0,
                                  static_cast<size_t>(bytesOf(
                                      p.resultType, product.m * product.n)));
  product.bias = p.bias;
  product.biasType = p.biasType;
  product.result = p.result;
  if (p.ragged == TE_RT_RAGGED_ROWS)
    product.result = static_cast<char *>(p.result) +
                     p.begin * product.n * elementSize(p.resultType);
  product.resultType = p.resultType;
  product.accumulate = p.accumulate;
  product.factors =
      factors ? factors + 2 * (p.group - call.firstGroup) : nullptr;
  at = operandBytes * static_cast<size_t>(lane);
  end = at + operandBytes;
  TE_RT_TRY(describe(p, p.lhs, true, product.lhs));
  TE_RT_TRY(describe(p, p.rhs, false, product.rhs));
  ran = product.whyNot(device.major()).empty();
  if (!ran)
    return {};
  return blas->multiply(
      product, workspaces + kWorkspaceBytes * static_cast<size_t>(lane),
      kWorkspaceBytes, device.stream(), ran);
}
} // namespace

Outcome cuda::readOffsets(CudaDevice &device, const ProductCall &call,
                          std::vector<int32_t> &host) {
  const te_rt_tensor &offsets = *call.offsets;
  int64_t capacity = call.ragged == TE_RT_RAGGED_ROWS
                         ? call.lhs->shape[call.transposeLhs]
                         : call.lhs->shape[!call.transposeLhs];
  host.resize(static_cast<size_t>(offsets.shape[0]));
  size_t bytes = host.size() * sizeof(int32_t);
  if (offsets.on_host)
    std::copy_n(data<int32_t>(&offsets), host.size(), host.begin());
  else
    TE_RT_TRY(device.copy(host.data(), offsets.data, bytes));
  return checkOffsets(host.data(), 0, offsets.shape[0] - 1, capacity);
}

Outcome cuda::multiplyByLibrary(CudaDevice &device, const ProductCall &call,
                                int streams, std::vector<int64_t> &rest,
                                Went &went) {
  int64_t groups = call.lastGroup - call.firstGroup;
  streams = static_cast<int>(
      std::min<int64_t>({streams ? int64_t{streams} : int64_t{kStreams}, groups,
                         int64_t{kMostStreams}}));
  if (!call.hostKnows() && device.isCapturing())
    return {
        TE_RT_UNSUPPORTED,
        "offsets: found on the device while a graph is captured, wanted on the "
        "host: the library has extents from there, and a graph reads nothing "
        "back"};
  Gemm gemm(device, call);
  TE_RT_TRY(gemm.reserve(streams));
  std::vector<int32_t> host;
  if (call.offsets && !device.isPreparing())
    TE_RT_TRY(readOffsets(device, call, host));
  TE_RT_TRY(device.fork(streams));
  Outcome outcome;
  for (int64_t g = call.firstGroup;
       !device.isPreparing() && g < call.lastGroup &&
       outcome.status == TE_RT_OK;
       ++g) {
    GroupProduct product = call.product(g);
    if (call.offsets) {
      product.begin = host[g];
      product.end = host[g + 1];
    }
    int lane = static_cast<int>((g - call.firstGroup) % streams);
    device.enterLane(lane);
    bool ran = false;
    outcome = gemm.multiply(product, lane, ran);
    if (!ran)
      rest.push_back(g);
  }
  Outcome joined = device.join();
  went.detail = std::to_string(groups - int64_t(rest.size())) +
                ",streams:" + std::to_string(streams);
  return outcome.status != TE_RT_OK ? outcome : joined;
}

Outcome cuda::multiplyByGroups(CudaDevice &device, const ProductCall &call,
                               bool &ran) {
  int64_t groups = call.lastGroup - call.firstGroup;
  BlasGroups product = {};
  product.groups = groups;
  product.m = call.lhs->shape[1];
  product.n = call.rhs.items[0].shape[1];
  product.meanReduction =
      std::max<int64_t>(1, call.lhs->shape[0] / (call.offsets->shape[0] - 1));
  std::vector<void *> results;
  for (int64_t g = call.firstGroup; g < call.lastGroup; ++g)
    results.push_back(call.product(g).result);

  // Three arrays of pointers, three of numbers, and two factors.
  void *memory = nullptr, *workspace = nullptr;
  const void *table = nullptr;
  size_t pointers = static_cast<size_t>(groups) * sizeof(void *),
         numbers = static_cast<size_t>(roundUp(groups, 4)) * sizeof(int32_t);
  Blas *blas = nullptr;
  TE_RT_TRY(device.blas(&blas));
  TE_RT_TRY(device.scratch(Use::Workspace, kWorkspaceBytes, &workspace));
  TE_RT_TRY(device.scratch(
      Use::Groups, 3 * (pointers + numbers) + 2 * sizeof(float), &memory));
  TE_RT_TRY(device.table(results.data(), pointers, &table));
  char *at = static_cast<char *>(memory);
  auto take = [&](auto *&array, size_t bytes) {
    array = reinterpret_cast<std::remove_reference_t<decltype(array)>>(at);
    at += bytes;
  };
  GroupArrays &arrays = product.arrays;
  take(arrays.lhs, pointers);
  take(arrays.rhs, pointers);
  take(arrays.results, pointers);
  take(arrays.m, numbers);
  take(arrays.n, numbers);
  take(arrays.k, numbers);
  ProductGroupsArgs args = {};
  take(args.scales, 2 * sizeof(float));
  product.scales = args.scales;
  args.offsets = data<int32_t>(call.offsets) + call.firstGroup;
  args.lhs = data<char>(call.lhs);
  args.rhs = data<char>(call.rhs.items);
  args.results = static_cast<void *const *>(table);
  args.groups = groups;
  args.m = product.m;
  args.n = product.n;
  args.arrays = arrays;
  args.accumulate = call.accumulate;
  TE_RT_TRY(blas->takes(product, kWorkspaceBytes, ran));
  if (!ran || device.isPreparing())
    return {};
  // Zeros want the whole GPU, arrays a thread for each group.
  int64_t blocks = call.accumulate ? ceilDiv(groups, 256) : kZeroBlocks;
  TE_RT_TRY(device.launch("product_groups", {blocks, 256}, args));
  return blas->multiply(product, workspace, kWorkspaceBytes, device.stream(),
                        ran);
}
