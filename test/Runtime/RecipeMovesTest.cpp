//===- RecipeMovesTest.cpp - MXFP8 rows that move, and fused casts --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Recipes.h"

#include <thread>

using namespace te_test;

namespace {
/// Rows with their scales, a byte of each telling its row and column.
struct Rows {
  Tensor values, scales;
  int64_t blocks;

  Rows(int64_t rows, int64_t cols, bool filled)
      : values(TE_RT_F8E4M3, {rows, cols}),
        scales(TE_RT_F8E8M0, {up(rows, 128), up((cols + 31) / 32, 4)}),
        blocks((cols + 31) / 32) {
    scales.scales(TE_RT_COMPACT, 1, 32);
    if (!filled)
      return;
    std::fill(scales.bytes.begin(), scales.bytes.end(), 0);
    for (int64_t i = 0; i < rows * cols; ++i)
      values.bytes[i] = static_cast<unsigned char>(i * 7 + i / cols);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t b = 0; b < blocks; ++b)
        scaleAt(i, b) = static_cast<unsigned char>(1 + (i * 3 + b) % 250);
  }
  int64_t width() const { return scales.t.shape[1]; }
  unsigned char &scaleAt(int64_t row, int64_t block) {
    return scales.bytes[row * width() + block];
  }
};

/// Row i of `out` is row from[i] of `in`, zero for -1, as it was for -2; all
/// padding is zero.
void checkMoved(Rows &in, Rows &out, const std::vector<int64_t> &from) {
  int64_t rows = out.values.t.shape[0], cols = out.values.t.shape[1];
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j)
      ASSERT_EQ(out.values.bytes[i * cols + j],
                from[i] >= 0    ? in.values.bytes[from[i] * cols + j]
                : from[i] == -1 ? 0
                                : 0xCD);
    for (int64_t b = 0; b < out.blocks; ++b)
      ASSERT_EQ(out.scaleAt(i, b), from[i] >= 0    ? in.scaleAt(from[i], b)
                                   : from[i] == -1 ? 0
                                                   : 0xCD);
  }
  for (int64_t i = 0; i < out.scales.t.shape[0]; ++i)
    for (int64_t b = i < rows ? out.blocks : 0; b < out.width(); ++b)
      ASSERT_EQ(out.scaleAt(i, b), 0) << i << ", " << b;
}

TEST(Mxfp8Moves, PermuteMovesScalesWithTheirRows) {
  Context context = makeContext();
  const int64_t cols = 70;
  Rows in(5, cols, true), out(131, cols, false);
  Tensor map = integers({5, 2}, {0, 129, 1, -1, 64, 2, -1, -1, 66, 65});
  Tensor counts = integers({2}, {3, 3}), offsets = offsetsOf({0, 4, 68});
  EXPECT_OK(context,
            te_rt_permute(context.get(), in.values, in.scales, nullptr, map,
                          nullptr, nullptr, out.values, out.scales, nullptr));
  std::vector<int64_t> from(131, -2);
  from[0] = 0, from[129] = 0, from[1] = 1, from[64] = 2, from[2] = 2;
  from[66] = 4, from[65] = 4;
  checkMoved(in, out, from);

  Rows padded(131, cols, false);
  map = integers({5, 2}, {0, 4, 1, -1, 5, 2, -1, -1, 6, -1});
  EXPECT_OK(context, te_rt_permute(context.get(), in.values, in.scales, nullptr,
                                   map, counts, offsets, padded.values,
                                   padded.scales, nullptr));
  from.assign(131, -2);
  from[0] = 0, from[4] = 0, from[1] = 1, from[5] = 2, from[2] = 2, from[6] = 4;
  from[3] = -1;
  std::fill(from.begin() + 7, from.begin() + 68, -1);
  checkMoved(in, padded, from);
}

TEST(Mxfp8Moves, PadAndUnpad) {
  Context context = makeContext();
  const int64_t cols = 33;
  Rows in(22, cols, true), out(140, cols, false), back(22, cols, false);
  Tensor from = offsetsOf({0, 3, 3, 20}), to = offsetsOf({0, 16, 32, 64});
  auto both = [&](auto function, const Tensor &before, const Tensor &after,
                  const Rows &source, const Rows &target) {
    EXPECT_OK(context, function(context.get(), source.values, nullptr, before,
                                after, target.values, nullptr));
    EXPECT_OK(context, function(context.get(), source.scales, nullptr, before,
                                after, target.scales, nullptr));
  };
  both(te_rt_pad, from, to, in, out);
  for (int64_t row = 0; row < 128 + 128; ++row)
    for (int64_t b = 0; b < out.width(); ++b) {
      int64_t source = row < 3 ? row : row >= 32 && row < 49 ? row - 29 : -1;
      ASSERT_EQ(out.scaleAt(row, b),
                source < 0 ? 0 : in.scales.bytes[source * in.width() + b]);
    }
  both(te_rt_unpad, to, from, out, back);
  for (int64_t row = 0; row < 128; ++row)
    for (int64_t b = 0; b < back.width(); ++b)
      ASSERT_EQ(back.scaleAt(row, b), row < 20 ? in.scaleAt(row, b) : 0);
}

