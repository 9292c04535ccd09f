//===- Bench.cpp - times of single functions on a GPU ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bench.h"

#include "common/context.h"
#include "common/numeric.h"
#include "common/scales.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

using namespace te_bench;
using te_rt::Ragged;

namespace {
[[noreturn]] void die(const std::string &message) {
  std::fprintf(stderr, "te_runtime_bench: error: %s\n", message.c_str());
  std::exit(1);
}
} // namespace

Bench::Bench(std::vector<std::string> filters) : filters(std::move(filters)) {
  char message[512] = "";
  if (te_rt_context_create(TE_RT_CUDA, 0, nullptr, 0, &handle, message,
                           sizeof message) != TE_RT_OK)
    die(message);
}

Bench::~Bench() { te_rt_context_destroy(handle); }

te_rt_tensor Bench::tensor(te_rt_dtype dtype, std::vector<int64_t> shape) {
  te_rt_tensor made = {};
  made.dtype = dtype;
  made.rank = static_cast<int32_t>(shape.size());
  int64_t elements = 1;
  for (size_t i = 0; i < shape.size(); ++i)
    elements *= made.shape[i] = shape[i];
  if (te_rt_allocate(handle, te_rt::bytesOf(dtype, elements),
                     &made.data) != TE_RT_OK)
    die(te_rt_last_error(handle));
  memory.push_back(made.data);
  return made;
}

te_rt_tensor Bench::scales(te_rt_scale_layout layout, int32_t blockRows,
                           int32_t blockCols, int64_t rows, int64_t cols,
                           int32_t groups, int64_t members,
                           te_rt_dtype dtype) {
  te_rt_tensor like = {};
  like.layout = layout;
  like.block_rows = blockRows;
  like.block_cols = blockCols;
  like.groups = groups;
  te_rt::ScaleGrid grid(like, rows, cols, te_rt::raggedOf(like));
  std::vector<int64_t> shape = grid.shape;
  if (members)
    shape.insert(shape.begin(), members);
  te_rt_tensor made = tensor(dtype, shape);
  made.layout = layout;
  made.block_rows = blockRows;
  made.block_cols = blockCols;
  made.groups = groups;
  return made;
}

te_rt_tensor Bench::normal(te_rt_dtype dtype, std::vector<int64_t> shape) {
  te_rt_tensor made = tensor(dtype, std::move(shape));
  fillNormal(made);
  return made;
}

void Bench::fillNormal(const te_rt_tensor &made) {
  // A period of an odd number of elements, repeated.
  static std::map<te_rt_dtype, std::vector<unsigned char>> periods;
  std::vector<unsigned char> &bytes = periods[made.dtype];
  constexpr int64_t count = (1 << 22) + 37;
  int64_t size = te_rt::bytesOf(made.dtype, 1);
  if (bytes.empty()) {
    std::mt19937 random(1);
    std::normal_distribution<float> distribution;
    bytes.resize(count * size);
    for (int64_t i = 0; i < count; ++i) {
      float value = distribution(random);
      if (made.dtype == TE_RT_BF16)
        te_rt::fromFloat(value,
                         reinterpret_cast<te_rt::BFloat16 *>(bytes.data())[i]);
      else if (made.dtype == TE_RT_F32)
        reinterpret_cast<float *>(bytes.data())[i] = value;
      else
        bytes[i] = te_rt::encode<te_rt::E4M3>(150 * value);
    }
  }
  int64_t total = size;
  for (int32_t i = 0; i < made.rank; ++i)
    total *= made.shape[i];
  for (int64_t at = 0; at < total; at += static_cast<int64_t>(bytes.size()))
    te_rt_copy_memory(handle, static_cast<char *>(made.data) + at, bytes.data(),
                      std::min<int64_t>(bytes.size(), total - at));
}

te_rt_tensor Bench::integers(std::vector<int64_t> shape,
                             const std::vector<int32_t> &values) {
  te_rt_tensor made = tensor(TE_RT_I32, shape);
  te_rt_copy_memory(handle, made.data, values.data(),
                    static_cast<int64_t>(values.size() * sizeof(int32_t)));
  return made;
}

double Bench::replay(void *graph, int calls) {
  te_rt::Device &device = *handle->device;
  device.mark(0);
  device.launchGraph(graph);
  device.mark(1);
  device.synchronize();
  return device.nanosecondsBetween(0, 1) / 1e3 / calls;
}

