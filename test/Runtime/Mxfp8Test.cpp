//===- Mxfp8Test.cpp - MXFP8 casts against their definition ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Recipes.h"

using namespace te_test;

namespace {
struct Case {
  Shape shape;
  te_rt_dtype input = TE_RT_BF16, output = TE_RT_F8E4M3;
};
class Mxfp8 : public ::testing::TestWithParam<Case> {
protected:
  /// Both directions of one call.
  struct Both {
    Direction rowwise, columnwise;
    Tensor offsets;
    QuantizeCall call;
    Both(const Case &c, const Tensor &x, bool swizzled)
        : rowwise(c.shape, c.output, swizzled, false),
          columnwise(c.shape, c.output, swizzled, true),
          offsets(offsetsOf(c.shape.offsets)) {
      call.input = x;
      if (c.shape.groups())
        call.offsets = offsets;
      rowwise.addTo(call);
      columnwise.addTo(call);
    }
  };
  static bool aligned(const Shape &shape) {
    for (int32_t offset : shape.offsets)
      if (offset % 128)
        return false;
    return true;
  }
};

TEST_P(Mxfp8, BothDirectionsInBothLayouts) {
  Context context = makeContext();
  Tensor x = difficult(GetParam().input, GetParam().shape, 1);
  for (bool swizzled : {false, true})
    for (bool square : {false, true}) {
      if (swizzled && !aligned(GetParam().shape))
        continue;
      Both both(GetParam(), x, swizzled);
      both.call.square = square;
      EXPECT_OK(context, both.call.run(context));
      checkCast(both.rowwise, x, square);
      checkCast(both.columnwise, x, square);
    }
}

TEST_P(Mxfp8, MemberByMemberIsTheSame) {
  const Shape &shape = GetParam().shape;
  if (!shape.members && !shape.groups())
    return;
  Context context = makeContext();
  Tensor x = difficult(GetParam().input, shape, 2);
  Both whole(GetParam(), x, aligned(shape)),
      parts(GetParam(), x, aligned(shape));
  EXPECT_OK(context, whole.call.run(context));
  for (parts.call.member = 0; parts.call.member < shape.domains();
       ++parts.call.member)
    EXPECT_OK(context, parts.call.run(context));
  EXPECT_EQ(whole.rowwise.values.bytes, parts.rowwise.values.bytes);
  EXPECT_EQ(whole.rowwise.scales.bytes, parts.rowwise.scales.bytes);
  EXPECT_EQ(whole.columnwise.values.bytes, parts.columnwise.values.bytes);
  EXPECT_EQ(whole.columnwise.scales.bytes, parts.columnwise.scales.bytes);
}

TEST_P(Mxfp8, OneDirectionAloneIsTheSame) {
  Context context = makeContext();
  Tensor x = difficult(GetParam().input, GetParam().shape, 3);
  for (bool columnwise : {false, true}) {
    Both one(GetParam(), x, false);
    QuantizeCall call;
    call.input = x;
    call.offsets = one.call.offsets;
    Direction &out = columnwise ? one.columnwise : one.rowwise;
    out.addTo(call);
    EXPECT_OK(context, call.run(context));
    checkCast(out, x);
  }
}

TEST_P(Mxfp8, DequantizeOfBothDirections) {
  const Shape &shape = GetParam().shape;
  Context context = makeContext();
  Tensor x = difficult(GetParam().input, shape, 4);
  for (bool swizzled : {false, true}) {
    if (swizzled && !aligned(shape))
      continue;
    Both both(GetParam(), x, swizzled);
    EXPECT_OK(context, both.call.run(context));
    for (const Direction *out : {&both.rowwise, &both.columnwise})
      for (te_rt_dtype type : {TE_RT_F32, TE_RT_BF16}) {
        Tensor back(type, shape.dims()), wanted(type, shape.dims());
        EXPECT_OK(context,
                  te_rt_dequantize(context.get(), out->values, out->scales,
                                   nullptr, both.call.offsets, back));
        for (int64_t d = 0; d < shape.domains(); ++d)
          for (int64_t i = shape.begin(d); i < shape.end(d); ++i)
            for (int64_t j = 0; j < shape.cols; ++j)
              wanted.set((shape.member(d) * shape.rows + i) * shape.cols + j,
                         static_cast<float>(out->value(d, i, j)));
        for (int64_t i = 0; i < back.size(); ++i)
          ASSERT_TRUE(back.get(i) == wanted.get(i) ||
                      (std::isnan(back.get(i)) && std::isnan(wanted.get(i))))
              << i << ": " << back.get(i) << ", " << wanted.get(i);
      }
  }
}

TEST_P(Mxfp8, NoopLeavesEveryByte) {
  Context context = makeContext();
  Tensor x = difficult(GetParam().input, GetParam().shape, 5);
  Both both(GetParam(), x, false), before(GetParam(), x, false);
  Tensor noop = floats({}, {1});
  both.call.noop = noop;
  EXPECT_OK(context, both.call.run(context));
  EXPECT_EQ(both.rowwise.values.bytes, before.rowwise.values.bytes);
  EXPECT_EQ(both.rowwise.scales.bytes, before.rowwise.scales.bytes);
  EXPECT_EQ(both.columnwise.scales.bytes, before.columnwise.scales.bytes);
  noop.as<float>()[0] = 0;
  EXPECT_OK(context, both.call.run(context));
  checkCast(both.rowwise, x);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Mxfp8,
    ::testing::Values(
        Case{{1, 1}}, Case{{1, 32}}, Case{{65, 96}, TE_RT_F32, TE_RT_F8E5M2},
        Case{{131, 257}}, Case{{256, 256}, TE_RT_F32},
        Case{{64, 37, 3}, TE_RT_BF16, TE_RT_F8E5M2}, Case{{129, 160, 2}},
        Case{{400, 67, 0, {0, 13, 13, 300, 390}}},
        Case{{100, 130, 0, {5, 32, 33, 100, 100}}, TE_RT_F32},
        Case{{64, 32, 0, {0, 0, 0}}}, Case{{640, 200, 0, {0, 128, 128, 512}}},
        Case{{600, 96, 0, {128, 384, 512}}, TE_RT_F32, TE_RT_F8E5M2}));

/// One block of an amax; NaN and zeros beside it change nothing.
TEST(Mxfp8Scale, RoundsUpAtEveryBoundary) {
  std::vector<float> amaxes = {0, 0x1p-149f, 0x1p-126f, FLT_MIN, FLT_MAX};
  for (te_rt_dtype type : {TE_RT_F8E4M3, TE_RT_F8E5M2}) {
    float inverse = 1.0f / (type == TE_RT_F8E4M3 ? 448.0f : 57344.0f);
    // Around each amax whose scale is a power of two, and where the least
    // two codes meet.
    for (int e = -127; e <= 128; ++e) {
      double boundary = std::ldexp(1.0, e) / static_cast<double>(inverse);
      float near = static_cast<float>(boundary);
      if (!(near > 0) || !std::isfinite(near))
        continue;
      float below = near, above = near;
      for (int step = 0; step < 3; ++step) {
        amaxes.push_back(below);
        amaxes.push_back(above);
        below = std::nextafter(below, 0.0f);
        above = std::nextafter(above, INFINITY);
      }
    }
    amaxes.push_back(INFINITY);
    int64_t count = static_cast<int64_t>(amaxes.size());
    Context context = makeContext();
    Shape shape = {count, 32};
    Tensor x(TE_RT_F32, shape.dims());
    for (int64_t i = 0; i < count; ++i)
      for (int64_t j = 0; j < 32; ++j)
        x.set(i * 32 + j, j == i % 32         ? (i % 2 ? -1 : 1) * amaxes[i]
                          : j == (i + 1) % 32 ? NAN
                                              : amaxes[i] * 0.37f);
    Direction out(shape, type, false, false);
    QuantizeCall call;
    call.input = x;
    out.addTo(call);
    EXPECT_OK(context, call.run(context));
    checkCast(out, x);
    std::vector<bool> seen(256);
    for (int64_t i = 0; i < count; ++i)
      seen[out.scales.bytes[out.scaleAt(0, i, 0, 0)]] = true;
    EXPECT_TRUE(seen[0] && seen[1] && seen[254] && !seen[255]);
    amaxes.resize(5);
  }
}

TEST(Mxfp8Scale, ExtremesDequantizeExactly) {
  // Codes 0, 254 and 255 as somebody else may have written them.
  Context context = makeContext();
  Tensor q(TE_RT_F8E4M3, {3, 32}), s(TE_RT_F8E8M0, {128, 4});
  Tensor back(TE_RT_F32, {3, 32});
  s.scales(TE_RT_COMPACT, 1, 32);
  std::fill(q.bytes.begin(), q.bytes.end(), 0x38); // 1
  s.bytes[0] = 0, s.bytes[4] = 254, s.bytes[8] = 255;
  EXPECT_OK(context,
            te_rt_dequantize(context.get(), q, s, nullptr, nullptr, back));
  EXPECT_EQ(back.get(0), 0x1p-127f);
  EXPECT_EQ(back.get(32), 0x1p127f);
  EXPECT_TRUE(std::isnan(back.get(64)));
}

TEST(Mxfp8Lists, EqualTheirTensors) {
  Context context = makeContext();
  std::vector<Shape> shapes = {{1, 1}, {43, 256}, {70, 33, 3}, {256, 43}};
  std::vector<Tensor> inputs;
  std::vector<Direction> outs, outsT;
  List x, values, scales, valuesT, scalesT;
  for (const Shape &shape : shapes) {
    inputs.push_back(difficult(TE_RT_BF16, shape, 7));
    outs.emplace_back(shape, TE_RT_F8E4M3, true, false);
    outsT.emplace_back(shape, TE_RT_F8E4M3, true, true);
  }
  for (size_t i = 0; i < shapes.size(); ++i) {
    x.items.push_back(inputs[i].t);
    values.items.push_back(outs[i].values.t);
    scales.items.push_back(outs[i].scales.t);
    valuesT.items.push_back(outsT[i].values.t);
    scalesT.items.push_back(outsT[i].scales.t);
  }
  for (bool square : {true, false}) {
    EXPECT_OK(context,
              te_rt_multi_cast_transpose(
                  context.get(), x, List(), List(), nullptr, values, scales,
                  valuesT, scalesT, List(), List(), List(), 0, square, 0));
    for (size_t i = 0; i < shapes.size(); ++i) {
      checkCast(outs[i], inputs[i], square);
      checkCast(outsT[i], inputs[i], square);
    }
  }
  EXPECT_FAILS(context,
               te_rt_multi_cast_transpose(
                   context.get(), x, List(), List(), nullptr, values, scales,
                   valuesT, scalesT, List(), List(), List(), 1, 0, 0),
               TE_RT_INVALID_ARGUMENT,
               "pow2_scales: found 1, wanted 0 for F8E8M0 scales");
}

TEST(Mxfp8Refuses, WhatDoesNotFit) {
  Context context = makeContext();
  Shape shape = {64, 64};
  Tensor x = normal(TE_RT_BF16, shape.dims(), 1);
  Direction row(shape, TE_RT_F8E4M3, false, false);
  Direction column(shape, TE_RT_F8E4M3, false, true);
  QuantizeCall good;
  good.input = x;
  row.addTo(good);
  column.addTo(good);
  auto fails = [&](auto change, const char *text) {
    QuantizeCall call = good;
    change(call);
    EXPECT_FAILS(context, call.run(context), TE_RT_INVALID_ARGUMENT, text);
  };
  fails([](auto &c) { c.epsilon = 1; },
        "epsilon: found 1, wanted 0 for F8E8M0 scales");
  fails([](auto &c) { c.hadamard = 1; },
        "hadamard: found 1, wanted 0 without F4E2M1 values_t");
  Tensor rng(TE_RT_I64, {2});
  fails([&](auto &c) { c.rng = rng; },
        "rng: found a tensor, wanted none for F8E4M3 values");
  Tensor amax(TE_RT_F32, {});
  fails([&](auto &c) { c.tensorAmax = amax; },
        "tensor_amax: found a tensor, wanted none but for F4E2M1 values");
  Tensor unpadded(TE_RT_F8E8M0, {64, 2});
  unpadded.scales(TE_RT_COMPACT, 1, 32);
  fails([&](auto &c) { c.scales = unpadded; },
        "scales: found shape [64, 2], wanted [128, 4]");
  Tensor wide(TE_RT_F8E8M0, {128, 4});
  fails([&](auto &c) { c.scales = wide.scales(TE_RT_COMPACT, 1, 128); },
        "scales: found F8E8M0 of blocks of 1 x 128, wanted blocks of 1 x 32 or "
        "32 x 1 for F8E8M0");
  fails([&](auto &c) { c.scales = wide.scales(TE_RT_GEMM_READY, 1, 32); },
        "scales: found layout GEMM_READY, wanted COMPACT or SWIZZLED");
  fails([&](auto &c) { c.scales = column.scales; },
        "scales: found blocks of 32 x 1, wanted 1 x 32 rowwise");
  fails([&](auto &c) { c.scalesT = row.scales; },
        "scales_t: found blocks of 1 x 32, wanted 32 x 1 columnwise");
  Tensor f32(TE_RT_F32, {64, 2});
  fails([&](auto &c) { c.scales = f32.scales(TE_RT_COMPACT, 1, 32); },
        "scales: found F32 of blocks of 1 x 32, wanted F8E8M0");
  Tensor e4m3(TE_RT_F8E4M3, {128, 4});
  fails([&](auto &c) { c.scales = e4m3.scales(TE_RT_COMPACT, 1, 16); },
        "scales: found F8E4M3, wanted F32 or F8E8M0");
  QuantizeCall blocks;
  Tensor big(TE_RT_F32, {64, 1});
  blocks.input = x;
  blocks.values = row.values;
  blocks.scales = big.scales(TE_RT_COMPACT, 1, 128);
  blocks.square = 1;
  EXPECT_FAILS(context, blocks.run(context), TE_RT_INVALID_ARGUMENT,
               "square_blocks: found 1, wanted 0 for F32 scales");
}

TEST(Mxfp8Refuses, GroupsThatTilesCannotHold) {
  Context context = makeContext();
  Shape shape = {256, 64, 0, {0, 96, 256}};
  Tensor x = normal(TE_RT_BF16, shape.dims(), 1);
  Tensor offsets = offsetsOf(shape.offsets);
  Direction row(shape, TE_RT_F8E4M3, true, false);
  Direction column(shape, TE_RT_F8E4M3, true, true);
  QuantizeCall call;
  call.input = x;
  call.offsets = offsets;
  row.addTo(call);
  EXPECT_OK(context, call.run(context)); // rows are independent
  checkCast(row, x);
  column.addTo(call);
  EXPECT_FAILS(context, call.run(context), TE_RT_INVALID_ARGUMENT,
               "offsets[1]: found 96, wanted a multiple of 128");
  Tensor back(TE_RT_BF16, {256, 64});
  EXPECT_FAILS(context,
               te_rt_dequantize(context.get(), column.values, column.scales,
                                nullptr, offsets, back),
               TE_RT_INVALID_ARGUMENT,
               "offsets[1]: found 96, wanted a multiple of 128");
  Tensor compact(TE_RT_F8E8M0, {12, 128});
  compact.scales(TE_RT_COMPACT, 32, 1, 2);
  EXPECT_FAILS(
      context,
      te_rt_convert_scales(context.get(), compact, column.scales, 256, 64),
      TE_RT_UNSUPPORTED,
      "scales.groups: found 2, wanted 0 for SWIZZLED scales");
}
} // namespace
