//===- gemm.cpp - matrix products of experts ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each operand becomes F32 once for each group. The result is made in tiles of
// a fixed size, one BLAS call of one thread each, so that neither the number of
// threads nor the way of calling (one member, or all groups) changes a bit.
//
//===----------------------------------------------------------------------===//

#include "common/check.h"
#include "ref/blas.h"
#include "ref/dequantize.h"
#include "ref/progress.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::ref;

namespace {
constexpr int64_t kTileRows = 256, kTileCols = 512;
static_assert(kTileRows * kTileCols <= kLargestTile);

/// The F32 form of a part of an operand: element (i, j) of outer x reduction at
/// data[i * ld + j], or at data[j * ld + i] if transposed.
struct Floats {
  const float *data;
  int64_t ld;
  bool transposed;
  const float *outer(int64_t i) const {
    return data + (transposed ? i : i * ld);
  }
};

struct Range {
  int64_t begin, count;
};

Floats toFloats(te_rt_context *context, ScratchUse use, const Operand &operand,
                bool transposed, int64_t member, const Group &group,
                Range outer, Range reduction) {
  Range rows = transposed ? reduction : outer;
  Range cols = transposed ? outer : reduction;
  if (operand.dtype() == TE_RT_F32)
    return {operand.at<float>(member, rows.begin, cols.begin), operand.cols(),
            transposed};
  float *copy = context->scratch<float>(use, rows.count * cols.count);
  operand.convert(context, member, group, rows.begin, rows.count, cols.begin,
                  cols.count, copy);
  return {copy, cols.count, transposed};
}

/// One product: m x n results over k, to `result`, rows `ld` apart.
struct Product {
  int64_t m, n, k;
  Floats lhs, rhs;
  const void *bias; // nullptr, or n elements
  te_rt_dtype biasType;
  void *result;
  te_rt_dtype resultType;
  float alpha; // of the sums
  bool accumulate;

  void run(te_rt_context *context) const;

private:
  template <typename T>
  void finish(const float *sums, int64_t row0, int64_t rows, int64_t col0,
              int64_t cols) const;
};

void Product::run(te_rt_context *context) const {
  int64_t tilesDown = ceilDiv(m, kTileRows),
          tilesAcross = ceilDiv(n, kTileCols);
  int64_t tileSize = std::min(kTileRows, m) * std::min(kTileCols, n);
  float *tiles =
      context->scratch<float>(kScratchTiles, context->pool.size() * tileSize);
  context->pool.parallelFor(tilesDown * tilesAcross, [&](int64_t index,
                                                         int32_t thread) {
    int64_t row0 = index % tilesDown * kTileRows;
    int64_t col0 = index / tilesDown * kTileCols;
    int64_t rows = std::min(kTileRows, m - row0);
    int64_t cols = std::min(kTileCols, n - col0);
    float *sums = tiles + thread * tileSize;
    if (k == 0)
      std::fill(sums, sums + rows * cols, 0.0f);
    else
      blas().sgemm(
          Blas::RowMajor, lhs.transposed ? Blas::Trans : Blas::NoTrans,
          rhs.transposed ? Blas::NoTrans : Blas::Trans, static_cast<int>(rows),
          static_cast<int>(cols), static_cast<int>(k), 1.0f, lhs.outer(row0),
          static_cast<int>(lhs.ld), rhs.outer(col0), static_cast<int>(rhs.ld),
          0.0f, sums, static_cast<int>(cols));
    withFloatType(resultType, [&](auto element) {
      finish<decltype(element)>(sums, row0, rows, col0, cols);
    });
  });
}

template <typename T>
void Product::finish(const float *sums, int64_t row0, int64_t rows,
                     int64_t col0, int64_t cols) const {
  for (int64_t i = 0; i < rows; ++i) {
    T *out = static_cast<T *>(result) + (row0 + i) * n + col0;
    const float *sum = sums + i * cols;
    auto store = [&](auto biasAt) {
      for (int64_t j = 0; j < cols; ++j) {
        T rounded;
        fromFloat(biasAt(sum[j] * alpha, j), rounded);
        if (accumulate)
          fromFloat(toFloat(out[j]) + toFloat(rounded), rounded);
        out[j] = rounded;
      }
    };
    if (!bias)
      store([](float value, int64_t) { return value; });
    else
      withFloatType(biasType, [&](auto element) {
        auto *added = static_cast<const decltype(element) *>(bias) + col0;
        store(
            [&](float value, int64_t j) { return value + toFloat(added[j]); });
      });
  }
}

/// The amax that FP4 stands under, of one group; nullptr for other types.
struct Amaxes {
  const te_rt_tensor *lhs, *rhs;

