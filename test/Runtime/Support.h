//===- Support.h - what tests of the runtime share --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_TEST_RUNTIME_SUPPORT_H
#define TE_TEST_RUNTIME_SUPPORT_H

#include "common/numeric.h"
#include "te_runtime/activation.h"
#include "te_runtime/gemm.h"
#include "te_runtime/layout.h"
#include "te_runtime/quantize.h"
#include "te_runtime/routing.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace te_test {

struct Destroy {
  void operator()(te_rt_context *context) const {
    te_rt_context_destroy(context);
  }
};
using Context = std::unique_ptr<te_rt_context, Destroy>;

inline Context makeContext(int32_t threads = 2,
                           te_rt_communicator *world = nullptr,
                           int32_t rank = 0) {
  te_rt_context *context = nullptr;
  char message[256];
  EXPECT_EQ(te_rt_context_create(TE_RT_REF, threads, world, rank, &context,
                                 message, sizeof(message)),
            TE_RT_OK)
      << message;
  return Context(context);
}

/// A tensor with its memory, which begins as bytes 0xCD.
struct Tensor {
  te_rt_tensor t = {};
  std::vector<unsigned char> bytes;

  Tensor(te_rt_dtype dtype, std::vector<int64_t> shape) {
    t.dtype = dtype;
    t.rank = static_cast<int32_t>(shape.size());
    int64_t elements = 1;
    for (size_t i = 0; i < shape.size(); ++i)
      elements *= t.shape[i] = shape[i];
    bytes.assign(te_rt::bytesOf(dtype, elements), 0xCD);
    t.data = bytes.data();
  }
  Tensor(const Tensor &other) : t(other.t), bytes(other.bytes) {
    t.data = bytes.data();
  }
  Tensor &operator=(const Tensor &other) {
    t = other.t;
    bytes = other.bytes;
    t.data = bytes.data();
    return *this;
  }

  Tensor &scales(te_rt_scale_layout layout, int32_t rows = 0, int32_t cols = 0,
                 int32_t groups = 0) {
    t.layout = layout;
    t.block_rows = rows;
    t.block_cols = cols;
    t.groups = groups;
    return *this;
  }
  operator const te_rt_tensor *() const { return &t; }

  int64_t size() const {
    return static_cast<int64_t>(bytes.size()) * 8 / te_rt::elementBits(t.dtype);
  }
  template <typename T> T *as() { return reinterpret_cast<T *>(bytes.data()); }
  template <typename T> const T *as() const {
    return reinterpret_cast<const T *>(bytes.data());
  }

  float get(int64_t i) const {
    switch (t.dtype) {
    case TE_RT_F32:
      return as<float>()[i];
    case TE_RT_BF16:
      return te_rt::toFloat(as<te_rt::BFloat16>()[i]);
    case TE_RT_I32:
      return static_cast<float>(as<int32_t>()[i]);
    case TE_RT_U8:
      return bytes[i];
    default:
      return te_rt::decodeTable(t.dtype)[bytes[i]];
    }
  }
  void set(int64_t i, float value) {
    if (t.dtype == TE_RT_F32)
      as<float>()[i] = value;
    else if (t.dtype == TE_RT_BF16)
      te_rt::fromFloat(value, as<te_rt::BFloat16>()[i]);
    else if (t.dtype == TE_RT_I32)
      as<int32_t>()[i] = static_cast<int32_t>(value);
    else if (t.dtype == TE_RT_F8E4M3)
      bytes[i] = te_rt::encode<te_rt::E4M3>(value);
    else
      bytes[i] = te_rt::encode<te_rt::E5M2>(value);
  }
};

inline Tensor normal(te_rt_dtype dtype, std::vector<int64_t> shape,
                     unsigned seed, float deviation = 1.0f) {
  Tensor tensor(dtype, shape);
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution(0.0f, deviation);
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.set(i, distribution(random));
  return tensor;
}

inline Tensor integers(std::vector<int64_t> shape,
                       std::vector<int32_t> values) {
  Tensor tensor(TE_RT_I32, shape);
  EXPECT_EQ(tensor.size(), static_cast<int64_t>(values.size()));
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.as<int32_t>()[i] = values[i];
  return tensor;
}
inline Tensor offsetsOf(std::vector<int32_t> values) {
  return integers({static_cast<int64_t>(values.size())}, values);
}
inline Tensor floats(std::vector<int64_t> shape, std::vector<float> values) {
  Tensor tensor(TE_RT_F32, shape);
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.as<float>()[i] = values[i];
  return tensor;
}
inline std::vector<int32_t> ints(const Tensor &tensor) {
  return std::vector<int32_t>(tensor.as<int32_t>(),
                              tensor.as<int32_t>() + tensor.size());
}

/// A list that owns its descriptors, not the memory.
struct List {
  std::vector<te_rt_tensor> items;
  List() = default;
  List(std::initializer_list<const te_rt_tensor *> tensors) {
    for (const te_rt_tensor *tensor : tensors)
      items.push_back(*tensor);
  }
  explicit List(const std::vector<Tensor> &tensors) {
    for (const Tensor &tensor : tensors)
      items.push_back(tensor.t);
  }
  operator te_rt_tensor_list() const {
    return {items.data(), static_cast<int64_t>(items.size())};
  }
};

} // namespace te_test

/// The call succeeds; otherwise its message is shown.
#define EXPECT_OK(context, call)                                               \
  EXPECT_EQ((call), TE_RT_OK) << te_rt_last_error((context).get())

/// The call fails with `status`, and the message contains `text`.
#define EXPECT_FAILS(context, call, status, text)                              \
  do {                                                                         \
    EXPECT_EQ((call), (status));                                               \
    EXPECT_NE(std::string(te_rt_last_error((context).get())).find(text),       \
              std::string::npos)                                               \
        << te_rt_last_error((context).get());                                  \
  } while (false)

#endif // TE_TEST_RUNTIME_SUPPORT_H
