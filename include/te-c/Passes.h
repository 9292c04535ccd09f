/*===- te-c/Passes.h - passes and what they say, from C ----------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TE_C_PASSES_H
#define TE_C_PASSES_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Registers all passes and pipelines of the project, and upstream's general
/// ones (canonicalize, cse, ...), under their names. May be called again.
MLIR_CAPI_EXPORTED void teRegisterAllPasses(void);

/// Runs passes and pipelines on `module`, in the syntax that stands within
/// builtin.module(...) in te-opt's --pass-pipeline: "te-optimize", "te-lower",
/// "te-compile{memory-budget=1000000}", "cse,te-optimize,my-pass". Fails, with
/// a diagnostic, where the text is wrong or a pass fails; the module may then
/// be half rewritten. Needs teRegisterAllPasses.
MLIR_CAPI_EXPORTED MlirLogicalResult teRunPipeline(MlirModule module,
                                                   MlirStringRef pipeline);

//===----------------------------------------------------------------------===//
// Remarks
//===----------------------------------------------------------------------===//

typedef enum TeRemarkKind {
  TeRemarkPassed,   ///< a rewrite was done
  TeRemarkMissed,   ///< it was worth having, but not legal
  TeRemarkFailed,   ///< it was tried, and failed
  TeRemarkAnalysis, ///< something found out
} TeRemarkKind;

/// What a pass says of one op. All of it lives as long as the call.
typedef struct TeRemark {
  TeRemarkKind kind;
  MlirStringRef pass;     ///< "te-group-gemms"
  MlirStringRef rewrite;  ///< "GroupGemms"
  MlirStringRef function; ///< the function around the op, or empty
  MlirStringRef op;       ///< "te.gemm", or empty
  MlirLocation location;
  MlirStringRef reason; ///< why a rewrite was missed; else empty
  /// Of a step: what the rewrite saved; where it was missed, what the op that
  /// stays costs. 0 where the pass does not say.
  int64_t launches, bytes;
  /// All that the pass said, those above included, in its order.
  intptr_t numArguments;
  const MlirStringRef *keys, *values;
} TeRemark;

typedef void (*TeRemarkHandler)(const TeRemark *remark, void *userData);

/// From now on each remark of a pass whose name matches `passes` (an extended
/// regular expression; "te-.*" for all of the project) is told to `handler`, in
/// place of an earlier one; no remarks where `handler` is null. `userData` must
/// outlive it. A context says the same missed rewrite once.
///
/// MLIR's engine of remarks serves one thread, so this ends multithreading in
/// the context; mlirContextEnableMultithreading turns it on again, which needs
/// a null handler. Fails, with a diagnostic, where `passes` is no such
/// expression.
MLIR_CAPI_EXPORTED MlirLogicalResult
teContextSetRemarkHandler(MlirContext context, MlirStringRef passes,
                          TeRemarkHandler handler, void *userData);

#ifdef __cplusplus
}
#endif
#endif /* TE_C_PASSES_H */
