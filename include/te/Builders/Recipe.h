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
  /// Scales are rounded down to powers of two.
  bool pow2Scales;

  Type getElementType(MLIRContext *context) const;
  /// The largest finite value of the format.
  double getMax() const { return format == Format::E4M3 ? 448 : 57344; }
  /// The scales of one direction of data; `groups` is 0 where it is not ragged.
  ScalesAttr getEncoding(MLIRContext *context, bool columnwise,
                         int64_t groups) const;
};

/// What a recipe decides. All that differs between recipes is in its entry.
struct Recipe {
  StringRef name;
  /// How each role is cast; absent where products read bf16.
  std::optional<CastScheme> activation, weight, gradient;
  /// Scales come from the amax of earlier steps, kept as states.
  bool delayed;
  /// Rows of an expert are padded to a multiple of this.
  int64_t alignment;

  bool isFP8() const { return activation.has_value(); }
};

/// bf16, delayed, current and block.
ArrayRef<Recipe> getRecipes();
/// The recipe of this name, or null.
const Recipe *findRecipe(StringRef name);

/// How tokens are cast where they travel between ranks in FP8, whatever the
/// recipe of the products.
const CastScheme &getWireScheme();

} // namespace mlir::te

#endif // TE_BUILDERS_RECIPE_H
