//===- Twin.h - one call on ref and on cuda ----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A call gets the same bytes on both backends, in its outputs too, so that what
// it must leave alone is compared as well. On the device each argument has a
// guard band on either side. Everything is compared bit for bit, but that a NaN
// of F32 is a NaN.
//
//===----------------------------------------------------------------------===//

#ifndef TE_TEST_RUNTIME_TWIN_H
#define TE_TEST_RUNTIME_TWIN_H

#include "Support.h"
#include "common/context.h"
#include "cuda/cast.h"
#include "te_runtime/device.h"
#include "te_runtime/quantize.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>

namespace te_test {

/// TE_CONFORMANCE: how much of the suite runs, and on what.
inline bool conformanceIs(const char *name) {
  const char *value = std::getenv("TE_CONFORMANCE");
  return value && !std::strcmp(value, name);
}
/// TE_CONFORMANCE=sampled: of the calls of `reduced` a few, and those that launch a
/// kernel for the first time, once each; for a tool to which a launch takes as long
/// as to others a test.
inline bool isSampled() { return conformanceIs("sampled"); }
/// TE_CONFORMANCE=reduced: fewer and smaller shapes, for slow tools.
inline bool isReduced() { return conformanceIs("reduced") || isSampled(); }

/// Whether a test makes its next call: all of them, or the first six and of the
/// others one of eleven, which is prime to the loops that they come from.
inline bool takesNext() {
  static const ::testing::TestInfo *test = nullptr;
  static unsigned count = 0;
  const ::testing::TestInfo *current =
      ::testing::UnitTest::GetInstance()->current_test_info();
  if (current != test)
    test = current, count = 0;
  return !isSampled() || count++ < 6 || count % 11 == 0;
}

/// TE_KERNELS=FILE: which kernels a context's device has, and which of them were
/// launched, at the end of that file.
inline void noteKernels(te_rt_context *context) {
  const char *file = std::getenv("TE_KERNELS");
  if (!file || !context || context->device->isHost())
    return;
  std::string lines;
  for (const auto &kernel : te_rt::cuda::deviceOf(context).kernels())
    lines += (kernel.isLaunched ? "launched " : "has ") + kernel.name + "\n";
  if (std::FILE *out = std::fopen(file, "a")) {
    std::fwrite(lines.data(), 1, lines.size(), out);
    std::fclose(out);
  }
}

/// A context of the GPU, made once; null, and why, where there is none.
/// TE_CONFORMANCE=self holds ref to itself, which tests the tests.
struct Gpu {
  te_rt_context *context = nullptr;
  char why[512] = "";
  Gpu() {
    te_rt_context_create(conformanceIs("self") ? TE_RT_REF : TE_RT_CUDA, 0, nullptr, 0, &context,
                         why, sizeof why);
  }
  ~Gpu() {
    noteKernels(context);
    te_rt_context_destroy(context);
  }
  static Gpu &get() {
    static Gpu gpu;
    return gpu;
  }
};

using Tensors = std::vector<const te_rt_tensor *>;
using Bytes = std::vector<unsigned char>;
/// Calls a function with tensors in the order of the arguments below; nullptr
/// for those that are absent.
using Call = std::function<te_rt_status(te_rt_context *, const Tensors &)>;

/// The arguments of a call: absent ones have no dtype.
struct Arguments {
  std::vector<std::unique_ptr<Tensor>> items;
  int add(const Tensor &tensor) {
    items.push_back(std::make_unique<Tensor>(tensor));
    return static_cast<int>(items.size()) - 1;
  }
  int none() {
    items.push_back(nullptr);
    return static_cast<int>(items.size()) - 1;
  }
};

/// What all arguments hold after the call on ref.
inline std::vector<Bytes> runOnRef(const Arguments &arguments,
                                   const Call &call) {
  static Context context = makeContext(0);
  std::vector<std::unique_ptr<Tensor>> copies;
  Tensors tensors;
  for (const auto &item : arguments.items) {
    copies.push_back(item ? std::make_unique<Tensor>(*item) : nullptr);
    tensors.push_back(item ? &copies.back()->t : nullptr);
  }
  EXPECT_EQ(call(context.get(), tensors), TE_RT_OK)
      << "on ref: " << te_rt_last_error(context.get());
  std::vector<Bytes> results;
  for (auto &copy : copies)
    results.push_back(copy ? copy->bytes : Bytes());
  return results;
}

/// What quantize on ref gives for `rows` with the offsets that are `fused`'s
/// argument `offsets`, over the bytes that its four outputs from `first` on hold.
inline std::vector<Bytes> quantizeOnRef(const Tensor &rows,
                                        const Arguments &fused, int offsets,
                                        int first, bool pow2Scales) {
  Arguments arguments;
  arguments.add(rows);
  fused.items[offsets] ? arguments.add(*fused.items[offsets])
                       : arguments.none();
  for (int i = 0; i < 4; ++i)
    arguments.add(*fused.items[first + i]);
  std::vector<Bytes> after =
      runOnRef(arguments, [&](te_rt_context *context, const Tensors &t) {
        return te_rt_quantize(context, t[0], nullptr, nullptr, nullptr, t[1],
                              nullptr, t[2], t[3], t[4], t[5], nullptr, nullptr,
                              nullptr, -1, pow2Scales, 0, 0, 0, 0);
      });
  return {after.begin() + 2, after.end()};
}

/// The call on a context of the GPU. Guard bands are checked here.
inline std::vector<Bytes> runOnDevice(te_rt_context *context,
                                      const Arguments &arguments,
                                      const Call &call, int times = 1) {
  constexpr size_t guard = 256;
  std::vector<te_rt_tensor> descriptors(arguments.items.size());
  std::vector<Bytes> results(arguments.items.size());
  std::vector<char *> memory(arguments.items.size());
  std::vector<std::unique_ptr<Tensor>> hosts(arguments.items.size());
  Tensors tensors;
  for (size_t i = 0; i < arguments.items.size(); ++i) {
    if (!arguments.items[i]) {
      tensors.push_back(nullptr);
      continue;
    }
    const Tensor &item = *arguments.items[i];
    descriptors[i] = item.t;
    tensors.push_back(&descriptors[i]);
    if (item.t.on_host) {
      hosts[i] = std::make_unique<Tensor>(item);
      descriptors[i].data = hosts[i]->bytes.data();
      continue;
    }
    Bytes image(item.bytes.size() + 2 * guard, 0xA5);
    std::copy(item.bytes.begin(), item.bytes.end(), image.begin() + guard);
    void *data = nullptr;
    EXPECT_EQ(te_rt_allocate(context, image.size(), &data), TE_RT_OK);
    EXPECT_EQ(te_rt_copy_memory(context, data, image.data(), image.size()),
              TE_RT_OK);
    memory[i] = static_cast<char *>(data);
    descriptors[i].data = memory[i] + guard;
  }
  for (int time = 0; time < times; ++time)
    EXPECT_EQ(call(context, tensors), TE_RT_OK)
        << "on cuda: " << te_rt_last_error(context);
  EXPECT_EQ(te_rt_synchronize(context), TE_RT_OK) << te_rt_last_error(context);
  for (size_t i = 0; i < memory.size(); ++i) {
    if (hosts[i])
      results[i] = hosts[i]->bytes;
    if (!memory[i])
      continue;
    Bytes image(arguments.items[i]->bytes.size() + 2 * guard);
    EXPECT_EQ(te_rt_copy_memory(context, image.data(), memory[i], image.size()),
              TE_RT_OK);
    for (size_t at = 0; at < guard; ++at)
      if (image[at] != 0xA5 || image[image.size() - 1 - at] != 0xA5) {
        ADD_FAILURE() << "argument " << i << " is written beyond its memory";
        break;
      }
    results[i].assign(image.begin() + guard, image.end() - guard);
    te_rt_release(context, memory[i]);
  }
  return results;
}

inline std::vector<Bytes> runOnCuda(const Arguments &arguments,
                                    const Call &call, int times = 1) {
  return runOnDevice(Gpu::get().context, arguments, call, times);
}

/// Each argument the same; those in `close` to within `relative` of the other
/// value, or of `absolute`.
inline void expectSame(const Arguments &arguments,
                       const std::vector<Bytes> &wanted,
                       const std::vector<Bytes> &found,
                       const std::vector<int> &close = {},
                       float relative = 0, float absolute = 0) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!arguments.items[i] || wanted[i] == found[i])
      continue;
    bool isClose = std::count(close.begin(), close.end(), static_cast<int>(i));
    Tensor a = *arguments.items[i], b = *arguments.items[i];
    a.bytes = wanted[i], b.bytes = found[i];
    a.t.data = a.bytes.data(), b.t.data = b.bytes.data();
    int64_t width = te_rt::bytesOf(a.t.dtype, 1), misses = 0;
    for (int64_t at = 0; at < a.size(); ++at) {
      if (!std::memcmp(&a.bytes[at * width], &b.bytes[at * width], width))
        continue;
      bool isFloat = a.t.dtype == TE_RT_F32 || a.t.dtype == TE_RT_BF16;
      float x = isFloat ? a.get(at) : 0, y = isFloat ? b.get(at) : 0;
      if (a.t.dtype == TE_RT_F32 && std::isnan(x) && std::isnan(y))
        continue;
      if (isClose && (x == y || std::fabs(x - y) <= relative * std::fabs(x) + absolute ||
                      (std::isnan(x) && std::isnan(y))))
        continue;
      if (misses++ < 3)
        ADD_FAILURE() << "argument " << i << ", element " << at << " of "
                      << a.size() << ": ref "
                      << (isFloat ? x : float(a.bytes[at * width])) << ", cuda "
                      << (isFloat ? y : float(b.bytes[at * width]));
    }
    if (misses > 3)
      ADD_FAILURE() << "argument " << i << ": " << misses << " of " << a.size()
                    << " elements differ";
  }
}

