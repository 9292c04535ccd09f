//===- blas.h - cuBLASLt, opened at run time --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_BLAS_H
#define TE_RUNTIME_CUDA_BLAS_H

#include "common/device.h"
#include "cuda/kernels/params.h"
#include "product_ways.h"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace te_rt {
namespace cuda {

namespace products = te::products;

/// How the elements of an operand are scaled, as cuBLASLt numbers it.
enum ScaleMode : int32_t {
  kModeNone = -1, // BF16 or F32
  kModeTensor = 0,
  kModeNvfp4 = 1, // 1 x 16 E4M3, and
  kModeMxfp8 = 2, // 1 x 32 E8M0: tiles of 128 x 4
  kModeRows = 4,   // 1 x 128: [reduction / 128, rows]
  kModeSquare = 5, // 128 x 128: [rows / 128, reduction / 128 padded to 4]
};

/// One operand: `rows` of `reduction` elements, `ld` apart as it is stored, or,
/// transposed, the other way round.
struct BlasOperand {
  const void *data;
  const void *scales;
  int64_t ld; // elements
  te_rt_dtype dtype;
  ScaleMode mode;
  bool transposed;
};

/// result[m, n] = sum over k of lhs[m, k] * rhs[n, k] (+ bias[n]) (+ result).
/// With `factors`, two F32 of the device, the sum times the first and what is added
/// times the second.
struct BlasProduct {
  int64_t m, n, k;
  BlasOperand lhs, rhs;
  const void *bias;
  te_rt_dtype biasType;
  void *result;
  te_rt_dtype resultType;
  bool accumulate;
  const float *factors;

  /// Why cuBLASLt does not take this on a GPU of compute capability `major`, or "". It
  /// must be known before the library is asked: some questions end the process.
  std::string whyNot(int major) const;
};

/// Groups of a reduction, which the device divides: F32 result[g][m, n] = sum
/// over the k of group g of BF16 lhs[k, m] * rhs[k, n] (+ result[g][m, n]), in
/// one call. Arrays have an element for each group, on the device. Groups
/// without a k keep what they hold.
struct BlasGroups {
  int64_t groups, m, n;
  int64_t meanReduction; // what the algorithm is chosen for
  GroupArrays arrays;
  const float *scales; // of the device: of what is made, and of what is there
};

/// As product_ways.h names it.
products::Element elementOf(te_rt_dtype dtype);
/// The bytes, up to 256, that an address is a multiple of.
int64_t alignmentOf(const void *pointer);

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
  /// Whether a library that has layouts of groups has a way to do it; nothing
  /// is enqueued.
  Outcome takes(const BlasGroups &product, size_t workspace, bool &does);
  /// The same of groups, by such a library.
  Outcome multiply(const BlasGroups &product, void *workspace, size_t bytes,
                   void *stream, bool &ran);
  /// Of the library, as cublasLtGetVersion tells; 0 where it has no layouts of
  /// groups.
  int64_t groupsVersion() const;

private:
  struct Plan;
  /// An attribute of what an algorithm is looked for with.
  struct Preference {
    int attribute;
    int64_t value;
  };
  Outcome makePlan(const BlasGroups &product, size_t workspace, Plan &plan);
  Outcome makePlan(const BlasProduct &product, size_t workspace, Plan &plan);
  /// Of at most `most` that are offered, the one with the smallest tiles, which
  /// makes most waves of them.
  Outcome findAlgorithm(const std::vector<Preference> &wanted, int most,
                        size_t workspace, Plan &plan);
  /// The plan of `key`, made where there is none.
  template <typename Product>
  Outcome planOf(const Product &product, const std::string &key,
                 size_t workspace, Plan **plan);
  Outcome planOf(const BlasGroups &product, size_t workspace, Plan **plan);

  void *handle = nullptr;
  std::unordered_map<std::string, std::unique_ptr<Plan>> plans;
};

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_BLAS_H