TEST(Mxfp8Moves, DispatchOfRowsAndScales) {
  const int32_t ranks = 2;
  const int64_t tokens = 70, cols = 40;
  te_rt_communicator *world = nullptr;
  ASSERT_EQ(te_rt_communicator_create(ranks, &world), TE_RT_OK);
  std::vector<std::thread> threads;
  for (int32_t rank = 0; rank < ranks; ++rank)
    threads.emplace_back([=] {
      Context context = makeContext(1, world, rank);
      // Every third token goes to rank 0, the rest to rank 1.
      Tensor indices(TE_RT_I32, {tokens, 1});
      for (int64_t t = 0; t < tokens; ++t)
        indices.set(t, t % 3 != 0);
      Tensor handle(TE_RT_I32, {tokens, ranks});
      Tensor received(TE_RT_I32, {ranks * tokens, 1});
      EXPECT_OK(context, te_rt_dispatch_map(context.get(), indices, handle,
                                            received, ranks, 1));
      Rows in(tokens, cols, true), out(ranks * tokens, cols, false);
      EXPECT_OK(context, te_rt_dispatch(context.get(), handle,
                                        List{in.values, in.scales},
                                        List{out.values, out.scales}));
      std::vector<int64_t> from;
      for (int32_t source = 0; source < ranks; ++source)
        for (int64_t t = 0; t < tokens; ++t)
          if ((t % 3 != 0) == (rank == 1))
            from.push_back(t);
      from.resize(ranks * tokens, -2);
      // The padding behind a row moves with it; elsewhere nobody writes it.
      for (size_t i = 0; i < from.size(); ++i)
        if (from[i] == -2)
          for (int64_t b = out.blocks; b < out.width(); ++b)
            out.scaleAt(static_cast<int64_t>(i), b) = 0;
      checkMoved(in, out, from);
      Tensor unpadded(TE_RT_F8E8M0, {tokens, 4});
      unpadded.scales(TE_RT_COMPACT, 1, 32);
      EXPECT_FAILS(context,
                   te_rt_dispatch(context.get(), handle, List{unpadded},
                                  List{out.scales}),
                   TE_RT_INVALID_ARGUMENT,
                   "inputs[0]: found shape [70, 4], wanted [128, 4]");
    });
  for (std::thread &thread : threads)
    thread.join();
  te_rt_communicator_destroy(world);
}

//===----------------------------------------------------------------------===//
// Fused casts
//===----------------------------------------------------------------------===//

struct Fused {
  Context context = makeContext();
  Shape shape;
  Direction row, column;
  Tensor offsets;

  Fused(const Shape &shape, bool swizzled)
      : shape(shape), row(shape, TE_RT_F8E4M3, swizzled, false),
        column(shape, TE_RT_F8E5M2, swizzled, true),
        offsets(offsetsOf(shape.offsets)) {}
  void check(const Tensor &source) const {
    checkCast(row, source);
    checkCast(column, source);
  }
};
const Shape kShapes[] = {{400, 66, 0, {0, 13, 13, 300, 390}},
                         {512, 98, 0, {0, 128, 128, 384}}};

TEST(Mxfp8Fused, Requantize) {
  for (const Shape &shape : kShapes)
    for (te_rt_dtype via : {TE_RT_BF16, TE_RT_F32}) {
      Fused fused(shape, shape.rows == 512);
      Tensor x = normal(TE_RT_BF16, shape.dims(), 1);
      Direction in(shape, TE_RT_F8E4M3, false, false);
      QuantizeCall call;
      call.input = x;
      call.offsets = fused.offsets;
      in.addTo(call);
      EXPECT_OK(fused.context, call.run(fused.context));
      EXPECT_OK(fused.context,
                te_rt_requantize(fused.context.get(), in.values, in.scales,
                                 nullptr, nullptr, fused.offsets,
                                 fused.row.values, fused.row.scales,
                                 fused.column.values, fused.column.scales,
                                 nullptr, via, 0, 0));
      Tensor between(via, shape.dims());
      for (int64_t g = 0; g < shape.groups(); ++g)
        for (int64_t i = shape.begin(g); i < shape.end(g); ++i)
          for (int64_t j = 0; j < shape.cols; ++j)
            between.set(i * shape.cols + j,
                        static_cast<float>(in.value(g, i, j)));
      fused.check(between);
    }
}

