//===- device_graph.cpp - lanes, graphs and times of a GPU ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/device.h"
#include "cuda/cast.h"
#include "cuda/link.h"

#include <algorithm>

using namespace te_rt;
using namespace te_rt::cuda;

Outcome CudaDevice::fork(int count) {
  enter();
  auto makeEvent = [this](Handle &event) {
    return outcomeOf("cuEventCreate", cu.eventCreate(&event, kEventWithoutTime));
  };
  if (!forkEvent)
    TE_RT_TRY(makeEvent(forkEvent));
  while (lanes.size() + 1 < static_cast<size_t>(count)) {
    Lane lane;
    TE_RT_TRY(makeEvent(lane.done));
    Outcome made =
        outcomeOf("cuStreamCreate", cu.streamCreate(&lane.stream, kStreamNonBlocking));
    if (made.status != TE_RT_OK) {
      cu.eventDestroy(lane.done);
      return made;
    }
    lanes.push_back(lane);
  }
  forked = work;
  inUse = static_cast<size_t>(count) - 1;
  if (inUse)
    TE_RT_TRY(outcomeOf("cuEventRecord", cu.eventRecord(forkEvent, forked)));
  for (size_t i = 0; i < inUse; ++i)
    TE_RT_TRY(outcomeOf("cuStreamWaitEvent",
                        cu.streamWait(lanes[i].stream, forkEvent, 0)));
  return {};
}

Outcome CudaDevice::join() {
  work = forked;
  Outcome outcome;
  auto note = [&](Outcome each) {
    if (outcome.status == TE_RT_OK)
      outcome = std::move(each);
  };
  for (size_t i = 0; i < inUse; ++i) {
    note(outcomeOf("cuEventRecord",
                   cu.eventRecord(lanes[i].done, lanes[i].stream)));
    note(outcomeOf("cuStreamWaitEvent", cu.streamWait(work, lanes[i].done, 0)));
  }
  inUse = 0;
  return outcome;
}

Outcome CudaDevice::endPreparing() {
  preparing = false;
  return synchronize();
}

bool CudaDevice::isCapturing() const {
  int state = 0;
  return cu.streamIsCapturing(work, &state) == 0 && state != 0;
}

Outcome CudaDevice::beginCapture() {
  enter();
  ends.clear();
  // The caller's stream may be CUDA's default one, which no graph captures.
  replays = work;
  work = own;
  Outcome outcome = outcomeOf("cuStreamBeginCapture",
                              cu.beginCapture(work, kCaptureRelaxed));
  if (outcome.status != TE_RT_OK)
    work = replays;
  return outcome;
}

Outcome CudaDevice::endCapture(void **graph) {
  enter();
  *graph = nullptr;
  Handle captured = nullptr;
  Result ended = cu.endCapture(work, &captured);
  work = replays;
  TE_RT_TRY(outcomeOf("cuStreamEndCapture", ended));
  Outcome outcome =
      outcomeOf("cuGraphInstantiate", cu.instantiate(graph, captured, 0));
  cu.graphDestroy(captured);
  return outcome;
}

Outcome CudaDevice::beginBranch(const std::vector<size_t> &after) {
  std::vector<Handle> nodes;
  for (size_t call : after)
    nodes.insert(nodes.end(), ends[call].begin(), ends[call].end());
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return outcomeOf("cuStreamUpdateCaptureDependencies",
                   cu.setDependencies(work, nodes.data(), nodes.size(),
                                      kDependenciesSet));
}

Outcome CudaDevice::endBranch() {
  int state = 0;
  size_t count = 0;
  Handle graph = nullptr;
  const Handle *nodes = nullptr;
  uint64_t id = 0;
  TE_RT_TRY(outcomeOf("cuStreamGetCaptureInfo",
                      cu.captureInfo(work, &state, &id, &graph, &nodes, &count)));
  ends.emplace_back(nodes, nodes + count);
  return {};
}

Outcome CudaDevice::launchGraph(void *graph) {
  enter();
  if (linkToOthers)
    TE_RT_TRY(linkToOthers->check());
  return outcomeOf("cuGraphLaunch", cu.graphLaunch(graph, work));
}

void CudaDevice::destroyGraph(void *graph) {
  enter();
  cu.streamSynchronize(work);
  cu.graphExecDestroy(graph);
}

Outcome CudaDevice::mark(size_t index) {
  enter();
  while (events.size() <= index) {
    Handle event = nullptr;
    TE_RT_TRY(outcomeOf("cuEventCreate", cu.eventCreate(&event, 0)));
    events.push_back(event);
  }
  return outcomeOf("cuEventRecord", cu.eventRecord(events[index], work));
}

double CudaDevice::nanosecondsBetween(size_t first, size_t second) {
  float milliseconds = 0;
  if (cu.eventElapsed(&milliseconds, events[first], events[second]))
    return 0;
  return static_cast<double>(milliseconds) * 1e6;
}

Outcome CudaDevice::measureLimits(te_rt_limits &limits) {
  size_t bytes = size_t(1) << 30;
  void *from = nullptr, *to = nullptr;
  for (; bytes >= 1 << 20 && !to; bytes /= 2) {
    from = allocate(bytes);
    to = from ? allocate(bytes) : nullptr;
    if (to)
      break;
    if (from)
      release(from);
  }
  if (!to)
    return {TE_RT_OUT_OF_MEMORY, "limits: no memory to copy on '" + gpuName +
                                     "'"};
  constexpr size_t kCopies = 9; // the first ones warm up
  auto run = [&]() -> Outcome {
    TE_RT_TRY(fillAsync(from, 0x5a, bytes));
    for (size_t i = 0; i <= kCopies; ++i) {
      TE_RT_TRY(mark(i));
      std::vector<CopyItem> items = {
          {from, to, static_cast<int64_t>(bytes), 0}};
      if (i < kCopies)
        TE_RT_TRY(copyAll(*this, items));
    }
    return synchronize();
  };
  Outcome outcome = run();
  std::vector<double> times;
  for (size_t i = 2; outcome.status == TE_RT_OK && i < kCopies; ++i)
    times.push_back(nanosecondsBetween(i, i + 1));
  release(from);
  release(to);
  if (outcome.status != TE_RT_OK)
    return outcome;
  std::sort(times.begin(), times.end());
  limits.copy = 2 * static_cast<double>(bytes) / times[times.size() / 2] * 1e9;
  // Measured on an H200 of 132 SMs (docs/Benchmarks.md): wgmma with nothing to
  // load; FP8 with sums promoted every 128.
  if (majorVersion == 9) {
    limits.fp8 = 1585e12 / 132 * smCount;
    limits.bf16 = 690e12 / 132 * smCount;
  }
  return {};
}
