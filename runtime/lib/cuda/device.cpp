//===- device.cpp - one GPU, one stream -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/device.h"
#include "cuda/backend.h"
#include "cuda/blas.h"
#include "cuda/kernels.h"
#include "cuda/link.h"

#include <algorithm>

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

std::vector<CudaDevice::Kernel> CudaDevice::kernels() const {
  std::vector<Kernel> all;
  for (const auto &[name, function] : functions)
    all.push_back({name, function.handle != nullptr, function.isLaunched});
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
  for (auto &[bytes, table] : tables)
    cu.memFree(reinterpret_cast<Address>(table.memory));
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

/// Gives back tables that nothing enqueued reads any more, and no graph.
Outcome CudaDevice::dropTables() {
  TE_RT_TRY(synchronize());
  for (auto it = tables.begin(); it != tables.end();) {
    const Table &table = it->second;
    if (table.inGraph || table.launch == launches) {
      ++it;
      continue;
    }
    tableBytes -= it->first.size();
    release(table.memory);
    it = tables.erase(it);
  }
  return {};
}

Outcome CudaDevice::table(const void *host, size_t bytes, const void **memory) {
  std::string key(static_cast<const char *>(host), bytes);
  bool capturing = isCapturing();
  auto found = tables.find(key);
  if (found == tables.end()) {
    if (capturing)
      return {TE_RT_UNSUPPORTED,
              "graph: found a call that must upload a table, wanted one that "
              "has run outside of a graph before"};
    if (tableBytes + bytes > kMostTableBytes)
      TE_RT_TRY(dropTables());
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
    found = tables.emplace(std::move(key), Table{fresh}).first;
    tableBytes += bytes;
  }
  Table &table = found->second;
  table.launch = launches;
  if (capturing && !table.inGraph) {
    table.inGraph = true;
    tableBytes -= bytes;
  }
  *memory = table.memory;
  return {};
}

//===----------------------------------------------------------------------===//
// Work
//===----------------------------------------------------------------------===//

Outcome CudaDevice::launchRaw(const char *name, const Grid &grid,
                              const void *params) {
  ++launches;
  if (grid.blocks <= 0)
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
  if (preparing)
    return {};
  function.isLaunched = true;
  if (grid.shared > function.shared) {
    TE_RT_TRY(outcomeOf(name, cu.setFunctionAttribute(function.handle,
                                                      kFunctionDynamicShared,
                                                      grid.shared)));
    function.shared = grid.shared;
  }
  void *arguments[] = {const_cast<void *>(params)};
  LaunchAttribute attributes[2] = {};
  LaunchConfig config = {{static_cast<uint32_t>(grid.blocks), 1, 1},
                         {static_cast<uint32_t>(grid.threads), 1, 1},
                         static_cast<uint32_t>(grid.shared),
                         work,
                         attributes,
                         0};
  auto set = [&](LaunchAttribute::Id id) {
    LaunchAttribute &attribute = attributes[config.numAttributes++];
    attribute.id = id;
    attribute.flag = 1;
  };
  if (grid.cooperative)
    set(LaunchAttribute::Cooperative);
  if (grid.overlaps)
    set(LaunchAttribute::Overlaps);
  return outcomeOf(name,
                   cu.launch(&config, function.handle, arguments, nullptr));
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
