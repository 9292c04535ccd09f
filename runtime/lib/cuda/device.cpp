//===- device.cpp - one GPU, one stream -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/device.h"
#include "cuda/backend.h"
#include "cuda/blas.h"
#include "cuda/cast.h"
#include "cuda/kernels.h"
#include "cuda/link.h"

#include <algorithm>
#include <cstring>

using namespace te_rt;
using namespace te_rt::cuda;

Outcome CudaDevice::outcomeOf(const char *what, Result result) const {
  if (result == 0)
    return {};
  return {result == kResultOutOfMemory ? TE_RT_OUT_OF_MEMORY
                                       : TE_RT_DEVICE_ERROR,
          std::string(what) + ": " + cu.describe(result)};
}

void CudaDevice::enter() const { cu.setContext(context); }

Outcome cuda::open(int32_t rank, std::unique_ptr<Device> &device) {
  const char *instead = "; use the ref backend";
  if (!*kernelImages())
    return {TE_RT_UNAVAILABLE,
            std::string("backend: found cuda, but this library was built "
                        "without CUDA kernels (no nvcc, or TE_RT_CUDA=OFF)") +
                instead + ", or a library built with them"};
  Outcome outcome = CudaDevice::open(rank, device);
  if (outcome.status != TE_RT_OK)
    outcome.message = "backend: found cuda, but " + outcome.message + instead;
  return outcome;
}

Outcome CudaDevice::open(int32_t rank, std::unique_ptr<Device> &device) {
  const Driver &cu = driver();
  if (!cu.why.empty())
    return {TE_RT_UNAVAILABLE, cu.why};
  int count = 0;
  if (Result result = cu.deviceCount(&count))
    return {TE_RT_UNAVAILABLE, "no GPU: " + cu.describe(result)};
  if (count == 0)
    return {TE_RT_UNAVAILABLE, "CUDA finds no GPU"};
  std::unique_ptr<CudaDevice> made(new CudaDevice(rank % count));
  TE_RT_TRY(made->start());
  device = std::move(made);
  return {};
}

CudaDevice::CudaDevice(int number) : number(number) {}

Outcome CudaDevice::start() {
  int minor = 0;
  char name[256] = "";
  TE_RT_TRY(outcomeOf("cuDeviceGet", cu.deviceGet(&gpu, number)));
  cu.deviceName(name, sizeof(name), gpu);
  cu.deviceAttribute(&majorVersion, kAttributeMajor, gpu);
  cu.deviceAttribute(&minor, kAttributeMinor, gpu);
  cu.deviceAttribute(&smCount, kAttributeSmCount, gpu);
  gpuName = name;
  TE_RT_TRY(
      outcomeOf("cuDevicePrimaryCtxRetain", cu.retainContext(&context, gpu)));
  enter();
  for (const void *const *image = kernelImages(); *image; ++image) {
    Handle module = nullptr;
    if (Result result = cu.moduleLoad(&module, *image))
      return {TE_RT_UNAVAILABLE,
              "the kernels of this library do not load on '" + gpuName +
                  "' (sm_" + std::to_string(majorVersion) + std::to_string(minor) +
                  "): " + cu.describe(result)};
    modules.push_back(module);
    TE_RT_TRY(index(module));
  }
  TE_RT_TRY(
      outcomeOf("cuStreamCreate", cu.streamCreate(&own, kStreamNonBlocking)));
  work = own;
  size_t words = kTickets + kAccumulators + 64;
  counters = static_cast<uint32_t *>(allocate(words * sizeof(uint32_t)));
  if (!counters)
    return {TE_RT_OUT_OF_MEMORY, "no memory on '" + gpuName + "'"};
  overflow = reinterpret_cast<int32_t *>(counters + kTickets + kAccumulators);
  TE_RT_TRY(fillAsync(counters, 0, words * sizeof(uint32_t)));
  return synchronize();
}

