//===- driver.h - the CUDA driver, opened at run time -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The part of the driver's C interface that the backend uses, declared here, so
// that no toolkit is needed to build and none to start.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_DRIVER_H
#define TE_RUNTIME_CUDA_DRIVER_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace te_rt {
namespace cuda {

using Result = int; // CUresult: 0 is success
using Address = uint64_t;
using Handle = void *; // CUcontext, CUstream, CUmodule, ...

/// CUlaunchAttribute, of those that are a flag.
struct LaunchAttribute {
  enum Id : int32_t { Cooperative = 2, Overlaps = 6 };
  Id id;
  union alignas(8) {
    int32_t flag;
    char all[64];
  };
};
/// CUlaunchConfig.
struct LaunchConfig {
  uint32_t blocks[3], threads[3];
  uint32_t shared; // bytes
  Handle stream;
  LaunchAttribute *attributes;
  uint32_t numAttributes;
};

enum : int {
  kResultNotReady = 600,
  kResultOutOfMemory = 2,
  kResultPeerEnabled = 704,
  kAttributeSmCount = 16,
  kAttributeMajor = 75,
  kAttributeMinor = 76,
  kAttributeSharedOptin = 97,
  kFunctionDynamicShared = 8,
  kStreamNonBlocking = 1,
  kEventWithoutTime = 2,
  kCaptureRelaxed = 2,
  kDependenciesSet = 1,
  kMapU8 = 0,
  kMapF32 = 7,
  kMapBf16 = 9,
  kMapSwizzle128 = 3,
  kMapPromote256 = 3,
};

// name in Driver, symbol, parameters
#define TE_RT_DRIVER_FUNCTIONS(X)                                              \
  X(init, cuInit, (unsigned))                                                  \
  X(errorString, cuGetErrorString, (Result, const char **))                    \
  X(errorName, cuGetErrorName, (Result, const char **))                        \
  X(deviceCount, cuDeviceGetCount, (int *))                                    \
  X(deviceGet, cuDeviceGet, (int *, int))                                      \
  X(deviceName, cuDeviceGetName, (char *, int, int))                           \
  X(deviceAttribute, cuDeviceGetAttribute, (int *, int, int))                  \
  X(retainContext, cuDevicePrimaryCtxRetain, (Handle *, int))                  \
  X(releaseContext, cuDevicePrimaryCtxRelease_v2, (int))                       \
  X(setContext, cuCtxSetCurrent, (Handle))                                     \
  X(streamCreate, cuStreamCreate, (Handle *, unsigned))                        \
  X(streamDestroy, cuStreamDestroy_v2, (Handle))                               \
  X(streamSynchronize, cuStreamSynchronize, (Handle))                          \
  X(streamWait, cuStreamWaitEvent, (Handle, Handle, unsigned))                 \
  X(canAccessPeer, cuDeviceCanAccessPeer, (int *, int, int))                   \
  X(enablePeer, cuCtxEnablePeerAccess, (Handle, unsigned))                     \
  X(streamIsCapturing, cuStreamIsCapturing, (Handle, int *))                   \
  X(beginCapture, cuStreamBeginCapture_v2, (Handle, int))                      \
  X(captureInfo, cuStreamGetCaptureInfo_v2,                                    \
    (Handle, int *, uint64_t *, Handle *, const Handle **, size_t *))          \
  X(setDependencies, cuStreamUpdateCaptureDependencies,                        \
    (Handle, Handle *, size_t, unsigned))                                      \
  X(endCapture, cuStreamEndCapture, (Handle, Handle *))                        \
  X(instantiate, cuGraphInstantiateWithFlags,                                  \
    (Handle *, Handle, unsigned long long))                                    \
  X(graphLaunch, cuGraphLaunch, (Handle, Handle))                              \
  X(graphDestroy, cuGraphDestroy, (Handle))                                    \
  X(graphExecDestroy, cuGraphExecDestroy, (Handle))                            \
  X(moduleLoad, cuModuleLoadData, (Handle *, const void *))                    \
  X(moduleUnload, cuModuleUnload, (Handle))                                    \
  X(functionCount, cuModuleGetFunctionCount, (unsigned *, Handle))             \
  X(listFunctions, cuModuleEnumerateFunctions, (Handle *, unsigned, Handle))   \
  X(functionName, cuFuncGetName, (const char **, Handle))                      \
  X(getFunction, cuModuleGetFunction, (Handle *, Handle, const char *))        \
  X(setFunctionAttribute, cuFuncSetAttribute, (Handle, int, int))              \
  X(launch, cuLaunchKernelEx,                                                  \
    (const LaunchConfig *, Handle, void **, void **))                          \
  X(memAlloc, cuMemAlloc_v2, (Address *, size_t))                              \
  X(memFree, cuMemFree_v2, (Address))                                          \
  X(memcpyAsync, cuMemcpyAsync, (Address, Address, size_t, Handle))            \
  X(memsetAsync, cuMemsetD8Async,                                              \
    (Address, unsigned char, size_t, Handle))                                  \
  X(pointerAttribute, cuPointerGetAttribute, (void *, int, Address))           \
  X(encodeTensorMap, cuTensorMapEncodeTiled,                                   \
    (void *, int, uint32_t, void *, const uint64_t *, const uint64_t *,        \
     const uint32_t *, const uint32_t *, int, int, int, int))                  \
  X(eventCreate, cuEventCreate, (Handle *, unsigned))                          \
  X(eventDestroy, cuEventDestroy_v2, (Handle))                                 \
  X(eventRecord, cuEventRecord, (Handle, Handle))                              \
  X(eventElapsed, cuEventElapsedTime, (float *, Handle, Handle))

struct Driver {
#define TE_RT_MEMBER(name, symbol, parameters) Result(*name) parameters;
  TE_RT_DRIVER_FUNCTIONS(TE_RT_MEMBER)
#undef TE_RT_MEMBER

  std::string why; // empty, or the reason why nothing above may be called

  /// "CUDA_ERROR_X: text" of a result.
  std::string describe(Result result) const;
};

/// The driver, opened and initialized once for the process.
const Driver &driver();

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_DRIVER_H
