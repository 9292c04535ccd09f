//===- CudaCommunicationTest.cpp - ranks on GPUs, ref against cuda --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ranks take the machine's GPUs in turn: on one they all share it; where each
// finds its own, NCCL carries the rows (TE_RT_LINK=direct: they read each
// other's memory all the same).
//
//===----------------------------------------------------------------------===//

#include "Twin.h"
#include "common/check.h"
#include "cuda/kernels/params.h"

#include <cstdlib>
#include <thread>

using namespace te_test;

namespace {
te_rt_backend gpuBackend() {
  return conformanceIs("self") ? TE_RT_REF : TE_RT_CUDA;
}

/// Runs body(context, rank) on a thread and a context for each rank. What fails
/// ends the others' wait.
void onRanks(te_rt_backend backend, int32_t ranks,
             const std::function<void(te_rt_context *, int32_t)> &body) {
  te_rt_communicator *world = nullptr;
  ASSERT_EQ(te_rt_communicator_create(ranks, &world), TE_RT_OK);
  std::vector<std::thread> threads;
  for (int32_t rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      te_rt_context *context = nullptr;
      char message[512] = "";
      te_rt_status status = te_rt_context_create(
          backend, 1, world, rank, &context, message, sizeof message);
      EXPECT_EQ(status, TE_RT_OK) << message;
      if (status == TE_RT_OK)
        body(context, rank);
      if (::testing::Test::HasFailure())
        te_rt_communicator_abort(world);
      noteKernels(context);
      te_rt_context_destroy(context);
    });
  for (std::thread &thread : threads)
    thread.join();
  te_rt_communicator_destroy(world);
}

/// Makes the same calls with the same arguments on both backends.
void expectTwinRanks(int32_t ranks,
                     const std::function<Arguments(int32_t)> &make,
                     const Call &call, int times = 1) {
  std::vector<std::vector<Bytes>> wanted(static_cast<size_t>(ranks));
  onRanks(TE_RT_REF, ranks, [&](te_rt_context *context, int32_t rank) {
    wanted[rank] = runOnDevice(context, make(rank), call, times);
  });
  if (::testing::Test::HasFailure())
    return;
  onRanks(gpuBackend(), ranks, [&](te_rt_context *context, int32_t rank) {
    Arguments arguments = make(rank);
    expectSame(arguments, wanted[rank],
               runOnDevice(context, arguments, call, times));
  });
}

/// Experts of a rank's tokens: distinct, -1 here and there; on rank 1 of
/// several most of them are those of rank 0.
Tensor indicesOf(int32_t rank, int32_t ranks, int64_t tokens, int64_t slots,
                 int64_t experts) {
  std::mt19937 random(static_cast<unsigned>(rank + 1));
  Tensor indices(TE_RT_I32, {tokens, slots});
  auto *chosen = reinterpret_cast<int32_t *>(indices.bytes.data());
  for (int64_t i = 0; i < tokens * slots; ++i) {
    int64_t among = rank == 1 && random() % 8 ? experts : ranks * experts;
    chosen[i] = static_cast<int32_t>(random() % (among + 1)) - 1;
  }
  return indices;
}

/// The handle that ref makes of indicesOf.
std::vector<Tensor> handlesOf(int32_t ranks, int64_t tokens, int64_t slots) {
  std::vector<Tensor> handles(static_cast<size_t>(ranks),
                              Tensor(TE_RT_I32, {tokens, ranks}));
  onRanks(TE_RT_REF, ranks, [&](te_rt_context *context, int32_t rank) {
    Tensor received(TE_RT_I32, {ranks * tokens, slots});
    EXPECT_EQ(te_rt_dispatch_map(context,
                                 indicesOf(rank, ranks, tokens, slots, 4),
                                 handles[rank], received, ranks, 4),
              TE_RT_OK);
  });
  return handles;
}

std::vector<int64_t> tokenCounts() {
  if (isReduced())
    return {1, 130};
  return {0, 1, 13, 1024, 1300};
}

