//===- library.h - libraries opened at run time -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TE_RUNTIME_CUDA_LIBRARY_H
#define TE_RUNTIME_CUDA_LIBRARY_H

#include <initializer_list>
#include <string>

namespace te_rt {
namespace cuda {

/// Opens the file that the environment's `variable` names, or, where it is not
/// set, the first of `files` that the loader finds. nullptr, and in `why` what
/// was looked for, what the loader said and the remedy, where there is none.
void *openLibrary(const char *what, const char *variable,
                  std::initializer_list<const char *> files, std::string &why);

} // namespace cuda
} // namespace te_rt

#endif // TE_RUNTIME_CUDA_LIBRARY_H
