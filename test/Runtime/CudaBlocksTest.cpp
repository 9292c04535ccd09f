//===- CudaBlocksTest.cpp - blocks of any size, ref against cuda ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Twin.h"
#include "common/scales.h"

using namespace te_test;
using te_rt::Ragged;
using te_rt::ScaleGrid;

namespace {
struct Block {
  int32_t rows, cols; // as the values are stored
  te_rt_scale_layout layout;
};
const Block rowBlocks[] = {{1, 64, TE_RT_COMPACT},    {1, 100, TE_RT_GEMM_READY},
                           {1, 3, TE_RT_COMPACT},     {1, 512, TE_RT_GEMM_READY},
                           {64, 64, TE_RT_COMPACT},   {48, 48, TE_RT_GEMM_READY},
                           {256, 256, TE_RT_COMPACT}, {20, 1, TE_RT_COMPACT},
                           {1, 128, TE_RT_COMPACT}};
const Block columnBlocks[] = {
    {1, 64, TE_RT_GEMM_READY}, {1, 200, TE_RT_COMPACT}, {64, 1, TE_RT_COMPACT},
    {5, 1, TE_RT_COMPACT},     {64, 64, TE_RT_COMPACT}, {300, 300, TE_RT_COMPACT},
    {512, 1, TE_RT_COMPACT},   {1, 128, TE_RT_GEMM_READY}};

/// The outputs of a cast of `shape` in one direction; no block: none.
void addOutput(Arguments &arguments, std::vector<int64_t> shape,
               int32_t groups, const Block *block, bool columnwise) {
  if (!block) {
    arguments.none();
    arguments.none();
    return;
  }
  bool turned = columnwise && !(block->cols == 1 && block->rows > 1 &&
                                block->layout == TE_RT_COMPACT);
  if (turned)
    std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  te_rt_tensor like = {};
  like.layout = block->layout;
  like.block_rows = block->rows, like.block_cols = block->cols;
  int32_t along = turned ? block->cols : block->rows;
  like.groups = along > 1 ? groups : 0;
  std::vector<int64_t> scales =
      ScaleGrid(like, shape[shape.size() - 2], shape.back(),
                !groups  ? Ragged::No
                : turned ? Ragged::Cols
                         : Ragged::Rows)
          .shape;
  if (shape.size() == 3)
    scales.insert(scales.begin(), shape[0]);
  arguments.add(Tensor(TE_RT_F8E4M3, shape));
  arguments.add(Tensor(TE_RT_F32, scales)
                    .scales(like.layout, like.block_rows, like.block_cols,
                            like.groups));
}

struct Matrix {
  std::vector<int64_t> shape;
  std::vector<int32_t> offsets;
  int32_t groups() const {
    return static_cast<int32_t>(offsets.empty() ? 0 : offsets.size() - 1);
  }
};
std::vector<Matrix> matrices() {
  std::vector<Matrix> all = {{{1, 1}, {}},
                             {{130, 257}, {}},
                             {{2, 131, 136}, {}},
                             {{300, 136}, {0, 130, 130, 257, 290}}};
  if (!isReduced())
    all.insert(all.end(), {{{993, 512}, {}},
                           {{0, 64}, {}},
                           {{5, 7, 11}, {}},
                           {{1, 600, 520}, {}},
                           {{512, 72}, {16, 144, 400, 400}},
                           {{100, 64}, {0, 0, 0}},
                           {{1025, 2880}, {0, 1, 2, 1024}}});
  return all;
}

TEST(CudaBlocks, EveryBlock) {
  NEEDS_GPU();
  unsigned seed = 0;
  for (const Matrix &m : matrices())
    for (size_t r = 0; r <= std::size(rowBlocks); ++r)
      for (size_t c = 0; c <= std::size(columnBlocks); ++c) {
        const Block *row = r < std::size(rowBlocks) ? rowBlocks + r : nullptr;
        const Block *column =
            c < std::size(columnBlocks) ? columnBlocks + c : nullptr;
        if ((!row && !column) || (++seed % 3 && row && column))
          continue;
        Arguments arguments;
        arguments.add(values(seed % 4 ? TE_RT_BF16 : TE_RT_F32, m.shape, seed,
                             seed % 2));
        m.groups() ? arguments.add(offsetsOf(m.offsets)) : arguments.none();
        seed % 9 == 1 ? arguments.add(floats({}, {seed % 2 ? 1.0f : 0.0f}))
                      : arguments.none();
        addOutput(arguments, m.shape, m.groups(), row, false);
        addOutput(arguments, m.shape, m.groups(), column, true);
        int64_t domains = m.shape.size() == 3 ? m.shape[0] : m.groups();
        int64_t member = seed % 5 == 2 && domains ? seed % domains : -1;
        std::vector<int64_t> each;
        if (domains && member < 0)
          each = {domains};
        seed % 3 ? arguments.add(Tensor(TE_RT_F32, each)) : arguments.none();
        SCOPED_TRACE("row block " + std::to_string(r) + ", column block " +
                     std::to_string(c) + ", rows " +
                     std::to_string(m.shape[m.shape.size() - 2]) + ", member " +
                     std::to_string(member));
        expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
          return te_rt_quantize(context, t[0], nullptr, nullptr, t[2], t[1],
                                nullptr, t[3], t[4], t[5], t[6], t[7], nullptr,
                                nullptr, member, seed % 2, 0, 0, 0,
                                seed % 6 ? 0.0 : 1.0);
        });
        if (HasFailure())
          return;
      }
}

