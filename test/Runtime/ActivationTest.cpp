//===- ActivationTest.cpp - swiglu against double -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cmath>

using namespace te_test;

namespace {
double sigmoid(double a) { return 1 / (1 + std::exp(-a)); }
double swiglu(double a, double b, double p) { return a * sigmoid(a) * b * p; }

TEST(Swiglu, ForwardAndBackward) {
  const int64_t rows = 37, width = 19;
  Context context = makeContext();
  Tensor x = normal(TE_RT_F32, {rows, 2 * width}, 1, 3.0f);
  Tensor probs = normal(TE_RT_F32, {rows}, 2);
  Tensor grad = normal(TE_RT_F32, {rows, width}, 3);
  Tensor offsets = offsetsOf({2, 10, 10, 30});
  Tensor y(TE_RT_F32, {rows, width}), dx(TE_RT_F32, {rows, 2 * width});
  Tensor dp(TE_RT_F32, {rows});
  EXPECT_OK(context, te_rt_swiglu(context.get(), x, probs, offsets, y));
  EXPECT_OK(context, te_rt_swiglu_backward(context.get(), grad, x, probs,
                                           offsets, dx, dp));
  for (int64_t r = 0; r < rows; ++r) {
    if (r < 2 || r >= 30) {
      EXPECT_EQ(y.bytes[r * width * 4], 0xCD);
      EXPECT_EQ(dx.bytes[r * width * 8], 0xCD);
      EXPECT_EQ(dp.bytes[r * 4], 0xCD);
      continue;
    }
    double p = probs.get(r), wantedProb = 0, weight = 0;
    for (int64_t j = 0; j < width; ++j) {
      double a = x.get(r * 2 * width + j), b = x.get(r * 2 * width + width + j);
      double g = grad.get(r * width + j), h = 1e-5;
      double value = swiglu(a, b, p);
      EXPECT_NEAR(y.get(r * width + j), value, 1e-6 * std::fabs(value));
      // Derivatives by differences, not by the formula under test.
      double da = g * (swiglu(a + h, b, p) - swiglu(a - h, b, p)) / (2 * h);
      double db = g * (swiglu(a, b + h, p) - swiglu(a, b - h, p)) / (2 * h);
      EXPECT_NEAR(dx.get(r * 2 * width + j), da, 1e-5 + 1e-5 * std::fabs(da));
      EXPECT_NEAR(dx.get(r * 2 * width + width + j), db,
                  1e-5 + 1e-5 * std::fabs(db));
      wantedProb += g * swiglu(a, b, 1);
      weight += std::fabs(g * swiglu(a, b, 1));
    }
    EXPECT_NEAR(dp.get(r), wantedProb, 1e-5 * weight);
  }
}

TEST(Swiglu, RoundsOnceToBF16AndTakesProbsAsOne) {
  Context context = makeContext();
  Tensor x = normal(TE_RT_BF16, {4, 10}, 1), wide(TE_RT_F32, {4, 10});
  for (int64_t i = 0; i < 40; ++i)
    wide.set(i, x.get(i));
  Tensor y(TE_RT_BF16, {4, 5}), exact(TE_RT_F32, {4, 5});
  EXPECT_OK(context, te_rt_swiglu(context.get(), x, nullptr, nullptr, y));
  EXPECT_OK(context,
            te_rt_swiglu(context.get(), wide, nullptr, nullptr, exact));
  for (int64_t i = 0; i < 20; ++i) {
    te_rt::BFloat16 rounded;
    te_rt::fromFloat(exact.get(i), rounded);
    EXPECT_EQ(y.get(i), te_rt::toFloat(rounded));
  }
  Tensor odd(TE_RT_BF16, {4, 9});
  EXPECT_FAILS(context, te_rt_swiglu(context.get(), odd, nullptr, nullptr, y),
               TE_RT_INVALID_ARGUMENT, "an even number of columns");
}

//===----------------------------------------------------------------------===//
// Fused with the cast: the same bits as the two calls
//===----------------------------------------------------------------------===//

/// A way to cast [C, K] of 5 groups.
struct Scheme {
  const char *name;
  te_rt_dtype input, output;
  bool blocks, rowwise, columnwise, given, pow2;
  float epsilon;
};
constexpr Scheme kSchemes[] = {
    {"delayed", TE_RT_BF16, TE_RT_F8E5M2, false, true, true, true, false, 0},
    {"current", TE_RT_BF16, TE_RT_F8E4M3, false, true, true, false, false, 0},
    {"currentF32", TE_RT_F32, TE_RT_F8E4M3, false, true, false, false, true, 1},
    {"block", TE_RT_BF16, TE_RT_F8E4M3, true, true, true, false, true, 0},
    {"blockRowwise", TE_RT_F32, TE_RT_F8E5M2, true, true, false, false, false,
     1e-3f},
    {"blockColumnwise", TE_RT_BF16, TE_RT_F8E4M3, true, false, true, false,
     true, 0},
};
constexpr int64_t kRows = 300, kGroups = 5;

/// The operands of the cast of [kRows, cols], and its results.
struct CastOperands {
  bool rowwise, columnwise, given;
  Tensor values, scales, valuesT, scalesT, scale, amax;