/// Whether a call would launch a kernel that nobody has launched: it is prepared,
/// with memory that nothing is copied to.
inline bool launchesMore(const Arguments &arguments, const Call &call) {
  te_rt_context *context = Gpu::get().context;
  if (context->device->isHost())
    return false;
  std::vector<te_rt_tensor> descriptors(arguments.items.size());
  std::vector<void *> memory(arguments.items.size());
  Tensors tensors;
  for (size_t i = 0; i < arguments.items.size(); ++i) {
    if (!arguments.items[i]) {
      tensors.push_back(nullptr);
      continue;
    }
    descriptors[i] = arguments.items[i]->t;
    tensors.push_back(&descriptors[i]);
    if (descriptors[i].on_host)
      continue;
    EXPECT_EQ(te_rt_allocate(context, arguments.items[i]->bytes.size(),
                             &memory[i]),
              TE_RT_OK);
    descriptors[i].data = memory[i];
  }
  context->device->beginPreparing();
  EXPECT_EQ(call(context, tensors), TE_RT_OK) << te_rt_last_error(context);
  EXPECT_EQ(context->device->endPreparing().status, TE_RT_OK);
  for (void *each : memory)
    if (each)
      te_rt_release(context, each);
  for (const auto &kernel : te_rt::cuda::deviceOf(context).kernels())
    if (kernel.isWanted && !kernel.isLaunched)
      return true;
  return false;
}

