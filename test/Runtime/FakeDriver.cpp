//===- FakeDriver.cpp - a CUDA driver without a GPU -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// libcuda's functions as far as the runtime calls them, for tests of what it
// says where a library is missing: memory is the host's, and modules have no
// kernels. FAKE_GPUS tells how many GPUs there are, 1 by default, FAKE_MAJOR their
// compute capability, 9 by default. What is not here is in FakeDriverRest.cpp, and
// does nothing.
//
//===----------------------------------------------------------------------===//

#include "cuda/driver.h"

#include <cstdlib>
#include <cstring>

using namespace te_rt::cuda;

static Handle anything() { return reinterpret_cast<Handle>(1); }

// Each rank has a thread and a stream.
static thread_local bool capturing = false;

extern "C" {
Result cuInit(unsigned) { return 0; }
Result cuGetErrorString(Result, const char **text) { return *text = "fake", 0; }
Result cuGetErrorName(Result, const char **name) { return *name = "FAKE", 0; }
Result cuDeviceGetCount(int *count) {
  const char *gpus = std::getenv("FAKE_GPUS");
  return *count = gpus ? std::atoi(gpus) : 1, 0;
}
Result cuDeviceGet(int *device, int number) { return *device = number, 0; }
Result cuDeviceGetName(char *name, int capacity, int) {
  return std::strncpy(name, "fake", static_cast<size_t>(capacity)), 0;
}
Result cuDeviceGetAttribute(int *value, int attribute, int) {
  const char *major = std::getenv("FAKE_MAJOR");
  return *value = attribute == kAttributeMajor   ? (major ? std::atoi(major) : 9)
                  : attribute == kAttributeMinor ? 0
                                                 : 132,
         0;
}
Result cuDeviceCanAccessPeer(int *can, int, int) { return *can = 1, 0; }
Result cuDevicePrimaryCtxRetain(Handle *context, int) {
  return *context = anything(), 0;
}
Result cuStreamCreate(Handle *stream, unsigned) {
  static thread_local uintptr_t made = 0;
  return *stream = reinterpret_cast<Handle>(++made), 0;
}
Result cuStreamBeginCapture_v2(Handle, int) { return capturing = true, 0; }
Result cuStreamEndCapture(Handle, Handle *graph) {
  return capturing = false, *graph = anything(), 0;
}
Result cuStreamIsCapturing(Handle, int *state) { return *state = capturing, 0; }
Result cuEventCreate(Handle *event, unsigned) { return *event = anything(), 0; }
Result cuEventElapsedTime(float *time, Handle, Handle) { return *time = 1, 0; }
Result cuModuleLoadData(Handle *module, const void *) {
  return *module = anything(), 0;
}
Result cuModuleGetFunctionCount(unsigned *count, Handle) {
  return *count = 0, 0;
}
Result cuMemAlloc_v2(Address *memory, size_t bytes) {
  *memory = reinterpret_cast<Address>(
      std::aligned_alloc(256, (bytes + 255) / 256 * 256));
  return *memory ? 0 : kResultOutOfMemory;
}
Result cuMemFree_v2(Address memory) {
  return std::free(reinterpret_cast<void *>(memory)), 0;
}
Result cuMemcpyAsync(Address to, Address from, size_t bytes, Handle) {
  return std::memcpy(reinterpret_cast<void *>(to),
                     reinterpret_cast<void *>(from), bytes),
         0;
}
Result cuMemsetD8Async(Address to, unsigned char byte, size_t bytes, Handle) {
  return std::memset(reinterpret_cast<void *>(to), byte, bytes), 0;
}
}
