//===- Recipe.h - how the tensors of a layer are cast -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_BUILDERS_RECIPE_H
#define TE_BUILDERS_RECIPE_H

#include "te/Dialect/TE/IR/TE.h"
#include "llvm/Support/Error.h"

#include <tuple>

namespace mlir::te {

/// How a tensor in one role (activation, weight, gradient) is cast.
struct CastScheme {
  enum class Format { E4M3, E5M2, E2M1 };

  Format format;
  /// The block that shares a scale; 0 x 0 is the whole tensor.
  int64_t blockRows, blockCols;
  /// Scales are rounded down to powers of two. Without meaning, as is the
  /// epsilon, where a cast is given its scale (Recipe::delayed).
  bool pow2Scales;
  /// A scale is that of an amax of at least this.
  float epsilon = 0;
  /// Of blocks with scales of 8 bits: the amax is that of the square of blocks
  /// around each.
  bool squareBlocks = false;
  /// Of 1 x 128: columnwise copies have blocks of 128 x 128.
  bool squareColumns = false;
  /// Scales of 8 bits are written in the layout that products read, not compact.
  bool swizzled = false;
  /// Of FP4: columnwise copies are transformed first; values are rounded up or
  /// down at random.
  bool hadamard = false, stochasticRounding = false;

  bool operator==(const CastScheme &other) const {
    auto fields = [](const CastScheme &s) {
      return std::tie(s.format, s.blockRows, s.blockCols, s.pow2Scales,
                      s.epsilon, s.squareBlocks, s.squareColumns, s.swizzled,
                      s.hadamard, s.stochasticRounding);
    };
    return fields(*this) == fields(other);
  }
  bool isTensor() const { return blockRows == 0; }
  bool isFP4() const { return format == Format::E2M1; }
  /// MXFP8 and NVFP4.
  bool hasByteScales() const { return blockCols == 32 || blockCols == 16; }
  /// Columnwise data is stored as the input is, in blocks one column wide.
  bool isUntransposed() const { return blockCols == 32; }
  Type getElementType(MLIRContext *context) const;
  /// The largest finite value of the format.
  double getMax() const;
  /// The scales of one direction of data; `groups` is 0 where it is not ragged.
  ScalesAttr getEncoding(MLIRContext *context, bool columnwise,
                         int64_t groups) const;
  Type getScaleType(MLIRContext *context) const;
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
  /// Rows of an expert are padded to a multiple of this.
  int64_t alignment;
  /// The hidden and ffn widths are multiples of this, so that rows are of whole
  /// pieces of 16 bytes, and of whole blocks with scales of 8 bits.
  int64_t widthMultiple;
  /// Scales of whole tensors come from amaxes over all ranks; those of blocks
  /// never do. Of scales from the data, those of activations and gradients:
  /// each rank has all of its own weights.
  bool reduceAmax = false;

  /// Products read operands of FP8 or FP4.
  bool isLowPrecision() const { return activation.has_value(); }
  bool isFP8() const { return isLowPrecision() && !activation->isFP4(); }
  bool hasByteScales() const {
    return isLowPrecision() && activation->hasByteScales();
  }
  /// Scales are of whole tensors.
  bool isTensor() const { return isLowPrecision() && activation->isTensor(); }
  /// All casts, whatever the role.
  SmallVector<CastScheme *> getCasts();
  /// FP32 scales come from the amax of what is cast.
  bool scalesFromData() const {
    return isLowPrecision() && !delayed && !hasByteScales();
  }
};

/// bf16, delayed, current, block, mxfp8 and nvfp4, with the options that are
/// their defaults.
ArrayRef<Recipe> getRecipes();
/// The recipe of this name, or null.
const Recipe *findRecipe(StringRef name);

/// Changes what the option `name` of te-gen asks for: "pow2-scales", ... An
/// error begins with the name, and tells the value found and the values wanted;
/// options that say nothing of this recipe are refused.
llvm::Error setRecipeOption(Recipe &recipe, StringRef name, StringRef value);

/// How tokens are cast where they travel between ranks in FP8, whatever the
/// recipe of the products.
const CastScheme &getWireScheme();

} // namespace mlir::te

#endif // TE_BUILDERS_RECIPE_H