  CastOperands(const Scheme &scheme, int64_t cols)
      : rowwise(scheme.rowwise), columnwise(scheme.columnwise),
        given(scheme.given), values(scheme.output, {kRows, cols}),
        scales(TE_RT_F32, {kGroups}), valuesT(scheme.output, {cols, kRows}),
        scalesT(TE_RT_F32, {kGroups}),
        scale(floats({kGroups}, {2, 0.5f, 64, 3, 1})),
        amax(floats({kGroups}, {1, 0, 1e9f, 0, 5})) {
    scales.scales(TE_RT_TENSOR);
    scalesT.scales(TE_RT_TENSOR);
    if (!scheme.blocks)
      return;
    scales = Tensor(TE_RT_F32, {(cols + 127) / 128, (kRows + 3) / 4 * 4});
    scales.scales(TE_RT_GEMM_READY, 1, 128);
    scalesT = Tensor(TE_RT_F32, {kRows / 128 + kGroups, (cols + 3) / 4 * 4});
    scalesT.scales(TE_RT_GEMM_READY, 1, 128, kGroups);
  }
  const te_rt_tensor *ifRowwise(const Tensor &tensor) const {
    return rowwise ? &tensor.t : nullptr;
  }
  const te_rt_tensor *ifColumnwise(const Tensor &tensor) const {
    return columnwise ? &tensor.t : nullptr;
  }
  const te_rt_tensor *givenScale() const { return given ? &scale.t : nullptr; }

  void expectSame(const CastOperands &other) const {
    EXPECT_EQ(values.bytes, other.values.bytes);
    EXPECT_EQ(scales.bytes, other.scales.bytes);
    EXPECT_EQ(valuesT.bytes, other.valuesT.bytes);
    EXPECT_EQ(scalesT.bytes, other.scalesT.bytes);
    EXPECT_EQ(amax.bytes, other.amax.bytes);
  }
};

/// Values with NaN, zeros, some that underflow, and, in the first 100 rows, so
/// that some groups have an amax, infinities.
Tensor difficult(te_rt_dtype dtype, std::vector<int64_t> shape, unsigned seed) {
  Tensor x = normal(dtype, shape, seed, 4.0f);
  for (int64_t i = 0; i < x.size(); ++i) {
    if (i % 977 == 5)
      x.set(i, NAN);
    if (i % 3001 == 7 && i / shape[1] < 100)
      x.set(i, i % 2 ? INFINITY : -INFINITY);
    if (i % 13 == 3)
      x.set(i, -0.0f);
    if (i / shape[1] % 50 == 9)
      x.set(i, x.get(i) * 1e-39f);
  }
  return x;
}

class SwigluQuantize : public ::testing::TestWithParam<Scheme> {
protected:
  Scheme scheme = GetParam();
  // A context of each has scratches of its own.
  Context one = makeContext(), two = makeContext(3);
  // Some rows belong to nobody, and two groups are empty.
  Tensor offsets = offsetsOf({3, 3, 40, 171, 171, 290});
  Tensor probs = difficult(TE_RT_F32, {kRows, 1}, 2);

