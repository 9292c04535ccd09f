//===- StochasticRoundingTest.cpp - FP4 by chance -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Recipes.h"

#include "ref/philox.h"

#include <array>

using namespace te_test;

namespace {
using Words = std::array<uint32_t, 4>;

/// Philox4x32-10 as its paper has it, on 64-bit products.
Words philox(Words counter, uint64_t seed) {
  uint32_t low = static_cast<uint32_t>(seed), high = seed >> 32;
  for (int round = 0; round < 10; ++round) {
    uint64_t first = 0xD2511F53ull * counter[0];
    uint64_t second = 0xCD9E8D57ull * counter[2];
    counter = {uint32_t(second >> 32) ^ counter[1] ^ low, uint32_t(second),
               uint32_t(first >> 32) ^ counter[3] ^ high, uint32_t(first)};
    low += 0x9E3779B9;
    high += 0xBB67AE85;
  }
  return counter;
}

TEST(Philox, KnownAnswers) {
  // From the Random123 distribution: counter, key, output.
  struct {
    Words counter;
    uint64_t seed;
    Words words;
  } known[] = {
      {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0u, ~0u, ~0u, ~0u},
       ~0ull,
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       0x299f31d0a4093822,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (const auto &each : known) {
    EXPECT_EQ(philox(each.counter, each.seed), each.words);
    const Words &c = each.counter;
    te_rt::ref::Philox stream(each.seed, uint64_t(c[3]) << 32 | c[2]);
    for (uint64_t i = 0; i < 4; ++i)
      EXPECT_EQ(stream.word(uint64_t(c[1]) << 32 | c[0], i), each.words[i]);
  }
}

constexpr uint64_t kSeed = 0x123456789abcdef0, kOffset = 0xfedcba9876543210;
constexpr int64_t kStream = 5;

/// What the contract says of element `index`.
uint8_t byChance(float value, int64_t index, bool columnwise) {
  uint64_t block =
      static_cast<uint64_t>(index) / 4 + (columnwise ? uint64_t(1) << 62 : 0);
  uint64_t high = kOffset + kStream;
  uint32_t word = philox({uint32_t(block), uint32_t(block >> 32),
                          uint32_t(high), uint32_t(high >> 32)},
                         kSeed)[index % 4];
  const std::vector<double> &table = magnitudesOf(TE_RT_F4E2M1);
  double magnitude = std::fabs(static_cast<double>(value));
  uint8_t code = 7;
  if (magnitude < 6) {
    code = 0;
    while (table[code + 1] <= magnitude)
      ++code;
    double part = (magnitude - table[code]) / (table[code + 1] - table[code]);
    code += static_cast<double>(word) < part * 4294967296.0;
  }
  return static_cast<uint8_t>(
      code | (std::signbit(value) && !std::isnan(value) ? 8 : 0));
}
uint8_t rowsByChance(te_rt_dtype, float value, int64_t index) {
  return byChance(value, index, false);
}
uint8_t columnsByChance(te_rt_dtype, float value, int64_t index) {
  return byChance(value, index, true);
}

TEST(StochasticRounding, EveryCodeAsTheContractSays) {
  Context context = makeContext();
  Tensor rng(TE_RT_I64, {2});
  rng.as<int64_t>()[0] = static_cast<int64_t>(kSeed);
  rng.as<int64_t>()[1] = static_cast<int64_t>(kOffset);
  for (const Shape &shape : {Shape{130, 66}, Shape{62, 34, 3},
                             Shape{400, 70, 0, {0, 13, 13, 300, 389}}})
    for (bool square : {false, true}) {
      Tensor x = difficult(TE_RT_F32, shape, 3);
      Tensor offsets = offsetsOf(shape.offsets);
      Direction row(shape, TE_RT_F4E2M1, false, false);
      Direction column(shape, TE_RT_F4E2M1, false, true);
      QuantizeCall call;
      call.input = x;
      call.rng = rng;
      call.stream = kStream;
      call.square = square;
      if (shape.groups())
        call.offsets = offsets;
      row.addTo(call);
      column.addTo(call);
      EXPECT_OK(context, call.run(context));
      checkCast(row, x, square, rowsByChance);
      checkCast(column, x, square, columnsByChance);
    }
}

/// One row of a value between codes, beside the 6 that makes the multiplier 1.
struct Draw {
  Context context = makeContext();
  Shape shape = {2, 16 * 1024};
  Tensor x{TE_RT_F32, shape.dims()}, rng{TE_RT_I64, {2}};
  Direction out{shape, TE_RT_F4E2M1, false, false};

  explicit Draw(float value) {
    for (int64_t i = 0; i < x.size(); ++i)
      x.set(i, i % 16 ? value : 6.0f);
  }
  /// The values drawn, without the sixes.
  std::vector<double> run(int64_t seed, int64_t offset, int64_t stream) {
    rng.as<int64_t>()[0] = seed;
    rng.as<int64_t>()[1] = offset;
    QuantizeCall call;
    call.input = x;
    call.rng = rng;
    call.stream = stream;
    out.addTo(call);
    EXPECT_OK(context, call.run(context));
    std::vector<double> drawn;
    for (int64_t i = 0; i < x.size(); ++i)
      if (i % 16)
        drawn.push_back(decoded(TE_RT_F4E2M1, codeAt(out.values, i)));
    return drawn;
  }
};

TEST(StochasticRounding, IsUnbiased) {
  for (float value :
       {0.1f, 0.25f, -0.6f, 1.3f, 1.999f, 2.2f, -3.5f, 4.1f, 5.9f}) {
    Draw draw(value);
    double sum = 0, count = 0, low = 10, high = -10;
    for (int64_t seed : {1, 2, 3, 4})
      for (double each : draw.run(seed, 9, 0)) {
        sum += each;
        count += 1;
        low = std::min(low, each);
        high = std::max(high, each);
      }
    // Only the two neighbours, and five deviations of the mean.
    EXPECT_LT(high - low, 2.01) << value;
    EXPECT_LT(low, value);
    EXPECT_GT(high, value);
    double p = (value - low) / (high - low);
    double deviation = (high - low) * std::sqrt(p * (1 - p) / count);
    EXPECT_NEAR(sum / count, value, 5 * deviation);
  }
}

TEST(StochasticRounding, DrawsDifferAndRepeat) {
  Draw draw(0.7f);
  auto first = draw.run(1, 2, 0);
  EXPECT_EQ(draw.run(1, 2, 0), first);
  EXPECT_NE(draw.run(2, 2, 0), first);
  EXPECT_NE(draw.run(1, 3, 0), first);
  EXPECT_EQ(draw.run(1, 1, 1), first);
  // A step of the state is a step of the stream.
  Tensor next(TE_RT_I64, {2});
  draw.run(1, 1, 0);
  EXPECT_OK(draw.context,
            te_rt_advance_rng(draw.context.get(), draw.rng, next, 1));
  EXPECT_EQ(draw.run(next.as<int64_t>()[0], next.as<int64_t>()[1], 0), first);
}

TEST(StochasticRounding, LeavesWhatIsACode) {
  for (float value : {0.0f, 0.5f, -1.0f, 3.0f, 6.0f})
    for (double each : Draw(value).run(3, 4, 0))
      EXPECT_EQ(each, value);
}

TEST(AdvanceRng, AddsToEachOffset) {
  Context context = makeContext();
  Tensor rng(TE_RT_I64, {3, 2}), next(TE_RT_I64, {3, 2});
  for (int64_t i = 0; i < 6; ++i)
    rng.as<int64_t>()[i] = i == 5 ? INT64_MAX : 10 * i;
  EXPECT_OK(context, te_rt_advance_rng(context.get(), rng, next, 3));
  for (int64_t i = 0; i < 5; ++i)
    EXPECT_EQ(next.as<int64_t>()[i], 10 * i + i % 2 * 3);
  EXPECT_EQ(next.as<int64_t>()[5], INT64_MIN + 2);
  EXPECT_OK(context, te_rt_advance_rng(context.get(), rng, rng, 3));
  EXPECT_EQ(rng.bytes, next.bytes);
  Tensor odd(TE_RT_I64, {3});
  EXPECT_FAILS(context, te_rt_advance_rng(context.get(), odd, odd, 1),
               TE_RT_INVALID_ARGUMENT,
               "rng: found shape [3], wanted [2] or [N, 2]");
}
} // namespace
