//===- CommunicationTest.cpp - ranks that are threads ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <functional>
#include <thread>

using namespace te_test;

namespace {
/// Runs body(context, rank) on a thread for each rank.
void onRanks(int32_t ranks,
             const std::function<void(Context &, int32_t)> &body) {
  te_rt_communicator *world = nullptr;
  ASSERT_EQ(te_rt_communicator_create(ranks, &world), TE_RT_OK);
  std::vector<std::thread> threads;
  for (int32_t rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      Context context = makeContext(1, world, rank);
      body(context, rank);
    });
  for (std::thread &thread : threads)
    thread.join();
  te_rt_communicator_destroy(world);
}

constexpr int64_t kTokens = 13, kSlots = 3, kExperts = 4, kHidden = 24;

/// Experts of all ranks' tokens, -1 here and there.
Tensor indicesOf(int32_t rank, int32_t ranks) {
  std::mt19937 random(static_cast<unsigned>(rank + 1));
  Tensor indices(TE_RT_I32, {kTokens, kSlots});
  for (int64_t i = 0; i < kTokens * kSlots; ++i)
    indices.set(i,
                static_cast<float>(
                    static_cast<int>(random() % (ranks * kExperts + 1)) - 1));
  return indices;
}

class Ranks : public ::testing::TestWithParam<int32_t> {};

TEST_P(Ranks, DispatchFollowsTheMapAndCombineBringsSumsBack) {
  const int32_t ranks = GetParam();
  onRanks(ranks, [&](Context &context, int32_t rank) {
    Tensor indices = indicesOf(rank, ranks);
    Tensor handle(TE_RT_I32, {kTokens, ranks});
    Tensor received(TE_RT_I32, {ranks * kTokens, kSlots});
    EXPECT_OK(context, te_rt_dispatch_map(context.get(), indices, handle,
                                          received, ranks, kExperts));
    // What this rank receives, by source and token.
    std::vector<std::pair<int32_t, int64_t>> wanted;
    for (int32_t source = 0; source < ranks; ++source) {
      Tensor theirs = indicesOf(source, ranks);
      for (int64_t t = 0; t < kTokens; ++t) {
        bool goes = false;
        for (int64_t s = 0; s < kSlots; ++s) {
          int32_t expert = theirs.as<int32_t>()[t * kSlots + s];
          goes |= expert >= 0 && expert / kExperts == rank;
        }
        if (goes)
          wanted.push_back({source, t});
      }
    }
    for (size_t row = 0; row < static_cast<size_t>(ranks * kTokens); ++row)
      for (int64_t s = 0; s < kSlots; ++s) {
        int32_t expert = -1;
        if (row < wanted.size()) {
          Tensor theirs = indicesOf(wanted[row].first, ranks);
          int32_t global =
              theirs.as<int32_t>()[wanted[row].second * kSlots + s];
          if (global >= 0 && global / kExperts == rank)
            expert = global % kExperts;
        }
        EXPECT_EQ(received.as<int32_t>()[row * kSlots + s], expert);
      }

    auto rowsOf = [](int32_t source) {
      return normal(TE_RT_BF16, {kTokens, kHidden},
                    static_cast<unsigned>(100 + source));
    };
    Tensor x = rowsOf(rank), out(TE_RT_BF16, {ranks * kTokens, kHidden});
    Tensor tag(TE_RT_I32, {kTokens}), tags(TE_RT_I32, {ranks * kTokens});
    for (int64_t t = 0; t < kTokens; ++t)
      tag.set(t, static_cast<float>(rank * 1000 + t));
    EXPECT_OK(context, te_rt_dispatch(context.get(), handle, List{x, tag},
                                      List{out, tags}));
    for (size_t row = 0; row < wanted.size(); ++row) {
      auto [source, token] = wanted[row];
      EXPECT_EQ(tags.as<int32_t>()[row], source * 1000 + token);
      Tensor theirs = rowsOf(source);
      for (int64_t j = 0; j < kHidden; ++j)
        EXPECT_EQ(out.get(row * kHidden + j), theirs.get(token * kHidden + j));
    }
    if (wanted.size() < static_cast<size_t>(ranks * kTokens)) {
      EXPECT_EQ(out.bytes[wanted.size() * kHidden * 2], 0xCD);
    }

    // Each rank adds its number, so that the sum tells the ranks.
    Tensor worked(TE_RT_F32, {ranks * kTokens, kHidden});
    Tensor sum(TE_RT_F32, {kTokens, kHidden});
    for (int64_t i = 0; i < worked.size(); ++i)
      worked.set(i, i / kHidden < static_cast<int64_t>(wanted.size())
                        ? out.get(i) * static_cast<float>(rank + 1)
                        : NAN);
    EXPECT_OK(context,
              te_rt_combine(context.get(), handle, List{worked}, List{sum}));
    for (int64_t t = 0; t < kTokens; ++t)
      for (int64_t j = 0; j < kHidden; ++j) {
        float expected = 0;
        for (int32_t r = 0; r < ranks; ++r)
          if (handle.as<int32_t>()[t * ranks + r] >= 0)
            expected += x.get(t * kHidden + j) * static_cast<float>(r + 1);
        EXPECT_EQ(sum.get(t * kHidden + j), expected);
      }
  });
}