TEST(Mxfp8Fused, PermuteQuantize) {
  for (const Shape &shape : kShapes) {
    Fused fused(shape, shape.rows == 512);
    const int64_t tokens = shape.offsets.back();
    Tensor x = difficult(TE_RT_BF16, {tokens, shape.cols}, 1);
    Tensor map(TE_RT_I32, {tokens, 1}), moved(TE_RT_BF16, shape.dims());
    for (int64_t t = 0; t < tokens; ++t) {
      int64_t row = (t * 7 + 3) % tokens; // 7 does not divide them
      map.as<int32_t>()[t] = static_cast<int32_t>(row);
      for (int64_t j = 0; j < shape.cols; ++j)
        moved.set(row * shape.cols + j, x.get(t * shape.cols + j));
    }
    EXPECT_OK(fused.context,
              te_rt_permute_quantize(fused.context.get(), x, nullptr, map,
                                     nullptr, nullptr, fused.offsets, nullptr,
                                     fused.row.values, fused.row.scales,
                                     fused.column.values, fused.column.scales,
                                     nullptr, nullptr, 0, 0));
    fused.check(moved);
  }
}

TEST(Mxfp8Fused, ActivationsBothWays) {
  for (const Shape &shape : kShapes) {
    Fused forward(shape, shape.rows == 512);
    Tensor x = normal(TE_RT_BF16, {shape.rows, 2 * shape.cols}, 1);
    Tensor y(TE_RT_BF16, shape.dims()),
        probs = normal(TE_RT_F32, {shape.rows}, 2);
    EXPECT_OK(forward.context, te_rt_swiglu(forward.context.get(), x, probs,
                                            forward.offsets, y));
    EXPECT_OK(forward.context,
              te_rt_swiglu_quantize(
                  forward.context.get(), x, probs, forward.offsets, nullptr,
                  nullptr, forward.row.values, forward.row.scales,
                  forward.column.values, forward.column.scales, nullptr, 0, 0));
    forward.check(y);

    Shape wide = {shape.rows, 2 * shape.cols, 0, shape.offsets};
    Fused backward(wide, shape.rows == 512);
    Tensor grad = normal(TE_RT_BF16, shape.dims(), 3),
           dx(TE_RT_BF16, wide.dims());
    EXPECT_OK(backward.context,
              te_rt_swiglu_backward(backward.context.get(), grad, x, probs,
                                    backward.offsets, dx, nullptr));
    EXPECT_OK(backward.context,
              te_rt_swiglu_backward_quantize(
                  backward.context.get(), grad, x, probs, backward.offsets,
                  nullptr, nullptr, backward.row.values, backward.row.scales,
                  backward.column.values, backward.column.scales, nullptr,
                  nullptr, 0, 0));
    backward.check(dx);
  }
}

TEST(Nvfp4Fused, IsRefused) {
  const Shape shape = {64, 64, 0, {0, 64}};
  Context context = makeContext();
  Direction row(shape, TE_RT_F4E2M1, false, false);
  Tensor x = normal(TE_RT_BF16, {64, 128}, 1), offsets = offsetsOf({0, 64});
  Tensor map(TE_RT_I32, {64, 1}), q = normal(TE_RT_F8E4M3, {64, 64}, 1);
  for (int64_t i = 0; i < 64; ++i)
    map.as<int32_t>()[i] = static_cast<int32_t>(i);
  const char *text = "values: found F4E2M1, wanted F8E4M3 or F8E5M2";
  EXPECT_FAILS(context,
               te_rt_swiglu_quantize(context.get(), x, nullptr, offsets,
                                     nullptr, nullptr, row.values, row.scales,
                                     nullptr, nullptr, nullptr, 0, 0),
               TE_RT_UNSUPPORTED, text);
  Tensor half = normal(TE_RT_BF16, {64, 64}, 1);
  EXPECT_FAILS(context,
               te_rt_permute_quantize(context.get(), half, nullptr, map,
                                      nullptr, nullptr, offsets, nullptr,
                                      row.values, row.scales, nullptr, nullptr,
                                      nullptr, nullptr, 0, 0),
               TE_RT_UNSUPPORTED, text);
  Tensor whole = floats({1}, {1});
  whole.scales(TE_RT_TENSOR);
  EXPECT_FAILS(context,
               te_rt_requantize(context.get(), q, whole, nullptr, nullptr,
                                offsets, row.values, row.scales, nullptr,
                                nullptr, nullptr, TE_RT_BF16, 0, 0),
               TE_RT_UNSUPPORTED, text);
}
} // namespace
