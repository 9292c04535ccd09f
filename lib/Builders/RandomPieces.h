//===- RandomPieces.h - what a random program has beside layers -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_BUILDERS_RANDOMPIECES_H
#define TE_LIB_BUILDERS_RANDOMPIECES_H

#include "Choices.h"
#include "OpenStep.h"

namespace mlir::te {

class RandomPieces {
public:
  RandomPieces(OpenStep &step, Choices &choices)
      : step(step), choices(choices) {}

  /// In front of the loop: casts and products that belong to no layer.
  void build();
  /// Changes what was built without changing what it computes: other layouts
  /// of scales with conversions behind them, members in another order.
  void vary(ModuleOp module);

private:
  /// The type of the scales of `values`; blocks of 0 x 0 are the whole tensor.
  RankedTensorType scalesType(RankedTensorType values, int64_t rows,
                              int64_t cols, ScaleLayout layout);
  /// A rowwise cast to E4M3: values and scales.
  std::pair<Value, Value> quantize(const Twine &name, Value input, int64_t rows,
                                   int64_t cols, ScaleLayout layout);
  void buildPackedCast();
  void buildDenseProduct();
  void buildTransposes();
  void varyLayout(QuantizeOp op);
  void varyOrder(Block &block);

  OpenStep &step;
  Choices &choices;
};

} // namespace mlir::te

#endif // TE_LIB_BUILDERS_RANDOMPIECES_H