TEST_P(Ranks, AllReduceTakesTheLargestAndKeepsItsOwnForZero) {
  const int32_t ranks = GetParam();
  onRanks(ranks, [&](Context &context, int32_t rank) {
    const bool last = rank + 1 == ranks;
    // The largest; one that is NaN on rank 0; one NaN everywhere; one that is 0
    // but for a NaN or a negative number of this rank alone.
    Tensor one = floats({}, {last ? 7.0f : float(rank)});
    Tensor several =
        floats({4}, {rank == 0 ? NAN : 3.0f, NAN, rank == 0 ? NAN : 0.0f,
                     rank == 0 ? -2.0f : 0.0f});
    Tensor oneOut(TE_RT_F32, {}), out(TE_RT_F32, {4});
    EXPECT_OK(context, te_rt_all_reduce(context.get(), List{one, several},
                                        List{oneOut, out}));
    EXPECT_EQ(oneOut.get(0), 7.0f);
    if (ranks > 1)
      EXPECT_EQ(out.get(0), 3.0f);
    else
      EXPECT_TRUE(std::isnan(out.get(0)));
    EXPECT_TRUE(std::isnan(out.get(1)));
    EXPECT_EQ(std::isnan(out.get(2)), rank == 0);
    EXPECT_EQ(out.get(3), rank == 0 ? -2.0f : 0.0f);

    // In place, while others may still read.
    EXPECT_OK(context, te_rt_all_reduce(context.get(), List{several, one},
                                        List{several, one}));
    EXPECT_EQ(several.bytes, out.bytes);
    EXPECT_EQ(one.bytes, oneOut.bytes);
  });
}

INSTANTIATE_TEST_SUITE_P(OneToFour, Ranks, ::testing::Values(1, 2, 3, 4));

TEST(Communication, AloneNeedsNoCommunicator) {
  Context context = makeContext();
  Tensor indices = integers({2, 1}, {1, -1});
  Tensor handle(TE_RT_I32, {2, 1}), received(TE_RT_I32, {2, 1});
  EXPECT_OK(context,
            te_rt_dispatch_map(context.get(), indices, handle, received, 1, 2));
  EXPECT_EQ(ints(handle), (std::vector<int32_t>{0, -1}));
  EXPECT_EQ(ints(received), (std::vector<int32_t>{1, -1}));
  EXPECT_FAILS(
      context,
      te_rt_dispatch_map(context.get(), indices, handle, received, 2, 2),
      TE_RT_INVALID_ARGUMENT, "ranks: found 2, wanted 1");
  indices.set(0, 2);
  EXPECT_FAILS(
      context,
      te_rt_dispatch_map(context.get(), indices, handle, received, 1, 2),
      TE_RT_INVALID_ARGUMENT, "indices[0]: found 2");
  handle.set(0, 2);
  EXPECT_FAILS(context, te_rt_dispatch(context.get(), handle, List{}, List{}),
               TE_RT_INVALID_ARGUMENT, "handle[0]: found 2");
}

