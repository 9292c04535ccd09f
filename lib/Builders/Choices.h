//===- Choices.h - seeded choices, equal on every machine -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_LIB_BUILDERS_CHOICES_H
#define TE_LIB_BUILDERS_CHOICES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>

namespace mlir::te {

/// Draw `i` is a function of the seed and i. The standard's distributions
/// differ between libraries; these do not. Two draws in one expression would be
/// made in an order that the compiler picks: each needs its own statement.
class Choices {
public:
  explicit Choices(uint64_t seed) : key(mix(seed + kStep)) {}

  /// From `first` to `last`, both included.
  int64_t range(int64_t first, int64_t last) {
    // The spans are tiny, and so is the bias of %.
    return first + int64_t(next() % uint64_t(last - first + 1));
  }
  bool chance(int64_t percent) { return range(0, 99) < percent; }
  template <typename T> T pick(std::initializer_list<T> list) {
    return list.begin()[range(0, int64_t(list.size()) - 1)];
  }
  /// A permutation of 0 to count-1; the identity unless `shuffled`.
  llvm::SmallVector<int64_t> order(int64_t count, bool shuffled) {
    llvm::SmallVector<int64_t> result;
    for (int64_t i = 0; i < count; ++i)
      result.push_back(i);
    for (int64_t i = count - 1; shuffled && i > 0; --i)
      std::swap(result[i], result[range(0, i)]);
    return result;
  }

private:
  static constexpr uint64_t kStep = 0x9e3779b97f4a7c15ull;
  /// The finalizer of SplitMix64.
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  uint64_t next() { return mix(key + ++count * kStep); }

  uint64_t key, count = 0;
};

} // namespace mlir::te

#endif // TE_LIB_BUILDERS_CHOICES_H
