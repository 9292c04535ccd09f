//===- LayoutTest.cpp - scale layouts and moves ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cmath>

using namespace te_test;

namespace {
Tensor bytesOf(std::vector<int64_t> shape, te_rt_dtype dtype) {
  Tensor tensor(dtype, shape);
  for (size_t i = 0; i < tensor.bytes.size(); ++i)
    tensor.bytes[i] = static_cast<unsigned char>(1 + i * 7 % 250);
  return tensor;
}

TEST(ConvertScales, CompactAndGemmReadyAreTransposes) {
  Context context = makeContext();
  Tensor compact = normal(TE_RT_F32, {2, 5, 3}, 1);
  Tensor ready(TE_RT_F32, {2, 3, 8}), back(TE_RT_F32, {2, 5, 3});
  compact.scales(TE_RT_COMPACT, 1, 128);
  back.scales(TE_RT_COMPACT, 1, 128);
  ready.scales(TE_RT_GEMM_READY, 1, 128);
  EXPECT_OK(context,
            te_rt_convert_scales(context.get(), compact, ready, 5, 300));
  for (int64_t e = 0; e < 2; ++e)
    for (int64_t i = 0; i < 5; ++i)
      for (int64_t j = 0; j < 3; ++j)
        EXPECT_EQ(ready.get(e * 24 + j * 8 + i),
                  compact.get(e * 15 + i * 3 + j));
  EXPECT_OK(context, te_rt_convert_scales(context.get(), ready, back, 5, 300));
  EXPECT_EQ(back.bytes, compact.bytes);
}

TEST(ConvertScales, RaggedColumnsKeepTheirGroups) {
  // K = 3 rows of C = 300 in 2 groups: 300/128 + 2 = 4 blocks.
  Context context = makeContext();
  Tensor ready = normal(TE_RT_F32, {4, 4}, 1), compact(TE_RT_F32, {3, 4});
  ready.scales(TE_RT_GEMM_READY, 1, 128, 2);
  compact.scales(TE_RT_COMPACT, 1, 128, 2);
  EXPECT_OK(context,
            te_rt_convert_scales(context.get(), ready, compact, 3, 300));
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t b = 0; b < 4; ++b)
      EXPECT_EQ(compact.get(i * 4 + b), ready.get(b * 4 + i));
}

/// The inverse view of te-semantics 2.1: (rows/128, cols/4, 32, 4, 4), permuted
/// by (0, 3, 2, 1, 4), is (rows, cols).
void checkSwizzle(int32_t blockRows, int32_t blockCols, int64_t rows,
                  int64_t cols, bool transposed) {
  Context context = makeContext();
  int64_t gridRows = (rows + blockRows - 1) / blockRows;
  int64_t gridCols = (cols + blockCols - 1) / blockCols;
  int64_t outer = transposed ? gridCols : gridRows;
  int64_t inner = transposed ? gridRows : gridCols;
  int64_t paddedOuter = (outer + 127) / 128 * 128;
  int64_t paddedInner = (inner + 3) / 4 * 4;
  te_rt_dtype dtype = blockCols == 16 ? TE_RT_F8E4M3 : TE_RT_F8E8M0;
  std::vector<int64_t> padded = {paddedOuter, paddedInner};
  if (transposed)
    std::swap(padded[0], padded[1]);
  Tensor compact = bytesOf(padded, dtype);
  Tensor swizzled(dtype, {paddedOuter, paddedInner}), back(dtype, padded);
  compact.scales(TE_RT_COMPACT, blockRows, blockCols);
  back.scales(TE_RT_COMPACT, blockRows, blockCols);
  swizzled.scales(TE_RT_SWIZZLED, blockRows, blockCols);
  EXPECT_OK(context,
            te_rt_convert_scales(context.get(), compact, swizzled, rows, cols));
  int64_t position = 0;
  for (int64_t a = 0; a < paddedOuter / 128; ++a)
    for (int64_t b = 0; b < paddedInner / 4; ++b)
      for (int64_t c = 0; c < 32; ++c)
        for (int64_t d = 0; d < 4; ++d)
          for (int64_t e = 0; e < 4; ++e) {
            int64_t i = a * 128 + d * 32 + c, j = b * 4 + e;
            int64_t from = transposed ? j * padded[1] + i : i * padded[1] + j;
            int wanted = i < outer && j < inner ? compact.bytes[from] : 0;
            ASSERT_EQ(swizzled.bytes[position++], wanted) << i << ", " << j;
          }
  EXPECT_OK(context,
            te_rt_convert_scales(context.get(), swizzled, back, rows, cols));
  for (int64_t i = 0; i < padded[0]; ++i)
    for (int64_t j = 0; j < padded[1]; ++j) {
      int64_t at = i * padded[1] + j;
      bool there = i < gridRows && j < gridCols;
      ASSERT_EQ(back.bytes[at], there ? compact.bytes[at] : 0);
    }
}

TEST(ConvertScales, Swizzle) {
  checkSwizzle(1, 32, 256, 256, false);
  checkSwizzle(1, 32, 160, 96, false);
  checkSwizzle(1, 32, 1, 32, false);
  checkSwizzle(32, 1, 256, 256, true);
  checkSwizzle(32, 1, 96, 200, true);
  checkSwizzle(1, 16, 130, 48, false);
}

