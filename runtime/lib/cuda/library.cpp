//===- library.cpp - libraries opened at run time -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "cuda/library.h"

#include <cstdlib>
#include <dlfcn.h>

void *te_rt::cuda::openLibrary(const char *what, const char *variable,
                               std::initializer_list<const char *> files,
                               std::string &why) {
  std::string tried;
  auto open = [&](const char *file) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const char *error = library ? nullptr : dlerror();
    tried += (tried.empty() ? "" : "; ") +
             std::string(error ? error : "no reason given");
    return library;
  };
  const char *named = std::getenv(variable);
  if (named && *named) {
    if (void *library = open(named))
      return library;
    why = std::string(what) + ": found " + variable + "=" + named +
          ", which does not open (" + tried + "), wanted the library's file";
    return nullptr;
  }
  for (const char *file : files)
    if (void *library = open(file))
      return library;
  why = std::string(what) + ": not found (" + tried +
        "), wanted it in the loader's search path (LD_LIBRARY_PATH), or its "
        "file in " +
        variable;
  return nullptr;
}
