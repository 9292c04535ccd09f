//===- rows.cpp - loops over one row --------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ref/rows.h"

using namespace te_rt;

// Clang has no clones of templates, so that the loops are written by macro.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define TE_RT_CLONES                                                           \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TE_RT_CLONES
#endif

namespace {
/// The magnitude's bits, which order as the magnitudes do; NaN gives 0.
template <typename T>
inline __attribute__((always_inline)) int32_t orderedMagnitude(T value) {
  int32_t bits = floatBits(toFloat(value)) & kMagnitudeMask;
  return bits > kInfinityBits ? 0 : bits;
}
} // namespace

#define TE_RT_ROW_LOOPS(T)                                                     \
  TE_RT_CLONES int32_t ref::rowAmax(const T *row, int64_t count,               \
                                    int32_t amax) {                            \
    for (int64_t j = 0; j < count; ++j) {                                      \
      int32_t magnitude = orderedMagnitude(row[j]);                            \
      amax = magnitude > amax ? magnitude : amax;                              \
    }                                                                          \
    return amax;                                                               \
  }                                                                            \
  TE_RT_CLONES void ref::columnAmax(const T *row, int64_t count,               \
                                    int32_t *amax) {                           \
    for (int64_t j = 0; j < count; ++j) {                                      \
      int32_t magnitude = orderedMagnitude(row[j]);                            \
      amax[j] = magnitude > amax[j] ? magnitude : amax[j];                     \
    }                                                                          \
  }                                                                            \
  TE_RT_CLONES void ref::decodeRow(const uint8_t *codes, int64_t count,        \
                                   const float *table, float scale, T *out) {  \
    for (int64_t j = 0; j < count; ++j)                                        \
      fromFloat(table[codes[j]] * scale, out[j]);                              \
  }

#define TE_RT_CAST_LOOPS(T, Format)                                            \
  TE_RT_CLONES void ref::castRow(Format, const T *row, int64_t count,          \
                                 float scale, uint8_t *codes) {                \
    for (int64_t j = 0; j < count; ++j)                                        \
      codes[j] = encode<Format>(toFloat(row[j]) * scale);                      \
  }                                                                            \
  TE_RT_CLONES void ref::castRow(Format, const T *row, int64_t count,          \
                                 const float *scales, uint8_t *codes) {        \
    for (int64_t j = 0; j < count; ++j)                                        \
      codes[j] = encode<Format>(toFloat(row[j]) * scales[j]);                  \
  }

TE_RT_ROW_LOOPS(float)
TE_RT_ROW_LOOPS(BFloat16)
TE_RT_CAST_LOOPS(float, E4M3)
TE_RT_CAST_LOOPS(float, E5M2)
TE_RT_CAST_LOOPS(float, E2M1)
TE_RT_CAST_LOOPS(BFloat16, E4M3)
TE_RT_CAST_LOOPS(BFloat16, E5M2)
TE_RT_CAST_LOOPS(BFloat16, E2M1)
