/*===- te-c/Builders.h - expert layers as modules, from C ---------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TE_C_BUILDERS_H
#define TE_C_BUILDERS_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum TeDirection { TeForward, TeTraining } TeDirection;

/// How rows reach the ranks of their experts: not at all (each rank routes its
/// tokens among its own experts), as bf16 rows, or as FP8 rows with scales.
typedef enum TeDispatch {
  TeDispatchNone,
  TeDispatchBF16,
  TeDispatchFP8
} TeDispatch;

/// When cached weights are cast anew: once in a step, in front of the
/// micro-batches; or in each, under a flag that the device reads (the argument
/// `skip_weight_update`).
typedef enum TeWeightUpdate {
  TeWeightUpdateFirst,
  TeWeightUpdateNoop
} TeWeightUpdate;

/// An option of a recipe, in the words of te-gen: {"pow2-scales", "false"}.
typedef struct TeRecipeOption {
  MlirStringRef name, value;
} TeRecipeOption;

/// What te-gen takes as options.
typedef struct TeLayerOptions {
  int64_t tokens; ///< of one micro-batch on one rank
  int64_t hidden;
  int64_t ffn; ///< width of the activation of one expert
  int64_t localExperts;
  int64_t topK;
  int64_t microbatches;
  int64_t ranks;
  int64_t alignment; ///< rows of an expert; 0 is that of the recipe
  MlirStringRef recipe;
  intptr_t numRecipeOptions;
  const TeRecipeOption *recipeOptions;
  TeDirection direction;
  TeDispatch dispatch;
  TeDispatch gradientDispatch; ///< TeDispatchBF16 or TeDispatchFP8
  bool cachedWeights;
  TeWeightUpdate weightUpdate;
  bool optimizerReads;
  bool primaryWeights;
  bool bias;
  MlirStringRef target; ///< "sm_90"
} TeLayerOptions;

/// Fills in te-gen's defaults: the dimensions of `model` ("tiny",
/// "deepseek-v3", ...), all of its experts on one rank, forward, bf16. Fails,
/// and leaves `options` as they are, where there is no such model.
MLIR_CAPI_EXPORTED MlirLogicalResult
teLayerOptionsInit(MlirStringRef model, TeLayerOptions *options);

/// A module with the naive form of a step of the layer, as te-gen prints it:
/// the function @step. The caller owns it. Null, with a diagnostic that tells
/// the option, the value found and the value wanted, where the options do not
/// fit. Loads the dialects that it needs.
MLIR_CAPI_EXPORTED MlirModule teLayerBuild(MlirContext context,
                                           const TeLayerOptions *options);

#ifdef __cplusplus
}
#endif
#endif /* TE_C_BUILDERS_H */
