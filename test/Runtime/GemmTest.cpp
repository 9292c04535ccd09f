//===- GemmTest.cpp - products against double -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cmath>
#include <functional>

using namespace te_test;

namespace {
/// An element of an operand, dequantized in F32 and then taken as double.
using Element = std::function<double(int64_t, int64_t)>;

/// result[m, n] within the bound of K products summed in F32, and one rounding.
void checkProduct(const Tensor &result, int64_t first, int64_t m, int64_t n,
                  int64_t k, const Element &lhs, const Element &rhs,
                  const Element &add = nullptr) {
  double rounding = result.t.dtype == TE_RT_BF16 ? 0x1p-8 : 0;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = add ? add(i, j) : 0, size = std::fabs(sum);
      for (int64_t l = 0; l < k; ++l) {
        sum += lhs(i, l) * rhs(j, l);
        size += std::fabs(lhs(i, l) * rhs(j, l));
      }
      double bound = size * 0x1p-24 * static_cast<double>(k + 2) +
                     2 * rounding * std::fabs(sum) + rounding * size * 0x1p-8;
      ASSERT_NEAR(result.get(first + i * n + j), sum, bound) << i << ", " << j;
    }
}

Element plain(const Tensor &t, int64_t ld, bool transposed = false) {
  return [&t, ld, transposed](int64_t i, int64_t l) {
    return static_cast<double>(t.get(transposed ? l * ld + i : i * ld + l));
  };
}

TEST(Gemm, DenseInEveryOrientationTypeAndWithBias) {
  const int64_t m = 300, n = 70, k = 90;
  Context context = makeContext();
  for (int mode = 0; mode < 8; ++mode) {
    bool ta = mode & 1, tb = mode & 2;
    te_rt_dtype type = mode & 4 ? TE_RT_BF16 : TE_RT_F32;
    Tensor a = normal(
        type, ta ? std::vector<int64_t>{k, m} : std::vector<int64_t>{m, k}, 1);
    Tensor b =
        normal(TE_RT_BF16,
               tb ? std::vector<int64_t>{k, n} : std::vector<int64_t>{n, k}, 2);
    Tensor bias = normal(TE_RT_BF16, {n}, 3), c(type, {m, n});
    EXPECT_OK(context, te_rt_gemm(context.get(), a, nullptr, nullptr, b,
                                  nullptr, nullptr, bias, nullptr, c,
                                  TE_RT_DENSE, -1, ta, tb, 0));
    checkProduct(c, 0, m, n, k, plain(a, ta ? m : k, ta),
                 plain(b, tb ? n : k, tb),
                 [&](int64_t, int64_t j) { return bias.get(j); });
  }
}

TEST(Gemm, AccumulateAddsTheRoundedProduct) {
  const int64_t m = 5, n = 6, k = 40;
  Context context = makeContext();
  Tensor a = normal(TE_RT_BF16, {m, k}, 1), b = normal(TE_RT_BF16, {n, k}, 2);
  Tensor product(TE_RT_BF16, {m, n}), sum = normal(TE_RT_BF16, {m, n}, 3);
  Tensor before = sum;
  auto run = [&](const Tensor &c, int64_t accumulate) {
    return te_rt_gemm(context.get(), a, nullptr, nullptr, b, nullptr, nullptr,
                      nullptr, nullptr, c, TE_RT_DENSE, -1, 0, 0, accumulate);
  };
  EXPECT_OK(context, run(product, 0));
  EXPECT_OK(context, run(sum, 1));
  for (int64_t i = 0; i < m * n; ++i) {
    te_rt::BFloat16 wanted;
    te_rt::fromFloat(before.get(i) + product.get(i), wanted);
    EXPECT_EQ(sum.get(i), te_rt::toFloat(wanted));
  }
}

TEST(Gemm, BlockScaledOperands) {
  const int64_t m = 30, n = 200, k = 300;
  Context context = makeContext();
  Tensor a = normal(TE_RT_F8E5M2, {m, k}, 1),
         b = normal(TE_RT_F8E4M3, {n, k}, 2);
  Tensor as = normal(TE_RT_F32, {3, 32}, 3), bs = normal(TE_RT_F32, {2, 4}, 4);
  as.scales(TE_RT_GEMM_READY, 1, 128);
  bs.scales(TE_RT_GEMM_READY, 128, 128);
  Tensor c(TE_RT_F32, {m, n});
  EXPECT_OK(context, te_rt_gemm(context.get(), a, as, nullptr, b, bs, nullptr,
                                nullptr, nullptr, c, TE_RT_DENSE, -1, 0, 0, 0));
  checkProduct(
      c, 0, m, n, k,
      [&](int64_t i, int64_t l) {
        return double(a.get(i * k + l) * as.get(l / 128 * 32 + i));
      },
      [&](int64_t j, int64_t l) {
        return double(b.get(j * k + l) * bs.get(j / 128 * 4 + l / 128));
      });
}

