//===- block_cast.h - one direction of an MXFP8 or NVFP4 cast ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_REF_BLOCK_CAST_H
#define TE_RUNTIME_REF_BLOCK_CAST_H

#include "common/scales.h"
#include "ref/backend.h"

namespace te_rt {
namespace ref {

/// Casts groups of rows, or members of a packed tensor, under scales of 8 bits.
struct BlockCast {
  const char *input; // rows x cols, members one behind another
  te_rt_dtype inputType;
  int64_t rows, cols; // of one member
  bool packed;        // group i is member i, its rows counted through
  bool ragged;
  const TempVector<Group> &groups;
  const TempVector<float> &tensorAmaxes; // of each group; NVFP4 alone

  const te_rt_tensor &values, &scales;
  bool columnwise, square;
  const int64_t *rng; // nullptr: nearest even
  int64_t rngStream;

  void run(te_rt_context *context) const;

  bool isFp4() const { return values.dtype == TE_RT_F4E2M1; }
  bool isTransposed() const { return columnwise && isFp4(); }
  int64_t block() const { return isFp4() ? 16 : 32; }
};

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_BLOCK_CAST_H
