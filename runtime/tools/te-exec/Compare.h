//===- Compare.h - results of two programs, side by side --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef TE_EXEC_COMPARE_H
#define TE_EXEC_COMPARE_H

#include "ArrayType.h"

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

/// How far one tensor is from another.
struct Difference {
  bool exact = true;    ///< equal bits; NaN equals NaN, 0 and -0 differ
  double error = 0;     ///< largest |a - b|; infinity where only one is NaN
  double bound = 0;     ///< largest error allowed
  int64_t position = 0; ///< of the largest error, or the first difference

  bool isMiss() const { return bound == 0 ? !exact : !(error <= bound); }
};

/// Compares `found` with `wanted`, both of `type`. `exactly` sets the bound to
/// 0.
Difference compareArrays(const ArrayType &type, const void *wanted,
                         const void *found, bool exactly);

/// The comparison of all results, over ranks and steps: a row for each packed
/// result, or for NAME.0, NAME.1, ...
class CheckReport {
public:
  /// `where` tells rank and step. Results of one side only are misses.
  void add(const Results &wanted, const Results &found, bool exactly,
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