const std::vector<std::vector<int32_t>> kGroups = {
    {0, 40, 40, 300, 310}, {0, 320}, {0, 0, 0}, {0, 17, 290, 320}};

TEST(GroupedGemm, RowsEqualTheLoopOverMembers) {
  const int64_t c = 320, n = 600, k = 260;
  for (const std::vector<int32_t> &starts : kGroups) {
    int64_t groups = static_cast<int64_t>(starts.size()) - 1;
    Tensor offsets = offsetsOf(starts);
    Tensor x = normal(TE_RT_F8E4M3, {c, k}, 1),
           xs = normal(TE_RT_F32, {c, 3}, 2);
    xs.scales(TE_RT_COMPACT, 1, 128);
    Tensor w = normal(TE_RT_F8E4M3, {groups, n, k}, 3);
    Tensor ws = normal(TE_RT_F32, {groups, 5, 3}, 4);
    ws.scales(TE_RT_COMPACT, 128, 128);
    Tensor bias = normal(TE_RT_F32, {groups, n}, 5);
    std::vector<Tensor> parts, scales, biases;
    for (int64_t g = 0; g < groups; ++g) {
      parts.emplace_back(TE_RT_F8E4M3, std::vector<int64_t>{n, k});
      scales.emplace_back(TE_RT_F32, std::vector<int64_t>{5, 3});
      biases.emplace_back(TE_RT_F32, std::vector<int64_t>{n});
      scales.back().scales(TE_RT_COMPACT, 128, 128);
      std::copy_n(w.bytes.begin() + g * n * k, n * k, parts[g].bytes.begin());
      std::copy_n(ws.bytes.begin() + g * 60, 60, scales[g].bytes.begin());
      std::copy_n(bias.bytes.begin() + g * n * 4, n * 4,
                  biases[g].bytes.begin());
    }
    Tensor packed(TE_RT_BF16, {c, n}), list(TE_RT_BF16, {c, n});
    Tensor loop(TE_RT_BF16, {c, n});
    Context context = makeContext(2), single = makeContext(1);
    EXPECT_OK(context,
              te_rt_grouped_gemm(context.get(), x, xs, nullptr, List{w},
                                 List{ws}, {}, List{bias}, offsets,
                                 List{packed}, TE_RT_RAGGED_ROWS, 0, 0, 0));
    EXPECT_OK(context,
              te_rt_grouped_gemm(context.get(), x, xs, nullptr, List(parts),
                                 List(scales), {}, List(biases), offsets,
                                 List{list}, TE_RT_RAGGED_ROWS, 0, 0, 0));
    for (int64_t g = 0; g < groups; ++g)
      EXPECT_OK(single, te_rt_gemm(single.get(), x, xs, nullptr, parts[g],
                                   scales[g], nullptr, biases[g], offsets, loop,
                                   TE_RT_RAGGED_ROWS, g, 0, 0, 0));
    EXPECT_EQ(packed.bytes, loop.bytes);
    EXPECT_EQ(list.bytes, loop.bytes);
    for (int64_t g = 0; g < groups; ++g)
      checkProduct(
          packed, starts[g] * n, starts[g + 1] - starts[g], n, k,
          [&](int64_t i, int64_t l) {
            int64_t row = starts[g] + i;
            return double(x.get(row * k + l) * xs.get(row * 3 + l / 128));
          },
          [&](int64_t j, int64_t l) {
            return double(w.get((g * n + j) * k + l) *
                          ws.get(g * 15 + j / 128 * 3 + l / 128));
          },
          [&](int64_t, int64_t j) { return bias.get(g * n + j); });
    for (int64_t i = starts.back() * n * 2; i < c * n * 2; ++i)
      ASSERT_EQ(packed.bytes[i], 0xCD);
  }
}

