//===- Recipe.h - how the tensors of a layer are cast to FP8 ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_BUILDERS_RECIPE_H
#define TE_BUILDERS_RECIPE_H

#include "te/Dialect/TE/IR/TE.h"

namespace mlir::te {

/// How a tensor in one role (activation, weight, gradient) is cast.
struct CastScheme {
  enum class Format { E4M3, E5M2 };

  Format format;
  /// The block that shares a scale; 0 x 0 is the whole tensor.
  int64_t blockRows, blockCols;
  /// Scales are rounded down to powers of two. Without meaning, as is the
  /// epsilon, where a cast is given its scale (Recipe::delayed).
  bool pow2Scales;
  /// A scale is that of an amax of at least this.
  float epsilon = 0;

  bool operator==(const CastScheme &other) const {
    return format == other.format && blockRows == other.blockRows &&
           blockCols == other.blockCols && pow2Scales == other.pow2Scales &&
           epsilon == other.epsilon;
  }
  bool isTensor() const { return blockRows == 0; }
  Type getElementType(MLIRContext *context) const;
  /// The largest finite value of the format.
  double getMax() const { return format == Format::E4M3 ? 448 : 57344; }
  /// The scales of one direction of data; `groups` is 0 where it is not ragged.
  ScalesAttr getEncoding(MLIRContext *context, bool columnwise,
                         int64_t groups) const;
};

/// How scales come from the amaxes of earlier steps.
struct DelayedScaling {
  /// Steps in an amax history.
  int64_t history = 1024;
  /// Powers of two left above the amax.
  int64_t margin = 0;
  AmaxAlgorithm algorithm = AmaxAlgorithm::Max;
};

/// What a recipe decides. All that differs between recipes is in its entry; a
/// layer has a copy of it, whose options may be changed.
struct Recipe {
  StringRef name;
  /// How each role is cast; absent where products read bf16. A product takes at
  /// most one operand of E5M2.
  std::optional<CastScheme> activation, weight, gradient;
  /// Where scales come from earlier steps, kept as states.
  std::optional<DelayedScaling> delayed;
  /// Scales of whole tensors come from amaxes over all ranks; those of blocks
  /// never do. Of scales from the data, those of activations and gradients:
  /// each rank has all of its own weights.
  bool reduceAmax;
  /// Rows of an expert are padded to a multiple of this.
  int64_t alignment;

  bool isFP8() const { return activation.has_value(); }
  /// Scales are of whole tensors.
  bool isTensor() const { return isFP8() && activation->isTensor(); }
  /// All casts, whatever the role.
  SmallVector<CastScheme *> getCasts();
  /// Scales come from the amax of what is cast.
  bool scalesFromData() const { return isFP8() && !delayed; }
};

/// bf16, delayed, current and block, with the options that are their defaults.
ArrayRef<Recipe> getRecipes();
/// The recipe of this name, or null.
const Recipe *findRecipe(StringRef name);

/// How tokens are cast where they travel between ranks in FP8, whatever the
/// recipe of the products.
const CastScheme &getWireScheme();

} // namespace mlir::te

#endif // TE_BUILDERS_RECIPE_H
