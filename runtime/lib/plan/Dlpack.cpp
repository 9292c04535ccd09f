//===- Dlpack.cpp - tensors of other libraries ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plan/Dlpack.h"

#include "plan/Where.h"

using namespace te_rt::interp;

namespace {
struct Element {
  const char *name;
  uint8_t code, bits;
};

/// The element type of DLPack that is a te_rt_dtype.
constexpr Element kElements[] = {
    {"float32", dl::Float, 32},
    {"bfloat16", dl::BFloat, 16},
    {"float16", dl::Float, 16},
    {"float8_e4m3fn", dl::Float8E4M3FN, 8},
    {"float8_e5m2", dl::Float8E5M2, 8},
    {"float8_e8m0fnu", dl::Float8E8M0FNU, 8},
    {"int32", dl::Int, 32},
    {"int64", dl::Int, 64},
    {"uint8", dl::UInt, 8},
    {"float4_e2m1fn", dl::Float4E2M1FN, 4},
};

std::string toString(const int64_t *shape, int32_t rank) {
  std::string text = "[";
  for (int32_t i = 0; i < rank; ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string describeDevice(int32_t type, int32_t id) {
  switch (type) {
  case dl::Cpu:
    return "the CPU";
  case dl::Cuda:
    return say("GPU ", id);
  case dl::CudaHost:
    return "pinned host memory";
  case dl::CudaManaged:
    return "managed memory";
  default:
    return say("DLPack device type ", type);
  }
}

std::string findDevice(const dl::Tensor &tensor, bool onHost,
                       const dl::Place &place) {
  bool fits =
      onHost
          ? tensor.deviceType == dl::Cpu || tensor.deviceType == dl::CudaHost
          : (tensor.deviceType == dl::Cuda && tensor.deviceId == place.gpu) ||
                tensor.deviceType == dl::CudaManaged;
  if (fits)
    return {};
  return say("device is ", describeDevice(tensor.deviceType, tensor.deviceId),
             ", wanted ",
             describeDevice(onHost ? dl::Cpu : dl::Cuda, place.gpu));
}

/// Whether elements follow each other in row-major order.
bool isCompact(const dl::Tensor &tensor) {
  if (!tensor.strides)
    return true;
  int64_t stride = 1;
  for (int32_t i = tensor.rank - 1; i >= 0; --i) {
    if (tensor.shape[i] == 0)
      return true;
    if (tensor.shape[i] != 1 && tensor.strides[i] != stride)
      return false;
    stride *= tensor.shape[i];
  }
  return true;
}
} // namespace

std::string dl::findMismatch(const Tensor &tensor, uint64_t flags,
                             const te_rt_argument_info &argument,
                             const Place &place) {
  const te_rt_tensor &wanted = argument.tensor;
  std::string device =
      findDevice(tensor, place.isHost || wanted.on_host, place);
  if (!device.empty())
    return device;

  const Element &element = kElements[wanted.dtype];
  // Two elements of FP4 may come as a pair, which is then what shapes count.
  int64_t perLane = wanted.dtype == TE_RT_F4E2M1 ? tensor.lanes : 1;
  if (tensor.code != element.code || tensor.bits != element.bits ||
      (tensor.lanes != 1 &&
       !(wanted.dtype == TE_RT_F4E2M1 && tensor.lanes == 2)))
    return say("element type has code ", int(tensor.code), ", ",
               int(tensor.bits), " bits and ", tensor.lanes, " lanes, wanted ",
               element.name, ": code ", int(element.code), ", ",
               int(element.bits), " bits and 1 lane");
  if (wanted.dtype == TE_RT_F4E2M1 && (flags & SubbytePadded))
    return "elements are padded to a byte each, wanted two in a byte";

  int64_t shape[TE_RT_MAX_RANK];
  for (int32_t i = 0; i < wanted.rank; ++i)
    shape[i] = wanted.shape[i];
  if (wanted.rank > 0)
    shape[wanted.rank - 1] /= perLane;
  bool same = tensor.rank == wanted.rank;
  for (int32_t i = 0; same && i < wanted.rank; ++i)
    same = tensor.shape[i] == shape[i];
  if (!same)
    return say("shape is ",
               tensor.rank >= 0 && tensor.rank <= 64
                   ? toString(tensor.shape, tensor.rank)
                   : say("of rank ", tensor.rank),
               ", wanted ", toString(shape, wanted.rank));
  if (!isCompact(tensor))
    return say("strides are ", toString(tensor.strides, tensor.rank),
               ", wanted compact elements in row-major order");
  if ((flags & ReadOnly) && argument.direction != TE_RT_IN)
    return "marked read only, wanted memory that may be written";
  return {};
}
