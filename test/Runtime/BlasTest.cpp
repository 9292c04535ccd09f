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
    auto *scales = reinterpret_cast<const float *>(memory[3]);
    BlasProduct p = {};
    p.m = 64, p.n = 8, p.k = 16;
    p.lhs = {memory[0], scales, 16, TE_RT_F8E4M3, lhs, false};
    p.rhs = {memory[1], scales + 4, 16, TE_RT_F8E4M3, rhs, false};
    p.result = memory[2];
    p.resultType = p.biasType = TE_RT_BF16;
    return p;
  }
  BlasProduct tensors() const { return fp8(kModeTensor, kModeTensor); }
};

TEST_F(BlasProductTest, ModesOfScales) {
  const ScaleMode all[] = {kModeNone, kModeTensor, kModeRows, kModeSquare};
  for (ScaleMode lhs : all)
    for (ScaleMode rhs : all) {
      bool isTensor = lhs == kModeTensor || rhs == kModeTensor;
      bool isNone = lhs == kModeNone || rhs == kModeNone;
      bool wanted = isTensor || isNone ? lhs == rhs
                                       : lhs == kModeRows || rhs == kModeRows;
      EXPECT_EQ(fp8(lhs, rhs).isLegal(), wanted) << lhs << ' ' << rhs;
    }
}

TEST_F(BlasProductTest, AddressesOfFp8) {
  EXPECT_TRUE(tensors().isLegal());
  BlasProduct p = tensors();
  ++p.lhs.scales; // that of the second group of a packed tensor
  EXPECT_FALSE(p.isLegal());
  p = tensors();
  ++p.rhs.scales;
  EXPECT_FALSE(p.isLegal());
  p = tensors();
  p.lhs.data = memory[0] + 8;
  EXPECT_FALSE(p.isLegal());
  p = tensors();
  p.result = memory[2] + 8;
  EXPECT_FALSE(p.isLegal());
}

TEST_F(BlasProductTest, ExtentsOfFp8) {
  BlasProduct p = tensors();
  p.k = 24;
  EXPECT_FALSE(p.isLegal());
  p = tensors();
  p.n = 12;
  EXPECT_FALSE(p.isLegal());
  p = tensors();
  p.m = 3;
  EXPECT_FALSE(p.isLegal());
  p.m = 1;
  EXPECT_TRUE(p.isLegal());
  p = fp8(kModeRows, kModeSquare);
  p.m = 66;
  EXPECT_FALSE(p.isLegal());
  p = tensors();
  p.lhs.ld = 24;
  EXPECT_FALSE(p.isLegal());
  p = tensors();
  p.m = 0;
  EXPECT_FALSE(p.isLegal());
}

TEST_F(BlasProductTest, TypesOfFp8) {
  BlasProduct p = tensors();
  p.lhs.dtype = TE_RT_F8E5M2;
  EXPECT_TRUE(p.isLegal());
  p.rhs.dtype = TE_RT_F8E5M2;
  EXPECT_FALSE(p.isLegal());
  p = tensors();
  p.rhs.transposed = true;
  EXPECT_FALSE(p.isLegal());
}

TEST_F(BlasProductTest, Bias) {
  BlasProduct p = tensors();
  p.bias = memory[0];
  EXPECT_TRUE(p.isLegal());
  p.bias = memory[0] + 2;
  EXPECT_FALSE(p.isLegal());
  p.bias = memory[0];
  p.biasType = TE_RT_F32;
  EXPECT_FALSE(p.isLegal());
  p.resultType = TE_RT_F32;
  EXPECT_FALSE(p.isLegal());
}
} // namespace
