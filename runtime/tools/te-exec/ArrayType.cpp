//===- ArrayType.cpp - element types and shapes on the host ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ArrayType.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace te::exec;

namespace {
/// A float format below 32 bits: sign, exponent, mantissa.
struct SmallFloat {
  int exponentBits, mantissaBits, bias;
  double largest;                           ///< largest finite value
  enum { Ieee, NaNAlone, Finite } specials; ///< NaNAlone: code of all ones
};
constexpr SmallFloat F16{5, 10, 15, 65504.0, SmallFloat::Ieee};
constexpr SmallFloat F8E4M3{4, 3, 7, 448.0, SmallFloat::NaNAlone};
constexpr SmallFloat F8E5M2{5, 2, 15, 57344.0, SmallFloat::Ieee};
constexpr SmallFloat F4E2M1{2, 1, 1, 6.0, SmallFloat::Finite};

double decode(const SmallFloat &format, uint32_t bits) {
  uint32_t mantissaMask = (1u << format.mantissaBits) - 1;
  uint32_t exponentMask = (1u << format.exponentBits) - 1;
  uint32_t mantissa = bits & mantissaMask;
  uint32_t exponent = (bits >> format.mantissaBits) & exponentMask;
  bool negative = bits >> (format.mantissaBits + format.exponentBits) & 1;
  double magnitude;
  if (exponent == exponentMask && format.specials == SmallFloat::Ieee)
    magnitude = mantissa ? std::numeric_limits<double>::quiet_NaN()
                         : std::numeric_limits<double>::infinity();
  else if (exponent == exponentMask && mantissa == mantissaMask &&
           format.specials == SmallFloat::NaNAlone)
    magnitude = std::numeric_limits<double>::quiet_NaN();
  else if (exponent == 0)
    magnitude = std::ldexp(mantissa, 1 - format.bias - format.mantissaBits);
  else
    magnitude = std::ldexp(mantissa + mantissaMask + 1,
                           static_cast<int>(exponent) - format.bias -
                               format.mantissaBits);
  return negative ? -magnitude : magnitude;
}

uint32_t encode(const SmallFloat &format, double value) {
  uint32_t sign = std::signbit(value)
                      ? 1u << (format.mantissaBits + format.exponentBits)
                      : 0;
  uint32_t quietNaN = (1u << (format.mantissaBits + format.exponentBits)) - 1;
  if (std::isnan(value)) // of a format that has none: the largest
    return (format.specials == SmallFloat::Finite ? 0 : sign) | quietNaN;
  double magnitude = std::fabs(value);
  int exponent = magnitude == 0 ? 1 - format.bias : std::ilogb(magnitude);
  if (exponent < 1 - format.bias)
    exponent = 1 - format.bias;
  // In units of the last place; nearbyint rounds to nearest even.
  double units = magnitude > format.largest
                     ? std::numeric_limits<double>::infinity()
                     : std::nearbyint(std::ldexp(
                           magnitude, format.mantissaBits - exponent));
  if (std::ldexp(units, exponent - format.mantissaBits) > format.largest) {
    exponent = std::ilogb(format.largest);
    units = std::ldexp(format.largest, format.mantissaBits - exponent);
  }
  // A carry out of the mantissa lands in the exponent, as it should.
  uint32_t hidden = 1u << format.mantissaBits;
  uint32_t code = static_cast<uint32_t>(units);
  if (code >= hidden)
    code += static_cast<uint32_t>(exponent + format.bias - 1)
            << format.mantissaBits;
  return sign | code;
}

template <typename T> T load(const void *data, int64_t i) {
  T value;
  std::memcpy(&value, static_cast<const char *>(data) + i * sizeof(T),
              sizeof(T));
  return value;
}

template <typename T> void store(void *data, int64_t i, T value) {
  std::memcpy(static_cast<char *>(data) + i * sizeof(T), &value, sizeof(T));
}
} // namespace

int64_t te::exec::countElements(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t extent : shape) {
    if (extent < 0)
      return -1;
    empty |= extent == 0;
  }
  if (empty)
    return 0;
  for (int64_t extent : shape)
    if (__builtin_mul_overflow(count, extent, &count))
      return -1;
  return count;
}

int64_t ArrayType::elements() const { return countElements(shape); }
int64_t ArrayType::bytes() const {
  return elements() * dtypeBytes(dtype) / (dtype == TE_RT_F4E2M1 ? 2 : 1);
}
std::vector<int64_t> ArrayType::fileShape() const {
  std::vector<int64_t> inBytes = shape;
  if (dtype == TE_RT_F4E2M1)
    inBytes.back() /= 2;
  return inBytes;
}
std::string ArrayType::str() const {
  return dtypeName(dtype) + shapeString(shape);
}