TEST(Communication, AbortEndsTheWaitOfOthers) {
  te_rt_communicator *world = nullptr;
  ASSERT_EQ(te_rt_communicator_create(2, &world), TE_RT_OK);
  std::thread waiting([&] {
    Context context = makeContext(1, world, 0);
    Tensor indices = integers({1, 1}, {0});
    Tensor handle(TE_RT_I32, {1, 2}), received(TE_RT_I32, {2, 1});
    EXPECT_FAILS(
        context,
        te_rt_dispatch_map(context.get(), indices, handle, received, 2, 1),
        TE_RT_INTERNAL, "abort");
  });
  te_rt_communicator_abort(world);
  waiting.join();
  te_rt_communicator_destroy(world);
}

TEST(Communication, AllReduceOfShapesThatDisagreeAllReturn) {
  onRanks(3, [](Context &context, int32_t rank) {
    Tensor a(TE_RT_F32, {rank == 2 ? 5 : 4});
    EXPECT_FAILS(context, te_rt_all_reduce(context.get(), List{a}, List{a}),
                 TE_RT_INVALID_ARGUMENT, "all_reduce of F32 [");
  });
}

TEST(Communication, AllReduceEndsWithAnAbort) {
  te_rt_communicator *world = nullptr;
  ASSERT_EQ(te_rt_communicator_create(2, &world), TE_RT_OK);
  std::thread waiting([&] {
    Context context = makeContext(1, world, 0);
    Tensor a = floats({}, {1}), out = floats({}, {5});
    EXPECT_FAILS(context, te_rt_all_reduce(context.get(), List{a}, List{out}),
                 TE_RT_INTERNAL, "abort");
    EXPECT_EQ(out.get(0), 5.0f);
  });
  te_rt_communicator_abort(world);
  waiting.join();
  te_rt_communicator_destroy(world);
}

TEST(Communication, AllReduceRefusesOtherShapesAndTypes) {
  Context context = makeContext();
  Tensor a = floats({2}, {1, 2}), b = floats({1}, {1});
  Tensor half(TE_RT_BF16, {2});
  EXPECT_FAILS(context, te_rt_all_reduce(context.get(), List{a}, List{b}),
               TE_RT_INVALID_ARGUMENT,
               "outputs[0]: found shape [1], wanted [2]");
  EXPECT_FAILS(context, te_rt_all_reduce(context.get(), List{half}, List{half}),
               TE_RT_INVALID_ARGUMENT, "inputs[0]: found BF16");
  EXPECT_FAILS(context, te_rt_all_reduce(context.get(), List{a, a}, List{a}),
               TE_RT_INVALID_ARGUMENT, "outputs: found 1 tensors");
}

TEST(Communication, RanksThatDisagreeAllReturn) {
  onRanks(2, [](Context &context, int32_t rank) {
    Tensor indices(TE_RT_I32, {1 + rank, 1});
    for (int64_t i = 0; i < indices.size(); ++i)
      indices.set(i, 0);
    Tensor handle(TE_RT_I32, {1 + rank, 2});
    Tensor received(TE_RT_I32, {2 * (1 + rank), 1});
    EXPECT_FAILS(
        context,
        te_rt_dispatch_map(context.get(), indices, handle, received, 2, 1),
        TE_RT_INVALID_ARGUMENT, "dispatch_map of [");
  });
}
} // namespace