TEST(CudaBlocks, BackAndFused) {
  NEEDS_GPU();
  constexpr int64_t cols = 144, capacity = 700;
  const std::vector<int32_t> offsets = {0, 130, 130, 400, 640};
  // Every row that a group owns has a token, so that all are defined.
  Tensor full(TE_RT_I32, {640, 1});
  for (int32_t i = 0; i < 640; ++i)
    full.as<int32_t>()[i] = i * 7 % 640;
  unsigned seed = 500;
  for (const Block &row : rowBlocks)
    for (const Block &column : columnBlocks) {
      ++seed;
      Arguments permute;
      te_rt_dtype type = seed % 3 ? TE_RT_BF16 : TE_RT_F32;
      permute.add(values(type, {640, cols}, seed, seed % 2));
      permute.add(full);
      permute.add(offsetsOf(offsets));
      addOutput(permute, {capacity, cols}, 4, &row, false);
      addOutput(permute, {capacity, cols}, 4, &column, true);
      expectTwins(permute, [](te_rt_context *context, const Tensors &t) {
        return te_rt_permute_quantize(context, t[0], nullptr, t[1], nullptr,
                                      nullptr, t[2], nullptr, t[3], t[4], t[5],
                                      t[6], nullptr, nullptr, 1, 0);
      });
      Arguments cast;
      cast.add(values(TE_RT_BF16, {capacity, cols}, seed, seed % 2));
      cast.add(offsetsOf(offsets));
      addOutput(cast, {capacity, cols}, 4, &row, false);
      std::vector<Bytes> codes =
          runOnRef(cast, [](te_rt_context *context, const Tensors &t) {
            return te_rt_quantize(context, t[0], nullptr, nullptr, nullptr,
                                  t[1], nullptr, t[2], t[3], nullptr, nullptr,
                                  nullptr, nullptr, nullptr, -1, 1, 0, 0, 0, 0);
          });
      Arguments back;
      for (int i : {1, 2, 3}) {
        Tensor each = *cast.items[i];
        each.bytes = codes[i];
        each.t.data = each.bytes.data();
        back.add(each);
      }
      back.add(Tensor(type, {capacity, cols}));
      expectTwins(back, [](te_rt_context *context, const Tensors &t) {
        return te_rt_dequantize(context, t[1], t[2], nullptr, t[0], t[3]);
      });
      back.items.pop_back();
      addOutput(back, {capacity, cols}, 4, &column, true);
      expectTwins(back, [](te_rt_context *context, const Tensors &t) {
        return te_rt_requantize(context, t[1], t[2], nullptr, nullptr, t[0],
                                nullptr, nullptr, t[3], t[4], nullptr,
                                TE_RT_BF16, 1, 0);
      });
      if (HasFailure())
        return;
    }
}

/// An activation's rows, cast in other blocks: what cuda's own activation gives,
/// cast on ref.
TEST(CudaBlocks, Activation) {
  NEEDS_GPU();
  const Block row = {1, 64, TE_RT_COMPACT}, column = {64, 64, TE_RT_COMPACT};
  for (int64_t width : {128, 200})
    for (bool backward : {false, true}) {
      int64_t rows = 300, cols = backward ? 2 * width : width;
      Arguments plain;
      plain.add(values(TE_RT_BF16, {rows, 2 * width}, 3));
      plain.add(values(TE_RT_BF16, {rows, width}, 4));
      Arguments fused = {};
      for (auto &item : plain.items)
        fused.add(*item);
      int out = plain.add(Tensor(TE_RT_BF16, {rows, cols}));
      std::vector<Bytes> made =
          runOnCuda(plain, [&](te_rt_context *context, const Tensors &t) {
            return backward ? te_rt_swiglu_backward(context, t[1], t[0],
                                                    nullptr, nullptr, t[2],
                                                    nullptr)
                            : te_rt_swiglu(context, t[0], nullptr, nullptr,
                                           t[2]);
          });
      Arguments cast;
      Tensor activation = *plain.items[out];
      activation.bytes = made[out];
      activation.t.data = activation.bytes.data();
      cast.add(activation);
      for (Arguments *arguments : {&cast, &fused}) {
        addOutput(*arguments, {rows, cols}, 0, &row, false);
        addOutput(*arguments, {rows, cols}, 0, &column, true);
      }
      std::vector<Bytes> wanted =
          runOnRef(cast, [](te_rt_context *context, const Tensors &t) {
            return te_rt_quantize(context, t[0], nullptr, nullptr, nullptr,
                                  nullptr, nullptr, t[1], t[2], t[3], t[4],
                                  nullptr, nullptr, nullptr, -1, 1, 0, 0, 0, 0);
          });
      std::vector<Bytes> found =
          runOnCuda(fused, [&](te_rt_context *context, const Tensors &t) {
            return backward
                       ? te_rt_swiglu_backward_quantize(
                             context, t[1], t[0], nullptr, nullptr, nullptr,
                             nullptr, t[2], t[3], t[4], t[5], nullptr, nullptr,
                             1, 0)
                       : te_rt_swiglu_quantize(context, t[0], nullptr, nullptr,
                                               nullptr, nullptr, t[2], t[3],
                                               t[4], t[5], nullptr, 1, 0);
          });
      for (size_t i = 0; i < 4; ++i)
        EXPECT_TRUE(wanted[1 + i] == found[2 + i]) << "output " << i;
    }
}
} // namespace