class CudaRanks : public ::testing::TestWithParam<int32_t> {
protected:
  void SetUp() override {
    if (!Gpu::get().context)
      GTEST_SKIP() << Gpu::get().why;
  }
};

TEST_P(CudaRanks, DispatchMap) {
  int32_t ranks = GetParam();
  for (int64_t tokens : tokenCounts())
    for (auto [slots, experts] : {std::pair<int64_t, int64_t>{1, 1}, {8, 32}}) {
      expectTwinRanks(
          ranks,
          [&, slots = slots, experts = experts](int32_t rank) {
            Arguments arguments;
            arguments.add(indicesOf(rank, ranks, tokens, slots, experts));
            arguments.add(Tensor(TE_RT_I32, {tokens, ranks}));
            arguments.add(Tensor(TE_RT_I32, {ranks * tokens, slots}));
            return arguments;
          },
          [&, experts = experts](te_rt_context *context, const Tensors &t) {
            return te_rt_dispatch_map(context, t[0], t[1], t[2], ranks,
                                      experts);
          });
      if (HasFailure())
        return;
    }
}

/// Tensors that travel together: more than one launch takes, of all alignments.
void addTravellers(Arguments &arguments, int64_t tokens, unsigned seed) {
  auto rows = [&](te_rt_dtype type, std::vector<int64_t> shape) {
    shape.insert(shape.begin(), tokens);
    arguments.add(noise(type, shape, ++seed));
  };
  rows(TE_RT_BF16, {isReduced() ? 64 : 1024});
  rows(TE_RT_F8E4M3, {isReduced() ? 64 : 1024});
  rows(TE_RT_F32, {56});
  arguments.items.back()->scales(TE_RT_COMPACT, 1, 128);
  Tensor bytes =
      noise(TE_RT_F8E8M0, {te_rt::scaleRows(TE_RT_F8E8M0, tokens), 4}, ++seed);
  arguments.add(bytes.scales(TE_RT_COMPACT, 1, 32));
  rows(TE_RT_I32, {});
  rows(TE_RT_BF16, {3});
  rows(TE_RT_U8, {17});
  rows(TE_RT_F32, {2, 5});
  rows(TE_RT_I64, {1});
  rows(TE_RT_BF16, {128});
}

TEST_P(CudaRanks, Dispatch) {
  int32_t ranks = GetParam();
  for (int64_t tokens : tokenCounts()) {
    std::vector<Tensor> handles = handlesOf(ranks, tokens, 3);
    expectTwinRanks(
        ranks,
        [&](int32_t rank) {
          Arguments arguments;
          arguments.add(handles[rank]);
          addTravellers(arguments, tokens, static_cast<unsigned>(100 * rank));
          for (size_t i = 1, count = arguments.items.size(); i < count; ++i) {
            const te_rt_tensor &from = arguments.items[i]->t;
            std::vector<int64_t> shape(from.shape, from.shape + from.rank);
            shape[0] = from.dtype == TE_RT_F8E8M0
                           ? te_rt::scaleRows(from.dtype, ranks * tokens)
                           : ranks * tokens;
            Tensor to(from.dtype, shape);
            arguments.add(
                to.scales(from.layout, from.block_rows, from.block_cols));
          }
          return arguments;
        },
        [](te_rt_context *context, const Tensors &t) {
          std::vector<te_rt_tensor> in, out;
          size_t count = (t.size() - 1) / 2;
          for (size_t i = 1; i <= count; ++i) {
            in.push_back(*t[i]);
            out.push_back(*t[i + count]);
          }
          return te_rt_dispatch(context, t[0], {in.data(), int64_t(count)},
                                {out.data(), int64_t(count)});
        });
    if (HasFailure())
      return;
  }
}

