//===- RoutingTest.cpp - maps, and moves of rows --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

using namespace te_test;
using I = std::vector<int32_t>;

namespace {
TEST(RoutingMap, OrdersByExpertTokenSlot) {
  Context context = makeContext();
  Tensor indices = integers({4, 2}, {2, 0, 0, -1, 2, 2, -1, -1});
  Tensor map(TE_RT_I32, {4, 2}), counts(TE_RT_I32, {3});
  Tensor offsets(TE_RT_I32, {4});
  EXPECT_OK(context, te_rt_routing_map(context.get(), indices, map, counts,
                                       offsets, 4, 100));
  EXPECT_EQ(ints(counts), (I{2, 0, 3}));
  EXPECT_EQ(ints(offsets), (I{0, 4, 4, 8}));
  EXPECT_EQ(ints(map), (I{4, 0, 1, -1, 5, 6, -1, -1}));
  EXPECT_EQ(te_rt_take_overflow(context.get()), 0);
}

TEST(RoutingMap, DropsBeyondCapacityAndSaysSo) {
  Context context = makeContext();
  Tensor indices = integers({5, 1}, {0, 1, 0, 1, 0});
  Tensor map(TE_RT_I32, {5, 1}), counts(TE_RT_I32, {2});
  Tensor offsets(TE_RT_I32, {3});
  EXPECT_OK(context, te_rt_routing_map(context.get(), indices, map, counts,
                                       offsets, 1, 4));
  EXPECT_EQ(ints(map), (I{0, 3, 1, -1, 2}));
  EXPECT_EQ(ints(counts), (I{3, 1}));
  EXPECT_EQ(ints(offsets), (I{0, 3, 4}));
  EXPECT_EQ(te_rt_take_overflow(context.get()), 1);
  EXPECT_EQ(te_rt_take_overflow(context.get()), 0);
  EXPECT_OK(context, te_rt_routing_map(context.get(), indices, map, counts,
                                       offsets, 8, 4));
  EXPECT_EQ(ints(map), (I{0, -1, 1, -1, 2}));
  EXPECT_EQ(ints(offsets), (I{0, 4, 4}));
}

TEST(RoutingMap, RefusesExpertsThatAreNone) {
  Context context = makeContext();
  Tensor map(TE_RT_I32, {1, 2}), counts(TE_RT_I32, {2});
  for (int32_t bad : {2, -2, INT32_MAX, INT32_MIN}) {
    Tensor indices = integers({1, 2}, {0, bad});
    EXPECT_FAILS(
        context,
        te_rt_routing_map(context.get(), indices, map, counts, nullptr, 1, 4),
        TE_RT_INVALID_ARGUMENT, "indices[1]: found " + std::to_string(bad));
  }
}

TEST(Offsets, RoundEachCountUp) {
  Context context = makeContext();
  Tensor counts = integers({4}, {5, 0, 16, 1}), offsets(TE_RT_I32, {5});
  EXPECT_OK(context, te_rt_compute_offsets(context.get(), counts, offsets, 16));
  EXPECT_EQ(ints(offsets), (I{0, 16, 16, 32, 48}));
  Tensor host(TE_RT_I32, {5});
  EXPECT_FAILS(context, te_rt_to_host(context.get(), offsets, host),
               TE_RT_INVALID_ARGUMENT, "host memory");
  host.t.on_host = 1;
  EXPECT_OK(context, te_rt_to_host(context.get(), offsets, host));
  EXPECT_EQ(ints(host), ints(offsets));
  counts.set(0, -1);
  EXPECT_FAILS(context,
               te_rt_compute_offsets(context.get(), counts, offsets, 16),
               TE_RT_INVALID_ARGUMENT, "counts[0]: found -1");
}

TEST(Permute, MovesRowsScalesAndProbs) {
  Context context = makeContext();
  Tensor map = integers({3, 2}, {4, 0, -1, 1, 2, -1});
  Tensor x = normal(TE_RT_F8E4M3, {3, 300}, 1), out(TE_RT_F8E4M3, {5, 300});
  Tensor s = normal(TE_RT_F32, {3, 3}, 2), outS(TE_RT_F32, {3, 8});
  Tensor probs = normal(TE_RT_F32, {3, 2}, 3), outProbs(TE_RT_F32, {5});
  s.scales(TE_RT_COMPACT, 1, 128);
  outS.scales(TE_RT_GEMM_READY, 1, 128);
  Tensor before = out;
  EXPECT_OK(context, te_rt_permute(context.get(), x, s, probs, map, nullptr,
                                   nullptr, out, outS, outProbs));
  const int64_t source[5] = {1, 3, 4, -1, 0}; // pair of each row
  for (int64_t row = 0; row < 5; ++row)
    for (int64_t j = 0; j < 300; ++j) {
      int64_t pair = source[row];
      if (pair < 0) {
        EXPECT_EQ(out.bytes[row * 300 + j], before.bytes[row * 300 + j]);
        continue;
      }
      EXPECT_EQ(out.bytes[row * 300 + j], x.bytes[pair / 2 * 300 + j]);
      EXPECT_EQ(outS.get(j / 128 * 8 + row), s.get(pair / 2 * 3 + j / 128));
      EXPECT_EQ(outProbs.get(row), probs.get(pair));
    }
  map.set(0, 0);
  EXPECT_FAILS(context,
               te_rt_permute(context.get(), x, nullptr, nullptr, map, nullptr,
                             nullptr, out, nullptr, nullptr),
               TE_RT_INVALID_ARGUMENT, "row_map[1]: found 0 again");
  map.set(0, 5);
  EXPECT_FAILS(context,
               te_rt_permute(context.get(), x, nullptr, nullptr, map, nullptr,
                             nullptr, out, nullptr, nullptr),
               TE_RT_INVALID_ARGUMENT,
               "row_map[0]: found 5, wanted -1 or a row below 5");
}

TEST(Permute, PadsHoldZero) {
  Context context = makeContext();
  // Groups of 2, 0 and 3 rows, at 0, 4 and 8: rows 4 to 7 belong to a group
  // without tokens, rows 12 and 13 to none.
  Tensor map = integers({3, 2}, {8, 0, -1, 1, 10, 9});
  Tensor counts = integers({3}, {2, 0, 3}), offsets = offsetsOf({0, 4, 8, 12});
  const int64_t source[14] = {1,  3, -1, -1, -1, -1, -1,
                              -1, 0, 5,  4,  -1, -2, -2}; // pair, -1 zero
  for (te_rt_scale_layout layout : {TE_RT_COMPACT, TE_RT_GEMM_READY}) {
    bool ready = layout == TE_RT_GEMM_READY;
    Tensor x = normal(TE_RT_F8E4M3, {3, 300}, 1), out(TE_RT_F8E4M3, {14, 300});
    Tensor s = normal(TE_RT_F32, {3, 3}, 2);
    Tensor outS(TE_RT_F32, ready ? std::vector<int64_t>{3, 16}
                                 : std::vector<int64_t>{14, 3});
    Tensor probs = normal(TE_RT_F32, {3, 2}, 3), outProbs(TE_RT_F32, {14});
    s.scales(TE_RT_COMPACT, 1, 128);
    outS.scales(layout, 1, 128);
    Tensor before = out, beforeS = outS, beforeProbs = outProbs;
    EXPECT_OK(context, te_rt_permute(context.get(), x, s, probs, map, counts,
                                     offsets, out, outS, outProbs));
    for (int64_t row = 0; row < 14; ++row) {
      int64_t pair = source[row];
      for (int64_t j = 0; j < 300; ++j)
        EXPECT_EQ(out.bytes[row * 300 + j],
                  pair >= 0    ? x.bytes[pair / 2 * 300 + j]
                  : pair == -1 ? 0
                               : before.bytes[row * 300 + j]);
      for (int64_t j = 0; j < 3; ++j) {
        int64_t at = ready ? j * 16 + row : row * 3 + j;
        float wanted = pair >= 0 ? s.get(pair / 2 * 3 + j) : 0.0f;
        if (pair == -2)
          EXPECT_TRUE(std::equal(&outS.bytes[at * 4], &outS.bytes[at * 4] + 4,
                                 &beforeS.bytes[at * 4]));
        else
          EXPECT_EQ(outS.get(at), wanted);
      }
      if (pair == -2)
        EXPECT_EQ(outProbs.bytes[row * 4], beforeProbs.bytes[row * 4]);
      else
        EXPECT_EQ(outProbs.get(row), pair < 0 ? 0.0f : probs.get(pair));
    }
  }
}

TEST(Permute, RefusesPadsOutsideOfGroups) {
  Context context = makeContext();
  Tensor map = integers({1, 1}, {0}), x = normal(TE_RT_BF16, {1, 8}, 1);
  Tensor counts = integers({2}, {1, 0}), offsets = offsetsOf({0, 4, 8});
  Tensor out(TE_RT_BF16, {8, 8});
  auto run = [&](const te_rt_tensor *counts, const te_rt_tensor *offsets) {
    return te_rt_permute(context.get(), x, nullptr, nullptr, map, counts,
                         offsets, out, nullptr, nullptr);
  };
  EXPECT_OK(context, run(counts, offsets));
  EXPECT_FAILS(context, run(counts, nullptr), TE_RT_INVALID_ARGUMENT,
               "offsets: found no tensor, wanted one, as there is counts");
  EXPECT_FAILS(context, run(nullptr, offsets), TE_RT_INVALID_ARGUMENT,
               "counts: found no tensor, wanted one, as there is offsets");
  EXPECT_FAILS(context, run(integers({3}, {1, 0, 0}), offsets),
               TE_RT_INVALID_ARGUMENT, "counts: found shape [3], wanted [2]");
  EXPECT_FAILS(context, run(integers({2}, {5, 0}), offsets),
               TE_RT_INVALID_ARGUMENT,
               "counts[0]: found 5, wanted 0 to the 4 rows of its group");
  EXPECT_FAILS(context, run(integers({2}, {1, -1}), offsets),
               TE_RT_INVALID_ARGUMENT,
               "counts[1]: found -1, wanted 0 to the 4 rows of its group");
  EXPECT_FAILS(context, run(counts, offsetsOf({0, 4, 9})),
               TE_RT_INVALID_ARGUMENT,
               "offsets[1], [2]: found 4, 9, wanted ascending values from 0 to "
               "8");
  EXPECT_FAILS(context, run(counts, offsetsOf({0, 4, 3})),
               TE_RT_INVALID_ARGUMENT,
               "offsets[1], [2]: found 4, 3, wanted ascending values from 0 to "
               "8");
}

TEST(Unpermute, AddsFromTheHighestRowDown) {
  Context context = makeContext();
  // In F32 1e8 + 1 is 1e8: only the order (-1e8 + 1e8) + 1 gives 1.
  Tensor x = floats({3, 1}, {1.0f, 1e8f, -1e8f});
  Tensor map = integers({2, 3}, {0, 1, 2, -1, -1, -1});
  Tensor out(TE_RT_F32, {2, 1});
  Tensor probs = floats({3}, {5, 6, 7}), outProbs(TE_RT_F32, {2, 3});
  EXPECT_OK(context,
            te_rt_unpermute(context.get(), x, probs, map, out, outProbs));
  EXPECT_EQ(out.get(0), 1.0f);
  EXPECT_EQ(out.get(1), 0.0f);
  const float wanted[6] = {5, 6, 7, 0, 0, 0};
  for (int64_t i = 0; i < 6; ++i)
    EXPECT_EQ(outProbs.get(i), wanted[i]);
}

TEST(Permute, UnpermuteOfOneSlotIsTheInverse) {
  Context context = makeContext();
  const int64_t tokens = 50;
  std::mt19937 random(1);
  Tensor indices(TE_RT_I32, {tokens, 1});
  for (int64_t t = 0; t < tokens; ++t)
    indices.set(t, static_cast<float>(random() % 7));
  Tensor map(TE_RT_I32, {tokens, 1}), counts(TE_RT_I32, {7});
  EXPECT_OK(context, te_rt_routing_map(context.get(), indices, map, counts,
                                       nullptr, 16, 200));
  Tensor x = normal(TE_RT_BF16, {tokens, 40}, 4), moved(TE_RT_BF16, {200, 40});
  Tensor back(TE_RT_BF16, {tokens, 40});
  EXPECT_OK(context, te_rt_permute(context.get(), x, nullptr, nullptr, map,
                                   nullptr, nullptr, moved, nullptr, nullptr));
  EXPECT_OK(context,
            te_rt_unpermute(context.get(), moved, nullptr, map, back, nullptr));
  EXPECT_EQ(back.bytes, x.bytes);
}

TEST(Pad, AddsZerosAndUnpadDropsThem) {
  Context context = makeContext();
  Tensor from = offsetsOf({0, 3, 3, 20}), to = offsetsOf({0, 16, 32, 64});
  Tensor x = normal(TE_RT_BF16, {22, 5}, 1), padded(TE_RT_BF16, {70, 5});
  Tensor probs = normal(TE_RT_F32, {22}, 2), paddedProbs(TE_RT_F32, {70});
  EXPECT_OK(context,
            te_rt_pad(context.get(), x, probs, from, to, padded, paddedProbs));
  for (int64_t row = 0; row < 64; ++row) {
    int64_t source = row < 3 ? row : row >= 32 && row < 49 ? row - 29 : -1;
    EXPECT_EQ(paddedProbs.get(row), source < 0 ? 0.0f : probs.get(source));
    for (int64_t j = 0; j < 5; ++j)
      EXPECT_EQ(padded.get(row * 5 + j),
                source < 0 ? 0.0f : x.get(source * 5 + j));
  }
  EXPECT_EQ(padded.bytes[64 * 10], 0xCD);
  Tensor back(TE_RT_BF16, {22, 5}), backProbs(TE_RT_F32, {22});
  EXPECT_OK(context, te_rt_unpad(context.get(), padded, paddedProbs, to, from,
                                 back, backProbs));
  EXPECT_TRUE(
      std::equal(x.bytes.begin(), x.bytes.begin() + 200, back.bytes.begin()));
  EXPECT_TRUE(std::equal(probs.bytes.begin(), probs.bytes.begin() + 80,
                         backProbs.bytes.begin()));
  EXPECT_EQ(back.bytes[200], 0xCD);
  EXPECT_FAILS(
      context,
      te_rt_pad(context.get(), padded, paddedProbs, to, from, back, backProbs),
      TE_RT_INVALID_ARGUMENT, "wanted at least 16");
  EXPECT_FAILS(
      context,
      te_rt_unpad(context.get(), x, probs, from, to, padded, paddedProbs),
      TE_RT_INVALID_ARGUMENT, "wanted at most 3");
}
} // namespace