/// Runs twice on cuda with fresh memory: work that must leave its counters at
/// zero is seen by the second run.
inline void expectTwins(const Arguments &arguments, const Call &call) {
  if (!takesNext() && !launchesMore(arguments, call))
    return;
  std::vector<Bytes> wanted = runOnRef(arguments, call);
  for (int run = isSampled(); run < 2 && !::testing::Test::HasFailure(); ++run)
    expectSame(arguments, wanted, runOnCuda(arguments, call));
}

/// Normal data; `special`: NaN, infinities, denormals, zeros and extremes in it.
inline Tensor values(te_rt_dtype dtype, std::vector<int64_t> shape,
                     unsigned seed, bool special = false) {
  Tensor tensor(dtype, shape);
  uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  auto next = [&state] {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
  };
  static const float specials[] = {
      NAN,     -NAN,       INFINITY, -INFINITY, 0.0f,    -0.0f,
      0x1p-133f, -0x1p-127f, 0x1p-126f, 0x1.fep127f, 448.0f, -57344.0f, 0x1p-60f};
  for (int64_t i = 0; i < tensor.size(); ++i) {
    uint64_t bits = next();
    float value = 0;
    for (int part = 0; part < 4; ++part)
      value += static_cast<float>(bits >> (16 * part) & 0xffff) - 32767.5f;
    value *= 1.0f / 37837.0f;
    if (special && next() % 64 == 0)
      value = specials[next() % (i / 4096 % 3 ? 13 : 4 + 9) % 13];
    if (special && i / 1024 % 7 == 3)
      value = 0.0f;
    tensor.set(i, value);
  }
  return tensor;
}

/// Random bytes of any type, for moves.
inline Tensor noise(te_rt_dtype dtype, std::vector<int64_t> shape,
                    unsigned seed) {
  Tensor tensor(dtype, shape);
  std::mt19937 random(seed);
  for (unsigned char &byte : tensor.bytes)
    byte = static_cast<unsigned char>(random());
  return tensor;
}

#define NEEDS_GPU()                                                            \
  if (!Gpu::get().context)                                                     \
  GTEST_SKIP() << Gpu::get().why

} // namespace te_test

#endif // TE_TEST_RUNTIME_TWIN_H
