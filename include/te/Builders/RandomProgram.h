//===- RandomProgram.h - valid programs of random structure -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_BUILDERS_RANDOMPROGRAM_H
#define TE_BUILDERS_RANDOMPROGRAM_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::te {

/// A module with one function `@step`, for tests of rewrites: one to three
/// small expert layers, each of its own recipe, dispatch and direction, and
/// what a rewrite has to cope with around them: weights and casts that two
/// layers read, results that several read, further readers of scales, row maps
/// and permuted rows, casts in front of the loop, in it or into workspaces,
/// micro-batches unrolled, groups out of order or of members that differ,
/// layouts that another one would suit better.
///
/// All that is returned is defined by the ops: no row that nothing is routed
/// to, no padding. The program is a function of `seed` alone, on every machine.
/// The dialects of loadLayerDialects (Layer.h) must be loaded.
OwningOpRef<ModuleOp> buildRandomProgram(MLIRContext *context, uint64_t seed);

} // namespace mlir::te

#endif // TE_BUILDERS_RANDOMPROGRAM_H
