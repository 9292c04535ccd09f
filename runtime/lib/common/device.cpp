//===- device.cpp - memory of the host, and the C functions of device.h ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "common/device.h"
#include "common/context.h"
#include "te_runtime/device.h"

#include <cstdlib>
#include <cstring>

using namespace te_rt;

void *Device::allocate(size_t bytes) {
  void *memory = nullptr;
  return posix_memalign(&memory, 64, bytes ? bytes : 1) ? nullptr : memory;
}

void Device::release(void *memory) { std::free(memory); }

Outcome Device::copy(void *to, const void *from, size_t bytes) {
  if (bytes)
    std::memcpy(to, from, bytes);
  return {};
}

Outcome Device::fill(void *memory, int byte, size_t bytes) {
  if (bytes)
    std::memset(memory, byte, bytes);
  return {};
}

static Outcome needsDevice(const char *what) {
  return {TE_RT_UNSUPPORTED,
          std::string(what) + ": found the ref backend, wanted cuda"};
}
Outcome Device::useStream(void *stream) {
  return stream ? needsDevice("stream") : Outcome();
}
Outcome Device::beginCapture() { return needsDevice("graph"); }
Outcome Device::endCapture(void **) { return needsDevice("graph"); }
Outcome Device::launchGraph(void *) { return needsDevice("graph"); }
Outcome Device::mark(size_t) { return needsDevice("time stamp"); }
double Device::nanosecondsBetween(size_t, size_t) { return 0; }
Outcome Device::measureLimits(te_rt_limits &) { return needsDevice("limits"); }

/// Runs `action`, an Outcome of the context's device.
template <typename Action>
static te_rt_status onDevice(te_rt_context *context, const char *name,
                             int64_t bytes, Action action) {
  if (!context)
    return TE_RT_INVALID_ARGUMENT;
  context->function = name;
  context->message.clear();
  if (bytes < 0)
    return context->fail(TE_RT_INVALID_ARGUMENT, "bytes: found ", bytes,
                         ", wanted 0 or more");
  try {
    return context->finish(action());
  } catch (const std::bad_alloc &) {
    return context->fail(TE_RT_OUT_OF_MEMORY, "not enough host memory");
  }
}

int32_t te_rt_has_device_memory(const te_rt_context *context) {
  return context && !context->device->isHost();
}

int64_t te_rt_peak_memory(const te_rt_context *context) {
  return context ? context->device->peakBytes() : 0;
}

te_rt_status te_rt_allocate(te_rt_context *context, int64_t bytes,
                            void **data) {
  if (data)
    *data = nullptr;
  return onDevice(context, "allocate", bytes, [&]() -> Outcome {
    if (!data)
      return {TE_RT_INVALID_ARGUMENT, "data: found NULL, wanted a pointer"};
    *data = context->device->allocate(static_cast<size_t>(bytes));
    if (*data)
      return {};
    return {TE_RT_OUT_OF_MEMORY,
            "could not allocate " + std::to_string(bytes) + " bytes"};
  });
}

void te_rt_release(te_rt_context *context, void *data) {
  if (context && data)
    context->device->release(data);
}

te_rt_status te_rt_copy_memory(te_rt_context *context, void *to,
                               const void *from, int64_t bytes) {
  return onDevice(context, "copy_memory", bytes, [&] {
    return context->device->copy(to, from, static_cast<size_t>(bytes));
  });
}

te_rt_status te_rt_fill_memory(te_rt_context *context, void *data, int32_t byte,
                               int64_t bytes) {
  return onDevice(context, "fill_memory", bytes, [&] {
    return context->device->fill(data, byte & 0xff, static_cast<size_t>(bytes));
  });
}

te_rt_status te_rt_synchronize(te_rt_context *context) {
  return onDevice(context, "synchronize", 0,
                  [&] { return context->device->synchronize(); });
}

te_rt_status te_rt_measure_limits(te_rt_context *context,
                                  te_rt_limits *limits) {
  return onDevice(context, "measure_limits", 0, [&]() -> Outcome {
    if (!limits)
      return {TE_RT_INVALID_ARGUMENT, "limits: found NULL, wanted a pointer"};
    *limits = {};
    return context->device->measureLimits(*limits);
  });
}

void *te_rt_stream(te_rt_context *context) {
  return context ? context->device->stream() : nullptr;
}

te_rt_status te_rt_use_products(te_rt_context *context, te_rt_products products,
                                int32_t streams) {
  return onDevice(context, "use_products", 0, [&]() -> Outcome {
    if (products < TE_RT_PRODUCTS_PLANNED || products > TE_RT_PRODUCTS_LIBRARY)
      return {TE_RT_INVALID_ARGUMENT, "products: found " +
                                          std::to_string(int(products)) +
                                          ", wanted 0, 1 or 2"};
    if (streams < 0 || streams > 8)
      return {TE_RT_INVALID_ARGUMENT,
              "streams: found " + std::to_string(streams) + ", wanted 0 to 8"};
    context->products = products;
    context->libraryStreams = streams;
    return {};
  });
}

te_rt_status te_rt_use_stream(te_rt_context *context, void *stream) {
  return onDevice(context, "use_stream", 0,
                  [&] { return context->device->useStream(stream); });
}
