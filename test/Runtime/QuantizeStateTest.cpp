//===- QuantizeStateTest.cpp - scales kept, flags, packs, refusals --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cfloat>
#include <cmath>

using namespace te_test;

namespace {
/// Arguments of one quantize with 1 x 128 or TENSOR scales both ways.
struct Both {
  Tensor q, s, qt, st;
  Both(int64_t m, int64_t k)
      : q(TE_RT_F8E4M3, {m, k}), s(TE_RT_F32, {}), qt(TE_RT_F8E4M3, {k, m}),
        st(TE_RT_F32, {}) {
    s.scales(TE_RT_TENSOR);
    st.scales(TE_RT_TENSOR);
  }
};

TEST(Quantize, DelayedUsesTheScaleGivenAndRaisesAmax) {
  Context context = makeContext();
  Tensor x = floats({1, 4}, {1.0f, -3.0f, 1000.0f, NAN});
  Both out(1, 4);
  Tensor scale = floats({}, {2.0f}), amax = floats({}, {1500.0f});
  EXPECT_OK(context,
            te_rt_quantize(context.get(), x, scale, amax, nullptr, nullptr,
                           nullptr, out.q, out.s, out.qt, out.st, amax, nullptr,
                           nullptr, -1, 0, 0, 0, 0, 0));
  EXPECT_EQ(out.q.get(0), 2.0f);
  EXPECT_EQ(out.q.get(1), -6.0f);
  EXPECT_EQ(out.q.get(2), 448.0f);
  EXPECT_TRUE(std::isnan(out.q.get(3)));
  EXPECT_EQ(out.q.bytes, out.qt.bytes);
  EXPECT_EQ(out.s.get(0), 0.5f);
  EXPECT_EQ(out.st.get(0), 0.5f);
  EXPECT_EQ(amax.get(0), 1500.0f);
  Tensor fresh(TE_RT_F32, {});
  EXPECT_OK(context,
            te_rt_quantize(context.get(), x, scale, nullptr, nullptr, nullptr,
                           nullptr, out.q, out.s, nullptr, nullptr, fresh,
                           nullptr, nullptr, -1, 0, 0, 0, 0, 0));
  EXPECT_EQ(fresh.get(0), 1000.0f);
}

// Each member of a group has its own state: one value for all is refused.
TEST(Quantize, StateOfAGroupIsAVector) {
  Context context = makeContext();
  Tensor x = normal(TE_RT_BF16, {2, 4, 16}, 1);
  Tensor q(TE_RT_F8E4M3, {2, 4, 16}), s(TE_RT_F32, {2});
  s.scales(TE_RT_TENSOR);
  Tensor one = floats({}, {2.0f}), two = floats({2}, {2.0f, 4.0f});
  auto quantize = [&](Tensor &scale) {
    return te_rt_quantize(context.get(), x, scale, nullptr, nullptr, nullptr,
                          nullptr, q, s, nullptr, nullptr, nullptr, nullptr,
                          nullptr, -1, 0, 0, 0, 0, 0);
  };
  EXPECT_EQ(quantize(one), TE_RT_INVALID_ARGUMENT);
  EXPECT_STREQ(te_rt_last_error(context.get()),
               "quantize: scale: found shape [], wanted [2]");
  EXPECT_OK(context, quantize(two));
  EXPECT_EQ(s.get(1), 0.25f);
}

TEST(Quantize, NoopWritesNothing) {
  Context context = makeContext();
  Tensor x = normal(TE_RT_BF16, {8, 8}, 1), noop = floats({}, {1.0f});
  Both out(8, 8);
  Tensor amax(TE_RT_F32, {});
  Both before = out;
  EXPECT_OK(context,
            te_rt_quantize(context.get(), x, nullptr, nullptr, noop, nullptr,
                           nullptr, out.q, out.s, out.qt, out.st, amax, nullptr,
                           nullptr, -1, 0, 0, 0, 0, 0));
  EXPECT_EQ(out.q.bytes, before.q.bytes);
  EXPECT_EQ(out.st.bytes, before.st.bytes);
  EXPECT_EQ(amax.bytes[0], 0xCD);
  noop.set(0, 0.0f);
  EXPECT_OK(context,
            te_rt_quantize(context.get(), x, nullptr, nullptr, noop, nullptr,
                           nullptr, out.q, out.s, out.qt, out.st, amax, nullptr,
                           nullptr, -1, 0, 0, 0, 0, 0));
  EXPECT_NE(out.q.bytes, before.q.bytes);
}

TEST(Quantize, PackedAndMultiEqualOneByOne) {
  const int64_t e = 3, m = 130, k = 96;
  Context context = makeContext();
  Tensor packed = normal(TE_RT_BF16, {e, m, k}, 5);
  Tensor q(TE_RT_F8E4M3, {e, m, k}), qt(TE_RT_F8E4M3, {e, k, m});
  Tensor s(TE_RT_F32, {e, 1, m + 2}), st(TE_RT_F32, {e, 2, k});
  s.scales(TE_RT_GEMM_READY, 1, 128);
  st.scales(TE_RT_GEMM_READY, 1, 128);
  EXPECT_OK(context,
            te_rt_quantize(context.get(), packed, nullptr, nullptr, nullptr,
                           nullptr, nullptr, q, s, qt, st, nullptr, nullptr,
                           nullptr, -1, 1, 0, 0, 0, 0));
  std::vector<Tensor> xs, qs, ss, qts, sts;
  for (int64_t i = 0; i < e; ++i) {
    xs.emplace_back(TE_RT_BF16, std::vector<int64_t>{m, k});
    std::copy_n(packed.bytes.begin() + i * m * k * 2, m * k * 2,
                xs.back().bytes.begin());
    qs.emplace_back(TE_RT_F8E4M3, std::vector<int64_t>{m, k});
    qts.emplace_back(TE_RT_F8E4M3, std::vector<int64_t>{k, m});
    ss.emplace_back(TE_RT_F32, std::vector<int64_t>{1, m + 2});
    sts.emplace_back(TE_RT_F32, std::vector<int64_t>{2, k});
    ss.back().scales(TE_RT_GEMM_READY, 1, 128);
    sts.back().scales(TE_RT_GEMM_READY, 1, 128);
  }
  EXPECT_OK(context, te_rt_multi_cast_transpose(
                         context.get(), List(xs), List(), List(), nullptr,
                         List(qs), List(ss), List(qts), List(sts), List(),
                         List(), List(), 1, 0, 0));
  auto joined = [](const std::vector<Tensor> &parts) {
    std::vector<unsigned char> bytes;
    for (const Tensor &part : parts)
      bytes.insert(bytes.end(), part.bytes.begin(), part.bytes.end());
    return bytes;
  };
  EXPECT_EQ(joined(qs), q.bytes);
  EXPECT_EQ(joined(qts), qt.bytes);
  EXPECT_EQ(joined(ss), s.bytes);
  EXPECT_EQ(joined(sts), st.bytes);
}

TEST(Quantize, ThreadsChangeNothing) {
  Tensor x = normal(TE_RT_F32, {700, 300}, 9);
  std::vector<unsigned char> first;
  for (int32_t threads : {1, 2, 7}) {
    Context context = makeContext(threads);
    Both out(700, 300);
    EXPECT_OK(context,
              te_rt_quantize(context.get(), x, nullptr, nullptr, nullptr,
                             nullptr, nullptr, out.q, out.s, out.qt, out.st,
                             nullptr, nullptr, nullptr, -1, 0, 0, 0, 0, 0));
    if (first.empty())
      first = out.qt.bytes;
    EXPECT_EQ(out.qt.bytes, first);
  }
}

TEST(Quantize, DequantizeIsValueTimesScaleRoundedOnce) {
  const int64_t m = 150, k = 260;
  Context context = makeContext();
  Tensor q = normal(TE_RT_F8E4M3, {m, k}, 2, 100.0f);
  Tensor s = normal(TE_RT_F32, {3, 152}, 3), exact(TE_RT_F32, {m, k});
  Tensor rounded(TE_RT_BF16, {m, k});
  s.scales(TE_RT_GEMM_READY, 1, 128);
  EXPECT_OK(context,
            te_rt_dequantize(context.get(), q, s, nullptr, nullptr, exact));
  EXPECT_OK(context,
            te_rt_dequantize(context.get(), q, s, nullptr, nullptr, rounded));
  for (int64_t i = 0; i < m * k; ++i) {
    float wanted = q.get(i) * s.get(i % k / 128 * 152 + i / k);
    ASSERT_EQ(exact.get(i), wanted);
    te_rt::BFloat16 half;
    te_rt::fromFloat(wanted, half);
    ASSERT_EQ(rounded.get(i), te_rt::toFloat(half));
  }
}

TEST(Quantize, DequantizeOfGroupsLeavesOtherRows) {
  Context context = makeContext();
  Tensor q = normal(TE_RT_F8E5M2, {6, 2}, 2), out(TE_RT_F32, {6, 2});
  Tensor s = floats({2}, {2.0f, 3.0f}), offsets = offsetsOf({1, 3, 5});
  s.scales(TE_RT_TENSOR, 0, 0, 2);
  Tensor before = out;
  EXPECT_OK(context,
            te_rt_dequantize(context.get(), q, s, nullptr, offsets, out));
  for (int64_t i = 0; i < 12; ++i) {
    int64_t row = i / 2;
    if (row >= 1 && row < 5)
      EXPECT_EQ(out.get(i), q.get(i) * (row < 3 ? 2.0f : 3.0f));
    else
      EXPECT_EQ(out.bytes[i * 4], before.bytes[i * 4]);
  }
}

TEST(Quantize, RefusesWhatDoesNotFit) {
  Context context = makeContext();
  Tensor x = normal(TE_RT_BF16, {8, 256}, 1);
  Both out(8, 256);
  Tensor s(TE_RT_F32, {8, 3});
  s.scales(TE_RT_COMPACT, 1, 128);
  auto run = [&](const te_rt_tensor *scale, const te_rt_tensor *offsets,
                 const te_rt_tensor *values, const te_rt_tensor *scales) {
    return te_rt_quantize(context.get(), x, scale, nullptr, nullptr, offsets,
                          nullptr, values, scales, nullptr, nullptr, nullptr,
                          nullptr, nullptr, -1, 0, 0, 0, 0, 0);
  };
  EXPECT_FAILS(context, run(nullptr, nullptr, out.q, s), TE_RT_INVALID_ARGUMENT,
               "scales: found shape [8, 3], wanted [8, 2]");
  EXPECT_FAILS(context, run(nullptr, nullptr, out.q, nullptr),
               TE_RT_INVALID_ARGUMENT, "scales: found no tensor");
  EXPECT_FAILS(context, run(nullptr, nullptr, x, out.s), TE_RT_INVALID_ARGUMENT,
               "values: found BF16, wanted F8E4M3 or F8E5M2");
  Tensor fit(TE_RT_F32, {8, 2}), scale = floats({}, {1.0f});
  fit.scales(TE_RT_COMPACT, 1, 128);
  EXPECT_FAILS(context, run(scale, nullptr, out.q, fit), TE_RT_INVALID_ARGUMENT,
               "scales: found scales of blocks, wanted TENSOR scales");
  for (auto bad : {std::vector<int32_t>{0, 9}, {0, 5, 3}, {-1, 8}}) {
    Tensor offsets = offsetsOf(bad);
    EXPECT_FAILS(context, run(nullptr, offsets, out.q, out.s),
                 TE_RT_INVALID_ARGUMENT, "wanted ascending values from 0 to 8");
  }
  Tensor grouped = fit, offsets = offsetsOf({0, 8});
  grouped.t.groups = 1;
  EXPECT_FAILS(context, run(nullptr, offsets, out.q, grouped),
               TE_RT_INVALID_ARGUMENT, "scales.groups: found 1, wanted 0");
}

/// One slot's next history and scale.
struct Next {
  std::vector<float> history;
  float scale;
};
Next update(float amax, std::vector<float> history, float scale,
            bool mostRecent = false, int64_t margin = 0) {
  Context context = makeContext();
  Tensor a = floats({}, {amax}), s = floats({}, {scale});
  Tensor h = floats({static_cast<int64_t>(history.size())}, history);
  Tensor before = h, apart = h;
  Tensor sOut(TE_RT_F32, {});
  EXPECT_OK(context, te_rt_update_scales(context.get(), List{a}, List{h},
                                         List{s}, List{apart}, List{sOut}, 448,
                                         margin, mostRecent));
  EXPECT_EQ(h.bytes, before.bytes);
  EXPECT_OK(context,
            te_rt_update_scales(context.get(), List{a}, List{h}, List{s},
                                List{h}, List{s}, 448, margin, mostRecent));
  EXPECT_EQ(h.bytes, apart.bytes); // in place is the same
  EXPECT_EQ(s.bytes, sOut.bytes);
  return {std::vector<float>(h.as<float>(), h.as<float>() + h.size()),
          s.get(0)};
}

TEST(UpdateScales, Rules) {
  using V = std::vector<float>;
  Next next = update(2, {9, 8, 4, 1}, 5);
  EXPECT_EQ(next.history, (V{0, 4, 1, 2}));
  EXPECT_EQ(next.scale, 448.0f / 8.0f);
  next = update(2, {9, 8, 4, 1}, 5, /*mostRecent=*/true);
  EXPECT_EQ(next.history, (V{0, 4, 1, 2}));
  EXPECT_EQ(next.scale, 224.0f);
  next = update(2, {9, 8, 4, 1}, 5, /*mostRecent=*/true, /*margin=*/3);
  EXPECT_EQ(next.scale, 28.0f);
  next = update(0, {9, 8, 4, 1}, 5); // nothing seen: nothing changes
  EXPECT_EQ(next.history, (V{9, 8, 4, 1}));
  EXPECT_EQ(next.scale, 5.0f);
  next = update(INFINITY, {9, 8}, 5);
  EXPECT_EQ(next.history, (V{0, INFINITY}));
  EXPECT_EQ(next.scale, 5.0f);
  next = update(NAN, {9, 8, 3}, 5); // dropped from the maximum, kept in history
  EXPECT_EQ(next.scale, 56.0f);
  EXPECT_EQ(next.history[1], 3.0f);
  EXPECT_TRUE(std::isnan(next.history[2]));
  next = update(NAN, {9, 8, 3}, 5, /*mostRecent=*/true);
  EXPECT_EQ(next.scale, 5.0f);
  next = update(4, {7}, 5);
  EXPECT_EQ(next.history, (V{0}));
  EXPECT_EQ(next.scale, 112.0f);
  next = update(1e-40f, {0, 0}, 5);
  EXPECT_EQ(next.scale, FLT_MAX);
}

TEST(UpdateScales, GroupsOfSlots) {
  Context context = makeContext();
  Tensor amax = floats({2}, {2, 0}), scale = floats({2}, {1, 3});
  Tensor history = floats({2, 2}, {0, 4, 0, 8});
  EXPECT_OK(context, te_rt_update_scales(
                         context.get(), List{amax}, List{history}, List{scale},
                         List{history}, List{scale}, 448, 0, 0));
  EXPECT_EQ(scale.get(0), 112.0f);
  EXPECT_EQ(scale.get(1), 3.0f);
  EXPECT_EQ(history.get(1), 2.0f);
  EXPECT_EQ(history.get(3), 8.0f);
  Tensor bad = floats({1, 2}, {0, 4});
  EXPECT_FAILS(
      context,
      te_rt_update_scales(context.get(), List{amax}, List{bad}, List{scale},
                          List{bad}, List{scale}, 448, 0, 0),
      TE_RT_INVALID_ARGUMENT, "history[0]: found shape [1, 2], wanted [2, L]");
}

TEST(Amax, OfGroupsMembersAndPackedInputs) {
  Context context = makeContext(2);
  Tensor x = normal(TE_RT_BF16, {300, 24}, 3);
  x.set(5, -50);
  x.set(100 * 24, NAN);
  x.set(250 * 24 + 3, INFINITY);
  Tensor offsets = offsetsOf({0, 90, 90, 200, 260});
  Tensor amax(TE_RT_F32, {4}), one = floats({}, {-1});
  EXPECT_OK(context, te_rt_amax(context.get(), x, offsets, amax, -1));
  float third = 0;
  for (int64_t i = 90 * 24; i < 200 * 24; ++i)
    third = std::fmax(third, std::fabs(x.get(i)));
  EXPECT_EQ(amax.get(0), 50.0f);
  EXPECT_EQ(amax.get(1), 0.0f); // an empty group
  EXPECT_EQ(amax.get(2), third);
  EXPECT_EQ(amax.get(3), INFINITY);
  for (int64_t member : {0, 1, 2, 3}) {
    EXPECT_OK(context, te_rt_amax(context.get(), x, offsets, one, member));
    EXPECT_EQ(one.get(0), amax.get(member));
  }
  Tensor w = normal(TE_RT_F32, {2, 70, 3}, 4), each(TE_RT_F32, {2});
  w.set(211, 9);
  EXPECT_OK(context, te_rt_amax(context.get(), w, nullptr, each, -1));
  EXPECT_LT(each.get(0), 9.0f);
  EXPECT_EQ(each.get(1), 9.0f);

  EXPECT_FAILS(context, te_rt_amax(context.get(), x, offsets, one, -1),
               TE_RT_INVALID_ARGUMENT, "amax: found shape [], wanted [4]");
  EXPECT_FAILS(context, te_rt_amax(context.get(), x, offsets, one, 4),
               TE_RT_INVALID_ARGUMENT, "member: found 4");
  EXPECT_FAILS(context, te_rt_amax(context.get(), w, offsets, each, -1),
               TE_RT_INVALID_ARGUMENT, "offsets: found a tensor, wanted none");
}

TEST(ScaleFromAmax, Rules) {
  Context context = makeContext();
  Tensor amax = floats({7}, {0, INFINITY, NAN, 1e-40f, 3, 0.25f, 448});
  Tensor scale(TE_RT_F32, {7});
  auto found = [&](double epsilon, int64_t pow2) {
    EXPECT_OK(context, te_rt_scale_from_amax(context.get(), List{amax},
                                             List{scale}, 448, pow2, epsilon));
    return std::vector<float>(scale.as<float>(), scale.as<float>() + 7);
  };
  using V = std::vector<float>;
  EXPECT_EQ(found(0, 0), (V{1, 1, 1, FLT_MAX, 448.0f / 3, 1792, 1}));
  EXPECT_EQ(found(0, 1), (V{1, 1, 1, 0x1p127f, 128, 1024, 1}));
  EXPECT_EQ(found(1, 0), (V{448, 1, 1, 448, 448.0f / 3, 448, 1}));
  EXPECT_OK(context, te_rt_scale_from_amax(context.get(), List{amax},
                                           List{amax}, 448, 0, 1));
  EXPECT_EQ(amax.bytes, scale.bytes); // in place is the same
  EXPECT_FAILS(
      context,
      te_rt_scale_from_amax(context.get(), List{amax}, List{scale}, 0, 0, 0),
      TE_RT_INVALID_ARGUMENT, "fp8_max: found 0");
  EXPECT_FAILS(
      context,
      te_rt_scale_from_amax(context.get(), List{amax}, List{scale}, 448, 0, -1),
      TE_RT_INVALID_ARGUMENT, "epsilon: found -1");
}
} // namespace