/// Notes which kernels a module has.
Outcome CudaDevice::index(Handle module) {
  unsigned count = 0;
  TE_RT_TRY(
      outcomeOf("cuModuleGetFunctionCount", cu.functionCount(&count, module)));
  std::vector<Handle> listed(count);
  TE_RT_TRY(outcomeOf("cuModuleEnumerateFunctions",
                      cu.listFunctions(listed.data(), count, module)));
  for (Handle function : listed) {
    const char *name = nullptr;
    TE_RT_TRY(outcomeOf("cuFuncGetName", cu.functionName(&name, function)));
    functions[name].module = module;
  }
  return {};
}

std::vector<std::pair<std::string, bool>> CudaDevice::kernels() const {
  std::vector<std::pair<std::string, bool>> all;
  for (const auto &[name, function] : functions)
    all.emplace_back(name, function.handle != nullptr);
  return all;
}

CudaDevice::~CudaDevice() {
  if (!context)
    return;
  enter();
  if (work)
    cu.streamSynchronize(work);
  linkToOthers.reset();
  enter();
  blasLibrary.reset();
  for (Handle event : events)
    cu.eventDestroy(event);
  if (forkEvent)
    cu.eventDestroy(forkEvent);
  for (Lane &lane : lanes) {
    cu.streamDestroy(lane.stream);
    cu.eventDestroy(lane.done);
  }
  for (Block &block : scratches)
    if (block.memory)
      cu.memFree(reinterpret_cast<Address>(block.memory));
  for (auto &[bytes, memory] : tables)
    cu.memFree(reinterpret_cast<Address>(memory));
  if (counters)
    cu.memFree(reinterpret_cast<Address>(counters));
  if (own)
    cu.streamDestroy(own);
  for (Handle module : modules)
    cu.moduleUnload(module);
  cu.releaseContext(gpu);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

void *CudaDevice::allocate(size_t bytes) {
  enter();
  Address memory = 0;
  if (cu.memAlloc(&memory, std::max<size_t>(bytes, 1)))
    return nullptr;
  void *data = reinterpret_cast<void *>(memory);
  allocated[data] = bytes;
  held += static_cast<int64_t>(bytes);
  peak = std::max(peak, held);
  return data;
}

void CudaDevice::release(void *memory) {
  enter();
  cu.streamSynchronize(work);
  cu.memFree(reinterpret_cast<Address>(memory));
  auto found = allocated.find(memory);
  if (found == allocated.end())
    return;
  held -= static_cast<int64_t>(found->second);
  allocated.erase(found);
}

Outcome CudaDevice::copyAsync(void *to, const void *from, size_t bytes) {
  if (bytes == 0 || preparing)
    return {};
  enter();
  return outcomeOf("cuMemcpyAsync",
                   cu.memcpyAsync(reinterpret_cast<Address>(to),
                                  reinterpret_cast<Address>(from), bytes,
                                  work));
}

Outcome CudaDevice::copy(void *to, const void *from, size_t bytes) {
  TE_RT_TRY(copyAsync(to, from, bytes));
  return synchronize();
}

Outcome CudaDevice::fillAsync(void *memory, int byte, size_t bytes) {
  if (bytes == 0 || preparing)
    return {};
  enter();
  return outcomeOf("cuMemsetD8Async",
                   cu.memsetAsync(reinterpret_cast<Address>(memory),
                                  static_cast<unsigned char>(byte), bytes,
                                  work));
}

Outcome CudaDevice::fill(void *memory, int byte, size_t bytes) {
  return fillAsync(memory, byte, bytes);
}

Outcome CudaDevice::synchronize() {
  enter();
  TE_RT_TRY(outcomeOf("cuStreamSynchronize", cu.streamSynchronize(work)));
  return linkToOthers ? linkToOthers->check() : Outcome();
}

Outcome CudaDevice::useStream(void *stream) {
  // Scratch memory that work on the old stream uses is used by the new one.
  TE_RT_TRY(synchronize());
  work = stream ? stream : own;
  return {};
}

bool CudaDevice::takeOverflow() {
  int32_t flag = 0;
  if (copy(&flag, overflow, sizeof(flag)).status != TE_RT_OK || !flag)
    return false;
  fillAsync(overflow, 0, sizeof(flag));
  return true;
}

Outcome CudaDevice::scratch(Use use, size_t bytes, void **memory) {
  Block &block = scratches[static_cast<size_t>(use)];
  shared |= uint64_t(1) << static_cast<int>(use);
  if (bytes > block.bytes) {
    if (isCapturing())
      return {TE_RT_UNSUPPORTED,
              "graph: found a call that must allocate scratch memory, wanted "
              "one that has run outside of a graph before"};
    if (block.memory)
      release(block.memory);
    block = {};
    size_t rounded = (bytes + 255) / 256 * 256;
    block.memory = allocate(rounded);
    if (!block.memory)
      return {TE_RT_OUT_OF_MEMORY, "scratch: could not allocate " +
                                       std::to_string(rounded) + " bytes on '" +
                                       gpuName + "'"};
    block.bytes = rounded;
  }
  *memory = block.memory;
  return {};
}

Outcome CudaDevice::table(const void *host, size_t bytes, const void **memory) {
  std::string key(static_cast<const char *>(host), bytes);
  auto found = tables.find(key);
  if (found == tables.end()) {
    if (isCapturing())
      return {TE_RT_UNSUPPORTED,
              "graph: found a call that must upload a table, wanted one that "
              "has run outside of a graph before"};
    void *fresh = allocate(bytes);
    if (!fresh)
      return {TE_RT_OUT_OF_MEMORY,
              "table: could not allocate " + std::to_string(bytes) + " bytes"};
    bool deferred = preparing;
    preparing = false;
    Outcome outcome = copy(fresh, host, bytes);
    preparing = deferred;
    if (outcome.status != TE_RT_OK) {
      release(fresh);
      return outcome;
    }
    found = tables.emplace(std::move(key), fresh).first;
  }
  *memory = found->second;
  return {};
}

//===----------------------------------------------------------------------===//
// Work
//===----------------------------------------------------------------------===//

Outcome CudaDevice::launchRaw(const char *name, const Grid &grid,
                              const void *params) {
  if (grid.blocks <= 0 || preparing)
    return {};
  if (grid.blocks > INT32_MAX)
    return {TE_RT_UNSUPPORTED, std::string("kernel ") + name + ": found " +
                                   std::to_string(grid.blocks) +
                                   " blocks, wanted below 2^31"};
  enter();
  Function &function = functions[name];
  if (!function.module)
    return {TE_RT_INTERNAL, std::string("kernel ") + name +
                                ": in none of this library's images"};
  if (!function.handle)
    TE_RT_TRY(outcomeOf(
        name, cu.getFunction(&function.handle, function.module, name)));
  if (grid.shared > function.shared) {
    TE_RT_TRY(outcomeOf(name, cu.setFunctionAttribute(function.handle,
                                                      kFunctionDynamicShared,
                                                      grid.shared)));
    function.shared = grid.shared;
  }
  void *arguments[] = {const_cast<void *>(params)};
  auto blocks = static_cast<unsigned>(grid.blocks);
  auto threads = static_cast<unsigned>(grid.threads);
  auto shared = static_cast<unsigned>(grid.shared);
  return outcomeOf(
      name, grid.cooperative
                ? cu.launchCooperative(function.handle, blocks, 1, 1, threads,
                                       1, 1, shared, work, arguments)
                : cu.launch(function.handle, blocks, 1, 1, threads, 1, 1,
                            shared, work, arguments, nullptr));
}

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

Outcome CudaDevice::blas(Blas **library) {
  if (!blasLibrary) {
    enter();
    auto fresh = std::make_unique<Blas>();
    TE_RT_TRY(fresh->open());
    blasLibrary = std::move(fresh);
  }
  *library = blasLibrary.get();
  return {};
}

Outcome CudaDevice::link(te_rt_communicator &world, int32_t rank,
                         Link **made) {
  if (!linkToOthers)
    TE_RT_TRY(Link::make(world, rank, *this, linkToOthers));
  *made = linkToOthers.get();
  return {};
}
