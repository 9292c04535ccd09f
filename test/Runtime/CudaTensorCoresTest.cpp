//===- CudaTensorCoresTest.cpp - FP8 products to the bit ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GroupedGemm.h"

using namespace te_test;
using namespace te_rt;

namespace {
/// `sum` and 32 FP8 products (or fewer) as the tensor cores of sm_90 add them:
/// each is cut to 2^-13 of the largest power of two among them, where that of a
/// product is the product of its factors', and so is what comes of it.
double addProducts(double sum, const Tensor &lhs, int64_t lhsAt,
                   const Tensor &rhs, int64_t rhsAt, int64_t count) {
  auto exponentOf = [](double x) { return x == 0 ? -1000 : std::ilogb(x); };
  auto cut = [](double x, int exponent) {
    double unit = std::ldexp(1.0, exponent - 13);
    return std::trunc(x / unit) * unit;
  };
  int largest = exponentOf(sum);
  for (int64_t i = 0; i < count; ++i)
    largest = std::max(largest, exponentOf(lhs.get(lhsAt + i)) +
                                    exponentOf(rhs.get(rhsAt + i)));
  double total = cut(sum, largest);
  for (int64_t i = 0; i < count; ++i)
    total += cut(double(lhs.get(lhsAt + i)) * rhs.get(rhsAt + i), largest);
  return total == 0 ? 0 : cut(total, exponentOf(total));
}

/// With scales of one, a result is the F32 sum of blocks of 128 products, each
/// as the tensor cores add them, bit for bit.
TEST(CudaTensorCores, BlocksAsTheyAddThem) {
  NEEDS_GPU();
  if (Gpu::get().context->device->isHost())
    GTEST_SKIP() << "ref adds in F32";
  std::vector<Grouped> all;
  std::vector<int32_t> offsets = {0, 144, 144, 304};
  for (Scheme scheme : {Scheme::Tensor, Scheme::RowSquare})
    all.push_back({scheme, 304, 136, 272, TE_RT_RAGGED_ROWS, offsets});
  for (Scheme scheme : {Scheme::Tensor, Scheme::RowSquare, Scheme::RowRow})
    for (te_rt_dtype lhs : {TE_RT_F8E4M3, TE_RT_F8E5M2}) {
      all.push_back({scheme, 136, 72, 304, TE_RT_RAGGED_REDUCTION, offsets});
      all.back().lhs = lhs;
    }
  for (Grouped &c : all) {
    c.result = TE_RT_F32;
    SCOPED_TRACE(c.name());
    Arguments arguments;
    Places at = build(c, arguments, 17);
    for (int index : {at.lhsScales, at.rhsScales})
      for (int64_t i = 0; i < arguments.items[index]->size(); ++i)
        arguments.items[index]->set(i, 1);
    const Tensor &lhs = *arguments.items[at.lhs],
                 &rhs = *arguments.items[at.rhs];
    Tensor found = *arguments.items[at.out];
    found.bytes = runOnCuda(arguments, callOf(c, at))[at.out];
    found.t.data = found.bytes.data();
    int64_t differ = 0;
    for (int64_t g = 0; g < c.groups(); ++g) {
      int64_t first = c.offsets[g], last = c.offsets[g + 1];
      int64_t begin = c.overRows() ? 0 : first, end = c.overRows() ? c.k : last;
      for (int64_t row = 0; row < (c.overRows() ? last - first : c.m); ++row)
        for (int64_t col = 0; col < c.n; ++col) {
          float sum = 0;
          for (int64_t block = begin; block < end; block += 128) {
            double part = 0;
            for (int64_t k = block; k < std::min(block + 128, end); k += 32) {
              int64_t lhsRow = c.overRows() ? first + row : row;
              int64_t rhsRow = c.overRows() ? g * c.n + col : col;
              part =
                  addProducts(part, lhs, lhsRow * c.k + k, rhs,
                              rhsRow * c.k + k, std::min<int64_t>(32, end - k));
            }
            sum += static_cast<float>(part);
          }
          int64_t resultRow = c.overRows() ? first + row : g * c.m + row;
          differ += found.get(resultRow * c.n + col) != sum;
        }
    }
    EXPECT_EQ(differ, 0);
  }
}
} // namespace
