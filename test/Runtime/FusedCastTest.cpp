//===- FusedCastTest.cpp - fused casts against the two calls they replace -===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cmath>

using namespace te_test;

namespace {
int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }
int64_t blocks(int64_t a) { return (a + 127) / 128; }

enum class Scheme { Block, BlockInPlace, Given, Current };
struct Case {
  Scheme scheme;
  te_rt_dtype type, output;
  bool rowwise, columnwise;
  std::vector<int32_t> counts; // of each group
};

/// What a cast of C x `cols` rows in `groups` groups writes, and its state.
struct Results {
  Tensor q, s, qt, st, amax, scale;
  bool rowwise, columnwise, given;

  Results(const Case &c, int64_t capacity, int64_t cols, int64_t groups)
      : q(c.output, {capacity, cols}), s(TE_RT_F32, {capacity, blocks(cols)}),
        qt(c.output, {cols, capacity}),
        st(TE_RT_F32, {capacity / 128 + groups, up(cols, 4)}),
        amax(normal(TE_RT_F32, {groups}, 9)),
        scale(floats({groups}, std::vector<float>(groups, 3.25f))),
        rowwise(c.rowwise), columnwise(c.columnwise),
        given(c.scheme == Scheme::Given) {
    int32_t e = static_cast<int32_t>(groups);
    if (c.scheme == Scheme::Block) {
      s.scales(TE_RT_COMPACT, 1, 128);
      st.scales(TE_RT_GEMM_READY, 1, 128, e);
    } else if (c.scheme == Scheme::BlockInPlace) {
      s = Tensor(TE_RT_F32, {blocks(cols), up(capacity, 4)});
      s.scales(TE_RT_GEMM_READY, 1, 128);
      qt = q;
      st = Tensor(TE_RT_F32, {capacity / 128 + groups, cols});
      st.scales(TE_RT_COMPACT, 128, 1, e);
    } else {
      for (Tensor *each : {&s, &st}) {
        *each = Tensor(TE_RT_F32, {groups});
        each->scales(TE_RT_TENSOR, 0, 0, e);
      }
    }
  }

  const te_rt_tensor *givenScale() const { return given ? &scale.t : nullptr; }
  const te_rt_tensor *of(const Tensor &tensor, bool is) const {
    return is ? &tensor.t : nullptr;
  }
  const te_rt_tensor *values() const { return of(q, rowwise); }
  const te_rt_tensor *scales() const { return of(s, rowwise); }
  const te_rt_tensor *valuesT() const { return of(qt, columnwise); }
  const te_rt_tensor *scalesT() const { return of(st, columnwise); }

  void expectSame(const Results &other) const {
    EXPECT_EQ(q.bytes, other.q.bytes);
    EXPECT_EQ(s.bytes, other.s.bytes);
    EXPECT_EQ(qt.bytes, other.qt.bytes);
    EXPECT_EQ(st.bytes, other.st.bytes);
    EXPECT_EQ(amax.bytes, other.amax.bytes);
  }
};

/// NaN, infinities, zeros and extremes among the rest.
Tensor difficult(te_rt_dtype dtype, std::vector<int64_t> shape) {
  Tensor x = normal(dtype, shape, 5);
  for (int64_t i = 0; i < x.size(); ++i) {
    if (i % 977 == 5)
      x.set(i, NAN);
    if (dtype != TE_RT_F8E4M3 && i % 3001 == 7)
      x.set(i, INFINITY);
    if (i / shape[1] % 7 == 3)
      x.set(i, 0.0f);
    if (i / shape[1] % 7 == 4)
      x.set(i, x.get(i) * (i % 2 ? 1e-38f : 1e-39f));
  }
  return x;
}

class FusedCast : public ::testing::TestWithParam<Case> {
protected:
  static constexpr int64_t cols = 200, alignment = 16, extra = 9;
  /// Groups of `counts` rows begin at multiples of the alignment.
  FusedCast() : counts(GetParam().counts) {
    starts.push_back(0);
    for (int32_t count : counts)
      starts.push_back(
          static_cast<int32_t>(up(starts.back() + count, alignment)));
    groups = static_cast<int64_t>(counts.size());
    capacity = starts.back() + extra;
  }
  std::vector<int32_t> counts, starts;
  int64_t groups, capacity;
  Context context = makeContext();
};

TEST_P(FusedCast, RequantizeIsBoth) {
  const Case &c = GetParam();
  Tensor offsets = offsetsOf(starts);
  Tensor in = difficult(TE_RT_F8E4M3, {capacity, cols});
  Tensor scales = normal(TE_RT_F32, {capacity, blocks(cols)}, 6, 0.01f);
  scales.scales(TE_RT_COMPACT, 1, 128);
  scales.set(3, 0.0f);
  Tensor rows(c.type, {capacity, cols});
  Results wanted(c, capacity, cols, groups), found = wanted;
  EXPECT_OK(context, te_rt_dequantize(context.get(), in, scales, nullptr,
                                      offsets, rows));
  EXPECT_OK(context, te_rt_quantize(
                         context.get(), rows, wanted.givenScale(), wanted.amax,
                         nullptr, offsets, nullptr, wanted.values(),
                         wanted.scales(), wanted.valuesT(), wanted.scalesT(),
                         wanted.amax, nullptr, nullptr, -1, 1, 0, 0, 0, 1e-6));
  EXPECT_OK(context,
            te_rt_requantize(context.get(), in, scales, found.givenScale(),
                             found.amax, offsets, found.values(),
                             found.scales(), found.valuesT(), found.scalesT(),
                             found.amax, c.type, 1, 1e-6));
  found.expectSame(wanted);
}