TEST_P(CudaRanks, Combine) {
  int32_t ranks = GetParam();
  for (int64_t tokens : tokenCounts()) {
    std::vector<Tensor> handles = handlesOf(ranks, tokens, 3);
    expectTwinRanks(
        ranks,
        [&](int32_t rank) {
          Arguments arguments;
          arguments.add(handles[rank]);
          auto seed = static_cast<unsigned>(10 * rank);
          for (auto [type, width] :
               {std::pair{TE_RT_BF16, isReduced() ? 64 : 1024},
                {TE_RT_F32, 3},
                {TE_RT_BF16, 5},
                {TE_RT_F32, 8}}) {
            arguments.add(values(type, {ranks * tokens, width}, ++seed,
                                 /*special=*/true));
            arguments.add(Tensor(type, {tokens, width}));
          }
          return arguments;
        },
        [](te_rt_context *context, const Tensors &t) {
          te_rt_tensor in[] = {*t[1], *t[3], *t[5], *t[7]};
          te_rt_tensor out[] = {*t[2], *t[4], *t[6], *t[8]};
          return te_rt_combine(context, t[0], {in, 4}, {out, 4});
        });
    if (HasFailure())
      return;
  }
}

TEST_P(CudaRanks, AllReduce) {
  int32_t ranks = GetParam();
  for (int64_t length : {1, 300})
    expectTwinRanks(
        ranks,
        [&](int32_t rank) {
          auto seed = static_cast<unsigned>(10 * rank);
          Arguments arguments;
          Tensor several =
              floats({4}, {rank == 0 ? NAN : 3.0f, NAN, rank == 0 ? NAN : 0.0f,
                           rank == 0 ? -2.0f : -0.0f});
          arguments.add(several);
          arguments.add(values(TE_RT_F32, {length, 3}, ++seed, true));
          arguments.add(values(TE_RT_F32, {}, ++seed));
          arguments.add(Tensor(TE_RT_F32, {}));
          return arguments;
        },
        [](te_rt_context *context, const Tensors &t) {
          te_rt_tensor in[] = {*t[0], *t[1], *t[2]};
          te_rt_tensor out[] = {*t[0], *t[1], *t[3]};
          return te_rt_all_reduce(context, {in, 3}, {out, 3});
        },
        /*times=*/3);
}

/// Each call reads what the one before has written, on every rank, and nothing
/// waits in between.
TEST_P(CudaRanks, CallsInARowKeepTheirOrder) {
  int32_t ranks = GetParam();
  int64_t tokens = isReduced() ? 40 : 1500, width = isReduced() ? 32 : 1024;
  expectTwinRanks(
      ranks,
      [&](int32_t rank) {
        Arguments arguments;
        arguments.add(indicesOf(rank, ranks, tokens, 2, 3));
        arguments.add(Tensor(TE_RT_I32, {tokens, ranks}));
        arguments.add(Tensor(TE_RT_I32, {ranks * tokens, 2}));
        arguments.add(
            values(TE_RT_BF16, {tokens, width}, static_cast<unsigned>(rank)));
        arguments.add(Tensor(TE_RT_BF16, {ranks * tokens, width}));
        arguments.add(floats({}, {float(rank)}));
        return arguments;
      },
      [&](te_rt_context *context, const Tensors &t) {
        for (int time = 0; time < 5; ++time) {
          te_rt_status status =
              te_rt_dispatch_map(context, t[0], t[1], t[2], ranks, 3);
          if (status == TE_RT_OK)
            status = te_rt_dispatch(context, t[1], {t[3], 1}, {t[4], 1});
          if (status == TE_RT_OK)
            status = te_rt_combine(context, t[1], {t[4], 1}, {t[3], 1});
          if (status == TE_RT_OK)
            status = te_rt_all_reduce(context, {t[5], 1}, {t[5], 1});
          if (status != TE_RT_OK)
            return status;
        }
        return TE_RT_OK;
      },
      /*times=*/isReduced() ? 1 : 4);
}

