//===- blas.h - cuBLASLt, opened at run time --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_BLAS_H
#define TE_RUNTIME_CUDA_BLAS_H

#include "common/device.h"

#include <cstdint>
#include <unordered_map>

namespace te_rt {
namespace cuda {

/// How the elements of an operand are scaled, as cuBLASLt numbers it.
enum ScaleMode : int32_t {
  kModeNone = -1, // BF16 or F32
  kModeTensor = 0,
  kModeRows = 4,   // 1 x 128: [reduction / 128, rows]
  kModeSquare = 5, // 128 x 128: [rows / 128, reduction / 128 padded to 4]
};

/// One operand: `rows` of `reduction` elements, `ld` apart as it is stored, or,
/// transposed, the other way round.
struct BlasOperand {
  const void *data;
  const float *scales;
  int64_t ld;
  te_rt_dtype dtype;
  ScaleMode mode;
  bool transposed;
};

/// result[m, n] = sum over k of lhs[m, k] * rhs[n, k] (+ bias[n]) (+ result).
struct BlasProduct {
  int64_t m, n, k;
  BlasOperand lhs, rhs;
  const void *bias;
  te_rt_dtype biasType;
  void *result;
  te_rt_dtype resultType;
  bool accumulate;

  /// Whether cuBLASLt takes this on Hopper (te-semantics 6.2). It must be known
  /// before the library is asked: some questions end the process.
  bool isLegal() const;
};

class Blas {
public:
  Blas();
  ~Blas();
  Blas(const Blas &) = delete;
  Blas &operator=(const Blas &) = delete;

  Outcome open();
  /// Enqueues a legal product. `ran` is false where the library has no way to do
  /// it, and nothing was enqueued.
  Outcome multiply(const BlasProduct &product, void *workspace, size_t bytes,
                   void *stream, bool &ran);

private:
  struct Plan;
  Outcome makePlan(const BlasProduct &product, size_t workspace, Plan &plan);

  void *handle = nullptr;
  std::unordered_map<std::string, std::unique_ptr<Plan>> plans;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_BLAS_H
