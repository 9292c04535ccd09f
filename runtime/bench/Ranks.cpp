//===- Ranks.cpp - times of dispatch and combine between GPUs -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   usage: te_runtime_ranks_bench [RANKS]     2 by default
//   env:   TE_RT_LINK=nccl|direct   how ranks reach each other
//
// A row for each function, type and number of tokens of 7168: the time of the
// slowest rank, the median of runs of ten calls; the bytes that leave a rank
// for others because they are routed there, whatever else travels with them;
// GB/s of those. `one` sends each token to one rank, evenly; `all` to every
// rank, as eight experts of a token nearly do.
//
//===----------------------------------------------------------------------===//

#include "common/context.h"
#include "common/numeric.h"
#include "te_runtime/device.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

using namespace te_rt;

namespace {
constexpr int64_t kHidden = 7168;
constexpr int kCalls = 10, kRuns = 9;

/// One rank: its context, and tensors that it frees at the end.
struct Rank {
  te_rt_context *context = nullptr;
  std::vector<void *> memory;

  void require(te_rt_status status) const {
    if (status == TE_RT_OK)
      return;
    std::fprintf(stderr, "te_runtime_ranks_bench: error: %s\n",
                 te_rt_last_error(context));
    std::exit(1);
  }
  te_rt_tensor tensor(te_rt_dtype dtype, std::vector<int64_t> shape) {
    te_rt_tensor made = {};
    made.dtype = dtype;
    made.rank = static_cast<int32_t>(shape.size());
    int64_t elements = 1;
    for (size_t i = 0; i < shape.size(); ++i)
      elements *= made.shape[i] = shape[i];
    int64_t bytes = bytesOf(dtype, elements);
    require(te_rt_allocate(context, bytes, &made.data));
    require(te_rt_fill_memory(context, made.data, 0x3c, bytes));
    memory.push_back(made.data);
    return made;
  }
  void release() {
    for (void *data : memory)
      te_rt_release(context, data);
    memory.clear();
  }
};

/// Median of the runs, in us for each call.
double timeOf(Rank &rank, const std::function<te_rt_status()> &call) {
  Device &device = *rank.context->device;
  std::vector<double> times;
  for (int run = 0; run < kRuns + 2; ++run) {
    device.synchronize();
    device.mark(0);
    for (int i = 0; i < kCalls; ++i)
      rank.require(call());
    device.mark(1);
    device.synchronize();
    if (run >= 2)
      times.push_back(device.nanosecondsBetween(0, 1) / 1e3 / kCalls);
  }
  std::sort(times.begin(), times.end());
  return times[kRuns / 2];
}

struct Row {
  const char *function;
  bool fp8, toAll;
  int64_t tokens;
};

/// What this rank measures for `row`.
double measure(Rank &rank, int32_t ranks, const Row &row) {
  te_rt_tensor indices = rank.tensor(TE_RT_I32, {row.tokens, ranks});
  std::vector<int32_t> chosen;
  for (int64_t t = 0; t < row.tokens; ++t)
    for (int32_t s = 0; s < ranks; ++s)
      chosen.push_back(row.toAll ? s : s == t % ranks ? s : -1);
  rank.require(te_rt_copy_memory(rank.context, indices.data, chosen.data(),
                                 static_cast<int64_t>(chosen.size() * 4)));
  int64_t received = ranks * row.tokens;
  te_rt_tensor handle = rank.tensor(TE_RT_I32, {row.tokens, ranks});
  te_rt_tensor experts = rank.tensor(TE_RT_I32, {received, ranks});
  te_rt_dtype type = row.fp8 ? TE_RT_F8E4M3 : TE_RT_BF16;
  te_rt_tensor x[] = {rank.tensor(type, {row.tokens, kHidden}),
                      rank.tensor(TE_RT_F32, {row.tokens, kHidden / 128})};
  te_rt_tensor y[] = {rank.tensor(type, {received, kHidden}),
                      rank.tensor(TE_RT_F32, {received, kHidden / 128})};
  int64_t count = row.fp8 ? 2 : 1;
  auto map = [&] {
    return te_rt_dispatch_map(rank.context, &indices, &handle, &experts, ranks,
                              1);
  };
  rank.require(map());
  std::string function = row.function;
  double time = timeOf(rank, [&] {
    if (function == "dispatch_map")
      return map();
    return function == "dispatch"
               ? te_rt_dispatch(rank.context, &handle, {x, count}, {y, count})
               : te_rt_combine(rank.context, &handle, {y, count}, {x, count});
  });
  rank.release();
  return time;
}
} // namespace

int main(int argc, char **argv) {
  int32_t ranks = argc > 1 ? std::atoi(argv[1]) : 2;
  te_rt_communicator *world = nullptr;
  if (te_rt_communicator_create(ranks, &world) != TE_RT_OK) {
    std::fprintf(stderr,
                 "te_runtime_ranks_bench: error: RANKS: found '%s', "
                 "wanted a number from 1\n",
                 argc > 1 ? argv[1] : "");
    return 1;
  }
  std::vector<Row> rows;
  for (int64_t tokens : {4, 1024, 16384, 65536})
    for (bool toAll : {false, true}) {
      if (tokens == 4 && toAll)
        continue;
      for (bool fp8 : {false, true})
        rows.push_back({"dispatch", fp8, toAll, tokens});
      rows.push_back({"combine", false, toAll, tokens});
    }
  rows.push_back({"dispatch_map", false, true, 16384});
  std::vector<std::vector<double>> times(static_cast<size_t>(ranks),
                                         std::vector<double>(rows.size()));
  std::vector<std::thread> threads;
  for (int32_t r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      Rank rank;
      char message[512] = "";
      if (te_rt_context_create(TE_RT_CUDA, 1, world, r, &rank.context, message,
                               sizeof message) != TE_RT_OK) {
        std::fprintf(stderr, "te_runtime_ranks_bench: error: %s\n", message);
        std::exit(1);
      }
      for (size_t i = 0; i < rows.size(); ++i)
        times[r][i] = measure(rank, ranks, rows[i]);
      te_rt_context_destroy(rank.context);
    });
  for (std::thread &thread : threads)
    thread.join();
  const char *link = std::getenv("TE_RT_LINK");
  std::printf("%d ranks, TE_RT_LINK=%s: median us of the slowest rank, bytes "
              "routed to others, GB/s\n",
              ranks, link ? link : "");
  for (size_t i = 0; i < rows.size(); ++i) {
    double slowest = 0;
    for (const auto &mine : times)
      slowest = std::max(slowest, mine[i]);
    const Row &row = rows[i];
    int64_t width = row.fp8 ? kHidden + kHidden / 32 : kHidden * 2;
    int64_t bytes = row.tokens * width * (ranks - 1) / (row.toAll ? 1 : ranks);
    if (std::string(row.function) == "dispatch_map")
      bytes = row.tokens * ranks * 4 * (ranks - 1);
    std::printf(
        "%-12s %-12s to %s %6lld tokens %10.2f us %12lld B %6.0f GB/s\n",
        row.function, row.fp8 ? "fp8 + scales" : "bf16",
        row.toAll ? "all" : "one", static_cast<long long>(row.tokens), slowest,
        static_cast<long long>(bytes),
        static_cast<double>(bytes) / slowest / 1e3);
  }
  te_rt_communicator_destroy(world);
}
