//===- gemm_library.cpp - products, one group after the other -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One cuBLASLt call for each expert, where that library takes the product. It
// wants extents on the host: offsets that lie on the device are copied from
// there and waited for. Where a graph is captured, and for products that the
// library refuses, a kernel of our own reads them on the device.
//
//===----------------------------------------------------------------------===//

#include "cuda/blas.h"
#include "cuda/product.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
constexpr size_t kWorkspaceBytes = size_t(32) << 20;

/// A matrix of scales as it lies, and as it is wanted.
struct ScaleMove {
  int64_t rows, cols, fromRow, fromCol, toRow, toCol;
};

class Gemm {
public:
  explicit Gemm(CudaDevice &device) : device(device) {}

  /// For a group whose extents the host knows.
  Outcome multiply(const GroupProduct &product);
  /// For one whose begin and end are at `offsets` on the device.
  Outcome multiplyAny(const GroupProduct &product, const int32_t *offsets);
  /// Allocates what products of these extents may want.
  Outcome reserve(const GroupProduct &product);

private:
  Outcome describe(const GroupProduct &product, const Side &side, bool isLhs,
                   BlasOperand &operand, size_t &used);
  Outcome alignScales(const GroupProduct &product, const ScaleMove &move,
                      BlasOperand &operand, size_t &used);
  size_t scratchBytes(const GroupProduct &product) const;

  CudaDevice &device;
};

int32_t gemmType(te_rt_dtype dtype) {
  return dtype == TE_RT_F32      ? kGemmF32
         : dtype == TE_RT_BF16   ? kGemmBf16
         : dtype == TE_RT_F8E4M3 ? kGemmE4M3
                                 : kGemmE5M2;
}

GemmOperand describeAny(const Side &side) {
  GemmOperand operand = {};
  operand.data = side.values.data;
  operand.strideOuter = side.transposed ? 1 : side.ld();
  operand.strideInner = side.transposed ? side.ld() : 1;
  operand.type = gemmType(side.values.dtype);
  if (!side.isScaled())
    return operand;
  operand.scales = data<float>(&side.scales);
  operand.scalePerGroup = side.scales.rank != 0;
  if (side.isTensorwise())
    return operand;
  // FP8 is never transposed: rows are the outer dimension.
  ScaleGrid grid = side.grid();
  operand.scaleOuter = grid.strideRow;
  operand.scaleInner = grid.strideCol;
  operand.blockOuter = side.scales.block_rows;
  operand.blockInner = side.scales.block_cols;
  operand.raggedOuter = side.ragged == Ragged::Rows;
  operand.raggedInner = side.ragged == Ragged::Cols;
  return operand;
}

Outcome Gemm::multiplyAny(const GroupProduct &p, const int32_t *offsets) {
  constexpr int64_t kSide = 64;
  GemmArgs args = {};
  args.lhs = describeAny(p.lhs);
  args.rhs = describeAny(p.rhs);
  args.m = p.lhs.outer();
  args.n = p.rhs.outer();
  args.k = p.lhs.inner();
  args.offsets = offsets;
  args.begin = p.begin;
  args.end = p.end;
  args.group = p.group;
  args.bias = p.bias;
  args.result = p.result;
  args.ragged = static_cast<int32_t>(p.ragged);
  args.biasType = gemmType(p.biasType);
  args.resultType = gemmType(p.resultType);
  args.accumulate = p.accumulate;
  int64_t rows = offsets ? p.lhs.outer() : p.rows();
  return device.launch(
      "gemm_any", {ceilDiv(rows, kSide) * ceilDiv(args.n, kSide), 256}, args);
}

size_t Gemm::scratchBytes(const GroupProduct &p) const {
  int64_t blocks = roundUp(ceilDiv(p.lhs.inner(), kTile) + 1, 4);
  int64_t scales =
      blocks * (roundUp(p.lhs.outer(), 4) + roundUp(p.rhs.outer(), 4) + 128);
  return static_cast<size_t>(scales) * sizeof(float);
}

Outcome Gemm::reserve(const GroupProduct &p) {
  void *memory = nullptr;
  Blas *blas = nullptr;
  TE_RT_TRY(device.blas(&blas));
  TE_RT_TRY(device.scratch(Use::Workspace, kWorkspaceBytes, &memory));
  return p.lhs.isScaled()
             ? device.scratch(Use::Operands, scratchBytes(p), &memory)
             : Outcome();
}

/// The number, along a dimension with blocks of `block`, of a group's first
/// one.
int64_t firstBlock(int64_t block, int64_t begin, int64_t group) {
  return block == 1 ? begin : begin / block + group;
}

/// Scales as cuBLASLt reads them, from 16-byte aligned memory: in place where
/// they lie so, else a copy.
Outcome Gemm::alignScales(const GroupProduct &p, const ScaleMove &move,
                          BlasOperand &operand, size_t &used) {
  bool inPlace = (move.fromRow == move.toRow || move.rows == 1) &&
                 (move.fromCol == move.toCol || move.cols == 1);
  if (inPlace && reinterpret_cast<uintptr_t>(operand.scales) % 16 == 0)
    return {};
  void *memory = nullptr;
  TE_RT_TRY(device.scratch(Use::Operands, scratchBytes(p), &memory));
  StridedMove args = {};
  args.from = operand.scales;
  args.to = static_cast<char *>(memory) + used;
  args.rows = move.rows;
  args.cols = move.cols;
  args.members = 1;
  args.fromRow = move.fromRow;
  args.fromCol = move.fromCol;
  args.toRow = move.toRow;
  args.toCol = move.toCol;
  args.size = sizeof(float);
  operand.scales = static_cast<const float *>(args.to);
  int64_t size = std::max(move.rows * move.toRow, move.cols * move.toCol);
  used += static_cast<size_t>(roundUp(size, 64)) * sizeof(float);
  return moveStrided(device, args);
}