TEST_P(FusedCast, PermuteQuantizeIsBoth) {
  const Case &c = GetParam();
  // Two slots a token, some of which lead nowhere.
  std::vector<int32_t> map;
  for (size_t g = 0; g < counts.size(); ++g)
    for (int32_t i = 0; i < counts[g]; ++i) {
      map.push_back(starts[g] + i);
      if (map.size() % 2 == 0 && i % 3 == 0)
        map.insert(map.end(), {-1, -1});
    }
  map.resize(up(static_cast<int64_t>(map.size()), 2), -1);
  int64_t tokens = static_cast<int64_t>(map.size()) / 2;
  Tensor rowMap = integers({tokens, 2}, map), offsets = offsetsOf(starts);
  Tensor number = integers({groups}, counts);
  Tensor x = difficult(c.type, {tokens, cols});
  Tensor probs = normal(TE_RT_F32, {tokens, 2}, 7);
  Tensor rows(c.type, {capacity, cols}), wantedProbs(TE_RT_F32, {capacity});
  Tensor foundProbs = wantedProbs;
  Results wanted(c, capacity, cols, groups), found = wanted;
  EXPECT_OK(context,
            te_rt_permute(context.get(), x, nullptr, probs, rowMap, number,
                          offsets, rows, nullptr, wantedProbs));
  EXPECT_OK(context, te_rt_quantize(
                         context.get(), rows, wanted.givenScale(), wanted.amax,
                         nullptr, offsets, nullptr, wanted.values(),
                         wanted.scales(), wanted.valuesT(), wanted.scalesT(),
                         wanted.amax, nullptr, nullptr, -1, 0, 0, 0, 0, 0));
  auto run = [&](Results &r, const te_rt_tensor *given,
                 const te_rt_tensor *moved) {
    return te_rt_permute_quantize(context.get(), x, given, rowMap,
                                  r.givenScale(), r.amax, offsets, number,
                                  r.values(), r.scales(), r.valuesT(),
                                  r.scalesT(), r.amax, moved, 0, 0);
  };
  // What an earlier call left in the scratch does not show.
  Results first(c, capacity, cols, groups);
  EXPECT_OK(context,
            te_rt_requantize(
                context.get(), Tensor(TE_RT_F8E5M2, {capacity, cols}),
                floats({}, {NAN}).scales(TE_RT_TENSOR), nullptr, nullptr,
                nullptr, first.q, Tensor(TE_RT_F32, {}).scales(TE_RT_TENSOR),
                nullptr, nullptr, nullptr, TE_RT_F32, 0, 0));
  EXPECT_OK(context, run(found, probs, foundProbs));
  found.expectSame(wanted);
  EXPECT_EQ(foundProbs.bytes, wantedProbs.bytes);
  Results without(c, capacity, cols, groups);
  EXPECT_OK(context, run(without, nullptr, nullptr));
  without.expectSame(wanted);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (Scheme scheme :
       {Scheme::Block, Scheme::BlockInPlace, Scheme::Given, Scheme::Current})
    for (te_rt_dtype type : {TE_RT_BF16, TE_RT_F32})
      for (int directions : {1, 2, 3}) {
        te_rt_dtype output = directions == 2 ? TE_RT_F8E5M2 : TE_RT_F8E4M3;
        for (const std::vector<int32_t> &counts :
             {std::vector<int32_t>{40, 0, 131}, {0, 0}, {256, 3, 0, 16}})
          all.push_back({scheme, type, output, (directions & 1) != 0,
                         (directions & 2) != 0, counts});
      }
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, FusedCast, ::testing::ValuesIn(cases()));

TEST(FusedCastChecks, NameWhatIsWrong) {
  Context context = makeContext();
  Tensor in(TE_RT_F8E4M3, {32, 128}), q(TE_RT_F8E4M3, {32, 128});
  Tensor s(TE_RT_F32, {32, 1}), offsets = offsetsOf({0, 16, 32});
  s.scales(TE_RT_COMPACT, 1, 128);
  auto requantize = [&](const Tensor &from, int64_t via) {
    return te_rt_requantize(context.get(), from, s, nullptr, nullptr, offsets,
                            q, s, nullptr, nullptr, nullptr, via, 0, 0);
  };
  Tensor bf16(TE_RT_BF16, {32, 128});
  EXPECT_FAILS(context, requantize(bf16, TE_RT_BF16), TE_RT_INVALID_ARGUMENT,
               "requantize: input: found BF16");
  EXPECT_FAILS(context, requantize(in, TE_RT_F16), TE_RT_INVALID_ARGUMENT,
               "via: found 2, wanted 0 to 1");

  Tensor map = integers({4, 1}, {0, 1, 16, 17}), counts = integers({2}, {2, 2});
  Tensor x = normal(TE_RT_BF16, {4, 128}, 1);
  auto permute = [&](const te_rt_tensor *values, const te_rt_tensor *number) {
    return te_rt_permute_quantize(context.get(), x, nullptr, map, nullptr,
                                  nullptr, offsets, number, values,
                                  values ? &s.t : nullptr, nullptr, nullptr,
                                  nullptr, nullptr, 0, 0);
  };
  EXPECT_FAILS(context, permute(nullptr, counts), TE_RT_INVALID_ARGUMENT,
               "permute_quantize: values, values_t: found no tensor");
  EXPECT_FAILS(context, permute(q, integers({3}, {2, 2, 0})),
               TE_RT_INVALID_ARGUMENT, "permute_quantize: counts: found");
  map.as<int32_t>()[1] = 32;
  EXPECT_FAILS(context, permute(q, counts), TE_RT_INVALID_ARGUMENT,
               "row_map[1]: found 32");
}
} // namespace
