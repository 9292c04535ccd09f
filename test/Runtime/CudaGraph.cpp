//===- CudaGraph.cpp - a whole step as one graph --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs the plan of TE_PLAN, a training step, in two sessions with the same inputs:
// one captures it and replays the graph, the other enqueues its calls each time.
// Each call of the driver that a step must not make is counted while steps run.
//
//===----------------------------------------------------------------------===//

#include "Files.h"
#include "Inputs.h"
#include "Memory.h"
#include "Options.h"
#include "Program.h"
#include "cuda/driver.h"
#include "te_runtime/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>

using namespace te::exec;
using te_rt::cuda::Address;
using te_rt::cuda::Driver;
using te_rt::cuda::Handle;
using te_rt::cuda::LaunchConfig;
using te_rt::cuda::Result;

namespace {

/// Stands in for functions of the driver while it lives, counts calls, and goes on
/// to the driver.
class Guard {
public:
  Guard() : real(te_rt::cuda::driver()) {
    current = this;
    replaced().memAlloc = [](Address *memory, size_t bytes) {
      current->note("cuMemAlloc");
      return current->real.memAlloc(memory, bytes);
    };
    replaced().memFree = [](Address memory) {
      current->note("cuMemFree");
      return current->real.memFree(memory);
    };
    replaced().streamSynchronize = [](Handle stream) {
      current->note("cuStreamSynchronize");
      return current->real.streamSynchronize(stream);
    };
    replaced().memcpyAsync = [](Address to, Address from, size_t bytes,
                                Handle stream) {
      current->note(current->isOnDevice(to) && current->isOnDevice(from)
                        ? "copies on the device"
                        : "copies from or to the host");
      return current->real.memcpyAsync(to, from, bytes, stream);
    };
    replaced().eventCreate = [](Handle *event, unsigned flags) {
      current->note("cuEventCreate");
      return current->real.eventCreate(event, flags);
    };
    replaced().moduleLoad = [](Handle *module, const void *image) {
      current->note("cuModuleLoadData");
      return current->real.moduleLoad(module, image);
    };
    replaced().instantiate = [](Handle *graph, Handle captured,
                                unsigned long long flags) {
      current->note("cuGraphInstantiate");
      return current->real.instantiate(graph, captured, flags);
    };
    replaced().launch = [](const LaunchConfig *config, Handle function,
                           void **params, void **extra) {
      current->note("launches");
      return current->real.launch(config, function, params, extra);
    };
    replaced().graphLaunch = [](Handle graph, Handle stream) {
      current->note("graph launches");
      return current->real.graphLaunch(graph, stream);
    };
  }
  ~Guard() {
    replaced() = real;
    current = nullptr;
  }

  /// Calls since the last call of this.
  std::map<std::string, int> take() { return std::exchange(counts, {}); }

private:
  /// The table is const for the backend alone.
  static Driver &replaced() {
    return const_cast<Driver &>(te_rt::cuda::driver());
  }
  void note(const std::string &what) { ++counts[what]; }
  bool isOnDevice(Address address) const {
    int type = 0;
    constexpr int kMemoryType = 2, kDevice = 2; // of the driver's interface
    return real.pointerAttribute(&type, kMemoryType, address) == 0 &&
           type == kDevice;
  }

  static Guard *current;
  const Driver real;
  std::map<std::string, int> counts;
};
Guard *Guard::current = nullptr;

/// A session of the plan with memory of its own.
class Side {
public:
  Side(const Program &program, bool graph) : program(program) {
    char message[1024] = "";
    EXPECT_EQ(te_rt_context_create(TE_RT_CUDA, 1, nullptr, 0, &context, message,
                                   sizeof message),
              TE_RT_OK)
        << message;
    require(te_rt_session_create(context, program.handle(), program.index(),
                                 &session));
    for (size_t i = 0; i < program.arguments.size(); ++i) {
      const Argument &argument = program.arguments[i];
      EXPECT_FALSE(argument.onHost) << argument.name;
      memory.push_back(nullptr);
      require(te_rt_allocate(context, argument.bytes, &memory.back()));
      require(te_rt_session_bind(session, static_cast<int32_t>(i),
                                 memory.back(), argument.bytes));
    }
    te_rt_session_use_graph(session, graph);
  }
  ~Side() {
    for (void *data : memory)
      te_rt_release(context, data);
    te_rt_session_destroy(session);
    te_rt_context_destroy(context);
  }