TEST_P(CudaRanks, RanksThatDisagreeAllReturn) {
  int32_t ranks = GetParam();
  if (ranks == 1)
    return;
  onRanks(gpuBackend(), ranks, [&](te_rt_context *context, int32_t rank) {
    Tensor a = floats({1 + rank}, std::vector<float>(size_t(1 + rank), 1.0f));
    runOnDevice(
        context,
        [&] {
          Arguments arguments;
          arguments.add(a);
          return arguments;
        }(),
        [&](te_rt_context *, const Tensors &t) {
          EXPECT_EQ(te_rt_all_reduce(context, {t[0], 1}, {t[0], 1}),
                    TE_RT_INVALID_ARGUMENT);
          EXPECT_NE(std::string(te_rt_last_error(context))
                        .find("wanted all_reduce of F32 [" +
                              std::to_string(1 + rank) + "] as on rank"),
                    std::string::npos)
              << te_rt_last_error(context);
          return TE_RT_OK;
        });
  });
}

TEST_P(CudaRanks, AbortEndsTheWaitOfOthers) {
  int32_t ranks = GetParam();
  if (ranks == 1)
    return;
  te_rt_communicator *world = nullptr;
  ASSERT_EQ(te_rt_communicator_create(ranks, &world), TE_RT_OK);
  std::thread waiting([&] {
    te_rt_context *context = nullptr;
    ASSERT_EQ(
        te_rt_context_create(gpuBackend(), 1, world, 0, &context, nullptr, 0),
        TE_RT_OK);
    void *memory = nullptr;
    ASSERT_EQ(te_rt_allocate(context, 4, &memory), TE_RT_OK);
    te_rt_tensor amax = {};
    amax.dtype = TE_RT_F32;
    amax.data = memory;
    EXPECT_EQ(te_rt_all_reduce(context, {&amax, 1}, {&amax, 1}),
              TE_RT_INTERNAL);
    te_rt_release(context, memory);
    te_rt_context_destroy(context);
  });
  te_rt_communicator_abort(world);
  waiting.join();
  te_rt_communicator_destroy(world);
}

/// What a rank packs for others that bring it back through messages, which want a
/// GPU for each of them: the kernel by itself.
TEST(CudaOneRank, PacksRowsForOthers) {
  NEEDS_GPU();
  te_rt_context *context = Gpu::get().context;
  if (context->device->isHost())
    GTEST_SKIP() << "ref has no messages";
  constexpr int64_t tokens = 130;
  constexpr int32_t ranks = 3, rank = 1;
  for (int64_t width : {200, 3}) {
    Arguments arguments;
    for (int32_t to = 0; to < ranks; ++to) {
      Tensor handle(TE_RT_I32, {tokens, ranks});
      for (int64_t i = 0; i < handle.size(); ++i)
        handle.as<int32_t>()[i] =
            i % 7 ? static_cast<int32_t>(i * 31 % (tokens * ranks)) : -1;
      arguments.add(handle);
    }
    int rows = arguments.add(values(TE_RT_BF16, {tokens * ranks, width}, 1));
    int packed = arguments.add(values(TE_RT_BF16, {ranks * tokens, width}, 2));
    std::vector<Bytes> found =
        runOnCuda(arguments, [&](te_rt_context *context, const Tensors &t) {
          te_rt::cuda::ExchangeArgs args = {};
          for (int32_t to = 0; to < ranks; ++to)
            args.handles[to] = static_cast<const int32_t *>(t[to]->data);
          args.items[0].from[rank] = t[rows]->data;
          args.items[0].to = t[packed]->data;
          args.items[0].rowBytes = 2 * width;
          args.tokens = tokens;
          args.capacity = tokens * ranks;
          args.numItems = 1;
          args.ranks = ranks;
          args.rank = rank;
          return te_rt::cuda::deviceOf(context)
              .launch("return_rows", {args.capacity, 256}, args)
              .status;
        });
    Tensor wanted = *arguments.items[packed];
    for (int32_t to = 0; to < ranks; ++to)
      for (int64_t token = 0; token < tokens; ++token) {
        int32_t row =
            arguments.items[to]->as<int32_t>()[token * ranks + rank];
        if (to != rank && row >= 0)
          std::copy_n(&arguments.items[rows]->bytes[row * 2 * width], 2 * width,
                      &wanted.bytes[(to * tokens + token) * 2 * width]);
      }
    EXPECT_EQ(found[packed], wanted.bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(OneToFour, CudaRanks, ::testing::Values(1, 2, 3, 4));
} // namespace
