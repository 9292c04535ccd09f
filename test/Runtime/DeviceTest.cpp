//===- DeviceTest.cpp - what a device of cuda keeps -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Needs no GPU: a driver without one stands in, whose memory is the host's.
//
//===----------------------------------------------------------------------===//

#include "cuda/device.h"

#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>

using namespace te_rt;
using namespace te_rt::cuda;

namespace {
class DeviceTables : public testing::Test {
protected:
  static constexpr size_t kBytes = 1 << 16; // of each table

  void SetUp() override {
    setenv("TE_RT_CUDA_DRIVER", TE_FAKE_DRIVER, 1);
    setenv("FAKE_MAJOR", "9", 1);
    Outcome outcome = CudaDevice::open(0, opened);
    ASSERT_EQ(outcome.status, TE_RT_OK) << outcome.message;
  }
  CudaDevice &device() { return static_cast<CudaDevice &>(*opened); }

  /// The copy of a table that holds `number`.
  const void *table(uint64_t number) {
    std::vector<uint64_t> words(kBytes / sizeof(uint64_t), number);
    const void *memory = nullptr;
    Outcome outcome = device().table(words.data(), kBytes, &memory);
    EXPECT_EQ(outcome.status, TE_RT_OK) << outcome.message;
    return memory;
  }
  static bool holds(const void *memory, uint64_t number) {
    std::vector<uint64_t> words(kBytes / sizeof(uint64_t), number);
    return std::memcmp(memory, words.data(), kBytes) == 0;
  }
  /// Any; the fake driver has no kernels.
  void launch() {
    int nothing = 0;
    device().launch("none", {0, 32}, nothing);
  }

  std::unique_ptr<Device> opened;
};

TEST_F(DeviceTables, SameBytesHaveOneCopy) {
  const void *first = table(1);
  EXPECT_TRUE(holds(first, 1));
  launch();
  EXPECT_NE(table(2), first);
  EXPECT_EQ(table(1), first);
}

/// A caller that comes with other memory in each step makes other tables.
TEST_F(DeviceTables, OldOnesAreGivenBack) {
  for (uint64_t step = 0; step < 4096; ++step) { // 256 MiB of them
    table(step);
    launch();
  }
  EXPECT_LE(device().peakBytes(),
            int64_t(CudaDevice::kMostTableBytes) + (int64_t(16) << 20));
  EXPECT_TRUE(holds(table(0), 0)) << "uploaded again";
}

/// Those of one launch are there until it is enqueued.
TEST_F(DeviceTables, OnesInUseStay) {
  uint64_t step = 0;
  for (; step < CudaDevice::kMostTableBytes / kBytes; ++step) {
    table(step);
    launch();
  }
  // This drops the others.
  const void *one = table(step), *two = table(step + 1);
  EXPECT_TRUE(holds(one, step));
  EXPECT_TRUE(holds(two, step + 1));
}

TEST_F(DeviceTables, OnesOfGraphsStay) {
  const void *before = table(~uint64_t(0));
  launch();
  ASSERT_EQ(device().beginCapture().status, TE_RT_OK);
  EXPECT_EQ(table(~uint64_t(0)), before);
  const void *none = nullptr;
  uint64_t fresh = 7;
  EXPECT_EQ(device().table(&fresh, sizeof fresh, &none).status,
            TE_RT_UNSUPPORTED);
  void *graph = nullptr;
  ASSERT_EQ(device().endCapture(&graph).status, TE_RT_OK);
  for (uint64_t step = 0; step < 4096; ++step) {
    table(step);
    launch();
  }
  EXPECT_EQ(table(~uint64_t(0)), before);
  EXPECT_TRUE(holds(before, ~uint64_t(0)));
  device().destroyGraph(graph);
}
} // namespace