  float alpha(const Group &group) const {
    constexpr float range = kNvfp4Range * kNvfp4Range;
    return lhs && rhs ? elementOf(*lhs, group.index) *
                            elementOf(*rhs, group.index) / range
                      : 1.0f;
  }
};

/// What both entry points share.
struct Call {
  te_rt_context *context;
  int64_t ragged;
  bool transposeLhs, transposeRhs, accumulate;

  te_rt_status checkExtents(int64_t m, int64_t n, int64_t k) const;
  te_rt_status readRagged(const te_rt_tensor *offsets, const Operand &lhs,
                          int64_t member, TempVector<Group> &groups) const;
  Operand makeLhs(const te_rt_tensor *lhs, const te_rt_tensor *scales) const;
  Operand makeRhs(const te_rt_tensor *rhs, const te_rt_tensor *scales) const;
  void runGroup(const Group &group, const Operand &lhs, const Operand &rhs,
                int64_t rhsMember, Amaxes amaxes, const te_rt_tensor *bias,
                int64_t biasMember, const te_rt_tensor &result,
                int64_t resultMember) const;
};

/// BLAS counts in 32 bits.
te_rt_status Call::checkExtents(int64_t m, int64_t n, int64_t k) const {
  if (!blas().sgemm)
    return context->fail(TE_RT_UNAVAILABLE, "BLAS: ", blas().why);
  if (std::max({m, n, k}) > INT32_MAX)
    return context->fail(TE_RT_UNSUPPORTED, "product: found ", m, " x ", n,
                         " over ", k, ", wanted extents below 2^31");
  return TE_RT_OK;
}

/// Both operands have SWIZZLED scales, or none has.
te_rt_status Call::readRagged(const te_rt_tensor *offsets, const Operand &lhs,
                              int64_t member,
                              TempVector<Group> &groups) const {
  bool alongRows = (ragged == TE_RT_RAGGED_ROWS) != transposeLhs;
  te_rt_status status =
      readGroups(context, "offsets", offsets,
                 alongRows ? lhs.rows() : lhs.cols(), member, groups);
  if (status == TE_RT_OK && offsets && lhs.isSwizzled())
    status = checkAligned(context, *offsets);
  return status;
}

Operand Call::makeLhs(const te_rt_tensor *lhs,
                      const te_rt_tensor *scales) const {
  return Operand(*lhs, scales, raggedOperand(ragged, transposeLhs));
}

Operand Call::makeRhs(const te_rt_tensor *rhs,
                      const te_rt_tensor *scales) const {
  return Operand(*rhs, scales,
                 ragged == TE_RT_RAGGED_REDUCTION
                     ? raggedOperand(ragged, transposeRhs)
                     : Ragged::No);
}

void Call::runGroup(const Group &group, const Operand &lhs, const Operand &rhs,
                    int64_t rhsMember, Amaxes amaxes, const te_rt_tensor *bias,
                    int64_t biasMember, const te_rt_tensor &result,
                    int64_t resultMember) const {
  Range rows = {0, transposeLhs ? lhs.cols() : lhs.rows()};
  Range cols = {0, transposeRhs ? rhs.cols() : rhs.rows()};
  Range reduction = {0, transposeRhs ? rhs.rows() : rhs.cols()};
  if (ragged == TE_RT_RAGGED_ROWS)
    rows = {group.begin, group.size()};
  else if (ragged == TE_RT_RAGGED_REDUCTION)
    reduction = {group.begin, group.size()};
  bool nothingToAdd =
      ragged == TE_RT_RAGGED_REDUCTION && accumulate && reduction.count == 0;
  if (rows.count == 0 || cols.count == 0 || nothingToAdd)
    return;

  Product product = {};
  product.m = rows.count;
  product.n = cols.count;
  product.k = reduction.count;
  product.lhs = toFloats(context, kScratchLhs, lhs, transposeLhs, 0, group,
                         rows, reduction);
  product.rhs = toFloats(context, kScratchRhs, rhs, transposeRhs, rhsMember,
                         group, cols, reduction);
  if (bias) {
    product.biasType = bias->dtype;
    product.bias =
        data<char>(bias) + bytesOf(bias->dtype, biasMember * cols.count);
  }
  product.resultType = result.dtype;
  int64_t first = (resultMember * product.m + rows.begin) * product.n;
  product.result = data<char>(result) + bytesOf(result.dtype, first);
  product.alpha = amaxes.alpha(group);
  product.accumulate = accumulate;
  product.run(context);
}
} // namespace

