//===- RecipeGemmTest.cpp - products of MXFP8 and NVFP4 against double ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Recipes.h"

using namespace te_test;

namespace {
/// A direction of a cast as an operand: it runs along the reduction.
struct Operand {
  Tensor input, offsets;
  Direction cast;

  Operand(const Shape &shape, te_rt_dtype type, bool columnwise, unsigned seed)
      : input(normal(TE_RT_BF16, shape.dims(), seed)),
        offsets(offsetsOf(shape.offsets)),
        cast(shape, type, /*swizzled=*/true, columnwise) {
    Context context = makeContext();
    QuantizeCall call;
    call.input = input;
    if (shape.groups())
      call.offsets = offsets;
    cast.addTo(call);
    EXPECT_OK(context, call.run(context));
  }
  int64_t transposed() const { return cast.place.untransposed; }
  const te_rt_tensor *amax() const {
    return cast.fp4() ? (const te_rt_tensor *)cast.amax : nullptr;
  }
  /// Element of the product's operand; l counts the reduction.
  double at(int64_t domain, int64_t i, int64_t l) const {
    return cast.columnwise ? cast.value(domain, l, i)
                           : cast.value(domain, i, l);
  }
};

/// What the sums of two operands are multiplied by.
float alphaOf(const Operand &lhs, int64_t left, const Operand &rhs,
              int64_t right) {
  return lhs.cast.fp4()
             ? lhs.cast.amax.get(left) * rhs.cast.amax.get(right) / 7225344.0f
             : 1.0f;
}

/// result[i, j] within the bound of the sum in F32 and the roundings after it.
void checkElement(float result, double sum, double size, int64_t k,
                  double alpha, double added, te_rt_dtype type) {
  double wanted = sum * alpha + added;
  double bound = size * std::fabs(alpha) * 0x1p-23 * double(k + 2) +
                 std::fabs(wanted) * (type == TE_RT_BF16 ? 0x1p-7 : 0x1p-22) +
                 std::fabs(added) * 0x1p-8;
  ASSERT_NEAR(result, wanted, bound);
}

class RecipeGemm : public ::testing::TestWithParam<te_rt_dtype> {};

TEST_P(RecipeGemm, DenseProductsOfATrainingStep) {
  te_rt_dtype type = GetParam();
  const int64_t m = 66, n = 130, k = 98;
  Context context = makeContext();
  // y = x w^T, dx = dy w, dw = dy^T x.
  for (int product = 0; product < 3; ++product) {
    Operand lhs = product == 0   ? Operand({m, k}, type, false, 1)
                  : product == 1 ? Operand({m, n}, type, false, 2)
                                 : Operand({m, n}, type, true, 2);
    Operand rhs = product == 0   ? Operand({n, k}, type, false, 3)
                  : product == 1 ? Operand({n, k}, type, true, 3)
                                 : Operand({m, k}, type, true, 1);
    int64_t rows = product == 2 ? n : m, cols = product == 0 ? n : k;
    int64_t length = product == 0 ? k : product == 1 ? n : m;
    for (te_rt_dtype out : {TE_RT_F32, TE_RT_BF16}) {
      Tensor bias = normal(TE_RT_F32, {cols}, 5), y(out, {rows, cols});
      EXPECT_OK(context,
                te_rt_gemm(context.get(), lhs.cast.values, lhs.cast.scales,
                           lhs.amax(), rhs.cast.values, rhs.cast.scales,
                           rhs.amax(), bias, nullptr, y, TE_RT_DENSE, -1,
                           lhs.transposed(), rhs.transposed(), 0));
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < cols; ++j) {
          double sum = 0, size = 0;
          for (int64_t l = 0; l < length; ++l) {
            double term = lhs.at(0, i, l) * rhs.at(0, j, l);
            sum += term;
            size += std::fabs(term);
          }
          checkElement(y.get(i * cols + j), sum, size, length,
                       alphaOf(lhs, 0, rhs, 0), bias.get(j), out);
        }
    }
  }
}

const Shape kTokens = {512, 98, 0, {0, 128, 128, 384}};

