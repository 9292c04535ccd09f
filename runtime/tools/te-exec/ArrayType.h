//===- ArrayType.h - element types and shapes on the host -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_ARRAYTYPE_H
#define TE_EXEC_ARRAYTYPE_H

#include "te_runtime/types.h"

#include <cstdint>
#include <string>
#include <vector>

namespace te::exec {

/// The type of a dense row-major array.
struct ArrayType {
  te_rt_dtype dtype = TE_RT_F32;
  std::vector<int64_t> shape;

  int64_t elements() const;
  int64_t bytes() const;
  /// The shape in files, where F4E2M1 is bytes of two elements each.
  std::vector<int64_t> fileShape() const;
  /// As in `bf16[8, 256]`.
  std::string str() const;
  bool operator==(const ArrayType &other) const {
    return dtype == other.dtype && shape == other.shape;
  }
  bool operator!=(const ArrayType &other) const { return !(*this == other); }
};

/// As in `[8, 256]`.
std::string shapeString(const std::vector<int64_t> &shape);

const char *dtypeName(te_rt_dtype dtype);
/// Bytes of one element, of F4E2M1 of two.
int64_t dtypeBytes(te_rt_dtype dtype);

/// The product of `shape`, or -1 if an extent is negative or it passes 2^63.
int64_t countElements(const std::vector<int64_t> &shape);

/// Where element `linear` of an array of `shape` lies, as in `[3, 17]`.
std::string positionString(int64_t linear, const std::vector<int64_t> &shape);

/// Element `i` of `data` as a number; exact for all types but I64 beyond 2^53.
double decodeElement(te_rt_dtype dtype, const void *data, int64_t i);

/// Stores `value` as element `i` of `data`: nearest even; FP8 and FP4 saturate
/// (NaN becomes 6 of FP4). F8E8M0 takes the power of two nearest in exponent,
/// U8 and integers the nearest integer.
void encodeElement(te_rt_dtype dtype, void *data, int64_t i, float value);

/// Round to nearest even, as in a hardware cast. NaN stays NaN.
inline uint16_t encodeBF16(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

} // namespace te::exec

#endif // TE_EXEC_ARRAYTYPE_H
