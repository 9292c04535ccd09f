//===- rows.h - loops over one row ------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The loops where the time of casts goes, compiled for several instruction sets
// of which the machine's is chosen when the library is loaded. All give the
// same bits.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_REF_ROWS_H
#define TE_RUNTIME_REF_ROWS_H

#include "common/numeric.h"

namespace te_rt {
namespace ref {

/// For an element type T of the input.
#define TE_RT_ROW_LOOPS(T)                                                     \
  /* The bits of the largest magnitude, at least `amax`; NaN left out. */      \
  int32_t rowAmax(const T *row, int64_t count, int32_t amax);                  \
  /* The same for each column. */                                              \
  void columnAmax(const T *row, int64_t count, int32_t *amax);                 \
  /* out[j] = table[codes[j]] * scale */                                       \
  void decodeRow(const uint8_t *codes, int64_t count, const float *table,      \
                 float scale, T *out);

/// For a format of 8 or 4 bits besides, a code in each byte: one scale, or one
/// for each column.
#define TE_RT_CAST_LOOPS(T, Format)                                            \
  void castRow(Format, const T *row, int64_t count, float scale,               \
               uint8_t *codes);                                                \
  void castRow(Format, const T *row, int64_t count, const float *scales,       \
               uint8_t *codes);

TE_RT_ROW_LOOPS(float)
TE_RT_ROW_LOOPS(BFloat16)
TE_RT_CAST_LOOPS(float, E4M3)
TE_RT_CAST_LOOPS(float, E5M2)
TE_RT_CAST_LOOPS(float, E2M1)
TE_RT_CAST_LOOPS(BFloat16, E4M3)
TE_RT_CAST_LOOPS(BFloat16, E5M2)
TE_RT_CAST_LOOPS(BFloat16, E2M1)

#undef TE_RT_ROW_LOOPS
#undef TE_RT_CAST_LOOPS

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_ROWS_H
