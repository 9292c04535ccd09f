//===- hadamard.h - the random Hadamard transform ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_REF_HADAMARD_H
#define TE_RUNTIME_REF_HADAMARD_H

#include "common/numeric.h"
#include "common/scales.h"
#include "ref/backend.h"

namespace te_rt {
namespace ref {

/// Transforms each 16 rows of each group, from its first on, of a matrix of
/// `cols` columns along the rows (te-semantics 1.5). Rows that a last block
/// lacks count as zero, and are not made.
void transformRows(te_rt_context *context, const TempVector<Group> &groups,
                   int64_t cols, const BFloat16 *input, BFloat16 *output);

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_HADAMARD_H
