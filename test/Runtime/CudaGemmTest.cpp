//===- CudaGemmTest.cpp - products of any kind, ref against cuda ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Types, extents and orientations that no kernel is made for, as well as those
// that some are.
//
//===----------------------------------------------------------------------===//

#include "Twin.h"
#include "common/scales.h"

using namespace te_test;
using namespace te_rt;

namespace {
struct GemmCase {
  te_rt_dtype lhs, rhs, result;
  int64_t m, n, k;
  int64_t ragged;
  std::vector<int32_t> offsets;
  int scheme; // of FP8: 0 tensor, 1 rows x squares, 2 rows x rows
  bool transposeLhs, transposeRhs, accumulate, bias;
};

Tensor codesOf(te_rt_dtype type, std::vector<int64_t> shape, unsigned seed) {
  Tensor tensor = values(TE_RT_F32, shape, seed);
  Tensor codes(type, shape);
  for (int64_t i = 0; i < codes.size(); ++i)
    codes.set(i, tensor.get(i) * 8);
  return codes;
}

void addOperand(Arguments &arguments, const GemmCase &c, bool isLhs,
                unsigned seed) {
  te_rt_dtype type = isLhs ? c.lhs : c.rhs;
  bool transposed = isLhs ? c.transposeLhs : c.transposeRhs;
  int64_t outer = isLhs ? c.m : c.n;
  std::vector<int64_t> shape = {outer, c.k};
  if (transposed)
    std::swap(shape[0], shape[1]);
  if (!isFp8(type)) {
    arguments.add(values(type, shape, seed));
    arguments.none();
    return;
  }
  arguments.add(codesOf(type, shape, seed));
  int32_t groups =
      c.offsets.empty() ? 0 : static_cast<int32_t>(c.offsets.size()) - 1;
  bool along = c.ragged == TE_RT_RAGGED_REDUCTION;
  bool divided = along || (isLhs && c.ragged == TE_RT_RAGGED_ROWS);
  te_rt_tensor like = {};
  std::vector<int64_t> scaleShape;
  if (c.scheme == 0) {
    like.layout = TE_RT_TENSOR;
    if (divided)
      scaleShape = {groups};
  } else {
    like.layout = TE_RT_GEMM_READY;
    like.block_rows = c.scheme == 1 && !isLhs ? 128 : 1;
    like.block_cols = 128;
    like.groups = along ? groups : 0;
    scaleShape = ScaleGrid(like, shape[0], shape[1],
                           along ? Ragged::Cols : Ragged::No)
                     .shape;
  }
  Tensor scales(TE_RT_F32, scaleShape);
  for (int64_t i = 0; i < scales.size(); ++i)
    scales.set(i, 0.125f + 0.01f * (i % 50));
  arguments.add(scales.scales(like.layout, like.block_rows, like.block_cols,
                              like.groups));
}

/// Of the running test. Some more than the first tell what they share.
int failures() {
  const auto *info = testing::UnitTest::GetInstance()->current_test_info();
  return info->result()->total_part_count();
}

TEST(CudaGemm, EveryKind) {
  NEEDS_GPU();
  std::vector<GemmCase> all;
  struct Extents {
    int64_t m, n, k;
  };
  for (Extents e : {Extents{1, 8, 16}, {7, 13, 11}, {128, 256, 512},
                    {100, 72, 208}, {320, 336, 256}})
    for (bool accumulate : {false, true})
      for (te_rt_dtype result : {TE_RT_BF16, TE_RT_F32}) {
        for (auto [lhs, rhs] : {std::pair{TE_RT_BF16, TE_RT_BF16},
                                {TE_RT_F32, TE_RT_F32},
                                {TE_RT_BF16, TE_RT_F32}})
          for (int t = 0; t < 4; ++t)
            all.push_back({lhs, rhs, result, e.m, e.n, e.k, TE_RT_DENSE, {}, 0,
                           bool(t & 1), bool(t & 2), accumulate, t == 0});
        for (int scheme : {0, 1, 2})
          for (te_rt_dtype lhs : {TE_RT_F8E4M3, TE_RT_F8E5M2})
            all.push_back({lhs, TE_RT_F8E4M3, result, e.m, e.n, e.k,
                           TE_RT_DENSE, {}, scheme, false, false, accumulate,
                           scheme == 1});
        // Rows, and the reduction, divided into groups.
        std::vector<int32_t> rows = {0, 16, 16, 80, 96};
        for (int64_t ragged : {TE_RT_RAGGED_ROWS, TE_RT_RAGGED_REDUCTION})
          for (int scheme : {-1, 0, 1, 2}) {
            bool reduction = ragged == TE_RT_RAGGED_REDUCTION;
            if (reduction && scheme == 1)
              continue;
            te_rt_dtype type = scheme < 0 ? TE_RT_BF16 : TE_RT_F8E4M3;
            all.push_back({type, type, result, reduction ? e.m : 112, e.n,
                           reduction ? 112 : e.k, ragged, rows,
                           std::max(scheme, 0), scheme < 0 && reduction,
                           scheme < 0 && reduction, accumulate,
                           scheme == 0 && !reduction});
          }
      }
  unsigned seed = 0;
  for (const GemmCase &c : all) {
    ++seed;
    if (isReduced() && seed % 7)
      continue;
    int64_t groups = c.offsets.empty() ? 1 : int64_t(c.offsets.size()) - 1;
    for (int64_t member = 0; member < groups; ++member)
      for (bool host : {false, true}) {
        if ((c.offsets.empty() && host) || !takesNext())
          continue;
        Arguments arguments;
        addOperand(arguments, c, true, seed);
        addOperand(arguments, c, false, seed + 1000);
        c.bias ? arguments.add(values(c.result, {c.n}, seed + 5))
               : arguments.none();
        if (c.offsets.empty()) {
          arguments.none();
        } else {
          Tensor offsets = offsetsOf(c.offsets);
          offsets.t.on_host = host;
          arguments.add(offsets);
        }
        int out = arguments.add(values(c.result, {c.m, c.n}, seed + 9));
        Call call = [&](te_rt_context *context, const Tensors &t) {
          return te_rt_gemm(context, t[0], t[1], nullptr, t[2], t[3], nullptr,
                            t[4], t[5], t[6],
                            c.ragged, c.offsets.empty() ? -1 : member,
                            c.transposeLhs, c.transposeRhs, c.accumulate);
        };
        SCOPED_TRACE(std::to_string(c.m) + " " + std::to_string(c.n) + " " +
                     std::to_string(c.k) + " ragged " +
                     std::to_string(c.ragged) + " scheme " +
                     std::to_string(c.scheme) + " types " +
                     std::to_string(c.lhs) + std::to_string(c.rhs) +
                     std::to_string(c.result) + " member " +
                     std::to_string(member));
        // Sums of k products of about one; FP8 ones of up to 8 * 0.6 each, which
        // tensor cores add to 2^-13 of the sum of the magnitudes.
        float magnitude = std::sqrt(static_cast<float>(c.k)) *
                          (isFp8(c.lhs) ? 30.0f : 1.0f) + 4.0f;
        expectSame(arguments, runOnRef(arguments, call),
                   runOnCuda(arguments, call), {out},
                   c.result == TE_RT_BF16 ? 0x1p-7f : 0x1p-12f,
                   magnitude * (c.result == TE_RT_BF16 ? 0x1p-7f : 0x1p-9f));
        if (failures() > 30)
          return;
      }
  }
}

/// One call for all groups, weights packed: scales of a tensor lie 4 bytes apart,
/// which is not how cuBLASLt takes them.
TEST(CudaGemm, Grouped) {
  NEEDS_GPU();
  constexpr int64_t groups = 5, rows = 400, n = 144, k = 272;
  unsigned seed = 0;
  for (int scheme : {-1, 0, 1, 2})
    for (te_rt_dtype result : {TE_RT_BF16, TE_RT_F32})
      for (bool accumulate : {false, true}) {
        te_rt_dtype type = scheme < 0 ? TE_RT_BF16 : TE_RT_F8E4M3;
        GemmCase c = {type, type, result, rows, n, k, TE_RT_RAGGED_ROWS,
                      {0, 16, 160, 160, 304, 384}, std::max(scheme, 0),
                      false, false, accumulate, false};
        Arguments arguments;
        addOperand(arguments, c, true, ++seed);
        if (scheme < 0) {
          arguments.add(values(type, {groups, n, k}, seed + 1000));
          arguments.none();
        } else {
          arguments.add(codesOf(type, {groups, n, k}, seed + 1000));
          te_rt_tensor like = {};
          std::vector<int64_t> shape = {groups};
          like.layout = TE_RT_TENSOR;
          if (scheme > 0) {
            like.layout = TE_RT_GEMM_READY;
            like.block_rows = scheme == 1 ? 128 : 1;
            like.block_cols = 128;
            std::vector<int64_t> member = ScaleGrid(like, n, k, Ragged::No).shape;
            shape.insert(shape.end(), member.begin(), member.end());
          }
          Tensor scales(TE_RT_F32, shape);
          for (int64_t i = 0; i < scales.size(); ++i)
            scales.set(i, 0.125f + 0.01f * (i % 50));
          arguments.add(scales.scales(like.layout, like.block_rows,
                                      like.block_cols));
        }
        arguments.add(offsetsOf(c.offsets));
        int out = arguments.add(values(result, {rows, n}, seed + 9));
        Call call = [&](te_rt_context *context, const Tensors &t) {
          auto list = [](const te_rt_tensor *tensor) {
            return te_rt_tensor_list{tensor, tensor ? 1 : 0};
          };
          return te_rt_grouped_gemm(context, t[0], t[1], nullptr, list(t[2]),
                                    list(t[3]), list(nullptr), list(nullptr),
                                    t[4], list(t[5]), TE_RT_RAGGED_ROWS, 0, 0,
                                    accumulate);
        };
        SCOPED_TRACE("scheme " + std::to_string(scheme) + " result " +
                     std::to_string(result));
        float magnitude = std::sqrt(float(k)) * (scheme < 0 ? 1.0f : 30.0f) + 4;
        expectSame(arguments, runOnRef(arguments, call),
                   runOnCuda(arguments, call), {out},
                   result == TE_RT_BF16 ? 0x1p-7f : 0x1p-12f,
                   magnitude * (result == TE_RT_BF16 ? 0x1p-7f : 0x1p-9f));
        if (failures() > 30)
          return;
      }
}
} // namespace