TEST(GroupedGemm, ReductionOfRaggedBlocksEqualsTheLoop) {
  const int64_t c = 320, m = 50, n = 60;
  for (const std::vector<int32_t> &starts : kGroups) {
    int64_t groups = static_cast<int64_t>(starts.size()) - 1;
    auto g32 = static_cast<int32_t>(groups);
    Tensor offsets = offsetsOf(starts);
    int64_t grid = c / 128 + groups;
    Tensor a = normal(TE_RT_F8E4M3, {m, c}, 1),
           b = normal(TE_RT_F8E5M2, {n, c}, 2);
    Tensor as = normal(TE_RT_F32, {grid, 52}, 3);
    Tensor bs = normal(TE_RT_F32, {grid, 60}, 4);
    as.scales(TE_RT_GEMM_READY, 1, 128, g32);
    bs.scales(TE_RT_GEMM_READY, 1, 128, g32);
    Tensor packed = normal(TE_RT_F32, {groups, m, n}, 7);
    Tensor before = packed;
    Context context = makeContext();
    for (int64_t accumulate : {0, 1}) {
      packed.bytes = before.bytes;
      std::vector<Tensor> parts;
      for (int64_t g = 0; g < groups; ++g) {
        parts.emplace_back(TE_RT_F32, std::vector<int64_t>{m, n});
        std::copy_n(before.bytes.begin() + g * m * n * 4, m * n * 4,
                    parts[g].bytes.begin());
      }
      EXPECT_OK(context,
                te_rt_grouped_gemm(context.get(), a, as, nullptr, List{b},
                                   List{bs}, {}, List{}, offsets, List{packed},
                                   TE_RT_RAGGED_REDUCTION, 0, 0, accumulate));
      for (int64_t g = 0; g < groups; ++g) {
        EXPECT_OK(context,
                  te_rt_gemm(context.get(), a, as, nullptr, b, bs, nullptr,
                             nullptr, offsets, parts[g], TE_RT_RAGGED_REDUCTION,
                             g, 0, 0, accumulate));
        EXPECT_TRUE(std::equal(parts[g].bytes.begin(), parts[g].bytes.end(),
                               packed.bytes.begin() + g * m * n * 4));
        auto block = [&](int64_t l) { return starts[g] / 128 + g + l / 128; };
        checkProduct(
            packed, g * m * n, m, n, starts[g + 1] - starts[g],
            [&](int64_t i, int64_t l) {
              return double(a.get(i * c + starts[g] + l) *
                            as.get(block(l) * 52 + i));
            },
            [&](int64_t j, int64_t l) {
              return double(b.get(j * c + starts[g] + l) *
                            bs.get(block(l) * 60 + j));
            },
            [&](int64_t i, int64_t j) {
              return accumulate ? before.get((g * m + i) * n + j) : 0.0;
            });
      }
    }
  }
}

TEST(GroupedGemm, ReductionOfTransposedBF16) {
  const int64_t c = 90, m = 20, n = 30;
  Context context = makeContext();
  Tensor a = normal(TE_RT_BF16, {c, m}, 1), b = normal(TE_RT_BF16, {c, n}, 2);
  Tensor offsets = offsetsOf({5, 50, 90}), out(TE_RT_F32, {2, m, n});
  EXPECT_OK(context,
            te_rt_grouped_gemm(context.get(), a, nullptr, nullptr, List{b},
                               List{}, {}, List{}, offsets, List{out},
                               TE_RT_RAGGED_REDUCTION, 1, 1, 0));
  const int32_t starts[] = {5, 50, 90};
  for (int64_t g = 0; g < 2; ++g)
    checkProduct(
        out, g * m * n, m, n, starts[g + 1] - starts[g],
        [&](int64_t i, int64_t l) { return a.get((starts[g] + l) * m + i); },
        [&](int64_t j, int64_t l) { return b.get((starts[g] + l) * n + j); });
}

TEST(Gemm, RefusesWhatDoesNotFit) {
  Context context = makeContext();
  Tensor a(TE_RT_F8E5M2, {4, 128}), b(TE_RT_F8E5M2, {6, 128});
  Tensor s = floats({}, {1.0f}), c(TE_RT_F32, {4, 6});
  s.scales(TE_RT_TENSOR);
  auto run = [&](const te_rt_tensor *lhs, const te_rt_tensor *ls,
                 const te_rt_tensor *rhs, const te_rt_tensor *rs,
                 int64_t transpose = 0) {
    return te_rt_gemm(context.get(), lhs, ls, nullptr, rhs, rs, nullptr,
                      nullptr, nullptr, c, TE_RT_DENSE, -1, 0, transpose, 0);
  };
  EXPECT_FAILS(context, run(a, s, b, s), TE_RT_INVALID_ARGUMENT,
               "at most one F8E5M2 operand");
  Tensor good(TE_RT_F8E4M3, {6, 128}), turned(TE_RT_F8E4M3, {128, 6});
  EXPECT_FAILS(context, run(a, s, turned, s, 1), TE_RT_INVALID_ARGUMENT,
               "rhs: found a transposed operand of F8E4M3");
  EXPECT_FAILS(context, run(a, nullptr, good, s), TE_RT_INVALID_ARGUMENT,
               "lhs_scales: found no tensor");
  Tensor square(TE_RT_F32, {1, 1});
  square.scales(TE_RT_COMPACT, 128, 128);
  EXPECT_FAILS(context, run(a, square, good, square), TE_RT_INVALID_ARGUMENT,
               "rhs_scales: found square blocks");
  Tensor other(TE_RT_BF16, {6, 127});
  EXPECT_FAILS(context, run(a, s, other, nullptr), TE_RT_INVALID_ARGUMENT,
               "rhs: found a reduction of 127, wanted 128");
  Tensor offsets = offsetsOf({0, 7});
  EXPECT_FAILS(context,
               te_rt_gemm(context.get(), a, s, nullptr, good, s, nullptr,
                          nullptr, offsets, c, TE_RT_RAGGED_ROWS, 0, 0, 0, 0),
               TE_RT_INVALID_ARGUMENT, "wanted ascending values from 0 to 4");
}
} // namespace
