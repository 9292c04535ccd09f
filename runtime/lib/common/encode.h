//===- encode.h - one number as an element of any type ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMMON_ENCODE_H
#define TE_RUNTIME_COMMON_ENCODE_H

#include "te_runtime/types.h"

namespace te_rt {

/// The bits of one element of `value` (of F4E2M1: of two), rounded to `dtype`, in
/// the low bytes.
uint64_t encodeElementBits(te_rt_dtype dtype, double value);

} // namespace te_rt

#endif // TE_RUNTIME_COMMON_ENCODE_H
