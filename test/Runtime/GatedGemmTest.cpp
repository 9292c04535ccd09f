//===- GatedGemmTest.cpp - grouped_gemm_swiglu_quantize on ref ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GatedGemm.h"

using namespace te_test;

namespace {
TEST(GatedGemm, IsThePair) {
  unsigned seed = 0;
  for (const Gated &c : gatedCases())
    expectThePair(c, ++seed * 100, runOnRef);
}

TEST(GatedGemm, TellsWhatIsWrong) {
  Context context = makeContext();
  Gated c = {64, 128, 128, {0, 32, 64}};
  auto fails = [&](auto change, const char *text) {
    Arguments arguments;
    GatedPlaces at = build(c, arguments, 1);
    change(arguments, at);
    Tensors tensors;
    for (const auto &item : arguments.items)
      tensors.push_back(item ? &item->t : nullptr);
    EXPECT_FAILS(context, gatedCall(c, at)(context.get(), tensors),
                 TE_RT_INVALID_ARGUMENT,
                 std::string("grouped_gemm_swiglu_quantize: ") + text);
  };
  auto replaced = [](int GatedPlaces::*place, const Tensor &by) {
    return [=](Arguments &arguments, const GatedPlaces &at) {
      *arguments.items[at.*place] = by;
    };
  };
  fails(replaced(&GatedPlaces::lhs, Tensor(TE_RT_BF16, {64, 128})),
        "lhs: found BF16, wanted F8E4M3");
  fails(replaced(&GatedPlaces::rhs, Tensor(TE_RT_F8E5M2, {2, 256, 128})),
        "rhs[0]: found F8E5M2, wanted F8E4M3");
  fails(replaced(&GatedPlaces::lhsScales,
                 floats({2}, {1, 1}).scales(TE_RT_TENSOR)),
        "lhs_scales: found layout TENSOR, wanted blocks of 1 x 128");
  fails(
      [](Arguments &arguments, const GatedPlaces &at) {
        *arguments.items[at.rhs + 1] =
            scalesFor(256, 128, TE_RT_GEMM_READY, 1, 0, 2, 1);
      },
      "rhs_scales[0]: found blocks of 1 x 128, wanted blocks of 128 x 128");
  fails(
      [](Arguments &arguments, const GatedPlaces &at) {
        *arguments.items[at.rhs] = Tensor(TE_RT_F8E4M3, {2, 384, 128});
        *arguments.items[at.rhs + 1] =
            scalesFor(384, 128, TE_RT_GEMM_READY, 128, 0, 2, 1);
      },
      "rhs: found 384 rows, wanted a multiple of 256");
  fails(replaced(&GatedPlaces::result, Tensor(TE_RT_F32, {64, 256})),
        "result: found F32, wanted BF16");
  fails(replaced(&GatedPlaces::probs, Tensor(TE_RT_F32, {63})),
        "probs: found shape [63], wanted [64]");
  fails(replaced(&GatedPlaces::values, Tensor(TE_RT_F8E4M3, {64, 256})),
        "values: found shape [64, 256], wanted [64, 128]");
  fails(replaced(&GatedPlaces::scales,
                 Tensor(TE_RT_F32, {2}).scales(TE_RT_TENSOR)),
        "scales: found layout TENSOR, wanted blocks of 1 x 128");
  fails([](Arguments &arguments,
           const GatedPlaces &at) { arguments.items[at.offsets] = nullptr; },
        "offsets: found no tensor");
}
} // namespace