std::string te::exec::shapeString(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string te::exec::positionString(int64_t linear,
                                     const std::vector<int64_t> &shape) {
  std::vector<int64_t> position(shape.size());
  // An empty array has no position but its origin.
  for (size_t d = shape.size(); d-- > 0 && linear > 0;) {
    position[d] = linear % shape[d];
    linear /= shape[d];
  }
  return shapeString(position);
}

const char *te::exec::dtypeName(te_rt_dtype dtype) {
  switch (dtype) {
  case TE_RT_F32:
    return "f32";
  case TE_RT_BF16:
    return "bf16";
  case TE_RT_F16:
    return "f16";
  case TE_RT_F8E4M3:
    return "f8E4M3FN";
  case TE_RT_F8E5M2:
    return "f8E5M2";
  case TE_RT_F8E8M0:
    return "f8E8M0FNU";
  case TE_RT_I32:
    return "i32";
  case TE_RT_I64:
    return "i64";
  case TE_RT_U8:
    return "u8";
  case TE_RT_F4E2M1:
    return "f4E2M1FN";
  }
  return "unknown";
}

int64_t te::exec::dtypeBytes(te_rt_dtype dtype) {
  switch (dtype) {
  case TE_RT_F32:
  case TE_RT_I32:
    return 4;
  case TE_RT_BF16:
  case TE_RT_F16:
    return 2;
  case TE_RT_I64:
    return 8;
  case TE_RT_F8E4M3:
  case TE_RT_F8E5M2:
  case TE_RT_F8E8M0:
  case TE_RT_U8:
  case TE_RT_F4E2M1:
    return 1;
  }
  return 0;
}

double te::exec::decodeElement(te_rt_dtype dtype, const void *data, int64_t i) {
  switch (dtype) {
  case TE_RT_F32:
    return load<float>(data, i);
  case TE_RT_BF16: {
    uint32_t bits = static_cast<uint32_t>(load<uint16_t>(data, i)) << 16;
    return load<float>(&bits, 0);
  }
  case TE_RT_F16:
    return decode(F16, load<uint16_t>(data, i));
  case TE_RT_F8E4M3:
    return decode(F8E4M3, load<uint8_t>(data, i));
  case TE_RT_F8E5M2:
    return decode(F8E5M2, load<uint8_t>(data, i));
  case TE_RT_F8E8M0: {
    uint8_t bits = load<uint8_t>(data, i);
    return bits == 255 ? std::numeric_limits<double>::quiet_NaN()
                       : std::ldexp(1.0, bits - 127);
  }
  case TE_RT_I32:
    return load<int32_t>(data, i);
  case TE_RT_I64:
    return static_cast<double>(load<int64_t>(data, i));
  case TE_RT_U8:
    return load<uint8_t>(data, i);
  case TE_RT_F4E2M1:
    return decode(F4E2M1, load<uint8_t>(data, i / 2) >> i % 2 * 4 & 0xf);
  }
  return 0;
}

void te::exec::encodeElement(te_rt_dtype dtype, void *data, int64_t i,
                             float value) {
  switch (dtype) {
  case TE_RT_F32:
    return store(data, i, value);
  case TE_RT_BF16:
    return store(data, i, encodeBF16(value));
  case TE_RT_F16:
    return store(data, i, static_cast<uint16_t>(encode(F16, value)));
  case TE_RT_F8E4M3:
    return store(data, i, static_cast<uint8_t>(encode(F8E4M3, value)));
  case TE_RT_F8E5M2:
    return store(data, i, static_cast<uint8_t>(encode(F8E5M2, value)));
  case TE_RT_F8E8M0: {
    int exponent = value == 0 ? -127 : std::ilogb(std::fabs(value));
    exponent = exponent < -127 ? -127 : exponent > 127 ? 127 : exponent;
    return store(data, i, static_cast<uint8_t>(exponent + 127));
  }
  case TE_RT_I32:
    return store(data, i, static_cast<int32_t>(std::nearbyint(value)));
  case TE_RT_I64:
    return store(data, i, static_cast<int64_t>(std::nearbyint(value)));
  case TE_RT_U8:
    return store(data, i, static_cast<uint8_t>(std::nearbyint(value)));
  case TE_RT_F4E2M1: {
    int64_t shift = i % 2 * 4;
    uint32_t other = load<uint8_t>(data, i / 2) & (0xf0u >> shift);
    return store(data, i / 2,
                 static_cast<uint8_t>(other | encode(F4E2M1, value) << shift));
  }
  }
}
