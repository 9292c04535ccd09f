//===- ContextTest.cpp - contexts, messages, and refusals -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"
#include "te_runtime/device.h"

using namespace te_test;

namespace {
TEST(Context, CudaIsUnavailableAndSaysWhy) {
  te_rt_context *context = reinterpret_cast<te_rt_context *>(1);
  char message[256] = "";
  te_rt_status status = te_rt_context_create(TE_RT_CUDA, 0, nullptr, 0,
                                             &context, message, sizeof(message));
  if (status == TE_RT_OK) {
    te_rt_context_destroy(context);
    GTEST_SKIP() << "there is a GPU";
  }
  EXPECT_EQ(status, TE_RT_UNAVAILABLE);
  EXPECT_EQ(context, nullptr);
  EXPECT_NE(std::string(message).find("CUDA"), std::string::npos);
  EXPECT_NE(std::string(message).find("ref backend"), std::string::npos);
}

TEST(Context, RefusesBadArguments) {
  te_rt_context *context = nullptr;
  char message[32] = "";
  auto create = [&](int backend, int32_t threads, int32_t rank) {
    return te_rt_context_create(static_cast<te_rt_backend>(backend), threads,
                                nullptr, rank, &context, message,
                                sizeof(message));
  };
  EXPECT_EQ(create(TE_RT_REF, -1, 0), TE_RT_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(message).find("threads: found -1"), 0u);
  EXPECT_EQ(create(TE_RT_REF, 1, 1), TE_RT_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(message), "rank: found 1, wanted 0 to 0");
  EXPECT_EQ(context, nullptr);
}

TEST(Context, MessageNamesFunctionArgumentFoundAndWanted) {
  Context context = makeContext();
  Tensor input = normal(TE_RT_BF16, {4, 8}, 1);
  Tensor output(TE_RT_BF16, {4, 7}), other(TE_RT_F32, {4, 8});
  EXPECT_EQ(te_rt_copy(context.get(), input, output), TE_RT_INVALID_ARGUMENT);
  EXPECT_STREQ(te_rt_last_error(context.get()),
               "copy: output: found shape [4, 7], wanted [4, 8]");
  EXPECT_EQ(te_rt_copy(context.get(), input, other), TE_RT_INVALID_ARGUMENT);
  EXPECT_STREQ(te_rt_last_error(context.get()),
               "copy: output: found F32, wanted BF16");
  EXPECT_EQ(te_rt_copy(context.get(), input, nullptr), TE_RT_INVALID_ARGUMENT);
  EXPECT_STREQ(te_rt_last_error(context.get()),
               "copy: output: found no tensor, wanted one");
  Tensor good(TE_RT_BF16, {4, 8});
  EXPECT_OK(context, te_rt_copy(context.get(), input, good));
  EXPECT_STREQ(te_rt_last_error(context.get()), "");
}

TEST(Context, RefusesDescriptorsThatMakeNoSense) {
  Context context = makeContext();
  Tensor output(TE_RT_F32, {4});
  Tensor bad = output;
  bad.t.rank = 5;
  EXPECT_FAILS(context, te_rt_copy(context.get(), bad, output),
               TE_RT_INVALID_ARGUMENT, "input: found rank 5");
}

TEST(Context, RefusesExtentsAndTypesOutOfRange) {
  Context context = makeContext();
  Tensor output(TE_RT_F32, {4});
  Tensor negative = output, huge = output, noType = output, noData = output;
  negative.t.shape[0] = -4;
  huge.t.rank = 2;
  huge.t.shape[0] = huge.t.shape[1] = int64_t(1) << 40;
  const int32_t number = 42;
  std::memcpy(&noType.t.dtype, &number, sizeof(number));
  noData.t.data = nullptr;
  EXPECT_FAILS(context, te_rt_copy(context.get(), negative, output),
               TE_RT_INVALID_ARGUMENT, "input: found shape [-4]");
  EXPECT_FAILS(context, te_rt_copy(context.get(), huge, output),
               TE_RT_INVALID_ARGUMENT, "2^48 bytes");
  EXPECT_FAILS(context, te_rt_copy(context.get(), noType, output),
               TE_RT_INVALID_ARGUMENT, "dtype 42");
  EXPECT_FAILS(context, te_rt_copy(context.get(), noData, output),
               TE_RT_INVALID_ARGUMENT, "NULL data");
}

TEST(Context, ProductsAreOneOfThreeAndStreamsUpTo8) {
  Context context = makeContext();
  EXPECT_EQ(te_rt_use_products(context.get(), TE_RT_PRODUCTS_LIBRARY, 8), TE_RT_OK);
  EXPECT_EQ(te_rt_use_products(context.get(), te_rt_products(3), 0),
            TE_RT_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(te_rt_last_error(context.get())),
            "use_products: products: found 3, wanted 0, 1 or 2");
  EXPECT_EQ(te_rt_use_products(context.get(), TE_RT_PRODUCTS_OWN, 9),
            TE_RT_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(te_rt_last_error(context.get())),
            "use_products: streams: found 9, wanted 0 to 8");
}
} // namespace