Outcome Gemm::describe(const GroupProduct &p, const Side &side, bool isLhs,
                       BlasOperand &operand, size_t &used) {
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
  operand.data =
      data<char>(&side.values) + skipped * elementSize(side.values.dtype);
  if (!side.isScaled())
    return {};
  operand.scales = data<float>(&side.scales);
  if (side.isTensorwise()) {
    operand.mode = kModeTensor;
    operand.scales += side.scales.rank ? p.group : 0;
    return alignScales(p, {1, 1, 1, 1, 1, 1}, operand, used);
  }
  int32_t down = side.scales.block_rows, across = side.scales.block_cols;
  if (across != kTile || (down != 1 && down != kTile))
    return {}; // mode "none" of FP8 is not legal
  operand.mode = down == 1 ? kModeRows : kModeSquare;
  ScaleGrid grid = side.grid();
  int64_t outer = raggedOuter ? p.end - p.begin : side.outer();
  int64_t blocks = ceilDiv(p.reduction(), kTile);
  if (raggedOuter)
    operand.scales += grid.strideRow * firstBlock(down, p.begin, p.group);
  if (raggedInner)
    operand.scales += grid.strideCol * firstBlock(across, p.begin, p.group);
  // [blocks, rows] for rows, [rows / 128, blocks padded to 4] for squares.
  int64_t rows = down == 1 ? outer : ceilDiv(outer, kTile);
  int64_t wantedRow = down == 1 ? 1 : roundUp(blocks, 4);
  int64_t wantedCol = down == 1 ? rows : 1;
  return alignScales(
      p, {rows, blocks, grid.strideRow, grid.strideCol, wantedRow, wantedCol},
      operand, used);
}

Outcome Gemm::multiply(const GroupProduct &p) {
  bool nothingToAdd =
      p.ragged == TE_RT_RAGGED_REDUCTION && p.accumulate && p.reduction() == 0;
  if (p.rows() == 0 || p.rhs.outer() == 0 || nothingToAdd)
    return {};
  BlasProduct product = {};
  product.m = p.rows();
  product.n = p.rhs.outer();
  product.k = p.reduction();
  product.bias = p.bias;
  product.biasType = p.biasType;
  product.result = p.result;
  if (p.ragged == TE_RT_RAGGED_ROWS)
    product.result = static_cast<char *>(p.result) +
                     p.begin * product.n * elementSize(p.resultType);
  product.resultType = p.resultType;
  product.accumulate = p.accumulate;
  size_t used = 0;
  if (product.k > 0) {
    TE_RT_TRY(describe(p, p.lhs, true, product.lhs, used));
    TE_RT_TRY(describe(p, p.rhs, false, product.rhs, used));
  }
  if (product.k > 0 && product.isLegal()) {
    Blas *blas = nullptr;
    void *workspace = nullptr;
    bool ran = false;
    TE_RT_TRY(device.blas(&blas));
    TE_RT_TRY(device.scratch(Use::Workspace, kWorkspaceBytes, &workspace));
    TE_RT_TRY(blas->multiply(product, workspace, kWorkspaceBytes,
                             device.stream(), ran));
    if (ran)
      return {};
  }
  return multiplyAny(p, nullptr);
}

/// Copies offsets to the host, and checks them.
Outcome readOffsets(CudaDevice &device, const te_rt_tensor &offsets,
                    int64_t capacity, std::vector<int32_t> &host) {
  host.resize(static_cast<size_t>(offsets.shape[0]));
  size_t bytes = host.size() * sizeof(int32_t);
  if (offsets.on_host)
    std::copy_n(data<int32_t>(&offsets), host.size(), host.begin());
  else
    TE_RT_TRY(device.copy(host.data(), offsets.data, bytes));
  for (size_t g = 0; g + 1 < host.size(); ++g)
    if (host[g] < 0 || host[g + 1] < host[g] || host[g + 1] > capacity)
      return badOffsets(static_cast<int64_t>(g), host[g], host[g + 1],
                        capacity);
  return {};
}

} // namespace

Outcome cuda::badOffsets(int64_t group, int32_t begin, int32_t end,
                         int64_t capacity) {
  return {
      TE_RT_INVALID_ARGUMENT,
      "offsets[" + std::to_string(group) + "], [" + std::to_string(group + 1) +
          "]: found " + std::to_string(begin) + ", " + std::to_string(end) +
          ", wanted ascending values from 0 to " + std::to_string(capacity)};
}

Outcome cuda::multiplyEach(CudaDevice &device, const ProductCall &call) {
  Gemm gemm(device);
  GroupProduct first = call.product(call.firstGroup);
  if (device.isPreparing())
    return gemm.reserve(first);
  const te_rt_tensor *offsets = call.offsets;
  if (!offsets)
    return gemm.multiply(first);
  bool onlyDeviceKnows = !offsets->on_host && device.isCapturing();
  std::vector<int32_t> host;
  if (!onlyDeviceKnows)
    TE_RT_TRY(readOffsets(device, *offsets,
                          call.ragged == TE_RT_RAGGED_ROWS ? first.lhs.outer()
                                                           : first.lhs.inner(),
                          host));
  for (int64_t g = call.firstGroup; g < call.lastGroup; ++g) {
    GroupProduct product = call.product(g);
    if (onlyDeviceKnows) {
      TE_RT_TRY(gemm.multiplyAny(product, data<int32_t>(offsets) + g));
      continue;
    }
    product.begin = host[g];
    product.end = host[g + 1];
    TE_RT_TRY(gemm.multiply(product));
  }
  return {};
}