TEST_P(RecipeGemm, RaggedRowsOfPackedAndSeparateWeights) {
  te_rt_dtype type = GetParam();
  const int64_t n = 34, k = kTokens.cols, groups = 3;
  Context context = makeContext();
  for (bool columnwise : {false, true}) {
    // Forward by rows of [n, k]; of the gradient by columns of [k, n].
    Operand x(kTokens, type, false, 1);
    Operand packed(columnwise ? Shape{k, n, groups} : Shape{n, k, groups}, type,
                   columnwise, 2);
    Tensor y(TE_RT_F32, {512, n}), bias = normal(TE_RT_F32, {groups, n}, 3);
    EXPECT_OK(context,
              te_rt_grouped_gemm(context.get(), x.cast.values, x.cast.scales,
                                 x.amax(), List{packed.cast.values},
                                 List{packed.cast.scales},
                                 packed.amax() ? List{packed.amax()} : List{},
                                 List{bias}, x.offsets, List{y},
                                 TE_RT_RAGGED_ROWS, 0, packed.transposed(), 0));
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t i = kTokens.begin(g); i < kTokens.end(g); ++i)
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0, size = 0;
          for (int64_t l = 0; l < k; ++l) {
            double term = x.at(g, i, l) * packed.at(g, j, l);
            sum += term;
            size += std::fabs(term);
          }
          checkElement(y.get(i * n + j), sum, size, k, alphaOf(x, g, packed, g),
                       bias.get(g * n + j), TE_RT_F32);
        }
    for (int64_t i = kTokens.offsets.back() * n * 4; i < 512 * n * 4; ++i)
      ASSERT_EQ(y.bytes[i], 0xCD);

    // Member by member, of weights that are the packed one's parts.
    Tensor parts(TE_RT_F32, {512, n});
    List values, scales, amaxes;
    for (int64_t g = 0; g < groups; ++g) {
      auto part = [&](const Tensor &whole) {
        te_rt_tensor t = whole.t;
        t.data = static_cast<char *>(t.data) + whole.bytes.size() / groups * g;
        t.rank -= 1;
        std::copy(whole.t.shape + 1, whole.t.shape + whole.t.rank, t.shape);
        return t;
      };
      values.items.push_back(part(packed.cast.values));
      scales.items.push_back(part(packed.cast.scales));
      if (packed.amax())
        amaxes.items.push_back(part(packed.cast.amax));
      te_rt_tensor added = part(bias);
      EXPECT_OK(context,
                te_rt_gemm(context.get(), x.cast.values, x.cast.scales,
                           x.amax(), &values.items[g], &scales.items[g],
                           packed.amax() ? &amaxes.items[g] : nullptr, &added,
                           x.offsets, parts, TE_RT_RAGGED_ROWS, g, 0,
                           packed.transposed(), 0));
    }
    EXPECT_EQ(parts.bytes, y.bytes);
    Tensor listed(TE_RT_F32, {512, n});
    EXPECT_OK(context,
              te_rt_grouped_gemm(context.get(), x.cast.values, x.cast.scales,
                                 x.amax(), values, scales, amaxes, List{bias},
                                 x.offsets, List{listed}, TE_RT_RAGGED_ROWS, 0,
                                 packed.transposed(), 0));
    EXPECT_EQ(listed.bytes, y.bytes);
  }
}

TEST_P(RecipeGemm, RaggedReductionAccumulates) {
  te_rt_dtype type = GetParam();
  const int64_t n = 34, k = kTokens.cols, groups = 3;
  Context context = makeContext();
  Shape gradient = {512, n, 0, kTokens.offsets};
  Operand dy(gradient, type, true, 1), x(kTokens, type, true, 2);
  Tensor dw(TE_RT_F32, {groups, n, k});
  std::fill(dw.bytes.begin(), dw.bytes.end(), 0);
  auto run = [&](int64_t accumulate) {
    return te_rt_grouped_gemm(
        context.get(), dy.cast.values, dy.cast.scales, dy.amax(),
        List{x.cast.values}, List{x.cast.scales},
        x.amax() ? List{x.amax()} : List{}, List{}, dy.offsets, List{dw},
        TE_RT_RAGGED_REDUCTION, dy.transposed(), x.transposed(), accumulate);
  };
  EXPECT_OK(context, run(0));
  for (int64_t g = 0; g < groups; ++g) {
    int64_t length = kTokens.end(g) - kTokens.begin(g);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < k; ++j) {
        double sum = 0, size = 0;
        for (int64_t l = kTokens.begin(g); l < kTokens.end(g); ++l) {
          double term = dy.at(g, i, l) * x.at(g, j, l);
          sum += term;
          size += std::fabs(term);
        }
        checkElement(dw.get((g * n + i) * k + j), sum, size, length,
                     alphaOf(dy, g, x, g), 0, TE_RT_F32);
      }
    Tensor one(TE_RT_F32, {n, k});
    EXPECT_OK(context,
              te_rt_gemm(context.get(), dy.cast.values, dy.cast.scales,
                         dy.amax(), x.cast.values, x.cast.scales, x.amax(),
                         nullptr, dy.offsets, one, TE_RT_RAGGED_REDUCTION, g,
                         dy.transposed(), x.transposed(), 0));
    for (int64_t i = 0; i < n * k; ++i)
      ASSERT_EQ(one.get(i), dw.get(g * n * k + i));
  }
  Tensor once = dw;
  EXPECT_OK(context, run(1));
  for (int64_t i = 0; i < dw.size(); ++i)
    ASSERT_EQ(dw.get(i), 2 * once.get(i));
}

