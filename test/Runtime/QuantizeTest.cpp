//===- QuantizeTest.cpp - casts against their definition ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cfloat>
#include <cmath>
#include <map>

using namespace te_test;

namespace {
/// The multiplier of a block by the rules of te-semantics 1.2.
float multiplier(float amax, float fp8Max, bool pow2, float epsilon,
                 float overflow) {
  amax = std::max(amax, epsilon);
  if (amax == 0 || std::isinf(amax))
    return 1;
  float s = fp8Max / amax;
  if (std::isinf(s))
    s = overflow;
  return pow2 ? std::ldexp(1.0f, std::ilogb(s)) : s;
}

/// A matrix to quantize: rows x cols, with NaN, infinities, zeros and extremes.
Tensor difficult(te_rt_dtype dtype, int64_t rows, int64_t cols) {
  Tensor x = normal(dtype, {rows, cols}, static_cast<unsigned>(rows + cols));
  for (int64_t i = 0; i < rows * cols; ++i) {
    if (i % 977 == 5)
      x.set(i, NAN);
    if (i % 3001 == 7)
      x.set(i, INFINITY);
    if (i / cols / 16 % 5 == 3)
      x.set(i, 0.0f);
    if (i / cols / 16 % 5 == 4)
      x.set(i, x.get(i) * (i % 2 ? 1e-38f : 1e-39f));
  }
  return x;
}

/// Where element (i, j) of the input lies in a direction's output, and its
/// scale.
struct Place {
  int64_t value, scale;
};

/// Checks that each block of the input, as `place` maps elements to scales, has
/// been quantized as its amax says.
template <typename PlaceOf>
void checkBlocks(const Tensor &x, int64_t cols, const Tensor &values,
                 const Tensor &scales, bool pow2, float epsilon,
                 const std::vector<int64_t> &rows, PlaceOf place) {
  te_rt_dtype type = values.t.dtype;
  std::map<int64_t, float> amax;
  for (int64_t i : rows)
    for (int64_t j = 0; j < cols; ++j) {
      float &block = amax[place(i, j).scale];
      float magnitude = std::fabs(x.get(i * cols + j));
      if (magnitude > block)
        block = magnitude;
    }
  float overflow = x.t.dtype == TE_RT_BF16 ? 0x1.FEp127f : FLT_MAX;
  for (int64_t i : rows)
    for (int64_t j = 0; j < cols; ++j) {
      Place p = place(i, j);
      float s = multiplier(amax[p.scale], te_rt::fp8Max(type), pow2, epsilon,
                           overflow);
      ASSERT_EQ(scales.get(p.scale), 1.0f / s) << i << ", " << j;
      float scaled = x.get(i * cols + j) * s;
      uint8_t wanted = type == TE_RT_F8E4M3
                           ? te_rt::encode<te_rt::E4M3>(scaled)
                           : te_rt::encode<te_rt::E5M2>(scaled);
      ASSERT_EQ(values.bytes[p.value], wanted) << i << ", " << j;
    }
}

std::vector<int64_t> allRows(int64_t rows) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < rows; ++i)
    all.push_back(i);
  return all;
}
int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }
int64_t blocks(int64_t a) { return (a + 127) / 128; }

struct Case {
  int64_t m, k;
  te_rt_dtype input, output;
  bool pow2;
  float epsilon;
};
class QuantizeBlocks : public ::testing::TestWithParam<Case> {};

TEST_P(QuantizeBlocks, Rows128GemmReady) {
  auto [m, k, in, out, pow2, epsilon] = GetParam();
  Context context = makeContext();
  Tensor x = difficult(in, m, k), q(out, {m, k}), qt(out, {k, m});
  Tensor s(TE_RT_F32, {blocks(k), up(m, 4)}),
      st(TE_RT_F32, {blocks(m), up(k, 4)});
  s.scales(TE_RT_GEMM_READY, 1, 128);
  st.scales(TE_RT_GEMM_READY, 1, 128);
  EXPECT_OK(context,
            te_rt_quantize(context.get(), x, nullptr, nullptr, nullptr, nullptr,
                           nullptr, q, s, qt, st, nullptr, nullptr, nullptr, -1,
                           pow2, 0, 0, 0, epsilon));
  int64_t rows = m, cols = k;
  checkBlocks(x, k, q, s, pow2, epsilon, allRows(m), [&](int64_t i, int64_t j) {
    return Place{i * cols + j, j / 128 * up(rows, 4) + i};
  });
  checkBlocks(x, k, qt, st, pow2, epsilon, allRows(m),
              [&](int64_t i, int64_t j) {
                return Place{j * rows + i, i / 128 * up(cols, 4) + j};
              });
}