void *Bench::capture(const std::string &name, const Call &call, int times) {
  te_rt::Device &device = *handle->device;
  void *graph = nullptr;
  // What it allocates, it allocates here.
  if (call() != TE_RT_OK)
    die(name + ": " + te_rt_last_error(handle));
  device.synchronize();
  device.beginCapture();
  for (int time = 0; time < times; ++time)
    if (call() != TE_RT_OK)
      die(name + ": " + te_rt_last_error(handle));
  te_rt::Outcome outcome = device.endCapture(&graph);
  if (outcome.status != TE_RT_OK)
    die(name + ": " + outcome.message);
  return graph;
}

void Bench::releaseAll() {
  for (void *data : memory)
    te_rt_release(handle, data);
  memory.clear();
}

void Bench::row(const std::string &name, int64_t bytes,
                const std::function<Call()> &make) {
  if (!wants(name))
    return;
  te_rt::Device &device = *handle->device;
  constexpr int64_t kApart = 512 << 20; // bytes between two uses of a set
  int sets = static_cast<int>(
      std::clamp<int64_t>(te_rt::ceilDiv(kApart, std::max<int64_t>(bytes, 1)),
                          2, 32));
  int64_t copyBytes = std::clamp<int64_t>(bytes / 2, 256 << 20, int64_t(4) << 30);
  copyBytes = copyBytes / 4096 * 4096;
  te_rt_tensor from = normal(TE_RT_BF16, {copyBytes / 2});
  te_rt_tensor to = tensor(TE_RT_BF16, {copyBytes / 2});
  std::vector<Call> calls;
  for (int set = 0; set < sets; ++set)
    calls.push_back(make());
  int repeats = std::max(1, 64 / sets);
  if (bytes > 100 << 20)
    repeats = 1;
  auto all = [&] {
    te_rt_status status = TE_RT_OK;
    for (const Call &call : calls)
      if (status == TE_RT_OK)
        status = call();
    return status;
  };
  void *graph = capture(name, all, repeats);
  void *copy =
      capture(name, [&] { return te_rt_copy(handle, &from, &to); }, 1);
  std::vector<double> times, copies;
  constexpr int kReplays = 15;
  for (int i = 0; i < kReplays + 2; ++i) {
    double time = replay(graph, sets * repeats), copied = replay(copy, 1);
    if (i < 2)
      continue; // warm up
    times.push_back(time);
    copies.push_back(copied);
  }
  std::sort(times.begin(), times.end());
  std::sort(copies.begin(), copies.end());
  double median = times[kReplays / 2];
  double rate = static_cast<double>(bytes) / median / 1e3;
  double copyRate = 2.0 * static_cast<double>(copyBytes) / copies[kReplays / 2] / 1e3;
  std::printf("%-52s %10.2f us  %5.1f%%  %13lld B  %7.0f GB/s  copy %5.0f  %5.3f\n",
              name.c_str(), median, 100 * (times.back() - times[0]) / median,
              static_cast<long long>(bytes), rate, copyRate, rate / copyRate);
  std::fflush(stdout);
  device.destroyGraph(graph);
  device.destroyGraph(copy);
  releaseAll();
}

void te_bench::race(std::vector<Contender> &contenders) {
  constexpr double kSettleUs = 100e3, kWindowUs = 60e3;
  constexpr int kBursts = 7, kWindows = 2;
  auto pause = [](int ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  };
  auto burst = [&](const Contender &one) {
    pause(30);
    return one.replay();
  };
  auto sustained = [&](const Contender &one) {
    pause(60);
    double total = 0, counted = 0;
    int replays = 0;
    while (total < kSettleUs + kWindowUs) {
      double us = one.replay();
      if (total >= kSettleUs)
        counted += us, ++replays;
      total += us * one.calls;
    }
    return counted / replays;
  };
  auto medians = [&](int rounds, auto measure, double Contender::*result) {
    std::vector<std::vector<double>> times(contenders.size());
    for (int round = 0; round < rounds; ++round)
      for (size_t i = 0; i < contenders.size(); ++i) {
        size_t turn = round % 2 ? contenders.size() - 1 - i : i;
        times[turn].push_back(measure(contenders[turn]));
      }
    for (size_t i = 0; i < contenders.size(); ++i) {
      std::sort(times[i].begin(), times[i].end());
      contenders[i].*result =
          (times[i][(rounds - 1) / 2] + times[i][rounds / 2]) / 2;
    }
  };
  medians(kBursts, burst, &Contender::burst);
  medians(kWindows, sustained, &Contender::sustained);
}

int main(int argc, char **argv) {
  Bench bench(std::vector<std::string>(argv + 1, argv + argc));
  std::printf("median us, spread, bytes a call must move, rate, rate of a copy "
              "in between, share of it\n");
  runCasts(bench);
  runMicroscaling(bench);
  runMoves(bench);
  if (argc > 1) // minutes: only when asked for by name
    runProducts(bench);
  return 0;
}
