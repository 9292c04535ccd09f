//===- LayoutAssignment.h - a layout for each value -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Knows no IR, so that it can be held to exhaustive search.
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_DIALECT_TE_TRANSFORMS_LAYOUTASSIGNMENT_H
#define TE_LIB_DIALECT_TE_TRANSFORMS_LAYOUTASSIGNMENT_H

#include <cstdint>
#include <vector>

namespace mlir::te {

/// Variables, each of which has layout 0 or 1, and values that flow from one of
/// them to others.
struct LayoutGraph {
  /// The layouts that a variable may have, as a set of bits.
  enum Layouts : uint8_t { kFirst = 1, kSecond = 2, kAny = 3 };

  /// A value: its producer, its readers, and what a conversion of it costs. One
  /// conversion serves all readers; none is needed where all have the layout of
  /// the producer. The costs of all flows together fit 63 bits.
  struct Flow {
    unsigned producer;
    std::vector<unsigned> readers;
    int64_t cost;
  };

  std::vector<uint8_t> allowed; // by variable, not empty
  std::vector<Flow> flows;
};

/// By variable, its layout: 0 or 1.
using LayoutLabels = std::vector<uint8_t>;

/// The cost of the conversions that `labels` need.
int64_t getConversionCost(const LayoutGraph &graph, const LayoutLabels &labels);

/// An assignment of least cost, by a minimum cut. What is connected by flows
/// and as good as it can be in `current`, an allowed assignment, stays as it is
/// there; elsewhere ties go to layout 0 as far as they can.
LayoutLabels assignLayouts(const LayoutGraph &graph,
                           const LayoutLabels &current);

} // namespace mlir::te

#endif // TE_LIB_DIALECT_TE_TRANSFORMS_LAYOUTASSIGNMENT_H
