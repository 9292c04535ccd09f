//===- blas.cpp - matrix products of the system's BLAS --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ref/blas.h"

#include <dlfcn.h>

using namespace te_rt::ref;

namespace {
Blas openBlas() {
  Blas found;
  for (const char *name :
       {"libopenblas.so.0", "libblas.so.3", "libcblas.so.3"}) {
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
      continue;
    found.sgemm = reinterpret_cast<Blas::Sgemm>(dlsym(library, "cblas_sgemm"));
    if (!found.sgemm) {
      dlclose(library);
      continue;
    }
    // libblas.so.3 may be OpenBLAS as well; no other BLAS has this function.
    using SetThreads = void (*)(int);
    if (auto set = reinterpret_cast<SetThreads>(
            dlsym(library, "openblas_set_num_threads")))
      set(1);
    return found;
  }
  found.why = "found none of libopenblas.so.0, libblas.so.3 and libcblas.so.3 "
              "with cblas_sgemm, wanted a BLAS: install Debian's package "
              "libopenblas0-pthread";
  return found;
}
} // namespace

const Blas &te_rt::ref::blas() {
  static const Blas library = openBlas();
  return library;
}