TEST_P(QuantizeBlocks, Rows128Compact) {
  auto [m, k, in, out, pow2, epsilon] = GetParam();
  Context context = makeContext();
  Tensor x = difficult(in, m, k), q(out, {m, k}), qt(out, {m, k});
  Tensor s(TE_RT_F32, {m, blocks(k)}), st(TE_RT_F32, {blocks(m), k});
  s.scales(TE_RT_COMPACT, 1, 128);
  st.scales(TE_RT_COMPACT, 128, 1);
  EXPECT_OK(context,
            te_rt_quantize(context.get(), x, nullptr, nullptr, nullptr, nullptr,
                           nullptr, q, s, qt, st, nullptr, nullptr, nullptr, -1,
                           pow2, 0, 0, 0, epsilon));
  int64_t cols = k;
  checkBlocks(x, k, q, s, pow2, epsilon, allRows(m), [&](int64_t i, int64_t j) {
    return Place{i * cols + j, i * blocks(cols) + j / 128};
  });
  checkBlocks(x, k, qt, st, pow2, epsilon, allRows(m),
              [&](int64_t i, int64_t j) {
                return Place{i * cols + j, i / 128 * cols + j};
              });
}

TEST_P(QuantizeBlocks, Squares128) {
  auto [m, k, in, out, pow2, epsilon] = GetParam();
  Context context = makeContext();
  Tensor x = difficult(in, m, k), q(out, {m, k}), qt(out, {k, m});
  Tensor s(TE_RT_F32, {blocks(m), up(blocks(k), 4)});
  Tensor st(TE_RT_F32, {blocks(k), blocks(m)});
  s.scales(TE_RT_GEMM_READY, 128, 128);
  st.scales(TE_RT_COMPACT, 128, 128);
  EXPECT_OK(context,
            te_rt_quantize(context.get(), x, nullptr, nullptr, nullptr, nullptr,
                           nullptr, q, s, qt, st, nullptr, nullptr, nullptr, -1,
                           pow2, 0, 0, 0, epsilon));
  int64_t rows = m, cols = k;
  checkBlocks(x, k, q, s, pow2, epsilon, allRows(m), [&](int64_t i, int64_t j) {
    return Place{i * cols + j, i / 128 * up(blocks(cols), 4) + j / 128};
  });
  checkBlocks(x, k, qt, st, pow2, epsilon, allRows(m),
              [&](int64_t i, int64_t j) {
                return Place{j * rows + i, j / 128 * blocks(rows) + i / 128};
              });
}

TEST_P(QuantizeBlocks, WholeTensorAndAmax) {
  auto [m, k, in, out, pow2, epsilon] = GetParam();
  Context context = makeContext();
  Tensor x = normal(in, {m, k}, 3), q(out, {m, k}), qt(out, {k, m});
  x.set(0, NAN);
  Tensor s(TE_RT_F32, {}), st(TE_RT_F32, {}), amax(TE_RT_F32, {});
  s.scales(TE_RT_TENSOR);
  st.scales(TE_RT_TENSOR);
  EXPECT_OK(context,
            te_rt_quantize(context.get(), x, nullptr, nullptr, nullptr, nullptr,
                           nullptr, q, s, qt, st, amax, nullptr, nullptr, -1,
                           pow2, 0, 0, 0, epsilon));
  int64_t rows = m, cols = k;
  float largest = 0;
  for (int64_t i = 1; i < m * k; ++i)
    largest = std::max(largest, std::fabs(x.get(i)));
  EXPECT_EQ(amax.get(0), largest);
  checkBlocks(x, k, q, s, pow2, epsilon, allRows(m), [&](int64_t i, int64_t j) {
    return Place{i * cols + j, 0};
  });
  checkBlocks(x, k, qt, st, pow2, epsilon, allRows(m),
              [&](int64_t i, int64_t j) {
                return Place{j * rows + i, 0};
              });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, QuantizeBlocks,
    ::testing::Values(Case{1, 16, TE_RT_BF16, TE_RT_F8E4M3, true, 0},
                      Case{65, 96, TE_RT_F32, TE_RT_F8E5M2, false, 0},
                      Case{256, 256, TE_RT_BF16, TE_RT_F8E4M3, true, 1},
                      Case{993, 512, TE_RT_BF16, TE_RT_F8E5M2, true, 0},
                      Case{300, 1, TE_RT_F32, TE_RT_F8E4M3, false, 1},
                      Case{129, 643, TE_RT_F32, TE_RT_F8E4M3, true, 0}));

struct Ragged {
  int64_t capacity;
  std::vector<int32_t> offsets;
};
class QuantizeRagged : public ::testing::TestWithParam<Ragged> {};

