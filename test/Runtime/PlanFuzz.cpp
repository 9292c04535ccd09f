//===- PlanFuzz.cpp - damaged plans give an error or run ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Most telling under -fsanitize=address,undefined: buffers are exactly as large
// as a plan says.
//
//===----------------------------------------------------------------------===//

#include "PlanExample.h"

#include <gtest/gtest.h>

#include <random>

using namespace example;

namespace {

/// Routing, rows that move by an index, casts and a product: what a backend
/// reads as indices lies in memory that the plan's data fills.
Builder layer() {
  const uint64_t T = 4, K = 2, E = 2, C = 16, H = 8, F = 4;
  Builder b;
  uint32_t x = b.addArgument("x", Direction::In, {T, H});
  uint32_t indices =
      b.addArgument("indices", Direction::In, {T, K}, DType::I32);
  uint32_t weight = b.addArgument("w", Direction::In, {E, F, H});
  uint32_t y = b.addArgument("y", Direction::Out, {C, F});
  b.program().arguments[1]->init = Init::Routing;
  b.program().arguments[1]->num_experts = E;

  uint64_t used = 0;
  auto arena = [&](std::vector<uint64_t> shape, DType dtype, uint64_t bytes) {
    uint32_t tensor = b.addTensor(Space::Arena, 0, used, shape, {}, dtype);
    used += (bytes + 63) / 64 * 64;
    return tensor;
  };
  uint32_t rowMap = arena({T, K}, DType::I32, 4 * T * K);
  uint32_t counts = arena({E}, DType::I32, 4 * E);
  uint32_t offsets = arena({E + 1}, DType::I32, 4 * (E + 1));
  uint32_t rows = arena({C, H}, DType::F32, 4 * C * H);
  uint32_t values = arena({C, H}, DType::F8E4M3, C * H);
  uint32_t scales = arena({C, 2}, DType::F32, 4 * C * 2);
  b.tensor(scales).layout = ScaleLayout::Compact;
  b.tensor(scales).block_rows = 1;
  b.tensor(scales).block_cols = 4;
  uint32_t back = arena({C, H}, DType::F32, 4 * C * H);
  b.program().arena_bytes = used;

  auto &steps = b.program().steps;
  b.addCall(steps, "fill", {{rows}}, {}, {0.0});
  b.addCall(steps, "fill", {{back}}, {}, {0.0});
  b.addCall(steps, "routing_map", {{indices}, {rowMap}, {counts}, {offsets}},
            {4, int64_t(C)});
  b.addCall(steps, "permute", {{x}, {}, {}, {rowMap}, {}, {}, {rows}, {}, {}});
  LoopT &loop = b.addLoop(steps, 2);
  b.addCall(loop.body, "quantize",
            {{rows},
             {},
             {},
             {},
             {offsets},
             {},
             {values},
             {scales},
             {},
             {},
             {},
             {},
             {}},
            {-1, 0, 0, 0, 0}, {0.0});
  b.addCall(loop.body, "dequantize",
            {{values}, {scales}, {}, {offsets}, {back}});
  b.addCall(steps, "grouped_gemm",
            {{back}, {}, {}, {weight}, {}, {}, {}, {offsets}, {y}},
            {1, 0, 0, 0});
  return b;
}

/// Runs a plan that loads, if it is small; what it answers is its own.
bool runIfSmall(const te_rt_plan *plan) {
  const int64_t mostSteps = 1000, mostBytes = 1 << 20;
  bool ran = false;
  for (int32_t i = 0; i < te_rt_plan_num_programs(plan); ++i) {
    te_rt_program_info info;
    if (te_rt_plan_program(plan, i, &info) || info.num_steps > mostSteps)
      continue;
    int64_t bytes = info.arena_bytes + info.workspace_bytes;
    for (int32_t j = 0; j < info.num_arguments; ++j) {
      te_rt_argument_info argument;
      te_rt_plan_argument(plan, i, j, &argument);
      bytes += argument.bytes;
    }
    if (bytes > mostBytes)
      continue;
    Runner runner(plan, i);
    if (runner.status)
      continue;
    for (int run = 0; run < 2; ++run) {
      if (te_rt_status status = runner.run()) {
        EXPECT_NE(runner.error(), "") << "status " << status;
        break;
      }
      ran = true;
      // Indices that are none, too.
      te_rt_session_poison(runner.session, 0x5A);
    }
  }
  return ran;
}

class PlanFuzz : public testing::TestWithParam<Builder (*)()> {
protected:
  const Bytes bytes = pack(GetParam()().plan);

  /// Whether the damaged plan loads; runs it if so.
  bool tryIt(const Bytes &damaged) {
    Loaded loaded = load(damaged);
    EXPECT_EQ(loaded.status == TE_RT_OK, loaded.plan != nullptr);
    EXPECT_EQ(loaded.status != TE_RT_OK, !loaded.message.empty());
    EXPECT_EQ(loaded.message.find('\n'), std::string::npos);
    if (!loaded.plan)
      return false;
    runIfSmall(loaded.plan.get());
    return true;
  }
};

TEST_P(PlanFuzz, Whole) {
  Loaded loaded = load(bytes);
  ASSERT_EQ(loaded.status, TE_RT_OK) << loaded.message;
  Runner runner(loaded.plan.get());
  EXPECT_EQ(runner.run(), TE_RT_OK) << runner.error();
  EXPECT_TRUE(runIfSmall(loaded.plan.get()));
}

TEST_P(PlanFuzz, Truncated) {
  for (size_t size = 0; size < bytes.size(); ++size) {
    Bytes damaged(bytes.begin(), bytes.begin() + int64_t(size));
    tryIt(damaged);
  }
}

TEST_P(PlanFuzz, EachBit) {
  size_t loads = 0;
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes damaged = bytes;
    damaged[bit / 8] ^= uint8_t(1u << (bit % 8));
    loads += tryIt(damaged);
  }
  // Some bits are padding, names or costs; most are not.
  EXPECT_GT(loads, 0u);
  EXPECT_LT(loads, bytes.size() * 8 / 2);
}

TEST_P(PlanFuzz, RandomWords) {
  std::mt19937 random(1);
  const uint32_t telling[] = {0,          1,          2,          16,
                              0x7fffffff, 0x80000000, 0xffffffff, 0x40000000};
  for (int round = 0; round < 5000; ++round) {
    Bytes damaged = bytes;
    for (uint32_t i = 0, count = 1 + random() % 3; i < count; ++i) {
      uint32_t word = telling[random() % 8];
      if (random() % 2)
        word = random() % 256;
      size_t at = random() % (bytes.size() / 4) * 4;
      std::memcpy(damaged.data() + at, &word, sizeof(word));
    }
    tryIt(damaged);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PlanFuzz, testing::Values(&rows, &layer),
                         [](const auto &info) {
                           return std::string(info.index ? "Layer" : "Rows");
                         });

} // namespace
