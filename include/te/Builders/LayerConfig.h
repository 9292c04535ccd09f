//===- LayerConfig.h - what an expert layer is built from -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_BUILDERS_LAYERCONFIG_H
#define TE_BUILDERS_LAYERCONFIG_H

#include "te/Builders/Recipe.h"
#include "llvm/Support/Error.h"

namespace mlir::te {

/// The expert layer of a published model.
struct Model {
  StringRef name;
  int64_t hidden, ffn, experts, topK;
};

/// All known models.
ArrayRef<Model> getModels();
/// The model of this name, or null.
const Model *findModel(StringRef name);

enum class Direction { Forward, Training };

/// How tokens reach the ranks of their experts.
enum class Dispatch {
  None, ///< they do not: each rank routes its tokens among its own experts
  BF16, ///< as bf16 rows
  FP8,  ///< as FP8 rows and their scales
};

/// When cached weights are cast anew.
enum class WeightUpdate {
  First, ///< once in a step, in front of the micro-batches
  Noop,  ///< in each micro-batch, under a flag that the device reads
};

struct LayerConfig {
  /// Tokens of one micro-batch on one rank.
  int64_t tokens = 256;
  int64_t hidden = 0;
  /// Width of the activation of one expert; fc1 computes twice as much.
  int64_t ffn = 0;
  /// Experts on this rank.
  int64_t localExperts = 0;
  /// Experts that a token is routed to.
  int64_t topK = 0;
  int64_t microbatches = 1;
  /// Ranks among which the experts are spread.
  int64_t ranks = 1;
  Recipe recipe = *findRecipe("bf16");
  Direction direction = Direction::Forward;
  Dispatch dispatch = Dispatch::None;
  /// How gradients of the output do, where tokens are dispatched: BF16 or FP8.
  Dispatch gradientDispatch = Dispatch::BF16;
  /// Rows of an expert are padded to a multiple of this; 0 is that of the recipe.
  int64_t alignment = 0;
  /// Weights are cast into workspaces that outlive the step. Without meaning
  /// where the recipe casts nothing.
  bool cachedWeights = false;
  /// Of cached weights. With `Noop` the step takes an argument
  /// `skip_weight_update`, an F32 for each micro-batch: at 1.0 it keeps what
  /// the workspaces hold.
  WeightUpdate weightUpdate = WeightUpdate::First;
  /// At the end of the step the optimizer reads the cached weights: each is
  /// cast back from its rowwise values and compact scales.
  bool optimizerReads = false;
  /// Weights are arguments that are cast already.
  bool primaryWeights = false;
  /// Each expert adds a vector to the rows of either product.
  bool bias = false;
  std::string target = "sm_90";

  bool isTraining() const { return direction == Direction::Training; }
  /// Whether each micro-batch casts weights under a flag.
  bool hasWeightFlag() const {
    return cachedWeights && weightUpdate == WeightUpdate::Noop && recipe.weight;
  }
  /// Experts among which a token is routed.
  int64_t getRoutedExperts() const {
    return dispatch == Dispatch::None ? localExperts : localExperts * ranks;
  }
  /// Rows that may reach this rank in a micro-batch.
  int64_t getReceivedTokens() const {
    return dispatch == Dispatch::None ? tokens : tokens * ranks;
  }
  /// Whether rows travel in FP8, in either direction.
  bool sendsFP8() const {
    return dispatch == Dispatch::FP8 || gradientDispatch == Dispatch::FP8;
  }
  int64_t getAlignment() const {
    return alignment ? alignment : recipe.alignment;
  }
  /// Rows of the experts of this rank, at most: before and after padding.
  int64_t getDenseCapacity() const;
  int64_t getCapacity() const;

  /// An error that begins with the name of a field in the spelling of te-gen's
  /// options, and tells the value found and the value wanted.
  llvm::Error verify() const;

private:
  llvm::Error verifyRecipe() const;
};

} // namespace mlir::te

#endif // TE_BUILDERS_LAYERCONFIG_H