TEST_P(QuantizeRagged, GridRestartsAtEachGroup) {
  const std::vector<int32_t> &starts = GetParam().offsets;
  const int64_t cols = 200, c = GetParam().capacity;
  int64_t groups = static_cast<int64_t>(starts.size()) - 1;
  Context context = makeContext();
  Tensor x = difficult(TE_RT_BF16, c, cols), offsets = offsetsOf(starts);
  int64_t grid = c / 128 + groups;
  Tensor q(TE_RT_F8E4M3, {c, cols}), qt(TE_RT_F8E4M3, {cols, c});
  Tensor s(TE_RT_F32, {c, 2}), st(TE_RT_F32, {grid, up(cols, 4)});
  s.scales(TE_RT_COMPACT, 1, 128);
  st.scales(TE_RT_GEMM_READY, 1, 128, static_cast<int32_t>(groups));
  auto run = [&](Tensor &v, Tensor &vs, Tensor &vt, Tensor &vts,
                 int64_t member) {
    return te_rt_quantize(context.get(), x, nullptr, nullptr, nullptr, offsets,
                          nullptr, v, vs, vt, vts, nullptr, nullptr, nullptr,
                          member, 1, 0, 0, 0, 0);
  };
  EXPECT_OK(context, run(q, s, qt, st, -1));
  for (int64_t g = 0; g < groups; ++g) {
    std::vector<int64_t> rows;
    for (int64_t i = starts[g]; i < starts[g + 1]; ++i)
      rows.push_back(i);
    checkBlocks(x, cols, q, s, true, 0, rows, [&](int64_t i, int64_t j) {
      return Place{i * cols + j, i * 2 + j / 128};
    });
    checkBlocks(x, cols, qt, st, true, 0, rows, [&](int64_t i, int64_t j) {
      int64_t block = starts[g] / 128 + g + (i - starts[g]) / 128;
      return Place{j * c + i, block * up(cols, 4) + j};
    });
  }
  // Rows of no group are not written.
  for (int64_t i = starts.back(); i < c; ++i)
    for (int64_t j = 0; j < cols; ++j) {
      EXPECT_EQ(q.bytes[i * cols + j], 0xCD);
      EXPECT_EQ(qt.bytes[j * c + i], 0xCD);
    }
  // Member by member is the same.
  Tensor q1(TE_RT_F8E4M3, {c, cols}), qt1(TE_RT_F8E4M3, {cols, c});
  Tensor s1(TE_RT_F32, {c, 2}), st1(TE_RT_F32, {grid, up(cols, 4)});
  s1.t.layout = s.t.layout, s1.t.block_rows = 1, s1.t.block_cols = 128;
  st1.scales(TE_RT_GEMM_READY, 1, 128, static_cast<int32_t>(groups));
  for (int64_t g = 0; g < groups; ++g)
    EXPECT_OK(context, run(q1, s1, qt1, st1, g));
  EXPECT_EQ(q.bytes, q1.bytes);
  EXPECT_EQ(qt.bytes, qt1.bytes);
  EXPECT_EQ(s.bytes, s1.bytes);
  EXPECT_EQ(st.bytes, st1.bytes);
}

TEST_P(QuantizeRagged, TensorScalesForEachGroup) {
  const std::vector<int32_t> &starts = GetParam().offsets;
  const int64_t cols = 64, c = GetParam().capacity;
  int64_t groups = static_cast<int64_t>(starts.size()) - 1;
  Context context = makeContext();
  Tensor x = normal(TE_RT_F32, {c, cols}, 1), offsets = offsetsOf(starts);
  Tensor q(TE_RT_F8E5M2, {c, cols}), qt(TE_RT_F8E5M2, {cols, c});
  Tensor s(TE_RT_F32, {groups}), st(TE_RT_F32, {groups});
  Tensor amax(TE_RT_F32, {groups});
  s.scales(TE_RT_TENSOR);
  st.scales(TE_RT_TENSOR);
  EXPECT_OK(context, te_rt_quantize(context.get(), x, nullptr, nullptr, nullptr,
                                    offsets, nullptr, q, s, qt, st, amax,
                                    nullptr, nullptr, -1, 0, 0, 0, 0, 0));
  for (int64_t g = 0; g < groups; ++g) {
    std::vector<int64_t> rows;
    float largest = 0;
    for (int64_t i = starts[g]; i < starts[g + 1]; ++i) {
      rows.push_back(i);
      for (int64_t j = 0; j < cols; ++j)
        largest = std::max(largest, std::fabs(x.get(i * cols + j)));
    }
    EXPECT_EQ(amax.get(g), largest);
    if (rows.empty()) {
      EXPECT_EQ(s.get(g), 1.0f);
    }
    checkBlocks(x, cols, q, s, false, 0, rows, [&](int64_t i, int64_t j) {
      return Place{i * cols + j, g};
    });
    checkBlocks(x, cols, qt, st, false, 0, rows, [&](int64_t i, int64_t j) {
      return Place{j * c + i, g};
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Groups, QuantizeRagged,
                         ::testing::Values(Ragged{400, {0, 130, 130, 300, 390}},
                                           Ragged{256, {0, 256}},
                                           Ragged{256, {0, 0, 0}},
                                           Ragged{300, {0, 16, 144, 272, 300}},
                                           Ragged{200, {10, 200, 200}}));
} // namespace
