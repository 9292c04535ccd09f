//===- CudaGatedGemmTest.cpp - grouped_gemm_swiglu_quantize on cuda -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// To the bits of the two calls on the same device, which CudaGroupedGemmTest
// and CudaLayerTest hold to ref.
//
//===----------------------------------------------------------------------===//

#include "GatedGemm.h"

using namespace te_test;

namespace {
TEST(CudaGatedGemm, IsThePair) {
  NEEDS_GPU();
  unsigned seed = 0;
  auto run = [](const Arguments &arguments, const Call &call) {
    return runOnCuda(arguments, call);
  };
  for (const Gated &c : gatedCases()) {
    ++seed;
    if (isReduced() && seed % 5)
      continue;
    expectThePair(c, seed * 100, run);
    if (HasFailure())
      return;
  }
}

/// More tiles than a block takes, and groups than a warp knows at a time.
TEST(CudaGatedGemm, ManyGroupsAndTiles) {
  NEEDS_GPU();
  if (isReduced())
    return;
  std::vector<int32_t> offsets = {0};
  for (int g = 0; g < 70; ++g)
    offsets.push_back(offsets.back() + (g % 5 == 3 ? 0 : g * 37 % 290));
  Gated c = {offsets.back() + 5, 768, 272, offsets};
  expectThePair(c, 7, [](const Arguments &arguments, const Call &call) {
    std::vector<Bytes> found = runOnCuda(arguments, call);
    EXPECT_EQ(found, runOnCuda(arguments, call)) << "a second run differs";
    return found;
  });
}

/// The function of operands that the copy engine cannot read.
TEST(CudaGatedGemm, OddRows) {
  NEEDS_GPU();
  Gated c = {40, 128, 136, {0, 16, 40}};
  c.result = false;
  expectThePair(c, 3, [](const Arguments &arguments, const Call &call) {
    return runOnCuda(arguments, call);
  });
}
} // namespace
