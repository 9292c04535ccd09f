//===- CudaStateTest.cpp - scales and states of casts, ref against cuda ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Twin.h"
#include "cuda/kernels/params.h"

using namespace te_test;

namespace {
TEST(CudaState, UpdateScales) {
  NEEDS_GPU();
  for (bool inPlace : {false, true})
    for (bool recent : {false, true})
      for (int64_t length : {1, 2, 16, 257, 1024})
        for (int64_t margin : {0, 3}) {
          Arguments arguments;
          constexpr int kItems = 5;
          for (int i = 0; i < kItems; ++i) {
            std::vector<int64_t> slots;
            if (i % 2)
              slots = {i + 1};
            std::vector<int64_t> past = slots;
            past.push_back(length);
            Tensor amax = values(TE_RT_F32, slots, i + 1);
            static const float special[] = {0.0f, NAN, INFINITY, 1e-42f, 3.5f};
            amax.set(0, special[i % 5]);
            for (int64_t k = 0; k < amax.size(); ++k)
              amax.set(k, std::fabs(amax.get(k)));
            Tensor history = values(TE_RT_F32, past, i + 20, i % 2);
            for (int64_t k = 0; k < history.size(); ++k)
              history.set(k, std::fabs(history.get(k)));
            arguments.add(amax);
            arguments.add(history);
            arguments.add(values(TE_RT_F32, slots, i + 40));
            arguments.add(Tensor(TE_RT_F32, past));
            arguments.add(Tensor(TE_RT_F32, slots));
          }
          expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
            std::vector<te_rt_tensor> lists[5];
            for (size_t i = 0; i < t.size(); ++i)
              lists[i % 5].push_back(*t[i]);
            auto list = [&](int k) {
              return te_rt_tensor_list{lists[k].data(), kItems};
            };
            return te_rt_update_scales(context, list(0), list(1), list(2),
                                       list(inPlace ? 1 : 3),
                                       list(inPlace ? 2 : 4), 448, margin,
                                       recent);
          });
          if (HasFailure())
            return;
        }
}

TEST(CudaState, ScaleFromAmax) {
  NEEDS_GPU();
  static const float special[] = {0.0f, NAN,     INFINITY, 1e-42f, 3.5f,
                                  1.0f, 448.0f,  0x1p-126f, 3e38f, 0.875f};
  for (bool inPlace : {false, true})
    for (bool pow2 : {false, true})
      for (double fp8Max : {448.0, 57344.0})
        for (double epsilon : {0.0, 1e-3}) {
          Arguments arguments;
          for (int64_t length : {1, 10, 300}) {
            Tensor amax = values(TE_RT_F32, {length}, unsigned(length));
            for (int64_t i = 0; i < length; ++i)
              amax.set(i, i < 10 ? special[i] : std::fabs(amax.get(i)));
            arguments.add(amax);
            arguments.add(Tensor(TE_RT_F32, {length}));
          }
          expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
            te_rt_tensor amaxes[] = {*t[0], *t[2], *t[4]};
            te_rt_tensor scales[] = {*t[1], *t[3], *t[5]};
            return te_rt_scale_from_amax(context, {amaxes, 3},
                                         {inPlace ? amaxes : scales, 3}, fp8Max,
                                         pow2, epsilon);
          });
          if (HasFailure())
            return;
        }
}

TEST(CudaState, AdvanceRng) {
  NEEDS_GPU();
  for (std::vector<int64_t> shape :
       std::vector<std::vector<int64_t>>{{2}, {5, 2}, {200, 2}})
    for (bool inPlace : {false, true})
      for (int64_t by : {1, -3, 1 << 20}) {
        Arguments arguments;
        arguments.add(noise(TE_RT_I64, shape, 3));
        arguments.add(Tensor(TE_RT_I64, shape));
        expectTwins(arguments, [&](te_rt_context *context, const Tensors &t) {
          return te_rt_advance_rng(context, t[0], t[inPlace ? 0 : 1], by);
        });
      }
}

