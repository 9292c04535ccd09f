//===- Dlpack.h - tensors of other libraries --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The part of DLPack's binary interface that the runtime reads, declared here
// as its specification (1.0, and the element types of 1.1) lays it out.
//
//===----------------------------------------------------------------------===//
#ifndef TE_RT_PLAN_DLPACK_H
#define TE_RT_PLAN_DLPACK_H

#include "te_runtime/plan.h"

#include <cstdint>
#include <string>

namespace te_rt::interp::dl {

enum DeviceType : int32_t { Cpu = 1, Cuda = 2, CudaHost = 3, CudaManaged = 13 };

enum Code : uint8_t {
  Int = 0,
  UInt = 1,
  Float = 2,
  BFloat = 4,
  Float8E4M3FN = 10,
  Float8E5M2 = 12,
  Float8E8M0FNU = 14,
  Float4E2M1FN = 17
};

enum Flags : uint64_t { ReadOnly = 1 << 0, SubbytePadded = 1 << 2 };

struct Tensor {
  void *data;
  int32_t deviceType;
  int32_t deviceId;
  int32_t rank;
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
  int64_t *shape;
  int64_t *strides; // in elements; nullptr: compact
  uint64_t byteOffset;
};
static_assert(sizeof(void *) != 8 || sizeof(Tensor) == 48);

/// Where the memory of the context's device lies, as DLPack says it.
struct Place {
  bool isHost;
  int32_t gpu; // its ordinal
};

/// What keeps `tensor` from being the argument, in place: "device is ...,
/// wanted
/// ..."; or empty.
std::string findMismatch(const Tensor &tensor, uint64_t flags,
                         const te_rt_argument_info &argument,
                         const Place &place);

/// Where its elements begin.
inline void *dataOf(const Tensor &tensor) {
  return tensor.data ? static_cast<char *>(tensor.data) + tensor.byteOffset
                     : nullptr;
}

} // namespace te_rt::interp::dl

struct DLManagedTensor {
  te_rt::interp::dl::Tensor tensor;
  void *context;
  void (*deleter)(DLManagedTensor *);
};

struct DLManagedTensorVersioned {
  struct {
    uint32_t major, minor;
  } version;
  void *context;
  void (*deleter)(DLManagedTensorVersioned *);
  uint64_t flags;
  te_rt::interp::dl::Tensor tensor;
};

#endif // TE_RT_PLAN_DLPACK_H