INSTANTIATE_TEST_SUITE_P(Types, RecipeGemm,
                         ::testing::Values(TE_RT_F8E4M3, TE_RT_F4E2M1));

TEST(RecipeGemm, E5M2GradientsMeetE4M3) {
  Context context = makeContext();
  Operand dy({64, 96}, TE_RT_F8E5M2, false, 1);
  Operand w({96, 32}, TE_RT_F8E4M3, true, 2);
  Tensor dx(TE_RT_F32, {64, 32});
  EXPECT_OK(context,
            te_rt_gemm(context.get(), dy.cast.values, dy.cast.scales, nullptr,
                       w.cast.values, w.cast.scales, nullptr, nullptr, nullptr,
                       dx, TE_RT_DENSE, -1, 0, 1, 0));
  for (int64_t i = 0; i < 64; ++i)
    for (int64_t j = 0; j < 32; ++j) {
      double sum = 0, size = 0;
      for (int64_t l = 0; l < 96; ++l) {
        sum += dy.at(0, i, l) * w.at(0, j, l);
        size += std::fabs(dy.at(0, i, l) * w.at(0, j, l));
      }
      checkElement(dx.get(i * 32 + j), sum, size, 96, 1, 0, TE_RT_F32);
    }
}

TEST(RecipeGemm, RefusesWhatDoesNotFit) {
  Context context = makeContext();
  Shape shape = {64, 64};
  Operand mx(shape, TE_RT_F8E4M3, false, 1), mxT(shape, TE_RT_F8E4M3, true, 1);
  Operand nv(shape, TE_RT_F4E2M1, false, 1), nvT(shape, TE_RT_F4E2M1, true, 1);
  Tensor y(TE_RT_F32, {64, 64});
  struct Side {
    const te_rt_tensor *values, *scales, *amax;
    int64_t transposed = 0;
  };
  auto fails = [&](Side a, Side b, const char *text) {
    EXPECT_FAILS(context,
                 te_rt_gemm(context.get(), a.values, a.scales, a.amax, b.values,
                            b.scales, b.amax, nullptr, nullptr, y, TE_RT_DENSE,
                            -1, a.transposed, b.transposed, 0),
                 TE_RT_INVALID_ARGUMENT, text);
  };
  Side good = {mx.cast.values, mx.cast.scales, nullptr};
  Side fp4 = {nv.cast.values, nv.cast.scales, nv.cast.amax};
  Tensor compact = mx.cast.scales;
  compact.scales(TE_RT_COMPACT, 1, 32);
  fails({good.values, compact, nullptr}, good,
        "lhs_scales: found layout COMPACT, wanted SWIZZLED for F8E8M0");
  fails(good, fp4, "rhs_scales: found F8E4M3, wanted F8E8M0 as lhs_scales");
  Tensor whole = floats({}, {1});
  whole.scales(TE_RT_TENSOR);
  fails({good.values, whole, nullptr}, good,
        "rhs_scales: found F8E8M0, wanted none of 8 bits as lhs_scales");
  fails({good.values, good.scales, nv.cast.amax}, good,
        "lhs_amax: found a tensor, wanted none but for an F4E2M1 operand");
  fails(fp4, {fp4.values, fp4.scales, nullptr},
        "rhs_amax: found no tensor, wanted one for an F4E2M1 operand");
  Tensor two(TE_RT_F32, {2});
  fails(fp4, {fp4.values, fp4.scales, two},
        "rhs_amax: found shape [2], wanted []");
  fails({good.values, good.scales, nullptr, 1}, good,
        "lhs: found a transposed operand of F8E4M3");
  fails(good, {mxT.cast.values, mxT.cast.scales, nullptr, 0},
        "rhs: found an operand that is not transposed");
  fails(fp4, {nvT.cast.values, nvT.cast.scales, nvT.cast.amax, 1},
        "rhs: found a transposed operand of F4E2M1");
  fails({fp4.values, nullptr, fp4.amax}, fp4,
        "lhs_scales: found no tensor, wanted scales of an operand of F4E2M1");
}

TEST(RecipeGemm, RefusesGroupsThatTilesCannotHold) {
  Context context = makeContext();
  Shape shape = {256, 64, 0, {0, 96, 256}};
  Operand x(shape, TE_RT_F8E4M3, false, 1);
  Operand w({64, 64}, TE_RT_F8E4M3, false, 2);
  Tensor y(TE_RT_F32, {256, 64});
  EXPECT_FAILS(context,
               te_rt_gemm(context.get(), x.cast.values, x.cast.scales, nullptr,
                          w.cast.values, w.cast.scales, nullptr, nullptr,
                          x.offsets, y, TE_RT_RAGGED_ROWS, 0, 0, 0, 0),
               TE_RT_INVALID_ARGUMENT,
               "offsets[1]: found 96, wanted a multiple of 128");
}
} // namespace
