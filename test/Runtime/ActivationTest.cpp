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
} // namespace