TEST(ConvertScales, RefusesWhatDoesNotFit) {
  Context context = makeContext();
  Tensor from(TE_RT_F32, {4, 2}), to(TE_RT_F32, {2, 4});
  from.scales(TE_RT_COMPACT, 1, 128);
  to.scales(TE_RT_GEMM_READY, 128, 1);
  EXPECT_FAILS(context, te_rt_convert_scales(context.get(), from, to, 4, 256),
               TE_RT_INVALID_ARGUMENT, "wanted blocks of 1 x 128");
  to.scales(TE_RT_SWIZZLED, 1, 128);
  EXPECT_FAILS(context, te_rt_convert_scales(context.get(), from, to, 4, 256),
               TE_RT_INVALID_ARGUMENT,
               "output: found layout SWIZZLED, wanted COMPACT or GEMM_READY");
  to.scales(TE_RT_GEMM_READY, 1, 128);
  EXPECT_FAILS(context, te_rt_convert_scales(context.get(), from, to, 4, 300),
               TE_RT_INVALID_ARGUMENT,
               "scales: found shape [4, 2], wanted [4, 3]");
}

TEST(Layout, TransposeOfEverySize) {
  Context context = makeContext();
  for (te_rt_dtype dtype : {TE_RT_I64, TE_RT_F32, TE_RT_BF16, TE_RT_F8E4M3}) {
    Tensor in = bytesOf({2, 67, 130}, dtype), out(dtype, {2, 130, 67});
    EXPECT_OK(context, te_rt_transpose(context.get(), in, out));
    int64_t size = te_rt::bytesOf(dtype, 1);
    for (int64_t e = 0; e < 2; ++e)
      for (int64_t i = 0; i < 67; ++i)
        for (int64_t j = 0; j < 130; ++j)
          for (int64_t byte = 0; byte < size; ++byte)
            ASSERT_EQ(out.bytes[((e * 130 + j) * 67 + i) * size + byte],
                      in.bytes[((e * 67 + i) * 130 + j) * size + byte]);
  }
}

TEST(Layout, PackLaysTensorsOneBehindAnother) {
  Context context = makeContext();
  Tensor a = normal(TE_RT_BF16, {3, 2}, 1), b = normal(TE_RT_BF16, {3, 2}, 2);
  Tensor out(TE_RT_BF16, {2, 3, 2});
  EXPECT_OK(context, te_rt_pack(context.get(), List{a, b}, out));
  std::vector<unsigned char> wanted = a.bytes;
  wanted.insert(wanted.end(), b.bytes.begin(), b.bytes.end());
  EXPECT_EQ(out.bytes, wanted);
  EXPECT_FAILS(context, te_rt_pack(context.get(), List{a}, out),
               TE_RT_INVALID_ARGUMENT, "a first extent of 1");
}

TEST(Layout, FillRoundsToTheType) {
  Context context = makeContext();
  auto filled = [&](te_rt_dtype dtype, double value) {
    Tensor out(dtype, {3});
    EXPECT_OK(context, te_rt_fill(context.get(), out, value));
    EXPECT_EQ(out.get(0), out.get(2));
    return out.get(1);
  };
  EXPECT_EQ(filled(TE_RT_F32, 0.1), 0.1f);
  EXPECT_EQ(filled(TE_RT_BF16, 3.0), 3.0f);
  // Just above a tie of BF16, by less than F32 can tell.
  EXPECT_EQ(filled(TE_RT_BF16, 1 + 0x1p-8 + 0x1p-40), 1 + 0x1p-7f);
  EXPECT_EQ(filled(TE_RT_BF16, 1 + 0x3p-8 - 0x1p-40), 1 + 0x1p-7f);
  EXPECT_EQ(filled(TE_RT_F8E4M3, 1e9), 448.0f);
  EXPECT_EQ(filled(TE_RT_F8E8M0, 0.25), 0.25f);
  EXPECT_EQ(filled(TE_RT_U8, 255), 255.0f);
  Tensor pairs(TE_RT_F4E2M1, {2, 4});
  EXPECT_OK(context, te_rt_fill(context.get(), pairs, -3.4));
  EXPECT_EQ(pairs.bytes, std::vector<unsigned char>(4, 0xdd)); // -3
  EXPECT_EQ(filled(TE_RT_I32, -7), -7.0f);
  Tensor bytes(TE_RT_F8E8M0, {3}), numbers(TE_RT_I32, {3});
  Tensor odd(TE_RT_F4E2M1, {2, 3}), small(TE_RT_U8, {1});
  EXPECT_FAILS(context, te_rt_fill(context.get(), odd, 0),
               TE_RT_INVALID_ARGUMENT,
               "F4E2M1 of shape [2, 3], wanted a last extent that is even");
  EXPECT_FAILS(context, te_rt_fill(context.get(), small, 256),
               TE_RT_INVALID_ARGUMENT, "found 256, wanted an integer of U8");
  EXPECT_FAILS(context, te_rt_transpose(context.get(), pairs, pairs),
               TE_RT_UNSUPPORTED, "wanted elements of whole bytes");
  EXPECT_FAILS(context, te_rt_fill(context.get(), bytes, 3),
               TE_RT_INVALID_ARGUMENT, "a power of two");
  EXPECT_FAILS(context, te_rt_fill(context.get(), numbers, 0.5),
               TE_RT_INVALID_ARGUMENT, "an integer of I32");
}
} // namespace
