//===- check.h - what the arguments of a function must be -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shapes, types, presence and layouts: whatever descriptors tell, the same for
// every backend. What lies in tensors (offsets, row maps) is the backend's to
// check.
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_COMMON_CHECK_H
#define TE_RUNTIME_COMMON_CHECK_H

#include "common/context.h"
#include "common/scales.h"

#include <initializer_list>
#include <vector>

namespace te_rt {

/// The arguments of each function against its contract; TE_RT_OK, or a status
/// and the context's message.
namespace check {
#define TE_RT_FUNCTION(name) decltype(te_rt_##name) name;
#include "common/functions.def"
} // namespace check

/// What swiglu makes of `input`, a matrix of at least one column: its
/// descriptor, at `memory`.
te_rt_tensor swigluOutput(const te_rt_tensor &input, void *memory);

/// What grouped_gemm over rows makes of `lhs`, a matrix, and of members `rhs` of
/// rank 2 or 3, as BF16: its descriptor, at `memory`.
te_rt_tensor productOutput(const te_rt_tensor &lhs, const te_rt_tensor &rhs,
                           void *memory);

/// The cast of a fused function against the contract of quantize: `rows` is
/// what the function makes and casts.
te_rt_status
checkFusedCast(te_rt_context *context, const te_rt_tensor &rows,
               const te_rt_tensor *scale, const te_rt_tensor *amax,
               const te_rt_tensor *offsets, const te_rt_tensor *values,
               const te_rt_tensor *scales, const te_rt_tensor *values_t,
               const te_rt_tensor *scales_t, const te_rt_tensor *amax_out,
               int64_t pow2_scales, double epsilon);

using Shape = std::vector<int64_t>;
std::string toString(const Shape &shape);
Shape shapeOf(const te_rt_tensor &tensor);
/// The types of scales that values of this type may have, of FP8 and FP4.
std::initializer_list<te_rt_dtype> scaleTypesOf(te_rt_dtype values);
/// As in "32 x 1".
std::string blockOf(const te_rt_tensor &scales);
/// The first extent of scales COMPACT of a matrix of so many rows, one row
/// each.
int64_t scaleRows(te_rt_dtype dtype, int64_t rows);
/// Elements of a tensor that Checker has passed.
int64_t numElements(const te_rt_tensor &tensor);
inline int64_t lastDim(const te_rt_tensor &tensor) {
  return tensor.shape[tensor.rank - 1];
}

class Checker;

/// One tensor argument. After the checker's first finding, and on an optional
/// tensor that is absent, every test passes and every extent is 0.
class Arg {
public:
  Arg(Checker &checker, std::string name, const te_rt_tensor *tensor)
      : checker(checker), name(std::move(name)), tensor(tensor) {}

  const Arg &type(std::initializer_list<te_rt_dtype> wanted) const;
  const Arg &typeOf(const Arg &other) const;
  const Arg &rank(int32_t least, int32_t most) const;
  const Arg &shape(const Shape &wanted) const;
  /// Rank 0, or [members] if that is not 0.
  const Arg &scalarOr(int64_t members) const;

  explicit operator bool() const;
  int64_t dim(int32_t index) const;
  /// The product of all extents but the first `skip`.
  int64_t extentFrom(int32_t skip) const;
  const te_rt_tensor &get() const { return *tensor; }
  const te_rt_tensor *pointer() const { return tensor; }
  const std::string &label() const { return name; }

private:
  Checker &checker;
  std::string name;
  const te_rt_tensor *tensor;
};

/// Collects the first finding.
class Checker {
public:
  explicit Checker(te_rt_context *context) : context(context) {}

  Arg required(std::string name, const te_rt_tensor *tensor);
  Arg optional(std::string name, const te_rt_tensor *tensor);
  Arg element(const char *name, te_rt_tensor_list list, int64_t index);
  /// A list of `count` elements, or of none where `mayBeEmpty`.
  void list(const char *name, te_rt_tensor_list list, int64_t count,
            bool mayBeEmpty = false);
  /// Two lists of as many tensors of these types, of the same shapes.
  void sameLists(const char *name, te_rt_tensor_list list, const char *other,
                 te_rt_tensor_list others,
                 std::initializer_list<te_rt_dtype> types);

  /// Optional offsets: I32 [E+1] with E at least 1. Returns E, 0 if absent.
  int64_t offsets(const char *name, const te_rt_tensor *tensor);
  /// Scales of stored data rows x cols of `members` packed matrices (0: rank
  /// 2), with `groups` groups along `ragged` (groups 0: not ragged).
  void scales(const Arg &arg, int64_t rows, int64_t cols, int64_t members,
              Ragged ragged, int64_t groups,
              std::initializer_list<te_rt_dtype> types);
  /// Two optional tensors that come together.
  void pair(const Arg &one, const Arg &other);
  /// Ranks of the context's communicator.
  int64_t ranks() const;
  /// An attribute in [least, most].
  void attribute(const char *name, int64_t value, int64_t least, int64_t most);

  template <typename Found, typename Wanted>
  void finding(const std::string &name, const Found &found,
               const Wanted &wanted,
               te_rt_status why = TE_RT_INVALID_ARGUMENT) {
    if (result == TE_RT_OK)
      result = context->fail(why, name, ": found ", found, ", wanted ", wanted);
  }
  bool ok() const { return result == TE_RT_OK; }
  te_rt_status status() const { return result; }

private:
  void blocks(const Arg &arg);
  void wellFormed(const std::string &name, const te_rt_tensor &tensor);

  te_rt_context *context;
  te_rt_status result = TE_RT_OK;
};

} // namespace te_rt

#endif // TE_RUNTIME_COMMON_CHECK_H