te_rt_status ref::gemm(te_rt_context *context, const te_rt_tensor *lhs,
                       const te_rt_tensor *lhs_scales,
                       const te_rt_tensor *lhs_amax, const te_rt_tensor *rhs,
                       const te_rt_tensor *rhs_scales,
                       const te_rt_tensor *rhs_amax, const te_rt_tensor *bias,
                       const te_rt_tensor *offsets, const te_rt_tensor *result,
                       int64_t ragged, int64_t member, int64_t transpose_lhs,
                       int64_t transpose_rhs, int64_t accumulate) {
  Call call = {context, ragged, transpose_lhs != 0, transpose_rhs != 0,
               accumulate != 0};
  Operand a = call.makeLhs(lhs, lhs_scales), b = call.makeRhs(rhs, rhs_scales);
  int64_t outer = transpose_lhs ? a.cols() : a.rows();
  int64_t reduction = transpose_lhs ? a.rows() : a.cols();
  TempVector<Group> groups;
  te_rt_status status =
      call.checkExtents(outer, std::max(b.rows(), b.cols()), reduction);
  if (status == TE_RT_OK)
    status = call.readRagged(offsets, a, member, groups);
  if (status != TE_RT_OK)
    return status;
  call.runGroup(groups[0], a, b, 0, {lhs_amax, rhs_amax}, bias, 0, *result, 0);
  return TE_RT_OK;
}

te_rt_status
ref::grouped_gemm(te_rt_context *context, const te_rt_tensor *lhs,
                  const te_rt_tensor *lhs_scales, const te_rt_tensor *lhs_amax,
                  te_rt_tensor_list rhs, te_rt_tensor_list rhs_scales,
                  te_rt_tensor_list rhs_amax, te_rt_tensor_list bias,
                  const te_rt_tensor *offsets, te_rt_tensor_list results,
                  int64_t ragged, int64_t transpose_lhs, int64_t transpose_rhs,
                  int64_t accumulate) {
  Call call = {context, ragged, transpose_lhs != 0, transpose_rhs != 0,
               accumulate != 0};
  Operand a = call.makeLhs(lhs, lhs_scales);
  int64_t outer = transpose_lhs ? a.cols() : a.rows();
  int64_t reduction = transpose_lhs ? a.rows() : a.cols();
  bool ragsRows = ragged == TE_RT_RAGGED_ROWS;
  TempVector<Group> groups;
  te_rt_status status =
      call.checkExtents(outer, lastDim(results.items[0]), reduction);
  if (status == TE_RT_OK)
    status = call.readRagged(offsets, a, -1, groups);
  if (status != TE_RT_OK)
    return status;
  Progress progress("grouped_gemm", static_cast<int64_t>(groups.size()));
  for (const Group &group : groups) {
    // Entry of a list, and member within it, that belongs to the group.
    auto entry = [&](te_rt_tensor_list list) {
      return list.count == 0   ? nullptr
             : list.count == 1 ? list.items
                               : list.items + group.index;
    };
    auto memberOf = [&](te_rt_tensor_list list) {
      return list.count == 1 ? group.index : 0;
    };
    call.runGroup(group, a, call.makeRhs(entry(rhs), entry(rhs_scales)),
                  ragsRows ? memberOf(rhs) : 0, {lhs_amax, entry(rhs_amax)},
                  entry(bias), memberOf(bias), *entry(results),
                  ragsRows ? 0 : memberOf(results));
    progress.step();
  }
  return TE_RT_OK;
}
