//===- blas.h - matrix products of the system's BLAS ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_REF_BLAS_H
#define TE_RUNTIME_REF_BLAS_H

#include <string>

namespace te_rt {
namespace ref {

/// CBLAS, opened at run time and set to one thread: the caller divides the
/// work, in the same way whatever the number of threads.
struct Blas {
  enum { RowMajor = 101, NoTrans = 111, Trans = 112 };
  using Sgemm = void (*)(int order, int transA, int transB, int m, int n, int k,
                         float alpha, const float *a, int lda, const float *b,
                         int ldb, float beta, float *c, int ldc);
  Sgemm sgemm = nullptr;
  std::string why; // if sgemm is nullptr
};

const Blas &blas();

} // namespace ref
} // namespace te_rt

#endif // TE_RUNTIME_REF_BLAS_H
