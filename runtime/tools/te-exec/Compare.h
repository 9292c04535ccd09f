//===- Compare.h - results of two programs, side by side --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_COMPARE_H
#define TE_EXEC_COMPARE_H

#include "ArrayType.h"

#include <limits>
#include <map>

namespace te::exec {

/// A result, or a member of one.
struct Result {
  std::string group; ///< the packed result it belongs to, or its own name
  ArrayType type;
  const void *data;
};
using Results = std::map<std::string, Result>;

/// The largest error allowed on a backend other than ref, relative to the
/// largest finite magnitude of the tensor: sums in another order, and one other
/// rounding of the largest value. Zero for integers and codes.
double relativeBound(te_rt_dtype dtype);

/// How results are held to those of ref.
struct Tolerance {
  /// The same bits.
  static Tolerance exactly() { return {}; }
  /// For a program with tensors of `dtypes` (bit 1 << D for type D): a sum in
  /// another order is at times rounded to the next value of the coarsest of
  /// them, and a result shows that.
  static Tolerance through(uint32_t dtypes);

  bool exact = true;
  double coarsest = 0; ///< the largest relativeBound on the way
};

/// How far one tensor is from another.
struct Difference {
  bool exact = true;    ///< equal bits; NaN equals NaN, 0 and -0 differ
  double error = 0;     ///< largest |a - b|; infinity where only one is NaN
  double bound = 0;     ///< largest error allowed
  int64_t position = 0; ///< of the largest error, or the first difference
  /// sqrt(sum of (a - b)^2 / sum of a^2), and the largest one allowed: where a
  /// type on the way is coarser than the result's, few elements come near the
  /// bound, and a quarter of it holds for all of them together.
  double norm = 0, normBound = std::numeric_limits<double>::infinity();

  bool isMiss() const {
    return bound == 0 ? !exact : !(error <= bound && norm <= normBound);
  }
  /// Largest share of a bound that is used.
  double share() const;
};

/// Compares `found` with `wanted`, both of `type`.
Difference compareArrays(const ArrayType &type, const void *wanted,
                         const void *found, Tolerance tolerance);

/// The comparison of all results, over ranks and steps: a row for each packed
/// result, or for NAME.0, NAME.1, ...
class CheckReport {
public:
  /// `where` tells rank and step. Results of one side only are misses.
  void add(const Results &wanted, const Results &found, Tolerance tolerance,
           const std::string &where);
  void merge(const CheckReport &other);

  bool passed() const;
  /// The table, and a line with the number of misses.
  std::string str() const;

private:
  struct Row {
    std::map<std::string, ArrayType> members;
    bool exact = true;
    std::string missing; ///< tells what is missing, or of another type
    Difference worst;
    std::string where; ///< of `worst`
  };
  static bool isWorse(const Difference &a, const Difference &b);
  void note(Row &row, const Difference &difference, const std::string &where);

  std::map<std::string, Row> rows;
};

} // namespace te::exec

#endif // TE_EXEC_COMPARE_H