/// What cuBLASLt multiplies products of NVFP4 by, which it does on sm_100: the
/// kernel by itself.
TEST(CudaState, FactorsOfProducts) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  if (context->device->isHost())
    GTEST_SKIP() << "ref has no such factors";
  constexpr int64_t first = 2, groups = 300;
  for (bool perGroup : {false, true})
    for (bool accumulate : {false, true}) {
      Arguments arguments;
      arguments.add(values(TE_RT_F32, {perGroup ? first + groups : 1}, 1));
      arguments.add(values(TE_RT_F32, {groups}, 2));
      arguments.add(Tensor(TE_RT_I64, {groups})); // addresses
      int out = arguments.add(Tensor(TE_RT_F32, {groups, 2}));
      std::vector<Bytes> found =
          runOnCuda(arguments, [&](te_rt_context *context, const Tensors &t) {
            std::vector<const float *> amaxes;
            for (int64_t g = 0; g < groups; ++g) // in another order
              amaxes.push_back(static_cast<const float *>(t[1]->data) +
                               groups - 1 - g);
            te_rt_copy_memory(context, t[2]->data, amaxes.data(),
                              amaxes.size() * sizeof(amaxes[0]));
            te_rt::cuda::ProductFactorsArgs args = {};
            args.lhsAmax = static_cast<const float *>(t[0]->data);
            args.rhsAmaxes = static_cast<const float *const *>(t[2]->data);
            args.factors = static_cast<float *>(t[3]->data);
            args.firstGroup = first;
            args.groups = groups;
            args.lhsPerGroup = perGroup;
            args.accumulate = accumulate;
            return te_rt::cuda::deviceOf(context)
                .launch("product_factors", {2, 256}, args)
                .status;
          });
      Tensor wanted(TE_RT_F32, {groups, 2});
      for (int64_t g = 0; g < groups; ++g) {
        float lhs = arguments.items[0]->get(perGroup ? first + g : 0);
        float rhs = arguments.items[1]->get(groups - 1 - g);
        // 6 x 448, the largest of a code times that of a scale, squared.
        wanted.set(2 * g, lhs * rhs / (2688.0f * 2688.0f));
        wanted.set(2 * g + 1, accumulate);
      }
      EXPECT_EQ(found[out], wanted.bytes);
    }
}

/// The arrays that cuBLASLt reads groups of a product from, which is there from 13.4
/// on: the kernel by itself.
TEST(CudaState, GroupsOfProducts) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  if (context->device->isHost())
    GTEST_SKIP() << "ref has no such arrays";
  const std::vector<int32_t> offsets = {16, 48, 48, 112};
  constexpr int64_t groups = 3, m = 8, n = 24;
  for (bool accumulate : {false, true}) {
    Arguments arguments;
    int at = arguments.add(offsetsOf(offsets));
    int results = arguments.add(values(TE_RT_F32, {groups, m, n}, 1));
    int pointers = arguments.add(Tensor(TE_RT_I64, {4, groups}));
    int numbers = arguments.add(Tensor(TE_RT_I32, {3, groups}));
    int scales = arguments.add(Tensor(TE_RT_F32, {2}));
    int64_t begin = 0; // of the results
    std::vector<Bytes> found =
        runOnCuda(arguments, [&](te_rt_context *context, const Tensors &t) {
          auto *lists = static_cast<void **>(t[pointers]->data);
          auto *extents = static_cast<int32_t *>(t[numbers]->data);
          begin = reinterpret_cast<int64_t>(t[results]->data);
          void *own[groups];
          for (int64_t g = 0; g < groups; ++g)
            own[g] = static_cast<float *>(t[results]->data) + g * m * n;
          te_rt_copy_memory(context, lists + 3 * groups, own, sizeof own);
          te_rt::cuda::ProductGroupsArgs args = {};
          args.offsets = static_cast<const int32_t *>(t[at]->data);
          args.lhs = reinterpret_cast<const char *>(int64_t(1) << 20);
          args.rhs = reinterpret_cast<const char *>(int64_t(1) << 21);
          args.results = lists + 3 * groups;
          args.groups = groups;
          args.m = m;
          args.n = n;
          args.arrays.lhs = const_cast<const void **>(lists);
          args.arrays.rhs = const_cast<const void **>(lists + groups);
          args.arrays.results = lists + 2 * groups;
          args.arrays.m = extents;
          args.arrays.n = extents + groups;
          args.arrays.k = extents + 2 * groups;
          args.scales = static_cast<float *>(t[scales]->data);
          args.accumulate = accumulate;
          return te_rt::cuda::deviceOf(context)
              .launch("product_groups", {2, 256}, args)
              .status;
        });
    Tensor lists = *arguments.items[pointers], extents = *arguments.items[numbers],
           sums = *arguments.items[results];
    for (int64_t g = 0; g < groups; ++g) {
      auto *list = lists.as<int64_t>();
      auto *extent = extents.as<int32_t>();
      list[g] = (1 << 20) + offsets[g] * m * 2;
      list[groups + g] = (1 << 21) + offsets[g] * n * 2;
      list[2 * groups + g] = list[3 * groups + g] = begin + g * m * n * 4;
      extent[g] = m;
      extent[groups + g] = n;
      extent[2 * groups + g] = offsets[g + 1] - offsets[g];
      for (int64_t i = 0; i < m * n; ++i)
        if (!accumulate && offsets[g] == offsets[g + 1])
          sums.set(g * m * n + i, 0.0f);
    }
    EXPECT_EQ(found[pointers], lists.bytes);
    EXPECT_EQ(found[numbers], extents.bytes);
    EXPECT_EQ(found[results], sums.bytes);
    EXPECT_EQ(found[scales], floats({2}, {1.0f, accumulate ? 1.0f : 0.0f}).bytes);
  }
}
} // namespace
