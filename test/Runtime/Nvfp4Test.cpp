//===- Nvfp4Test.cpp - NVFP4 casts against their definition ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Recipes.h"

using namespace te_test;

namespace {
/// Both directions of one call.
struct Both {
  Direction rowwise, columnwise;
  Tensor offsets;
  QuantizeCall call;
  Both(const Shape &shape, const Tensor &x, bool swizzled)
      : rowwise(shape, TE_RT_F4E2M1, swizzled, false),
        columnwise(shape, TE_RT_F4E2M1, swizzled, true),
        offsets(offsetsOf(shape.offsets)) {
    call.input = x;
    if (shape.groups())
      call.offsets = offsets;
    rowwise.addTo(call);
    columnwise.addTo(call);
  }
  std::vector<std::vector<unsigned char>> bytes() const {
    return {rowwise.values.bytes,    rowwise.scales.bytes,
            rowwise.amax.bytes,      columnwise.values.bytes,
            columnwise.scales.bytes, columnwise.amax.bytes};
  }
};
bool aligned(const Shape &shape) {
  for (int32_t offset : shape.offsets)
    if (offset % 128)
      return false;
  return true;
}

/// The random Hadamard transform of te-semantics 1.5, from H16 as Sylvester
/// builds it.
Tensor transformed(const Tensor &x, const Shape &shape) {
  static const int signs[16] = {1,  1,  1,  -1, 1,  -1, -1, -1,
                                -1, -1, -1, 1,  -1, 1,  -1, -1};
  float h[16][16] = {{1}};
  for (int n = 1; n < 16; n *= 2)
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) {
        h[i + n][j] = h[i][j + n] = h[i][j];
        h[i + n][j + n] = -h[i][j];
      }
  Tensor y = x;
  for (int64_t d = 0; d < shape.domains(); ++d)
    for (int64_t i0 = shape.begin(d); i0 < shape.end(d); i0 += 16)
      for (int64_t k = 0; k < 16 && i0 + k < shape.end(d); ++k)
        for (int64_t col = 0; col < shape.cols; ++col) {
          auto index = [&](int64_t row) {
            return (shape.member(d) * shape.rows + i0 + row) * shape.cols + col;
          };
          float sum = 0;
          for (int64_t j = 0; j < 16 && i0 + j < shape.end(d); ++j)
            sum += static_cast<float>(signs[j]) * x.get(index(j)) * h[j][k];
          y.set(index(k), sum * 0.25f);
        }
  return y;
}

class Nvfp4 : public ::testing::TestWithParam<Shape> {};

TEST_P(Nvfp4, BothDirectionsInBothLayouts) {
  Context context = makeContext();
  for (te_rt_dtype type : {TE_RT_BF16, TE_RT_F32})
    for (bool specials : {false, true})
      for (bool swizzled : {false, true})
        for (bool square : {false, true}) {
          if (swizzled && !aligned(GetParam()))
            continue;
          Tensor x = difficult(type, GetParam(), 1, specials);
          Both both(GetParam(), x, swizzled);
          both.call.square = square;
          EXPECT_OK(context, both.call.run(context));
          checkCast(both.rowwise, x, square);
          checkCast(both.columnwise, x, square);
        }
}

TEST_P(Nvfp4, HadamardOfTheColumnwiseCopy) {
  Context context = makeContext();
  Tensor x = difficult(TE_RT_BF16, GetParam(), 2, /*specials=*/false);
  Both both(GetParam(), x, false);
  both.call.hadamard = 1;
  EXPECT_OK(context, both.call.run(context));
  checkCast(both.rowwise, x);
  checkCast(both.columnwise, transformed(x, GetParam()));
}

TEST_P(Nvfp4, MemberByMemberIsTheSame) {
  const Shape &shape = GetParam();
  if (!shape.members && !shape.groups())
    return;
  Context context = makeContext(1), other = makeContext(3);
  Tensor x = difficult(TE_RT_BF16, shape, 2), rng(TE_RT_I64, {2});
  rng.as<int64_t>()[0] = 7, rng.as<int64_t>()[1] = 11;
  for (bool stochastic : {false, true}) {
    Both whole(shape, x, aligned(shape)), parts(shape, x, aligned(shape));
    for (Both *both : {&whole, &parts}) {
      both->call.hadamard = 1;
      if (stochastic)
        both->call.rng = rng;
    }
    EXPECT_OK(context, whole.call.run(context));
    for (parts.call.member = 0; parts.call.member < shape.domains();
         ++parts.call.member)
      EXPECT_OK(other, parts.call.run(other));
    EXPECT_TRUE(whole.bytes() == parts.bytes());
  }
}