  /// Gives `argument` the values of `data`.
  void set(size_t argument, const void *data) {
    require(te_rt_copy_memory(context, memory[argument], data,
                              program.arguments[argument].bytes));
  }
  std::vector<char> get(size_t argument) {
    std::vector<char> bytes(program.arguments[argument].bytes);
    require(te_rt_copy_memory(context, bytes.data(), memory[argument],
                              program.arguments[argument].bytes));
    return bytes;
  }
  void enqueue() { require(te_rt_session_run(session)); }
  void wait() { require(te_rt_synchronize(context)); }

private:
  void require(te_rt_status status) {
    if (status != TE_RT_OK) // not an assertion: constructors return nothing
      throw std::runtime_error(te_rt_last_error(context));
  }
  const Program &program;
  te_rt_context *context = nullptr;
  te_rt_session *session = nullptr;
  std::vector<void *> memory;
};

class CudaGraph : public testing::Test {
protected:
  void SetUp() override {
    const char *path = std::getenv("TE_PLAN");
    if (!path)
      GTEST_SKIP() << "TE_PLAN: not set, wanted the plan of a training step";
    te_rt_context *context = nullptr;
    char message[1024] = "";
    if (te_rt_context_create(TE_RT_CUDA, 1, nullptr, 0, &context, message,
                             sizeof message) != TE_RT_OK)
      GTEST_SKIP() << message;
    te_rt_context_destroy(context);
    program = std::make_unique<Program>(path, readWholeFile(path), "");
    graph = std::make_unique<Side>(*program, true);
    plain = std::make_unique<Side>(*program, false);
    setInputs(0, "uniform", true);
    // The first run allocates, prepares and captures.
    for (Side *side : {graph.get(), plain.get()}) {
      side->enqueue();
      side->wait();
    }
  }

  /// Random inputs of `seed` and the skew of `routing`, states and workspaces not
  /// touched unless `all`.
  void setInputs(uint64_t seed, const std::string &routing, bool all = false) {
    Options options;
    options.seed = seed;
    options.routing = Routing::parse(routing);
    Inputs none({}, {});
    InputData data(none, options, 0, 1);
    for (size_t i = 0; i < program->arguments.size(); ++i) {
      const Argument &argument = program->arguments[i];
      bool isRouting = argument.init == TE_RT_INIT_ROUTING ||
                       argument.init == TE_RT_INIT_PROBS;
      if (!all && !isRouting)
        continue;
      std::vector<char> bytes(argument.bytes);
      if (argument.direction != TE_RT_OUT)
        data.fill(argument, bytes.data());
      graph->set(i, bytes.data());
      plain->set(i, bytes.data());
    }
  }

  std::unique_ptr<Program> program;
  std::unique_ptr<Side> graph, plain;
};

TEST_F(CudaGraph, AStepAllocatesNothingAndWaitsForNothing) {
  Guard guard;
  constexpr int kSteps = 3;
  for (int i = 0; i < kSteps; ++i)
    graph->enqueue();
  std::map<std::string, int> replayed = guard.take();
  EXPECT_EQ(replayed,
            (std::map<std::string, int>{{"graph launches", kSteps}}));
  plain->enqueue();
  std::map<std::string, int> enqueued = guard.take();
  EXPECT_GT(enqueued["launches"], 1) << "the guard counts nothing";
  for (const auto &[what, count] : enqueued)
    EXPECT_TRUE(what == "launches" || what == "copies on the device")
        << count << " " << what;
  graph->wait();
  plain->wait();
  EXPECT_EQ(guard.take()["cuStreamSynchronize"], 2);
}

TEST_F(CudaGraph, AnyRoutingSameBits) {
  std::vector<std::vector<char>> before;
  bool anyDiffers = false;
  uint64_t seed = 1;
  for (const char *routing :
       {"uniform", "zipf:1.5", "one-expert", "empty-experts", "uniform"}) {
    setInputs(seed++, routing);
    graph->enqueue();
    plain->enqueue();
    for (size_t i = 0; i < program->arguments.size(); ++i) {
      const Argument &argument = program->arguments[i];
      if (!argument.isResult())
        continue;
      std::vector<char> found = graph->get(i);
      EXPECT_TRUE(found == plain->get(i)) << argument.name << ", " << routing;
      if (before.size() <= i)
        before.resize(i + 1);
      anyDiffers |= !before[i].empty() && before[i] != found;
      before[i] = std::move(found);
    }
  }
  EXPECT_TRUE(anyDiffers) << "routing changed nothing";
}

TEST_F(CudaGraph, HostTimeOfAStep) {
  std::vector<double> micros;
  for (int i = 0; i < 100; ++i) {
    auto began = std::chrono::steady_clock::now();
    graph->enqueue();
    std::chrono::duration<double, std::micro> took =
        std::chrono::steady_clock::now() - began;
    micros.push_back(took.count());
    graph->wait();
  }
  std::sort(micros.begin(), micros.end());
  double median = micros[micros.size() / 2];
  std::printf("host time of a step: median %.1f us, most %.1f us\n", median,
              micros.back());
  EXPECT_LT(median, 50);
}

} // namespace
