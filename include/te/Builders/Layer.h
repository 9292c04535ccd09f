//===- Layer.h - a step of an expert layer as a module ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_BUILDERS_LAYER_H
#define TE_BUILDERS_LAYER_H

#include "te/Builders/LayerConfig.h"

#include "mlir/IR/OwningOpRef.h"

namespace mlir::te {

/// Loads the dialects that a layer is built of.
void loadLayerDialects(MLIRContext &context);

/// A module with one function `@step`: forward, or forward and backward, of all
/// micro-batches, weight gradients accumulated, scales updated. Arguments and
/// results carry `te.name`; members of a group `te.group` and `te.member`.
///
/// `config` must verify, and the dialects be loaded.
OwningOpRef<ModuleOp> buildLayer(MLIRContext *context,
                                 const LayerConfig &config);

} // namespace mlir::te

#endif // TE_BUILDERS_LAYER_H