TEST_P(Nvfp4, DequantizeInTwoSteps) {
  const Shape &shape = GetParam();
  Context context = makeContext();
  Tensor x = difficult(TE_RT_BF16, shape, 4);
  for (bool swizzled : {false, true}) {
    if (swizzled && !aligned(shape))
      continue;
    Both both(shape, x, swizzled);
    EXPECT_OK(context, both.call.run(context));
    for (te_rt_dtype type : {TE_RT_F32, TE_RT_BF16}) {
      Tensor back(type, shape.dims()), wanted(type, shape.dims());
      const Direction &out = both.rowwise;
      EXPECT_OK(context, te_rt_dequantize(context.get(), out.values, out.scales,
                                          out.amax, both.call.offsets, back));
      for (int64_t d = 0; d < shape.domains(); ++d) {
        float factor = out.amax.get(out.amax.t.rank ? d : 0) / 2688.0f;
        for (int64_t i = shape.begin(d); i < shape.end(d); ++i)
          for (int64_t j = 0; j < shape.cols; ++j)
            wanted.set((shape.member(d) * shape.rows + i) * shape.cols + j,
                       static_cast<float>(out.value(d, i, j)) * factor);
      }
      EXPECT_TRUE(back.bytes == wanted.bytes);
    }
  }
}

TEST_P(Nvfp4, NoopLeavesEveryByte) {
  Context context = makeContext();
  Tensor x = difficult(TE_RT_BF16, GetParam(), 5), noop = floats({}, {1});
  Both both(GetParam(), x, false), before(GetParam(), x, false);
  both.call.noop = noop;
  EXPECT_OK(context, both.call.run(context));
  EXPECT_TRUE(both.bytes() == before.bytes());
}

// Columns and, but for ragged rows, rows are even: a byte has two.
INSTANTIATE_TEST_SUITE_P(
    Shapes, Nvfp4,
    ::testing::Values(Shape{2, 2}, Shape{16, 16}, Shape{130, 66},
                      Shape{256, 258}, Shape{62, 34, 3}, Shape{128, 160, 2},
                      Shape{400, 70, 0, {0, 13, 13, 300, 389}},
                      Shape{100, 130, 0, {5, 16, 17, 99, 99}},
                      Shape{64, 32, 0, {0, 0, 0}},
                      Shape{640, 200, 0, {0, 128, 128, 512}},
                      Shape{600, 96, 0, {128, 384, 512}}));

/// One block of 16 beside an element that makes the amax of the tensor.
TEST(Nvfp4Scale, TensorAmaxOfEveryMagnitude) {
  Context context = makeContext();
  std::vector<float> amaxes = {0,       0x1p-149f, 0x1p-140f, 0x1p-127f,
                               FLT_MIN, 1e-30f,    1,         2688,
                               1e20f,   FLT_MAX,   INFINITY};
  for (float largest : amaxes)
    for (float part : {1.0f, 0.3f, 1e-3f, 1e-8f}) {
      Shape shape = {2, 32};
      Tensor x(TE_RT_F32, shape.dims());
      for (int64_t i = 0; i < x.size(); ++i)
        x.set(i, i % 32 < 16 ? 0.0f : largest * (part * (i % 16 - 8.0f) / 8));
      x.set(3, -largest);
      x.set(5, NAN);
      Both both(shape, x, false);
      EXPECT_OK(context, both.call.run(context));
      checkCast(both.rowwise, x);
      checkCast(both.columnwise, x);
      EXPECT_EQ(both.rowwise.amax.get(0), largest);
    }
}

/// A block that is its own codes: the amax of the tensor is 6 and of the block
/// too, so that the scale is 448 and the multiplier 1.
TEST(Nvfp4Rounding, MidpointsGoToTheEvenCodeAndPairsToNibbles) {
  Context context = makeContext();
  const std::vector<float> values = {0.25f, 0.75f,  1.25f, 1.75f, 2.5f,  3.5f,
                                     5.0f,  -0.25f, -0.0f, -5.0f, 0.26f, 0.74f,
                                     5.01f, 4.99f,  NAN,   6.0f};
  const std::vector<uint8_t> codes = {0, 2,  2, 4, 4, 6, 6, 8,
                                      8, 14, 1, 1, 7, 6, 7, 7};
  Shape shape = {2, 16};
  Tensor x(TE_RT_F32, shape.dims());
  for (int64_t i = 0; i < 32; ++i)
    x.set(i, values[i % 16]);
  Both both(shape, x, false);
  EXPECT_OK(context, both.call.run(context));
  EXPECT_EQ(both.rowwise.scales.bytes[0], 0x7e);
  for (int64_t i = 0; i < 16; ++i) {
    int byte = both.rowwise.values.bytes[i / 2];
    EXPECT_EQ(i % 2 ? byte >> 4 : byte & 15, codes[i]) << i;
  }
  checkCast(both.columnwise, x);
}

