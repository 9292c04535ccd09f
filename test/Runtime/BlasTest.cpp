//===- BlasTest.cpp - which products cuBLASLt is asked for ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Needs no GPU and no library: what is not legal is never asked.
//
//===----------------------------------------------------------------------===//

#include "cuda/blas.h"

#include <gtest/gtest.h>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
class BlasProductTest : public testing::Test {
protected:
  alignas(256) static inline char memory[4][256];

  BlasProduct fp8(ScaleMode lhs, ScaleMode rhs) const {
    const char *scales = memory[3];
    BlasProduct p = {};
    p.m = 64, p.n = 8, p.k = 16;
    p.lhs = {memory[0], scales, 16, TE_RT_F8E4M3, lhs, false};
    p.rhs = {memory[1], scales + 16, 16, TE_RT_F8E4M3, rhs, false};
    p.result = memory[2];
    p.resultType = p.biasType = TE_RT_BF16;
    return p;
  }
  BlasProduct tensors() const { return fp8(kModeTensor, kModeTensor); }
  /// MXFP8, or NVFP4, of 128 x 128 over 128.
  BlasProduct bytes(ScaleMode mode) const {
    BlasProduct p = fp8(mode, mode);
    p.m = p.n = p.k = p.lhs.ld = p.rhs.ld = 128;
    if (mode == kModeNvfp4)
      p.lhs.dtype = p.rhs.dtype = TE_RT_F4E2M1;
    return p;
  }
  static bool isLegal(const BlasProduct &product, int major = 9) {
    return product.whyNot(major).empty();
  }
};

TEST_F(BlasProductTest, ModesOfScales) {
  const ScaleMode all[] = {kModeNone, kModeTensor, kModeRows, kModeSquare};
  for (ScaleMode lhs : all)
    for (ScaleMode rhs : all) {
      bool isTensor = lhs == kModeTensor || rhs == kModeTensor;
      bool isNone = lhs == kModeNone || rhs == kModeNone;
      bool wanted = isTensor || isNone ? lhs == rhs
                                       : lhs == kModeRows || rhs == kModeRows;
      EXPECT_EQ(isLegal(fp8(lhs, rhs)), wanted) << lhs << ' ' << rhs;
    }
}

TEST_F(BlasProductTest, AddressesOfFp8) {
  EXPECT_TRUE(isLegal(tensors()));
  BlasProduct p = tensors();
  // That of the second group of a packed tensor.
  p.lhs.scales = static_cast<const float *>(p.lhs.scales) + 1;
  EXPECT_FALSE(isLegal(p));
  p = tensors();
  p.rhs.scales = static_cast<const float *>(p.rhs.scales) + 1;
  EXPECT_FALSE(isLegal(p));
  p = tensors();
  p.lhs.data = memory[0] + 8;
  EXPECT_FALSE(isLegal(p));
  p = tensors();
  p.result = memory[2] + 8;
  EXPECT_FALSE(isLegal(p));
}

TEST_F(BlasProductTest, ExtentsOfFp8) {
  BlasProduct p = tensors();
  p.k = 24;
  EXPECT_FALSE(isLegal(p));
  p = tensors();
  p.n = 12;
  EXPECT_FALSE(isLegal(p));
  p = tensors();
  p.m = 3;
  EXPECT_FALSE(isLegal(p));
  p.m = 1;
  EXPECT_TRUE(isLegal(p));
  p = fp8(kModeRows, kModeSquare);
  p.m = 66;
  EXPECT_FALSE(isLegal(p));
  p = tensors();
  p.lhs.ld = 24;
  EXPECT_FALSE(isLegal(p));
  p = tensors();
  p.m = 0;
  EXPECT_FALSE(isLegal(p));
}

TEST_F(BlasProductTest, TypesOfFp8) {
  BlasProduct p = tensors();
  p.lhs.dtype = TE_RT_F8E5M2;
  EXPECT_TRUE(isLegal(p));
  p.rhs.dtype = TE_RT_F8E5M2;
  EXPECT_FALSE(isLegal(p));
  p = tensors();
  p.rhs.transposed = true;
  EXPECT_FALSE(isLegal(p));
}

TEST_F(BlasProductTest, Bias) {
  BlasProduct p = tensors();
  p.bias = memory[0];
  EXPECT_TRUE(isLegal(p));
  p.bias = memory[0] + 2;
  EXPECT_FALSE(isLegal(p));
  p.bias = memory[0];
  p.biasType = TE_RT_F32;
  EXPECT_FALSE(isLegal(p));
  p.resultType = TE_RT_F32;
  EXPECT_FALSE(isLegal(p));
}

TEST_F(BlasProductTest, ModesOfBlackwell) {
  const ScaleMode all[] = {kModeNone,  kModeTensor, kModeNvfp4,
                           kModeMxfp8, kModeRows,   kModeSquare};
  for (ScaleMode lhs : all)
    for (ScaleMode rhs : all) {
      BlasProduct p = bytes(lhs);
      p.rhs = bytes(rhs).rhs;
      p.rhs.mode = rhs;
      // Blocks of F32 scales are Hopper's alone, 8-bit scales sm_100's.
      EXPECT_EQ(isLegal(p, 10),
                lhs == rhs && lhs != kModeRows && lhs != kModeSquare)
          << lhs << ' ' << rhs;
    }
  EXPECT_EQ(
      bytes(kModeMxfp8).whyNot(9),
      "lhs_scales: found scales of MXFP8 by scales of MXFP8, wanted scales of "
      "tensors, or of 1 x 128 by 1 x 128 or 128 x 128");
  EXPECT_FALSE(isLegal(bytes(kModeNvfp4), 9));
  EXPECT_FALSE(isLegal(bytes(kModeMxfp8), 12));
}

TEST_F(BlasProductTest, ExtentsAndOrderOfBlackwell) {
  BlasProduct p = bytes(kModeMxfp8);
  // As gradients of weights have them: stored along the other dimension.
  p.lhs.transposed = p.rhs.transposed = true;
  EXPECT_TRUE(isLegal(p, 10));
  p = bytes(kModeNvfp4);
  p.lhs.transposed = true;
  EXPECT_EQ(p.whyNot(10),
            "lhs: found a transposed operand, wanted rows along the reduction");
  p = bytes(kModeMxfp8);
  p.k = 144;
  EXPECT_EQ(p.whyNot(10), "k: found 144, wanted a multiple of 32");
  p = bytes(kModeMxfp8);
  p.m = 8;
  EXPECT_EQ(p.whyNot(10), "m: found 8, wanted a multiple of 16");
  p = bytes(kModeNvfp4);
  p.lhs.ld = 48; // 24 bytes
  EXPECT_EQ(p.whyNot(10),
            "lhs: found rows of 24 bytes, wanted a multiple of 16");
  p = bytes(kModeNvfp4);
  p.rhs.dtype = TE_RT_F8E4M3;
  EXPECT_EQ(p.whyNot(10), "rhs: found F8E4M3, wanted F4E2M1");
}
} // namespace
