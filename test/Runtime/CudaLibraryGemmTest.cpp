//===- CudaLibraryGemmTest.cpp - products by cuBLASLt on a GPU ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Group by group over streams, and all groups in one call. Held to the bounds
// of GroupedGemm.h.
//
//===----------------------------------------------------------------------===//

#include "GroupedGemm.h"
#include "cuda/blas.h"
#include "cuda/device.h"

using namespace te_test;
using namespace te_rt;

namespace {
/// Products by cuBLASLt while it lives.
struct ByLibrary {
  ByLibrary(te_rt_context *context, int32_t streams) : context(context) {
    EXPECT_EQ(te_rt_use_products(context, TE_RT_PRODUCTS_LIBRARY, streams),
              TE_RT_OK);
  }
  ~ByLibrary() { te_rt_use_products(context, TE_RT_PRODUCTS_PLANNED, 0); }
  te_rt_context *context;
};

/// However many streams share the groups: the same bits, within the bound, with
/// counts on the device and on the host; groups of none or of odd numbers of
/// rows among them.
TEST(CudaLibraryGemm, OnStreams) {
  NEEDS_GPU();
  if (isSampled())
    GTEST_SKIP() << "the library's kernels";
  te_rt_context *context = Gpu::get().context;
  for (Grouped c : someCases())
    for (const std::vector<int32_t> &offsets : kPatterns) {
      c.offsets = offsets;
      SCOPED_TRACE(c.name());
      Arguments arguments;
      Places at = build(c, arguments, 17);
      Call call = callOf(c, at);
      std::vector<Bytes> found;
      for (int32_t streams : {1, 2, 4, 8})
        for (bool onHost : {false, true}) {
          ByLibrary library(context, streams);
          arguments.items[at.offsets]->t.on_host = onHost;
          std::vector<Bytes> now = runOnCuda(arguments, call);
          if (found.empty())
            found = now;
          EXPECT_EQ(now[at.out], found[at.out])
              << streams << " streams"
              << (onHost ? ", counts on the host" : "");
          if (te_rt_has_device_memory(context)) {
            EXPECT_EQ(context->variant.rfind("library:", 0), 0u)
                << context->variant;
          }
        }
      arguments.items[at.offsets]->t.on_host = false;
      expectWithin(c, arguments, at, runOnRef(arguments, call),
                   runOnRef(magnitudes(arguments, at), call), found);
      if (HasFailure())
        return;
    }
}

/// A graph holds them where the host has the counts, and refuses them
/// otherwise.
TEST(CudaLibraryGemm, InAGraph) {
  NEEDS_GPU();
  if (isSampled())
    GTEST_SKIP() << "the library's kernels";
  te_rt_context *context = Gpu::get().context;
  if (!te_rt_has_device_memory(context))
    GTEST_SKIP() << "ref has no graphs";
  for (const Grouped &c : someCases()) {
    SCOPED_TRACE(c.name());
    Arguments arguments;
    Places at = build(c, arguments, 19);
    ByLibrary library(context, 4);
    std::vector<Bytes> wanted = runOnCuda(arguments, callOf(c, at));
    std::string message;
    auto captured = [&](te_rt_context *context, const Tensors &tensors) {
      void *graph = nullptr;
      Device &device = *context->device;
      device.beginPreparing();
      EXPECT_EQ(callOf(c, at)(context, tensors), TE_RT_OK);
      EXPECT_EQ(device.endPreparing().status, TE_RT_OK);
      EXPECT_EQ(device.beginCapture().status, TE_RT_OK);
      te_rt_status status = callOf(c, at)(context, tensors);
      message = te_rt_last_error(context);
      EXPECT_EQ(device.endCapture(&graph).status, TE_RT_OK);
      if (status == TE_RT_OK) {
        EXPECT_EQ(device.launchGraph(graph).status, TE_RT_OK);
      }
      te_rt_synchronize(context);
      device.destroyGraph(graph);
      return status;
    };
    arguments.items[at.offsets]->t.on_host = true;
    EXPECT_EQ(runOnCuda(arguments, captured)[at.out], wanted[at.out]);
    arguments.items[at.offsets]->t.on_host = false;
    runOnCuda(arguments, [&](te_rt_context *context, const Tensors &tensors) {
      EXPECT_EQ(captured(context, tensors), TE_RT_UNSUPPORTED);
      EXPECT_NE(message.find("wanted on the host"), std::string::npos)
          << message;
      return TE_RT_OK;
    });
  }
}

/// A context whose products were chosen to be made by groups; why it cannot, or
/// "".
class ByGroups {
public:
  explicit ByGroups(te_rt_context *context) : context(context) {
    context->planned = te::products::Way::Groups;
  }
  ~ByGroups() { context->planned = te::products::Way::Unset; }
  std::string whyNot() const {
    if (isSampled())
      return "the library's kernels";
    if (context->device->isHost())
      return "ref has no ways";
    cuda::Blas *blas = nullptr;
    Outcome outcome = cuda::deviceOf(context).blas(&blas);
    if (outcome.status != TE_RT_OK)
      return outcome.message;
    int64_t version = blas->groupsVersion();
    return version >= te::products::kGroupsVersion
               ? ""
               : "cuBLASLt: found version " + std::to_string(version) +
                     " (0: without layouts of groups), wanted " +
                     std::to_string(te::products::kGroupsVersion) +
                     " or later, at TE_RT_CUBLASLT";
  }

private:
  te_rt_context *context;
};

/// Gradients of BF16 weights of [m, n], of groups of the reduction; `variant`:
/// whether they are added, and whether they are one tensor.
Grouped gradients(int64_t m, int64_t n, std::vector<int32_t> offsets,
                  int64_t capacity, int variant = 0) {
  Grouped c = {Scheme::Bf16,      m, n, capacity, TE_RT_RAGGED_REDUCTION,
               std::move(offsets)};
  c.result = TE_RT_F32;
  c.transposeLhs = c.transposeRhs = true;
  c.accumulate = variant % 2 == 0;
  c.packed = variant / 2 == 0;
  return c;
}

// Before the library has made any: a graph is captured first.
TEST(CudaLibraryGemm, GroupsInAGraph) {
  NEEDS_GPU();
  ByGroups groups(Gpu::get().context);
  if (std::string why = groups.whyNot(); !why.empty())
    GTEST_SKIP() << why;
  for (int variant = 0; variant < 4; ++variant) {
    Grouped c = gradients(264, 328, {0, 144, 144, 400, 608}, 656, variant);
    SCOPED_TRACE(c.name());
    expectReplays(Gpu::get().context, c, kPatterns);
    EXPECT_EQ(Gpu::get().context->variant, "groups");
  }
}

/// Within the bound, and the same bits again; groups without rows add nothing,
/// and where results are written become 0.
TEST(CudaLibraryGemm, Groups) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  ByGroups groups(context);
  if (std::string why = groups.whyNot(); !why.empty())
    GTEST_SKIP() << why;
  std::vector<Grouped> cases;
  for (const std::vector<int32_t> &offsets : kPatterns)
    for (int variant = 0; variant < 4; ++variant)
      cases.push_back(gradients(264, 328, offsets, 656, variant));
  for (bool writes : {false, true}) {
    cases.push_back(
        gradients(1536, 768, {0, 129, 2049, 2049, 2050}, 2100, writes));
    cases.push_back(gradients(8, 16, {0, 1, 2, 3, 70}, 72, writes));
  }
  for (const Grouped &c : cases) {
    SCOPED_TRACE(c.name());
    Arguments arguments;
    Places at = build(c, arguments, 23);
    Call call = callOf(c, at);
    std::vector<Bytes> found = runOnCuda(arguments, call);
    EXPECT_EQ(context->variant, "groups");
    EXPECT_EQ(context->went, te::products::Way::Groups);
    expectWithin(c, arguments, at, runOnRef(arguments, call),
                 runOnRef(magnitudes(arguments, at), call), found);
    EXPECT_EQ(found, runOnCuda(arguments, call)) << "a second run differs";
    if (HasFailure())
      return;
  }
}

/// What the library has no way for goes to our kernel, which says so.
TEST(CudaLibraryGemm, GroupsThatItDoesNotTake) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  if (context->device->isHost())
    GTEST_SKIP() << "ref has no ways";
  ByGroups groups(context);
  Grouped c = gradients(264, 328, {0, 144, 144, 400, 608}, 656);
  c.result = TE_RT_BF16;
  c.accumulate = false;
  Arguments arguments;
  Places at = build(c, arguments, 23);
  std::vector<Bytes> found = runOnCuda(arguments, callOf(c, at));
  EXPECT_EQ(context->variant.rfind("own:", 0), 0u) << context->variant;
  EXPECT_NE(context->variant.find(",no-groups"), std::string::npos)
      << context->variant;
  EXPECT_EQ(context->went, te::products::Way::Own);
  context->planned = te::products::Way::Own;
  EXPECT_EQ(found, runOnCuda(arguments, callOf(c, at)));
}
} // namespace