TEST(Nvfp4Lists, EqualTheirTensors) {
  Context context = makeContext();
  std::vector<Shape> shapes = {{2, 2}, {44, 256}, {70, 34, 3}, {256, 42}};
  std::vector<Tensor> inputs;
  std::vector<Direction> outs, outsT;
  List x, values, scales, valuesT, scalesT, amax, amaxT;
  for (const Shape &shape : shapes) {
    inputs.push_back(difficult(TE_RT_BF16, shape, 7));
    outs.emplace_back(shape, TE_RT_F4E2M1, true, false);
    outsT.emplace_back(shape, TE_RT_F4E2M1, true, true);
  }
  for (size_t i = 0; i < shapes.size(); ++i) {
    x.items.push_back(inputs[i].t);
    values.items.push_back(outs[i].values.t);
    scales.items.push_back(outs[i].scales.t);
    amax.items.push_back(outs[i].amax.t);
    valuesT.items.push_back(outsT[i].values.t);
    scalesT.items.push_back(outsT[i].scales.t);
    amaxT.items.push_back(outsT[i].amax.t);
  }
  EXPECT_OK(context,
            te_rt_multi_cast_transpose(context.get(), x, List(), List(),
                                       nullptr, values, scales, valuesT,
                                       scalesT, List(), amax, amaxT, 0, 1, 0));
  for (size_t i = 0; i < shapes.size(); ++i) {
    checkCast(outs[i], inputs[i], true);
    checkCast(outsT[i], inputs[i], true);
  }
  EXPECT_FAILS(context,
               te_rt_multi_cast_transpose(
                   context.get(), x, List(), List(), nullptr, values, scales,
                   valuesT, scalesT, List(), amax, List(), 0, 1, 0),
               TE_RT_INVALID_ARGUMENT,
               "tensor_amax_t: found no tensor, wanted one for F4E2M1 values");
}

TEST(Nvfp4Refuses, WhatDoesNotFit) {
  Context context = makeContext();
  Shape shape = {64, 64};
  Tensor x = normal(TE_RT_BF16, shape.dims(), 1);
  Both both(shape, x, false);
  auto fails = [&](auto change, const char *text) {
    QuantizeCall call = both.call;
    change(call);
    EXPECT_FAILS(context, call.run(context), TE_RT_INVALID_ARGUMENT, text);
  };
  fails([](auto &c) { c.pow2 = 1; },
        "pow2_scales: found 1, wanted 0 for F8E4M3 scales");
  fails([](auto &c) { c.tensorAmax = nullptr; },
        "tensor_amax: found no tensor, wanted one for F4E2M1 values");
  Tensor two(TE_RT_F32, {2});
  fails([&](auto &c) { c.tensorAmaxT = two; },
        "tensor_amax_t: found shape [2], wanted []");
  fails([](auto &c) { c.values = c.scales = nullptr; },
        "tensor_amax: found a tensor, wanted none, as there is no values");
  Tensor f32(TE_RT_F32, shape.dims());
  fails(
      [&](auto &c) {
        c.input = f32;
        c.hadamard = 1;
      },
      "input: found F32, wanted BF16 for hadamard");
  fails(
      [&](auto &c) {
        c.hadamard = 1;
        c.valuesT = c.scalesT = c.tensorAmaxT = nullptr;
      },
      "hadamard: found 1, wanted 0 without F4E2M1 values_t");
  Tensor rng(TE_RT_I64, {3});
  fails([&](auto &c) { c.rng = rng; }, "rng: found shape [3], wanted [2]");
  Tensor e8m0(TE_RT_F8E8M0, {128, 4});
  fails([&](auto &c) { c.scales = e8m0.scales(TE_RT_COMPACT, 1, 32); },
        "scales: found F8E8M0, wanted F8E4M3");
  Tensor wide(TE_RT_F8E4M3, {128, 4});
  fails([&](auto &c) { c.scales = wide.scales(TE_RT_COMPACT, 1, 32); },
        "scales: found F8E4M3 of blocks of 1 x 32, wanted blocks of 1 x 16");
  Tensor odd = normal(TE_RT_BF16, {63, 64}, 1), oddT(TE_RT_F4E2M1, {64, 63});
  fails(
      [&](auto &c) {
        c.input = odd;
        c.valuesT = oddT;
      },
      "values_t: found F4E2M1 of shape [64, 63], wanted a last extent that is "
      "even");
}
} // namespace