  SwigluQuantize() { probs.t.rank = 1; }
};

TEST_P(SwigluQuantize, ForwardIsThePair) {
  for (int64_t width : {96, 200}) {
    Tensor x = difficult(scheme.input, {kRows, 2 * width}, 1);
    Tensor y(scheme.input, {kRows, width});
    CastOperands pair(scheme, width), fused = pair;
    EXPECT_OK(one, te_rt_swiglu(one.get(), x, probs, offsets, y));
    EXPECT_OK(
        one, te_rt_quantize(one.get(), y, pair.givenScale(), pair.amax, nullptr,
                            offsets, nullptr, pair.ifRowwise(pair.values),
                            pair.ifRowwise(pair.scales),
                            pair.ifColumnwise(pair.valuesT),
                            pair.ifColumnwise(pair.scalesT), pair.amax, nullptr,
                            nullptr, -1, scheme.pow2, 0, 0, 0, scheme.epsilon));
    EXPECT_OK(two,
              te_rt_swiglu_quantize(
                  two.get(), x, probs, offsets, fused.givenScale(), fused.amax,
                  fused.ifRowwise(fused.values), fused.ifRowwise(fused.scales),
                  fused.ifColumnwise(fused.valuesT),
                  fused.ifColumnwise(fused.scalesT), fused.amax, scheme.pow2,
                  scheme.epsilon));
    fused.expectSame(pair);
    EXPECT_NE(fused.amax.bytes, CastOperands(scheme, width).amax.bytes);
  }
}

TEST_P(SwigluQuantize, BackwardIsThePair) {
  const int64_t width = 100;
  Tensor x = difficult(scheme.input, {kRows, 2 * width}, 1);
  Tensor grad = difficult(scheme.input, {kRows, width}, 3);
  Tensor dx(scheme.input, {kRows, 2 * width});
  Tensor dp(TE_RT_F32, {kRows}), fusedDp = dp;
  CastOperands pair(scheme, 2 * width), fused = pair;
  EXPECT_OK(one,
            te_rt_swiglu_backward(one.get(), grad, x, probs, offsets, dx, dp));
  EXPECT_OK(one,
            te_rt_quantize(one.get(), dx, pair.givenScale(), pair.amax, nullptr,
                           offsets, nullptr, pair.ifRowwise(pair.values),
                           pair.ifRowwise(pair.scales),
                           pair.ifColumnwise(pair.valuesT),
                           pair.ifColumnwise(pair.scalesT), pair.amax, nullptr,
                           nullptr, -1, scheme.pow2, 0, 0, 0, scheme.epsilon));
  EXPECT_OK(two, te_rt_swiglu_backward_quantize(
                     two.get(), grad, x, probs, offsets, fused.givenScale(),
                     fused.amax, fused.ifRowwise(fused.values),
                     fused.ifRowwise(fused.scales),
                     fused.ifColumnwise(fused.valuesT),
                     fused.ifColumnwise(fused.scalesT), fused.amax, fusedDp,
                     scheme.pow2, scheme.epsilon));
  fused.expectSame(pair);
  EXPECT_EQ(fusedDp.bytes, dp.bytes);
}

INSTANTIATE_TEST_SUITE_P(All, SwigluQuantize, ::testing::ValuesIn(kSchemes),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

TEST(SwigluQuantizeArguments, AreThoseOfBothCalls) {
  Context context = makeContext();
  Tensor x = normal(TE_RT_BF16, {8, 20}, 1), g = normal(TE_RT_BF16, {8, 10}, 2);
  Tensor q(TE_RT_F8E4M3, {8, 10}), s(TE_RT_F32, {}), odd(TE_RT_BF16, {8, 9});
  s.scales(TE_RT_TENSOR);
  auto forward = [&](const te_rt_tensor *input, const te_rt_tensor *values) {
    return te_rt_swiglu_quantize(context.get(), input, nullptr, nullptr,
                                 nullptr, nullptr, values, s, nullptr, nullptr,
                                 nullptr, 0, 0);
  };
  EXPECT_OK(context, forward(x, q));
  EXPECT_FAILS(context, forward(odd, q), TE_RT_INVALID_ARGUMENT,
               "swiglu_quantize: input: found shape [8, 9], wanted an even "
               "number of columns");
  EXPECT_FAILS(context, forward(nullptr, q), TE_RT_INVALID_ARGUMENT, "input");
  EXPECT_FAILS(context, forward(s, q), TE_RT_INVALID_ARGUMENT,
               "input: found rank 0");
  EXPECT_FAILS(context, forward(x, nullptr), TE_RT_INVALID_ARGUMENT, "values");
  // grad_input is as wide as the input, so that values of [8, 10] do not fit.
  EXPECT_FAILS(context,
               te_rt_swiglu_backward_quantize(
                   context.get(), g, x, nullptr, nullptr, nullptr, nullptr, q,
                   s, nullptr, nullptr, nullptr, nullptr, 0, 0),
               TE_RT_INVALID_ARGUMENT,
               "values: found shape [8, 10], wanted [8, 20]");
}
} // namespace
